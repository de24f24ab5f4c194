"""Chat logs: conversations, in the ledger's own database or in DynamoDB (seed 002, future work)."""
