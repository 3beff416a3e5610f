"""The template that a job wrote is deployed only as far as it is known to be harmless."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.azure.resource_ids import same_id
from domain.errors import TerminalError
from domain.follow_up.template import CheckedTemplate, TemplateUse, check_template
from simulator.providers.resources.restored_vm_template import restored_vm_template
from tests.support.strategies import THOROUGH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GROUP: Final = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/restored-rg"
COMPUTE: Final = f"{GROUP}/providers/Microsoft.Compute"
NETWORKING: Final = f"{GROUP}/providers/Microsoft.Network"
OTHERS_GROUP: Final = GROUP.replace("restored-rg", "net-rg")
SUBNET: Final = f"{OTHERS_GROUP}/providers/Microsoft.Network/virtualNetworks/hub/subnets/test"
OS_DISK: Final = f"{COMPUTE}/disks/web01-osdisk-20261127-101010"
DATA_DISK: Final = f"{COMPUTE}/disks/web01-datadisk-000-20261127-101010"
IDENTITY: Final = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/admin"
USE: Final = TemplateUse.of(
    restore_id="r-1",
    vm_id=f"{COMPUTE}/virtualMachines/web-02",
    subnet_id=SUBNET,
    os_disk_id=OS_DISK,
    disk_ids=(OS_DISK, DATA_DISK),
)
ALLOWED: Final = {
    "Microsoft.Compute/virtualMachines",
    "Microsoft.Network/networkInterfaces",
    "Microsoft.Network/publicIPAddresses",
}


def a_template(**members: Any) -> dict[str, Any]:
    template = restored_vm_template(
        location="westeurope",
        vm_size="Standard_D2s_v5",
        os_type="Linux",
        disks_group="restored-rg",
        os_disk="web01-osdisk-20261127-101010",
        data_disks=[(0, "web01-datadisk-000-20261127-101010")],
        zone="1",
    )
    return {**template, **members}


def checked(template: Any, use: TemplateUse = USE) -> CheckedTemplate:
    return check_template(json.dumps(template).encode(), use)


def refusal(template: Any, use: TemplateUse = USE) -> str:
    with pytest.raises(TerminalError, match="TemplateRefused") as caught:
        checked(template, use)
    return caught.value.message


def machine_of(template: dict[str, Any]) -> dict[str, Any]:
    return next(body for body in template["resources"] if body["type"] == "Microsoft.Compute/virtualMachines")


def interface_of(template: dict[str, Any]) -> dict[str, Any]:
    return next(body for body in template["resources"] if body["type"] == "Microsoft.Network/networkInterfaces")


class TestWhatIsDeployed:
    def test_the_names_of_the_request_and_the_disks_of_the_job(self) -> None:
        made = checked(a_template())

        machine, interface = machine_of(made.template), interface_of(made.template)
        profile = machine["properties"]["storageProfile"]
        assert machine["name"] == "web-02"
        assert profile["osDisk"]["managedDisk"] == {"id": OS_DISK}
        assert [(disk["lun"], disk["managedDisk"]["id"]) for disk in profile["dataDisks"]] == [(0, DATA_DISK)]
        assert interface["name"] == "web-02-nic-web-02"
        configuration = interface["properties"]["ipConfigurations"][0]["properties"]
        assert configuration["subnet"] == {"id": SUBNET}
        assert configuration["publicIPAddress"] == {"id": f"{NETWORKING}/publicIPAddresses/web-02-ip"}
        assert machine["zones"] == ["1"]

    def test_each_resource_is_listed_and_has_the_tag_of_its_restore(self) -> None:
        made = checked(a_template())

        assert sorted(made.resource_ids) == [
            f"{COMPUTE}/virtualMachines/web-02",
            f"{NETWORKING}/networkInterfaces/web-02-nic-web-02",
            f"{NETWORKING}/publicIPAddresses/web-02-ip",
        ]
        assert [body["tags"] for body in made.template["resources"]] == [{"restore-id": "r-1"}] * 3

    def test_its_own_tags_stay_but_cannot_name_another_restore(self) -> None:
        template = a_template()
        machine_of(template)["tags"] = {"team": "[parameters('virtualMachineName')]", "restore-id": "r-2"}

        assert machine_of(checked(template).template)["tags"] == {"team": "web-02", "restore-id": "r-1"}

    def test_the_order_in_which_the_resources_are_made_is_known_from_what_they_name(self) -> None:
        template = a_template()
        for body in template["resources"]:
            body.pop("dependsOn", None)

        made = checked(template).template

        assert machine_of(made)["dependsOn"] == [f"{NETWORKING}/networkInterfaces/web-02-nic-web-02"]
        assert interface_of(made)["dependsOn"] == [f"{NETWORKING}/publicIPAddresses/web-02-ip"]

    def test_no_parameters_variables_or_outputs_are_left(self) -> None:
        made = checked(a_template(outputs={"key": {"type": "string", "value": "[listKeys('x', '2020-01-01')]"}}))

        assert made.template.keys() == {"$schema", "contentVersion", "resources"}

    def test_the_region_of_the_resource_group_stays_an_expression(self) -> None:
        template = a_template(variables={**a_template()["variables"], "place": "[resourceGroup().location]"})
        for body in template["resources"]:
            body["location"] = "[variables('place')]"

        assert {body["location"] for body in checked(template).template["resources"]} == {"[resourceGroup().location]"}

    def test_names_are_compared_without_case_as_azure_does(self) -> None:
        text = json.dumps(a_template()).replace('"virtualMachineName"', '"VirtualMachineName"')
        text = text.replace("Microsoft.Compute/virtualMachines", "microsoft.compute/VIRTUALMACHINES")
        text = text.replace('"hardwareProfile"', '"HardwareProfile"').replace("[concat(", "[CONCAT(")

        made = check_template(text.encode(), USE)

        assert machine_of(made.template)["properties"]["hardwareProfile"] == {"vmSize": "Standard_D2s_v5"}

    def test_a_byte_order_mark_is_no_part_of_the_json(self) -> None:
        assert check_template(b"\xef\xbb\xbf" + json.dumps(a_template()).encode(), USE).resource_ids

    def test_a_parameter_with_a_default_may_be_unknown(self) -> None:
        template = a_template()
        template["parameters"]["size"] = {"type": "string", "defaultValue": "[concat('Standard_', 'B2s')]"}
        machine_of(template)["properties"]["hardwareProfile"]["vmSize"] = "[parameters('size')]"

        made = machine_of(checked(template).template)
        assert made["properties"]["hardwareProfile"] == {"vmSize": "Standard_B2s"}

    def test_a_value_that_the_template_does_not_declare_is_not_passed(self) -> None:
        template = a_template()
        del template["parameters"]["publicIpAddressName"]
        template["resources"] = [
            body for body in template["resources"] if body["type"] != "Microsoft.Network/publicIPAddresses"
        ]
        del interface_of(template)["properties"]["ipConfigurations"][0]["properties"]["publicIPAddress"]

        assert len(checked(template).resource_ids) == 2

    def test_boot_diagnostics_are_kept_but_not_where_a_text_says(self) -> None:
        template = a_template()
        machine_of(template)["properties"]["diagnosticsProfile"] = {
            "bootDiagnostics": {"enabled": True, "storageUri": "https://somewhere.example/"}
        }

        made = machine_of(checked(template).template)
        assert made["properties"]["diagnosticsProfile"] == {"bootDiagnostics": {"enabled": True}}

    @pytest.mark.parametrize(
        ("expression", "value"),
        [
            (
                "[toUpper(concat('a', 1, '-', subscription().subscriptionId))]",
                "A1-11111111-1111-1111-1111-111111111111",
            ),
            ("[resourceGroup().name]", "restored-rg"),
            ("[resourceGroup()['id']]", GROUP),
            ("[concat('it''s ', toLower('HERE'))]", "it's here"),
            ("[resourceId('S', 'G', 'A.B/c/d', 'e', 'f')]", "/subscriptions/S/resourceGroups/G/providers/A.B/c/e/d/f"),
            ("[resourceId('A.B/c', 'e')]", f"{GROUP}/providers/A.B/c/e"),
        ],
    )
    def test_functions_of_texts(self, expression: str, value: str) -> None:
        template = a_template()
        machine_of(template)["tags"] = {"x": expression}

        assert machine_of(checked(template).template)["tags"]["x"] == value

    def test_a_unique_text_is_the_same_each_time(self) -> None:
        template = a_template()
        machine_of(template)["tags"] = {"x": "[uniqueString('a')]", "y": "[uniqueString('b')]"}

        tags = [machine_of(checked(template).template)["tags"] for _ in range(2)]
        assert tags[0] == tags[1]
        assert tags[0]["x"] != tags[0]["y"]
        assert len(tags[0]["x"]) == 13


def _with_resource(**members: Any) -> Callable[[dict[str, Any]], None]:
    body = {"apiVersion": "2021-04-01", "name": "x", "location": "westeurope", "properties": {}, **members}
    return lambda template: template["resources"].append(body)


def _with(body_of: Callable[[dict[str, Any]], dict[str, Any]], path: str, value: Any) -> Callable[[Any], None]:
    def change(template: dict[str, Any]) -> None:
        at, *names = [body_of(template), *path.split(".")]
        for name in names[:-1]:
            at = at[int(name) if isinstance(at, list) else name]
        at[names[-1]] = value

    return change


def _with_variable(value: Any) -> Callable[[dict[str, Any]], None]:
    def change(template: dict[str, Any]) -> None:
        template["variables"]["bad"] = value
        machine_of(template)["tags"] = {"x": "[variables('bad')]"}

    return change


HOSTILE: Final[dict[str, tuple[Callable[[dict[str, Any]], Any], str]]] = {
    "a nested deployment": (_with_resource(type="Microsoft.Resources/deployments"), "Microsoft.Resources/deployments"),
    "a role assignment": (_with_resource(type="Microsoft.Authorization/roleAssignments"), "roleAssignments"),
    "a script": (_with_resource(type="Microsoft.Resources/deploymentScripts"), "deploymentScripts"),
    "an extension": (_with_resource(type="Microsoft.Compute/virtualMachines/extensions"), "extensions"),
    "a run command": (_with_resource(type="Microsoft.Compute/virtualMachines/runCommands"), "runCommands"),
    "a disk": (_with_resource(type="Microsoft.Compute/disks"), "Microsoft.Compute/disks"),
    "a key vault": (_with_resource(type="Microsoft.KeyVault/vaults"), "Microsoft.KeyVault"),
    "a type of a wrong kind": (_with_resource(type=5), "type '5'"),
    "a type by an expression": (_with_resource(type="[concat('Microsoft.Compute/virtual', 'Machines')]"), "type"),
    "a child in a name": (_with(machine_of, "name", "web-02/script"), "resources[2].name"),
    "a child resource": (_with(machine_of, "resources", []), "resources[2].resources"),
    "another scope": (_with(machine_of, "scope", "/"), "resources[2].scope"),
    "another group": (_with(machine_of, "resourceGroup", "others"), "resources[2].resourcegroup"),
    "a loop": (_with(machine_of, "copy", {"name": "x", "count": 800}), "resources[2].copy"),
    "a condition": (_with(machine_of, "condition", "[equals(1, 1)]"), "equals()"),
    "an identity": (
        _with(machine_of, "identity", {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}}),
        "resources[2].identity",
    ),
    "a first password": (_with(machine_of, "properties.osProfile", {}), "osProfile"),
    "data for a script": (_with(machine_of, "properties.userData", "IyEvYmluL3No"), "userData"),
    "applications": (_with(machine_of, "properties.applicationProfile", {}), "applicationProfile"),
    "another VM's disk": (
        _with(machine_of, "properties.storageProfile.osDisk.managedDisk.id", f"{COMPUTE}/disks/prod-os"),
        "a disk of this restore",
    ),
    "another VM's data disk": (
        _with(machine_of, "properties.storageProfile.dataDisks.0.managedDisk.id", f"{COMPUTE}/disks/prod-data"),
        "a disk of this restore",
    ),
    "a disk of an image": (_with(machine_of, "properties.storageProfile.osDisk.createOption", "FromImage"), "Attach"),
    "an image": (_with(machine_of, "properties.storageProfile.imageReference", {"id": "x"}), "imageReference"),
    "a disk that is a blob": (_with(machine_of, "properties.storageProfile.osDisk.vhd", {"uri": "https://x"}), "vhd"),
    "another subnet": (
        _with(interface_of, "properties.ipConfigurations.0.properties.subnet.id", SUBNET.replace("test", "prod")),
        "the subnet that was asked for",
    ),
    "another's public address": (
        _with(
            interface_of,
            "properties.ipConfigurations.0.properties.publicIPAddress.id",
            f"{NETWORKING}/publicIPAddresses/prod",
        ),
        "a public address of the template",
    ),
    "another's network interface": (
        _with(
            machine_of,
            "properties.networkProfile.networkInterfaces.0.id",
            f"{NETWORKING}/networkInterfaces/prod",
        ),
        "a network interface of the template",
    ),
    "another's name server": (
        _with(interface_of, "properties.dnsSettings", {"dnsServers": ["1.1.1.1"]}),
        "dnsSettings",
    ),
    "a group that is no id": (_with(interface_of, "properties.networkSecurityGroup", {"id": "x"}), "SecurityGroup"),
    "another VM": (_with(machine_of, "name", "prod-01"), "exactly one VM"),
    "two VMs": (lambda template: template["resources"].append(copy.deepcopy(machine_of(template))), "exactly one VM"),
    "an interface twice": (
        lambda template: template["resources"].append(copy.deepcopy(interface_of(template))),
        "one resource twice",
    ),
    "no VM": (lambda template: template["resources"].pop(), "exactly one VM"),
    "keys": (_with_variable("[listKeys('x', '2020-01-01')]"), "listKeys()"),
    "a secret": (_with_variable("[reference('x').secret]"), "reference()"),
    "a secret of a vault": (_with_variable("[getSecret('x')]"), "getSecret()"),
    "a token": (_with_variable("[listAccountSas('x', '1', '2')]"), "listAccountSas()"),
    "the deployment": (_with_variable("[deployment().properties.templateLink.uri]"), "deployment()"),
    "an unknown parameter": (_with_variable("[parameters('adminPassword')]"), "'adminPassword'"),
    "an unknown variable": (_with_variable("[variables('other')]"), "'other'"),
    "a variable that names itself": (_with_variable("[variables('bad')]"), "nested too deeply"),
    "half an expression": (_with_variable("[concat('a']"), "cannot be read"),
    "two expressions": (_with_variable("[toLower('a') toLower('b')]"), "cannot be read"),
    "a member that is not there": (_with_variable("[resourceGroup().tags]"), "'tags'"),
    "an expression that hides in a text": (_with_variable("[[listKeys('x', '2020-01-01')]"), "tags"),
    "an expression that is put together": (_with_variable("[concat('[listKeys(', ')]')]"), "tags"),
    "an expression as a default": (
        lambda template: template["parameters"].update(x={"type": "string", "defaultValue": "[newGuid()]"}),
        "newGuid()",
    ),
    "a parameter that nobody knows": (
        lambda template: template["parameters"].update(adminPassword={"type": "securestring"}),
        "adminpassword",
    ),
    "a parameter of another type": (
        lambda template: template["parameters"].update(virtualMachineName={"type": "object"}),
        "another type",
    ),
    "functions of its own": (lambda template: template.update(functions=[]), "functions"),
    "named resources": (lambda template: template.update(resources={"vm": {}}), "no list of resources"),
    "imports": (lambda template: template.update(imports={}), "imports"),
    "a linked template": (lambda template: template.update(templateLink={"uri": "https://x"}), "templatelink"),
    "a member in two cases": (lambda template: template.update(Resources=[]), "differ only in case"),
    "a property in two cases": (_with(machine_of, "properties.HARDWAREPROFILE", {}), "differ only in case"),
    "no size": (_with(machine_of, "properties.hardwareProfile.vmSize", ""), "vmSize"),
    "a version that is a path": (_with(machine_of, "apiVersion", "2024-07-01&x=y"), "apiVersion"),
    "a tag that is an expression": (_with(machine_of, "tags", {"[newGuid()]": "x"}), "tags"),
    "many resources": (lambda template: template.update(resources=[template["resources"][0]] * 21), "more than 20"),
}


class TestWhatIsRefused:
    @pytest.mark.parametrize("name", HOSTILE)
    def test_and_named(self, name: str) -> None:
        change, named = HOSTILE[name]
        template = a_template()
        change(template)

        assert named in refusal(template)

    @pytest.mark.parametrize(
        ("content", "named"),
        [
            (b"", "not JSON"),
            (b"\xff\xfe{\x00}\x00", "not JSON"),
            (b'{"resources": [], "resources": []}', "not JSON"),
            (b"[" * 100_000, "not JSON"),
            (b"[]", "not a JSON object"),
            (b"{}", "no list of resources"),
            (b'{"resources": [1]}', "no object at resources[0]"),
            (b'{"parameters": [], "resources": []}', "no object at parameters"),
            (json.dumps(a_template()).encode().ljust(1024 * 1024 + 1), "larger than 1 MiB"),
        ],
    )
    def test_what_is_no_template(self, content: bytes, named: str) -> None:
        with pytest.raises(TerminalError, match="TemplateRefused") as caught:
            check_template(content, USE)

        assert named in caught.value.message

    def test_a_template_of_the_largest_size_is_read(self) -> None:
        assert check_template(json.dumps(a_template()).encode().ljust(1024 * 1024), USE).resource_ids

    def test_values_that_are_nested_deeply(self) -> None:
        deep: Any = "x"
        for _ in range(200):
            deep = [deep]

        template = a_template()
        _with_variable(deep)(template)

        assert "nested too deeply" in refusal(template)

    def test_variables_that_double_each_other(self) -> None:
        names = {f"v{n}": f"[concat(variables('v{n - 1}'), variables('v{n - 1}'))]" for n in range(1, 5)}
        template = a_template(variables={**a_template()["variables"], "v0": "a" * 500, **names})
        machine_of(template)["tags"] = {"x": "[variables('v4')]"}

        assert "too long" in refusal(template)

    def test_variables_that_are_evaluated_many_times(self) -> None:
        threefold = ", ".join(["variables('v{}')"] * 3)
        names = {f"v{n}": f"[uniqueString({threefold.format(*[n - 1] * 3)})]" for n in range(1, 11)}
        template = a_template(variables={**a_template()["variables"], "v0": "ab", **names})
        machine_of(template)["tags"] = {"x": "[variables('v10')]"}

        assert "too many expressions" in refusal(template)

    def test_a_value_is_not_evaluated_twice(self) -> None:
        template = a_template()
        template["parameters"]["x"] = {"type": "string", "defaultValue": "[[toLower('A')]"}
        machine_of(template)["tags"] = {"x": "[parameters('x')]"}

        assert "resources[2].tags" in refusal(template)

    def test_the_message_says_what_to_do(self) -> None:
        assert "leave out thenCreateVirtualMachine.template" in refusal({})


# Any change of a good template


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield from _places(entry, (*path, key))


PLACES: Final = [path for path in _places(a_template()) if path]
NASTY: Final = st.one_of(
    st.sampled_from(
        [
            "[listKeys('x', 'y')]",
            "[reference('x').y]",
            "[[reference('x').y]",
            "[concat('[', 'reference(''x'')]')]",
            "[resourceGroup().location]",
            "[resourceId('prod-rg', 'Microsoft.Compute/disks', 'prod-os')]",
            "Microsoft.Resources/deployments",
            "Microsoft.Compute/virtualMachines/extensions",
            "web-02/x",
            OS_DISK,
            OS_DISK.upper(),
            f"{COMPUTE}/disks/prod-os",
            SUBNET,
            SUBNET.replace("test", "prod"),
            f"{NETWORKING}/networkInterfaces/web-02-nic-web-02",
            "",
            None,
            True,
            -1,
            10**30,
            [],
            {},
            {"id": f"{COMPUTE}/disks/prod-os"},
            {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}},
        ]
    ),
    st.text(max_size=20),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
        max_leaves=8,
    ),
)
MEMBERS: Final = st.sampled_from(
    ["identity", "osProfile", "extensionProfile", "resources", "copy", "condition", "scope", "id", "tags", "userData"]
)


@st.composite
def changed_templates(draw: st.DrawFn) -> dict[str, Any]:
    template = a_template()
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(PLACES))
        at: Any = template
        try:
            for key in path[:-1]:
                at = at[key]
            match draw(st.sampled_from(["replace", "remove", "add", "copy"])):
                case "replace":
                    at[path[-1]] = draw(NASTY)
                case "remove":
                    del at[path[-1]]
                case "add":
                    at[path[-1]][draw(MEMBERS)] = draw(NASTY)
                case _:
                    at[path[-1]].append(copy.deepcopy(draw(st.sampled_from(at[path[-1]]))))
        except (KeyError, IndexError, TypeError, AttributeError):
            continue  # an earlier change took the place away, or it takes no such change
    return template


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, entry in value.items():
            yield name
            yield from _texts(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry)


def _members_named(value: Any, name: str) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, entry in value.items():
            if key.lower() == name.lower():
                yield entry
            yield from _members_named(entry, name)
    elif isinstance(value, list):
        for entry in value:
            yield from _members_named(entry, name)


def assert_harmless(made: CheckedTemplate) -> None:
    """Check the deployed text by itself, with none of the rules of the code."""
    resources = made.template["resources"]
    assert made.template.keys() == {"$schema", "contentVersion", "resources"}
    assert {body["type"] for body in resources} <= ALLOWED
    expressions = {text for text in _texts(resources) if text.startswith("[")}
    assert expressions <= {"[resourceGroup().location]"}
    machines = [body for body in resources if body["type"].endswith("virtualMachines")]
    assert [body["name"] for body in machines] == ["web-02"]
    for disk in _members_named(resources, "managedDisk"):
        assert any(same_id(disk["id"], disk_id) for disk_id in (OS_DISK, DATA_DISK))
    assert all(same_id(subnet["id"], SUBNET) for subnet in _members_named(resources, "subnet"))
    assert all(option == "Attach" for option in _members_named(resources, "createOption"))
    for banned in ("identity", "osProfile", "extensionProfile", "resources", "userData", "imageReference", "scope"):
        assert not list(_members_named(resources, banned))
    assert all("/" not in body["name"] for body in resources)
    assert all(body["tags"]["restore-id"] == "r-1" for body in resources)
    made_ids = {f"{GROUP}/providers/{body['type']}/{body['name']}" for body in resources}
    assert made_ids == set(made.resource_ids)
    for name in ("networkInterfaces", "publicIPAddress"):
        for entry in _members_named(resources, name):
            assert {each["id"] for each in (entry if isinstance(entry, list) else [entry])} <= made_ids


class TestAnyTemplate:
    @THOROUGH
    @given(changed_templates())
    @example(a_template())
    def test_is_refused_or_harmless(self, template: dict[str, Any]) -> None:
        with suppress(TerminalError):
            assert_harmless(checked(template))

    @given(st.binary(max_size=200))
    def test_whatever_the_bytes(self, content: bytes) -> None:
        with pytest.raises(TerminalError, match="TemplateRefused"):
            check_template(content, USE)

    @given(st.text(st.sampled_from("[]()'.,ax1 "), max_size=30))
    def test_whatever_the_expression(self, text: str) -> None:
        template = a_template()
        machine_of(template)["tags"] = {"x": f"[{text}]"}

        with suppress(TerminalError):
            assert_harmless(checked(template))
