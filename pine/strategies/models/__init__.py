"""Trained models: their files, the checks before one is used, and the score of one row."""
