"""The model that ships computes what was trained, and nothing random."""

from pathlib import Path

import numpy as np
from tuning.made_data import digits, made_loop

from kscale.families import find_family
from kscale.tuning.checkpoints import Progress, save_checkpoint
from kscale.tuning.packaging import package_model
from kscale.tuning.recipe import Recipe


def test_augmentation_does_not_ship(tmp_path: Path) -> None:
    spec = find_family("cnn").spec(depth=1, width=8, augment="shift+flip")
    loop = made_loop(spec, Recipe(epochs=1, batch_size=64))
    loop.run_epoch(np.arange(128, dtype=np.int32).reshape(2, 64))
    save_checkpoint(tmp_path / "a.npz", loop.model, loop.optimizer, Progress(1))
    model = package_model(spec, digits().task, tmp_path / "a.npz", {}, {})
    inputs = digits().validation.inputs
    logits = loop.predict(inputs)["label"]
    expected = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    # Called as it is, without a word on training.
    np.testing.assert_allclose(model(inputs["x"]), expected, atol=1e-5)
