"""How a cohort lies on disk: shards, blobs, versions behind a symlink, atomic commits."""
