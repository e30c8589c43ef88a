"""LiteRT and ONNX: a file gives in its own runtime what the model gives, or is refused.

Families and data that take long to convert are slow tests.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from kscale import ExportError, MissingPackageError, Run, load_dataset, tune
from kscale.cli import main
from kscale.data.examples import Reader
from kscale.data.preprocessing import raw_inputs_of
from kscale.data.preprocessing.text_tokens import TextTokens
from kscale.ship import extras
from kscale.ship.artifacts import Artifact
from kscale.ship.comparing import compared
from kscale.ship.exporting import TOLERANCE
from kscale.ship.formats import FORMATS, Format, check_free
from kscale.ship.runtimes import LiteRTRuntime, tried_apart
from kscale.task.tasks import Input, Task

NUMERIC = [name for name, form in FORMATS.items() if form.carries is not None]


@pytest.fixture(scope="module")
def exported(
    tiny_run: Run, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A file of each form, whose path the command prints."""
    folder, found = tmp_path_factory.mktemp("numeric"), {}
    for form in NUMERIC:
        path = found[form] = folder / f"digits{FORMATS[form].suffix}"
        words = ["export", str(tiny_run.folder), "--format", form, "-o", str(path)]
        done = CliRunner().invoke(main, words)
        assert (done.exit_code, done.stdout) == (0, f"{path}\n"), done.output
        assert "100 % the same answers" in done.stderr
        assert FORMATS[form].is_mine(path)
    return found


@pytest.mark.parametrize("form", NUMERIC)
def test_what_was_measured_is_recorded(
    exported: dict[str, Path], tiny_run: Run, form: str
) -> None:
    again = Run(tiny_run.folder).exports
    (found,) = [each for each in again if each.path == str(exported[form])]
    assert found.bytes == exported[form].stat().st_size
    assert found.gzip_bytes and found.gzip_bytes < found.bytes
    assert found.agreement == 1.0
    assert found.difference is not None and found.difference < 1e-5
    assert found.examples == tiny_run.description["data"]["test"]
    assert found.latency_ms and found.latency_high
    # The same weights were scored on the same part when the search ended.
    spec = tiny_run.shipped("recommended").spec
    tests = [test.score for test in tiny_run.evaluations if test.spec == spec]
    assert found.score in tests


