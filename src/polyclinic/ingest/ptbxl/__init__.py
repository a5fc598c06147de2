"""PTB-XL, ECGs with diagnostic statements: `reader` of the database, and its `statements`."""
