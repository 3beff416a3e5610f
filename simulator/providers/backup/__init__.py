"""The backup service: Microsoft.RecoveryServices."""
