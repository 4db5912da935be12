"""Features: defined once by name, computed from completed bars, the same value everywhere."""
