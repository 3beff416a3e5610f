"""Azure Resource Manager's own calls: resource groups, and the permissions of Microsoft.Authorization."""
