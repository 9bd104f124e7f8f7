"""A fresh book for every test of this room."""

import pytest

from tests.matching.exchange import Exchange


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()
