"""The call console of LibertyCall (seed 000), on a Daicho ledger."""
