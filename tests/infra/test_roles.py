"""The roles of the app's identity: which, with which actions, where; and the commands that make the same roles."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.infra.conftest import INFRA, ROOT, SUBSCRIPTION, Json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from tests.infra.conftest import Deployment

ROLES = INFRA / "roles" / "roles.bicep"
FEATURES = json.loads((ROOT / "queries" / "required_permissions.json").read_text(encoding="utf-8"))
OWN_PERMISSIONS = "Microsoft.Authorization/permissions/read"
DEFINITION = "Microsoft.Authorization/roleDefinitions"
ASSIGNMENT = "Microsoft.Authorization/roleAssignments"

A, B, C = (f"/subscriptions/{letter * 8}-0000-0000-0000-000000000000" for letter in "abc")
VAULT = f"{A}/resourcegroups/vaults/providers/microsoft.recoveryservices/vaults/v1"
VAULT_2 = f"{C}/resourcegroups/vaults/providers/microsoft.recoveryservices/vaults/v2"
TARGETS = f"{B}/resourcegroups/restored"
ACCOUNT = f"{B}/resourcegroups/staging/providers/microsoft.storage/storageaccounts/staging1"
STAGING = f"{C}/resourcegroups/staging"
NETWORK = f"{A}/resourcegroups/networks/providers/microsoft.network/virtualnetworks/net1"
WEB = f"{C}/resourcegroups/web"
VM = f"{A}/resourcegroups/db/providers/microsoft.compute/virtualmachines/db1"
VM_2 = f"{C}/resourcegroups/web/providers/microsoft.compute/virtualmachines/web1"

LISTS = {
    "vaultIds": [VAULT],
    "targetResourceGroupIds": [TARGETS],
    "stagingScopes": [ACCOUNT, STAGING],
    "virtualNetworkIds": [NETWORK],
    "virtualMachineScopes": [B, WEB, VM],
    "inPlaceScopes": [WEB, VM],
}
COMBINATIONS = [names for count in range(len(LISTS) + 1) for names in combinations(LISTS, count)]


class Grant(NamedTuple):
    """One role at one scope."""

    feature: str
    scope: str


def expected(lists: Mapping[str, list[str]]) -> set[Grant]:
    """Return the grants for one combination of lists."""
    lists = {name: lists.get(name, []) for name in LISTS}
    scopes = {
        "FindBackups": ["/".join(scope.split("/")[:3]) for scope in lists["vaultIds"] + lists["virtualMachineScopes"]],
        "ReadSizes": [
            "/".join(scope.split("/")[:3])
            for scope in lists["inPlaceScopes"]
            + (lists["targetResourceGroupIds"] if lists["virtualNetworkIds"] else [])
        ],
        "ReadVirtualMachines": lists["virtualMachineScopes"],
        "RestoreFromVaults": lists["vaultIds"],
        "CreateDisks": lists["targetResourceGroupIds"],
        "StageRestores": lists["stagingScopes"] or lists["targetResourceGroupIds"],
        "CreateVirtualMachines": lists["targetResourceGroupIds"] if lists["virtualNetworkIds"] else [],
        "JoinNetworks": lists["virtualNetworkIds"],
        "ReplaceDisks": lists["inPlaceScopes"],
        "SwapDisks": lists["inPlaceScopes"],
        "CreateVirtualMachinesFromDisks": lists["targetResourceGroupIds"] if lists["virtualNetworkIds"] else [],
        "AttachDisks": lists["inPlaceScopes"],
        "DeleteDisks": lists["targetResourceGroupIds"] if lists["inPlaceScopes"] else [],
    }
    return {Grant(feature, scope) for feature, of_feature in scopes.items() for scope in of_feature}


def grants(resources: Iterable[Json], environment: str = "test") -> set[Grant]:
    """Return the grants that role definitions and assignments amount to.

    Each role must be one of this environment's, have its feature's actions, be assignable in its own subscription
    alone, and be assigned there at least once.
    """
    made = list(resources)
    features: dict[str, str] = {}
    for definition in (resource for resource in made if resource["type"] == DEFINITION):
        properties = definition["properties"]
        feature = next(feature for feature in FEATURES if f" {feature['feature']} " in properties["roleName"])
        assert properties["roleName"].startswith(f"Azure VM Restore {feature['feature']} {environment} ")
        data = {"dataActions": feature["dataActions"]} if "dataActions" in feature else {}
        assert properties["permissions"] == [
            {"actions": [OWN_PERMISSIONS, *feature["actions"]], "notActions": [], **data}
        ]
        assert properties["assignableScopes"] == [definition["id"].partition("/providers/")[0]]
        assert properties["description"] == feature["purpose"]
        features[definition["id"]] = feature["feature"]
    found: list[Grant] = []
    used: set[str] = set()
    for assignment in (resource for resource in made if resource["type"] == ASSIGNMENT):
        role_id = assignment["properties"]["roleDefinitionId"]
        scope = assignment["id"].rpartition("/providers/")[0].lower()
        assert scope.startswith(role_id.partition("/providers/")[0])
        assert assignment["properties"]["principalType"] == "ServicePrincipal"
        found.append(Grant(features[role_id], scope))
        used.add(role_id)
    assert len(found) == len(set(found))
    assert used == features.keys()
    return set(found)


def parameters(lists: Mapping[str, list[str]], **others: Any) -> Json:
    """Return the parameters of roles.bicep."""
    empty: Json = {name: [] for name in LISTS}
    given: Json = {
        "environmentName": "test",
        "principalId": "p-1",
        "readsTemplates": False,
        "assignRoles": True,
        "ownAssignments": [],
    }
    return {**given, **empty, **lists, **others}


@pytest.fixture
def evaluate_many(evaluate: Callable[..., Deployment], tmp_path: Path) -> Callable[[list[Json]], Deployment]:
    """Return a function that evaluates roles.bicep once for each set of parameters, all in one deployment."""

    def evaluate_all(sets: list[Json]) -> Deployment:
        given = [{"deployedIn": SUBSCRIPTION, **one} for one in sets]
        (tmp_path / "sets.json").write_text(json.dumps(given), encoding="utf-8")
        template = tmp_path / "many.bicep"
        template.write_text(
            f"""
            targetScope = 'subscription'
            module roles '{os.path.relpath(ROLES, tmp_path)}' = [for (set, index) in loadJsonContent('sets.json'): {{
              name: 'roles-${{index}}'
              scope: subscription(set.deployedIn)
              params: {{
                environmentName: set.environmentName
                principalId: set.principalId
                assignRoles: set.assignRoles
                ownAssignments: set.ownAssignments
                readsTemplates: set.readsTemplates
                {"".join(f"{name}: set.{name}\n" for name in LISTS)}
              }}
            }}]
            """,
            encoding="utf-8",
        )
        return evaluate(template)

    return evaluate_all


def test_each_combination_of_lists_makes_exactly_its_roles(evaluate_many: Callable[[list[Json]], Deployment]) -> None:
    lists = [{name: LISTS[name] for name in names} for names in COMBINATIONS]
    sets = [parameters(some, principalId=f"p-{index}") for index, some in enumerate(lists)]
    made = evaluate_many([one | {"environmentName": f"e{index}"} for index, one in enumerate(sets)])

    for index, some in enumerate(lists):
        of_set = [
            resource
            for resource in made.resources
            if f" e{index} " in resource["properties"].get("roleName", "")
            or resource["properties"].get("principalId") == f"p-{index}"
        ]
        assert grants(of_set, f"e{index}") == expected(some), some
    assert made.types() == {DEFINITION, ASSIGNMENT}


def test_a_subscription_gets_the_backup_status_and_the_sizes_alone(evaluate: Callable[..., Deployment]) -> None:
    made = grants(evaluate(ROLES, **parameters({**LISTS, "virtualMachineScopes": [WEB, VM]})).resources)

    assert {grant.feature for grant in made if grant.scope in (A, B, C)} == {"FindBackups", "ReadSizes"}
    assert [feature["actions"] for feature in FEATURES if feature["feature"] in {"FindBackups", "ReadSizes"}] == [
        ["Microsoft.RecoveryServices/locations/backupStatus/action"],
        ["Microsoft.Compute/skus/read"],
    ]


def test_blobs_of_the_staging_scopes_are_read_only_where_that_is_asked_for(
    evaluate: Callable[..., Deployment],
) -> None:
    with_templates = grants(evaluate(ROLES, **parameters(LISTS, readsTemplates=True)).resources)

    assert with_templates - expected(LISTS) == {Grant("ReadTemplates", ACCOUNT), Grant("ReadTemplates", STAGING)}


def test_ids_may_be_in_any_case_repeated_and_end_with_slashes(evaluate: Callable[..., Deployment]) -> None:
    plain = evaluate(ROLES, **parameters(LISTS))
    odd = {
        name: [scope for id_ in ids for scope in (f"{id_}/", id_.upper(), f" {id_.title()}// ")]
        for name, ids in LISTS.items()
    }

    assert evaluate(ROLES, **parameters(odd)).resources == plain.resources


def test_each_subscription_has_its_own_roles(evaluate: Callable[..., Deployment]) -> None:
    made = evaluate(ROLES, **parameters({"vaultIds": [VAULT, VAULT_2], "virtualMachineScopes": [VM_2]}))

    assert grants(made.resources) == {
        Grant("FindBackups", A),
        Grant("FindBackups", C),
        Grant("RestoreFromVaults", VAULT),
        Grant("RestoreFromVaults", VAULT_2),
        Grant("ReadVirtualMachines", VM_2),
    }
    assert len(made.of_type(DEFINITION)) == 5


def test_no_two_deployments_share_a_role(evaluate_many: Callable[[list[Json]], Deployment]) -> None:
    sets = [
        parameters(LISTS, environmentName=environment, deployedIn=subscription.removeprefix("/subscriptions/"))
        for environment in ("test", "production")
        for subscription in (A, B)
    ]
    definitions = evaluate_many(sets).of_type(DEFINITION)

    roles = {(grant.feature, grant.scope.split("/")[2]) for grant in expected(LISTS)}
    assert len({definition["id"] for definition in definitions}) == 4 * len(roles)
    assert len({definition["properties"]["roleName"] for definition in definitions}) == 4 * len(roles)


def test_another_identity_gets_assignments_of_its_own_to_the_same_roles(evaluate: Callable[..., Deployment]) -> None:
    first, second = (evaluate(ROLES, **parameters(LISTS, principalId=identity)) for identity in ("p-1", "p-2"))

    assert first.of_type(DEFINITION) == second.of_type(DEFINITION)
    names = [{resource["name"] for resource in made.of_type(ASSIGNMENT)} for made in (first, second)]
    assert names[0].isdisjoint(names[1])


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("vaultIds", TARGETS),
        ("targetResourceGroupIds", B),
        ("stagingScopes", VAULT),
        ("virtualNetworkIds", f"{NETWORK}/subnets/default"),
        ("virtualMachineScopes", "web1"),
        ("inPlaceScopes", B),
        ("inPlaceScopes", ""),
    ],
)
def test_an_id_of_another_type_is_refused(evaluate: Callable[..., Deployment], name: str, scope: str) -> None:
    with pytest.raises(AssertionError, match=f"{name}: /{scope.strip('/')} is not an id of the type"):
        evaluate(ROLES, **parameters({name: [scope]}))


ODD_NAME = """it's "quoted" $HOME `id` \\ *"""
OWN = {
    "name": "n-1",
    "scope": f"{A}/resourceGroups/app/providers/Microsoft.Storage/storageAccounts/it's",
    "roleId": f"{A}/providers/{DEFINITION}/r-1",
}
ODD_LISTS = {**LISTS, "targetResourceGroupIds": [TARGETS, f"{C}/resourcegroups/o'neil (2)"]}


