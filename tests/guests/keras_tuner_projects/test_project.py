"""A search that KerasTuner made alone is reported as one of kscale's."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
from click.testing import CliRunner

import kscale
from kscale.cli import main
from kscale.errors import ResultsError, SpecError

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


def forget(folder: Path, *names: str) -> None:
    """Remove what Keras wrote of the models of the search."""
    for name in names:
        for path in folder.glob(f"mine/trial_*/{name}"):
            path.unlink()


SHAPES, WEIGHTS = "build_config.json", "checkpoint.weights.h5"


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
    asks = (
        "not counted: The hypermodel asks for 'layers', which the trial did not have."
    )
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
    damaged = [line for line in caplog.messages if "half written, and left out" in line]
    assert len(damaged) == 2 and "trial_0" in damaged[0]
    path.write_text(whole)
    assert len(kscale.read_keras_tuner("mine", "my_search:build", "made").results) == 1
    change(here, 2, status="COMPLETED")
    grown = kscale.read_keras_tuner("mine", "my_search:build", "made")
    assert [result.job for result in grown.results] == [0, 2]


def test_rounds_of_hyperband_are_one_training_that_goes_on(here: Path) -> None:
    forget(here, WEIGHTS)
    first = trials_of(here)[0]["hyperparameters"]["values"]
    for trial, (before, after) in enumerate([(0, 2), (2, 6)]):
        more = {"tuner/initial_epoch": before, "tuner/epochs": after}
        change(here, trial, hyperparameters={"values": {**first, **more}})
    run = kscale.read_keras_tuner("mine", "my_search:build", "made")
    assert [(r.epochs_from, r.epochs) for r in run.results[:2]] == [(0, 2), (2, 6)]
    assert len(run.entries()) == 2
    assert max(entry.epochs for entry in run.entries()) == 6


def test_a_short_round_of_hyperband_is_not_the_best(here: Path) -> None:
    """A score after 2 epochs does not compete with scores after 6."""
    for trial, epochs in enumerate((2, 6, 6)):
        values = trials_of(here)[trial]["hyperparameters"]["values"]
        change(
            here, trial, hyperparameters={"values": {**values, "tuner/epochs": epochs}}
        )
    run = kscale.read_keras_tuner("mine", "my_search:build", "made")
    assert [training.is_full for training in run.trainings] == [False, True, True]
    assert {entry.epochs for entry in run.entries()} == {6}


def test_what_is_no_project_is_said(here: Path) -> None:
    with pytest.raises(ResultsError, match=r"Did you mean mine\?"):
        kscale.read_keras_tuner(".", "my_search:build", here / "made")
    with pytest.raises(ResultsError, match=r"Did you mean mine\?"):
        kscale.read_keras_tuner("mine/trial_0", "my_search:build")
    change(here, 0, score=0.987)
    with pytest.raises(ResultsError, match="No metric of the project is its objective"):
        kscale.read_keras_tuner("mine", "my_search:build", "made")
    for trial in range(3):
        change(here, trial, status="FAILED", score=None, message="Boom: too hot")
    with pytest.raises(ResultsError, match="has a score: Boom: too hot"):
        kscale.read_keras_tuner("mine", "my_search:build")
    alone = CliRunner().invoke(main, ["report", "--keras-tuner", "mine"])
    assert alone.exit_code == 2 and "need each other" in alone.output


def test_a_project_has_no_models_to_predict_with_or_export(here: Path) -> None:
    run = kscale.read_keras_tuner("mine", "my_search:build", "made")
    for asked in (lambda: run.predict("x.npy"), run.export, run.load_model):
        with pytest.raises(
            ResultsError, match=r"made has the results of .*mine and no"
        ):
            asked()


def test_a_folder_of_another_search_is_left_alone(here: Path) -> None:
    kscale.read_keras_tuner("mine", "my_search:build", "made")
    with pytest.raises(ResultsError, match="holds another search"):
        kscale.read_keras_tuner("mine", "my_search:other", "made")


def test_a_model_of_real_values_is_scored_by_its_error(here: Path) -> None:
    forget(here, WEIGHTS)

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


def searched(build: Any, **more: Any) -> None:
    """A real search, in the current folder, that begins the project anew."""
    rows = np.random.default_rng(0).normal(size=(12, 4)).astype("float32")
    data = (rows, np.arange(12) % 3)
    arguments = {"objective": "val_accuracy", "max_trials": 2, **more}
    arguments |= {"directory": ".", "project_name": "mine", "overwrite": True}
    tuner = keras_tuner.RandomSearch(build, **arguments)
    tuner.search(*data, validation_data=data, epochs=1, verbose=0)


def test_a_search_made_anew_replaces_what_was_read_before(here: Path) -> None:
    first = kscale.read_keras_tuner("mine", "my_search:build")
    assert len(list(first.write_logs().glob("search-*"))) == 3
    space: dict[str, Any] = {}
    exec(CODE, space)
    searched(space["build"], seed=7)
    again = kscale.read_keras_tuner("mine", "my_search:build")
    assert again.folder == first.folder
    trials = trials_of(here)
    assert [r.score for r in again.results] == [t["score"] for t in trials]
    assert [dict(r.spec.knobs) for r in again.results] == [
        trial["hyperparameters"]["values"] for trial in trials
    ]
    assert len(list(again.write_logs().glob("search-*"))) == 2
    results = again.folder / "results.jsonl"
    before = results.stat().st_mtime_ns
    kscale.read_keras_tuner("mine", "my_search:build")
    assert results.stat().st_mtime_ns == before


def test_what_could_not_be_counted_is_counted_anew(here: Path) -> None:
    def build(hp: keras_tuner.HyperParameters) -> keras.Model:
        for name in ("depth", "learning_rate"):
            hp.Choice(name, [1, 2])
        return keras.Sequential([keras.layers.Dense(hp.Choice("units", [4, 8]))])

    forget(here, SHAPES, WEIGHTS)
    first = kscale.read_keras_tuner("mine", build)
    assert {result.status for result in first.results} == {"failed"}
    task = kscale.Task.of("vector", (4,), classes=3)
    again = kscale.read_keras_tuner("mine", build, task=task)
    assert again.folder == first.folder and again.task == task
    assert [r.params for r in again.results] == [
        5 * r.spec["units"] for r in again.results
    ]


def test_a_mended_module_of_the_hypermodel_is_counted_anew(here: Path) -> None:
    (here / "my_parts.py").write_text("def units(hp):\n    raise OSError('no disk')\n")
    code = CODE.replace("import keras\n", "import keras, my_parts\n")
    code = code.replace('hp.Choice("units", [4, 8])', "my_parts.units(hp)")
    (here / "my_models.py").write_text(code)
    failed = kscale.read_keras_tuner("mine", "my_models:build", "made")
    assert "no disk" in failed.results[0].reason
    before = failed.description["identity"]["code"]
    mended = "def units(hp):\n    return hp.Choice('units', [4, 8])\n"
    (here / "my_parts.py").write_text(mended)
    del sys.modules["my_parts"], sys.modules["my_models"]
    run = kscale.read_keras_tuner("mine", "my_models:build", "made")
    assert {result.status for result in run.results} == {"ok"}
    assert run.description["identity"]["code"] != before


class Net(keras.Model):
    """Takes its inputs as KerasTuner was given them, and has no shapes before."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.hidden = keras.layers.Dense(units)

    def call(self, x: Any, more: Any = None) -> Any:
        parts = list(x.values()) if isinstance(x, dict) else x
        parts = [*(parts if isinstance(parts, list) else [parts])]
        parts += [] if more is None else [more]
        return self.hidden(keras.ops.concatenate(parts, -1) if parts[1:] else parts[0])


