"""Recovery plans: ``plans_file`` reads them, ``plan`` has the model.

A new member of a plan needs a reader in ``plans_file`` and a field in ``plan``.
"""
