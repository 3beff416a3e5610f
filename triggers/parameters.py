"""Query parameters, read like request bodies: an error names every wrong parameter, and unknown ones are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from domain.azure.resource_ids import VAULT, VIRTUAL_MACHINE
from domain.errors import InvalidRequestError
from domain.reading import INVALID_VALUE, Problems, Reader, an_object, resource_id
from domain.restore.parts import Status
from domain.texts import trimmed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import azure.functions as func

    from domain.errors import Json

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


def parse_status(text: str) -> Status:
    """Return the status with this name, in any letter case; raises ``ValueError``."""
    name = trimmed(text).casefold()
    found = next((status for status in Status if status.casefold() == name), None)
    if found is None:
        raise ValueError(f"must be one of {', '.join(Status)}")
    return found


RECOVERY_POINTS: Final = an_object(
    {"sourceResourceId": resource_id(VIRTUAL_MACHINE), "vaultId": resource_id(VAULT)}, needed=("sourceResourceId",)
)
