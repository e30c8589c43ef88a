"""A search for the law, trained for real: it goes on, and leaves no finalists."""

from pathlib import Path
from typing import Any

import pytest
from tuning.made_data import digits

from kscale import tune
from kscale.errors import BudgetError, SpecError
from kscale.tuning.request import SearchRequest

SMALL: dict[str, Any] = {
    "family": "mlp",
    "max_params": 3000,
    "for_law": True,
    "epochs": 2,
    "batch_size": 128,
    "settings": {"depth": 1, "learning_rate": 0.01},
}


def test_a_search_for_the_law_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    begun = tune(digits(), run=tmp_path / "run", trials=2, **SMALL)
    run = tune(digits(), run=tmp_path / "run", trials=5, **SMALL)
    assert run.trainings[: len(begun.trainings)] == begun.trainings
    searched = [item for item in run.trainings if item.stage == "search"]
    assert len(searched) == 5 == len({item.key for item in searched})
    assert len({item.params for item in searched}) == 3  # and two further seeds
    assert {item.stage for item in run.trainings} == {"baseline", "search"}
    assert any("the law" in note for note in run.description["notes"])


def test_one_network_has_no_law(tmp_path: Path) -> None:
    one = SMALL["settings"] | {"width": 8}
    with pytest.raises(BudgetError, match="only 1 size can be tried"):
        tune(digits(), run=tmp_path / "run", **(SMALL | {"settings": one}))
    assert not (tmp_path / "run").exists()


def test_a_search_for_the_law_has_one_searcher() -> None:
    with pytest.raises(SpecError, match="a searcher of its own, not halving"):
        SearchRequest(max_params=1000, for_law=True, searcher="halving")
