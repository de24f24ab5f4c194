"""LLM usage and what it costs: every call once, every report from sums (seed 003)."""
