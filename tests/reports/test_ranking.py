"""Orders of a front, and its knee, on rows of round numbers."""

import pytest
from made_runs import cnn, made_result

from kscale.errors import ResultsError
from kscale.reports.ranking import RANKINGS, knee_of, ranked_front
from kscale.reports.report import Row
from kscale.task.heads import HEADS

ACCURACY = HEADS["classes"].objectives["accuracy"]
ERROR = HEADS["real"].objectives["mean_absolute_error"]


def row(params: int, score: float, stderr: float = 0.0, **figures: float) -> Row:
    size = {"params": params, "trainable": params, "flops": params, "bytes": 4 * params}
    training = made_result(cnn(1, 8), score, stderr=stderr, **size)
    return Row((training,), **figures)  # type: ignore[arg-type]


def test_the_knee_is_where_doublings_stop_removing_a_twentieth_of_the_error() -> None:
    # errors .4, .2, .195: the first doubling halves the error, the second takes 2.5 %
    front = [row(1000, 0.6), row(2000, 0.8), row(4000, 0.805)]
    assert knee_of(front, ACCURACY) is front[1]


def test_small_steps_that_add_up_are_not_a_knee() -> None:
    # each step takes 5.5 % of the error with a tenth of a doubling
    front = [row(round(1000 * 2 ** (i / 10)), 1 - 0.4 * 0.945**i) for i in range(8)]
    assert knee_of(front, ACCURACY) is front[-1]


def test_a_better_row_far_away_is_seen_past_a_useless_one() -> None:
    front = [row(1000, 0.6), row(2000, 0.601), row(4000, 0.9)]
    assert knee_of(front, ACCURACY) is front[2]


def test_a_gain_within_one_standard_error_does_not_pay() -> None:
    front = [row(1000, 0.95), row(2000, 0.96, stderr=0.02)]
    assert knee_of(front, ACCURACY) is front[0]


def test_the_knee_of_an_error_falls() -> None:
    front = [row(1000, 4.0), row(2000, 3.0), row(4000, 2.95)]
    assert knee_of(front, ERROR) is front[1]


def test_the_knee_of_a_perfect_row_is_that_row() -> None:
    front = [row(1000, 0.9), row(2000, 1.0)]
    assert knee_of(front, ACCURACY) is front[1]


def test_a_front_of_one_row_is_its_own_knee() -> None:
    only = row(1000, 0.5)
    assert knee_of([only], ACCURACY) is only
    assert ranked_front([only], ACCURACY, "knee") == (only,)


@pytest.mark.parametrize("rank_by", RANKINGS)
def test_an_empty_front_has_every_order(rank_by: str) -> None:
    assert ranked_front([], ACCURACY, rank_by) == ()


@pytest.mark.parametrize(
    ("rank_by", "order"),
    [
        ("knee", [2000, 1000, 4000, 8000]),
        ("score", [8000, 4000, 2000, 1000]),
        ("size", [1000, 2000, 4000, 8000]),
        ("density", [1000, 4000, 2000, 8000]),
        ("netscore", [4000, 8000, 1000, 2000]),
        ("gain", [2000, 4000, 8000, 1000]),
    ],
)
def test_rankings_order_the_front(rank_by: str, order: list[int]) -> None:
    front = [
        row(1000, 0.60, density=9, net_score=2),
        row(2000, 0.80, density=2, net_score=1, gain=20),
        row(4000, 0.805, density=5, net_score=4, gain=0.5),
        row(8000, 0.81, density=1, net_score=3, gain=0.5),
    ]
    ranked = ranked_front(front, ACCURACY, rank_by)
    assert [item.params for item in ranked] == order


def test_an_unknown_ranking_names_the_nearest() -> None:
    with pytest.raises(ResultsError, match="Did you mean 'density'"):
        ranked_front([], ACCURACY, "densty")
