"""The queries of ``infra/queries``, for tests: checked by Microsoft's parser, and run by DuckDB on rows of a test.

Microsoft's engine for KQL cannot be had on a development machine. duckdb-kql translates KQL to SQL, and refuses what it
cannot translate truly.
"""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb_kql

from tests.infra.conftest import INFRA, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.infra.conftest import Json

NOW: Final = datetime(2026, 11, 26, 12, tzinfo=UTC)
QUERIES: Final = {path.stem: path.read_text(encoding="utf-8") for path in sorted((INFRA / "queries").glob("*.kql"))}
BEGINNINGS: Final = {"StatusLines": "status-lines", "CompletedRestores": "completed-restores"}
PARAMETERS: Final = {"{TimeRange:grain}": "1h", "{VirtualMachine}": ""}

# https://learn.microsoft.com/azure/azure-monitor/app/data-model-complete, the columns that the queries may use.
_COMMON: Final = (
    "timestamp: datetime, operation_Id: string, operation_ParentId: string, operation_Name: string, "
    "cloud_RoleName: string, cloud_RoleInstance: string, customDimensions: dynamic, itemId: string, itemCount: int"
)
_SPAN: Final = "id: string, name: string, success: string, resultCode: string, duration: real, "
TABLES: Final = {
    "traces": "message: string, severityLevel: int, " + _COMMON,
    "requests": _SPAN + _COMMON,
    "dependencies": "type: string, target: string, data: string, " + _SPAN + _COMMON,
    "customMetrics": "name: string, value: real, valueCount: int, valueSum: real, valueMin: real, valueMax: real, "
    + _COMMON,
}


def names() -> list[str]:
    """Return the names of the queries that are run: all but the beginnings."""
    return [name for name in QUERIES if name not in BEGINNINGS.values()]


def whole(name: str) -> str:
    """Return the query with the beginning that it needs, as Bicep puts it together."""
    text = QUERIES[name]
    return "".join(QUERIES[beginning] for word, beginning in BEGINNINGS.items() if word in text) + text


def with_parameters(query: str, **parameters: str) -> str:
    """Return the query as the workbook sends it, with the values of its parameters."""
    for placeholder, value in {**PARAMETERS, **{f"{{{name}}}": value for name, value in parameters.items()}}.items():
        query = query.replace(placeholder, value)
    return query


def problems(queries: Mapping[str, str]) -> dict[str, list[str]]:
    """Return what Microsoft's checker of KQL finds wrong with each query."""
    done = subprocess.run(
        ["node", str(Path(__file__).with_name("kusto.mjs")), str(ROOT / ".tools" / "kusto")],
        input=json.dumps({"tables": TABLES, "queries": queries}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Insights:
    """The tables of an Application Insights component. Rows have the given columns; their times are before ``NOW``."""

    def __init__(self) -> None:
        self._database = duckdb_kql.connect()
        for table, schema in TABLES.items():
            duckdb_kql.kql(self._database, f".set {table} <| datatable({schema})[]")

    def add(self, table: str, *, ago: timedelta = timedelta(), dimensions: Json | None = None, **columns: Any) -> None:
        """Add a row. Custom dimensions are texts, as the exporter sends them."""
        texts = json.dumps({name: str(value) for name, value in (dimensions or {}).items()})
        row = {"timestamp": (NOW - ago).replace(tzinfo=None), "customDimensions": texts, **columns}
        places = ", ".join("?" for _ in row)
        self._database.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", list(row.values()))

    def log(self, *lines: str, ago: timedelta = timedelta()) -> None:
        """Add log lines."""
        for line in lines:
            self.add("traces", ago=ago, message=line)

    def run(self, name: str, **parameters: str) -> list[Json]:
        """Return the rows of a query. KQL has no null texts: they are empty."""
        rows = duckdb_kql.kql(self._database, with_parameters(whole(name), **parameters))
        empty = ["" if kind == "VARCHAR" else None for kind in rows.types]
        return [
            {
                column: null if value is None else value
                for column, value, null in zip(rows.columns, row, empty, strict=True)
            }
            for row in rows.fetchall()
        ]

    def columns(self, query: str) -> list[str]:
        """Return the names of the columns that a query gives."""
        return duckdb_kql.kql(self._database, with_parameters(query)).columns


def values(rows: Iterable[Json], *columns: str) -> list[tuple[Any, ...]]:
    """Return these columns of the rows."""
    return [tuple(row[column] for column in columns) for row in rows]
