"""A stand-in for the Azure Backup calls of Azure Resource Manager, for development and tests.

``python -m simulator`` runs it alone; ``simulator.server.running`` runs it inside a test.
"""
