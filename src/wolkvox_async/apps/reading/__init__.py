"""The stream of a cluster as lines: read in its order, and gone on with where the last reader stopped."""
