"""Transformers have the size of Keras, and never read padding."""

from typing import Any

import numpy as np
import pytest
from contracts.family import check_size_equals_keras

from kscale.building.models import build_model
from kscale.errors import SpecError
from kscale.networks.families.encoder import heads_for
from kscale.networks.families.transformer import FAMILY
from kscale.task.tasks import Input, Target, Task

TEXT = Task.of("tokens", (6,), vocabulary=11, classes=3)
SEVERAL = Task(
    (Input("ids", "tokens", (5,), 9), Input("types", "tokens", (5,), 2)),
    (Target("label", "classes", 3), Target("value", "real", 2)),
)


@pytest.mark.parametrize(
    ("task", "knobs"),
    [
        (TEXT, {"depth": 1, "width": 7, "dropout": 0}),
        (TEXT, {"depth": 3, "width": 24, "heads": 2, "norm": "post"}),
        (TEXT, {"depth": 2, "shared": True, "embedding_width": 5}),
        (TEXT, {"depth": 2, "width": 16, "mlp_ratio": 1, "positions": 20}),
        (SEVERAL, {"depth": 1, "width": 8, "pooling": "first"}),
        (Task.of("tokens", (1,), vocabulary=3), {"depth": 1, "width": 8}),
    ],
)
def test_sizes_equal_keras(task: Task, knobs: dict[str, Any]) -> None:
    check_size_equals_keras(FAMILY.blueprint(FAMILY.spec(**knobs), task))


def logits(knobs: dict[str, Any], *texts: list[int]) -> Any:
    """Logits of texts of one length, from a model of just that length and always equal
    weights."""
    spec = FAMILY.spec(depth=2, width=16, heads=2, positions=8, **knobs)
    task = Task.of("tokens", (len(texts[0]),), vocabulary=11, classes=3)
    model = build_model(FAMILY.blueprint(spec, task), seed=1)
    # Embeddings start small; larger ones let every token matter.
    model.set_weights([weight * 5 for weight in model.get_weights()])
    return np.asarray(model(np.array(texts)))


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_padding_changes_nothing_and_tokens_do(norm: str, pooling: str) -> None:
    knobs = {"norm": norm, "pooling": pooling}
    text = [3, 7, 1, 9]
    (base,) = logits(knobs, text)
    padded, longer = logits(knobs, [*text, 0, 0, 0], [*text, 5, 2, 8])
    np.testing.assert_allclose(padded, base, rtol=1e-4, atol=1e-4)
    assert np.abs(longer - base).max() > 1e-2


def test_the_order_of_tokens_matters() -> None:
    forth, back = logits({}, [3, 7, 1, 9], [9, 1, 7, 3])
    assert np.abs(forth - back).max() > 1e-2


def test_a_block_has_12_width_squared_weights_and_13_width() -> None:
    sizes = [
        FAMILY.size(FAMILY.spec(depth=depth, width=40), TEXT).params
        for depth in (1, 2, 5)
    ]
    block = 12 * 40**2 + 13 * 40
    assert sizes[1] - sizes[0] == block and sizes[2] - sizes[1] == 3 * block


def test_shared_blocks_add_flops_and_no_weights() -> None:
    one, four = (
        FAMILY.size(FAMILY.spec(depth=depth, shared=True), TEXT) for depth in (1, 4)
    )
    assert one.params == four.params
    assert four.flops > 3 * one.flops


@pytest.mark.parametrize(
    ("task", "knobs", "says"),
    [
        (TEXT, {"width": 16, "heads": 3}, r"`heads` \(=3\) must divide .*\(=16\)"),
        (TEXT, {"positions": 5}, "positions >= 6"),
        (
            Task(
                (Input("a", "tokens", (5,), 9), Input("b", "tokens", (6,), 9)),
                (),
            ),
            {},
            "one length, but got 5, 6",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    task: Task, knobs: dict[str, Any], says: str
) -> None:
    with pytest.raises(SpecError, match=says):
        FAMILY.size(FAMILY.spec(**knobs), task)


def test_heads_divide_every_width_and_arrays_agree_with_ints() -> None:
    widths = np.arange(1, 300)
    heads = heads_for(widths)
    assert not np.any(widths % heads)
    assert list(heads) == [heads_for(int(width)) for width in widths]
    assert [heads_for(width) for width in (128, 768, 1024)] == [2, 12, 16]
    assert list(heads_for(np.array([8, 16]), heads=4)) == [4, 4]
