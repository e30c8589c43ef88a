"""A request is described once, and checked before anything is read or trained."""

import inspect
import pickle
from pathlib import Path
from typing import Any

import pytest
from data.made_speech import random_texts, write_speech

import kscale
from kscale.cli import load_command
from kscale.cli.options import LOADING
from kscale.errors import BudgetError, ResultsError, SpecError
from kscale.networks.families import find_family
from kscale.networks.families.base import Spec
from kscale.searches import search
from kscale.tuning.family_candidates import FamilyCandidates
from kscale.tuning.options import OF_ONE_NETWORK, OPTIONS, single_request
from kscale.tuning.request import MOST_TRIALS, SearchRequest

OF_THE_COMMAND_LINE = {*LOADING, "weights", "as_json", "quiet"}
OF_PYTHON = {"checkpoint_seconds"}


def options_of(command: str) -> set[str]:
    """Names of the options of a command that reach the library as they are."""
    params = load_command(command).params
    return {str(item.name) for item in params} - OF_THE_COMMAND_LINE


def parameters_of(function: Any) -> dict[str, inspect.Parameter]:
    found = dict(inspect.signature(function).parameters)
    del found["listener"]
    return found


def test_python_the_command_line_and_the_request_have_the_same_options() -> None:
    assert [*OPTIONS] == [*parameters_of(kscale.tune)]
    assert OPTIONS.keys() - OF_PYTHON == options_of("tune")


def test_training_one_network_has_the_options_it_needs() -> None:
    named = {"family", "knobs"}
    assert {*OF_ONE_NETWORK} | named == parameters_of(kscale.train).keys()
    assert {*OF_ONE_NETWORK} | {"family", "depth", "width", "settings"} == options_of(
        "train"
    )


def test_defaults_are_the_same_in_python_and_on_the_command_line() -> None:
    given = load_command("tune").make_context("tune", ["--max-params", "9"]).params
    options = {name: value for name, value in given.items() if name in OPTIONS}
    assert vars(SearchRequest(**options)) == vars(SearchRequest(max_params=9))


def test_signature_and_docstring_come_from_the_options() -> None:
    parameters = inspect.signature(kscale.tune).parameters
    assert parameters["data"].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert parameters["trials"].kind is inspect.Parameter.KEYWORD_ONLY
    assert parameters["seeds"].default == 1
    assert parameters["max_params"].annotation == float | None
    text = str(kscale.tune.__doc__)
    assert "\n        trials: Most specs to try, before the finalists" in text
    assert "{options}" not in text
    assert max(map(len, text.splitlines())) <= 88
    for name in OPTIONS:
        assert f"\n        {name}: " in text


