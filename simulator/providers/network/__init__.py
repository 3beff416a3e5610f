"""Microsoft.Network: virtual networks."""
