"""What a process costs: CPU and memory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import psutil

MIB: Final = 2**20


def cpu_s(process: psutil.Process) -> float:
    """Return the user and system time that a process has taken so far, in the kernel's ticks of mostly 10 ms."""
    times = process.cpu_times()
    return times.user + times.system


def high_water_mib(process: psutil.Process) -> float:
    """Return the kernel's high-water mark of resident memory; 0 where it keeps none in /proc."""
    status = Path(f"/proc/{process.pid}/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="utf-8")) if status.exists() else None
    return int(found.group(1)) / 1024 if found else 0.0
