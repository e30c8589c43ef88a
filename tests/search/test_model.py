"""The model of scores, and what it reads of networks."""

import math

import numpy as np
import pytest

from kscale.networks.families import find_family
from kscale.search.draws import Draw
from kscale.search.features import Features
from kscale.search.model import Observation, ScoreModel

MLP = find_family("mlp")


def made_draws(number: int = 60, seed: int = 0) -> list[Draw]:
    """Draws of made-up sizes."""
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(number):
        depth, width = int(rng.integers(1, 6)), int(8 * rng.integers(1, 17))
        spec = MLP.spec(depth=depth, width=width)
        params = depth * width**2
        draws.append(Draw(spec, float(10 ** rng.uniform(-4, -1)), 2 * params, params))
    return draws


def truth(draw: Draw) -> float:
    """A score that is smooth in size and learning rate."""
    assert draw.learning_rate is not None
    rate = math.log10(draw.learning_rate) + 2.5
    return 10 * math.log10(draw.params) - 4 * rate**2


def made_model(draws: list[Draw], longest: float = 0.0) -> ScoreModel:
    """A model of the draws."""
    features = Features(draws)
    return ScoreModel(features.values, features.groups, features.networks, longest)


def test_features_are_comparable_and_none_is_there_twice() -> None:
    features = Features(made_draws())
    assert np.allclose(features.values.mean(axis=0), 0)
    assert np.allclose(features.values.std(axis=0), 1)
    # params and work say the same; so do equal knobs: depth, width, params, rate
    assert features.values.shape[1] == len(set(features.groups)) == 4


def test_words_have_a_column_each_and_one_length_scale() -> None:
    draws = [
        Draw(MLP.spec(norm=norm, depth=depth), 1e-3, depth, depth)
        for norm in ("none", "batch", "layer")
        for depth in (1, 2, 3, 4)
    ]
    features = Features(draws)
    _, counts = np.unique(features.groups, return_counts=True)
    assert sorted(counts) == [1, 3]


def test_a_knob_that_a_draw_lacks_is_at_the_mean() -> None:
    linear = [Draw(find_family("linear").spec(), 1e-3, n, n) for n in (10, 900)]
    values = Features([*linear, *made_draws(20)]).values
    at_mean = np.isclose(values, 0.0)
    assert at_mean[0].sum() == 2  # depth and width
    assert (at_mean[0] == at_mean[1]).all() and not at_mean[2:, at_mean[0]].any()


def test_a_vocabulary_of_0_is_all_words_and_not_the_fewest() -> None:
    vocabularies = (0, 500, 1000, 2000, 5000)
    draws = [Draw(MLP.spec(vocabulary=n), 1e-3, 10, 10) for n in vocabularies]
    features = Features(draws)
    assert features.groups.tolist() == [0, 0]
    assert np.argsort(features.values[1:, 0]).tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(features.values[0], [0, 2], atol=1e-9)
    np.testing.assert_allclose(features.values[1:, 1], -0.5)


def test_expectations_are_near_the_truth_and_sure_where_scores_are_known() -> None:
    draws = made_draws()
    model, scores = made_model(draws), np.array([truth(draw) for draw in draws])
    rows = [Observation(place, 0.0, float(scores[place])) for place in range(25)]
    expected = model.expect(rows)
    errors = np.abs(expected.mean - scores)
    assert errors[25:].mean() < 0.3 * scores.std()
    assert expected.deviation[:25].mean() < 0.5 * expected.deviation[25:].mean()
    untried = expected.improvement(float(scores[:25].max()))[25:]
    assert np.corrcoef(untried, scores[25:])[0, 1] > 0.3


def test_equal_scores_leave_open_what_their_standard_errors_hide() -> None:
    rows = [Observation(place, math.log(9), 95.0, 0.5) for place in range(8)]
    expected = made_model(made_draws(), math.log(9)).expect(rows)
    assert expected.improvement(95.0).max() > 0.1 * 0.5


def test_short_trainings_tell_what_long_ones_come_to() -> None:
    draws = made_draws()
    scores = np.array([truth(draw) for draw in draws])
    longest = math.log(9)
    short = [Observation(at, longest, float(scores[at]) - 20.0) for at in range(10, 40)]
    whole = [Observation(at, 0.0, float(scores[at])) for at in range(10)]
    alone = made_model(draws).expect(whole)
    both = made_model(draws, longest).expect([*whole, *short])
    errors = [np.abs(each.mean - scores)[40:].mean() for each in (alone, both)]
    assert errors[1] < errors[0]
    assert both.mean[10:40].mean() > scores[10:40].mean() - 5  # not 20 lower


