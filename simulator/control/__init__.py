"""The simulator's own addresses, below /_simulator."""
