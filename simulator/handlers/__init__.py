"""What answers each call; one module per family of calls."""
