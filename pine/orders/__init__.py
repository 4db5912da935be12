"""Orders as facts: ledger, paper account, courier, TradersPost client."""
