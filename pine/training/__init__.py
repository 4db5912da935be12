"""Training of the models that may refuse a strategy's entries, on what its own engine wrote down in a replay."""
