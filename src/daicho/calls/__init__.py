"""Calls: telephone calls and their transcripts, as they are spoken (seed 000)."""
