"""What was understood of data, as people read it."""

from collections.abc import Callable

import numpy as np

from kscale.data.describing import dataset_text
from kscale.data.loading import load_dataset


def test_text_of_many_classes_and_values(golden: Callable[[str], None]) -> None:
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(25), np.arange(4, 29))
    x = rng.normal(size=(len(classes), 3)).astype(np.float32)
    y = {"kind": classes, "cost": np.stack([classes * 1e3, -x[:, 0]], axis=1)}
    data = load_dataset(({"x": x}, y), name="made \x1b[31mup")
    text = dataset_text({**data.describe(), "families": ["mlp"]}, 100)
    assert text.count("\n") < 50
    golden(text)


def test_given_parts_and_a_single_value_are_told() -> None:
    x = np.arange(60.0).reshape(30, 2)
    parts = {f"x_{part}": x for part in ("train", "validation", "test")}
    parts |= {f"y_{part}": x[:, 0] / 7 for part in ("train", "validation", "test")}
    text = str(load_dataset(parts))
    assert "train 30, validation 30, test 30; as they were given" in text
    assert "Target value: 1 real value" in text
    assert "Warning: 30 of 30 test examples are also in the training part." in text
