"""Members of a team, human and virtual, as their YAML files describe them (seed 002)."""
