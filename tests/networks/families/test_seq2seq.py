"""Translators have the size of Keras; padding and later tokens change nothing."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from contracts.family import check_size_equals_keras

from kscale.building.models import build_model
from kscale.errors import SpecError
from kscale.networks.families.seq2seq import FAMILY, tables_for
from kscale.reports.counting import change_task
from kscale.task.tasks import Task

assert FAMILY.usual is not None
JOINT = change_task(FAMILY.usual, (9,), vocabulary=13)
APART = Task(
    (replace(JOINT.inputs[0], vocabulary=11, shape=(7,)), JOINT.inputs[1]),
    JOINT.targets,
)
KNOBS: list[dict[str, Any]] = [
    {"width": 16, "depth": 2, "norm": "post", "learned_positions": True, "heads": 2},
    {"width": 7, "depth": 2, "decoder_depth": 1, "shared_embeddings": "target"},
    {"width": 8, "decoder_width": 24, "shared_embeddings": "none", "shared": True},
]


@pytest.mark.parametrize("knobs", KNOBS)
def test_sizes_equal_keras(knobs: dict[str, Any]) -> None:
    tasks = (
        [JOINT] if knobs.get("shared_embeddings", "all") == "all" else [JOINT, APART]
    )
    for task in tasks:
        check_size_equals_keras(FAMILY.blueprint(FAMILY.spec(**knobs), task))


def test_size_and_flops_by_hand() -> None:
    spec = FAMILY.spec(width=16, depth=2, decoder_depth=3, shared_embeddings="none")
    size = FAMILY.size(spec, APART)
    tables = 11 * 16 + 13 * 16 + 16 * 13 + 13
    blocks = 2 * (12 * 16**2 + 13 * 16) + 3 * (16 * 16**2 + 19 * 16)
    assert size.params == tables + blocks + 2 * 2 * 16
    encoder = 2 * (7 * 12 * 16**2 + 2 * 7 * 7 * 16)
    # The decoder's 9 positions read themselves, and 7 of the source.
    products = 9 * (4 + 2 + 8) * 16**2 + 7 * 2 * 16**2 + 2 * 9 * (9 + 7) * 16
    assert size.flops == 2 * (encoder + 3 * products + 9 * 16 * 13)
    joint = FAMILY.spec(width=16, depth=2, decoder_depth=3)
    assert FAMILY.size(joint, JOINT).params == 13 * 16 + blocks + 2 * 2 * 16


@pytest.mark.parametrize("knobs", KNOBS)
def test_padding_and_later_tokens_change_no_earlier_logits(
    knobs: dict[str, Any],
) -> None:
    model = build_model(FAMILY.blueprint(FAMILY.spec(**knobs), JOINT), seed=1)
    model.set_weights([weight * 2 for weight in model.get_weights()])

    def logits(source: list[int], *previous: int) -> Any:
        given = {"source": [source], "target/previous": [[*previous]]}
        return np.asarray(model({name: np.array(ids) for name, ids in given.items()}))

    source = [5, 12, 4, 3]
    base = logits(source, 2, 7, 4, 9)
    assert base.shape == (1, 4, 13)
    padded = logits([*source, 0, 0, 0], 2, 7, 4, 9, 0, 0)
    np.testing.assert_allclose(padded[:, :4], base, atol=1e-5, rtol=1e-5)
    later = logits(source, 2, 7, 11, 6)
    np.testing.assert_allclose(later[:, :2], base[:, :2], atol=1e-5, rtol=1e-5)
    assert np.abs(later[:, 2:] - base[:, 2:]).max() > 1e-3
    longer = logits([*source, 8], 2, 7, 4, 9)
    assert np.abs(longer - base).max(axis=-1).min() > 1e-4
    turned = logits(source[::-1], 2, 7, 4, 9)
    assert np.abs(turned - base).max() > 1e-4


def test_tables_are_one_where_sides_have_as_many_tokens() -> None:
    assert tables_for(JOINT) == ("all", "target", "none")
    assert tables_for(APART) == ("target", "none")
    names = {"all": 1, "target": 2, "none": 2}
    for shared, count in names.items():
        spec = FAMILY.spec(depth=1, width=8, shared_embeddings=shared)
        model = build_model(FAMILY.blueprint(spec, JOINT))
        tables = [it for it in model.weights if it.name == "embeddings"]
        assert len(tables) == count
        assert any(it.path.startswith("head/") for it in model.weights) == (
            shared == "none"
        )


@pytest.mark.parametrize(
    ("knobs", "task", "says"),
    [
        ({}, APART, "one vocabulary and one width, but got 11 and 13 tokens"),
        ({"decoder_width": 64}, JOINT, "width=128, decoder_width=64"),
        ({"heads": 3}, JOINT, r"`heads` \(=3\) must divide"),
        ({}, Task(JOINT.inputs[:1], JOINT.targets), "two inputs, a source and"),
    ],
)
def test_what_does_not_fit_is_refused(
    knobs: dict[str, Any], task: Task, says: str
) -> None:
    with pytest.raises(SpecError, match=says):
        FAMILY.size(FAMILY.spec(**knobs), task)
