"""The host as a whole: indexes an app, starts its parts on one event loop, stops them without a trace."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web
from azure.durable_functions import client as durable_client

from .backend import LocalBackend
from .config import HostSettings
from .durable import Durable, client_config
from .functions import HostError, Invoker, index
from .http_front import MAX_BODY_BYTES, HttpFront
from .joined import JoinedEngine
from .queues import Queues
from .timers import Timers
from .webhooks import Webhooks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from .functions import App
    from .joined import TaskHub

_DEFAULT_THREADS = 16
_STOP_GRACE_S = 2.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Running:
    """A host that runs: where it answers, and its task hub."""

    url: str
    backend: TaskHub


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise HostError(f"cannot listen on 127.0.0.1:{port}: {os.strerror(error.errno or 0)}") from error


def _threads() -> ThreadPoolExecutor:
    wanted = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT", "")
    count = int(wanted) if wanted.isdecimal() else 0
    return ThreadPoolExecutor(count or _DEFAULT_THREADS, thread_name_prefix="function")


@asynccontextmanager
async def host(
    app: App,
    settings: HostSettings,
    *,
    port: int,
    queues: bool,
    engine: str | None = None,
    function_key: str | None = None,
) -> AsyncIterator[Running]:
    """Run ``app`` on this event loop, over the engine at this address if there is one; ``HostError`` if it cannot.

    With a ``function_key``, HTTP functions that are not anonymous need it.
    """
    functions = index(app)
    storage = Queues(functions, settings.queues if queues else None)
    with _listen(port) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        loop = asyncio.get_running_loop()
        backend = JoinedEngine(loop, engine) if engine else LocalBackend(loop)
        config = client_config(backend.start(), url, settings.task_hub)
        invoke = Invoker(client_config=config, threads=_threads(), send=storage.send)
        durable = Durable.of(functions, backend, invoke)
        timers = Timers(functions, invoke)
        routes = [*Webhooks(backend).routes(), *timers.routes()]
        runner = _front(HttpFront.of(functions, invoke, settings.route_prefix, function_key), routes)
        try:
            backend.deliver(durable.receive)
            storage.start(invoke)
            await runner.setup()
            await web.SockSite(runner, listener).start()
            yield Running(url, backend)
        finally:
            await runner.cleanup()
            backend.stop_delivery()
            await _finish(storage.stop() | durable.running | timers.running)
            if invoke.in_threads:
                log.warning("still running, no longer waited for: %s", ", ".join(invoke.in_threads))
            invoke.threads.shutdown(wait=not invoke.in_threads, cancel_futures=True)
            await storage.close()
            await asyncio.to_thread(backend.stop)
            _close_sync_client(config)


def _front(http: HttpFront, routes: list[web.RouteDef]) -> web.AppRunner:
    application = web.Application(client_max_size=MAX_BODY_BYTES)
    application.add_routes(routes)
    application.router.add_route("*", "/{path:.*}", http.handle)
    return web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=_STOP_GRACE_S)


async def _finish(tasks: set[asyncio.Task[None]]) -> None:
    """Give what is under way a moment, then cancel it."""
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=_STOP_GRACE_S)
        for task in late:
            task.cancel()


def _close_sync_client(config: str) -> None:
    """Close the client that the SDK keeps for synchronous functions until the process ends."""
    client = durable_client._sync_client_cache.pop(config, None)
    if client:
        client.close()


async def settle() -> None:
    """Wait for what ended functions left to the loop: the SDK closes its clients in tasks of their own."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others, timeout=1)


@contextmanager
def running(
    app: App,
    *,
    host_json: Mapping[str, Any] | None = None,
    queues: bool = False,
    port: int = 0,
    engine: str | None = None,
    function_key: str | None = None,
) -> Iterator[Running]:
    """Host ``app`` in a background thread for as long as the block lasts; ``HostError`` when it cannot start."""
    settings = HostSettings.from_json(host_json or {})
    started: Future[tuple[Running, Callable[[], object]]] = Future()

    async def serve() -> None:
        loop, stopping = asyncio.get_running_loop(), asyncio.Event()
        async with host(app, settings, port=port, queues=queues, engine=engine, function_key=function_key) as it:
            started.set_result((it, lambda: loop.call_soon_threadsafe(stopping.set)))
            await stopping.wait()
        await settle()

    with ThreadPoolExecutor(1, thread_name_prefix="local-host") as thread:
        finished = thread.submit(lambda: asyncio.run(serve()))
        wait(list[Future[Any]]([started, finished]), return_when=FIRST_COMPLETED)
        if not started.done():
            finished.result()
        it, stop = started.result()
        try:
            yield it
        finally:
            stop()
            finished.result()
