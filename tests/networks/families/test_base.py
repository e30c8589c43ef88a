"""Knobs and specs refuse what makes no sense, in words that say what does."""

from typing import Any

import pytest

from kscale.errors import SpecError
from kscale.networks.families import FAMILIES, find_family
from kscale.networks.families.base import Spec, learning_rate_knob, width_knob
from kscale.task.tasks import Input, Target, Task

CNN = FAMILIES["cnn"]
TRANSFORMER = FAMILIES["transformer"]


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"depth": 0}, "1 <= depth <= 10000.*depth=0"),
        ({"depth": 1_000_000}, "1 <= depth <= 10000"),
        ({"depth": 1.5}, "`depth` must be a whole number, but got 1.5"),
        ({"depth": True}, "whole number, but got True"),
        ({"width": "nan"}, "whole number, but got 'nan'"),
        ({"width": float("nan")}, "whole number"),
        ({"width": float("inf")}, "whole number"),
        ({"width": "wide"}, "whole number"),
        ({"width": None}, "whole number"),
        ({"width": -8}, "1 <= width"),
        ({"width": 10**12}, "1 <= width"),
        ({"dropout": 1.5}, "0 <= dropout <= 0.95.*dropout=1.5"),
        ({"dropout": "nan"}, "0 <= dropout"),
        ({"dropout": True}, "`dropout` must be a number"),
        ({"label_smoothing": 2}, "0 <= label_smoothing <= 0.95"),
        ({"weight_decay": -1}, "0 <= weight_decay"),
        ({"activation": "rellu"}, "one of relu, gelu, silu, not 'rellu'"),
        ({"norm": True}, "`norm` must be a name"),
        ({"stages": 1000}, "0 <= stages"),
        ({"deep": 3}, "Unknown knob of cnn 'deep'. Did you mean 'depth'"),
    ],
)
def test_a_knob_that_makes_no_sense_is_refused(
    knobs: dict[str, Any], says: str
) -> None:
    with pytest.raises(SpecError, match=says):
        CNN.spec(**knobs)


@pytest.mark.parametrize("value", ["yes", 1, "1", None, 0.0])
def test_only_true_and_false_are_true_or_false(value: Any) -> None:
    with pytest.raises(SpecError, match="`shared` must be true or false"):
        TRANSFORMER.spec(shared=value)


@pytest.mark.parametrize("value", [True, "True", "true", "TRUE"])
def test_true_is_read_as_people_write_it(value: Any) -> None:
    assert TRANSFORMER.spec(shared=value)["shared"] is True


def test_values_get_the_type_of_the_knob() -> None:
    spec = CNN.spec(depth="3", width=16.0, dropout=0)
    assert (spec.depth, spec.width) == (3, 16)
    assert type(spec["width"]) is int and type(spec["dropout"]) is float
    assert spec == CNN.spec(depth=3, width=16, dropout=0.0)
    assert hash(spec) == hash(CNN.spec(depth=3, width=16))


def test_specs_survive_json() -> None:
    for family in FAMILIES.values():
        assert Spec.from_json(family.spec().to_json()) == family.spec()
    assert (FAMILIES["linear"].spec().depth, FAMILIES["linear"].spec().width) == (
        0,
        None,
    )


def test_families_and_knobs_not_known_get_the_nearest() -> None:
    with pytest.raises(SpecError, match="'transformr'. Did you mean 'transformer'"):
        find_family("transformr")
    with pytest.raises(SpecError, match="Did you mean 'learning_rate'"):
        CNN.knob("learningrate")


def test_a_family_refuses_inputs_of_another_kind() -> None:
    numbers = Task.of("vector", (4,), classes=2)
    with pytest.raises(SpecError, match="cnn takes image or .* data has vector"):
        CNN.size(CNN.spec(), numbers)
    both = Task((Input("a", "vector", (3,)), Input("b", "vector", (3,))), ())
    for name in ("linear", "mlp"):
        with pytest.raises(SpecError, match="takes one input, but the data has 2"):
            FAMILIES[name].size(FAMILIES[name].spec(), both)


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_every_target_gets_a_head_of_its_own(name: str) -> None:
    targets = (Target("a", "classes", 3), Target("b", "real", 5))
    task = Task((Input("x", "vector", (7,)),), targets)
    blueprint = FAMILIES[name].blueprint(FAMILIES[name].spec(), task)
    heads = blueprint.layers[-2:]
    assert blueprint.outputs == ("head/a", "head/b")
    assert heads[0].inputs == heads[1].inputs != ()


def test_widths_are_multiples_of_8_and_rates_even_in_their_logarithm() -> None:
    widths = width_knob(64, 100, "").values
    assert widths == (8, 16, 24, 32, 40, 48, 56, 64, 80, 96)
    rates = [float(rate) for rate in learning_rate_knob(1e-3, 1e-4, 1e-1).values]
    steps = [b / a for a, b in zip(rates, rates[1:], strict=False)]
    assert (rates[0], rates[-1]) == (1e-4, 1e-1)
    assert steps == pytest.approx([10**0.5] * 6, rel=0.02)
