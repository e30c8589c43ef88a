"""Flash and RAM of a microcontroller, beside what TensorFlow Lite Micro needed."""

from typing import Any

import numpy as np
import pytest

from kscale.errors import SpecError
from kscale.networks import flat
from kscale.networks.blueprint import Blueprint
from kscale.networks.boards import BOARDS, find_board, limits_with
from kscale.networks.device import device_size
from kscale.networks.families import FAMILIES
from kscale.networks.sizing import Size, size_of
from kscale.task.tasks import Target, Task

SMALL = ("image", (28, 28, 1))
LARGE = ("image", (96, 96, 3))

# Bytes of the file and of the arena, measured by `experiments/device_sizes.py`.
MEASURED: list[tuple[str, tuple[str, tuple[int, ...]], dict[str, Any], int, int]] = [
    ("cnn", ("image", (8, 8, 1)), {"depth": 1, "width": 8, "norm": "none"}, 2888, 2672),
    ("cnn", ("image", (8, 8, 1)), {"depth": 2, "width": 16}, 9408, 4080),
    ("cnn", SMALL, {"depth": 4, "width": 8}, 21576, 11616),
    ("cnn", SMALL, {"depth": 4, "width": 8, "head_units": 64}, 48712, 13264),
    ("cnn", LARGE, {"depth": 5, "width": 16, "activation": "silu"}, 261760, 450160),
    ("cnn", ("spectrogram", (98, 40)), {"depth": 4, "width": 8}, 31896, 43200),
    ("resnet", ("image", (8, 8, 1)), {"depth": 1, "width": 8}, 12616, 6720),
    ("resnet", SMALL, {"depth": 2, "width": 16}, 200464, 63488),
    ("resnet", LARGE, {"depth": 4, "width": 16}, 416744, 100240),
    ("resnet", SMALL, {"depth": 1, "width": 8, "norm": "post"}, 29512, 24608),
    (
        "resnet",
        SMALL,
        {"depth": 1, "width": 8, "block": "bottleneck", "stem": "imagenet"},
        9784,
        9776,
    ),
    ("mobilenet", SMALL, {"depth": 2, "width": 16}, 201144, 203776),
    ("mobilenet", LARGE, {"depth": 6, "width": 24}, 4205064, 1012176),
    ("mobilenet", SMALL, {"depth": 1, "width": 16, "squeeze": 4}, 130520, 183568),
    (
        "mobilenet",
        SMALL,
        {"depth": 1, "width": 8, "activation": "hard_silu"},
        36472,
        91728,
    ),
    ("mlp", SMALL, {"depth": 1, "width": 32}, 28760, 3808),
    ("mlp", SMALL, {"depth": 3, "width": 128}, 148168, 7120),
    ("mlp", ("vector", (30,)), {"depth": 2, "width": 64}, 12328, 2896),
    ("mlp", SMALL, {"depth": 1, "width": 32, "activation": "tanh"}, 28872, 3920),
    ("mlp", ("vector", (30,)), {"width": 64, "norm": "layer"}, 16104, 6976),
    ("mlp", ("vector", (3,)), {"depth": 2, "width": 5}, 2464, 1904),
    ("mlp", ("image", (14, 14, 1)), {"depth": 2, "width": 37}, 13808, 3296),
    (
        "cnn",
        ("image", (5, 9, 3)),
        {"depth": 2, "width": 7, "head_units": 33},
        9712,
        4224,
    ),
    ("linear", SMALL, {}, 10008, 3312),
    ("vit", SMALL, {"depth": 2, "width": 32, "activation": "relu"}, 63200, 42896),
    ("vit", SMALL, {"depth": 3, "width": 64, "activation": "relu"}, 228984, 83040),
    (
        "vit",
        SMALL,
        {"depth": 1, "width": 64, "activation": "relu", "pooling": "token"},
        85040,
        46048,
    ),
    (
        "vit",
        ("image", (8, 8, 1)),
        {"depth": 1, "width": 96, "activation": "relu", "heads": 4},
        153024,
        33216,
    ),
]


def blueprint_of(family: str, given: tuple[str, Any], knobs: Any) -> Blueprint:
    kind, shape = given
    more = {"vocabulary": 1000} if kind == "tokens" else {}
    task = Task.of(kind, shape, classes=10, **more)  # type: ignore[arg-type]
    chosen = FAMILIES[family]
    return chosen.blueprint_of({**dict(chosen.spec().knobs), **knobs}, task)


