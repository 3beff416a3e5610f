"""What tests that listen to loggers must know of them."""

from __future__ import annotations

from typing import Final

DEADLOCKS: Final = "grpc._cython.cygrpc"
"""Logs at DEBUG under a lock of its own, which it also takes to free a channel. A thread whose log handler happens to
free one, holding the handler's lock, then waits for ever for a thread that logs there, and the other way round."""
