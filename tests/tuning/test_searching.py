"""A whole search: what it leaves, how it goes on, how it ends."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reports.made_runs import summary_of
from tuning.made_data import digits
from warm_python import WarmPython

from kscale import Listener, Run, train, tune
from kscale.errors import (
    BudgetError,
    ClusterError,
    DataError,
    ExportError,
    ResultsError,
    SpecError,
    TrialError,
)
from kscale.runs.folder import (
    FORMAT,
    RESULTS_FILE,
    RUN_FILE,
    RecordsWriter,
    read_records,
)
from kscale.runs.records import Evaluation, Record, Reference, Training
from kscale.search.contract import Job
from kscale.searches import SearchInterrupted, _emptied_if_refused

SMALL: dict[str, Any] = {
    "family": "mlp",
    "max_params": 1000,
    "trials": 3,
    "epochs": 2,
    "batch_size": 128,
    "finalist_seeds": 2,
    "most_finalists": 2,
    "settings": {"depth": 1},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A search that ended by itself."""
    return tune(digits(), run=tmp_path_factory.mktemp("runs") / "whole", **SMALL)


def names_of(records: Sequence[Record]) -> list[str]:
    """A name for what each record is of."""
    names = []
    for item in records:
        if isinstance(item, Training):
            names.append(item.key)
        elif isinstance(item, Reference):
            names.append(f"{item.key} {item.part}")
        elif isinstance(item, Evaluation):
            names.append(f"test {item.spec} {item.learning_rate} {item.seed}")
    return names


def test_every_training_is_one_line_with_all_its_facts(finished: Run) -> None:
    lines = (finished.folder / RESULTS_FILE).read_text().splitlines()
    assert len(lines) == len(finished.results)
    needed = {
        "training": {"key", "spec", "seed", "stage", "epochs", "status", "reason"}
        | {"params", "trainable", "flops", "bytes", "score", "seconds", "curve"}
        | {"learning_rate", "full_epochs"},
        "evaluation": {"spec", "seed", "learning_rate", "epochs", "score", "left_out"},
        "reference": {"name", "part", "params", "score", "stderr", "metrics"},
    }
    for line in map(json.loads, lines):
        assert needed[line["type"]] <= line.keys()
    stages = [training.stage for training in finished.trainings]
    assert stages.count("search") == 3
    assert stages.count("finalist") == 4
    assert stages.count("baseline") == 1  # the linear one
    assert {item.name for item in finished.references} == {"majority"}


def test_nothing_exceeds_the_budget(finished: Run) -> None:
    assert all(r.params <= 1000 for r in finished.trainings if r.stage != "baseline")


def test_majority_and_linear_are_rows_with_a_test_score(finished: Run) -> None:
    families = {row.family: row for row in finished.report().rows if row.is_baseline}
    assert families.keys() == {"majority", "linear"}
    wanted = digits().validation.targets["label"]
    most = np.bincount(digits().train.targets["label"]).argmax()
    assert families["majority"].score == pytest.approx((wanted == most).mean())
    assert all(row.test_score is not None for row in families.values())


def test_the_test_part_is_scored_once_for_each_answer(finished: Run) -> None:
    tested = finished.evaluations
    keys = [(r.spec, r.learning_rate, r.seed) for r in tested]
    assert len(keys) == len(set(keys))
    answers = {finished.best().spec, finished.recommended().spec}
    assert answers <= {r.spec for r in tested}
    assert all(r.examples == len(digits().test) for r in tested)


def test_the_shipped_model_takes_raw_images_and_scores_as_reported(
    finished: Run,
) -> None:
    """Raw pixels in, probabilities out, with the test score of the report."""
    model = finished.load_model("recommended")
    data = digits()
    raw = data.input_scaling["x"].invert(data.test.inputs["x"])
    outputs = model.predict(raw, verbose=0)
    given = outputs["label"]
    likeliest = [b"%d" % c for c in given.argmax(axis=1)]
    assert outputs["label_class"].tolist() == likeliest
    np.testing.assert_allclose(given.sum(axis=1), 1.0, atol=1e-5)
    accuracy = (given.argmax(axis=1) == data.test.targets["label"]).mean()
    row = finished.report().recommended
    assert row is not None
    assert row.test_score == pytest.approx(accuracy)


def test_every_row_of_the_front_has_its_model(finished: Run) -> None:
    for entry in finished.front():
        assert finished.load_model(entry).count_params() == entry.params
    with pytest.raises(ResultsError, match="has no model 'wurst'"):
        finished.load_model("wurst")


def test_the_same_call_trains_nothing_again(finished: Run) -> None:
    before = (finished.folder / RESULTS_FILE).read_bytes()
    again = tune(digits(), run=finished.folder, **SMALL)
    assert (finished.folder / RESULTS_FILE).read_bytes() == before
    assert again.recommended().spec == finished.recommended().spec
    assert len(again.description["sessions"]) >= 2


