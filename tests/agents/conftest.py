"""What the tests of running workers share."""

from collections.abc import Iterator

import pytest

from bourse.settings import Settings
from tests.agents.workers import Workers


@pytest.fixture
def workers(market: Settings) -> Iterator[Workers]:
    """Workers of a market of the test's own; every one is ended afterwards."""
    workers = Workers(market)
    yield workers
    workers.kill_all()