@pytest.mark.parametrize("form", NUMERIC)
def test_predictions_of_a_file_are_those_of_the_run(
    exported: dict[str, Path], tiny_run: Run, tmp_path: Path, form: str
) -> None:
    raw = np.random.default_rng(0).integers(0, 17, (3, 8, 8, 1)).astype(np.float32)
    np.save(tmp_path / "some.npy", raw)
    words = ["predict", str(exported[form]), str(tmp_path / "some.npy"), "--json"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [each["source"][-1] for each in found] == ["0", "1", "2"]
    wanted = list(tiny_run.predict(tmp_path / "some.npy"))
    for mine, theirs in zip(found, wanted, strict=True):
        name, share = theirs.classes["label"][0]
        assert mine["targets"]["label"]["class"] == name
        assert mine["targets"]["label"]["probability"] == pytest.approx(share, abs=1e-5)


def test_a_file_without_its_description_is_one_line(
    exported: dict[str, Path], tmp_path: Path
) -> None:
    alone = tmp_path / "alone.tflite"
    alone.write_bytes(exported["litert"].read_bytes())
    with pytest.raises(ExportError, match=r"needs alone\.tflite\.preprocess\.json"):
        Artifact.open(alone)
    with pytest.raises(ExportError, match="no file"):
        Artifact.open(tmp_path / "none.onnx")


DAMAGE: dict[str, Callable[[dict[str, Any]], object]] = {
    "damaged": lambda about: about.update(reader=5),
    "damaged;": lambda about: about.pop("task"),
    "is damaged": lambda about: about.update(preprocessing=[]),
    "is not the file": lambda about: about.update(preprocessing={}),
    "not the file": lambda about: about.update(inside=["zzz"]),
    "lies beside": lambda about: about.update(file="of another"),
}


@pytest.mark.parametrize("text", DAMAGE)
def test_a_description_that_is_damaged_or_of_another_file_is_one_line(
    exported: dict[str, Path], tmp_path: Path, text: str
) -> None:
    file = tmp_path / "m.onnx"
    file.write_bytes(exported["onnx"].read_bytes())
    about = json.loads(Artifact.open(exported["onnx"]).beside.read_text())
    DAMAGE[text](about)
    (tmp_path / "m.onnx.preprocess.json").write_text(json.dumps(about))
    with pytest.raises(ExportError, match=text):
        Artifact.open(file)


def test_a_description_that_is_not_ours_stays(tiny_run: Run, tmp_path: Path) -> None:
    beside = tmp_path / "m.onnx.preprocess.json"
    beside.write_text("mine")
    with pytest.raises(ExportError, match=r"preprocess\.json exists already"):
        tiny_run.export(tmp_path / "m.onnx", "onnx")
    assert [*tmp_path.iterdir()] == [beside]


def test_an_answer_that_is_no_number_is_no_same_answer(tiny_run: Run) -> None:
    wanted = {"label": np.full((4, 10), 0.1)}
    found = compared(tiny_run.task, {}, {"label": np.full((4, 10), np.nan)}, wanted)
    assert not found.difference <= TOLERANCE


def test_a_damaged_file_does_not_run(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"\x08nothing")
    with pytest.raises(ExportError, match=r"The \.onnx file does not run"):
        tried_apart(tmp_path / "bad.onnx", {"x": np.zeros((1, 2), np.float32)})


def test_what_differs_leaves_no_file(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A converter that writes another model."""

    def write(model: keras.Model, task: Any, path: Path) -> None:
        other = keras.models.clone_model(model)
        other.set_weights([-3 * weight for weight in model.get_weights()])
        other.save(path)

    form = FORMATS["keras"]
    wrong = Format(form.suffix, form.is_mine, write, form.check, answer=form.answer)
    monkeypatch.setitem(FORMATS, "keras", wrong)
    with pytest.raises(ExportError, match="does not give what the model gives"):
        tiny_run.export(tmp_path / "digits.keras")
    assert not [*tmp_path.iterdir()]


def test_a_missing_package_is_named_with_its_extra(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(extras.EXTRAS, "onnx", ("onnx", "no_such_runtime"))
    with pytest.raises(MissingPackageError, match=r"no-such-runtime: pip install 'ksc"):
        tiny_run.export(tmp_path / "digits.onnx", "onnx")
    monkeypatch.setitem(extras.EXTRAS, "litert", ("no_such_converter",))
    for words in (["export", "--format", "litert"], ["compress"]):
        done = CliRunner().invoke(main, [*words, str(tiny_run.folder)])
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr.endswith(
            "no-such-converter: pip install 'kscale[litert]'.\n"
        )
        assert "Starting" not in done.stderr  # which takes seconds


def test_all_that_lies_beside_a_file_of_texts_is_written_over_only_if_asked(
    tmp_path: Path,
) -> None:
    words = TextTokens(("text",), ("good", "bad"), 3)
    task = Task((Input("tokens", "tokens", (3,), 4, 1),), ())
    file = Artifact(tmp_path / "a.onnx", task, {"tokens": words}, (), Reader())
    names = {path.name for path in file.all_beside}
    assert names == {"a.onnx.preprocess.json", "a.onnx.vocabulary.txt"}
    check_free(*file.all_beside)
    (tmp_path / "a.onnx.vocabulary.txt").write_text("mine")
    with pytest.raises(ExportError, match="vocabulary.txt exists already"):
        check_free(*file.all_beside)


def test_what_a_file_takes_and_gives_as_small_integers_is_scaled(
    exported: dict[str, Path],
) -> None:
    from kscale.ship.runtimes import _quantized, _restored

    about = {"dtype": np.int8, "quantization": (0.5, -3)}
    steps = _quantized(np.array([0.0, 1.0, 1000.0]), about)
    assert steps.tolist() == [-3, -1, 127]
    assert _restored(steps, about).tolist() == [0.0, 1.0, 65.0]
    assert LiteRTRuntime(exported["litert"])


WORDS = ["good film", "bad film", "a good one", "a bad one"] * 15
TASKS: dict[str, Any] = {
    "text": (np.array(WORDS), np.arange(60) % 2),
    "image": (np.random.default_rng(0).random((60, 8, 8, 1)), np.arange(60) % 3),
    "sequence": (np.random.default_rng(1).random((60, 6, 4)), np.arange(60) % 3),
    "value": (np.random.default_rng(2).random((60, 5)), np.linspace(1e4, 1e6, 60)),
}
CASES = [
    *(("text", family) for family in ("linear", "mlp", "rnn", "transformer")),
    *(("image", family) for family in ("cnn", "resnet", "mobilenet", "vit")),
    ("sequence", "rnn"),
    ("value", "mlp"),
]


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("kind", "family"), CASES)
def test_every_family_is_exported(
    tmp_path: Path, kind: str, family: str, form: str
) -> None:
    x, y = TASKS[kind]
    data = load_dataset((x, y), kind=kind if kind == "sequence" else None)
    run = tune(
        data,
        family=family,
        max_params=50_000,
        trials=1,
        epochs=1,
        finalist_seeds=0,
        run=tmp_path / "run",
    )
    path = tmp_path / f"model{FORMATS[form].suffix}"
    run.export(path, form, data=data)
    assert run.exports[-1].examples
    if form not in NUMERIC:
        return
    artifact = Artifact.open(path)
    (raw,) = raw_inputs_of(artifact.preprocessing)
    given = artifact.answer({raw.name: x[:2]})
    assert all(np.isfinite(array).all() for array in given.values())
