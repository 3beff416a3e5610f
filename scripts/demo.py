"""``make demo``: restores from start to end on this machine, each started in another way, a recovery and a swap.

The exit code is 0 only if every restore ended as ``Completed``, its result message arrived, and the simulator saw
exactly one restore POST for it; if the recovery ended as ``Completed``, group after group, with one POST for each of
its virtual machines; and if the disks of one more virtual machine were swapped, and put back.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import requests
from azure.core.exceptions import AzureError
from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Table

from scripts.alerting import rules_for, vm_down
from scripts.demo_recovery import GATED, PLAN_VMS, Recovering, ended_of, plan_of, state_of
from scripts.demo_swap import SWAP_VM, Swapping
from scripts.stack import (
    QUICK_POLLS,
    Stack,
    StackError,
    add_engine_option,
    add_setting_option,
    interruptible,
    running_stack,
)
from simulator.reading import InvalidDocument
from simulator.scenario import DEFAULT_FILE, Scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

type Json = dict[str, Any]

_LOOK_EVERY_S: Final = 0.2
_INTERRUPTED: Final = 130


class DemoError(Exception):
    """Why the demo has not shown what it is there to show."""


def start_by_http(stack: Stack, request: Json) -> None:
    """Ask for a restore as a person or a script would."""
    answer = requests.post(f"{stack.url}/api/restores", json=request, timeout=10)
    if answer.status_code != requests.codes.accepted:
        raise DemoError(f"POST /api/restores was answered {answer.status_code}: {answer.text}")


def start_by_queue(stack: Stack, request: Json) -> None:
    """Ask for a restore as another system would."""
    stack.send("restore-requests", json.dumps(request))


def start_by_alert(stack: Stack, request: Json) -> None:
    """Tell of a VM that is down as Azure Monitor's action group would; a rule makes it a restore."""
    answer = requests.post(f"{stack.url}/api/alerts", json=vm_down(request["sourceResourceId"]), timeout=10)
    if answer.status_code != requests.codes.accepted:
        raise DemoError(f"POST /api/alerts was answered {answer.status_code}: {answer.text}")
    [decision] = answer.json()["decisions"]
    if decision["decision"] != "Started":
        raise DemoError(f"the alert was answered {decision['decision']}: {decision['reason']}")


@dataclass(frozen=True, slots=True)
class Starter:
    """A way to start a restore. ``name`` is the status document's ``startedBy``, ``vm`` what it restores here."""

    name: str
    vm: str
    start: Callable[[Stack, Json], None]
    as_another_vm: bool = False

    @property
    def label(self) -> str:
        """How it is called on the screen and among the options."""
        return "clone" if self.as_another_vm else self.name


