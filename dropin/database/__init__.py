"""The database of the Kyrios bot (seed 004), on a Daicho ledger."""
