"""Predictions of files: the same numbers as the model, in order, bad files named."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from kscale import DataError, ResultsError, Run, SpecError
from kscale.cli import main
from kscale.cli.predict import _reported
from kscale.data.examples import Example, Reader
from kscale.data.preprocessing import RawInput
from kscale.ship.prediction import Prediction, answer_of, predict_files
from kscale.task.tasks import Task


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw digits in several files, among them one that cannot be read."""
    folder = tmp_path_factory.mktemp("raw")
    images = np.random.default_rng(0).integers(0, 17, (300, 8, 8)).astype(np.uint8)
    np.save(folder / "a.npy", images)
    (folder / "b.npy").write_bytes(b"nothing")
    (folder / "deep").mkdir()
    with_gap = images[:3].astype(np.float32)
    with_gap[1, 2, 2] = np.nan
    np.savez(folder / "deep" / "c.npz", x=with_gap)
    (folder / "notes.txt").write_text("no array")
    (folder / "empty").mkdir()
    return folder


def predict(run: Run, *words: str | Path) -> Result:
    arguments = ["predict", str(run.folder), *map(str, words), "-q"]
    return CliRunner().invoke(main, arguments)


def test_predictions_are_those_of_the_model_in_the_order_of_the_files(
    tiny_run: Run, folder: Path
) -> None:
    found = list(tiny_run.predict([folder / "a.npy"], "best"))
    raw = np.load(folder / "a.npy").astype(np.float32)[..., None]
    given = tiny_run.load_model("best").predict(raw, verbose=0)
    assert [item.source for item in found] == [
        f"{folder}/a.npy:{i}" for i in range(300)
    ]
    names = [name.decode() for name in given["label_class"]]
    assert [item.classes["label"][0][0] for item in found] == names
    best = [item.classes["label"][0][1] for item in found]
    np.testing.assert_allclose(best, given["label"].max(axis=1), atol=1e-6)
    for item in found[:3]:
        shares = [share for _, share in item.classes["label"]]
        assert shares == sorted(shares, reverse=True) and len(shares) == 10
        assert sum(shares) == pytest.approx(1, abs=1e-5)


def test_a_folder_is_searched_and_what_is_bad_is_told(
    tiny_run: Run, folder: Path
) -> None:
    found = {item.source: item for item in tiny_run.predict(folder, top=1)}
    assert len(found) == 300 + 1 + 3
    bad = {source: item.error for source, item in found.items() if item.error}
    assert bad.keys() == {f"{folder}/b.npy", f"{folder}/deep/c.npz:1"}
    assert "no finite number" in bad[f"{folder}/deep/c.npz:1"]
    (nothing,) = tiny_run.predict(str(folder / "empty"))
    assert "holds no file whose name ends with .npy or .npz" in nothing.error


def test_the_command_goes_on_after_a_bad_file_and_ends_with_one(
    tiny_run: Run, folder: Path
) -> None:
    done = predict(tiny_run, folder / "b.npy", folder / "deep", "nowhere.npy")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["source", "label", "label", "probability"]
    assert [line.split()[0] for line in lines[1:]] == [
        f"{folder}/deep/c.npz:{row}" for row in (0, 2)
    ]
    errors = done.stderr.splitlines()
    assert len(errors) == 4 and done.exit_code == 1
    assert "b.npy" in errors[0] and errors[2] == "There is no file nowhere.npy."
    assert errors[3] == (
        f"Error: 2 files and 1 example could not be read: {folder}/b.npy, "
        f"{folder}/deep/c.npz:1, nowhere.npy."
    )


def test_json_and_csv_have_a_row_for_every_example(tiny_run: Run, folder: Path) -> None:
    done = predict(tiny_run, folder, "--json", "--top", "2")
    found = json.loads(done.stdout)
    assert len(found) == 304 and done.exit_code == 1
    assert len(found[0]["targets"]["label"]["ranking"]) == 2
    done = predict(tiny_run, folder / "a.npy", "--format", "csv")
    assert len(done.stdout.splitlines()) == 301
    assert done.exit_code == 0 and not done.stderr
    both = predict(tiny_run, folder, "--json", "--format", "csv")
    assert both.exit_code == 2 and "exclude each other" in both.stderr


def test_what_is_no_run_is_said_before_anything_starts(folder: Path) -> None:
    done = CliRunner().invoke(main, ["predict", str(folder), "x.npy"])
    assert done.exit_code == 1 and "is no run folder" in done.stderr
    assert "Starting" not in done.stderr


def test_an_unknown_model_is_refused_at_once(tiny_run: Run) -> None:
    with pytest.raises(ResultsError, match="has no model 'wurst'"):
        tiny_run.predict("x.npy", "wurst")


