"""Files for a microcontroller, made and measured for real."""

from pathlib import Path

import numpy as np
import pytest
from data.made_files import tone, write_wav
from experiment_modules import experiment

from kscale.data.loading import load_dataset
from kscale.errors import ExportError, MissingPackageError
from kscale.networks.device import device_size
from kscale.networks.families import FAMILIES
from kscale.runs.records import DeviceFit
from kscale.searches import tune
from kscale.ship import extras
from kscale.ship.micro import arena_bytes


def test_a_missing_interpreter_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(extras.EXTRAS, "micro", ("no_such_interpreter",))
    with pytest.raises(MissingPackageError, match=r"pip install 'kscale\[micro\]'"):
        arena_bytes(tmp_path / "any.tflite")


def test_what_is_no_file_of_a_network_does_not_run(tmp_path: Path) -> None:
    path = tmp_path / "text.tflite"
    path.write_bytes(b"\x18\0\0\0TFL3" + bytes(100))
    with pytest.raises(ExportError, match="does not run the network"):
        arena_bytes(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "knobs"),
    [
        # Weights of more than 256 KiB, which the quantizer lays outside the structure.
        ("mlp", {"depth": 1, "width": 400}),
        ("resnet", {"depth": 1, "width": 8}),
        ("mobilenet", {"depth": 1, "width": 8, "squeeze": 4}),
    ],
)
def test_files_and_arenas_are_as_predicted(
    family: str, knobs: dict[str, object]
) -> None:
    sizes = experiment("device_sizes")
    case = (family, "image", (28, 28, 1), knobs)
    flash, ram = sizes.measured(1, case)
    chosen = FAMILIES[family]
    task = sizes.task_of("image", (28, 28, 1))
    found = device_size(chosen.blueprint(chosen.spec(**knobs), task))
    assert abs(found.flash - flash) < 0.03 * flash
    assert ram <= found.ram < 1.03 * ram


@pytest.mark.slow
def test_finalists_of_a_search_are_measured_and_fit(tmp_path: Path) -> None:
    limits = {"max_flash": 20_000, "max_ram": 6_000}
    run = tune(
        "digits",
        family="cnn",
        trials=2,
        epochs=1,
        finalist_seeds=1,
        most_finalists=2,
        run=tmp_path / "run",
        **limits,
    )
    fits = {each.spec: each for each in run.results if isinstance(each, DeviceFit)}
    measured = [fit for fit in fits.values() if fit.flash is not None]
    assert {training.spec for training in run.trainings} <= fits.keys()
    best = run.best()
    assert fits[best.spec].flash is not None
    for name, entry in (("best", best), ("recommended", run.recommended())):
        assert entry.int8 is not None
        training, fit = entry.int8
        assert fit.score == pytest.approx(training.score, abs=0.03), name
        assert fit.test_score is not None
    trained = {training.key for training in run.trainings if training.is_full}
    assert {fit.training for fit in measured} <= trained
    assert all(fit.score is not None for fit in measured)
    for fit in measured:
        assert fit.flash is not None
        assert fit.ram is not None
        assert np.isclose(fit.flash, fit.predicted_flash, rtol=0.03)
        assert fit.ram <= fit.predicted_ram <= limits["max_ram"]
    assert run.to_json()["best"]["ram"] == best.ram


@pytest.mark.slow
def test_columns_of_a_table_are_prepared_outside_the_file(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    ages = random.normal(40, 10, 200)
    lines = [f"{age:.1f},{'xyz'[int(age) % 3]},{3 * age:.1f}" for age in ages]
    path = tmp_path / "people.csv"
    path.write_text("\n".join(["age,town,income", *lines]) + "\n")
    run = tune(
        load_dataset(path, label="income"),
        family="mlp",
        max_ram=8_000,
        trials=1,
        epochs=1,
        finalist_seeds=0,
        run=tmp_path / "run",
    )
    assert run.best().fit is not None
    assert run.best().fit.status == "ok"
    assert run.best().fit.ram is not None
    assert run.best().int8 is not None


@pytest.mark.slow
def test_the_int8_file_of_sounds_is_scored(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for label, hertz in (("low", 300), ("high", 900)):
        for number in range(30):
            wave = tone(hertz + 10 * number, 0.2) + random.normal(0, 0.01, 1600)
            write_wav(tmp_path / "sounds" / label / f"{number}.wav", wave)
    run = tune(
        tmp_path / "sounds",
        family="cnn",
        max_flash=30_000,
        trials=1,
        epochs=1,
        finalist_seeds=0,
        run=tmp_path / "run",
    )
    assert run.best().int8 is not None
    training, fit = run.best().int8
    assert fit.score == pytest.approx(training.score, abs=0.05)
    assert fit.test_score is not None


@pytest.mark.slow
def test_features_of_unequal_spread_keep_their_accuracy_in_int8(tmp_path: Path) -> None:
    """Of columns of numbers, a scaling inside the file would cost most of them."""
    random = np.random.default_rng(0)
    spreads = np.array([1e-3, 1.0, 1e3], np.float32)
    numbers = random.normal(size=(400, 3)).astype(np.float32)
    labels = (numbers.sum(1) > 0).astype(int)
    run = tune(
        (numbers * spreads, labels),
        family="mlp",
        max_ram=8_000,
        trials=1,
        epochs=8,
        finalist_seeds=0,
        run=tmp_path / "run",
    )
    assert run.best().int8 is not None
    training, fit = run.best().int8
    assert fit.score == pytest.approx(training.score, abs=0.05)
