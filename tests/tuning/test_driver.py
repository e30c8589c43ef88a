"""The driver: slots, ledger, records, weights, with executors of both kinds."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tuning.made_data import AtOnce, digits
from tuning.process_executor import ProcessExecutor

from kscale import Listener, Run, plan_search, tune
from kscale.errors import WorkerLostError
from kscale.runs.folder import RESULTS_FILE, RecordsWriter, read_records
from kscale.runs.records import Record, Training
from kscale.search.contract import Job
from kscale.tuning.driver import Driver
from kscale.tuning.executor import Executor, LocalExecutor, Outcome
from kscale.tuning.plan import Plan
from kscale.tuning.time_policy import TimePolicy

HALVING: dict[str, Any] = {
    "family": "mlp",
    "max_params": 1000,
    "trials": 6,
    "epochs": 9,
    "batch_size": 256,
    "finalist_seeds": 2,
    "most_finalists": 2,
    "searcher": "halving",
    "settings": {"depth": 1, "norm": "none"},
}


def drive(plan: Plan, folder: Path, executor: Executor | None = None) -> Driver:
    with RecordsWriter(folder, plan.description()) as writer:
        driver = Driver(plan, folder, writer, Listener(), TimePolicy(), executor)
        driver.run()
    return driver


def trainings_in(folder: Path) -> list[Training]:
    return [item for item in read_records(folder) if isinstance(item, Training)]


@pytest.fixture(scope="module")
def halved(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A search by successive halving that ended by itself."""
    return tune(digits(), run=tmp_path_factory.mktemp("runs") / "halved", **HALVING)


def by_stage_and_epochs(trainings: Sequence[Training]) -> Counter[tuple[str, int]]:
    return Counter((training.stage, training.epochs) for training in trainings)


def test_halving_trains_rungs_and_finalists(halved: Run) -> None:
    found = by_stage_and_epochs(trainings_in(halved.folder))
    assert found == {
        ("baseline", 9): 1,
        ("search", 1): 6,
        ("search", 3): 2,
        ("search", 9): 1,
        ("finalist", 9): 4,
    } or found == {  # where only the linear network was within reach of the best
        ("baseline", 9): 1,
        ("search", 1): 6,
        ("search", 3): 2,
        ("search", 9): 1,
        ("finalist", 9): 2,
    }


def test_a_rung_goes_on_from_the_weights_below(halved: Run) -> None:
    trainings = {(t.job, t.epochs): t for t in trainings_in(halved.folder)}
    going_on = [t for t in trainings.values() if t.epochs_from]
    assert going_on
    for training in going_on:
        parent = trainings[(training.parent, training.epochs_from)]  # type: ignore[index]
        below = parent.curve["loss"]
        assert training.curve["loss"][: len(below)] == below
        assert len(training.curve["loss"]) == training.epochs
        assert not parent.is_full and training.full_epochs == 9


def test_short_trainings_are_never_the_answer(halved: Run) -> None:
    assert all(entry.epochs == 9 for entry in halved.front())
    assert halved.best().epochs == halved.recommended().epochs == 9


def test_weights_are_kept_of_the_front_and_finalists_only(halved: Run) -> None:
    kept = {path.stem for path in (halved.folder / "models").glob("*.npz")}
    trainings = trainings_in(halved.folder)
    short = {t.key for t in trainings if t.stage == "search" and not t.is_full}
    finalists = {t.key for t in trainings if t.stage == "finalist"}
    assert not kept & short and finalists <= kept


class Scoring(LocalExecutor):
    """Trains, and scores by a formula; what a later job needs must be on disk."""

    driver: Driver

    def __init__(self, plan: Plan, score: Callable[[Training], float]) -> None:
        super().__init__(plan.trainers())
        self._score = score

    def finished(self, timeout: float | None = None) -> Sequence[Outcome]:
        driver = self.driver
        needed = driver.searcher.needed(driver.trainings, driver.pending)
        for training in driver.trainings:
            if training.key in needed:
                assert weights_of(driver.folder, training).exists()
        found = super().finished(timeout)
        return [Outcome(o.assignment, self._scored(o.training)) for o in found]

    def _scored(self, training: Training | None) -> Training | None:
        return training and replace(training, score=self._score(training))


def weights_of(folder: Path, training: Training) -> Path:
    return folder / "models" / f"{training.key}.npz"


