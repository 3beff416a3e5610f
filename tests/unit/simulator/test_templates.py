"""What the expressions of a template give, and how relaxed its JSON may be."""

from __future__ import annotations

from json import JSONDecodeError
from typing import Any

import pytest

from simulator.providers.resources.expressions import ExpressionError, Scope
from simulator.providers.resources.relaxed_json import read_relaxed
from simulator.providers.resources.restored_vm_template import restored_vm_template
from simulator.providers.resources.templates import read_plan

GROUP = {"id": "/subscriptions/s-1/resourceGroups/here", "name": "here", "location": "westeurope"}
VM_TYPE = "Microsoft.Compute/virtualMachines"


def evaluated(value: Any, **variables: Any) -> Any:
    parameters = {"vm": "web-01", "count": 3, "list": [1, 2], "map": {"a": {"b": ["c"]}}}
    return Scope(group=GROUP, parameters=parameters, variables=variables).evaluate(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("[[plain]", "[plain]"),
        ("['it''s']", "it's"),
        ("[ parameters( 'VM' ) ]", "web-01"),
        ("[concat(parameters('vm'), '-', 7, 'x')]", "web-01-7x"),
        ("[Concat(parameters('list'), parameters('list'))]", [1, 2, 1, 2]),
        ("[parameters('map').a['b'][0]]", "c"),
        ("[resourceGroup().location]", "westeurope"),
        ("[resourceId('A.B/cs', 'x')]", "/subscriptions/s-1/resourceGroups/here/providers/A.B/cs/x"),
        (
            "[resourceId('there', 'A.B/cs/ds', 'x', 'y')]",
            "/subscriptions/s-1/resourceGroups/there/providers/A.B/cs/x/ds/y",
        ),
        ("[resourceId('s-2', 'there', 'A.B/cs', 'x')]", "/subscriptions/s-2/resourceGroups/there/providers/A.B/cs/x"),
    ],
)
def test_an_expression_gives(text: str, expected: Any) -> None:
    assert evaluated({"deep": [text]}) == {"deep": [expected]}


def test_a_variable_may_name_another_one_but_not_itself() -> None:
    assert evaluated("[variables('b')]", a="[parameters('vm')]", b="[concat(variables('A'), '!')]") == "web-01!"
    with pytest.raises(ExpressionError):
        evaluated("[variables('a')]", a="[variables('a')]")


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "[reference('x')]",
        "[parameters('none')]",
        "[parameters()]",
        "[parameters('vm'))]",
        "[concat('a']",
        "[concat('a' 'b')]",
        "[concat(parameters('map'))]",
        "[parameters('map').none]",
        "[parameters('list')[9]]",
        "[resourceId('A.B/cs')]",
        "[resourceId('A.B/cs', 'x', 'y')]",
        "[resourceId('a', 'b', 'c', 'A.B/cs', 'x')]",
    ],
)
def test_an_expression_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        evaluated(text)


def test_relaxed_json_has_comments_and_bare_names_outside_of_strings() -> None:
    text = '{template: {"a": "// http://x /* y */ b: \\" c", // no\n /* "d": 1,\n */ $schema : [1, true, null]}}'

    assert read_relaxed(text) == {"template": {"a": '// http://x /* y */ b: " c', "$schema": [1, True, None]}}


@pytest.mark.parametrize("text", ["{", "", "{a: }", "{a b: 1}", "/* {}"])
def test_what_is_no_json_even_so_is_refused(text: str) -> None:
    with pytest.raises(JSONDecodeError):
        read_relaxed(text)


def test_the_template_of_a_restored_vm_can_be_planned() -> None:
    template = restored_vm_template(
        location="westeurope",
        vm_size="Standard_D2s_v5",
        os_type="Linux",
        disks_group="disks-rg",
        os_disk="web01-osdisk-1",
        data_disks=[(0, "web01-datadisk-000-1")],
        zone="2",
    )
    names = {
        "virtualMachineName": "web-01-r",
        "virtualNetwork": "net",
        "virtualNetworkResourceGroup": "net-rg",
        "subnet": "default",
        "networkInterfacePrefixName": "nic-",
        "publicIpAddressName": "pip",
    }
    asked = {"mode": "incremental", "template": template, "parameters": {key: {"value": names[key]} for key in names}}

    address, interface, machine = read_plan(GROUP, {"properties": asked}).resources

    here = f"{GROUP['id']}/providers"
    assert interface.needs == (address.resource_id.lower(),)
    assert machine.needs == (interface.resource_id.lower(),)
    assert (machine.type, machine.name, machine.body["zones"]) == (VM_TYPE, "web-01-r", ["2"])
    configuration = interface.body["properties"]["ipConfigurations"][0]["properties"]
    network = "/subscriptions/s-1/resourceGroups/net-rg/providers/Microsoft.Network/virtualNetworks/net"
    assert configuration["subnet"] == {"id": f"{network}/subnets/default"}
    assert configuration["publicIPAddress"] == {"id": f"{here}/Microsoft.Network/publicIPAddresses/pip"}
    storage = machine.body["properties"]["storageProfile"]
    disks = "/subscriptions/s-1/resourceGroups/disks-rg/providers/Microsoft.Compute/disks"
    assert storage["osDisk"]["managedDisk"] == {"id": f"{disks}/web01-osdisk-1"}
    assert [(disk["lun"], disk["managedDisk"]["id"]) for disk in storage["dataDisks"]] == [
        (0, f"{disks}/web01-datadisk-000-1")
    ]
    nics = machine.body["properties"]["networkProfile"]["networkInterfaces"]
    assert nics == [{"id": f"{here}/Microsoft.Network/networkInterfaces/nic-web-01-r"}]
