"""The durable log between processes: keys, streams with explicit ids, groups, leases, the embedded server."""
