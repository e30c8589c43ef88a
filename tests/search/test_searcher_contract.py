"""Every searcher keeps the contract."""

from collections.abc import Callable

import pytest
from contracts import searcher

from kscale.search import SEARCHERS

CHECKS = [
    searcher.check_same_seed_same_proposals,
    searcher.check_same_proposals_in_another_process,
    searcher.check_never_over_budget,
    searcher.check_ends_when_exhausted,
    searcher.check_survives_failures,
    searcher.check_what_is_planned_is_asked_in_that_order,
]


@pytest.mark.parametrize("name", SEARCHERS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_searcher_keeps_the_contract(check: Callable[[str], None], name: str) -> None:
    check(name)
