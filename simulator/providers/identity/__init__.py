"""The managed-identity endpoint, and the tokens that it gives out."""
