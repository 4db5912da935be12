"""Who is told what: facts and records in, messages out, each once."""
