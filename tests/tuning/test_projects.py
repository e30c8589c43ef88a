"""A search that KerasTuner made alone is reported as one of kscale's."""

import json
import shutil
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
from click.testing import CliRunner

import kscale
from kscale.cli import main
from kscale.errors import ResultsError

CODE = """
import keras

def build(hp):
    print("a user's code may print")
    model = keras.Sequential([keras.Input((4,))])
    for _ in range(hp.Int("depth", 1, 2)):
        model.add(keras.layers.Dense(hp.Choice("units", [4, 8])))
    model.add(keras.layers.Dense(3, activation="softmax"))
    rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.SGD(rate), loss, metrics=["accuracy"])
    return model

def other(hp):
    hp.Int("layers", 1, 2)
    return build(hp)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a real search of three trials left behind."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "my_search.py").write_text(CODE)
    space: dict[str, Any] = {}
    exec(CODE, space)
    rows = np.random.default_rng(0).normal(size=(12, 4)).astype("float32")
    data = (rows, np.arange(12) % 3)
    tuner = keras_tuner.RandomSearch(
        space["build"],
        "val_accuracy",
        max_trials=3,
        seed=2,
        directory=str(folder),
        project_name="mine",
    )
    tuner.search(*data, validation_data=data, epochs=1, verbose=0)
    return folder / "mine"


@pytest.fixture
def here(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project in the current folder."""
    shutil.copytree(project.parent, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def trials_of(folder: Path) -> list[dict[str, Any]]:
    paths = sorted(folder.glob("mine/trial_*/trial.json"))
    return [json.loads(path.read_text()) for path in paths]


def change(folder: Path, trial: int, **changes: Any) -> None:
    path = folder / "mine" / f"trial_{trial}" / "trial.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_each_trial_has_its_score_and_the_size_of_its_model(here: Path) -> None:
    run = kscale.read_keras_tuner("mine", "my_search:build", "made")
    assert len(run.results) == 3
    for result, trial in zip(run.results, trials_of(here), strict=True):
        values = trial["hyperparameters"]["values"]
        widths = [4, *[values["units"]] * values["depth"], 3]
        pairs = list(zip(widths, widths[1:], strict=False))
        assert result.params == sum((a + 1) * b for a, b in pairs)
        assert result.flops == sum(2 * a * b for a, b in pairs)
        assert result.score == trial["score"]
        assert dict(result.spec.knobs) == values
        assert result.spec.depth == values["depth"]
        assert result.learning_rate == values["learning_rate"]
    assert run.objective.name == "accuracy"
    assert run.best().score == max(trial["score"] for trial in trials_of(here))


def test_a_report_a_page_and_logs_come_from_it(here: Path) -> None:
    arguments = ["--keras-tuner", "mine", "--hypermodel", "my_search:build"]
    shown = CliRunner().invoke(main, ["report", *arguments, "--all", "-o", "page.html"])
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert lines[0] == "mine: accuracy (higher is better)"
    assert "a user's code" not in shown.stdout
    assert "3 trainings." in lines and "units" in shown.stdout
    folder = lines[-1].removeprefix("Files: ")
    assert folder.startswith("runs/mine-keras_tuner-")
    assert "my_search:build" in (here / "page.html").read_text()
    as_json = CliRunner().invoke(main, ["report", folder, "--json"])
    assert len(json.loads(as_json.stdout)["rows"]) == 3
    logs = kscale.Run(folder).write_logs()
    assert len(list(logs.glob("search-*/events.out.tfevents.training"))) == 3


FAILED = """Traceback (most recent call last):
  File "trial.py", line 7, in fit
Boom: Exception encountered when calling Net.call().

\x1b[1mtoo hot.\x1b[0m

Arguments received by Net.call():
  x=3
"""


def test_what_failed_or_cannot_be_built_is_listed_with_its_reason(here: Path) -> None:
    first, second, _ = trials_of(here)
    narrow = {**first["hyperparameters"]["values"], "units": -1}
    change(here, 0, hyperparameters={"values": narrow})
    change(here, 1, status="FAILED", score=None, message=FAILED)
    run = kscale.read_keras_tuner("mine", "my_search:build", "made")
    reasons = [result.reason for result in run.results]
    assert "cannot be built" in reasons[0] and "units=-1" in reasons[0]
    assert reasons[1:] == ["Boom: too hot", ""]
    assert run.results[1].params > 0
    assert sum(count for _, count in run.report().failures) == 2
    assert len(run.front()) == 1


def test_another_hypermodel_is_not_taken_for_theirs(here: Path) -> None:
    run = kscale.read_keras_tuner("mine", "my_search:other", "made")
    asks = "The hypermodel asks for 'layers', which the trial did not have."
    assert {result.reason for result in run.results} == {asks}


def test_damaged_files_cost_a_line_each_and_a_project_may_grow(
    here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = here / "mine" / "trial_0" / "trial.json"
    whole = path.read_text()
    path.write_text(whole[:50])
    change(here, 1, metrics={})
    change(here, 2, status="RUNNING")
    with pytest.raises(ResultsError, match="with a trial that has ended"):
        kscale.read_keras_tuner("mine", "my_search:build", "made")
    damaged = [line for line in caplog.messages if "is damaged and left out" in line]
    assert len(damaged) == 2 and "trial_0" in damaged[0]
    path.write_text(whole)
    assert len(kscale.read_keras_tuner("mine", "my_search:build", "made").results) == 1
    change(here, 2, status="COMPLETED")
    grown = kscale.read_keras_tuner("mine", "my_search:build", "made")
    assert [result.job for result in grown.results] == [0, 2]


def test_rounds_of_hyperband_are_one_training_that_goes_on(here: Path) -> None:
    first = trials_of(here)[0]["hyperparameters"]["values"]
    for trial, (before, after) in enumerate([(0, 2), (2, 6)]):
        more = {"tuner/initial_epoch": before, "tuner/epochs": after}
        change(here, trial, hyperparameters={"values": {**first, **more}})
    run = kscale.read_keras_tuner("mine", "my_search:build", "made")
    assert [(r.epochs_from, r.epochs) for r in run.results[:2]] == [(0, 2), (2, 6)]
    assert len(run.entries()) == 2
    assert max(entry.epochs for entry in run.entries()) == 6


def test_what_is_no_project_is_said(here: Path) -> None:
    with pytest.raises(ResultsError, match=r"Did you mean mine\?"):
        kscale.read_keras_tuner(".", "my_search:build", here / "made")
    change(here, 0, score=0.987)
    with pytest.raises(ResultsError, match="No metric of the project is its objective"):
        kscale.read_keras_tuner("mine", "my_search:build", "made")
    alone = CliRunner().invoke(main, ["report", "--keras-tuner", "mine"])
    assert alone.exit_code == 2 and "need each other" in alone.output


def test_a_folder_of_another_search_is_left_alone(here: Path) -> None:
    kscale.read_keras_tuner("mine", "my_search:build", "made")
    with pytest.raises(ResultsError, match="holds another search"):
        kscale.read_keras_tuner("mine", "my_search:other", "made")


def test_a_model_of_real_values_is_scored_by_its_error(here: Path) -> None:
    def build(hp: keras_tuner.HyperParameters) -> keras.Model:
        for name in ("depth", "units", "learning_rate"):
            hp.Choice(name, [1, 2])
        return keras.Sequential([keras.Input((None, 4)), keras.layers.Dense(1)])

    for trial in range(3):
        metric = {"direction": "min", "observations": [{"value": [3.0], "step": 4}]}
        metrics = {"metrics": {"val_mean_absolute_error": metric}}
        change(here, trial, score=3.0, metrics=metrics, best_step=4)
    run = kscale.read_keras_tuner("mine", build, "made")
    assert run.objective.name == "mean_absolute_error"
    assert run.best().params == 5 and run.best().epochs == 5
