"""One strategy's process: steps in, decisions and ledger entries out."""
