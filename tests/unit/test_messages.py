"""Messages: the classes and the schemas say the same."""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from typing import Any, get_args, get_type_hints

import pytest

import schemas
from reference.core import strict_json
from reference.core.errors import HangupReason
from reference.core.media import GOOD
from reference.core.messages import NAMES, AcceptMode, Message
from reference.core.phases import NEWEST

DEFINITIONS: dict[str, dict[str, Any]] = {
    name: body for stem in schemas.CHAPTERS for name, body in schemas.load(stem)["$defs"].items()
}


def fields_of(name: str) -> dict[str, dataclasses.Field[Any]]:
    """Return the fields of the message `name` that stand for members."""
    return {field.name: field for field in dataclasses.fields(NAMES[name]) if field.name != "rest"}


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the definition that a member's schema refers to, or the schema itself."""
    return DEFINITIONS[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def test_every_message_of_the_newest_phase_has_a_class() -> None:
    """Classes and messages are the same names in the same order, and the union has no others."""
    assert list(schemas.messages(NEWEST.value)) == list(NAMES)
    assert set(NAMES.values()) == set(get_args(Message))


@pytest.mark.parametrize("name", NAMES)
def test_the_fields_are_the_members(name: str) -> None:
    """Names and order of the fields are those of the schema's properties."""
    assert list(DEFINITIONS[name].get("properties", {})) == list(fields_of(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_field_without_a_default_is_a_required_member(name: str) -> None:
    """What the schema requires has no default; the others have what the wire says of their absence.

    A list is () by default, a text that is written as empty is empty, and all others are None.
    """
    required = {key for key, field in fields_of(name).items() if field.default is dataclasses.MISSING}
    assert set(DEFINITIONS[name].get("required", [])) == required
    for key, field in fields_of(name).items():
        if key not in required:
            schema = DEFINITIONS[name]["properties"][key]
            definition = resolved(schema)
            is_list = definition.get("type") == "array" and not definition.get("x-bytes", False)
            expected = () if is_list else {"empty": ""}.get(schema["x-absent"])
            assert expected == field.default, key


@pytest.mark.parametrize("name", NAMES)
def test_a_field_has_the_type_that_its_member_needs(name: str) -> None:
    """Byte arrays are bytes, closed sets of words are enumerations, and nothing else is either."""
    hints = get_type_hints(NAMES[name], localns=vars(strict_json))
    for key, schema in DEFINITIONS[name].get("properties", {}).items():
        kinds = [kind for kind in (hints[key], *get_args(hints[key])) if isinstance(kind, type)]
        definition = resolved(schema)
        assert definition.get("x-bytes", False) == (bytes in kinds), key
        assert ("enum" in definition) == any(issubclass(kind, StrEnum) for kind in kinds), key


def test_the_enumerations_are_those_of_the_schemas() -> None:
    """Each closed set of words has the same words in code and schema."""
    assert DEFINITIONS["AcceptMode"]["enum"] == [mode.value for mode in AcceptMode]
    assert DEFINITIONS["HangupReason"]["enum"] == [reason.value for reason in HangupReason]


def test_the_good_profile_is_a_profile() -> None:
    """The constant has exactly the members of a QualityProfile."""
    assert DEFINITIONS["QualityProfile"]["required"] == list(GOOD)


def test_a_message_cannot_be_changed() -> None:
    """Assigning to a field of a message is refused, so that what was checked stays as it was."""
    ping = NAMES["Ping"](timestamp_ms=1)  # type: ignore[call-arg]
    with pytest.raises(dataclasses.FrozenInstanceError):
        ping.timestamp_ms = 2  # type: ignore[union-attr,misc]
