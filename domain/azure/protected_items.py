"""The backed-up VM as Azure Backup knows it: the vault and the native names that every call needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from domain.azure.resource_ids import VAULT, VIRTUAL_MACHINE, ResourceId, ResourceKind
from domain.errors import NOT_PROTECTED, ErrorDetail, TerminalError
from domain.wire import as_name, as_object, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping


def _id_of(value: object, kind: ResourceKind) -> str | None:
    # URLs are built from it: a truncated id could name another resource.
    try:
        return ResourceId.parse(as_name(value) or "", kind).text
    except ValueError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectedItem:
    """Where a VM's backups are. ``region`` is that of the vault and of the VM, which are always the same."""

    vault_id: str
    container_name: str
    protected_item_name: str
    source_resource_id: str
    region: str

    @classmethod
    def from_backup_status(cls, body: Mapping[str, Any], *, source_resource_id: str, region: str) -> Self:
        """Read a ``backupStatus`` answer; raises ``TerminalError`` ``NotProtected`` when it names no vault.

        Only the names decide, not ``protectionStatus``: if the protection is stopped or fails, its points still exist.
        """
        vault_id = _id_of(body.get("vaultId"), VAULT)
        container, item = as_name(body.get("containerName")), as_name(body.get("protectedItemName"))
        if vault_id is None or container is None or item is None:
            code, message = as_text(body.get("errorCode")), as_text(body.get("errorMessage"))
            details = [ErrorDetail(code=code, message=message or code)] if code and code != "Success" else []
            raise TerminalError(
                NOT_PROTECTED,
                f"{source_resource_id} is not protected by Azure Backup in {region}. "
                "Check the VM id, or give vaultId, containerName and protectedItemName if it is backed up elsewhere.",
                details,
            )
        return cls(
            vault_id=vault_id,
            container_name=container,
            protected_item_name=item,
            source_resource_id=source_resource_id,
            region=region,
        )

    @classmethod
    def from_api(cls, body: Mapping[str, Any], *, vault_id: str, region: str) -> Self:
        """Read a protected item. Its names come from its id: only the id has the container's full native name.

        Raises ``TerminalError`` ``NotProtected`` when it is not the item of an Azure VM.
        """
        segments = str(body["id"]).split("/")
        properties = as_object(body.get("properties"))
        machines = (_id_of(properties.get(name), VIRTUAL_MACHINE) for name in ("sourceResourceId", "virtualMachineId"))
        source = next(filter(None, machines), None)
        names = {kind.casefold(): name for kind, name in zip(segments[1::2], segments[2::2], strict=False)}
        if source is None or "protectioncontainers" not in names or "protecteditems" not in names:
            raise TerminalError(NOT_PROTECTED, f"{body['id']} is not the protected item of an Azure VM.")
        return cls(
            vault_id=vault_id,
            container_name=names["protectioncontainers"],
            protected_item_name=names["protecteditems"],
            source_resource_id=source,
            region=region,
        )
