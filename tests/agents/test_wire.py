"""What a worker remembers of what it sent."""

from bourse.agents import wire
from bourse.agents.wire import Sent
from bourse.schemas.records import ApprovedOrder, OrderAction


def approved(number: int) -> ApprovedOrder:
    return ApprovedOrder(f"e{number}", f"o{number}", OrderAction.NEW, f"c{number}", "ACC", "ACX")


def test_what_comes_back_is_what_was_sent() -> None:
    sent, record = Sent(), approved(1)
    sent.remember(b"bytes", record)
    assert sent.pop(b"bytes", None) is record
    assert sent.pop(b"bytes", None) is None


def test_what_never_comes_back_is_forgotten() -> None:
    sent = Sent()
    for number in range(wire.SENT_REMEMBERED + 1):
        sent.remember(b"%d" % number, approved(number))
    assert len(sent) == 1
