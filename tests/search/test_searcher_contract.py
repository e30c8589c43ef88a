"""Every searcher keeps the contract."""

from collections.abc import Callable

import pytest
from contracts.searcher import CHECKS, CHECKS_OF_A_SEQUENCE

from kscale.search import SEARCHERS


@pytest.mark.parametrize("name", SEARCHERS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_searcher_keeps_the_contract(check: Callable[[str], None], name: str) -> None:
    check(name)


@pytest.mark.parametrize("name", ["halving", "random"])
@pytest.mark.parametrize(
    "check", CHECKS_OF_A_SEQUENCE, ids=lambda check: check.__name__
)
def test_searcher_tries_the_same_whatever_is_out(
    check: Callable[[str], None], name: str
) -> None:
    check(name)
