"""The resource providers, one folder each."""
