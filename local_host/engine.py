"""The command ``python -m local_host.engine``: the task hub in a process of its own, so that hosts come and go."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

from .backend import LocalBackend
from .options import OneLineParser, port_number, seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEASE_S = 300.0  # a queue message of Azure Storage, on which the default backend is built, is hidden as long


def main(argv: Sequence[str] | None = None) -> int:
    """Keep a task hub until SIGTERM or SIGINT; returns the exit code."""
    parser = OneLineParser(prog="engine", description="Keeps durable state for local hosts that join it.")
    parser.add_argument("--port", type=port_number, default=0, help="loopback port (default: any free one)")
    parser.add_argument(
        "--lease-seconds",
        type=seconds,
        default=_LEASE_S,
        metavar="N",
        help=f"hand work out again when its result has not come by then (default: {_LEASE_S:g})",
    )
    options = parser.parse_args(argv)
    return asyncio.run(_serve(options.port, options.lease_seconds))


async def _serve(port: int, lease_s: float) -> int:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    backend = LocalBackend(loop, lease_s=lease_s)
    try:
        address = backend.start(port)
    except RuntimeError:
        print(f"engine: cannot listen on 127.0.0.1:{port}", file=sys.stderr, flush=True)
        return 1
    print(f"engine listening on {address}", flush=True)
    await stopping.wait()
    await asyncio.to_thread(backend.stop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
