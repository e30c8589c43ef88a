"""A finished run compressed: files, their scores, what is chosen, what is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from kscale import Run, train
from kscale.cli import main
from kscale.errors import DataError, ExportError, ResultsError, SpecError


def changeable(run: Run, folder: Path) -> Run:
    shutil.copytree(run.folder, folder)
    return Run(folder)


def test_a_network_is_compressed_scored_and_not_compressed_again(
    tiny_run: Run, tmp_path: Path
) -> None:
    run = changeable(tiny_run, tmp_path / "run")
    words = ["compress", str(run.folder), "--method", "int8", "-q", "--json"]
    first = CliRunner().invoke(main, words)
    assert first.exit_code == 0, first.output
    found = json.loads(first.stdout)
    plain, int8 = found["rows"]
    assert [plain["method"], int8["method"]] == ["float32", "int8"]
    training = run.shipped("recommended")
    assert plain["score"] == pytest.approx(training.score, abs=1e-6)
    assert int8["bytes"] < plain["bytes"]
    assert int8["agreement"] > 0.9
    assert abs(int8["difference"]) < 0.1
    chosen = next(row for row in found["rows"] if row["method"] == found["chosen"])
    assert chosen["is_tied"]
    assert chosen["test"] is not None
    assert plain["test"] is not None
    written = Run(run.folder).compressions
    assert [r.part for r in written[:2]] == ["validation"] * 2
    assert {r.training for r in written} == {training.key}
    # No work is done again, and the report tells of what was done.
    copies = tmp_path / "copies"
    again = CliRunner().invoke(main, [*words, "-o", str(copies)])
    assert json.loads(again.stdout)["rows"] == found["rows"]
    assert len(Run(run.folder).compressions) == len(written)
    assert {path.suffix for path in copies.iterdir()} == {".tflite", ".json"}
    refused = CliRunner().invoke(main, [*words, "-o", str(copies)])
    assert refused.exit_code == 1
    assert "exists already" in refused.stderr
    # What stands around a file is protected as the file is.
    (beside,) = copies.glob("*int8*.json")
    for path in copies.iterdir():
        path.unlink() if path != beside else path.write_text("mine")
    refused = CliRunner().invoke(main, [*words, "-o", str(copies)])
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert [path.read_text() for path in copies.iterdir()] == ["mine"]
    with pytest.raises(ExportError, match="is a file, and files are copied to"):
        run.compress("int8", folder=beside)
    assert len(Run(run.folder).compressions) == len(written)
    texts = {form: Run(run.folder).to_text(form) for form in ("table", "markdown")}
    texts["html"] = Run(run.folder)._repr_html_()
    for text in texts.values():
        assert "int8" in text and "one thread" in text
    assert Run(run.folder).to_json()["compressions"][0]["rows"] == found["rows"]
    # What cannot work is told once, and rows without a file are left out.
    stale = run.folder / "compressed" / ".partial-999999999-a.tflite"
    stale.touch()
    narrow = [*words[:2], "--method", "narrow", "-q", "--json"]
    refused = CliRunner().invoke(main, narrow)  # the answer is the linear network
    assert refused.exit_code == 1
    assert json.loads(refused.stdout)["failed"] == [
        {
            "method": "narrow:50%",
            "reason": "Family linear has no width that could be smaller",
        }
    ]
    assert not stale.exists()
    (run.folder / "compressed" / int8["file"]).unlink()
    left = Run(run.folder).compress("float32", folder=tmp_path / "left").to_json()
    assert [row["method"] for row in left["rows"]] == ["float32"]
    ends = {path.name.partition(".")[2] for path in (tmp_path / "left").iterdir()}
    assert ends == {"tflite", "tflite.preprocess.json"}


@pytest.mark.slow  # trains two small networks from scratch
def test_a_chosen_baseline_is_among_the_copies(tiny_run: Run, tmp_path: Path) -> None:
    run = changeable(tiny_run, tmp_path / "run")
    words = ["compress", str(run.folder), "--method", "prune:80%", "--seeds", "1"]
    words += ["-q", "--json"]
    first = CliRunner().invoke(main, words)
    assert first.exit_code == 0, first.output
    path = run.folder / "results.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if line.get("method") == "fine-tune":
            line.update(score=1.0, bytes=1)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    copies = tmp_path / "copies"
    again = CliRunner().invoke(main, [*words, "-o", str(copies)])
    assert json.loads(again.stdout)["chosen"] == "fine-tune"
    files = sorted(each.name for each in copies.glob("*.tflite"))
    assert [name for name in files if "fine-tune" in name]
    assert [name for name in files if "prune-80" in name]
    for each in [each for each in copies.iterdir() if "fine-tune" not in each.name]:
        each.unlink()
    refused = CliRunner().invoke(main, [*words, "-o", str(copies)])
    assert refused.exit_code == 1
    assert "exists already" in refused.stderr


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["--method", "int9"], "Did you mean 'int8'", 1),
        (["--method", "int8", "--data", "diabetes"], "is not the data of this run", 1),
        (["--seeds", "0"], "Invalid value for '--seeds'", 2),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    tiny_run: Run, words: list[str], said: str, code: int
) -> None:
    before = len(Run(tiny_run.folder).results)
    done = CliRunner().invoke(main, ["compress", str(tiny_run.folder), "-q", *words])
    assert (done.exit_code, done.stdout) == (code, "")
    assert said in done.stderr
    assert len(Run(tiny_run.folder).results) == before


def test_a_run_without_a_trained_network_is_refused(
    tiny_run: Run, tmp_path: Path
) -> None:
    run = changeable(tiny_run, tmp_path / "run")
    for path in (run.folder / "models").glob("*.npz"):
        path.unlink()
    with pytest.raises(ResultsError, match="weights .* are gone"):
        run.compress(["int8"])
    (run.folder / "results.jsonl").write_text("")
    with pytest.raises(ResultsError, match="no finished training"):
        Run(run.folder).compress(["int8"])


def test_a_folder_that_cannot_be_written_is_an_error_and_no_record(
    tiny_run: Run, tmp_path: Path
) -> None:
    run = changeable(tiny_run, tmp_path / "run")
    (run.folder / "compressed").write_text("in the way")
    words = ["compress", str(run.folder), "--method", "int8", "-q"]
    done = CliRunner().invoke(main, words)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "cannot be written" in done.stderr
    assert len(Run(run.folder).results) == len(run.results)


@pytest.mark.parametrize("seeds", [0, "3"])
def test_seeds_are_numbers_from_1(tiny_run: Run, seeds: Any) -> None:
    with pytest.raises(SpecError, match="`seeds(` must be whole| >= 1` must hold)"):
        tiny_run.compress("int8", seeds=seeds)


@pytest.mark.slow
def test_methods_that_train_stand_beside_their_baselines(
    tiny_run: Run, tmp_path: Path
) -> None:
    run = changeable(tiny_run, tmp_path / "run")
    wide = next(it for it in run.entries() if it.spec.width and len(it.results) > 1)
    found = run.compress(["prune:80%", "narrow:50%+int8"], wide, seeds=2)
    rows = {row["method"]: row for row in found.to_json()["rows"]}
    assert rows.keys() == {
        "float32",
        "prune:80%",
        "fine-tune",
        "narrow:50%+int8",
        "fine-tune+int8",
        "narrow-random:50%+int8",
        "scratch:50%+int8",
    }
    plain, pruned, narrow = map(rows.get, ("float32", "prune:80%", "narrow:50%+int8"))
    assert plain and pruned and narrow
    # Zeros leave the file as large as it was, and channels do not.
    assert pruned["bytes"] == plain["bytes"]
    assert pruned["gzip_bytes"] < plain["gzip_bytes"]
    assert narrow["bytes"] < rows["fine-tune+int8"]["bytes"]
    written = [it for it in Run(run.folder).compressions if it.part == "validation"]
    assert [it.seed for it in written if it.method == "prune:80%"] == [0, 1]


@pytest.mark.slow
def test_what_the_quantizer_refuses_is_a_row_and_not_the_end(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(200, 10, 3)).astype(np.float32)
    data = x, x[:, :, 0].sum(axis=1) > 0
    knobs = {"depth": 1, "width": 8}
    run = train("rnn", knobs, data, epochs=2, run=tmp_path / "run")
    with pytest.raises(DataError, match="--data"):
        run.compress(["int8"])
    found = run.compress(["int8", "int8-dynamic"], data=data)
    (failed,) = found.to_json()["failed"]
    assert failed["method"] == "int8"
    assert "ai-edge-quantizer" in failed["reason"] and "\n" not in failed["reason"]
    methods = [row["method"] for row in found.to_json()["rows"]]
    assert methods == ["float32", "int8-dynamic"]
    assert "int8 failed: " in str(found)


@pytest.mark.slow
def test_unequal_features_are_scaled_outside_and_survive_eight_bits(
    tmp_path: Path,
) -> None:
    """Inside, the converter folds the factors of features into the first layer."""
    run = train("mlp", {"width": 32}, "diabetes", epochs=10, run=tmp_path / "run")
    found = run.compress(["int8-weights"]).to_json()
    plain, int8 = found["rows"]
    assert abs(int8["difference"]) < 0.02 * plain["score"]
    assert int8["agreement"] is None
    (described,) = (tmp_path / "run" / "compressed").glob("*int8-weights*.json")
    assert json.loads(described.read_text())["inside"] == []
