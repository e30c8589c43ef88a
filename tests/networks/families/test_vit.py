"""Vision transformers have the size of Keras, on images that no patch divides too."""

from typing import Any

import numpy as np
import pytest
from contracts.family import check_size_equals_keras

from kscale.building.models import build_model
from kscale.errors import SpecError
from kscale.networks.families.vit import FAMILY, patch_for
from kscale.networks.sizing import size_rows
from kscale.task.tasks import Input, Target, Task

SEVERAL = Task(
    (Input("x", "image", (13, 8, 2)),),
    (Target("label", "classes", 3), Target("value", "real", 2)),
)


@pytest.mark.parametrize(
    ("task", "knobs"),
    [
        (Task.of("image", (7, 9, 3), classes=4), {"depth": 1, "width": 7}),
        (Task.of("image", (28, 28, 1), classes=10), {"depth": 3, "width": 24}),
        (Task.of("image", (17, 33, 3), values=2), {"patch": 5, "mlp_ratio": 1}),
        (
            Task.of("image", (9, 9, 3), classes=2),
            {"depth": 2, "pooling": "token", "dropout": 0},
        ),
        (Task.of("image", (1, 1, 1), classes=2), {"width": 8, "heads": 4}),
        (SEVERAL, {"depth": 1, "width": 8, "pooling": "token"}),
        (Task.of("image", (8, 8, 1)), {"depth": 2, "patch": 8}),
    ],
)
def test_sizes_equal_keras(task: Task, knobs: dict[str, Any]) -> None:
    check_size_equals_keras(FAMILY.blueprint(FAMILY.spec(**knobs), task))


def test_flops_by_hand() -> None:
    spec = FAMILY.spec(depth=1, width=8, patch=4)
    task = Task.of("image", (8, 12, 3), classes=5)
    # 2 x 3 patches of 4 x 4 x 3 numbers; projections, scores and context, the two
    # dense layers; the head.
    assert FAMILY.size(spec, task).flops == 2 * (
        6 * (48 * 8) + 6 * 4 * 8 * 8 + 2 * 6 * 6 * 8 + 2 * 6 * 8 * 32 + 8 * 5
    )


def test_a_class_token_is_a_vector_and_a_position_more() -> None:
    task = Task.of("image", (8, 8, 1), classes=3)
    mean, token = (
        FAMILY.size(FAMILY.spec(width=24, pooling=pooling), task).params
        for pooling in ("mean", "token")
    )
    assert token - mean == 2 * 24


def test_patches_suit_the_image_and_are_at_most_64() -> None:
    assert [patch_for((side, side, 1)) for side in (1, 8, 28, 32)] == [2, 2, 4, 4]
    assert patch_for((40, 400, 1)) == 32
    for shape in ((7, 9, 3), (17, 33, 1), (224, 224, 3)):
        blueprint = FAMILY.blueprint(FAMILY.spec(), Task.of("image", shape, classes=2))
        rows = {row.path: row for row in size_rows(blueprint)}
        assert rows["patches"].shape[0] <= 64
        halved = [patch_for(shape) // 2] * 2
        finer = -(-shape[0] // halved[0]) * -(-shape[1] // halved[1])
        assert halved == [1, 1] or finer > 64


def test_an_image_is_padded_with_zeros_where_the_patch_does_not_divide_it() -> None:
    odd, even = (
        build_model(
            FAMILY.blueprint(
                FAMILY.spec(patch=4, depth=1, width=8),
                Task.of("image", (height, 8, 1), classes=3),
            ),
            seed=1,
        )
        for height in (6, 8)
    )
    image = np.random.default_rng(0).normal(size=(2, 6, 8, 1)).astype("float32")
    padded = np.pad(image, [(0, 0), (1, 1), (0, 0), (0, 0)])
    np.testing.assert_allclose(odd(image), even(padded), atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "token"])
def test_every_patch_and_its_place_matter(pooling: str) -> None:
    task = Task.of("image", (4, 4, 1), classes=3)
    spec = FAMILY.spec(depth=2, width=16, pooling=pooling)
    model = build_model(FAMILY.blueprint(spec, task), seed=1)
    # The class token starts at 0 and positions start small.
    rng = np.random.default_rng(0)
    model.set_weights([w + rng.normal(0, 0.3, w.shape) for w in model.get_weights()])
    image = rng.normal(size=(1, 4, 4, 1)).astype("float32")
    base = np.asarray(model(image))
    for row, column in ((0, 0), (0, 2), (2, 0), (2, 2)):
        changed = image.copy()
        changed[:, row : row + 2, column : column + 2] = 0
        assert np.abs(model(changed) - base).max() > 1e-3
    swapped = np.concatenate([image[:, 2:], image[:, :2]], axis=1)
    assert np.abs(model(swapped) - base).max() > 1e-3


@pytest.mark.parametrize(
    ("task", "knobs", "says"),
    [
        (
            Task.of("image", (8, 9, 1), classes=2),
            {"patch": 16},
            "patch <= 9`, the longer side .* got patch=16",
        ),
        (
            Task.of("image", (8, 8, 1), classes=2),
            {"width": 16, "heads": 3},
            r"`heads` \(=3\) must divide",
        ),
        (
            Task(
                (Input("a", "image", (5, 5, 1)), Input("b", "image", (5, 5, 1))),
                (),
            ),
            {},
            "takes one input, but the data has 2",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    task: Task, knobs: dict[str, Any], says: str
) -> None:
    with pytest.raises(SpecError, match=says):
        FAMILY.size(FAMILY.spec(**knobs), task)
