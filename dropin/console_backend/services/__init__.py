"""The console's services."""