def test_more_trials_go_on_where_fewer_ended(tmp_path: Path, finished: Run) -> None:
    few = tune(digits(), run=tmp_path / "grown", **{**SMALL, "trials": 1})
    grown = tune(digits(), run=few.folder, **{**SMALL, "trials": 3})
    assert grown.results[: len(few.results)] == few.results
    searched = [
        [r.key for r in run.trainings if r.stage == "search"]
        for run in (grown, finished)
    ]
    assert searched[0] == searched[1]
    keys = names_of(grown.results)
    assert len(keys) == len(set(keys))


def test_a_search_goes_on_in_a_folder_of_format_2(tmp_path: Path) -> None:
    """Nothing is trained again, and what is new stands behind what was there."""
    old = Path(__file__).parent.parent / "golden" / "format_2"
    folder = shutil.copytree(old, tmp_path / "run")
    known = read_records(folder)
    asked: dict[str, Any] = {"max_params": 3000, "finalist_seeds": 2, "epochs": 6}
    asked["searcher"] = "random"
    run = tune("digits", run=folder, **asked, trials=3)
    assert run.results == known
    assert run.description["format"] == FORMAT == 3
    run = tune("digits", run=folder, **asked, trials=4)
    assert run.results[: len(known)] == known
    assert [item.stage for item in run.trainings[8:]][0] == "search"
    assert len({item.key for item in run.trainings}) == len(run.trainings)
    lines = (folder / RESULTS_FILE).read_text().splitlines()
    assert all('"type"' not in line for line in lines[: len(known)])


def test_a_folder_of_another_search_is_refused_and_left_alone(finished: Run) -> None:
    before = (finished.folder / RUN_FILE).read_bytes()
    with pytest.raises(
        ResultsError, match="holds another search: its seed is 0, not 5"
    ):
        tune(digits(), run=finished.folder, seed=5, **SMALL)
    assert (finished.folder / RUN_FILE).read_bytes() == before


