"""The dashboard: what runs, what it did, and the buttons that stop it, in a browser."""
