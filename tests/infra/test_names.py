"""Names that must agree: azure.yaml, parameters, settings of the app, outputs, the documentation."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from scripts.package import PYTHON
from settings import Settings
from tests.infra.conftest import INFRA, MAIN, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.infra.conftest import Deployment, Json

    type Compiled = Callable[[Path], Json]

AZURE_YAML = yaml.safe_load((ROOT / "azure.yaml").read_text(encoding="utf-8"))
PARAMETERS = json.loads((INFRA / "main.parameters.json").read_text(encoding="utf-8"))["parameters"]
LOCAL = json.loads((ROOT / "local.settings.sample.json").read_text(encoding="utf-8"))["Values"]
DEPLOYING = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
ASKED = {"environmentName", "location", "vaultIds", "targetResourceGroupIds"}
NAMED_BY_AZD = {"environmentName": "AZURE_ENV_NAME", "location": "AZURE_LOCATION"}
# Two years before Bicep 0.49.2 was released. Older ones are the newest stable versions that this compiler knows.
OLDEST = date(2024, 9, 1)
NO_NEWER = {
    "Microsoft.Authorization/roleAssignments": "2022-04-01",
    "Microsoft.Authorization/roleDefinitions": "2022-04-01",
    "Microsoft.Insights/actionGroups": "2023-01-01",
    "Microsoft.Insights/components": "2020-02-02",
    "Microsoft.Insights/workbooks": "2023-06-01",
    "Microsoft.Network/privateDnsZones": "2024-06-01",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": "2024-06-01",
}


class Recorder(Mapping[str, str]):
    """An empty environment that records which names are looked up."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def screaming(name: str) -> str:
    """Return ``vaultIds`` as ``VAULT_IDS``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


def test_azd_asks_four_questions(compiled: Compiled) -> None:
    parameters = compiled(MAIN)["parameters"]

    assert {name for name, parameter in parameters.items() if "defaultValue" not in parameter} == ASKED


def test_every_parameter_can_be_set_by_a_variable_of_its_name(compiled: Compiled) -> None:
    expected = {name: f"${{{NAMED_BY_AZD.get(name, screaming(name))}}}" for name in compiled(MAIN)["parameters"]}

    assert {name: parameter["value"] for name, parameter in PARAMETERS.items()} == expected


def test_every_parameter_is_documented(compiled: Compiled) -> None:
    table = set(re.findall(r"^\| `(\w+)`", DEPLOYING, re.MULTILINE))

    assert compiled(MAIN)["parameters"].keys() - table == set()


def test_every_parameter_says_what_it_is_for(compiled: Compiled) -> None:
    parameters = compiled(MAIN)["parameters"]

    assert [name for name, parameter in parameters.items() if not parameter["metadata"]["description"]] == []


def test_every_setting_of_the_app_is_set_or_can_be(compiled: Compiled, evaluate: Callable[..., Deployment]) -> None:
    recorder = Recorder()
    Settings.from_env(recorder)
    template = compiled(MAIN)
    settable = set(template["parameters"]["appSettings"]["properties"])
    by_default = evaluate().one("Microsoft.Web/sites/config")["properties"].keys()
    with_secret = evaluate(webhookSecretUri="https://v/secrets/s").one("Microsoft.Web/sites/config")["properties"]

    assert recorder.names - by_default - settable == {"RESTORE_WEBHOOK_SECRET"}
    assert with_secret["RESTORE_WEBHOOK_SECRET"] == "@Microsoft.KeyVault(SecretUri=https://v/secrets/s)"
    assert settable - recorder.names == set()
    assert template["parameters"]["appSettings"]["additionalProperties"] is False


def test_settings_that_are_given_reach_the_app_and_its_queues(
    compiled: Compiled, evaluate: Callable[..., Deployment]
) -> None:
    given = {
        name: f"value-{number}" for number, name in enumerate(compiled(MAIN)["parameters"]["appSettings"]["properties"])
    }
    deployment = evaluate(appSettings=given)
    settings = deployment.one("Microsoft.Web/sites/config")["properties"]
    queues = {
        queue["name"].rpartition("/")[2]
        for queue in deployment.of_type("Microsoft.Storage/storageAccounts/queueServices/queues")
    }
    named = {value for name, value in given.items() if name.endswith("_QUEUE")}

    assert {name: settings[name] for name in given} == given
    assert queues == {*named, f"{given['RESTORE_REQUESTS_QUEUE']}-poison"}


def test_what_the_host_and_the_worker_need_is_set_as_on_a_developers_machine(
    evaluate: Callable[..., Deployment],
) -> None:
    deployment = evaluate()
    settings = deployment.one("Microsoft.Web/sites/config")["properties"]
    queues = {
        queue["name"].rpartition("/")[2]
        for queue in deployment.of_type("Microsoft.Storage/storageAccounts/queueServices/queues")
    }

    assert settings["PYTHON_THREADPOOL_THREAD_COUNT"] == LOCAL["PYTHON_THREADPOOL_THREAD_COUNT"]
    assert {name: settings[name] for name in settings if name.endswith("_QUEUE")} == {
        name: LOCAL[name] for name in LOCAL if name.endswith("_QUEUE")
    }
    assert queues == {"restore-requests", "restore-results", "restore-events", "restore-requests-poison"}
    assert settings["AZURE_RESOURCE_MANAGER_ENDPOINT"] == "[environment().resourceManager]"
    assert {name for name in settings if name.startswith("AzureWebJobsStorage")} == {
        f"AzureWebJobsStorage__{name}"
        for name in ("credential", "clientId", "blobServiceUri", "queueServiceUri", "tableServiceUri")
    }


def test_the_python_that_is_deployed_is_the_one_that_the_package_is_built_for(
    evaluate: Callable[..., Deployment],
) -> None:
    runtime = evaluate().one("Microsoft.Web/sites")["properties"]["functionAppConfig"]["runtime"]

    assert runtime == {"name": "python", "version": PYTHON}


def test_the_service_of_azure_yaml_is_the_tagged_app(evaluate: Callable[..., Deployment]) -> None:
    ((name, service),) = AZURE_YAML["services"].items()

    assert evaluate().one("Microsoft.Web/sites")["tags"]["azd-service-name"] == name
    assert service == {"project": ".", "language": "python", "host": "function"}


def test_the_hook_reads_an_output(compiled: Compiled) -> None:
    hooks = AZURE_YAML["hooks"]["postprovision"]

    assert "roleCommands" in compiled(MAIN)["outputs"]
    assert "${roleCommands:-" in hooks["posix"]["run"]
    assert "$env:roleCommands" in hooks["windows"]["run"]
    # Else azd shows the commands in a pane of eight lines, and clears it.
    assert {hook["interactive"] for hook in hooks.values()} == {True}


@pytest.mark.parametrize("commands", [[], ["az role assignment create --role 'A B' --scope /s", 'az "quoted"']])
def test_the_hook_prints_the_commands_that_are_left_to_run(commands: list[str]) -> None:
    done = subprocess.run(
        ["/bin/sh", "-e", "-c", AZURE_YAML["hooks"]["postprovision"]["posix"]["run"]],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "roleCommands": json.dumps(commands)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines()[1:] == commands
    assert done.stderr == ""


def test_api_versions_are_at_most_two_years_old(compiled: Compiled) -> None:
    used = {
        (resource["type"], resource["apiVersion"])
        for template in nested(compiled(MAIN))
        for resource in resources(template)
        if resource["type"] != "Microsoft.Resources/deployments"  # Bicep chooses it
    }

    assert used
    assert [
        (kind, version)
        for kind, version in sorted(used)
        if date.fromisoformat(version.removesuffix("-preview")) < OLDEST and NO_NEWER.get(kind) != version
    ] == []
    assert [version for _, version in used if version.endswith("-preview")] == []


def nested(template: Json) -> Iterator[Json]:
    """Return the template and the templates of its modules."""
    yield template
    for resource in resources(template):
        if resource["type"] == "Microsoft.Resources/deployments":
            yield from nested(resource["properties"]["template"])


def resources(template: Json) -> list[Json]:
    """Return the resources of a template, which are a list or an object."""
    found: Any = template["resources"]
    return list(found.values()) if isinstance(found, dict) else found


def test_no_public_host_of_one_cloud_is_written_down(compiled: Compiled) -> None:
    text = json.dumps(compiled(MAIN))
    hosts = re.findall(r"[\w.-]+\.(?:azure\.com|windows\.net|azurewebsites\.net|microsoftonline\.com|azure\.net)", text)

    assert sorted({host for host in hosts if not host.startswith("schema.management")}) == []


def test_every_rule_of_the_linter_is_on_and_exceptions_have_reasons() -> None:
    rules = json.loads((INFRA / "bicepconfig.json").read_text(encoding="utf-8"))["analyzers"]["core"]["rules"]
    lines = [
        (above.strip(), line.strip())
        for template in INFRA.rglob("*.bicep")
        for above, line in pairwise(["", *template.read_text(encoding="utf-8").splitlines()])
    ]

    assert {rule["level"] for rule in rules.values()} == {"error"}
    assert [line for above, line in lines if line.startswith("#") and not above.startswith("// ")] == []