@pytest.mark.parametrize(
    ("kept", "features"),
    [
        ({"input_shape": [None, 4]}, 4),
        ({"input_shape": {"a": [None, 4], "b": [32, 2]}}, 6),
        ({"input_shape": [[None, 4], [None, 3]]}, 7),
        ({"shapes_dict": {"x_shape": [None, 4], "more_shape": [None, 1]}}, 5),
        ({"input_shape": [None, -4]}, None),
        ({"input_shape": {"a": {"b": [None, 0]}}}, None),
        ({"input_shape": []}, None),
        (["input_shape"], None),
        ({"shapes_dict": 3}, None),
    ],
)
def test_models_without_inputs_have_the_shapes_that_keras_tuner_kept(
    kept: Any, features: int | None, here: Path
) -> None:
    def build(hp: keras_tuner.HyperParameters) -> keras.Model:
        hp.Choice("depth", [1, 2]), hp.Choice("learning_rate", [1])
        return Net(hp.Choice("units", [4, 8]))

    forget(here, SHAPES, WEIGHTS)
    # What failed, or was killed, has none, and was called as the others were.
    (here / "mine" / "trial_1" / "build_config.json").write_text(json.dumps(kept))
    run = kscale.read_keras_tuner("mine", build, "made")
    if features is None:
        note = str(run.report().notes[-1])
        assert note.startswith("3 of 3 models could not be counted: Model 'net' has no")
        assert "trainings failed" not in note
    else:
        sizes = [(features + 1) * result.spec["units"] for result in run.results]
        assert [result.params for result in run.results] == sizes


def test_the_command_line_is_told_the_shape_that_is_not_kept(here: Path) -> None:
    (here / "open_models.py").write_text(CODE.replace("[keras.Input((4,))]", ""))
    forget(here, SHAPES)
    asked = ["report", "--keras-tuner", "mine", "--hypermodel", "open_models:build"]
    shown = CliRunner().invoke(main, asked)
    said = " ".join(shown.stdout.split())
    assert "3 of 3 models could not be counted: Model 'sequential" in said
    assert "give the task (--input on the command line), or begin" in said
    shown = CliRunner().invoke(main, [*asked, "--input", "4"])
    assert shown.exit_code == 0 and "not be counted" not in shown.stdout
    folder = shown.stdout.splitlines()[-1].removeprefix("Files: ")
    trial, result = trials_of(here)[0], kscale.Run(folder).results[0]
    values = trial["hyperparameters"]["values"]
    widths = [4, *[values["units"]] * values["depth"], 3]
    pairs = zip(widths, widths[1:], strict=False)
    assert result.params == sum((a + 1) * b for a, b in pairs)
    alone = CliRunner().invoke(main, ["report", "--input", "4"])
    assert alone.exit_code == 2 and "--input is for --keras-tuner" in alone.output


