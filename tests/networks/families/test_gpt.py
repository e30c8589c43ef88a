"""Language models read earlier tokens only, and have the size of Keras."""

from typing import Any

import numpy as np
import pytest
from contracts.family import check_size_equals_keras

from kscale.building.models import build_model
from kscale.errors import SpecError
from kscale.networks.families.gpt import FAMILY
from kscale.reports.counting import change_task
from kscale.task.tasks import Task

assert FAMILY.usual is not None
TEXT = change_task(FAMILY.usual, (8,), vocabulary=13)


@pytest.mark.parametrize(
    "knobs",
    [
        {"depth": 1, "width": 7, "dropout": 0.0, "tied": False},
        {"depth": 3, "width": 24, "heads": 2, "mlp_ratio": 2},
        {"depth": 2, "width": 16, "shared": True},
    ],
)
def test_sizes_equal_keras(knobs: dict[str, Any]) -> None:
    check_size_equals_keras(FAMILY.blueprint(FAMILY.spec(**knobs), TEXT))


def test_size_and_flops_by_hand() -> None:
    size = FAMILY.size(FAMILY.spec(depth=2, width=16), TEXT)
    assert size.params == 13 * 16 + 8 * 16 + 2 * (12 * 16**2 + 13 * 16) + 2 * 16
    products = 8 * (2 * 12 * 16**2 + 16 * 13) + 2 * 2 * 8 * 8 * 16
    assert size.flops == 2 * products
    untied = FAMILY.size(FAMILY.spec(depth=2, width=16, tied=False), TEXT)
    assert untied.params == size.params + 16 * 13 + 13
    assert untied.flops == size.flops


def large(knobs: dict[str, Any], task: Task = TEXT) -> Any:
    """A model whose embeddings are large, so that every token matters."""
    model = build_model(FAMILY.blueprint(FAMILY.spec(**knobs), task), seed=1)
    model.set_weights([weight * 2 for weight in model.get_weights()])
    return model


@pytest.mark.parametrize("knobs", [{}, {"tied": False, "shared": True}])
def test_later_tokens_change_no_earlier_logits(knobs: dict[str, Any]) -> None:
    model = large({"depth": 2, "width": 16, **knobs})
    ids = np.array([[2, 7, 4, 9, 5, 12, 6, 8]])
    base = np.asarray(model(ids))
    assert base.shape == (1, 8, 13)
    for start in (2, 4, 7):
        for changed in (0, 11):
            other = ids.copy()
            other[:, start:] = changed
            given = np.asarray(model(other))
            np.testing.assert_allclose(given[:, :start], base[:, :start], atol=1e-5)
            assert np.abs(given[:, start] - base[:, start]).max() > 1e-3
        cut = np.asarray(model(ids[:, :start]))
        np.testing.assert_allclose(cut, base[:, :start], atol=1e-5)


def test_a_tied_output_layer_gives_products_with_the_embeddings() -> None:
    model = large({"depth": 1, "width": 8, "dropout": 0.0})
    table = np.asarray(model.get_layer("embeddings").embeddings)
    ids = np.array([[2, 5, 3]])
    last = model.get_layer("norm").output
    hidden = type(model)(model.input, last)(ids)
    np.testing.assert_allclose(
        np.asarray(hidden) @ table.T, model(ids), rtol=1e-5, atol=1e-5
    )


def test_logits_are_float32_where_layers_compute_in_bfloat16() -> None:
    blueprint = FAMILY.blueprint(FAMILY.spec(depth=1, width=8), TEXT)
    exact, rough = (build_model(blueprint, 3, precision=p) for p in PRECISIONS)
    ids = np.array([[2, 5, 3]])
    assert rough(ids).dtype == "float32"
    np.testing.assert_allclose(rough(ids), exact(ids), atol=0.02)
    assert all(weight.dtype == "float32" for weight in rough.weights)


PRECISIONS = ("float32", "bfloat16")


def test_an_input_of_other_tokens_is_refused() -> None:
    task = Task.of("tokens", (8,), vocabulary=13)
    with pytest.raises(SpecError, match="reads earlier tokens of what it predicts"):
        FAMILY.size(FAMILY.spec(), task)
    with pytest.raises(SpecError, match="predicts the next token, but 'label' is"):
        FAMILY.size(FAMILY.spec(), Task.of("tokens", (8,), vocabulary=13, classes=2))
