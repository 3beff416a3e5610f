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
_DEFAULT_TABLE = "resources | "
_BEGINS_WITH_OPERATOR = re.compile(
    r"\s*(count|distinct|extend|join|limit|mv-?expand|order|parse|project|project-away|sort|summarize|take|top|where)"
    r"(\s|$)"
)
_TOKEN = re.compile(r"'((?:\\'|[^'])*)'|\"([^\"]*)\"")
_EXPECTED = "\N{LATIN CAPITAL LETTER I WITH CARON}"  # as recorded, whatever was expected


class InvalidQuery(Exception):  # noqa: N818 - the name of Resource Graph's code
    """A query that Resource Graph refuses, with the details of its answer."""

    def __init__(self, details: Sequence[dict[str, Any]]) -> None:
        super().__init__(details[-1]["message"])
        self.details = list(details)


@dataclass(frozen=True, slots=True)
class CheckedQuery:
    """A query that may run: its text with its first table, the tables that it reads, and whether it limits its rows."""

    text: str
    tables: tuple[str, ...]
    is_cut: bool


_INVALID: dict[str, Any] = {
    "code": "InvalidQuery",
    "message": (
        "Query is invalid. Please refer to the documentation for the Azure Resource Graph service and fix the error "
        "before retrying."
    ),
}


def invalid_query(message: str, code: str = "InvalidQuery", **more: Any) -> InvalidQuery:
    """Return the error for a query that is wrong in this one point."""
    return InvalidQuery([_INVALID, {"code": code, "message": message, **more}])


def checked_query(query: str) -> CheckedQuery:
    """Return a query that Resource Graph would run; raise ``InvalidQuery`` for any other."""
    text = _DEFAULT_TABLE + query if _BEGINS_WITH_OPERATOR.match(query) else query
    if not text.strip() or text.lstrip().startswith("."):
        raise _foreign(text.strip()[:1] or "<EOF>")
    try:
        _check_operators(duckdb_kql.parse(text).tree)
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
    _check_keys(lowered)
    return CheckedQuery(text, tables, any(isinstance(node, ir.Take) for node in nodes))


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
    """Walk everything below a node of the translated query."""
    if is_dataclass(node):
        yield node
        for each in fields(node):
            yield from _nodes(getattr(node, each.name))
    elif isinstance(node, tuple | list):
        for child in cast("Iterable[object]", node):
            yield from _nodes(child)


def _parser_failure(error: duckdb_kql.KqlSyntaxError, added: int) -> InvalidQuery:
    """Return the error as it is recorded; ``added`` is the length of the table that was put before the query."""
    return InvalidQuery([_INVALID, *(_place(diagnostic, added) for diagnostic in error.diagnostics)])


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
    """Give the names of columns that a node of the query makes."""
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


def _check_keys(query: ir.Query) -> set[str]:
    """Raise where rows are sorted, grouped or joined by a dynamic value; return the dynamic columns of the result."""
    dynamic = set(DYNAMIC_COLUMNS)
    for operator in query.operators:
        match operator:
            case ir.Sort(keys=keys) | ir.Top(keys=keys):
                _refuse_dynamic("order operator: key can't be of dynamic type", [key.expr for key in keys], dynamic)
            case ir.Summarize(by=by):
                _refuse_dynamic(
                    "Summarize group key is of a 'dynamic' type. Please use an explicit cast",
                    [key.expr for key in by],
                    dynamic,
                )
                dynamic = set()
            case ir.Join(right=right, keys=keys):
                theirs = _check_keys(right)
                text = "join key is of a 'dynamic' type. Please use an explicit cast"
                _refuse_dynamic(text, [ir.ColumnRef(key.left) for key in keys], dynamic)
                _refuse_dynamic(text, [ir.ColumnRef(key.right) for key in keys], theirs)
                dynamic |= theirs
            case ir.Extend(expressions=expressions) | ir.Project(expressions=expressions):
                named = {_name(each): _is_dynamic(each.expr, dynamic) for each in expressions}
                kept = dynamic - named.keys() if isinstance(operator, ir.Extend) else set[str]()
                dynamic = kept | {name for name, is_dynamic in named.items() if is_dynamic}
            case _:
                pass
    return dynamic


def _refuse_dynamic(message: str, keys: Iterable[ir.Expr], dynamic: set[str]) -> None:
    if any(_is_dynamic(key, dynamic) for key in keys):
        raise invalid_query(message)


def _is_dynamic(expression: ir.Expr, dynamic: set[str]) -> bool:
    if isinstance(expression, ir.PathAccess):
        return True
    if isinstance(expression, ir.FunctionCall):
        return expression.name.lower() in {"parse_json", "todynamic", "split", "pack_all", "bag_keys", "pack"}
    return isinstance(expression, ir.ColumnRef) and expression.name in dynamic


def _name(expression: ir.NamedExpr) -> str:
    """Return the name of a column; one that is derived from a path is not found again and counts as none."""
    return expression.name or (expression.expr.name if isinstance(expression.expr, ir.ColumnRef) else "")
