"""XLA is used where it wins, gives what the plain graph gives, and may fail."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from data.made_pairs import pairs
from tuning.made_data import digits, made_loop, run_epochs, small_spec, weights_of

from kscale.data.dataset import Dataset
from kscale.data.loading import load_dataset
from kscale.data.memory import free_bytes
from kscale.engine.base import Network
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow import epochs, xla
from kscale.engine.tensorflow.epochs import EpochProgram
from kscale.engine.tensorflow.population import Population
from kscale.engine.tensorflow.xla import Compiler, is_worth_compiling
from kscale.networks.families import find_family

RECIPE = Recipe(epochs=4, batch_size=128)


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Compiler:
    """What a process has seen of XLA that has just begun."""
    fresh = Compiler()
    for module in (epochs, xla):
        monkeypatch.setattr(module, "COMPILER", fresh)
    return fresh


def is_worth(
    family: str, steps: int, tensors: int, params: int, device: str, **knobs: Any
) -> bool:
    found = find_family(family)
    blueprint = found.blueprint(found.spec(**knobs), digits().task)
    strategy = tf.distribute.OneDeviceStrategy(device)  # need not be there
    return is_worth_compiling(blueprint, params, tensors, steps, strategy)


def test_dense_networks_of_long_trainings_are_compiled_on_a_cpu() -> None:
    assert is_worth("mlp", 1600, 34, 10**4, "CPU:0")
    assert is_worth("mlp", 1600, 6, 2 * 10**6, "CPU:0")
    assert not is_worth("mlp", 1600, 6, 10**4, "CPU:0")
    assert not is_worth("mlp", 100, 34, 10**4, "CPU:0")
    assert not is_worth("cnn", 10**6, 34, 10**6, "CPU:0")


def test_all_but_recurrent_layers_and_shifts_is_compiled_on_a_gpu() -> None:
    short = 1, 4, 1000, "GPU:0"
    assert is_worth("mlp", *short) and is_worth("cnn", *short, augment="flip")
    assert not is_worth("rnn", *short) and not is_worth("cnn", *short, augment="shift")


def _tokens(folder: Path) -> Dataset:
    ids = np.random.default_rng(0).integers(1, 9, (400, 5)).astype(np.int32)
    ids[:200, 3:] = 0
    return load_dataset((ids, ids[:, 0] > 4), kind="tokens", vocabulary=9)


def _next_tokens(folder: Path) -> Dataset:
    return load_dataset(pairs(folder / "rows.tsv", 80), next="de")


def _translations(folder: Path) -> Dataset:
    return load_dataset(pairs(folder / "rows.tsv", 80), source="en", label="de")


@pytest.mark.parametrize(
    ("family", "made", "knobs"),
    [
        ("mlp", None, {"norm": "batch"}),
        ("cnn", None, {"width": 2}),
        pytest.param("transformer", _tokens, {}, marks=pytest.mark.slow),
        pytest.param("vit", None, {}, marks=pytest.mark.slow),
        pytest.param("gpt", _next_tokens, {}, marks=pytest.mark.slow),
        pytest.param("seq2seq", _translations, {}, marks=pytest.mark.slow),
        pytest.param("resnet", None, {"width": 2}, marks=pytest.mark.slow),
        pytest.param("mobilenet", None, {}, marks=pytest.mark.slow),
    ],
)
def test_a_compiled_epoch_gives_what_the_plain_graph_gives(
    family: str, made: Any, knobs: dict[str, Any], tmp_path: Path
) -> None:
    data = made(tmp_path) if made else digits()
    found = find_family(family)
    dropout = {name: 0.0 for name in found.all_knobs if "dropout" in name}
    spec = found.spec(**{"depth": 1, "width": 8, **dropout, **knobs})
    recipe = Recipe(epochs=2, batch_size=min(128, len(data.train) // 4))
    order = recipe.order(len(data.train), 1, 0)
    plain, compiled = (
        made_loop(spec, recipe, data, compiled=compiled, learning_rate=1e-3)
        for compiled in (False, True)
    )
    (loss,) = plain.run_epoch([order])
    assert compiled.run_epoch([order])[0] == pytest.approx(loss, rel=1e-4)
    assert compiled.compiled is True  # it did not fall back
    apart = np.abs(weights_of(compiled) - weights_of(plain))
    # AdamW makes whole steps of gradients that are mere rounding.
    assert np.quantile(apart, 0.9) < 2e-5 and apart.max() < 2e-3


def test_a_compiled_epoch_drops_out_and_learns() -> None:
    losses = []
    for rate in (0.0, 0.5):
        loop = made_loop(small_spec(dropout=rate), RECIPE, compiled=True)
        orders = [RECIPE.order(len(digits().train), 1, epoch) for epoch in range(4)]
        losses.append(run_epochs(loop, orders))
    for curve in losses:
        assert curve == sorted(curve, reverse=True)
    assert losses[0][-1] < losses[1][-1]


def test_what_xla_cannot_compile_is_trained_without(
    compiler: Compiler, caplog: pytest.LogCaptureFixture
) -> None:
    """A shift of images, of which XLA has no kernel, is told once."""
    spec = find_family("cnn").spec(depth=1, width=2, augment="shift")
    for seed in (1, 2):
        program = made_loop(spec, RECIPE, seed=seed, compiled=True)
        orders = [RECIPE.order(len(digits().train), 1, epoch) for epoch in range(2)]
        first, second = run_epochs(program, orders)
        assert second < first
    (warning,) = caplog.messages
    assert "XLA cannot compile a network, which is trained without" in warning
    assert "compile a graph on" in warning and "\n" not in warning
    assert compiler.is_usable
    assert is_worth("mlp", 1600, 34, 10**4, "CPU:0")


def test_a_device_that_fails_in_what_has_run_is_no_failure_of_xla(
    compiler: Compiler,
) -> None:
    program = made_loop(small_spec(), RECIPE, compiled=True)
    orders = [RECIPE.order(len(digits().train), 1, epoch) for epoch in range(2)]
    run_epochs(program, orders[:1])

    def broken(*given: Any) -> Any:
        raise tf.errors.InternalError(None, None, "CUDA_ERROR_ILLEGAL_ADDRESS")

    program._single_epoch = broken
    with pytest.raises(tf.errors.InternalError):
        run_epochs(program, orders[1:])
    assert compiler.is_usable and program.compiled


class _Far(keras.layers.Layer):  # type: ignore[misc]
    """Moves one output, in another direction with XLA: a number that no int32 holds is
    the smallest of them on a CPU, and the largest with XLA."""

    def call(self, given: Any) -> Any:
        number = tf.cast(1e10 + given[:, :1], tf.int32)
        return given + tf.sign(tf.cast(number, tf.float32)) * ([20.0] + [0.0] * 9)


def _wrong_with_xla(seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Flatten(), keras.layers.Dense(10), _Far()]
    return keras.Sequential([keras.Input((8, 8, 1)), *layers])


def test_what_xla_computes_wrong_is_trained_without(
    compiler: Compiler, caplog: pytest.LogCaptureFixture
) -> None:
    """Told once; the weights are those without XLA, also in the next program."""
    right = made_loop(small_spec(), RECIPE, compiled=False)
    network = Network(_wrong_with_xla, right.network.size)
    orders = [RECIPE.order(len(digits().train), 1, epoch) for epoch in range(2)]
    made = {}
    for name, compiled, is_checked in (
        *(("plain", False, True), ("wrong", True, False)),
        *(("first", True, True), ("second", True, True)),
    ):
        program = EpochProgram(
            *(network, right.data, RECIPE, right.strategy, compiled),
            is_checked=is_checked,
        )
        program.start([1], [1e-3])
        made[name] = run_epochs(program, orders), weights_of(program)
        assert program.compiled is (name == "wrong")
    assert made["wrong"][0][0] > made["plain"][0][0] + 1
    for name in ("first", "second"):
        assert made[name][0] == made["plain"][0]
        np.testing.assert_array_equal(made[name][1], made["plain"][1])
    (warning,) = caplog.messages
    assert warning.startswith("XLA is wrong for a network, which is trained without: ")
    assert f"{made['wrong'][0][0]:.3f}, not {made['plain'][0][0]:.3f}." in warning


def test_what_xla_computes_right_is_trained_as_if_not_compared(
    compiler: Compiler, caplog: pytest.LogCaptureFixture
) -> None:
    """Dropout included, whose numbers are others with XLA; of several networks, too."""
    order = RECIPE.order(len(digits().train), 1, 0)
    losses = []
    for is_checked in (False, True):
        single = made_loop(
            *(small_spec(dropout=0.5), RECIPE), compiled=True, is_checked=is_checked
        )
        several = Population(
            *(single.network, single.data, RECIPE, single.strategy, True),
            is_checked=is_checked,
        )
        several.networks = [single.network] * 2
        several.start([1, 2], [1e-3, 1e-2])
        for program in (single, several):
            losses.append(program.run_epoch([order] * len(program.networks)))
            assert program.compiled is True
            kinds = program._kinds
            assert compiler.trusts(kinds) is (True if is_checked else None)
            assert compiler.trusts(kinds | {"Conv2D"}) is None
    assert losses[:2] == losses[2:]
    assert not caplog.messages


def test_losses_that_are_not_finite_tell_of_xla_only_where_others_are(
    compiler: Compiler,
) -> None:
    kinds, (plain, diverged) = frozenset(("Dense",)), ([2.0, np.nan], [2.1, np.inf])
    assert compiler.compare(kinds, np.array([np.nan]), np.array([1.0]))
    assert compiler.trusts(kinds) is None
    assert compiler.compare(kinds, np.array(plain), np.array(diverged))
    assert compiler.trusts(kinds) is True
    assert not compiler.compare(kinds, np.array(plain), np.array(diverged)[::-1])
    assert compiler.trusts(kinds) is False


def test_xla_is_left_alone_where_its_compiler_is_missing(
    compiler: Compiler, caplog: pytest.LogCaptureFixture
) -> None:
    assert is_worth("mlp", 1600, 34, 10**4, "CPU:0")
    missing = tf.errors.UnavailableError(None, None, "No PTX compilation provider")
    for _ in range(2):
        compiler.note_failure(missing)
    assert not is_worth("mlp", 1600, 34, 10**4, "CPU:0")
    assert not is_worth("cnn", 1600, 34, 10**4, "GPU:0")
    assert caplog.messages == [
        "XLA cannot compile here: networks are trained without: UnavailableError: No "
        "PTX compilation provider"
    ]


def test_no_more_is_compiled_than_memory_holds(
    compiler: Compiler, caplog: pytest.LogCaptureFixture
) -> None:
    made_loop(small_spec(), RECIPE, compiled=True).run_epoch(
        [RECIPE.order(len(digits().train), 1, 0)]
    )
    assert compiler._kept_bytes > 0
    assert is_worth("mlp", 1600, 34, 10**4, "CPU:0")
    compiler.add(free_bytes() // 2**20)
    for _ in range(2):
        assert not is_worth("mlp", 1600, 34, 10**4, "CPU:0")
    assert caplog.messages == ["No memory is left for more networks compiled by XLA."]