STARTERS: Final = (
    Starter("http", "web-01", start_by_http),
    Starter("queue", "web-02", start_by_queue),
    Starter("alert", "web-03", start_by_alert),
    Starter("http", "sql-01", start_by_http, as_another_vm=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is shown of a restore, or of a group of the recovery; ``total`` is ``None`` while nothing can be counted.

    Plain lines show ``state``, bars the rest.
    """

    title: str
    state: str
    phase: str
    done: float
    total: float | None
    amount: str
    remark: str = ""


@dataclass(slots=True)
class Shown:
    """One restore of the demo: how it was started, and what has become of it."""

    starter: Starter
    vm_id: str
    vm_key: str
    document: Json = field(default_factory=lambda: {"status": "Pending", "phase": "Sent"})
    posts: int = 0
    calls: int = 0
    has_result: bool = False

    @property
    def row(self) -> Row:
        """How it is shown."""
        return _row(self.title, self.document)

    @property
    def title(self) -> str:
        """How it is called on the screen."""
        return f"{self.starter.label:<5} {self.vm_key.partition('/')[2]}"

    @property
    def is_finished(self) -> bool:
        """Whether the app has reported its end."""
        return self.document.get("completedTime") is not None

    @property
    def problem(self) -> str | None:
        """What keeps this restore from being proof, if anything."""
        status, error = self.document["status"], self.document.get("error")
        if status != "Completed":
            return f"it ended as {status}" + (f": {error['message']}" if error else "")
        if not self.has_result:
            return "its message did not arrive on restore-results"
        return None if self.posts == 1 else f"the simulator saw {self.posts} restore POSTs for it instead of 1"


def _row(title: str, document: Json) -> Row:
    """Return how a restore is shown."""
    percent, has_ended = document.get("progressPercentage"), document.get("completedTime") is not None
    return Row(
        title=title,
        state=_state(document),
        phase=document["status"] if has_ended else document["phase"],
        done=100 if has_ended else percent or 0,
        total=100 if has_ended or (percent or 0) > 1 else None,
        amount="" if percent is None else f"{percent:.0f} %",
        remark=_next_poll(document),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit code."""
    options = _parse(argv)
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    try:
        with interruptible():
            _run(options, console)
    except KeyboardInterrupt:
        print("demo: stopped", file=sys.stderr)
        return _INTERRUPTED
    except (StackError, DemoError) as error:
        print(f"demo: {' '.join(str(error).split())}", file=sys.stderr)
        for line in getattr(error, "tail", ()) or getattr(error, "__notes__", ()):
            print(f"  | {line}", file=sys.stderr)
        return 1
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.demo", description="Restores from start to end.")
    for starter in STARTERS:
        told = f"VM of the scenario to restore by {starter.label} (default {starter.vm})"
        parser.add_argument(f"--{starter.label}-vm", metavar="VM", default=starter.vm, help=told)
    parser.add_argument(
        "--plan-vms",
        metavar="VM",
        nargs=len(PLAN_VMS),
        default=PLAN_VMS,
        help=f"VMs of the scenario to restore by the plan (default {' '.join(PLAN_VMS)})",
    )
    parser.add_argument(
        "--swap-vm",
        metavar="VM",
        default=SWAP_VM,
        help=f"VM of the scenario whose disks are swapped (default {SWAP_VM})",
    )
    parser.add_argument("--speed", type=float, default=10, help="simulated seconds per second (default 10)")
    parser.add_argument("--scenario", type=Path, default=DEFAULT_FILE, help="the simulator's scenario file")
    parser.add_argument("--time-limit", type=float, default=55, metavar="S", help="seconds in all (default 55)")
    add_engine_option(parser)
    add_setting_option(parser)
    return parser.parse_args(argv)


def _run(options: argparse.Namespace, console: Console) -> None:
    began = time.monotonic()
    scenario = _read_scenario(options.scenario)
    shown = [_chosen(scenario, starter, getattr(options, f"{starter.label}_vm")) for starter in STARTERS]
    recovering = _chosen_recovery(scenario, options.plan_vms)
    swap_id, swap_key = _found(scenario, options.swap_vm)
    swapping = Swapping(vm_id=swap_id, vm_key=swap_key)
    keys = [*(one.vm_key for one in shown), *recovering.vm_keys, swap_key]
    if len(set(keys)) < len(keys):
        raise DemoError("each restore needs a VM of its own")
    console.print("Starting the Azure Backup simulator, Azurite and the app ...")
    rules = {"AUTO_RESTORE_RULES": rules_for(_request(scenario, shown[0]))}
    settings = QUICK_POLLS | rules | dict(options.setting)
    with running_stack(speed=options.speed, scenario=options.scenario, env=settings, engine=options.engine) as stack:
        console.print(f"Ready after {time.monotonic() - began:.1f} s: app {stack.url}, simulator {stack.simulator_url}")
        try:
            for one in shown:
                one.starter.start(stack, _request(scenario, one))
            recovering.start(stack)
            swapping.start(stack, _disks(scenario))
            _follow(stack, shown, recovering, swapping, console, deadline=began + options.time_limit)
            _collect(stack, shown, deadline=began + options.time_limit)
            recovering.count_calls(stack)
            swapping.count_calls(stack)
            console.print(_summary(shown, recovering, swapping))
            for one in shown:
                _print_places(one, console)
            for line in _verdict(stack, shown, recovering, swapping, options.speed):
                console.print(line, soft_wrap=True)
        except (DemoError, AzureError, requests.RequestException) as error:
            stack.check()
            failure = error if isinstance(error, DemoError) else DemoError(f"the stack does not answer: {error}")
            for line in stack.tail("local host"):
                failure.add_note(line)
            raise failure from error
    console.print(f"Done in {time.monotonic() - began:.1f} s.")


def _read_scenario(path: Path) -> Scenario:
    try:
        return Scenario.from_file(path)
    except (OSError, InvalidDocument) as error:
        raise DemoError(f"the scenario {path.name} cannot be used: {error}") from error


def _found(scenario: Scenario, name: str) -> tuple[str, str]:
    """Return the id of a VM of the scenario, and its key at the simulator."""
    vm = next((vm for vm in scenario.vms if vm.name == name), None)
    if vm is None:
        raise DemoError(f"the scenario has no VM {name!r}")
    group = f"/subscriptions/{scenario.subscription_id}/resourceGroups/{vm.resource_group}"
    return f"{group}/providers/Microsoft.Compute/virtualMachines/{vm.name}", vm.key


def _chosen(scenario: Scenario, starter: Starter, name: str) -> Shown:
    return Shown(starter, *_found(scenario, name))


def _chosen_recovery(scenario: Scenario, names: Sequence[str]) -> Recovering:
    vms = [_found(scenario, name) for name in names]
    return Recovering(plan_of([vm_id for vm_id, _ in vms], _disks(scenario)), [key for _, key in vms])


def _disks(scenario: Scenario) -> Json:
    """Return how disks are restored, of whichever VM."""
    groups, account = f"/subscriptions/{scenario.subscription_id}/resourceGroups", scenario.storage_accounts[0]
    staging = f"{groups}/{account.resource_group}/providers/Microsoft.Storage/storageAccounts/{account.name}"
    return {
        "recoveryType": "RestoreDisks",
        "storageAccountId": staging,
        "targetResourceGroupId": f"{groups}/restored-rg",
    }


def _request(scenario: Scenario, shown: Shown) -> Json:
    request: Json = {"sourceResourceId": shown.vm_id, **_disks(scenario), "requestedBy": "make demo"}
    if not shown.starter.as_another_vm:
        return request
    target = request["targetResourceGroupId"]
    network = f"{target}/providers/Microsoft.Network/virtualNetworks/isolated"
    machine = f"{target}/providers/Microsoft.Compute/virtualMachines/{shown.vm_id.rpartition('/')[2]}-copy"
    return {
        **request,
        "recoveryType": "AlternateLocation",
        "targetVirtualMachineId": machine,
        "virtualNetworkId": network,
        "subnetId": f"{network}/subnets/default",
    }


def _follow(
    stack: Stack,
    shown: Sequence[Shown],
    recovering: Recovering,
    swapping: Swapping,
    console: Console,
    *,
    deadline: float,
) -> None:
    """Show the restores, the recovery and the swap until all have ended; ``DemoError`` when the time is up."""
    live = console.is_terminal and not console.is_dumb_terminal
    with requests.Session() as session, Bars(console) if live else Lines(console) as view:
        while not (recovering.is_finished and swapping.is_finished and all(one.is_finished for one in shown)):
            stack.check()
            if time.monotonic() > deadline:
                late = [f"{one.title} is at {_state(one.document)}" for one in shown if not one.is_finished]
                late += [] if recovering.is_finished else [f"the plan is at {recovering.document.get('status')}"]
                late += [] if swapping.is_finished else [f"the swap is at {_state(swapping.undo or swapping.document)}"]
                raise DemoError(f"the time is up: {', '.join(late)}")
            _look(stack, session, shown)
            recovering.look(stack, session)
            swapping.look(stack, session)
            view.show([*(one.row for one in shown), *map(_group_row, recovering.groups), *_swap_rows(swapping)])
            time.sleep(_LOOK_EVERY_S)


def _group_row(group: Json) -> Row:
    ended, members = ended_of(group)
    return Row(
        title=f"plan  {group['name']:<8}",
        state=state_of(group),
        phase=group["status"],
        done=ended,
        total=members or None,
        amount=f"{ended}/{members}",
        remark=", ".join(f"after {name}" for name in group["waitingFor"]),
    )


def _swap_rows(swapping: Swapping) -> list[Row]:
    name = swapping.vm_key.partition("/")[2]
    rows = [_row(f"swap  {name}", swapping.document)]
    return [*rows, _row(f"undo  {name}", swapping.undo)] if "phase" in swapping.undo else rows


def _look(stack: Stack, session: requests.Session, shown: Sequence[Shown]) -> None:
    answer = session.get(f"{stack.url}/api/restores", timeout=10)
    answer.raise_for_status()
    for document in answer.json()["value"]:
        for one in shown:
            named = (document["sourceResourceId"] or "").lower() == one.vm_id.lower()
            if named and document["startedBy"] == one.starter.name:
                one.document = document


def _state(document: Json) -> str:
    progress, phase = document.get("progressPercentage"), document["phase"]
    what = document["status"] if phase == "Finished" else phase
    return what if progress is None else f"{what} {progress:.0f} %"


class Lines:
    """Plain lines, one per change: for logs and dumb terminals."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._told: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def show(self, rows: Sequence[Row]) -> None:
        """Tell what has changed."""
        for row in rows:
            if self._told.get(row.title) != row.state:
                self._told[row.title] = row.state
                self._console.print(f"{time.monotonic() - self._began:5.1f} s  {row.title}  {row.state}")


class Bars:
    """A live bar per row. It pulses while the service says no more than that it has begun."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(finished_text="*"),
            TextColumn("{task.description}"),
            TextColumn("{task.fields[phase]:<22}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[amount]:>5}"),
            TextColumn("{task.fields[remark]}"),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}
        self._live = Live(Group(self._progress), console=console, refresh_per_second=10)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, rows: Sequence[Row]) -> None:
        """Bring the bars up to date."""
        for row in rows:
            if row.title not in self._tasks:
                self._tasks[row.title] = self._progress.add_task(row.title, phase="", amount="", remark="")
            self._progress.update(
                self._tasks[row.title],
                total=row.total,
                completed=row.done,
                phase=row.phase,
                amount=row.amount,
                remark=row.remark,
            )


