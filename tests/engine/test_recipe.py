"""Epochs, batches, order and the sign of too little training."""

import numpy as np
import pytest

from kscale.engine.recipe import Recipe, is_undertrained
from kscale.errors import SpecError


@pytest.mark.parametrize(
    ("examples", "recipe"),
    [
        (1257, Recipe(40, 32)),
        (310, Recipe(40, 32)),
        (5000, Recipe(21, 64)),
        (51_000, Recipe(5, 128)),
        (20, Recipe(40, 20)),
    ],
)
def test_recipe_suits_the_number_of_examples(examples: int, recipe: Recipe) -> None:
    assert Recipe.for_examples(examples) == recipe


def test_batches_divide_by_the_replicas() -> None:
    assert Recipe.for_examples(1000, batch_size=31, replicas=2).batch_size == 30
    assert Recipe.for_examples(1000, batch_size=1, replicas=4).batch_size == 4
    with pytest.raises(SpecError, match="4 devices cannot share 3 examples"):
        Recipe.for_examples(3, replicas=4)


def test_order_depends_on_seed_and_epoch_alone_and_repeats_no_example() -> None:
    recipe = Recipe(10, 32)
    order = recipe.order(100, seed=5, epoch=2)
    assert order.shape == (3, 32)
    assert len(np.unique(order)) == 96 and order.max() < 100
    assert np.array_equal(order, recipe.order(100, seed=5, epoch=2))
    assert not np.array_equal(order, recipe.order(100, seed=5, epoch=3))
    assert not np.array_equal(order, recipe.order(100, seed=6, epoch=2))


def test_a_curve_that_rises_to_the_end_is_undertrained() -> None:
    rising = list(np.linspace(0.1, 0.9, 20))
    flat = [0.1, 0.5, 0.8, *[0.9] * 17]
    falling = [0.1, 0.9, *np.linspace(0.9, 0.8, 18)]
    assert is_undertrained(rising, steady=15, stderr=0.01)
    assert not is_undertrained(flat, steady=15, stderr=0.01)
    assert not is_undertrained(falling, steady=15, stderr=0.01)


def test_what_the_falling_learning_rate_adds_is_not_counted() -> None:
    curve = [0.5] * 15 + [0.9] * 5
    assert not is_undertrained(curve, steady=15, stderr=0.01)


def test_one_epoch_is_too_few_and_two_are_compared() -> None:
    assert is_undertrained([0.5], steady=1, stderr=0.01)
    assert is_undertrained([0.5, 0.7], steady=1, stderr=0.01)
    assert not is_undertrained([0.7, 0.7], steady=1, stderr=0.01)
