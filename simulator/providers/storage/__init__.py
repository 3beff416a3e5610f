"""Microsoft.Storage: storage accounts, and the blobs that restore jobs leave in them."""
