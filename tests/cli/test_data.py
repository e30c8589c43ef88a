"""`kscale data` says what was understood; `tune` and `train` understand the same."""

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from kscale.cli import main, options
from kscale.data.load_options import Options


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An NPZ file of token ids or vectors, with two classes."""
    x = np.random.default_rng(0).integers(0, 90, (60, 5))
    np.savez(tmp_path / "words.npz", x=x, y=np.array(["no", "yes", "no"] * 20))
    return tmp_path / "words.npz"


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["data", *map(str, words)], prog_name="kscale")


def test_it_says_what_was_understood(path: Path) -> None:
    found = json.loads(call(path, "--vocabulary", "100", "--json").stdout)
    assert found["source"] == str(path) and found["name"] == "words"
    assert found["inputs"][0]["kind"] == "tokens"
    assert found["inputs"][0]["vocabulary"] == 100
    assert found["families"] == ["linear", "mlp", "cnn"]
    text = call(path, "--kind", "vector").stdout
    assert "Input x: vector 5 (scaled)" in text and "Family auto: mlp" in text


def test_options_that_are_of_no_use_are_refused(path: Path) -> None:
    done = call(path, "--text", "title", "--image-size", "32x48")
    assert done.exit_code == 1 and not done.stdout
    assert "`text` is of no use for an NPZ file" in done.stderr


def test_every_option_arrives_as_loading_takes_it() -> None:
    words = "--label a --label b --text t --ignore i --decimal , --split-by p"
    words += " --image-size 32x48 --resize pad --channels 3 --seconds 1.5s"
    words += " --length 1k --vocabulary 2k"
    arrived: dict[str, Any] = {}

    @click.command()
    @options.data_options
    def command(**asked: Any) -> None:
        arrived.update(asked)

    done = CliRunner().invoke(command, [*words.split(), "--kind", "sequence"])
    assert done.exit_code == 0, done.output
    assert Options(**arrived) == Options(
        kind="sequence",
        vocabulary=2000,
        label=("a", "b"),
        text=("t",),
        ignore=("i",),
        decimal=",",
        split_by="p",
        image_size=(32, 48),
        resize="pad",
        channels=3,
        seconds=1.5,
        length=1000,
    )
    assert CliRunner().invoke(command, ["--image-size", "8"]).exit_code == 0
    assert arrived["image_size"] == (8, 8)


def test_size_counts_for_data_as_its_options_say(path: Path) -> None:
    words = ["size", "transformer", "--data", str(path), "--json"]
    done = CliRunner().invoke(main, [*words, "--vocabulary", "500"])
    assert json.loads(done.stdout)["task"]["inputs"][0]["vocabulary"] == 500


@pytest.mark.parametrize(
    "words",
    ["tune --max-params 50k --family transformer", "train transformer"],
)
def test_a_search_is_asked_of_what_the_options_say(path: Path, words: str) -> None:
    """The ids are read as a vector then, which no transformer takes."""
    arguments = [*words.split(), "--data", str(path), "--kind", "vector"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1 and "takes tokens or spectrogram inputs" in done.stderr
    assert "Starting" not in done.stderr
