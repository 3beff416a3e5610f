"""Microsoft.Compute: virtual machines and their disks."""
