"""A plan is worked out, or refused, before anything is trained."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from tuning.made_data import digits

from kscale.data.dataset import Dataset
from kscale.data.loading import load_dataset
from kscale.engine.recipe import Recipe
from kscale.errors import BudgetError, SpecError
from kscale.search.pool import Pool
from kscale.searches import plan_search
from kscale.task.objectives import find_objective
from kscale.task.tasks import Input, Task
from kscale.tuning.auto_families import families_for
from kscale.tuning.family_candidates import FamilyCandidates
from kscale.tuning.plan import Plan, family_plan, in_time
from kscale.tuning.request import SearchRequest


def larger_images() -> Dataset:
    """Digits of 16 x 16 pixels."""
    x, y = load_digits(return_X_y=True)
    return load_dataset((np.kron(x.reshape(-1, 8, 8), np.ones((1, 2, 2))), y))


def made_plan(data: Dataset | None = None, **options: Any) -> Plan:
    request = SearchRequest(**{"max_params": 50_000, **options})
    return family_plan(
        request,
        data or digits(),
        find_objective(None, digits().task.targets[0]),
        Recipe(2, 64),
        request.budget(),
    )


def pool_of(plan: Plan) -> Pool:
    assert isinstance(plan.candidates, FamilyCandidates)
    return plan.candidates.pool


def test_the_name_comes_from_the_identity_alone() -> None:
    assert made_plan().name == made_plan(trials=99, finalist_seeds=1).name
    assert made_plan().name.startswith("digits-mlp-50kparams-")
    assert made_plan().name != made_plan(seed=1).name
    assert made_plan().name != made_plan(settings={"depth": 2}).name
    assert made_plan().name != made_plan(max_params=50_001).name
    assert made_plan().name != made_plan(parametrization="mup").name
    assert "parametrization" not in made_plan().identity


def test_settings_are_the_same_however_they_are_written() -> None:
    first = made_plan(settings={"depth": "2", "norm": "none"})
    second = made_plan(settings={"norm": "none", "depth": 2})
    assert first.identity == second.identity


@pytest.mark.parametrize(
    ("task", "names"),
    [
        (Task.of("vector", (8,), classes=2), ["mlp"]),
        (Task.of("image", (8, 8, 1), classes=2), ["mlp"]),
        (Task.of("image", (12, 12, 1), classes=2), ["cnn", "resnet"]),
        (
            Task.of("tokens", (9,), classes=2, vocabulary=5),
            ["linear", "mlp", "cnn"],
        ),
        (Task.of("sequence", (9, 4), classes=2), ["rnn"]),
        (Task.of("spectrogram", (98, 40), classes=2), ["cnn", "rnn"]),
        (Task(2 * (Input("a", "tokens", (9,), 5),), ()), ["transformer"]),
    ],
)
def test_auto_takes_the_families_that_suit_the_inputs(
    task: Task, names: list[str]
) -> None:
    assert [family.name for family in families_for(("auto",), task)] == names
    first = ["rnn"] if task.inputs[0].kind == "image" else []
    both = families_for((*first, "auto", names[0]), task)
    assert [family.name for family in both] == [*first, *names]


def test_auto_says_what_it_takes_and_leaves_out_what_does_not_fit() -> None:
    assert made_plan().notes == ("Family auto: mlp, for images of 8 x 8.",)
    images = larger_images()
    first = "Family auto: cnn and resnet, for images of 16 x 16."
    assert made_plan(data=images).notes == (first,)
    plan = made_plan(images, max_params=500)
    assert plan.candidates.names == ("cnn",)
    assert {spec.family for spec in pool_of(plan).specs()} == {"cnn"}
    assert plan.notes[0] == first
    assert plan.notes[1].startswith("Family resnet is left out: No resnet fits max_")
    assert "-cnn-500params-" in plan.name
    texts = (["it is good", "it is bad"] * 20, ["yes", "no"] * 20)
    note = made_plan(data=load_dataset(texts)).notes[0]
    assert note == "Family auto: linear, mlp and cnn, for texts of up to 3 tokens."


def test_auto_leaves_out_a_family_that_a_setting_does_not_suit() -> None:
    plan = made_plan(data=larger_images(), settings={"norm": "none"})
    assert plan.candidates.names == ("cnn",)
    assert "resnet is left out: `norm` is one of pre, post, not 'none'" in plan.notes[1]


def test_a_family_that_was_named_must_fit() -> None:
    named = ("mlp", "cnn")
    assert made_plan(family=named).notes == ()
    with pytest.raises(BudgetError, match="No mlp fits max_params=500"):
        made_plan(max_params=500, family=named)
    with pytest.raises(SpecError, match="`norm` is one of none, batch, not 'layer'"):
        made_plan(family=named, settings={"norm": "layer"})
    with pytest.raises(BudgetError, match="No cnn or resnet fits max_params=10: the"):
        made_plan(larger_images(), max_params=10)


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"family": ("resnt",)}, "Unknown family 'resnt'"),
        (
            {"family": ("transformer",)},
            "transformer takes tokens or spectrogram inputs, but the data",
        ),
        (
            {"settings": {"dept": 1}},
            "Unknown knob of mlp 'dept'. Did you mean 'depth'",
        ),
        ({"settings": {"depth": 0}}, "depth=0"),
        ({"search": ("dropot",)}, "Did you mean 'dropout'"),
        ({"trials": 0}, "`trials >= 1` must hold, but got trials=0."),
        ({"seed": -1}, "`seed >= 0` must hold"),
        ({"searcher": "randm"}, "Did you mean 'random'"),
    ],
)
def test_what_cannot_be_is_refused(asked: dict[str, Any], text: str) -> None:
    with pytest.raises(SpecError, match=text):
        made_plan(**asked)


def test_a_search_needs_a_limit_that_something_fits() -> None:
    with pytest.raises(BudgetError, match="needs a limit"):
        made_plan(max_params=None)
    with pytest.raises(
        BudgetError, match=r"smallest mlp searched \(depth=1, width=8\)"
    ):
        made_plan(max_params=10)


def test_one_learning_rate_may_be_set() -> None:
    plan = made_plan(settings={"learning_rate": "0.002"})
    space = pool_of(plan).space
    assert space.learning_rates(space.families[0]) == (0.002,)


def test_the_fingerprint_of_the_data_is_part_of_the_identity() -> None:
    data = digits()
    fewer = load_dataset(
        (data.train.inputs["x"][:400], data.train.targets["label"][:400])
    )
    plans = [made_plan(each) for each in (data, fewer)]
    assert plans[0].identity != plans[1].identity


def test_the_order_of_searched_knobs_makes_no_other_search() -> None:
    same = [
        plan_search(digits(), max_params=50_000, search=search).identity
        for search in (["norm", "dropout"], ["dropout", "norm", "dropout", "depth"])
    ]
    assert same[0] == same[1]
    single = plan_search(digits(), max_params=50_000, search="dropout")
    assert single.request.search == ("dropout",)


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"family": []}, "needs a family"),
        ({"time_limit": "5m"}, "must be a number of seconds, but got '5m'"),
        ({"trials": "3"}, "`trials` must be whole"),
        ({"trials": 1.5}, "`trials` must be whole"),
        ({"epochs": 1.5}, "`epochs` must be whole"),
        ({"seed": None}, "`seed` must be whole"),
        ({"seeds": True}, "`seeds` must be whole"),
    ],
)
def test_arguments_of_a_wrong_type_are_refused(
    asked: dict[str, Any], text: str
) -> None:
    with pytest.raises(SpecError, match=text):
        plan_search(digits(), max_params=50_000, **asked)


def test_a_short_time_is_planned_with_fewer_epochs() -> None:
    plan = replace(
        made_plan(larger_images(), family=("cnn",), max_params=500_000),
        recipe=Recipe(400, 32),
    )
    epochs = [in_time(plan, seconds).recipe.epochs for seconds in (60, 200, 9000)]
    assert 1 < epochs[0] < epochs[1] < epochs[2] == 400
    assert in_time(plan, 10, epochs=7).recipe == Recipe(7, 32)
    cheap = replace(made_plan(), recipe=Recipe(40, 32))
    assert in_time(cheap, 10).recipe.epochs == 40
