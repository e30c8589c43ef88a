"""A search over views of the data, from raw pixels to what ships and code."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from kscale import Run, load_dataset, train, tune
from kscale.cli import main
from kscale.errors import ResultsError

DIGITS = load_dataset("digits")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return tune(
        DIGITS,
        max_params=2000,
        family=("mlp",),
        settings={"depth": 1, "width": 8, "learning_rate": 0.01},
        search=("image_size",),
        epochs=2,
        batch_size=128,
        trials=3,
        finalist_seeds=0,
        run=tmp_path_factory.mktemp("runs") / "views",
    )


def test_each_view_is_trained_and_described_once(run: Run) -> None:
    trained = [it for it in run.trainings if it.stage == "search"]
    assert {it.spec["image_size"] for it in trained} == {4, 6, 8}
    views = [each["view"] for each in run.description["views"]]
    assert sorted(each["image_size"] for each in views) == [4, 6]
    params = {it.spec["image_size"]: it.params for it in trained}
    assert params[8] - params[4] == (64 - 16) * 8


def test_a_network_opens_without_its_data_and_takes_raw_pixels(
    run: Run, tmp_path: Path
) -> None:
    raw = DIGITS.input_scaling["x"].invert(DIGITS.validation.inputs["x"][:])
    labels = DIGITS.validation.targets["label"]
    for entry in run.front():
        if entry.family != "mlp":
            continue
        model = run.load_model(entry)
        assert model.input_shape == (None, 8, 8, 1)
        assert model.count_params() == entry.params
        found = model.predict(raw, verbose=0)["label"].argmax(axis=1)
        assert (found == labels).mean() == pytest.approx(entry.score, abs=0.005)
        path = run.export(tmp_path / f"{entry.params}.keras", which=entry)
        again = keras.models.load_model(path)
        np.testing.assert_array_equal(
            again.predict(raw[:9], verbose=0)["label"],
            model.predict(raw[:9], verbose=0)["label"],
        )


def test_code_says_what_the_network_sees(run: Run) -> None:
    smallest = min(
        (it for it in run.entries() if it.family == "mlp"), key=lambda it: it.params
    )
    code = run.to_code(smallest)
    assert "(None, 4, 4, 1)" in code and "8 x 8 pixels" in code.replace("\n", " ")
    made: dict = {}
    exec(code, made)
    assert made["build_model"]().count_params() == smallest.params


def test_a_view_that_run_json_lost_is_an_error_in_a_line(run: Run, tmp_path) -> None:
    about = {**run.description, "views": []}
    (tmp_path / "run.json").write_text(json.dumps(about))
    (tmp_path / "models").symlink_to(run.folder / "models")
    lost = Run(tmp_path, run.results)
    entry = min((it for it in lost.entries()), key=lambda it: it.params)
    with pytest.raises(ResultsError, match="no preprocessing for image_size=4"):
        lost.load_model(entry)


def test_one_network_of_a_view_is_the_answer(tmp_path: Path) -> None:
    knobs = {"depth": 1, "width": 4, "image_size": 4}
    run = train("mlp", knobs, DIGITS, epochs=1, run=tmp_path / "one")
    assert run.recommended().spec["image_size"] == 4


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--set", "image_size=40"], "`4 <= image_size <= 8`, the shorter side"),
        (["--set", "mel_bands=20"], "`mel_bands` is for inputs of kind spectrogram"),
        (["--search", "window"], "`window` is for inputs of kind spectrogram"),
        (["--set", "mel_bands=-1"], "`1 <= mel_bands <= 1e+09`, or 0, must hold"),
    ],
)
def test_a_wrong_view_is_refused_in_a_line(options: list[str], text: str) -> None:
    asked = ["tune", "--family", "cnn", "--max-params", "50k", *options]
    found = CliRunner().invoke(main, asked)
    assert found.exit_code == 1
    (line,) = found.stderr.splitlines()
    assert text in line
