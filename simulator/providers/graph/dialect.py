"""Which part of KQL Resource Graph knows, and how it refuses the rest.

https://learn.microsoft.com/azure/governance/resource-graph/concepts/query-language lists the operators and the limits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, cast

import duckdb_kql
from duckdb_kql import ir
from duckdb_kql.lower import lower

from simulator.providers.graph.columns import DYNAMIC_COLUMNS, TABLES, TEXT_COLUMNS
from simulator.providers.graph.dynamic_keys import check_keys
from simulator.providers.graph.errors import INVALID, InvalidQuery, invalid_query
from simulator.providers.graph.outer_joins import join_ends

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_OPERATORS = {
    "CountOperator",
    "DistinctOperator",
    "ExtendOperator",
    "JoinOperator",
    "MvexpandOperator",
    "ParseOperator",
    "ProjectAwayOperator",
    "ProjectOperator",
    "SortOperator",
    "SummarizeOperator",
    "TakeOperator",
    "TopOperator",
    "UnionOperator",
    "WhereOperator",
}
_STATEMENTS = {"AliasDatabaseStatement", "DeclareQueryParametersStatement", "LetStatement", "SetStatement"}
_PARAMETERS = {"kind", "withsource"}
_JOIN_KINDS = {"innerunique", "inner", "leftouter", "fullouter"}
_MAX_USES = {ir.Join: ("join", 3), ir.MvExpand: ("mv-expand", 3), ir.Union: ("union", 3)}
_OUTER_JOINS = {"leftouter", "fullouter"}
_OWN_MEANING = {"replace"}  # is a regular expression in KQL, and a text to duckdb-kql
_WITHOUT_SIZE = {"make_list", "make_set", "makelist", "makeset"}  # their second argument is ignored by duckdb-kql
_DEFAULT_TABLE = "resources | "
_BEGINS_WITH_OPERATOR = re.compile(
    r"\s*(count|distinct|extend|join|limit|mv-?expand|order|parse|project|project-away|sort|summarize|take|top|where)"
    r"(\s|$)"
)
_KIND = re.compile(r"""('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")|(?<![\w.'])kind(?!\w|\s*=(?![=~]))""")
_TOKEN = re.compile(r"'((?:\\'|[^'])*)'|\"([^\"]*)\"")
_EXPECTED = "\N{LATIN CAPITAL LETTER I WITH CARON}"  # as recorded, whatever was expected


@dataclass(frozen=True, slots=True)
class CheckedQuery:
    """A query that may run: its text with its first table, the tables that it reads, and whether it limits its rows.

    ``outer_joins`` are the places behind its outer joins.
    """

    text: str
    tables: tuple[str, ...]
    is_cut: bool
    outer_joins: tuple[int, ...]


def checked_query(query: str) -> CheckedQuery:
    """Return a query that Resource Graph would run; raise ``InvalidQuery`` for any other."""
    text = _DEFAULT_TABLE + query if _BEGINS_WITH_OPERATOR.match(query) else query
    if not text.strip() or text.lstrip().startswith("."):
        raise _foreign(text.strip()[:1] or "<EOF>")
    text = _KIND.sub(lambda found: found[1] or "['kind']", text)  # a column here, a word of the language to duckdb-kql
    try:
        tree = duckdb_kql.parse(text).tree
        _check_operators(tree)
        lowered = lower(text)
    except duckdb_kql.KqlSyntaxError as error:
        raise _parser_failure(error, len(text) - len(query)) from error
    except duckdb_kql.KqlUnsupportedError as error:
        raise _foreign(error.construct) from error
    except duckdb_kql.KqlError as error:
        raise invalid_query(str(error)) from error
    nodes = list(_nodes(lowered))
    tables = tuple(dict.fromkeys(_table(node) for node in nodes if isinstance(node, ir.Source)))
    _check_limits(nodes)
    _check_casing(nodes)
    _check_functions(nodes)
    check_keys(lowered)
    outer_joins = _outer_joins(tree, lowered)
    return CheckedQuery(text, tables, any(isinstance(node, ir.Take) for node in nodes), outer_joins)


def _outer_joins(tree: Any, query: ir.Query) -> tuple[int, ...]:
    """Return the places behind the outer joins; raise where one is inside another operator."""
    joins = [operator for operator in query.operators if isinstance(operator, ir.Join)]
    inner = [node for operator in query.operators for node in _nodes(operator) if node is not operator]
    if any(isinstance(node, ir.Join) and node.kind in _OUTER_JOINS for node in inner):
        raise invalid_query("The simulator cannot run an outer join inside another operator.")
    ends = zip(join_ends(tree), joins, strict=False)
    return tuple(end for end, join in ends if join.kind in _OUTER_JOINS)


def _check_functions(nodes: Sequence[object]) -> None:
    """Raise for functions that duckdb-kql would take for something else than KQL does."""
    for node in nodes:
        if isinstance(node, ir.FunctionCall):
            name = node.name.lower()
            if name in _OWN_MEANING or (name in _WITHOUT_SIZE and len(node.args) > 1):
                raise invalid_query(f"The simulator cannot run '{name}' with {len(node.args)} arguments.")


def _check_operators(tree: Any) -> None:
    """Raise for a statement or an operator that is not in the list of the documentation."""
    statements = 0
    for context in _contexts(tree):
        kind = _kind(context)
        statements += kind == "Statement"
        is_foreign = kind in _STATEMENTS or statements > 1
        if kind == "RelaxedQueryOperatorParameter":
            is_foreign = context.start.text not in _PARAMETERS
        if kind in {"AfterPipeOperator", "BeforeOrAfterPipeOperator"}:
            is_foreign = _kind(context.getChild(0)) not in _OPERATORS
        if is_foreign:
            raise _foreign(context.start.text)


def _kind(context: Any) -> str:
    return type(context).__name__.removesuffix("Context")


def _foreign(token: str) -> InvalidQuery:
    place = {"line": -1, "characterPositionInLine": -1, "token": token}
    return invalid_query("InvalidQueryLanguage", "InvalidQueryLanguage", **place)


def _contexts(tree: Any) -> Iterator[Any]:
    yield tree
    for child in getattr(tree, "children", None) or ():
        yield from _contexts(child)


def _nodes(node: object) -> Iterator[object]:
    """Yield a node of the translated query and all nodes below it."""
    if is_dataclass(node):
        yield node
        for each in fields(node):
            yield from _nodes(getattr(node, each.name))
    elif isinstance(node, tuple | list):
        for child in cast("Iterable[object]", node):
            yield from _nodes(child)


def _parser_failure(error: duckdb_kql.KqlSyntaxError, added: int) -> InvalidQuery:
    """Return the error as it is recorded; ``added`` is the length of the table that was put before the query."""
    return InvalidQuery([INVALID, *(_place(diagnostic, added) for diagnostic in error.diagnostics)])


def _place(diagnostic: duckdb_kql.Diagnostic, added: int) -> dict[str, Any]:
    span = diagnostic.span
    token = _TOKEN.search(diagnostic.message)
    return {
        "code": "ParserFailure",
        "message": "ParserFailure",
        "line": span.line,
        "characterPositionInLine": max(0, span.column - (added if span.line == 1 else 0)),
        "token": token[1] or "" if token else "<EOF>",
        "expectedToken": _EXPECTED,
    }


def _table(source: ir.Source) -> str:
    """Return the name of a table that a query reads; raise for what is none of Resource Graph."""
    if not isinstance(source, ir.TableRef) or source.database or source.cluster:
        raise _foreign(type(source).__name__)
    name = source.name.lower()
    if name not in TABLES:
        message = f"Table {source.name} is invalid, unsupported or disallowed."
        raise InvalidQuery([{"code": "DisallowedLogicalTableName", "message": message}])
    return name


def _check_limits(nodes: Sequence[object]) -> None:
    for kind, (name, most) in _MAX_USES.items():
        if sum(isinstance(node, kind) for node in nodes) > most:
            raise invalid_query(f"The query has more than {most} {name} operators.")
    for node in nodes:
        if isinstance(node, ir.Join) and node.kind not in _JOIN_KINDS:
            raise invalid_query(f"Join kind '{node.kind}' is not supported.")


def _check_casing(nodes: Sequence[object]) -> None:
    """Raise for a column in another casing: names of KQL have theirs, SQL would take any."""
    columns = {*TEXT_COLUMNS, *DYNAMIC_COLUMNS}
    own = {name for node in nodes for name in _made_by(node)}
    casings = {name.lower() for name in columns}
    for node in nodes:
        for name in _used_by(node):
            if name.lower() in casings and name not in columns | own:
                raise invalid_query(f"Failed to resolve scalar expression named '{name}'")


def _made_by(node: object) -> Iterator[str]:
    """Yield the names of the columns that a node of the query creates."""
    if isinstance(node, ir.NamedExpr | ir.ParseSegment | ir.MvExpandTarget) and node.name:
        yield node.name


def _used_by(node: object) -> Iterator[str]:
    if isinstance(node, ir.ColumnRef):
        yield node.name
    elif isinstance(node, ir.MvExpandTarget):
        yield node.column
    elif isinstance(node, ir.JoinKey):
        yield from (node.left, node.right)
    elif isinstance(node, ir.ProjectAway):
        yield from node.columns
