"""How many ARM calls a restore of 31 minutes takes in all."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from benchmarks.rows import Row
from tests.support.azure import Lab, a_restore

_MOST: Final = 55


def count(*, validate: bool) -> dict[str, int]:
    """Return the calls of one restore by name, on the skipping clock."""
    lab = Lab()
    lab.azure.job_takes = timedelta(minutes=31)
    document = lab.run(a_restore(validate=validate))
    if document["status"] != "Completed":
        raise RuntimeError(f"the restore ended as {document['status']}")
    return dict(lab.azure.calls)


def measure() -> list[Row]:
    """Count each call of the scripted client: every one is one ARM request where lists have one page."""
    validated, plain = count(validate=True), count(validate=False)
    most = max(sum(validated.values()), sum(plain.values()))
    return [
        Row(
            measure="ARM calls in all, 31-minute job",
            target=f"<= {_MOST} (az CLI: 76)",
            median=str(sum(validated.values())),
            worst=f"max {most}",
            met=most <= _MOST,
            how=f"default settings, skipping clock, lists of one page; {sum(plain.values())} without validation; "
            f"{validated['get_job']} of them look at the job",
        )
    ]
