"""Traces and metrics of restores, and the restore's id on each log line. Telemetry never stops the app or a restore.

``signals`` is what other folders call; it does nothing as long as no receiver is configured.
"""
