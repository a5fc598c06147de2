"""Storage of a cohort on disk: shards, blobs, versions behind a symlink, atomic commits."""
