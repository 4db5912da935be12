"""What the market was: finished sessions kept as Parquet, for reading, warm-up and research."""
