"""What callers see is written and described by the same types."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from domain.api_types import Uri  # noqa: TC001 - annotations are read at run time
from domain.codec import JsonOf, as_json, pack
from domain.errors import Json  # noqa: TC001 - likewise
from triggers.schemas import schemas_of


class Colour(StrEnum):
    RED = "Red"
    BLUE = "Blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part."""

    part_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """The whole."""

    text: str
    count: int
    share: float | None = field(metadata={"minimum": 0, "description": "From zero to one."})
    is_new: bool
    created: datetime
    took: timedelta | None
    colour: Colour | None
    link: Uri
    bag: Json
    part: Part | None
    parts: tuple[JsonOf[Part], ...]
    either: JsonOf[Part] | Colour | None = None
    others: tuple[Part, ...] = ()


def a_whole(**members: Any) -> Whole:
    usual: dict[str, Any] = {
        "text": "a",
        "count": 1,
        "share": 0.5,
        "is_new": True,
        "created": datetime(2026, 11, 20, 6, tzinfo=UTC),
        "took": timedelta(minutes=90),
        "colour": Colour.RED,
        "link": "https://example.org",
        "bag": {"some key": 1},
        "part": Part(part_name="p"),
        "parts": (as_json(Part(part_name="q")),),
    }
    return Whole(**usual | members)


class TestWhatIsWritten:
    def test_has_camel_case_members_times_durations_and_enums_as_text(self) -> None:
        assert as_json(a_whole()) == {
            "text": "a",
            "count": 1,
            "share": 0.5,
            "isNew": True,
            "created": "2026-11-20T06:00:00Z",
            "took": "PT1H30M",
            "colour": "Red",
            "link": "https://example.org",
            "bag": {"some key": 1},
            "part": {"partName": "p"},
            "parts": [{"partName": "q"}],
        }

    def test_has_plain_text_for_an_enum(self) -> None:
        assert type(as_json(a_whole())["colour"]) is str

    def test_has_null_for_what_is_not_known_and_no_member_for_what_is_optional(self) -> None:
        written = as_json(a_whole(share=None, part=None))

        assert (written["share"], written["part"]) == (None, None)
        assert not {"either", "others"} & written.keys()

    def test_has_the_optional_members_that_say_something(self) -> None:
        written = as_json(a_whole(either=Colour.BLUE, others=(Part(part_name="r"),)))

        assert (written["either"], written["others"]) == ("Blue", [{"partName": "r"}])

    def test_differs_from_a_history_in_durations(self) -> None:
        assert pack(a_whole())["took"] == 5400


class TestWhatIsDescribed:
    schemas = schemas_of([Whole])

    def test_is_each_type_by_its_name_with_its_docstring(self) -> None:
        assert {name: schema["description"] for name, schema in self.schemas.items()} == {
            "Whole": "The whole.",
            "Part": "A part.",
        }

    def test_requires_the_members_without_a_default(self) -> None:
        whole = self.schemas["Whole"]

        assert whole["properties"].keys() - set(whole["required"]) == {"either", "others"}

    @pytest.mark.parametrize(
        ("name", "schema"),
        [
            ("count", {"type": "integer"}),
            ("isNew", {"type": "boolean"}),
            ("created", {"type": "string", "format": "date-time"}),
            ("link", {"type": "string", "format": "uri"}),
            ("bag", {"type": "object"}),
            ("colour", {"anyOf": [{"type": "string", "enum": ["Red", "Blue"]}, {"type": "null"}]}),
            ("part", {"anyOf": [{"$ref": "#/components/schemas/Part"}, {"type": "null"}]}),
            ("parts", {"type": "array", "items": {"$ref": "#/components/schemas/Part"}}),
            (
                "share",
                {
                    "anyOf": [{"type": "number"}, {"type": "null"}],
                    "minimum": 0,
                    "description": "From zero to one.",
                },
            ),
        ],
    )
    def test_has_the_schema_of_each_type(self, name: str, schema: Json) -> None:
        assert self.schemas["Whole"]["properties"][name] == schema

    def test_says_of_an_optional_member_that_it_is_never_null(self) -> None:
        either = self.schemas["Whole"]["properties"]["either"]

        assert either == {"anyOf": [{"$ref": "#/components/schemas/Part"}, {"type": "string", "enum": ["Red", "Blue"]}]}

    @pytest.mark.parametrize(
        "members", [{}, {"share": None, "took": None, "colour": None, "part": None}, {"either": Colour.RED}]
    )
    def test_fits_what_is_written(self, members: Json) -> None:
        described = {"$ref": "#/components/schemas/Whole", "components": {"schemas": self.schemas}}

        Draft202012Validator(described).validate(as_json(a_whole(**members)))

    def test_must_be_of_a_known_type(self) -> None:
        @dataclass(frozen=True)
        class Strange:
            """Strange."""

            raw: bytes

        with pytest.raises(KeyError, match="bytes"):
            schemas_of([Strange])
