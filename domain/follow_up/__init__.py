"""What a restore does with the restored disks: swaps them into the VM, makes a new VM of them, or attaches them."""
