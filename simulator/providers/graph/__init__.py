"""Microsoft.ResourceGraph: queries over all resources that the caller may read."""
