"""The command ``python -m local_host``."""

from __future__ import annotations

import asyncio
import importlib
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import azure.functions as func

from .config import HostSettings, apply_settings, read_json
from .functions import HostError
from .options import OneLineParser, engine_address, function_key, port_number
from .server import host, settle

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from .functions import App

_DEFAULT_SETTINGS = Path("local.settings.json")


def main(argv: Sequence[str] | None = None) -> int:
    """Host the app of the current directory until SIGTERM or SIGINT; returns the exit code."""
    options = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("azure", "durabletask"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        if options.settings or _DEFAULT_SETTINGS.exists():
            apply_settings(options.settings or _DEFAULT_SETTINGS)
        settings = HostSettings.from_json(read_json(Path("host.json")))
        app = _load(options.app)
        asyncio.run(_serve(app, settings, options))
    except HostError as error:
        for line in str(error).splitlines():
            print(f"local host: {line.strip()}", file=sys.stderr, flush=True)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(prog="local_host", description="Hosts the function app without the Functions host.")
    parser.add_argument(
        "--port", type=port_number, default=7071, help="loopback port, 0 for any free one (default: 7071)"
    )
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", help=f"settings file (default: {_DEFAULT_SETTINGS}, may be absent)"
    )
    parser.add_argument("--no-queues", dest="queues", action="store_false", help="poll no queue, drop queue outputs")
    parser.add_argument(
        "--app", default="function_app", metavar="MODULE", help="module of the app (default: function_app)"
    )
    parser.add_argument(
        "--engine",
        type=engine_address,
        metavar="HOST:PORT",
        help="join the engine that listens there (default: one of the host's own)",
    )
    parser.add_argument(
        "--function-key",
        type=function_key,
        metavar="KEY",
        help="what x-functions-key or ?code= must be, except for anonymous functions (default: no key is needed)",
    )
    return parser


def _load(module: str) -> App:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        members = vars(importlib.import_module(module)).values()
    except (Exception, SystemExit) as error:
        # The app's settings may have several problems.
        problems: Sequence[str] = getattr(error, "problems", (str(error) or type(error).__name__,))
        lines = (f"cannot import {module}: {' '.join(problem.split())}" for problem in problems)
        raise HostError("\n".join(lines)) from error
    app = next((member for member in members if isinstance(member, func.FunctionRegister)), None)
    if app is None:
        raise HostError(f"{module} holds no function app")
    return cast("App", app)


async def _serve(app: App, settings: HostSettings, options: argparse.Namespace) -> None:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    chosen = {"port": options.port, "queues": options.queues, "engine": options.engine}
    async with host(app, settings, **chosen, function_key=options.function_key) as running:
        print(f"local host listening on {running.url}", flush=True)
        await stopping.wait()
    await settle()
