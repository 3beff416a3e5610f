"""Alerts: ``payload`` reads one, ``alert_rules`` has the rules, ``decide`` makes the decision for each VM.

A new kind of alert needs a member in ``kinds`` and a case in ``targets`` and ``ignore_reasons``. Alerts of Resource
Health are decided in ``resource_health``. A new member of a rule needs a reader in ``rules_file`` and a field in
``alert_rules``.
"""
