"""Runs a query of Resource Graph: duckdb-kql turns its KQL into SQL, DuckDB runs that over the rows of the tables.

Importing this takes DuckDB's time: only the handler of the query does it. Resource Graph knows a part of KQL; whatever
is not in that part is refused, and so is what duckdb-kql cannot translate.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import duckdb
import duckdb_kql

from simulator.providers.graph.columns import DYNAMIC_COLUMNS, TEXT_COLUMNS
from simulator.providers.graph.dialect import checked_query
from simulator.providers.graph.errors import InvalidQuery, invalid_query
from simulator.providers.graph.outer_joins import with_empty_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_TYPES = {
    "VARCHAR": "string",
    "JSON": "object",
    "BOOLEAN": "boolean",
    "BIGINT": "integer",
    "INTEGER": "integer",
    "DOUBLE": "number",
    "TIMESTAMP": "datetime",
    '"NULL"': "object",
}


@dataclass(frozen=True, slots=True)
class Result:
    """What a query gives. ``columns`` are names with their types; ``is_cut`` says that the query limits its rows."""

    columns: tuple[tuple[str, str], ...]
    rows: list[tuple[Any, ...]]
    is_cut: bool

    @property
    def can_be_paged(self) -> bool:
        """Whether Resource Graph gives a ``$skipToken``: not for limited rows, nor where all columns are dynamic."""
        return not self.is_cut and any(kind != "object" for _, kind in self.columns)


def run(query: str, rows_of: Callable[[str], Sequence[Mapping[str, Any]]]) -> Result:
    """Return the result of a query; ``rows_of`` gives the rows of a table. Raise ``InvalidQuery``."""
    checked = checked_query(query)
    with duckdb_kql.connect(config={"threads": 1}) as database:
        for table in checked.tables:
            _fill(database, table, rows_of(table))
        try:
            text = with_empty_texts(database, checked.text, checked.outer_joins)
            relation = duckdb_kql.kql(database, text, allow_write=False)
            found = relation.fetchall()
        except duckdb_kql.KqlError as error:
            raise _refused(error) from error
        except duckdb.Error as error:
            raise invalid_query(str(error).partition("\n")[0]) from error
        columns = tuple(
            (name, _TYPES.get(str(kind), "string")) for name, kind in zip(relation.columns, relation.types, strict=True)
        )
    return Result(columns, [_read(row, columns) for row in found], checked.is_cut)


def _fill(database: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    names = (*TEXT_COLUMNS, *DYNAMIC_COLUMNS)
    kinds = ", ".join(
        [*(f'"{name}" VARCHAR' for name in TEXT_COLUMNS), *(f'"{name}" JSON' for name in DYNAMIC_COLUMNS)]
    )
    database.execute(f'CREATE TABLE "{table}" ({kinds})')
    columns: list[list[str | None]] = [[row[name] for row in rows] for name in TEXT_COLUMNS]
    columns += [[None if row[name] is None else json.dumps(row[name]) for row in rows] for name in DYNAMIC_COLUMNS]
    lists = ", ".join("unnest(?::VARCHAR[])" for _ in names)
    database.execute(f'INSERT INTO "{table}" SELECT {lists}', columns)


def _refused(error: duckdb_kql.KqlError) -> InvalidQuery:
    if isinstance(error, duckdb_kql.KqlUnsupportedError):
        return invalid_query(f"The simulator cannot run {error.construct!r}.")
    return invalid_query(str(error))


def _read(row: tuple[Any, ...], columns: tuple[tuple[str, str], ...]) -> tuple[Any, ...]:
    """Return the values of a row as JSON has them; a missing text is empty, as KQL has no null texts."""
    return tuple(_value(value, kind) for value, (_, kind) in zip(row, columns, strict=True))


def _value(value: Any, kind: str) -> Any:
    if kind == "string" and value is None:
        return ""
    if value is None:
        return None
    if kind == "object":
        return json.loads(cast("str", value))
    if isinstance(value, timedelta):
        return _timespan(value)
    if isinstance(value, UUID):
        return str(value)
    return f"{value:%Y-%m-%dT%H:%M:%S.%f}0Z" if kind == "datetime" else value


def _timespan(span: timedelta) -> str:
    """Write a timespan as KQL does: days where there are any, and seven digits where it is no whole second."""
    sign, span = ("-", -span) if span < timedelta(0) else ("", span)
    minutes, seconds = divmod(span.seconds, 60)
    days = f"{span.days}." if span.days else ""
    fraction = f".{span.microseconds:06d}0" if span.microseconds else ""
    return f"{sign}{days}{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}{fraction}"