def test_numbers_that_no_prediction_has_are_refused_at_once(
    tiny_run: Run, folder: Path
) -> None:
    wrong: list[tuple[str, Any]] = [("top", 0), ("temperature", -1.0)]
    for name, value in [*wrong, ("temperature", float("nan"))]:
        with pytest.raises(SpecError, match=f"`{name} >= "):
            tiny_run.predict(folder / "a.npy", **{name: value})
    done = predict(tiny_run, folder, "--temperature", "-1")
    assert done.exit_code == 2 and "a number of at least 0 must be" in done.stderr


def test_a_run_on_several_arrays_says_that_files_do_not_hold_them(
    tiny_run: Run, tmp_path: Path
) -> None:
    description = json.loads((tiny_run.folder / "run.json").read_text())
    item = description["preprocessing"]["x"]
    other = {**item, "raw": {**item["raw"], "name": "y"}}
    description["preprocessing"]["y"] = other
    (tmp_path / "run.json").write_text(json.dumps(description))
    with pytest.raises(DataError, match="trained on several arrays, x, y, which no"):
        Run(tmp_path).predict("x.npy")


@dataclass(frozen=True)
class Counting(Reader):
    """Makes a million examples of each file, and says how many were asked for."""

    kind = "counting"

    def examples(self, path: Path) -> Iterator[Example]:
        for row in range(10**6):
            ASKED.append(row)
            raw = {"a word": np.array("x"), "n": np.float32(row)}
            yield Example(f"{path}:{row}", raw)


ASKED: list[int] = []


def test_examples_are_read_a_batch_at_a_time_text_among_them() -> None:
    import keras

    word = keras.Input((), dtype="string", name="a word")
    number = keras.Input((), name="n")
    length = keras.layers.StringLookup(vocabulary=["x"])(word)
    total = keras.layers.Add()([keras.ops.cast(length, "float32"), number])
    model = keras.Model(
        {"a word": word, "n": number}, keras.layers.Reshape((1,))(total)
    )
    task = Task.of("vector", (1,), values=1)
    raw = [RawInput("a word", (), "string"), RawInput("n", ())]
    found = predict_files(answer_of(model, task), task, raw, Counting(), ["x"])
    first = [next(found) for _ in range(3)]
    assert [item.values["value"] for item in first] == [(1.0,), (2.0,), (3.0,)]
    assert len(ASKED) <= 256


@pytest.mark.slow
def test_a_reader_that_stops_early_is_no_error(tiny_run: Run, folder: Path) -> None:
    """`kscale predict ... | head` ends without a traceback."""
    words = [str(tiny_run.folder), *[str(folder / "a.npy")] * 40, "--format", "csv"]
    with subprocess.Popen(
        [sys.executable, "-m", "kscale", "predict", *words, "-q"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith("source,")
        process.stdout.close()
        assert process.stderr.read() == ""


SHOWN = Prediction(
    "a.csv:3",
    {"animal": (("cat", 0.75), ("dog", 0.25))},
    {"age": (2.5, 1e6)},
    labels={"tags": (("old", 0.9), ("wet", 0.6))},
)


def test_a_line_has_the_likeliest_class_all_labels_and_all_values() -> None:
    tags = "old (90.0 %), wet (60.0 %)"
    assert str(SHOWN) == f"a.csv:3: cat (75.0 %), {tags}, 2.5 1e+06"
    assert str(Prediction("a", labels={"tags": ()})) == "a: no label"


def test_plain_data_has_every_target_under_its_name() -> None:
    targets = SHOWN.to_json()["targets"]
    ranking = targets["animal"].pop("ranking")
    assert targets["animal"] == {"class": "cat", "probability": 0.75} == ranking[0]
    assert [each["label"] for each in targets["tags"]["labels"]] == ["old", "wet"]
    assert targets["age"] == {"values": [2.5, 1e6]}
    failed = Prediction("b", error="b is damaged")
    assert failed.to_json() == {
        "source": "b",
        "targets": None,
        "error": failed.error,
        "notes": [],
    }
    assert str(failed) == "b: b is damaged"


def test_what_training_never_saw_is_a_line_for_each_column(
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = [
        Prediction("a:2", notes={"age": "a:2: age is 900.", "job": "a:2: job is 'x'."}),
        Prediction("a:3", notes={"age": "a:3: age is 901."}),
        Prediction("a:4", error="a:4 is damaged."),
    ]
    assert [*_reported(made, [])] == made
    assert capsys.readouterr().err.splitlines() == [
        "a:4 is damaged.",
        "Note: a:2: age is 900. The same holds for 1 further example.",
        "Note: a:2: job is 'x'.",
    ]
    assert made[0].to_json()["notes"] == ["a:2: age is 900.", "a:2: job is 'x'."]
