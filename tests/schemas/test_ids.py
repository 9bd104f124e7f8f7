"""Schema ids follow from the schemas alone, and every earlier version stays readable."""

import json
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bourse.schemas.definitions import ROW_RECORDS, TOPIC_RECORDS, SchemaFileError
from bourse.schemas.ids import LocalIds, Schema, by_id, current, earlier_versions, same_record, schema_from

ALL_RECORDS = TOPIC_RECORDS + ROW_RECORDS
HISTORY = [(name, version) for name in ALL_RECORDS for version in earlier_versions(name)]


def compatible(old: Schema, new: Schema) -> list[str]:
    """Return why the new schema cannot read what the old one wrote; empty where it can (Avro, "Schema Resolution")."""
    return _unreadable_fields(old.parsed, new.parsed)


def _unreadable_fields(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    was = {field["name"]: field["type"] for field in old["fields"]}
    return [
        field["name"]
        for field in new["fields"]
        if not (_reads(was[field["name"]], field["type"]) if field["name"] in was else "default" in field)
    ]


def _reads(old: Any, new: Any) -> bool:
    match old, new:
        case list(), list():
            return len(old) == len(new) and all(map(_reads, old, new))
        case {"type": "record"}, {"type": "record"}:
            return _unreadable_fields(old, new) == []
        case {"type": "enum"}, {"type": "enum"}:
            return new["symbols"][: len(old["symbols"])] == old["symbols"]
        case {"type": "array"}, {"type": "array"}:
            return _reads(old["items"], new["items"])
        case _:
            return old == new


def test_ids_are_31_bits_of_the_fingerprint_of_the_canonical_form() -> None:
    schema = current("Halt")
    fingerprint = fastavro.schema.fingerprint(schema.canonical, "SHA-256")

    assert schema.local_id() == int(fingerprint[:8], 16) >> 1
    assert LocalIds().id_of("Halt") == schema.local_id()


def test_docs_units_and_defaults_do_not_change_an_id() -> None:
    source = json.loads(current("Halt").text)
    source["fields"][0]["doc"] = "Something else."
    del source["fields"][0]["default"]

    assert schema_from(json.dumps(source)).local_id() == current("Halt").local_id()


def test_every_version_has_an_id_of_its_own() -> None:
    schemas = [*map(current, ALL_RECORDS), *(version for _, version in HISTORY)]
    ids = LocalIds()

    assert len({schema.local_id() for schema in schemas}) == len(schemas)
    for schema in schemas:
        found = ids.schema_of(schema.local_id())
        assert found is not None
        assert found.canonical == schema.canonical


def test_two_schemas_with_one_id_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Schema, "local_id", lambda _: 5)
    with pytest.raises(SchemaFileError, match="Order and Trade share schema id 5"):
        by_id([current("Order"), current("Trade")])


def test_one_schema_twice_is_no_collision() -> None:
    assert len(by_id([current("Order"), current("Order")])) == 1


@pytest.mark.parametrize(
    "text", ['"string"', '{"type": "enum", "name": "E", "symbols": ["A"]}', '["null", "long"]']
)
def test_a_schema_that_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(SchemaFileError, match="not a record's"):
        schema_from(text)


@pytest.mark.parametrize(
    "text",
    ["{", '{"type": "record"}', '{"type": "record", "name": "A", "fields": [{"name": "a", "type": "B"}]}'],
)
def test_a_schema_that_does_not_parse_is_refused(text: str) -> None:
    with pytest.raises(SchemaFileError):
        schema_from(text)


def test_a_record_is_known_by_its_aliases_too() -> None:
    execution = schema_from('{"type": "record", "name": "Execution", "fields": []}')
    assert same_record("Trade", execution)
    assert not same_record("Order", execution)


def test_there_is_a_history() -> None:
    assert {"Order", "Trade", "Announcement"} <= {name for name, _ in HISTORY}


@pytest.mark.parametrize(("name", "version"), HISTORY, ids=lambda case: case if isinstance(case, str) else "")
def test_the_current_schema_reads_every_earlier_one(name: str, version: Schema) -> None:
    assert compatible(version, current(name)) == []
    assert version.canonical != current(name).canonical


def test_an_enum_that_lost_a_symbol_would_not_be_compatible() -> None:
    source = json.loads(current("OrderEvent").text)
    source["fields"][5]["type"]["symbols"].pop()
    assert compatible(current("OrderEvent"), schema_from(json.dumps(source))) == ["status"]


def test_a_new_field_without_a_default_would_not_be_compatible() -> None:
    source = json.loads(current("Halt").text)
    source["fields"].append({"name": "why", "type": "string"})
    assert compatible(current("Halt"), schema_from(json.dumps(source))) == ["why"]


@given(st.integers(0, 2**31 - 1))
@settings(max_examples=50)
def test_other_ids_are_unknown(schema_id: int) -> None:
    known = {current(name).local_id() for name in ALL_RECORDS} | {
        version.local_id() for _, version in HISTORY
    }
    assert (LocalIds().schema_of(schema_id) is None) == (schema_id not in known)


def test_the_text_of_a_schema_keeps_docs_and_units() -> None:
    fields = msgspec.json.decode(current("Trade").text)["fields"]
    assert next(field for field in fields if field["name"] == "price")["unit"] == "price"
    assert all(field["doc"] for field in fields)
