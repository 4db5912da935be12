"""Speed, measured side by side: what pine does against what else could do it, as ratios in one run."""
