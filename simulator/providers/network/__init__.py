"""Microsoft.Network: virtual networks, network interfaces, security groups, public addresses."""