def test_a_search_that_gave_up_is_read_and_what_had_not_ended_is_noted(
    here: Path,
) -> None:
    class Failing(keras_tuner.HyperModel):
        def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
            hp.Float("rate", 0, 1)
            return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])

        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            if list(Path("mine").glob("trial_*/build_config.json")):
                raise keras_tuner.errors.FailedTrialError("too hot")
            return {"val_accuracy": 0.5}

    with pytest.raises(RuntimeError, match="consecutive failures"):
        searched(Failing(), max_trials=9, max_consecutive_failed_trials=3)
    run = kscale.read_keras_tuner("mine", Failing())
    # KerasTuner raises before it writes that the last one failed.
    assert [result.status for result in run.results] == ["ok", "failed", "failed"]
    assert "too hot" in run.results[1].reason
    failed, _, last = map(str, run.report().notes[-3:])
    assert failed.startswith("2 of 3 trainings failed with: ")
    assert last == "1 more had not ended and are left out: 1 running."


def test_arguments_that_are_no_paths_are_refused(here: Path) -> None:
    with pytest.raises(SpecError, match="`directory` must be the path of a folder"):
        kscale.read_keras_tuner(3, "my_search:build")  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="`run` must be the path of a folder"):
        kscale.read_keras_tuner("mine", "my_search:build", 3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("metric", "direction", "name"),
    [
        ("val_my_f1\x1b[31m", "max", "my f1?"),
        ("default_objective", "min", "default objective"),
        ("multi_objective", "min", "multi objective"),
        ("val_accuracy", "min", "accuracy"),
    ],
)
def test_an_objective_of_the_users_own_is_a_plain_score_with_its_direction(
    metric: str, direction: str, name: str, here: Path
) -> None:
    for trial, score in enumerate([2.0, 3.0, 1.0]):
        values = {"direction": direction, "observations": [{"value": [score]}]}
        same = {**values, "direction": "max"}
        metrics = {"metrics": {"another": same, metric: values}}
        change(here, trial, score=score, metrics=metrics)
    run = kscale.read_keras_tuner("mine", "my_search:build", "made")
    assert run.best().score == (3.0 if direction == "max" else 1.0)
    scores = [entry.score for entry in run.front()]
    assert scores == sorted(scores, reverse=direction == "min")
    way = "higher" if direction == "max" else "lower"
    text = run.to_text()
    assert text.startswith(f"mine: {name}") and f"({way} is better)" in text
    assert "%" not in text.splitlines()[2] and "\x1b" not in text
    assert len(list(run.write_logs().glob("search-*"))) == 3


def test_counts_of_changed_code_are_not_taken_for_those_of_the_search(
    here: Path,
) -> None:
    """A checkpoint says how many weights the model of a trial had."""
    changed = CODE.replace(
        'hp.Choice("units", [4, 8])', '1 + hp.Choice("units", [4, 8])'
    )
    (here / "changed.py").write_text(changed)
    run = kscale.read_keras_tuner("mine", "changed:build", "made")
    assert {result.status for result in run.results} == {"failed"}
    values = dict(run.results[0].spec.knobs)
    counts = []
    for more in (1, 0):
        widths = [4, *[values["units"] + more] * values["depth"], 3]
        pairs = zip(widths, widths[1:], strict=False)
        counts.append(sum((a + 1) * b for a, b in pairs))
    assert run.results[0].reason == (
        f"not counted: The hypermodel builds a model of {counts[0]} params, but the "
        f"checkpoint of the trial has {counts[1]}: the code has changed since the "
        "search."
    )
    notes = [note.text for note in run.report().notes]
    assert notes[0] == "No training of the search has ended with a score and a size."
    assert "3 of 3 models could not be counted" in notes[-1]


def test_trials_without_a_checkpoint_are_told(here: Path) -> None:
    for trial in (0, 1):
        (here / "mine" / f"trial_{trial}" / "checkpoint.weights.h5").write_bytes(b"no")
    run = kscale.read_keras_tuner("mine", "my_search:build", "made")
    assert {result.status for result in run.results} == {"ok"}
    assert "not known of 2 of the trials, whose" in run.report().notes[-1].text


def test_a_project_of_another_form_is_said(here: Path) -> None:
    for trial in range(3):
        change(here, trial, metrics={})
    with pytest.raises(
        ResultsError, match="0 of its 3 trials can be read as KerasTuner"
    ):
        kscale.read_keras_tuner("mine", "my_search:build", "made")
    for trial in range(3):
        shutil.rmtree(here / "mine" / f"trial_{trial}")
    with pytest.raises(ResultsError, match=r"it has no trial_\*/trial\.json\."):
        kscale.read_keras_tuner("mine", "my_search:build", "made")
