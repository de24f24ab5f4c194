"""Ours against the bare driver: the same work, the same durability, the same run."""
