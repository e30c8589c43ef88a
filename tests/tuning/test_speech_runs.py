"""Networks that transcribe, from sounds in a table to scores, files, printed code."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from data.made_files import write_wav
from data.made_speech import random_texts, spoken, write_speech
from tuning.made_data import made_loop

import kscale
from kscale.cli import main
from kscale.data.dataset import Dataset
from kscale.engine.recipe import Recipe
from kscale.networks.families import find_family
from kscale.run import Run

pytestmark = pytest.mark.slow
KNOBS = {"depth": 1, "width": 24, "stacked": 2, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = write_speech(tmp_path_factory.mktemp("speech"), random_texts(120))
    return kscale.load_dataset(path, source="wav", label="text")


@pytest.fixture(scope="module")
def run(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return kscale.tune(
        data=data,
        family="rnn",
        max_params=25_000,
        trials=1,
        epochs=20,
        batch_size=16,
        settings=KNOBS,
        finalist_seeds=1,
        run=tmp_path_factory.mktemp("run") / "run",
    )


def test_better_than_one_transcript_for_all(run: Run) -> None:
    report = run.report()
    (majority,) = [row for row in report.baselines if row.family == "majority"]
    assert report.best is not None
    assert report.best.score < 0.7 * majority.score
    assert run.objective.name == "character_error_rate"
    (test,) = [item for item in run.results if type(item).__name__ == "Evaluation"]
    assert {*test.metrics} == {"character_error_rate", "word_error_rate", "loss"}
    assert "density" not in str(run)


def test_a_score_on_the_device_is_that_on_the_host(data: Dataset) -> None:
    spec = find_family("rnn").spec(depth=1, width=8)
    scores = []
    for on_device in (False, True):
        recipe = Recipe(epochs=1, batch_size=16)
        scores += made_loop(spec, recipe, data, on_device=on_device).score()
    assert scores[0] == scores[1]


def test_sounds_are_transcribed_by_runs_and_by_files(run: Run, data: Dataset) -> None:
    sounds = [str(p) for p in sorted(Path(data.origin["source"]).parent.rglob("*.wav"))]
    found = [each.texts["text"] for each in run.predict(sounds[:9])]
    done = CliRunner().invoke(main, ["predict", str(run.folder), *sounds[:9], "--json"])
    printed = [each["targets"]["text"]["text"] for each in json.loads(done.stdout)]
    assert printed == found and any(found)

    file = run.folder.parent / "talk.keras"
    run.export(file)
    model = keras.saving.load_model(file)
    wave = np.zeros(model.input_shape[1:], np.float32)
    wave[: len(spoken("abc"))] = spoken("abc")
    given = model.predict(wave[None], verbose=0)["text_characters"][0]
    written = "".join(map(bytes.decode, given.tolist()))
    write_wav(file.with_suffix(".wav"), spoken("abc"))
    (wanted,) = run.predict(file.with_suffix(".wav"))
    assert written == wanted.texts["text"]


PLAIN = """
import sys, tensorflow as tf
folder, path = sys.argv[1:]
sound = tf.audio.decode_wav(tf.io.read_file(path)).audio[:, 0]
serve = tf.saved_model.load(folder).signatures["serve"]
samples = serve.structured_input_signature[1]["sound"].shape[1]
given = serve(sound=tf.pad(sound, [[0, samples - len(sound)]])[None])
print(tf.strings.reduce_join(given["text_characters"][0]).numpy().decode())
assert "kscale" not in sys.modules
"""


def test_a_saved_model_transcribes_where_kscale_is_not_installed(
    run: Run, tmp_path: Path
) -> None:
    folder = run.export(tmp_path / "model", "saved-model")
    path = write_wav(tmp_path / "talk.wav", spoken("abc ba"))
    (text,) = [each.texts["text"] for each in run.predict(path)]
    words = [sys.executable, "-P", "-c", PLAIN, str(folder), str(path)]
    free = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=free)
    assert done.stdout.strip() == text and text, done.stderr[-500:]


def test_beams_follow_several_beginnings_of_a_transcript(
    run: Run, data: Dataset
) -> None:
    sounds = [str(p) for p in sorted(Path(data.origin["source"]).parent.rglob("*.wav"))]
    greedy, likely = (
        [each.texts["text"] for each in run.predict(sounds[:40], beams=beams)]
        for beams in (None, 8)
    )
    assert sum(map(str.__eq__, greedy, likely)) > 30  # of sure answers
    words = ["predict", str(run.folder), *sounds[:9], "--json", "--beams"]
    printed = json.loads(CliRunner().invoke(main, [*words, "8"]).stdout)
    assert [each["targets"]["text"]["text"] for each in printed] == likely[:9]
    done = CliRunner().invoke(main, [*words, "0"])
    assert done.exit_code == 2 and "a whole number of at least 1" in done.output


def test_printed_code_builds_and_compiles_the_network(run: Run) -> None:
    names: dict[str, object] = {}
    code = CliRunner().invoke(main, ["report", str(run.folder), "--code"]).stdout
    exec(compile(code, "code", "exec"), names)
    model = names["compile_model"](names["build_model"]())
    assert model.count_params() == run.report().best.params
    frames = np.random.default_rng(0).normal(size=(4, 40, model.input_shape[-1]))
    labels = np.array([[2, 3, 0]] * 4)
    assert np.isfinite(model.fit(frames, labels, verbose=0).history["loss"][0])