def test_a_folder_in_use_is_refused(finished: Run) -> None:
    with (
        RecordsWriter(finished.folder, finished.description),
        pytest.raises(ResultsError, match="in use by another kscale process"),
    ):
        tune(digits(), run=finished.folder, **SMALL)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"max_params": 10}, BudgetError),
        ({"max_params": None}, BudgetError),
        ({"max_params": float("nan")}, BudgetError),
        ({"max_params": -5}, BudgetError),
        ({"family": "resnt"}, SpecError),
        ({"trials": 0}, SpecError),
        ({"strategy": "cloud"}, SpecError),
        ({"objective": "acuracy"}, DataError),
        ({"time_limit": 0}, SpecError),
        ({"epochs": 0}, SpecError),
    ],
)
def test_bad_arguments_leave_nothing_behind(
    tmp_path: Path, changes: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        tune(digits(), run=tmp_path / "run", **{**SMALL, **changes})
    assert not (tmp_path / "run").exists()


def test_when_every_training_fails_the_search_says_why(tmp_path: Path) -> None:
    settings = {"depth": 9000, "width": 1_000_000}  # 36 PB of weights
    changes = {"settings": settings, "max_params": 1e17, "trials": 2}
    with pytest.raises(
        TrialError, match=r"All 2 trainings failed, .* would hold about"
    ):
        tune(digits(), run=tmp_path / "run", **{**SMALL, **changes})
    trainings = Run(tmp_path / "run").trainings
    assert [r.status for r in trainings if r.stage == "search"] == ["failed"] * 2


def test_one_failed_training_does_not_end_the_search(tmp_path: Path) -> None:
    """What was recorded as failed stays failed, and its reason is in the report."""
    folder = tmp_path / "run"
    tune(digits(), run=folder, **{**SMALL, "finalist_seeds": 0})
    lines = (folder / RESULTS_FILE).read_text().splitlines(keepends=True)
    index = next(i for i, line in enumerate(lines) if '"stage":"search"' in line)
    failed = {**json.loads(lines[index]), "status": "failed", "reason": "it burned"}
    lines[index] = json.dumps({**failed, "score": None}) + "\n"
    (folder / RESULTS_FILE).write_text("".join(lines))
    run = tune(digits(), run=folder, **{**SMALL, "finalist_seeds": 0})
    assert ("it burned", 1) in run.report().failures
    assert sum(r.stage == "search" for r in run.trainings) == 3


class Interrupting(Listener):
    """Presses Ctrl-C after some epochs."""

    def __init__(self, epochs: int) -> None:
        self.left = epochs

    def epoch_done(self, job: Job, member: int, epochs: int, score: float) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_ctrl_c_leaves_a_run_that_goes_on(tmp_path: Path, finished: Run) -> None:
    with pytest.raises(SearchInterrupted) as caught:
        tune(digits(), run=tmp_path / "run", listener=Interrupting(5), **SMALL)
    assert [r.stage for r in caught.value.run.trainings].count("search") == 1
    assert "kscale report" in summary_of(caught.value.run)
    run = tune(digits(), run=tmp_path / "run", **SMALL)
    assert names_of(run.results) == names_of(finished.results)


class ClusterLost(Listener):
    """Loses the cluster before the first training."""

    def started(self, *about: Any) -> None:
        raise ClusterError("lost")


@pytest.mark.parametrize("is_link", [False, True])
def test_a_search_refused_before_any_training_leaves_an_empty_folder_empty(
    tmp_path: Path, is_link: bool
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    if is_link:
        folder = tmp_path / "link"
        folder.symlink_to(tmp_path / "run")
    with pytest.raises(ClusterError, match="lost"):
        tune(digits(), run=folder, listener=ClusterLost(), **SMALL)
    assert folder.is_dir() and not any(folder.iterdir())


def test_a_cluster_lost_in_the_first_training_leaves_its_checkpoint(
    tmp_path: Path,
) -> None:
    checkpoint = tmp_path / "run" / "models" / "first.npz"
    with pytest.raises(ClusterError), _emptied_if_refused(tmp_path / "run"):
        checkpoint.parent.mkdir(parents=True)
        checkpoint.touch()
        raise ClusterError("lost")
    assert checkpoint.is_file()


def test_the_time_limit_ends_the_search_and_the_rest_comes_later(
    tmp_path: Path, finished: Run
) -> None:
    tune(digits(), run=tmp_path / "run", time_limit=0.01, **SMALL)
    first = read_records(tmp_path / "run")
    assert len(first) < len(finished.results)
    said = "The time limit ended the search after 0 of"
    notes = [note for note in Run(tmp_path / "run").report().notes if note.is_decisive]
    assert any(said in note.text for note in notes)
    run = tune(digits(), run=tmp_path / "run", **SMALL)
    assert not any(said in note.text for note in run.report().notes)
    assert sorted(names_of(run.results)) == sorted(names_of(finished.results))


def test_a_generous_time_limit_changes_nothing_but_the_order(
    tmp_path: Path, finished: Run
) -> None:
    run = tune(digits(), run=tmp_path / "run", time_limit=3600, **SMALL)
    assert sorted(names_of(run.results)) == sorted(names_of(finished.results))
    assert run.best().spec == finished.best().spec


def test_a_search_that_stops_by_itself_does_not_blame_the_time_limit(
    tmp_path: Path,
) -> None:
    asked = {"family": "mlp", "max_params": 1500, "epochs": 2, "finalist_seeds": 1}
    run = tune(digits(), run=tmp_path / "run", time_limit=3600, **asked)
    said = " ".join(note.text for note in run.report().notes)
    assert "The search stopped by itself" in said and "time limit" not in said


def test_an_effort_that_is_spent_adds_nothing_and_says_so(tmp_path: Path) -> None:
    """Whatever a training takes, eight of equal length are more than three."""
    old = Path(__file__).parent.parent / "golden" / "format_2"
    folder = shutil.copytree(old, tmp_path / "run")
    lines = (folder / RESULTS_FILE).read_text().splitlines()
    slow = [json.dumps({**json.loads(line), "seconds": 1000.0}) for line in lines]
    (folder / RESULTS_FILE).write_text("\n".join(slow) + "\n")
    known = read_records(folder)
    run = tune(
        "digits",
        max_params=3000,
        run=folder,
        finalist_seeds=2,
        epochs=6,
        searcher="random",
        effort="quick",
    )
    assert run.results == known
    assert run.description["sessions"][-1]["effort"] == "quick"
    said = "Effort quick ended the search after 8 trainings of 2h13m in all; --effort"
    assert any(said in note.text for note in run.report().notes)


def test_train_gives_the_asked_network_and_nothing_else(tmp_path: Path) -> None:
    run = train("mlp", {"depth": 1, "width": 8}, digits(), epochs=1, run=tmp_path / "r")
    searched = [r for r in run.trainings if r.stage == "search"]
    assert len(searched) == 1
    assert (searched[0].spec.depth, searched[0].spec.width) == (1, 8)
    assert run.load_model("best").count_params() == searched[0].params


def test_train_answers_with_the_asked_network_though_the_linear_one_is_better(
    tmp_path: Path,
) -> None:
    knobs = {"depth": 1, "width": 8, "learning_rate": 1e-4}
    run = train("mlp", knobs, digits(), epochs=1, run=tmp_path / "r")
    asked = next(r for r in run.trainings if r.stage == "search")
    rival = next(r for r in run.trainings if r.spec.family == "linear")
    assert (rival.score or 0) > (asked.score or 0)
    report = run.report()
    assert report.best is report.recommended
    assert report.best is not None and report.best.results == (asked,)
    assert report.best.test_score is not None
    assert report.baselines[-1].test_score is not None  # to compare with
    assert run.to_json()["comparisons"][-1]["baseline"] == "linear"
    assert run.load_model("recommended").count_params() == asked.params
    code = run.to_code()
    assert code.startswith('"""mlp depth=1 width=8: ') and "; 1 epoch of 1," in code


def test_train_of_the_linear_network_answers_with_it(tmp_path: Path) -> None:
    run = train("linear", data=digits(), epochs=1, run=tmp_path / "r")
    assert run.best().spec.family == "linear"


def test_regression_is_scored_in_the_users_unit(tmp_path: Path) -> None:
    changes = {"epochs": 10, "batch_size": 32, "finalist_seeds": 0}
    run = tune("diabetes", run=tmp_path / "run", **{**SMALL, **changes})
    assert "root mean squared error" in summary_of(run)
    majority = run.references[0]
    assert run.objective.name == "root_mean_squared_error"
    assert 50 < (majority.score or 0) < 110  # the spread of the 442 patients is 77
    assert run.best().score < (majority.score or 0)
    values = run.load_model("best").predict(np.zeros((3, 10)) + 1.0, verbose=0)
    assert values.shape == (3, 1) and (np.abs(values) < 2000).all()


def test_recall_may_be_the_objective(tmp_path: Path) -> None:
    changes = {"objective": "Recall", "finalist_seeds": 0, "trials": 1}
    run = tune(digits(), run=tmp_path / "run", **{**SMALL, **changes})
    assert run.objective.name == "recall"
    assert all(
        0 <= (r.score or 0) <= 1 and r.stderr
        for r in (*run.trainings, *run.evaluations)
    )


def test_several_families_share_one_front(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"settings": {}, "max_params": 3000, "trials": 6}
    changes["family"] = ("mlp", "cnn")
    run = tune(
        digits(),
        run=tmp_path / "run",
        **{**SMALL, **changes, "finalist_seeds": 0, "epochs": 1},
    )
    searched = {r.spec.family for r in run.trainings if r.stage == "search"}
    assert searched == {"mlp", "cnn"}


def test_deleted_models_are_trained_again_as_they_were(
    tmp_path: Path, finished: Run
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    shutil.rmtree(folder / "models")
    run = tune(digits(), run=folder, **SMALL)
    assert names_of(run.results) == names_of(finished.results)
    x = np.zeros((2, 8, 8, 1))
    again, before = (
        r.load_model("best").predict(x, verbose=0)["label"] for r in (run, finished)
    )
    np.testing.assert_allclose(again, before, atol=1e-6)


def test_a_folder_that_cannot_be_written_fails_no_training(
    tmp_path: Path, warm_python: WarmPython
) -> None:
    """A full disk ends the search; the same command goes on when there is room."""
    folder = tmp_path / "run"
    folder.mkdir()
    script = (
        "import resource, sys\n"
        "from kscale import tune\n"
        "from kscale.errors import ResultsError\n"
        "from tuning.test_searching import SMALL\n"
        "sys.dont_write_bytecode = True\n"  # or Python leaves half a file of it
        "resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))\n"
        f"try: tune('digits', run={str(folder)!r}, **SMALL)\n"
        "except ResultsError as error: print('ResultsError:', error)"
    )
    done = warm_python.run_here(script)
    assert done.returncode == 0, done.stderr
    assert "ResultsError" in done.stdout.splitlines()[-1]
    assert "cannot be written" in done.stdout.splitlines()[-1]
    assert all(training.status == "ok" for training in Run(folder).trainings)
    assert tune(digits(), run=folder, **SMALL).best().score > 0


def test_failed_trainings_print_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = {"depth": 9000, "width": 1_000_000}
    changes = {"settings": settings, "max_params": 1e17, "trials": 1}
    with pytest.raises(TrialError):
        tune(digits(), run=tmp_path / "run", **{**SMALL, **changes})
    said = capfd.readouterr()
    assert "Traceback" not in said.out + said.err


def test_a_run_folder_has_a_name(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="name of the run folder is empty"):
        tune(digits(), run="", **SMALL)


def test_a_damaged_model_is_one_line(tmp_path: Path, finished: Run) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    (folder / "models" / "best.keras").write_bytes(b"nothing")
    with pytest.raises(ExportError, match=r"best\.keras cannot be read"):
        Run(folder).load_model("best")


def test_an_entry_says_what_it_is_in_a_line(finished: Run) -> None:
    assert repr(finished.best()).startswith("Entry(")
    assert len(repr(finished.best())) < 120
