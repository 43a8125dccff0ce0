"""The models on this machine, and the catalog of those known by name."""
