"""Cross-region restore: what a vault has in the secondary region, and the restores from there."""
