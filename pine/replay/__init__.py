"""Runs over recorded bars and trades, what they thought, and whether two of them thought the same."""
