"""Words of the domain, pure and without input or output: bars, periods, contracts, calendar, configuration."""