def test_the_printed_commands_make_what_the_deployment_would_have_made(
    evaluate: Callable[..., Deployment], tmp_path: Path
) -> None:
    printed = evaluate(
        ROLES, **parameters(ODD_LISTS, environmentName=ODD_NAME, assignRoles=False, ownAssignments=[OWN])
    )
    deployed = evaluate(ROLES, **parameters(ODD_LISTS, environmentName=ODD_NAME))

    made = [resource_of(call) for call in run_with_fake_az(printed.outputs["roleCommands"], tmp_path)]

    assert printed.resources == ()
    assert deployed.outputs["roleCommands"] == []
    own = made.pop(0)
    assert own["id"] == f"{OWN['scope']}/providers/{ASSIGNMENT}/{OWN['name']}"
    assert own["properties"]["roleDefinitionId"] == OWN["roleId"]
    assert by_id(made) == by_id(deployed.resources)
    # An assignment needs its role.
    types = [resource["type"] for resource in made]
    assert types == sorted(types, key=[DEFINITION, ASSIGNMENT].index)


def test_a_deployment_that_may_not_assign_roles_prints_all_of_them(evaluate: Callable[..., Deployment]) -> None:
    switches: Json = {**LISTS, "durableEngine": "DurableTaskScheduler"}
    assigned = evaluate(**switches)
    printed = evaluate(**switches, assignRoles=False)

    assert printed.types() == assigned.types() - {DEFINITION, ASSIGNMENT}
    assert assigned.outputs["roleCommands"] == []
    # The id of the identity is known only to Azure, so that the commands are one expression here.
    commands = str(printed.outputs["roleCommands"])
    assert commands.count("az role assignment create") == len(assigned.of_type(ASSIGNMENT))
    assert commands.count("az rest --method put") == len(assigned.of_type(DEFINITION))
    for assignment in assigned.of_type(ASSIGNMENT):
        assert assignment["properties"]["roleDefinitionId"] in commands


