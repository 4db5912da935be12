"""All processes of one machine: started, started again, and ended in order."""
