from __future__ import annotations

import json
import re
import signal
import subprocess
from typing import TYPE_CHECKING

import requests

from tests.integration.local_host.stage import eventually
from tests.integration.scripts.conftest import ROOT
from tests.integration.scripts.test_demo import read_until

if TYPE_CHECKING:
    from tests.integration.scripts.conftest import Marked


def shell(command: str) -> str:
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def commands(guide: str) -> list[str]:
    """Return the lines to copy; a backslash at a line's end goes on with the next."""
    joined = guide.replace("\\\n", "")
    return [line for line in joined.splitlines() if line.startswith(("curl", ".venv"))]


def test_it_prints_lines_that_work_and_stops_on_ctrl_c(marked: Marked) -> None:
    with marked.started("scripts.host", "--any-ports", "--speed", "60") as process:
        guide = read_until(process, "Ctrl-C stops everything")
        post, see, listing, points, health, alert, send, peek, peek_events = commands(guide)
        page = re.search(r"http://\S+/_simulator", guide)

        answer = shell(post)
        assert answer.startswith("HTTP/1.1 202")
        restore = json.loads(answer.splitlines()[-1])["id"]
        assert json.loads(shell(see.replace("/ID", f"/{restore}")))["startedBy"] == "http"
        assert shell(send) == ""
        [decision] = json.loads(shell(alert).splitlines()[-1])["decisions"]
        assert (decision["decision"], decision["rule"]) == ("Started", "VM down")

        def peeked() -> dict[str, str]:
            """Return how the restores ended, by id: a message may come twice."""
            return {result["id"]: result["status"] for result in map(json.loads, shell(peek).splitlines())}

        ended = eventually(lambda: len(told := peeked()) == 3 and told, within_s=40)
        assert {restore, decision["restoreId"]} < ended.keys()
        assert set(ended.values()) == {"Completed"}
        seen = [json.loads(line) for line in shell(peek_events).splitlines()]
        assert {event["event"] for event in seen if event["restore"]["id"] == restore} >= {"Pending", "Running"}
        assert len(json.loads(shell(listing))["value"]) == 3
        assert json.loads(shell(points))["value"]
        assert json.loads(shell(health))["status"] == "ok"
        assert page is not None
        assert requests.get(page.group(), timeout=10).ok

        process.send_signal(signal.SIGINT)
        said, told = process.communicate(timeout=30)

    assert process.returncode == 0
    assert said.endswith("host: stopped\n")
    assert told == ""


def from_readme(app: str) -> str:
    """Return the README's first call of the app, to the host at this address instead of the usual one."""
    calling = (ROOT / "README.md").read_text().partition("## Calling it")[2]
    command = calling.partition("```sh\n")[2].partition("```")[0]
    assert "APP=http://127.0.0.1:7071 " in command
    return command.replace("http://127.0.0.1:7071", app)


def test_the_call_in_the_readme_works_as_it_stands(marked: Marked) -> None:
    with marked.started("scripts.host", "--any-ports", "--speed", "60") as process:
        guide = read_until(process, "Ctrl-C stops everything")
        app = re.search(r"(http://127\.0\.0\.1:\d+)/api\n", guide)
        assert app is not None

        answer = shell(from_readme(app.group(1)))

        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert answer.startswith("HTTP/1.1 202")


def test_it_ends_when_a_part_of_it_dies(marked: Marked) -> None:
    with marked.started("scripts.host", "--any-ports") as process:
        read_until(process, "Ctrl-C stops everything")
        marked.process("azurite-queue").kill()
        _, told = process.communicate(timeout=30)

    assert process.returncode == 1
    assert "host: azurite ended early with exit code -9" in told
