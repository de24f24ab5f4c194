"""Running a ledger: moving it, backing it up, watching it, cleaning it."""
