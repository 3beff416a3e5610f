from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.azure import (
    VAULT_ID,
)

if TYPE_CHECKING:
    from tests.support.player import Player


def test_restores_the_disks_and_says_where_they_are(player: Player) -> None:
    done = player.run()

    assert (done["status"], done["phase"]) == ("Completed", "Finished")
    assert done["result"]["configBlobUri"] == "https://s/config.json"
    assert done["result"]["targetStorageAccountName"] == "stagingweu"
    assert done["result"]["duration"] == "PT31M"
    assert (done["jobId"], done["operationId"], done["vaultId"]) == ("job-1", "operation-1", VAULT_ID)
    assert done["recoveryPoint"]["id"] == "1103996678573089"
    assert done["progressPercentage"] == 100.0
    assert done["error"] is None
    assert done["warnings"] == []


def test_triggers_once_and_asks_little(player: Player) -> None:
    player.run()

    assert player.azure.calls["trigger_restore"] == 1
    first = list(player.azure.calls)
    before = first[: first.index("trigger_restore")]
    assert sum(player.azure.calls[name] for name in before) == 5
    assert player.azure.calls.total() <= 55
