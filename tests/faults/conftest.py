"""What the tests of the fault machine share with those of running workers."""

from tests.agents.conftest import workers

__all__ = ["workers"]
