"""A VM that Azure does not show to the app is found in the vaults of RESTORE_SCOPES."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from activities.restores import RestoreActivities
from domain import errors
from domain.errors import ErrorDetail, RestoreError, TerminalError, TransientError
from domain.restore.calls import ResolveItem
from queries.recovery_points import list_recovery_points
from queries.vault_search import find_in_vaults
from tests.support.azure import CONTAINER, ITEM, SUBSCRIPTION, VAULT_ID, VM_ID, ScriptedAzure
from tests.support.hub import START

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from domain.azure.protected_items import ProtectedItem
    from domain.errors import Json

FIRST, SECOND = f"{VAULT_ID}-1", f"{VAULT_ID}-2"
ELSEWHERE = VAULT_ID.replace(SUBSCRIPTION, "/subscriptions/22222222-2222-2222-2222-222222222222")
BY_VM = ResolveItem(source_resource_id=VM_ID)
OWN = {"sourceResourceId": VM_ID.upper()}
DELETED = {**OWN, "isScheduledForDeferredDelete": True}
OTHER = {"sourceResourceId": VM_ID.replace("/web-rg/", "/old-rg/")}
GONE = TerminalError(errors.NOT_FOUND, "404")


def refusal(message: str, **info: int) -> TerminalError:
    return TerminalError(errors.AUTHORIZATION_FAILED, message, [ErrorDetail(code="x", message="y", info=info)])


FORBIDDEN = refusal("403 no role", httpStatus=403)
NO_TOKEN = refusal("no such identity")
BAD_TOKEN = refusal("401", httpStatus=401)
BUSY = TransientError(errors.SERVICE_UNAVAILABLE, "429", retry_after_s=17)


class StandingClock:
    def now(self) -> Any:
        return START


@dataclass(slots=True)
class Vaults(ScriptedAzure):
    """Several vaults, each with its items' properties, or with the error that reading its list raises."""

    items: dict[str, list[Json] | RestoreError] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)

    def get_vault_region(self, vault_id: str) -> str:
        self._call("get_vault_region")
        return f"region of {vault_id}"

    def list_protected_items(self, vault_id: str) -> Iterable[Json]:
        self.read.append(vault_id)
        found = self.items[vault_id]
        if isinstance(found, RestoreError):
            raise found
        names = f"backupFabrics/Azure/protectionContainers/{CONTAINER}/protectedItems/{ITEM}"
        return [{"id": f"{vault_id}/{names}", "properties": properties} for properties in found]


def vaults(hidden_by: RestoreError | None = GONE, **items: list[Json] | RestoreError) -> Vaults:
    azure = Vaults(
        StandingClock(), items={{"first": FIRST, "second": SECOND}[name]: had for name, had in items.items()}
    )
    azure.fails["get_virtual_machine_region"] = [hidden_by]
    return azure


def found(azure: Vaults, vault_ids: Sequence[str] = (ELSEWHERE, FIRST, SECOND)) -> ProtectedItem:
    return RestoreActivities(azure, vault_ids=vault_ids).resolve_item(BY_VM).value


def failure(azure: Vaults, vault_ids: Sequence[str] = (ELSEWHERE, FIRST, SECOND)) -> RestoreError:
    with pytest.raises(RestoreError) as raised:
        found(azure, vault_ids)
    return raised.value


@pytest.mark.parametrize("hidden_by", [GONE, FORBIDDEN])
@pytest.mark.parametrize("call", ["get_virtual_machine_region", "get_backup_status"])
def test_it_is_found_in_the_vault_that_has_it(hidden_by: TerminalError, call: str) -> None:
    azure = vaults(None, first=[OTHER], second=[OTHER, OWN])
    azure.fails[call] = [hidden_by]

    item = found(azure)

    assert (item.vault_id, item.region) == (SECOND, f"region of {SECOND}")
    assert item.source_resource_id.lower() == VM_ID.lower()
    assert azure.read == [FIRST, SECOND]