def drive_scored(
    folder: Path, score: Callable[[Training], float], **options: Any
) -> Driver:
    """A search with made-up scores, and without an answer."""
    plan = plan_search(digits(), **{**HALVING, **options})
    executor = Scoring(plan, score)
    with RecordsWriter(folder, plan.description()) as writer:
        driver = Driver(plan, folder, writer, Listener(), TimePolicy(), executor)
        executor.driver = driver
        driver._search()
    return driver


def test_short_trainings_hide_no_full_ones_whose_weights_are_kept(
    tmp_path: Path,
) -> None:
    """A small network scores high after an epoch, a large one low after all."""

    def score(training: Training) -> float:
        if training.stage == "baseline":
            return 0.01
        return 0.1 if training.is_full else 0.5 + training.params / 1e6

    driver = drive_scored(tmp_path, score, finalist_seeds=0, max_params=5000)
    full = [t for t in driver.searched if t.is_full]
    short = [t for t in driver.searched if not t.is_full]
    assert min(t.bytes for t in short) < min(t.bytes for t in full)
    front = Run(tmp_path).front()
    kept = [t for entry in front for t in entry.results if t.stage == "search"]
    assert kept and all(weights_of(tmp_path, t).exists() for t in kept)
    assert not any(weights_of(tmp_path, t).exists() for t in short)


def test_a_low_score_of_the_first_seed_costs_no_weights_of_the_front(
    tmp_path: Path,
) -> None:
    """The mean over the seeds decides, once all of them are trained."""

    def score(training: Training) -> float:
        if training.stage == "baseline":
            return 0.01
        return (0.2, 0.5)[training.job] + (-0.4, 0.9)[training.member] * training.job

    options = {"searcher": "random", "trials": 2, "epochs": 1, "seeds": 2}
    drive_scored(tmp_path, score, finalist_seeds=0, **options)
    front = Run(tmp_path).front()
    kept = [t for entry in front for t in entry.results if t.stage == "search"]
    assert {t.job for t in kept} >= {1} and len(kept) >= 2
    assert all(weights_of(tmp_path, t).exists() for t in kept)


def test_every_job_is_a_trial_of_keras_tuner(halved: Run) -> None:
    trials = [
        json.loads(path.read_text())
        for path in (halved.folder / "tuner").glob("trial_*/trial.json")
    ]
    jobs = {(t.stage, t.job) for t in trainings_in(halved.folder)}
    assert len(trials) == len(jobs)
    assert {trial["status"] for trial in trials} == {"COMPLETED"}


class Stopper(Listener):
    """Ctrl-C after some trainings."""

    def __init__(self, after: int) -> None:
        self.left = after

    def result_recorded(self, result: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    "after",
    [
        8,
        pytest.param(3, marks=pytest.mark.slow),
        pytest.param(9, marks=pytest.mark.slow),
    ],
)
def test_a_search_that_stops_in_a_rung_goes_on_as_if_it_had_not(
    tmp_path: Path, halved: Run, after: int
) -> None:
    folder = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        tune(digits(), run=folder, listener=Stopper(after), **HALVING)
    assert len(trainings_in(folder)) == after
    tune(digits(), run=folder, **HALVING)
    found, whole = trainings_in(folder), trainings_in(halved.folder)
    assert [t.key for t in found] == [t.key for t in whole]
    for training, expected in zip(found, whole, strict=True):
        assert training.score == pytest.approx(expected.score, abs=1e-6)


def test_ctrl_c_is_no_death_of_the_process(tmp_path: Path) -> None:
    """However often a training is interrupted, the same command goes on with it."""

    class Interrupting(Listener):
        def epoch_done(self, job: Job, member: int, epochs: int, score: float) -> None:
            raise KeyboardInterrupt

    options = {**HALVING, "searcher": "random", "trials": 1, "finalist_seeds": 0}
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            tune(digits(), run=tmp_path / "run", listener=Interrupting(), **options)
    assert not list((tmp_path / "run" / "models").glob("*.attempts.json"))
    run = tune(digits(), run=tmp_path / "run", **options)
    assert {training.status for training in run.trainings} == {"ok"}


