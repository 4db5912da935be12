"""The whole system on one machine for a few seconds: real processes, a tape for the market, a receiver for the broker."""
