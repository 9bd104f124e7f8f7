"""`records.py` is what the .avsc files say, and the generator says when it is not."""

import datetime as dt
import runpy
import sys
from pathlib import Path

import msgspec
import pytest

from bourse.schemas import generate, records
from bourse.schemas.definitions import all_records
from bourse.schemas.records import ROW_RECORDS, TOPIC_RECORDS, Order, OrderType, Record, Trade


def test_the_committed_records_are_the_generators_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--check"]) == 0
    assert capsys.readouterr().err == ""


def test_it_is_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["generate", "--check"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(generate.__file__, run_name="__main__")
    assert end.value.code == 0


def test_a_stale_file_is_told_of_and_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "records.py"
    target.write_text("stale")
    monkeypatch.setattr(generate, "TARGET", target)

    assert generate.main(["--check"]) == 1
    assert "records.py is stale: run python -m bourse.schemas.generate" in capsys.readouterr().err
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0


@pytest.mark.parametrize("record_type", TOPIC_RECORDS + ROW_RECORDS)
def test_records_have_the_fields_of_the_wire_in_its_order_and_are_frozen(record_type: type[Record]) -> None:
    definition = all_records()[record_type.__name__]
    config = record_type.__struct_config__

    assert record_type.__struct_fields__ == tuple(field.name for field in definition.fields)
    assert record_type.__doc__ == definition.doc
    assert config.frozen
    assert not config.gc


def test_every_record_and_row_is_listed() -> None:
    nested = {"BookLevel", "BookOrder", "PendingReplace", "PendingSettlement", "TickBand"}
    assert {record.__name__ for record in TOPIC_RECORDS + ROW_RECORDS} == set(all_records()) - nested


def test_defaults_are_those_of_the_schema() -> None:
    order = Order(records.OrderAction.NEW, "c", "A")
    assert (order.order_type, order.quantity, order.price, order.post_only) == (
        OrderType.LIMIT,
        0,
        None,
        False,
    )
    defaults = dict(
        zip(
            Trade.__struct_fields__[-len(Trade.__struct_defaults__) :], Trade.__struct_defaults__, strict=True
        )
    )
    assert defaults["trade_date"] == dt.date(1970, 1, 1)
    assert defaults["currency"] == "EUR"
    assert msgspec.structs.replace(order, quantity=5).quantity == 5
