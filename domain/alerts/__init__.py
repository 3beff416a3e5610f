"""Alerts: a payload is read (``payload``), matched with rules (``alert_rules``) and gets decisions (``decide``).

A new kind of alert needs a member in ``kinds`` and a case in ``targets`` and ``ignore_reasons``. A new member of a rule
needs a reader in ``rules_file`` and a field in ``alert_rules``.
"""
