"""Databento Live in, bars out: session, aggregator, lead contract, publisher."""
