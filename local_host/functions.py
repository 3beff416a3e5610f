"""Indexes an app's functions and calls them the way Microsoft's worker does, through the SDK's own converters."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import uuid
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import azure.functions as func
from azure.functions import meta
from azure.functions.decorators.core import BindingDirection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from concurrent.futures import Executor

    from azure.functions.decorators.core import Binding, Trigger
    from azure.functions.decorators.function_app import Function

HTTP, QUEUE, TIMER = "httpTrigger", "queueTrigger", "timerTrigger"
ORCHESTRATION, ACTIVITY, ENTITY = "orchestrationTrigger", "activityTrigger", "entityTrigger"
TRIGGERS = (HTTP, QUEUE, TIMER, ORCHESTRATION, ACTIVITY, ENTITY)

log = logging.getLogger(__name__)
_thread_local = threading.local()


class HostError(Exception):
    """The host cannot start; the message says why, in one line for the person who started it."""


class App(Protocol):
    """What the host needs of an ``azure.functions`` app."""

    functions_bindings: dict[Any, Any] | None

    def get_functions(self) -> list[Function]:  # noqa: D102 - it is the SDK's
        ...


class _Out(func.Out[Any]):
    """An output parameter."""

    _value: Any = None

    def set(self, val: Any) -> None:
        self._value = val

    def get(self) -> Any:
        return self._value


@dataclass(frozen=True)
class _Context:
    """What a parameter ``context`` gets; traces and retries are the real host's business."""

    function_name: str
    function_directory: str
    invocation_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    thread_local_storage: Any = _thread_local
    trace_context: Any = None
    retry_context: Any = None


func.Context.register(_Context)


def _converter(binding_type: str) -> Any:
    return meta.get_binding_registry().get(binding_type)


def convert_in(binding_type: str, datum: meta.Datum, metadata: Mapping[str, meta.Datum] | None = None) -> Any:
    """Build what a trigger's parameter gets from the wire value and its metadata."""
    return _converter(binding_type).decode(datum, trigger_metadata=metadata or {})


def convert_out(binding_type: str, value: Any) -> meta.Datum:
    """Turn what a function gave into its wire value; ``TypeError`` for what the binding cannot take."""
    try:
        return _converter(binding_type).encode(value, expected_type=None)
    except NotImplementedError:
        raise TypeError(f"a binding of type {binding_type} cannot take a {type(value).__name__}") from None


@dataclass(frozen=True, kw_only=True)
class HostedFunction:
    """One function of the app, ready to be called. ``name`` is what it is started by."""

    name: str
    trigger: Trigger
    target: Callable[..., Any]
    clients: tuple[str, ...]
    outputs: tuple[Binding, ...]
    returns: bool
    context: partial[_Context] | None

    @classmethod
    def index(cls, function: Function) -> HostedFunction:
        """Read one registered function; ``HostError`` for a binding that the local host does not have."""
        name, target, trigger = str(function.get_function_name()), function.get_user_function(), function.get_trigger()
        if trigger is None or trigger.type not in TRIGGERS:
            raise HostError(f"function {name}: the local host has no {trigger and trigger.type}")
        clients: list[str] = []
        outputs: list[Binding] = []
        for binding in function.get_bindings():
            if binding.type == "durableClient":
                clients.append(binding.name)
            elif binding.direction == BindingDirection.OUT.value and binding.type == "queue":
                outputs.append(binding)
            elif binding is not trigger and (binding.type, binding.name) != ("http", "$return"):
                raise HostError(f"function {name}: the local host has no binding {binding.type} ({binding.name})")
        wants_context = "context" in inspect.signature(target).parameters and trigger.name != "context"
        return cls(
            # The durable extension calls a function by its trigger's own name, where one is given.
            name=next((own for key in _OWN_NAMES if (own := getattr(trigger, key, None))), name),
            trigger=trigger,
            target=target,
            clients=tuple(clients),
            outputs=tuple(outputs),
            returns=trigger.type not in {QUEUE, TIMER} or any(output.name == "$return" for output in outputs),
            context=partial(_Context, name, str(Path(inspect.getfile(target)).parent)) if wants_context else None,
        )


def index(app: App) -> list[HostedFunction]:
    """Read all functions of ``app``; ``HostError`` when there is one that cannot be hosted."""
    app.functions_bindings = None  # the SDK refuses to list an app's functions a second time
    try:
        functions = app.get_functions()
    except ValueError as error:
        raise HostError(f"the app's functions cannot be listed: {error}") from error
    return [HostedFunction.index(each) for each in functions]


_OWN_NAMES = ("orchestration", "activity", "entity_name")


@dataclass(frozen=True, kw_only=True)
class Invoker:
    """Calls functions: coroutines on the event loop, others in ``threads``; then sends their queue outputs.

    ``client_config`` is what a durable client's parameter gets, ``send`` puts one output's value on its queue,
    ``in_threads`` names the calls that are in a thread right now.
    """

    client_config: str
    threads: Executor
    send: Callable[[Binding, Any], Awaitable[None]]
    in_threads: list[str] = field(default_factory=list[str])

    async def __call__(self, function: HostedFunction, value: Any) -> Any:
        """Call with the trigger's ``value`` and return what the function returned; its exceptions pass through."""
        outs = {output.name: _Out() for output in function.outputs if output.name != "$return"}
        arguments = {function.trigger.name: value, **dict.fromkeys(function.clients, self.client_config), **outs}
        if function.context:
            arguments["context"] = function.context()
        if inspect.iscoroutinefunction(function.target):
            result = await function.target(**arguments)
        else:
            loop = asyncio.get_running_loop()
            result = await loop.run_in_executor(self.threads, self._in_thread, function, arguments)
        if result is not None and not function.returns:
            raise RuntimeError(f"function {function.name} returned a value but has no $return binding")
        for output in function.outputs:
            sent = result if output.name == "$return" else outs[output.name].get()
            if sent is not None:
                await self.send(output, sent)
        return result

    def _in_thread(self, function: HostedFunction, arguments: dict[str, Any]) -> Any:
        self.in_threads.append(function.name)
        try:
            return function.target(**arguments)
        finally:
            self.in_threads.remove(function.name)
