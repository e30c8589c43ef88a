"""Bad input gets one line, an exit code of 1 or 2, and leaves nothing behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from kscale.cli import main

LIMIT = ["--max-params", "50k"]
USAGE = [
    *(["--max-params", text] for text in ("5e-6", "0", "nan", "abc", "-5", "1e999")),
    [*LIMIT, "--trials", "0"],
    [*LIMIT, "--time", "never"],
    [*LIMIT, "--set", "depth"],
    [*LIMIT, "--image-size", "32x"],
    [*LIMIT, "--channels", "2"],
    [*LIMIT, "--class-weights", "even"],
    [*LIMIT, "--set", "weights=none", "--weights", "none"],
    [*LIMIT, "--depth-knob", "layers"],
    [*LIMIT, "--width-knob", "units"],
    *([*LIMIT, "--max-latency-ms", text] for text in ("0", "fast", "nan")),
    *([*LIMIT, name, ""] for name in ("--run", "--baseline")),
]
SIZE_USAGE = [
    [],
    ["vgg16", "--max-params", "1m"],
    ["--max-params", "1m", "--input", "8x0"],
    ["mlp", "--data", "digits", "--input", "8x8x1"],
    ["mlp", "--input", "8x8x1", "--kind", "vector"],
    ["vgg16", "--label", "y"],
    ["mlp", "--depth", "2", "--set", "depth=3"],
]
REFUSED = [
    ([*LIMIT, "--family", "mpl"], "Did you mean 'mlp'"),
    ([*LIMIT, "--data", "digit"], "Did you mean 'digits'"),
    ([*LIMIT, "--objective", "acuracy"], "Did you mean 'accuracy'"),
    ([*LIMIT, "--objective", "nonsense"], ", f1, f1_score, "),
    ([*LIMIT, "--strategy", "miror"], "Did you mean 'mirrored'"),
    ([*LIMIT, "--set", "dept=3"], "Did you mean 'depth'"),
    ([*LIMIT, "--search", "dropot"], "Did you mean 'dropout'"),
    ([*LIMIT, "--weights", "none"], "`weights` is a knob of pretrained, not of mlp"),
    ([*LIMIT, "--family", "transformer"], "takes tokens or spectrogram inputs"),
    ([], "needs a limit"),
    ([*LIMIT, "--run", "one.npz"], "A run is a folder, but 'one.npz' is none"),
    ([*LIMIT, "--data", "on.npz"], "There is no file on.npz. Did you mean one.npz?"),
    ([*LIMIT, "--data", "diabetes", "--class-weights", "balanced"], "real values only"),
    (
        ["--max-params", "50"],
        "the smallest mlp searched (depth=1, width=8) has params=",
    ),
    ([*LIMIT, "--data", "one.npz"], "class"),
    ([*LIMIT, "--data", "nan.npz"], "NaN"),
    ([*LIMIT, "--data", "none.npz"], "none.npz"),
    ([*LIMIT, "--data", "nan.npz", "--label", "y"], "`label` is of no use for an NPZ"),
]
ALL_IN_ONE_PROCESS = """
import contextlib, io, json, sys
from kscale.cli import main
found = []
for arguments in json.loads(sys.argv[1]):
    said, code = io.StringIO(), 0
    try:
        with contextlib.redirect_stderr(said):
            main(["tune", "--run", "left_behind", *arguments], prog_name="kscale")
    except SystemExit as end:
        code = end.code
    found.append([code, said.getvalue()])
print(json.dumps(found))
"""


@pytest.mark.parametrize("arguments", USAGE, ids=" ".join)
def test_wrong_usage_is_two(arguments: list[str]) -> None:
    done = CliRunner().invoke(main, ["tune", *arguments])
    assert done.exit_code == 2
    assert "Error: " in done.stderr and not done.stdout
    assert "range" not in done.stderr and "float" not in done.stderr  # click's words


@pytest.mark.parametrize("arguments", SIZE_USAGE, ids=" ".join)
def test_options_of_size_that_would_do_nothing_are_wrong_usage(
    arguments: list[str],
) -> None:
    done = CliRunner().invoke(main, ["size", *arguments])
    assert done.exit_code == 2
    assert "Error: " in done.stderr and not done.stdout


def test_what_cannot_be_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(40, 3))
    np.savez(tmp_path / "one.npz", x=x, y=np.zeros(40, int))
    bad = np.where(np.arange(120).reshape(40, 3) == 5, np.nan, x)
    np.savez(tmp_path / "nan.npz", x=bad, y=np.arange(40) % 2)
    before = set(os.listdir(tmp_path))
    asked = json.dumps([arguments for arguments, _ in REFUSED])
    done = subprocess.run(
        [sys.executable, "-c", ALL_IN_ONE_PROCESS, asked],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for (arguments, text), (code, said) in zip(REFUSED, found, strict=True):
        assert code == 1, (arguments, said)
        assert said.startswith("Error: ") and said.count("\n") == 1, (arguments, said)
        assert text in said, (arguments, said)
    assert set(os.listdir(tmp_path)) == before


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["report", "nowhere"], "nowhere is no run folder: there is no such folder"),
        (["report", "setup.cfg"], "setup.cfg is no run folder: it is a file"),
        (["report", "kscale"], "kscale is no run folder: it has no run.json"),
        (["data", "setup.cgf"], "no file setup.cgf. Did you mean setup.cfg?"),
        (["data", "kscal/run.py"], "Did you mean kscale/run.py?"),
        (["data", "README"], "Did you mean README.md?"),
        (["data", "nowhere/a.csv"], "There is no file nowhere/a.csv.\n"),
        (["data", ""], "The name of the data is empty"),
        (["size", "vgg99"], "Did you mean 'VGG"),
        (["size", "mlp", "--set", "depth=0"], "depth=0"),
        (["size", "mlp", "--board", "esp32s3"], "Did you mean 'esp32-s3'"),
        (["tune", "--max-ram", "1k", "--family", "cnn"], "the smallest cnn searched"),
        (
            ["tune", "--max-ram", "9k", "--family", "rnn"],
            "does not run on a microcontroller here",
        ),
        (
            ["size", "--max-params", "1k", "--input", "99999999999x9999999999x3"],
            "fits max_params=1,000: the smallest",
        ),
        (["families", "cnnn"], "Did you mean 'cnn'"),
    ],
)
def test_light_commands_refuse_in_one_line(
    arguments: list[str], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1
    assert text in done.stderr


def test_an_option_of_another_command_names_it() -> None:
    done = CliRunner().invoke(main, ["tune", "--rank-by", "knee"])
    assert done.exit_code == 2
    assert "Error: --rank-by is an option of kscale report." in done.stderr


def test_an_unknown_command_names_the_nearest() -> None:
    done = CliRunner().invoke(main, ["tun", "--max-params", "5k"])
    assert done.exit_code == 2 and "Did you mean 'tune'?" in done.stderr
