"""Every searcher keeps the contract."""

from collections.abc import Callable

import pytest
from contracts.searcher import CHECKS

from kscale.search import SEARCHERS


@pytest.mark.parametrize("name", SEARCHERS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_searcher_keeps_the_contract(check: Callable[[str], None], name: str) -> None:
    check(name)
