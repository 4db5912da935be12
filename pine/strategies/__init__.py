"""Trading rules: the base class for Backtrader, IBS, breakout, and the risk rules that all share."""
