"""A checkpoint holds all that a training needs to go on as if nothing had happened."""

from pathlib import Path

import numpy as np
import pytest
from tuning.made_data import digits, made_loop, run_epochs, small_spec, weights_of

from kscale.engine.progress import Progress, epochs_in
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow.checkpoints import load_checkpoint, save_checkpoint
from kscale.networks.families import find_family
from kscale.networks.families.base import Spec

RECIPE = Recipe(epochs=3, batch_size=64)


@pytest.mark.parametrize(
    "spec",
    [
        small_spec(dropout=0.3),
        find_family("cnn").spec(depth=1, width=8, augment="shift+flip"),
    ],
    ids=["dropout", "augment"],
)
def test_a_continued_training_equals_an_unbroken_one(
    spec: Spec, tmp_path: Path
) -> None:
    """Weights, both of Adam's moments, its step, and the state of what is random in
    training go on."""
    path = tmp_path / "weights.npz"
    orders = [RECIPE.order(len(digits().train), 1, epoch) for epoch in range(2)]
    unbroken = made_loop(spec, RECIPE)
    losses = run_epochs(unbroken, orders)
    first = made_loop(spec, RECIPE)
    first.run_epoch([orders[0]])
    save_checkpoint(path, first.model, first.optimizer, Progress(1, {"loss": [1.0]}))
    second = made_loop(spec, RECIPE, seed=99)
    progress = load_checkpoint(path, second.model, second.optimizer)
    assert progress == Progress(1, {"loss": [1.0]})
    assert second.run_epoch([orders[1]])[0] == pytest.approx(losses[1], rel=1e-5)
    np.testing.assert_allclose(weights_of(second), weights_of(unbroken), atol=1e-6)


def test_without_the_optimizer_a_continued_training_differs(tmp_path: Path) -> None:
    """The moments matter: the test above would notice if they were dropped."""
    path, spec = tmp_path / "weights.npz", small_spec()
    orders = [RECIPE.order(len(digits().train), 1, epoch) for epoch in range(2)]
    unbroken = made_loop(spec, RECIPE)
    unbroken.run_epoch([orders[0]])
    save_checkpoint(path, unbroken.model, unbroken.optimizer, Progress(1))
    unbroken.run_epoch([orders[1]])
    second = made_loop(spec, RECIPE)
    load_checkpoint(path, second.model, None)
    second.run_epoch([orders[1]])
    assert np.abs(weights_of(second) - weights_of(unbroken)).max() > 1e-4


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"not a file"])
def test_a_damaged_checkpoint_is_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.npz"
    path.write_bytes(content)
    loop = made_loop(small_spec(), RECIPE)
    before = weights_of(loop)
    assert load_checkpoint(path, loop.model, loop.optimizer) is None
    assert epochs_in(path) == 0
    np.testing.assert_array_equal(weights_of(loop), before)


def test_a_checkpoint_of_another_network_is_refused_whole(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    wide = made_loop(small_spec(width=10), RECIPE)
    save_checkpoint(path, wide.model, wide.optimizer, Progress(2))
    narrow = made_loop(small_spec(), RECIPE)
    before = weights_of(narrow)
    assert load_checkpoint(path, narrow.model, narrow.optimizer) is None
    np.testing.assert_array_equal(weights_of(narrow), before)
    assert epochs_in(path) == 2
