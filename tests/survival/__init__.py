"""What Daicho promises while the ground shakes: every acknowledged write is there, once, and nothing else.

``client`` writes, ``load`` runs clients, ``counting`` counts without a line of Daicho, ``proxy`` cuts
connections. ``python -m tests.survival`` does it for minutes instead of seconds.
"""
