"""From the streams to Backtrader: steps, hours and days built from minutes, clocked feeds."""