@pytest.mark.parametrize(("family", "given", "knobs", "flash", "ram"), MEASURED)
def test_predictions_are_near_what_was_measured(
    family: str, given: tuple[str, Any], knobs: Any, flash: int, ram: int
) -> None:
    found = device_size(blueprint_of(family, given, knobs))
    assert abs(found.flash - flash) < (0.03 if flash > 3000 else 0.05) * flash
    assert ram <= found.ram < 1.03 * ram


@pytest.mark.parametrize(
    ("family", "knobs", "outputs", "flash", "ram"),
    [
        ("linear", {}, 1, 1112, 1024),
        ("linear", {}, 3, 1224, 1056),
        ("mlp", {"depth": 2, "width": 64}, 1, 11352, 2624),
    ],
)
def test_a_real_target_has_no_softmax(
    family: str, knobs: Any, outputs: int, flash: int, ram: int
) -> None:
    inputs = Task.of("vector", (30,)).inputs
    task, chosen = Task(inputs, (Target("y", "real", outputs),)), FAMILIES[family]
    found = device_size(chosen.blueprint(chosen.spec(**knobs), task))
    assert abs(found.flash - flash) < 0.05 * flash
    assert ram <= found.ram < 1.05 * ram


@pytest.mark.parametrize("family", ["cnn", "resnet", "mobilenet", "mlp"])
def test_widths_of_an_array_give_what_each_gives(family: str) -> None:
    widths = np.array([8, 16, 40, 96])
    found = device_size(blueprint_of(family, SMALL, {"width": widths}))
    each = [device_size(blueprint_of(family, SMALL, {"width": int(w)})) for w in widths]
    assert found.flash.tolist() == [it.flash for it in each]
    assert found.ram.tolist() == [it.ram for it in each]
    assert found.peak == ""


@pytest.mark.parametrize("family", ["cnn", "resnet", "mobilenet", "mlp"])
def test_three_copies_stand_for_all(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = blueprint_of(family, SMALL, {"depth": 7})
    found = device_size(deep)
    monkeypatch.setattr(flat, "_COPIES", 99)
    assert found == device_size(deep)


def test_weights_take_no_ram() -> None:
    narrow, wide = (
        device_size(blueprint_of("mlp", SMALL, {"depth": 1, "width": w}))
        for w in (32, 64)
    )
    assert wide.flash - narrow.flash > 32 * 28 * 28
    assert wide.ram - narrow.ram < 1000


def test_the_peak_is_where_most_is_alive() -> None:
    knobs = {"depth": 2, "width": 16, "norm": "none"}
    assert device_size(blueprint_of("cnn", SMALL, knobs)).peak == "stage1/pool"


def test_a_function_that_no_operation_takes_along_needs_ram() -> None:
    plain, other = (
        device_size(blueprint_of("mobilenet", SMALL, {"activation": name}))
        for name in ("relu6", "hard_silu")
    )
    assert other.ram > plain.ram


@pytest.mark.parametrize(
    ("family", "given", "knobs", "what"),
    [
        ("cnn", SMALL, {"activation": "gelu"}, "gelu; --set activation=relu"),
        ("rnn", ("sequence", (20, 5)), {}, "Recurrent"),
        ("mlp", ("tokens", (32,)), {}, "Embedding"),
        ("vit", SMALL, {}, "gelu; --set activation=relu"),
    ],
)
def test_what_the_interpreter_lacks_is_said(
    family: str, given: tuple[str, Any], knobs: Any, what: str
) -> None:
    with pytest.raises(SpecError, match=f"no int8 operation for {what}"):
        device_size(blueprint_of(family, given, knobs))


def test_a_size_knows_its_device_only_with_a_blueprint() -> None:
    blueprint = blueprint_of("mlp", SMALL, {})
    assert size_of(blueprint).device() == device_size(blueprint)
    assert Size(1, 1, 1, 1, 1).device() is None


def test_every_board_has_a_source_and_leaves_a_quarter() -> None:
    assert len(BOARDS) >= 12
    for board in BOARDS.values():
        assert board.source.startswith("https://")
        assert board.flash > board.ram > 0
        assert board.limits["max_flash"] * 4 == board.flash * 3
        assert board.limits["max_ram"] * 4 == board.ram * 3


def test_of_two_limits_the_smaller_one_counts() -> None:
    board = find_board("Raspberry-Pi-Pico").limits
    found = limits_with({"max_ram": 10**9, "max_flash": 1000}, "raspberry-pi-pico")
    assert found == {"max_ram": board["max_ram"], "max_flash": 1000}
    assert limits_with({"max_ram": 5}, None) == {"max_ram": 5}


def test_an_unknown_board_has_the_nearest_names() -> None:
    with pytest.raises(SpecError, match="Did you mean 'esp32-s3'"):
        find_board("esp32s3")