@pytest.mark.parametrize(
    ("may_be_blamed", "is_gone"), [(True, True), (False, True), (False, False)]
)
def test_the_loss_of_a_machine_is_no_death_of_the_training(
    tmp_path: Path, may_be_blamed: bool, is_gone: bool
) -> None:
    class Losing(Listener):
        def epoch_done(self, job: Job, member: int, epochs: int, score: float) -> None:
            raise WorkerLostError("A worker was lost.", is_gone)

    plan = plan_search(digits(), **HALVING)
    with (
        RecordsWriter(tmp_path, plan.description()) as writer,
        pytest.raises(WorkerLostError),
    ):
        Driver(
            plan,
            tmp_path,
            writer,
            Losing(),
            TimePolicy(),
            may_be_blamed=lambda: may_be_blamed,
        ).run()
    counted = list((tmp_path / "models").glob("*.attempts.json"))
    assert bool(counted) is (may_be_blamed or not is_gone)


def test_an_error_of_a_listener_is_not_one_of_the_folder(tmp_path: Path) -> None:
    class Offline(Listener):
        def result_recorded(self, result: Any) -> None:
            raise ConnectionError("nobody answers")  # an OSError

    with pytest.raises(ConnectionError, match="nobody answers"):
        tune(digits(), run=tmp_path / "run", listener=Offline(), **HALVING)


@pytest.mark.slow
def test_processes_train_what_this_one_does(tmp_path: Path, halved: Run) -> None:
    plan = plan_search(digits(), **HALVING)
    executor = ProcessExecutor(plan, tmp_path / "data", slots=2)
    (tmp_path / "data" / "kill").touch()  # one of the processes dies in a training
    drive(plan, tmp_path / "run", executor)
    assert not (tmp_path / "data" / "kill").exists()
    assert executor.most_out == 2
    found, whole = trainings_in(tmp_path / "run"), trainings_in(halved.folder)
    assert len(found) == len({t.key for t in found})
    assert {t.key for t in found} == {t.key for t in whole}
    scores = {t.key: t.score for t in whole}
    for training in found:
        assert training.score == pytest.approx(scores[training.key], abs=1e-6)
    assert Run(tmp_path / "run").best().params == halved.best().params


def test_a_time_limit_ends_a_search_by_halving_with_an_answer(tmp_path: Path) -> None:
    options = {**HALVING, "trials": 200, "time_limit": 12.0}
    run = tune(digits(), run=tmp_path / "run", **options)
    trainings = trainings_in(run.folder)
    assert sum(t.epochs == 1 for t in trainings) < 200
    assert run.best().epochs == 9


def test_failed_members_end_no_search(tmp_path: Path) -> None:
    """What is recorded as failed stays failed and never goes on to the next rung."""
    folder, options = tmp_path / "run", {**HALVING, "finalist_seeds": 0, "seeds": 2}
    with pytest.raises(KeyboardInterrupt):
        tune(digits(), run=folder, listener=Stopper(7), **options)
    lines = (folder / RESULTS_FILE).read_text().splitlines(keepends=True)
    for index, line in enumerate(lines):
        if '"stage":"search"' in line and '"member":0' in line:
            failed = {**json.loads(line), "status": "failed", "reason": "it burned"}
            lines[index] = json.dumps({**failed, "score": None}) + "\n"
        if '"stage":"search","job":0,"member":1' in line:
            failed = {**json.loads(line), "status": "failed", "reason": "it burned"}
            lines[index] = json.dumps({**failed, "score": None}) + "\n"
    (folder / RESULTS_FILE).write_text("".join(lines))
    run = tune(digits(), run=folder, **options)
    trainings = [t for t in trainings_in(folder) if t.stage == "search"]
    assert by_stage_and_epochs(trainings)["search", 1] == 12
    assert by_stage_and_epochs(trainings)["search", 9] == 2
    dead = {t.job for t in trainings if t.status == "failed"}
    half = {t.job for t in trainings if t.status == "ok"} & dead
    assert dead and half
    assert not {t.parent for t in trainings} & (dead - half)
    assert run.best().epochs == 9


