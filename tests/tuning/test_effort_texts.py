"""What a search says of its effort, in numbers that it keeps."""

import re

import pytest
from tuning.made_data import digits

from kscale import plan_search
from kscale.search.effort import Flat
from kscale.tuning.effort_texts import expected_effort, flat_search, spent_effort
from kscale.tuning.plan import Plan


def made_plan(**options: object) -> Plan:
    asked = {"max_params": 1000, "family": "mlp", **options}
    return plan_search(digits(), **asked)


def test_an_effort_is_told_beforehand_in_trainings_and_in_time() -> None:
    plan = made_plan(effort="thorough", max_params=1e7)
    text = expected_effort(plan, plan.cost_model())
    assert text.startswith("Effort thorough: as much as 20 full trainings of the best")
    assert re.search(r"about \d+m\d\ds if that is the largest that fits\.$", text)
    small = made_plan(effort="quick", family="linear", epochs=1)
    assert "about 9.0s if" in expected_effort(small, small.cost_model())


def test_without_an_effort_nothing_is_told_of_it() -> None:
    plan = made_plan(trials=3)
    assert expected_effort(plan, plan.cost_model()) == ""


@pytest.mark.parametrize(
    ("effort", "more"),
    [("normal", "--effort thorough"), ("thorough", "--trials in place of --effort")],
)
def test_a_spent_effort_names_the_next(effort: str, more: str) -> None:
    text = spent_effort(made_plan(effort=effort), ())
    assert text.startswith(f"Effort {effort} ended the search after 0 trainings")
    assert text.endswith(f"{more} goes on with it.")


@pytest.mark.parametrize(
    ("objective", "gain", "stderr"),
    [("accuracy", "0.05 points", "1.2 points"), ("crossentropy", "0.0005", "0.012")],
)
def test_a_flat_search_gives_its_reason(objective: str, gain: str, stderr: str) -> None:
    text = flat_search(made_plan(objective=objective), Flat(0.0005, 0.012))
    assert f"expected to gain at most {gain} of " in text
    assert f"the standard error of the best score is {stderr}." in text
