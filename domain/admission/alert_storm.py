"""The count of VMs for which alerts request restores, over all rules: a storm of them may be an outage of Azure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from domain.restore.answers import Storm
from domain.restore.calls import NoteAlert, entity_key

if TYPE_CHECKING:
    from domain.admission.answer_once import Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertStorm:
    """When an alert last requested a restore of each VM, by the key of the VM's lock."""

    seen: dict[str, datetime]


def note(storm: AlertStorm | None, call: NoteAlert, asked: Asked) -> tuple[AlertStorm, Storm]:
    """Record a VM; return the new state and whether more than ``distinct_vms`` VMs were recorded within ``within``.

    Only the newest ``distinct_vms`` + 1 VMs are kept, each with its latest time: a late message does not set that back.
    """
    vm, known = entity_key(call.vm), {} if storm is None else storm.seen
    seen = {**known, vm: max(known.get(vm, asked.now), asked.now)}
    latest = max(seen.values())
    fresh = [(key, time) for key, time in seen.items() if latest - time < call.within]
    kept = dict(sorted(fresh, key=lambda entry: entry[1])[-(call.distinct_vms + 1) :])
    return AlertStorm(seen=kept), Storm(is_storm=len(kept) > call.distinct_vms, vms=len(kept))
