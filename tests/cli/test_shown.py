"""How single records look to people: what strangers wrote cannot write to their terminal."""

import pytest

from bourse.cli.shown import Shown, text_line
from bourse.schemas.records import Order, OrderAction

ESCAPES = "\x1b]0;mine\x07\x9b2J"


@pytest.mark.parametrize(
    ("key", "record", "error"),
    [
        (ESCAPES.encode(), Order(OrderAction.NEW, "c1", "A"), None),
        (b"A", Order(OrderAction.NEW, ESCAPES, "A", oco_group="\r\n"), None),
        (b"A", None, f"no schema is called {ESCAPES}"),
    ],
)
@pytest.mark.parametrize("colour", [True, False])
def test_control_characters_are_spelled_out(
    *, key: bytes, record: Order | None, error: str | None, colour: bool
) -> None:
    line = text_line(Shown("orders", 0, 1, 0, key, b"", record, error), colour=colour)
    (text,) = line.splitlines()
    ours = text.replace("\x1b[", "") if colour else text
    assert ours.isprintable()
