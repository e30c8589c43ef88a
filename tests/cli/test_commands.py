"""Commands print the answer on standard output and nothing else there."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kscale.cli import COMMANDS, main
from kscale.networks.families import FAMILIES
from kscale.run import Run


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, prog_name="kscale")


@pytest.fixture
def folder(tiny_run: Run) -> Path:
    """The folder of a real, tiny search."""
    return tiny_run.folder


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("vgg16", 138_357_544),
        ("VGG-16", 138_357_544),
        ("bert_base", 109_482_240),
        ("BERT large", 335_141_888),
    ],
)
def test_size_knows_published_networks_in_any_spelling(name: str, params: int) -> None:
    assert json.loads(call("size", name, "--json").stdout)["params"] == params
    assert f"{params:,}" in call("size", name).stdout


def test_size_counts_a_spec_for_shapes_given() -> None:
    arguments = ["--depth", "1", "--width", "16", "--set", "norm=none"]
    shape = ["--input", "32x32x3", "--classes", "7"]
    found = json.loads(call("size", "cnn", *arguments, *shape, "--json").stdout)
    assert found["params"] == 3 * 3 * 3 * 16 + 16 + 16 * 7 + 7
    assert found["flops"] == 2 * (32 * 32 * 27 * 16 + 16 * 7)
    assert found["shortcut_params"] == 256


def test_size_counts_a_published_network_for_other_classes() -> None:
    whole, ten = (
        json.loads(call("size", "vgg16", *words, "--json").stdout)["params"]
        for words in ([], ["--classes", "10"])
    )
    assert whole - ten == (4096 + 1) * (1000 - 10)


def test_only_a_changed_published_network_is_called_changed() -> None:
    assert call("size", "resnet50", "--depth", "3").stdout.startswith("ResNet-50 (He")
    changed = call("size", "resnet50", "--depth", "4").stdout
    assert changed.startswith("ResNet-50 changed: ")


def test_size_counts_tokens_of_a_vocabulary() -> None:
    words = ["--input", "128", "--vocabulary", "10k", "--json"]
    found = json.loads(call("size", "transformer", *words).stdout)
    assert found["task"]["inputs"][0]["vocabulary"] == 10_000


def test_size_of_a_family_of_sequences_needs_no_data() -> None:
    found = json.loads(
        call("size", "gpt", "--depth", "12", "--width", "768", "--json").stdout
    )
    published = json.loads(call("size", "gpt2", "--json").stdout)
    assert found["params"] == published["params"] == 124_439_808
    text = call("size", "gpt", "--depth", "12", "--width", "768").stdout
    assert "12 x 7.09M = 12 width^2" in text
    words = ["--input", "64", "--vocabulary", "8k", "--json"]
    task = json.loads(call("size", "transformer-base", *words).stdout)["task"]
    assert [it["vocabulary"] for it in task["inputs"]] == [8000, 8000]
    assert (task["targets"][0]["outputs"], task["targets"][0]["length"]) == (8000, 64)
    listed = call("size", "--max-params", "1m", "--family", "gpt", *words)
    assert {row["family"] for row in json.loads(listed.stdout)["largest"]} == {"gpt"}
    refused = call("size", "seq2seq", "--classes", "5")
    assert refused.exit_code == 1 and "as many outputs as" in refused.stderr


def test_size_lists_what_fits() -> None:
    found = json.loads(call("size", "--max-params", "50k", "--json").stdout)
    taken = {name for name, family in FAMILIES.items() if "image" in family.kinds}
    # The smallest backbone has four times as many weights.
    assert {row["family"] for row in found["largest"]} == taken - {"pretrained"}
    assert all(row["params"] <= 50_000 for row in found["largest"])


@pytest.mark.parametrize("name", COMMANDS)
def test_help_gives_each_default_as_a_value(name: str) -> None:
    found = call(name, "--help")
    assert found.exit_code == 0 and "default: (" not in found.stdout


def test_families_are_listed_and_explained() -> None:
    assert "encoder blocks" in call("families").stdout
    assert "channels of the first stage" in call("families", "cnn").stdout


def test_report_of_a_run_in_every_form(folder: Path) -> None:
    table = call("report", str(folder))
    assert table.exit_code == 0
    assert "recommended" in table.stdout and f"Files: {folder}" in table.stdout
    assert "majority" in table.stdout and "linear" in table.stdout
    found = json.loads(call("report", str(folder), "--json").stdout)
    assert found["best"]["params"] >= found["recommended"]["params"] > 0
    assert call("report", str(folder), "--format", "csv").stdout.count("\n") >= 4
    assert "|" in call("report", str(folder), "--format", "markdown").stdout


def test_report_prints_code(folder: Path) -> None:
    best = call("report", str(folder), "--code", "--model", "best")
    assert best.exit_code == 0
    assert best.stdout == Run(folder).to_code("best")
    assert call("report", str(folder), "--code").stdout == Run(folder).to_code()
    assert call("report", str(folder), "--code", "--json").exit_code == 2


@pytest.mark.parametrize("suffix", ["svg", "png", "html"])
def test_report_writes_pictures_and_pages(
    folder: Path, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"front.{suffix}"
    assert call("report", str(folder), "-o", str(path)).exit_code == 0
    assert path.stat().st_size > 1000
    other = call("report", str(folder), "-o", str(tmp_path / "front.pdf"))
    assert other.exit_code == 1
    assert "is written as .html, .png, .svg, not 'front.pdf'" in other.stderr


def test_report_says_that_a_model_is_missing(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "run")
    assert "There is no model" not in call("report", str(copy)).stdout
    (copy / "models" / "best.keras").unlink()
    (copy / "models" / "best.weights.h5").touch()  # as of a model of one's own
    page = tmp_path / "page.html"
    note = "There is no model of the best network in models/"
    told = " ".join(call("report", str(copy), "-o", str(page)).stdout.split())
    assert f"Note: {note}" in told and "best.weights.h5 can be loaded" in told
    assert note in page.read_text()
    found = json.loads(call("report", str(copy), "--json").stdout)
    assert found["notes"][0].startswith(note)


def test_report_skips_a_damaged_line(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("run.json", "results.jsonl"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with (tmp_path / "results.jsonl").open("a") as file:
        file.write('{"stage": "sea\n')
    lines = len((tmp_path / "results.jsonl").read_text().splitlines())
    assert call("report", str(tmp_path)).exit_code == 0
    assert f"line {lines} is damaged and left out" in caplog.text


def test_tune_prints_one_document_and_is_quiet(tmp_path: Path) -> None:
    words = "tune --max-params 1000 --trials 1 --epochs 1 --finalist-seeds 0 --json -q"
    done = subprocess.run(
        [sys.executable, "-m", "kscale", *words.split(), "--run", str(tmp_path / "r")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["best"]["params"] <= 1000
    assert done.stderr == ""


def test_help_writes_options_as_they_are_typed_and_quotes_other_values() -> None:
    text = " ".join(call("tune", "--help").stdout.split())
    for words in ("fits --max-bytes", "Without --workers", "'none' counts every"):
        assert words in text
    assert "_" not in text.replace("keras_tuner", "").replace("my_model", "").replace(
        "TF_CONFIG", ""
    )
