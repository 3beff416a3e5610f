"""Missing texts of outer joins: KQL has no null texts, a row without a partner has empty ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb_kql

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import duckdb

_TEXT = "VARCHAR"


def with_empty_texts(database: duckdb.DuckDBPyConnection, text: str, ends: Sequence[int]) -> str:
    """Return a query that writes an empty text where an outer join found none.

    ``ends`` are the places behind the outer joins of the query. The types of the columns are only known to the
    database, which reads the query up to each join for it.
    """
    whole, done = "", 0
    for end in ends:
        whole += text[done:end]
        done = end
        found = duckdb_kql.kql(database, whole, allow_write=False)
        names = [name for name, kind in zip(found.columns, found.types, strict=True) if str(kind) == _TEXT]
        if names:
            whole += " | extend " + ", ".join(f"['{name}'] = coalesce(['{name}'], '')" for name in names)
    return whole + text[done:]


def join_ends(tree: Any) -> Iterator[int]:
    """Yield the places behind the joins of a parsed query, but not of those inside another one."""
    if type(tree).__name__ == "JoinOperatorContext":
        yield tree.stop.stop + 1
        return
    for child in getattr(tree, "children", None) or ():
        yield from join_ends(child)