@pytest.mark.parametrize("function", [kscale.tune, kscale.train, kscale.plan_search])
def test_an_unknown_option_names_the_nearest(function: Any) -> None:
    with pytest.raises(TypeError, match="Did you mean 'batch_size'"):
        function("mlp", batchsize=3)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({}, BudgetError, "A search needs a limit"),
        ({"max_params": 0}, BudgetError, "`max_params` must be a whole number"),
        ({"max_params": 9, "family": ()}, SpecError, "needs a family"),
        ({"max_params": 9, "run": " "}, ResultsError, "run folder is empty"),
        ({"max_params": 9, "run": 5}, ResultsError, "a folder, but '5' is none"),
        ({"max_params": 9, "run": __file__}, ResultsError, "test_request.py' is none"),
        ({"max_params": 9, "strategy": 5}, SpecError, "Unknown strategy 5. Known: "),
        ({"max_params": 9, "strategy": "on"}, SpecError, "Did you mean 'one'"),
        ({"max_params": 9, "precision": "bfloat"}, SpecError, "you mean 'bfloat16'"),
        ({"max_params": 9, "parametrization": "mu"}, SpecError, "you mean 'mup'"),
        ({"max_params": 9, "searcher": "randm"}, SpecError, "Did you mean 'random'"),
        ({"max_params": 9, "effort": "norml"}, SpecError, "Did you mean 'normal'"),
        ({"max_params": 9, "effort": 5}, SpecError, "Known: normal, quick, thorough"),
    ],
)
def test_what_cannot_be_is_refused_before_data_is_read(
    options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        SearchRequest("no such data", **options)


@pytest.mark.parametrize(
    ("options", "effort", "trials"),
    [
        ({}, "normal", MOST_TRIALS),
        ({"trials": 7}, None, 7),
        ({"time_limit": 60.0}, None, MOST_TRIALS),
        ({"trials": 7, "effort": "quick"}, "quick", 7),
        ({"time_limit": 60.0, "effort": "thorough"}, "thorough", MOST_TRIALS),
    ],
)
def test_a_search_without_any_limit_is_of_normal_effort(
    options: dict[str, Any], effort: str | None, trials: int
) -> None:
    request = SearchRequest(max_params=9, **options)
    assert (request.chosen_effort, request.most_trials) == (effort, trials)


@pytest.mark.parametrize(
    ("options", "stops"),
    [
        ({}, True),
        ({"effort": "quick", "trials": 7}, True),
        ({"time_limit": 60.0}, True),
        ({"effort": "thorough"}, False),
        ({"trials": 7}, False),
        ({"trials": 7, "stop_when_flat": True}, True),
        ({"stop_when_flat": False}, False),
    ],
)
def test_a_search_stops_by_itself_unless_much_was_asked_for(
    options: dict[str, Any], stops: bool
) -> None:
    assert SearchRequest(max_params=9, **options).stops_when_flat is stops


def test_options_are_the_same_however_they_are_written() -> None:
    one = SearchRequest(max_params=9, family="mlp", search="norm")
    two = SearchRequest(max_params=9, family=["mlp"], search=["depth", "norm"])
    assert (one.family, one.search) == (two.family, two.search) == (("mlp",), ("norm",))
    assert one.settings == {}


def test_a_request_travels_to_another_process() -> None:
    request = SearchRequest(max_params=9, settings={"depth": 2})
    assert vars(pickle.loads(pickle.dumps(request))) == vars(request)


def test_training_one_network_is_a_search_of_its_size() -> None:
    request = single_request("mlp", {"depth": 2, "learning_rate": 0.01}, seed=3)
    family = find_family("mlp")
    spec = family.spec(depth=2)
    assert request.budget().limits == {
        "max_params": family.size(spec, request.data.task).params
    }
    assert request.settings == {**dict(spec.knobs), "learning_rate": 0.01}
    assert (request.trials, request.finalist_seeds, request.seed) == (1, 0, 3)


def planned(knobs: dict[str, Any], data: Any) -> list[Spec]:
    """The networks of a search of a single transformer."""
    plan = kscale.plan_search(single_request("transformer", knobs, data))
    assert isinstance(plan.candidates, FamilyCandidates)
    return [*plan.candidates.pool.specs()]


@pytest.mark.parametrize("convolution", [0, 7, None])
def test_a_single_network_keeps_a_knob_whose_default_depends_on_the_data(
    convolution: int | None, tmp_path: Path
) -> None:
    data = kscale.load_dataset(
        write_speech(tmp_path, random_texts(12)), source="wav", label="text"
    )
    family = find_family("transformer")
    knobs = {} if convolution is None else {"convolution": convolution}
    knobs = {"depth": 1, "width": 8, "mlp_ratio": 1, **knobs}
    asked = dict(family.spec(data.task, **knobs).knobs)

    (found,) = planned(knobs, data)
    (again,) = planned(asked, data)

    assert dict(found.knobs) == asked
    assert found["convolution"] == (15 if convolution is None else convolution)
    assert again == found


def test_the_time_of_planning_is_part_of_the_time_limit() -> None:
    plan = kscale.plan_search(max_params=9_000, family="mlp")
    assert plan.seconds > 0
    assert list(inspect.signature(search).parameters) == ["plan", "listener"]


def test_a_request_is_planned_as_it_is_or_with_other_options() -> None:
    request = SearchRequest(max_params=9_000, family="mlp", trials=3)
    plan, other = kscale.plan_search(request), kscale.plan_search(request, seed=7)
    assert plan.request.trials == other.request.trials == 3
    assert (plan.request.seed, other.request.seed) == (0, 7)


@pytest.mark.parametrize(
    "options",
    [{"family": 5}, {"search": 5}, {"settings": [1]}, {"checkpoint_seconds": -1.0}],
    ids=str,
)
def test_options_of_a_wrong_form_are_one_sentence(options: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=next(iter(options))):
        SearchRequest(max_params=1000, **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_bytes": 9000, "bits": 3}, "Unknown number of bits '3'"),
        ({"max_params": 9000, "bits": "auto"}, "`bits` needs `max_bytes`"),
        ({"max_bytes": 9000, "bits": 8, "finalist_seeds": 0}, "ends with finalists"),
        ({"max_bytes": 9000, "bits": 8, "for_law": True}, "ends with finalists"),
    ],
)
def test_bits_that_nothing_could_be_scored_in_are_refused(
    options: dict[str, Any], said: str
) -> None:
    with pytest.raises(SpecError, match=said):
        SearchRequest(**options)
    assert SearchRequest(max_bytes=9000, bits=8).budget().bits == (8,)


def test_a_board_limits_flash_and_ram_and_a_smaller_limit_counts() -> None:
    budget = SearchRequest(board="stm32f446", max_ram=10_000).budget()
    assert budget.of_device == {"max_flash": 393_216, "max_ram": 10_000}
    with pytest.raises(SpecError, match="Did you mean 'esp32-c3'"):
        SearchRequest(board="esp32c3")
    with pytest.raises(BudgetError, match="what a hypermodel needs on a device"):
        SearchRequest(max_ram=10_000, hypermodel="models:build")