def _next_poll(document: Json) -> str:
    due = document.get("nextPollTime")
    if due is None:
        return ""
    wait_s = datetime.fromisoformat(due).timestamp() - time.time()
    return f"next poll in {max(wait_s, 0):.1f} s"


def _collect(stack: Stack, shown: Sequence[Shown], *, deadline: float) -> None:
    """Read the results queue and the simulator's log."""
    missing = {one.document["id"]: one for one in shown}
    while missing and time.monotonic() < deadline:
        for text in stack.receive("restore-results"):
            result = json.loads(text)
            one = missing.pop(result["id"], None)
            if one is not None:
                one.has_result = result["status"] == one.document["status"]
        time.sleep(_LOOK_EVERY_S if missing else 0)
    for one in shown:
        calls = requests.get(f"{stack.simulator_url}/_simulator/requests", params={"vm": one.vm_key}, timeout=10)
        actions = [record["action"] for record in calls.json()["value"]]
        one.calls, one.posts = len(actions), actions.count("trigger_restore")


def _summary(shown: Sequence[Shown], recovering: Recovering, swapping: Swapping) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for head in ("started by", "VM", "status", "point (UTC)", "job took", "ARM calls", "disks in"):
        table.add_column(head, justify="right" if head in {"job took", "ARM calls"} else "left", overflow="fold")
    for one in shown:
        result, point = one.document.get("result") or {}, one.document.get("recoveryPoint") or {}
        table.add_row(
            one.starter.label,
            one.vm_key.partition("/")[2],
            one.document["status"],
            _minute(point.get("time")),
            _took(result),
            str(one.calls),
            result.get("targetResourceGroup") or "-",
        )
    target = recovering.plan["restore"]["targetResourceGroupId"].rpartition("/")[2]
    vms = f"{len(recovering.vm_keys)} in {len(recovering.groups)} groups"
    table.add_row("plan", vms, recovering.document["status"], "-", "-", str(recovering.calls), target)
    result, point = swapping.document.get("result") or {}, swapping.document.get("recoveryPoint") or {}
    table.add_row(
        "swap",
        swapping.vm_key.partition("/")[2],
        swapping.document["status"],
        _minute(point.get("time")),
        _took(result),
        str(len(swapping.actions)),
        result.get("targetResourceGroup") or "-",
    )
    return table