def test_a_vm_that_can_be_read_costs_no_call_more() -> None:
    azure = vaults(None)

    assert found(azure).vault_id == VAULT_ID
    assert azure.calls == {"get_virtual_machine_region": 1, "get_backup_status": 1}
    assert azure.read == []


@pytest.mark.parametrize("error", [BUSY, NO_TOKEN, BAD_TOKEN])
@pytest.mark.parametrize("vault_ids", [(), (FIRST,)])
def test_throttling_or_a_token_that_azure_refuses_is_no_reason_to_search(
    error: RestoreError, vault_ids: tuple[str, ...]
) -> None:
    azure = vaults(error, first=[OWN])

    assert failure(azure, vault_ids) is error
    assert azure.read == []


def test_its_points_are_listed_too() -> None:
    azure = vaults(GONE, first=[], second=[OWN])

    assert list_recovery_points(azure, BY_VM, START, (FIRST, SECOND)).value


@pytest.mark.parametrize("unreadable", [FORBIDDEN, BUSY])
def test_a_vault_that_cannot_be_read_does_not_hide_an_item_in_another(unreadable: RestoreError) -> None:
    assert found(vaults(GONE, first=unreadable, second=[OWN])).vault_id == SECOND


@pytest.mark.parametrize(("hidden_by", "reason"), [(GONE, "finds no VM"), (FORBIDDEN, "lacks a permission")])
def test_the_error_names_the_vaults_that_do_not_have_it_and_those_that_cannot_be_read(
    hidden_by: TerminalError, reason: str
) -> None:
    error = failure(vaults(hidden_by, first=[], second=FORBIDDEN))

    assert isinstance(error, TerminalError)
    assert error.code == hidden_by.code
    assert reason in error.message
    assert f"No backup of it is listed by {FIRST}." in error.message
    assert f"{SECOND} could not be searched: 403 no role" in error.message
    assert ELSEWHERE not in error.message
    assert error.details[:-1] == hidden_by.details
    assert SECOND in error.details[-1].message


def test_a_vault_that_may_be_readable_later_makes_the_search_one_to_repeat() -> None:
    error = failure(vaults(GONE, first=BUSY, second=[]))

    assert isinstance(error, TransientError)
    assert (error.code, error.retry_after_s) == (errors.SERVICE_UNAVAILABLE, 17)
    assert f"{FIRST} could not be searched: 429" in error.message


def test_a_backup_that_is_not_soft_deleted_comes_before_one_that_is() -> None:
    assert found(vaults(GONE, first=[DELETED], second=[OWN])).vault_id == SECOND
    assert found(vaults(GONE, first=[DELETED], second=[])).soft_deletion is not None


def test_a_soft_deleted_one_does_not_stand_for_what_an_unreadable_vault_may_have() -> None:
    error = failure(vaults(GONE, first=FORBIDDEN, second=[DELETED]))

    assert f"A soft-deleted one is in {SECOND}." in error.message
    assert f"{FIRST} could not be searched" in error.message


def test_a_vm_that_was_moved_is_recognized_by_its_name() -> None:
    assert OTHER["sourceResourceId"] in failure(vaults(GONE, first=[OTHER], second=[])).message


@pytest.mark.parametrize("hidden_by", [GONE, FORBIDDEN])
@pytest.mark.parametrize("vault_ids", [(), (ELSEWHERE,)])
def test_without_a_vault_of_its_subscription_the_error_says_how_to_name_one(
    hidden_by: TerminalError, vault_ids: tuple[str, ...]
) -> None:
    azure = vaults(hidden_by)

    error = failure(azure, vault_ids)

    assert error.code == hidden_by.code
    assert "vaultIds of the setting RESTORE_SCOPES" in error.message
    assert "give vaultId" in error.message.replace("Give", "give")
    assert azure.read == []


def test_vaults_are_not_read_without_end() -> None:
    azure, time = vaults(GONE, first=[], second=[OWN]), iter([0.0, 1.0, 61.0])

    with pytest.raises(TransientError, match=f"{SECOND} could not be searched: It was not read"):
        find_in_vaults(azure, VM_ID, (FIRST, SECOND), GONE, timer=lambda: next(time))
    assert azure.read == [FIRST]
