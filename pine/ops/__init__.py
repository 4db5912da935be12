"""Operating the system: what runs, how far it is, what it owes."""
