"""The single-process reference: Databento Live to queues to Backtrader to one webhook, with no server in between."""
