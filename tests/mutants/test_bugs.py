"""Every planted bug still fits the code and changes what it does; whether each is found, `make mutants` shows."""

import ast

import pytest

from bourse.settings import PROJECT_ROOT
from tests.mutants.bug import Bug
from tests.mutants.bugs import BUGS

FEWEST = 25


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_it_fits_and_changes_what_the_code_does(bug: Bug) -> None:
    source = (PROJECT_ROOT / bug.file).read_text()
    # Comments are not in the tree, so a bug in one would change nothing.
    assert ast.dump(ast.parse(bug.planted(source))) != ast.dump(ast.parse(source))


def test_there_are_enough_and_each_has_its_name() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= FEWEST