def run_with_fake_az(commands: list[str], folder: Path) -> list[list[str]]:
    """Run the commands in the system's shell, and return the arguments with which each of them has called az."""
    az, log = folder / "az", folder / "calls.jsonl"
    az.write_text(
        f"#!{sys.executable}\n"
        "import json, os, sys\n"
        "with open(os.environ['AZ_CALLS'], 'a', encoding='utf-8') as log:\n"
        "    log.write(json.dumps(sys.argv[1:]) + '\\n')\n",
        encoding="utf-8",
    )
    az.chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": "/nowhere", "AZ_CALLS": str(log)}
    subprocess.run(["/bin/sh", "-eu"], input="\n".join(commands), env=environment, text=True, check=True)
    calls = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert len(calls) == len(commands)
    return calls


def resource_of(call: list[str]) -> Json:
    """Return the resource that one call of az makes."""
    match call:
        case ["rest", "--method", "put", "--url", url, "--body", body]:
            resource_id, _, query = url.partition("?")
            assert query == "api-version=2022-04-01"
            return {"type": DEFINITION, "id": resource_id, "properties": json.loads(body)["properties"]}
        case ["role", "assignment", "create", *options]:
            given = dict(zip(options[::2], options[1::2], strict=True))
            return {
                "type": ASSIGNMENT,
                "id": f"{given.pop('--scope')}/providers/{ASSIGNMENT}/{given.pop('--name')}",
                "properties": {
                    "roleDefinitionId": given.pop("--role"),
                    "principalId": given.pop("--assignee-object-id"),
                    "principalType": given.pop("--assignee-principal-type"),
                    **given,
                },
            }
        case _:
            pytest.fail(f"unexpected call: az {call}")


def by_id(resources: Iterable[Json]) -> dict[str, tuple[str, Json]]:
    """Return type and properties of each resource by its id in lower case."""
    return {resource["id"].lower(): (resource["type"], resource["properties"]) for resource in resources}