def test_what_is_pending_is_not_asked_again_and_changes_no_mean() -> None:
    draws = made_draws()
    rows = [Observation(place, 0.0, truth(draws[place])) for place in range(12)]
    before = made_model(draws).expect(rows)
    after = made_model(draws).expect([*rows, Observation(30, 0.0, None)])
    assert np.allclose(before.mean, after.mean)
    assert after.deviation[30] < before.deviation[30]


def test_a_step_is_at_full_length_all_that_is_unknown() -> None:
    draws, longest = made_draws(), math.log(9)
    rows = [
        Observation(at, longest * (at % 3) / 2, truth(draws[at])) for at in range(12)
    ]
    model, places = made_model(draws, longest), np.arange(2, 60)
    expected = model.expect(rows)
    steps = model.steps(places, np.array([longest, 0.0]))
    assert np.allclose(steps[:, 1], expected.deviations[:, places], rtol=1e-3)
    best = float(expected.mean.max())
    gains = expected.gain(best, places, steps)
    assert np.allclose(gains[1], expected.improvement(best)[places], atol=1e-6)


def test_a_step_bounds_what_a_pending_training_takes_from_the_variance() -> None:
    """Noise keeps a training from telling all of its step."""
    draws, longest = made_draws(), math.log(9)
    rows = [Observation(at, longest, truth(draws[at])) for at in range(12)]
    model, lefts = made_model(draws, longest), np.array([longest / 2, 0.0])
    before = model.expect(rows)
    steps = model.steps(np.array([2, 30]), lefts)
    for at, left in enumerate(lefts.tolist()):
        for number, place in enumerate((2, 30)):
            after = model.expect([*rows, Observation(place, left, None)])
            told = before.deviations[:, place] ** 2 - after.deviations[:, place] ** 2
            most = steps[:, at, number] ** 2
            assert (told > 0.5 * most).all() and (told < 1.001 * most).all()


def test_a_longer_training_is_expected_to_gain_more() -> None:
    draws, longest = made_draws(), math.log(9)
    rows = [Observation(at, longest, truth(draws[at])) for at in range(12)]
    model, lefts = made_model(draws, longest), np.array([longest, longest / 2, 0.0])
    best, places = float(model.expect(rows).mean.max()), np.arange(12, 60)
    gains = model.expect(rows).gain(best, places, model.steps(places, lefts))
    assert gains.shape == (3, 48) and (np.diff(gains, axis=0) > 0).all()


@pytest.mark.parametrize("cut", [5, 11, 17])
def test_a_model_that_grew_equals_one_that_is_told_all_at_once(cut: int) -> None:
    draws = made_draws()
    rows = [Observation(place, 0.0, truth(draws[place])) for place in range(18)]
    grown = made_model(draws)
    grown.expect(rows[:cut])
    assert np.array_equal(grown.expect(rows).mean, made_model(draws).expect(rows).mean)


def test_other_results_than_before_are_learned_anew() -> None:
    draws = made_draws()
    rows = [Observation(place, 0.0, truth(draws[place])) for place in range(10)]
    others = [Observation(place, 0.0, -truth(draws[place])) for place in range(10)]
    model = made_model(draws)
    model.expect(rows)
    assert np.array_equal(
        model.expect(others).mean, made_model(draws).expect(others).mean
    )


def test_rows_that_are_out_come_and_go_as_if_told_at_once() -> None:
    draws = made_draws()
    grown, known, out = made_model(draws), [Observation(0, 0.0, truth(draws[0]))], [1]
    for place in range(2, 40):
        out.append(place)
        if place % 3 == 0:  # not in the order in which they went out
            ended = out.pop(len(out) // 2)
            known.append(Observation(ended, 0.0, truth(draws[ended])))
        if place == 30:  # one failed: it is gone for good
            out.pop(0)
        rows = [*known, *(Observation(at, 0.0, None) for at in out)]
        found, anew = grown.expect(rows), made_model(draws).expect(rows)
        assert np.array_equal(found.mean, anew.mean)
        assert np.allclose(found.deviation, anew.deviation, rtol=1e-6)
        best = max(row.score for row in known if row.score is not None)
        orders = [np.argsort(-each.improvement(best)) for each in (found, anew)]
        assert np.array_equal(*orders)  # which decides what is proposed
