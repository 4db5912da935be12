"""The past: what was archived, what can be bought, and one question that both answer."""
