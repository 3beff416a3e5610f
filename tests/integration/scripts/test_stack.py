from __future__ import annotations

import signal
import socket
import sys
from typing import TYPE_CHECKING

import psutil
import pytest
import requests

from scripts import stack as stacks
from scripts.stack import Child, Ports, StackError, clean_environment, interruptible, running_stack
from tests.integration.scripts.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def test_it_runs_the_parts_and_ends_them_even_when_the_block_raises() -> None:
    pids: dict[str, int] = {}

    def fail_inside() -> None:
        with running_stack(speed=60) as stack:
            pids.update(stack.pids)
            stack.check()
            assert requests.get(f"{stack.url}/api/health", timeout=10).json()["status"] == "ok"
            assert stack.receive("nobody-made-it") == []
            stack.send("a-queue", "a message")
            assert stack.receive("a-queue") == ["a message"]
            raise LookupError("inside")

    with pytest.raises(LookupError, match="inside"):
        fail_inside()
    assert list(pids) == ["simulator", "azurite", "local host"]
    assert not any(psutil.pid_exists(pid) for pid in pids.values())


def test_a_process_is_ended_with_its_own_children(tmp_path: Path) -> None:
    child_of_it = "import time; print('listening on http://127.0.0.1:1', flush=True); time.sleep(600)"
    wrapper = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child_of_it!r}])"
    child = Child("a wrapper", [sys.executable, "-c", wrapper], clean_environment(), tmp_path, None)
    child.wait_until_ready()
    started = psutil.Process(child.pid).children()

    child.stop()

    assert len(started) == 1
    assert psutil.wait_procs(started, timeout=10)[1] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_the_block_and_no_longer_what_follows_it(number: signal.Signals) -> None:
    before = signal.getsignal(number)

    with pytest.raises(KeyboardInterrupt), interruptible():
        signal.raise_signal(number)

    assert signal.getsignal(number) is before


def test_a_scenario_that_the_simulator_refuses_is_told(tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.json"
    scenario.write_text("{}")

    with pytest.raises(StackError, match=r"simulator did not start: simulator: scenario .*subscriptionId") as caught:
        running_stack(scenario=scenario).__enter__()

    assert caught.value.tail


def test_missing_tools_are_named_with_their_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(stacks, "_AZURITE", tmp_path / "azurite-queue")

    with pytest.raises(StackError, match="run `make setup`"):
        running_stack().__enter__()
    with pytest.raises(StackError, match="absent cannot be started"):
        Child("absent", [tmp_path / "absent"], {}, ROOT, None)


def test_a_part_that_does_not_come_up_is_not_waited_for_for_ever() -> None:
    child = Child("sleeper", ["sleep", "60"], clean_environment(), ROOT, None)
    try:
        with pytest.raises(StackError, match=r"sleeper was not ready within 0\.1 s"):
            child.wait_until_ready(0.1)
        assert not child.has_ended
    finally:
        child.stop()
    assert child.has_ended


def test_taken_ports_are_stepped_around() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert stacks._free_or_any(taken.getsockname()[1]) == 0

    assert all(port in {0, usual} for port, usual in zip(_ports(), (8080, 10001, 7071), strict=True))


def _ports() -> tuple[int, int, int]:
    ports = Ports.usual_or_free()
    return ports.simulator, ports.queues, ports.host


def test_nothing_of_the_developers_own_azure_reaches_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_CLIENT_SECRET", "RESTORE_DEADLINE_HOURS", "https_proxy", "IDENTITY_ENDPOINT"):
        monkeypatch.setenv(name, "set")
    monkeypatch.setenv("UNRELATED", "kept")

    environment = clean_environment()

    assert "set" not in environment.values()
    assert environment["UNRELATED"] == "kept"
