"""Several networks in one program train as each does alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tuning.made_data import digits, made_loop

from kscale.engine.base import Network
from kscale.engine.family_network import family_network
from kscale.engine.progress import Progress, arrays_in
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow.joining import joined
from kscale.engine.tensorflow.placing import PlacedData
from kscale.engine.tensorflow.population import Population
from kscale.networks.families import find_family

RECIPE = Recipe(epochs=4, batch_size=32)
SEEDS, RATES = (3, 4), (3e-3, 1e-3)
STEPS = 20


def network(
    family: str, decay: float = 0.004, parametrization: str = "standard", **knobs: Any
) -> Network:
    spec = find_family(family).spec(weight_decay=decay, **knobs)
    return family_network(spec, digits().task, parametrization)


@pytest.mark.parametrize(
    ("family", "widths", "knobs", "compiled"),
    [
        ("mlp", (8, 8), {"dropout": 0.3, "norm": "layer", "activation": "silu"}, False),
        ("mlp", (8, 5), {"norm": "none", "parametrization": "mup"}, True),
        ("cnn", (3, 4), {"norm": "batch", "head_units": 64}, False),
        pytest.param("resnet", (3, 4), {}, True, marks=pytest.mark.slow),
    ],
)
def test_members_train_as_they_do_alone(
    family: str,
    widths: tuple[int, ...],
    knobs: dict[str, Any],
    compiled: bool,
    tmp_path: Path,
) -> None:
    """Loss, weights, moving statistics, moments of AdamW and seeds of dropout, after 20
    steps; a checkpoint of either is one of the other."""
    knobs = {"depth": 1, **knobs}
    networks = [network(family, width=width, **knobs) for width in widths]
    parametrization = knobs.pop("parametrization", "standard")
    orders = [RECIPE.order(len(digits().train), seed, 0)[:STEPS] for seed in SEEDS]
    singles = [
        made_loop(
            find_family(family).spec(width=width, **knobs),
            RECIPE,
            seed=seed,
            learning_rate=rate,
            compiled=False,
            parametrization=parametrization,
        )
        for width, seed, rate in zip(widths, SEEDS, RATES, strict=True)
    ]
    common = joined(networks)
    assert common is not None
    strategy = tf.distribute.get_strategy()
    several = Population(common, singles[0].data, RECIPE, strategy, compiled=compiled)
    several.networks = networks
    several.start(SEEDS, RATES)
    losses = several.run_epoch(orders)
    assert several._compiled is compiled  # XLA did not fall back
    ours, theirs, progress = tmp_path / "ours.npz", tmp_path / "theirs.npz", Progress(1)
    for member, single in enumerate(singles):
        assert losses[member] == pytest.approx(
            single.run_epoch([orders[member]])[0], abs=1e-5
        )
        several.save(ours, progress, member)
        single.save(theirs, progress)
        found, wanted = arrays_in(ours), arrays_in(theirs)
        assert found and wanted and found.keys() == wanted.keys()
        for name in found.keys() - {"progress"}:
            # AdamW makes whole steps of gradients that are mere rounding.
            np.testing.assert_allclose(found[name], wanted[name], 1e-4, 5e-5)
        assert single.load(ours) == several.load(theirs, member) == progress
        several.save(ours, progress, member)
        assert ours.read_bytes() == theirs.read_bytes()


def test_no_axis_of_a_sum_is_worked_out_in_the_graph() -> None:
    """XLA would compile the gradient anew for each order of the examples."""
    networks = [network("cnn", depth=1, width=2, norm="batch")] * 2
    data = digits()
    placed = PlacedData(data)
    strategy = tf.distribute.get_strategy()
    program = Population(networks[0], placed, RECIPE, strategy, False)
    program.networks = networks
    program.start(SEEDS, RATES)
    order = tf.constant(np.stack([RECIPE.order(len(data.train), 0, 0)] * 2, axis=1))
    epoch = tf.function(program._trace_epoch, autograph=False)
    graph = epoch.get_concrete_function(order, *placed.specs).graph
    (loop,) = [op for op in graph.get_operations() if op.type.endswith("While")]
    body = graph._get_function(loop.get_attr("body").name).graph
    sums = [op for op in body.get_operations() if op.type in ("Max", "Mean", "Sum")]
    assert len(sums) > 5
    assert {op.inputs[1].op.type for op in sums} == {"Const"}


def test_a_program_is_refused_to_networks_that_do_not_lie_in_one() -> None:
    first = network("mlp", width=8, norm="none")
    assert joined([first, network("mlp", width=9, norm="none")]) is not None
    for other in (
        network("mlp", width=8, norm="none", depth=3),
        network("mlp", width=8, norm="none", decay=0.1),
        network("mlp", width=8, norm="none", activation="tanh"),
        network("cnn", width=8),
    ):
        assert joined([first, other]) is None
    dropping = [network("mlp", width=w, norm="none", dropout=0.3) for w in (8, 9, 8)]
    assert joined(dropping) is None and joined(dropping[::2]) is not None
    for family, knobs in (("mlp", {"norm": "layer"}), ("resnet", {"depth": 8})):
        widths = [network(family, width=width, **knobs) for width in (8, 16)]
        assert (joined(widths) is None) == (family == "mlp")
    assert joined([network("vit", depth=1, width=16)] * 2) is None
