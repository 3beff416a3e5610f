"""Query parameters, read like request bodies: an error names every wrong parameter, and unknown ones are refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlencode

from domain.azure.resource_ids import VAULT, VIRTUAL_MACHINE
from domain.errors import InvalidRequestError
from domain.reading import INVALID_VALUE, Problems, Reader, an_object, resource_id
from domain.texts import trimmed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import azure.functions as func

    from domain.errors import Json

DEFAULT_TOP: Final = 50
MAX_TOP: Final = 1000
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_OF_THE_HOST: Final = frozenset({"code", "clientId"})  # the function key may be in the URL


def read_parameters(req: func.HttpRequest, reader: Reader) -> Json:
    """Return the parameters of a request; an empty one counts as left out. Raises ``InvalidRequestError``."""
    params = cast("Mapping[str, str]", req.params)
    problems = Problems()
    given = {name: text or None for name, text in params.items() if name not in _OF_THE_HOST}
    found: Json = reader(given, "", problems)
    if problems.found:
        raise InvalidRequestError(problems.found)
    return found


def parsed(parse: Callable[[str], object]) -> Reader:
    """Return the reader of a text that ``parse`` reads; its ``ValueError`` says what is wrong."""

    def read(value: Any, path: str, problems: Problems) -> object:
        try:
            return parse(value)
        except ValueError as error:
            problems.add(INVALID_VALUE, path, str(error))
            return None

    return Reader(read, {"type": "string"})


def parse_name(text: str, names: Iterable[str]) -> str:
    """Return the one of these names that the text has, in any letter case; raises ``ValueError``."""
    name = trimmed(text).casefold()
    known = tuple(names)
    found = next((option for option in known if option.casefold() == name), None)
    if found is None:
        raise ValueError(f"must be one of {', '.join(known)}")
    return found


def parse_top(text: str, maximum: int = MAX_TOP) -> int:
    """Return how many entries a page has at most; raises ``ValueError``."""
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(maximum))
    if not (is_number and 1 <= int(text) <= maximum):
        raise ValueError(f"must be a whole number from 1 to {maximum}")
    return int(text)


def id_in_route(req: func.HttpRequest, no_such: Callable[[str], Exception]) -> str:
    """Return the id in the route; raises ``no_such`` for an invalid one, without a call to the task hub."""
    text = trimmed(req.route_params.get("id", ""))
    if not _ID.fullmatch(text):
        raise no_such(text)
    return text


def next_query(req: func.HttpRequest, token: str) -> str:
    """Return the query string of the next page, without the function key."""
    params = {**cast("Mapping[str, str]", req.params), "continuationToken": token}
    return urlencode({name: value for name, value in params.items() if name not in _OF_THE_HOST})


RECOVERY_POINTS: Final = an_object(
    {"sourceResourceId": resource_id(VIRTUAL_MACHINE), "vaultId": resource_id(VAULT)}, needed=("sourceResourceId",)
)
