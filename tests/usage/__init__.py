"""Usage and cost (seed 003)."""
