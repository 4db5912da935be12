"""The whole system on one machine for a minute: real processes, a tape for the market, a receiver of webhooks."""
