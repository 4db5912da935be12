"""The outside world for a machine with no account: market data gateway, webhook receiver, made-up markets."""
