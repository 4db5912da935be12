"""One file for each comparison: what both sides are, what they are given, and what ratio is aimed for."""
