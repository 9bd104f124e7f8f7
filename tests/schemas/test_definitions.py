"""The .avsc files: complete, documented, nullable as the contract wants it; and what the loader refuses."""

import json
from pathlib import Path

import fastavro
import pytest

from bourse.schemas import definitions
from bourse.schemas.definitions import (
    ROW_RECORDS,
    TOPIC_RECORDS,
    Enum,
    Field,
    Primitive,
    SchemaFileError,
    all_records,
    named,
    names,
    parts,
    record_definition,
    standalone,
)

AVSC = Path(definitions.__file__).parent / "avsc"
ALL_FIELDS = [(record.name, field) for record in all_records().values() for field in record.fields]


def test_every_file_is_listed_in_flow_order_or_is_an_enum() -> None:
    enums = {path.stem for path in (AVSC / "enums").iterdir()}
    assert {path.stem for path in AVSC.glob("*.avsc")} == set(TOPIC_RECORDS)
    assert {path.stem for path in (AVSC / "rows").iterdir()} == set(ROW_RECORDS)
    assert set(names()) == enums | set(TOPIC_RECORDS) | set(ROW_RECORDS)
    assert {name for name in names() if isinstance(named(name), Enum)} == enums


def test_every_file_defines_what_its_name_says() -> None:
    for name in names():
        assert named(name).name == name
        assert named(name).doc


@pytest.mark.parametrize(("record", "field"), ALL_FIELDS, ids=lambda case: getattr(case, "name", case))
def test_every_field_is_documented_and_every_nullable_defaults_to_null(record: str, field: Field) -> None:
    assert field.doc.endswith("."), f"{record}.{field.name} has no doc that is a sentence"
    assert (field.default is None) == field.nullable


def test_names_of_fields_and_units_agree() -> None:
    for record, field in ALL_FIELDS:
        assert field.name.endswith("_time_ns") == (field.unit == "time_ns"), f"{record}.{field.name}"
        assert field.unit is None or field.type == Primitive("long"), f"{record}.{field.name}"
        assert ("price" in field.name and not field.name.endswith("_bps")) <= (field.unit == "price"), (
            field.name
        )


def test_enums_are_upper_case_and_fit_in_one_byte() -> None:
    enums = [definition for name in names() if isinstance(definition := named(name), Enum)]
    for enum in enums:
        assert all(symbol == symbol.upper() for symbol in enum.symbols)
        assert len(enum.symbols) <= 64


@pytest.mark.parametrize("name", TOPIC_RECORDS + ROW_RECORDS)
def test_a_standalone_schema_needs_no_other(name: str) -> None:
    parsed = fastavro.parse_schema(json.loads(standalone(name)))
    assert parsed["name"] == f"bourse.{name}"
    assert [field["name"] for field in parsed["fields"]] == [
        field.name for field in record_definition(name).fields
    ]


def test_what_a_record_is_made_of_comes_before_it() -> None:
    seen: set[str] = set()
    for record in all_records().values():
        assert {part.name for part in parts(record)} <= seen
        seen.add(record.name)


def test_a_name_that_no_file_defines_is_refused() -> None:
    with pytest.raises(SchemaFileError, match=r"no \.avsc file defines Nothing"):
        named("Nothing")
    with pytest.raises(SchemaFileError, match="Side is an enum"):
        record_definition("Side")


@pytest.mark.parametrize("type_", [{"type": "map", "values": "long"}, {"type": "array", "items": "long"}, 7])
def test_a_type_that_records_have_no_use_for_is_refused(
    type_: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = {
        "type": "record",
        "name": "Odd",
        "doc": "Odd.",
        "fields": [{"name": "a", "type": type_, "doc": "A."}],
    }
    monkeypatch.setattr(definitions, "_sources", lambda: {"Odd": json.dumps(source).encode()})

    with pytest.raises(SchemaFileError, match="no such type here"):
        named("Odd")
