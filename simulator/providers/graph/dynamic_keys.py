"""Dynamic values cannot be keys: rows are sorted, grouped and joined by what has a type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duckdb_kql import ir

from simulator.providers.graph.columns import DYNAMIC_COLUMNS
from simulator.providers.graph.errors import invalid_query

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_DYNAMIC_FUNCTIONS = {
    "array_concat",
    "array_slice",
    "bag_keys",
    "bag_pack",
    "pack",
    "pack_all",
    "pack_array",
    "parse_json",
    "split",
    "todynamic",
    "zip",
}
_WHOLE_ROWS = {"arg_max", "arg_min", "any", "take_any"}  # give columns as they are


def check_keys(query: ir.Query) -> set[str]:
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
                dynamic = _dynamic_aggregates(operator, dynamic)
            case ir.Distinct(expressions=expressions):
                text = "Distinct key is of a 'dynamic' type. Please use an explicit cast"
                _refuse_dynamic(text, [each.expr for each in expressions], dynamic)
                dynamic = set()
            case ir.Join(right=right, keys=keys):
                theirs = check_keys(right)
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
        return expression.name.lower() in _DYNAMIC_FUNCTIONS or any(
            _is_dynamic(each, dynamic) for each in _values_of_choice(expression)
        )
    return isinstance(expression, ir.ColumnRef) and expression.name in dynamic


def _values_of_choice(call: ir.FunctionCall) -> Sequence[ir.Expr]:
    """Return the values of which a function gives one; none for a function that makes its own."""
    match call.name.lower():
        case "coalesce":
            return call.args
        case "iff" | "iif":
            return call.args[1:]
        case "case":
            return (*call.args[1::2], *call.args[-1:])
        case _:
            return ()


def _dynamic_aggregates(summarize: ir.Summarize, dynamic: set[str]) -> set[str]:
    """Return the dynamic columns that aggregates give as they are."""
    found: set[str] = set()
    for each in summarize.aggregates:
        if isinstance(each.expr, ir.FunctionCall) and each.expr.name.lower() in _WHOLE_ROWS:
            for argument in each.expr.args:
                found |= dynamic if isinstance(argument, ir.Wildcard) else {_name(ir.NamedExpr(argument))} & dynamic
    return found - {_name(key) for key in summarize.by}


def _name(expression: ir.NamedExpr) -> str:
    """Return the name of a column; one that is derived from a path is not found again and counts as none."""
    return expression.name or (expression.expr.name if isinstance(expression.expr, ir.ColumnRef) else "")
