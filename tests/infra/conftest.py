"""Compiles and evaluates the templates of ``infra/`` with the Bicep CLI, without Azure: see ``scripts/infra``."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
MAIN = INFRA / "main.bicep"
SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
TENANT = "22222222-2222-2222-2222-222222222222"
VAULT = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/backup-rg/providers/Microsoft.RecoveryServices/vaults/vault-1"
TARGET_GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/restored-rg"

type Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a deployment would make. What only Azure knows is an expression, a text in ``[`` and ``]``."""

    resources: tuple[Json, ...]
    outputs: Json

    def of_type(self, resource_type: str) -> list[Json]:
        """Return the resources of this type."""
        return [resource for resource in self.resources if resource["type"].lower() == resource_type.lower()]

    def one(self, resource_type: str) -> Json:
        """Return the only resource of this type."""
        (resource,) = self.of_type(resource_type)
        return resource

    def types(self) -> set[str]:
        """Return the types of all resources."""
        return {resource["type"] for resource in self.resources}


def bicep(*arguments: str) -> str:
    """Run one command of the Bicep CLI and return what it prints; an error or a warning of it is a failed test."""
    done = subprocess.run([os.environ["BICEP"], *arguments], capture_output=True, text=True, check=False)
    said = "\n".join(line for line in done.stderr.splitlines() if not line.startswith("WARNING: The 'snapshot'"))
    assert done.returncode == 0, said
    assert said == ""
    return done.stdout


@pytest.fixture(scope="session")
def compiled() -> Callable[[Path], Json]:
    """Return a function that compiles a template to ARM JSON, each template once."""
    made: dict[Path, Json] = {}

    def compile_template(template: Path) -> Json:
        if template not in made:
            made[template] = json.loads(bicep("build", "--no-restore", "--stdout", str(template)))
        return made[template]

    return compile_template


@pytest.fixture(scope="session")
def evaluate(compiled: Callable[[Path], Json], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Deployment]:
    """Return a function that evaluates a deployment with the parameters that it is called with, each set once.

    ``template`` is the template, by default main.bicep, which gets an environment, a location, a vault and a group
    unless the parameters say otherwise.
    """
    made: dict[str, Deployment] = {}

    def evaluate_deployment(template: Path = MAIN, /, **parameters: Any) -> Deployment:
        given = {**_needed(template), **parameters}
        key = json.dumps([str(template), given], sort_keys=True)
        if key not in made:
            made[key] = _snapshot(tmp_path_factory.mktemp("deployment"), compiled(template), given)
        return made[key]

    return evaluate_deployment


def _needed(template: Path) -> Json:
    if template != MAIN:
        return {}
    return {
        "environmentName": "test",
        "location": "westeurope",
        "vaultIds": [VAULT],
        "targetResourceGroupIds": [TARGET_GROUP],
    }


def _snapshot(folder: Path, template: Json, parameters: Mapping[str, Any]) -> Deployment:
    """Evaluate a compiled template: it takes half the time of one in Bicep."""
    (folder / "main.json").write_text(json.dumps(template), encoding="utf-8")
    (folder / "bicepconfig.json").write_text('{"analyzers": {"core": {"enabled": false}}}', encoding="utf-8")
    lines = ["using 'main.json'"]
    lines += [f"param {name} = {_literal(value)}" for name, value in parameters.items()]
    (folder / "main.bicepparam").write_text("\n".join(lines) + "\n", encoding="utf-8")
    bicep(
        *("snapshot", str(folder / "main.bicepparam"), "--mode", "overwrite"),
        *("--subscription-id", SUBSCRIPTION, "--tenant-id", TENANT),
        *("--location", "westeurope", "--deployment-name", "main"),
    )
    read = json.loads((folder / "main.snapshot.json").read_text(encoding="utf-8"))
    assert read["diagnostics"] == []
    return Deployment(resources=tuple(read["predictedResources"]), outputs=read.get("outputs", {}))


def _literal(value: Any) -> str:
    """Return the value in Bicep's syntax: JSON with single quotes, and one element a line."""
    match value:
        case str():
            escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\${").replace("\n", "\\n")
            return f"'{escaped}'"
        case list():
            return "[\n" + "".join(f"{_literal(element)}\n" for element in value) + "]"
        case dict():
            names = {name: name if name.isidentifier() else _literal(name) for name in value}  # the linter wants it so
            return "{\n" + "".join(f"{names[name]}: {_literal(member)}\n" for name, member in value.items()) + "}"
        case _:
            return json.dumps(value)
