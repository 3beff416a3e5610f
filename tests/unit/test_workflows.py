"""The workflows for GitHub: valid, pinned, without secrets. Nothing here runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.name)
def workflow(request: pytest.FixtureRequest) -> str:
    return request.param.read_text(encoding="utf-8")


def test_they_are_workflows() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*command, *map(str, WORKFLOWS)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
    assert len(WORKFLOWS) == 2


def test_every_action_is_pinned_to_a_commit_and_names_its_version(workflow: str) -> None:
    used = [line for line in re.findall(r"uses: (.+)", workflow) if not line.startswith("./")]

    assert used
    assert [line for line in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


def test_an_action_has_the_same_version_everywhere() -> None:
    used = {line for path in WORKFLOWS for line in re.findall(r"uses: (\S+@.+)", path.read_text(encoding="utf-8"))}

    assert len(used) == len({line.split("@")[0] for line in used})


def test_there_are_no_secrets(workflow: str) -> None:
    assert not re.search(r"\bsecrets\b", workflow)


def test_only_the_deployment_may_sign_in_and_only_in_the_environment_that_is_trusted() -> None:
    check, deploy = (path.read_text(encoding="utf-8") for path in WORKFLOWS)
    before, _, job = deploy.partition("\n  deploy:\n")

    assert "id-token" not in check + before
    assert job.count("id-token: write") == 1
    assert "name: production" in job


def test_a_shell_gets_values_from_its_environment_only(workflow: str) -> None:
    """An expression in a script would be run as part of it, whatever it holds."""
    assert [
        line for line in workflow.splitlines() if "${{" in line and not re.match(r"\s+[\w-]+: \$\{\{[^}]+\}\}$", line)
    ] == []


def test_the_outputs_that_are_read_are_outputs_of_the_template() -> None:
    deploy = (ROOT / ".github/workflows/deploy.yml").read_text(encoding="utf-8")
    template = (ROOT / "infra/main.bicep").read_text(encoding="utf-8")
    outputs = {name.casefold() for name in re.findall(r"^output (\w+)", template, re.MULTILINE)}

    assert set(re.findall(r"\$\(output (\w+)", deploy)) <= outputs


@pytest.mark.parametrize(("failures", "code", "made"), [(0, 0, 1), (3, 0, 4), (9, 0, 10), (10, 2, 10)])
def test_the_preflight_is_repeated_for_some_minutes_and_its_last_answer_decides(
    tmp_path: Path, failures: int, code: int, made: int
) -> None:
    deploy = (ROOT / ".github/workflows/deploy.yml").read_text(encoding="utf-8")
    _, _, step = deploy.partition("- name: Check the permissions of the app")
    script = textwrap.dedent(step.partition("run: |\n")[2])
    programs = {
        "az": "echo the-key",
        "make": f'echo "$@; KEY is $KEY" >> made; [ "$(wc -l < made)" -gt {failures} ] || exit 2',
        "sleep": 'echo "$1" >> slept',
    }
    for name, body in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)

    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "URL": "https://app", "NAME": "n", "GROUP": "g"}
    done = subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env=env, capture_output=True, check=False)

    assert done.returncode == code, done.stderr
    calls = (tmp_path / "made").read_text(encoding="utf-8").splitlines()
    assert calls == ["preflight APP=https://app; KEY is the-key"] * made
    slept = (tmp_path / "slept").read_text(encoding="utf-8").split() if made > 1 else []
    assert slept == ["60"] * (made - 1)


def test_what_they_make_can_be_made(workflow: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

    assert set(re.findall(r"\bmake ([a-z-]+)", workflow)) <= targets
