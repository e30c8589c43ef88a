"""A model trained by hand is trained as a search would."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tuning.made_data import digits, small_spec, train_in

from kscale.building.models import build_model
from kscale.engine.recipe import Recipe
from kscale.errors import DataError, SpecError
from kscale.networks.families import find_family
from kscale.search.contract import Job
from kscale.task.objectives import find_objective
from kscale.tuning.family_trainer import FamilyTrainer
from kscale.tuning.fit_model import fit_model
from kscale.tuning.trainer import TrainingSetup

HOW = {"learning_rate": 0.01, "epochs": 4, "batch_size": 128, "seed": 11}


def built_model(seed: int = 11) -> object:
    blueprint = find_family("mlp").blueprint(small_spec(), digits().task)
    return build_model(blueprint, seed=seed)


def test_the_scores_are_those_of_a_search(tmp_path: Path) -> None:
    objective = find_objective(None, digits().task.targets[0])
    trainer = FamilyTrainer(TrainingSetup(digits(), objective, Recipe(4, 128)))
    job = Job("search", 0, small_spec(), (11,), (0.01,), 4)
    result = train_in(tmp_path, trainer, job)
    scores = fit_model(built_model(), digits(), **HOW)
    assert scores == pytest.approx(result.curve["score"], abs=1e-6)
    assert scores[-1] == result.score


def test_a_training_in_two_parts_keeps_the_schedule_and_the_order() -> None:
    """Only the optimizer's moments are lost between the parts."""
    seen: list[int] = []
    model = built_model()
    first = fit_model(
        model, digits(), **HOW, epochs_to=1, on_epoch=lambda done, _: seen.append(done)
    )
    whole = fit_model(built_model(), digits(), **HOW)
    assert first == whole[:1]
    second = fit_model(
        model,
        digits(),
        **HOW,
        epochs_from=1,
        on_epoch=lambda done, _: seen.append(done),
    )
    assert seen == [1, 2, 3, 4] and len(second) == 3
    assert np.allclose(second, whole[1:], atol=0.15)


def test_a_value_is_scored_in_the_users_unit() -> None:
    from kscale.data.loading import load_dataset

    data = load_dataset("diabetes")
    family = find_family("linear")
    model = build_model(family.blueprint(family.spec(), data.task))
    scores = fit_model(model, data, learning_rate=0.02, epochs=10)
    assert 40 < scores[-1] < 90  # the spread of the 442 patients is 77


def test_what_cannot_be_is_refused_at_once() -> None:
    with pytest.raises(SpecError, match="epochs_from=4, epochs_to=4, epochs=4"):
        fit_model(built_model(), digits(), **HOW, epochs_from=4)
    with pytest.raises(DataError, match="Did you mean 'accuracy'?"):
        fit_model(built_model(), digits(), **HOW, objective="acuracy")


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"epochs": 0}, "1 <= epochs"),
        ({"epochs": 1.5}, "1 <= epochs"),
        ({"batch_size": 0}, "1 <= batch_size"),
        ({"learning_rate": -1.0}, "0 <= learning_rate"),
        ({"learning_rate": float("nan")}, "0 <= learning_rate"),
        ({"learning_rate": "0.1"}, "0 <= learning_rate"),
        ({"weight_decay": -3.0}, "0 <= weight_decay"),
        ({"label_smoothing": 7.0}, "0 <= label_smoothing"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(
    asked: dict[str, Any], text: str
) -> None:
    model = build_model(find_family("mlp").blueprint(small_spec(), digits().task))
    with pytest.raises(SpecError, match=text):
        fit_model(model, digits(), **{"learning_rate": 1e-3, **asked})


def test_data_may_be_named() -> None:
    model = build_model(find_family("mlp").blueprint(small_spec(), digits().task))
    scores = fit_model(model, "digits", learning_rate=1e-2, epochs=1)
    assert len(scores) == 1 and scores[0] > 0.1