def _minute(time_text: str | None) -> str:
    return "-" if time_text is None else f"{datetime.fromisoformat(time_text):%d %b %H:%M}"


def _took(result: Json) -> str:
    """Return the job's duration in Azure's time, which the simulator runs faster."""
    start, end = result.get("startTime"), result.get("endTime")
    if start is None or end is None:
        return "-"
    minutes, seconds = divmod(round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()), 60)
    return f"{minutes}:{seconds:02d} min"


def _print_places(one: Shown, console: Console) -> None:
    result = one.document.get("result") or {}
    places = (("configuration", "configBlobUri"), ("template", "templateBlobUri"), ("VM", "targetVirtualMachineId"))
    for what, member in places:
        if result.get(member):
            console.print(f"{one.title}  {what}: {result[member]}", soft_wrap=True)


def _verdict(
    stack: Stack, shown: Sequence[Shown], recovering: Recovering, swapping: Swapping, speed: float
) -> list[str]:
    """Return the lines that say what was proven; ``DemoError`` when it was not."""
    problems = [f"{one.title.replace('  ', ' ')}: {one.problem}" for one in shown if one.problem]
    problems += [f"plan: {recovering.problem}"] if recovering.problem else []
    problems += [f"swap: {swapping.problem}"] if swapping.problem else []
    if problems:
        raise DemoError("; ".join(problems))
    counters = requests.get(f"{stack.simulator_url}/_simulator/counters", timeout=10).json()
    count, members = len(shown), len(recovering.vm_keys)
    posts = counters["byAction"].get("trigger_restore", 0) - recovering.posts - swapping.posts
    if posts != count:
        raise DemoError(f"the simulator saw {posts} restore POSTs for {count} restores")
    calls = counters["requests"] - counters["byAction"].get("get_token", 0)
    named = sum(one.calls for one in shown) + recovering.calls + len(swapping.actions)
    restores = (
        f"Proven: {count} restores asked for = {posts} restore POSTs at the simulator = {count} Completed "
        f"= {count} messages on restore-results."
    )
    recovery = (
        f"Proven: 1 recovery asked for = {len(recovering.groups)} groups in order, {GATED} after its approval "
        f"= {members} members = {recovering.posts} restore POSTs = Completed."
    )
    swap = (
        f"Proven: 1 swap asked for = 1 restore POST = deallocate, 1 PATCH of all disks, start = Swapped, down for "
        f"{swapping.downtime} at {speed:g} times Azure's speed; its undo = the same three calls = former disks back."
    )
    in_all = (
        f"{calls} ARM calls in all ({calls - named} of them name no VM: job lists and the like), "
        f"{counters['tokens']} managed-identity token(s)."
    )
    return [restores, recovery, swap, in_all]


if __name__ == "__main__":
    sys.exit(main())