def test_records_are_written_before_anything_else(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    seen: list[tuple[int, int]] = []

    class Watch(Listener):
        def result_recorded(self, result: Record) -> None:
            on_disk = trainings_in(folder)
            seen.append((len(on_disk), len(seen) + 1))
            assert isinstance(result, Training) and on_disk[-1].key == result.key

    options = {**HALVING, "searcher": "random", "trials": 2, "epochs": 1}
    tune(digits(), run=folder, listener=Watch(), **options)
    assert seen and all(written == heard for written, heard in seen)


def test_a_job_of_which_one_member_is_recorded_trains_the_other(tmp_path: Path) -> None:
    options = {**HALVING, "searcher": "random", "trials": 1, "epochs": 1, "seeds": 2}
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        tune(digits(), run=folder, listener=Stopper(2), **options)
    first = trainings_in(folder)
    assert [t.stage for t in first] == ["baseline", "search"]
    tune(digits(), run=folder, **options)
    searched = [t for t in trainings_in(folder) if t.stage == "search"]
    assert [t.member for t in searched] == [0, 1]


def test_jobs_are_pickled_whole() -> None:
    import pickle

    from kscale.networks.families import find_family

    job = Job("search", 3, find_family("mlp").spec(), (1, 2), (0.1, None), 4, 1, 2)
    assert pickle.loads(pickle.dumps(job)) == job


def test_what_ended_beside_a_training_that_ran_out_of_time_is_recorded(
    tmp_path: Path,
) -> None:
    class TwoAtOnce(LocalExecutor):
        """Of two trainings out, the first has no time left, the second ends."""

        slots = 2

        def finished(self, timeout: float | None = None) -> Sequence[Outcome]:
            first = Outcome(self._waiting.popleft(), None)
            return [first, *super().finished()]

    plan = plan_search(digits(), **{**HALVING, "epochs": 1})
    driver = drive(plan, tmp_path / "run", TwoAtOnce(plan.trainers()))
    assert [training.stage for training in driver.trainings] == ["search"]
    assert trainings_in(tmp_path / "run") == driver.trainings
    assert not list((tmp_path / "run" / "models").glob("*.attempts.json"))


def test_only_the_current_attempt_at_a_training_counts(tmp_path: Path) -> None:
    """An attempt that was given up ends late, before the next and once more after."""

    class Late(LocalExecutor):
        late: Outcome | None = None

        def finished(self, timeout: float | None = None) -> Sequence[Outcome]:
            if self.late is None:
                (self.late,) = super().finished()
                return [Outcome(self.late.assignment, None, has_died=True)]
            late = replace(self.late.training, score=0.99, reason="late")
            given_up = Outcome(self.late.assignment, late)
            return [given_up, *super().finished(), given_up]

    options = {**HALVING, "searcher": "random", "trials": 2, "epochs": 1}
    plan = plan_search(digits(), **options)
    driver = drive(plan, tmp_path / "run", Late(plan.trainers()))
    found = trainings_in(tmp_path / "run")
    assert found == driver.trainings and not any(t.reason for t in found)
    assert len({t.key for t in found}) == len(found)
    assert {t.status for t in found} == {"ok"}


def test_a_search_at_once_trains_what_a_search_one_by_one_does(
    halved: Run, tmp_path: Path
) -> None:
    """Members of a job and other jobs of its structure; scores are within rounding."""
    plan = plan_search(digits(), **HALVING)
    trainer_of = plan.trainers()
    alone = {t.key: t for t in trainings_in(halved.folder)}
    trainer: Any = trainer_of(next(iter(alone.values())).spec)
    counts = []

    class Counting(AtOnce):
        """Counts the networks of each program."""

        def program(self, networks: Any, placed: Any, recipe: Any) -> Any:
            counts.append(len(networks))
            return super().program(networks, placed, recipe)

    trainer.engine = Counting("none")
    driver = drive(plan, tmp_path / "run", LocalExecutor(trainer_of))
    found = {training.key: training for training in driver.trainings}
    assert found.keys() == alone.keys()
    assert max(counts) > 1
    for key, training in found.items():
        assert training.score == pytest.approx(alone[key].score, abs=0.02)


@pytest.mark.slow
def test_what_a_search_expects_of_other_sizes_is_reported(tmp_path: Path) -> None:
    more = {"searcher": "auto", "trials": 8, "epochs": 3, "max_params": 4000}
    settings = {"settings": {"norm": "none"}, "finalist_seeds": 0}
    run = tune(digits(), run=tmp_path / "run", **{**HALVING, **more, **settings})
    untried = run.description["beliefs"]["untried"]
    expected = [each.expected for each in run.report().course.octaves if each.expected]
    assert [each.params for each in expected] == [item["params"] for item in untried]
    assert untried and all(each.deviation > 0 for each in expected)
    assert all(each.params <= 4000 for each in expected)
