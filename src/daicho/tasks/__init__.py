"""Coding-agent tasks: how far they are, what they have used, and their conversations in files (seed 001)."""
