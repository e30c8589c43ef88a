"""A search for the law, trained for real: it goes on, and leaves no finalists."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tuning.made_data import digits

from kscale import tune
from kscale.engine.recipe import Recipe
from kscale.errors import BudgetError, SpecError
from kscale.networks.families import find_family
from kscale.networks.sizing import Size
from kscale.runs.records import Training
from kscale.search.contract import Job
from kscale.task.objectives import task_objective
from kscale.tuning.request import SearchRequest
from kscale.tuning.trainer import TrainingSetup

SMALL: dict[str, Any] = {
    "family": "mlp",
    "max_params": 3000,
    "for_law": True,
    "examples_ladder": True,
    "epochs": 2,
    "batch_size": 128,
    "settings": {"depth": 1, "learning_rate": 0.01},
}


@pytest.mark.slow
def test_a_search_for_the_law_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    begun = tune(digits(), run=tmp_path / "run", trials=2, **SMALL)
    run = tune(digits(), run=tmp_path / "run", trials=8, **SMALL)
    assert run.trainings[: len(begun.trainings)] == begun.trainings
    searched = [item for item in run.trainings if item.stage == "search"]
    assert len(searched) == 6 == len({item.key for item in searched})
    assert len({item.params for item in searched}) == 3  # and further seeds
    assert {t.stage for t in run.trainings} == {"baseline", "search", "subset"}
    fewer = [item for item in run.trainings if item.stage == "subset"]
    everything = len(digits().train)
    assert [t.trained_on for t in fewer] == [round(everything * t.share) for t in fewer]
    assert {item.trained_on for item in searched} == {everything}
    counted = {t for e in run.entries() for t in (*e.results, *e.others)}
    assert not counted & {*fewer}
    assert any("the law" in note for note in run.description["notes"])


def test_one_network_has_no_law(tmp_path: Path) -> None:
    one = SMALL["settings"] | {"width": 8}
    with pytest.raises(BudgetError, match="only 1 size can be tried"):
        tune(digits(), run=tmp_path / "run", **(SMALL | {"settings": one}))
    assert not (tmp_path / "run").exists()


def test_examples_are_laddered_for_the_law_of_families_only() -> None:
    with pytest.raises(SpecError, match="it needs `for_law`, and no `hypermodel`"):
        SearchRequest(max_params=1000, examples_ladder=True)


def test_shares_of_the_examples_are_nested_and_keep_the_classes() -> None:
    data = digits()
    recipe = Recipe.for_examples(len(data.train), 2, 32)
    setup = TrainingSetup(data, task_objective(None, data.task), recipe)
    half, quarter = (
        np.unique(setup.order(made_training(share), 0)) for share in (0.5, 0.25)
    )
    whole = setup.order(made_training(1.0), 0)
    assert whole.shape == setup.order(made_training(0.25), 0).shape
    assert {*quarter} < {*half} and len(quarter) == setup.examples(0.25)
    (labels,) = data.train.targets.values()
    counts = np.bincount(np.asarray(labels)[quarter]) / np.bincount(labels)
    assert np.allclose(counts, 0.25, atol=0.03)


def made_training(share: float) -> Training:
    spec = find_family("mlp").spec(depth=1, width=8)
    job = Job("subset", 0, spec, (1,), (0.01,), 2, share=share)
    return job.training(0, Size(1, 1, 1, 1, 1))


def test_a_search_for_the_law_has_one_searcher() -> None:
    with pytest.raises(SpecError, match="leave out `searcher` .now halving."):
        SearchRequest(max_params=1000, for_law=True, searcher="halving")
