"""The driver: one start of a search, from free slots to recorded trainings."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from kscale.errors import BudgetError, TrialError, WorkerLostError, writing
from kscale.networks.families import view_of_spec
from kscale.networks.families.base import Spec
from kscale.reports.board_logs import LogWriter
from kscale.runs.entries import answers_of, front_of
from kscale.runs.folder import RecordedRun, RecordsWriter, read_records, read_run
from kscale.runs.records import DeviceFit, Record, Training
from kscale.search.contract import DONE, Allowance, Job, Signal, is_known, keys_of
from kscale.text import counted
from kscale.tuning.answering import Answering
from kscale.tuning.attempts import MemberWeights
from kscale.tuning.effort_texts import flat_search, spent_effort
from kscale.tuning.executor import Executor, Outcome
from kscale.tuning.latency_limit import LatencyGate
from kscale.tuning.ledger import JobOracle
from kscale.tuning.listeners import Listener
from kscale.tuning.places import make_executor
from kscale.tuning.plan import Plan
from kscale.tuning.references import ReferenceContext
from kscale.tuning.time_policy import TimePolicy
from kscale.tuning.trainer import Assignment, TimeUp

PageWriter = Callable[[Path, Sequence[Record]], None]
"""Writes the page of a run from the folder and the records."""


@dataclass
class _OpenJob:
    """A job that is out: members that wait, and trainings that have ended."""

    job: Job
    slot: str
    waiting: deque[int]
    trainings: list[Training] = field(default_factory=list)
    running: dict[Assignment, MemberWeights] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        return not self.waiting and not self.running


class Driver:
    """Runs a search: asks for a job for each free slot, and records what comes back.

    Each finished training is on disk before anything else happens. Only the driver
    writes records and puts finished weights in place.

    Args:
        plan: What to do.
        folder: Folder of the run.
        writer: Writes the records of the folder.
        listener: Hears of progress.
        policy: The time limit of this session.
        executor: Runs the members of jobs; by default in this process, on its devices.
        gate: Measures latencies, where they are limited.
        write_page: Writes the page of the run when all else is done.
        may_be_blamed: Tells, after the loss of a worker, whether what was trained may
            have caused the loss.
    """

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        writer: RecordsWriter,
        listener: Listener,
        policy: TimePolicy,
        executor: Executor | None = None,
        gate: LatencyGate | None = None,
        write_page: PageWriter = lambda folder, records: None,
        may_be_blamed: Callable[[], bool] = lambda: True,
    ) -> None:
        self.plan = plan
        self.folder = folder
        self.writer = writer
        self.listener = listener
        self.policy = policy
        self.gate = gate
        self.write_page = write_page
        self.may_be_blamed = may_be_blamed
        self.trainer_of = plan.trainers()
        self.executor = executor or make_executor(
            plan, self.trainer_of, folder, listener
        )
        self.recorded = read_records(folder)
        self.logs = LogWriter(RecordedRun(folder, self.recorded))
        self.searcher = plan.searcher(gate.admits if gate else None)
        self.costs = plan.cost_model()
        for training in self.trainings:
            self.costs.see(training)
        self.costs.restart()
        self._models = folder / "models"
        self._open: dict[str, _OpenJob] = {}  # by trial
        self._announced = self._is_time_over = False

    @property
    def trainings(self) -> list[Training]:
        """Finished trainings, failed ones too: the history of the searcher."""
        return [item for item in self.recorded if isinstance(item, Training)]

    @property
    def searched(self) -> list[Training]:
        """Trainings of the search, without baselines and finalists."""
        return [training for training in self.trainings if training.stage == "search"]

    @property
    def pending(self) -> list[Job]:
        """Jobs that are out."""
        return [item.job for item in self._open.values()]

    def run(self) -> None:
        """Search, then answer; what was finished stays whatever happens."""
        self.listener.started(self.plan, self.folder, tuple(self.recorded))
        if self.gate is not None:
            self.gate.record = self._append
        try:
            self._score_references()
            self._search()
            self.executor.close()  # what answers needs the devices
            beliefs = self.searcher.beliefs(self.trainings)
            known = {"beliefs": beliefs.to_json()} if beliefs is not None else {}
            self.writer.describe({"notes": self._notes(), **known})
            self._raise_if_all_failed()
            Answering(
                self.plan,
                self._models,
                self.trainer_of,
                self.recorded,
                self._append,
                self.listener.note,
                self.policy.seconds_to_limit,
            ).run()
            self.write_page(self.folder, self.recorded)
        except WorkerLostError as lost:
            if not lost.is_gone or self.may_be_blamed():  # as if this process had died
                self._open.clear()
            raise
        finally:
            self.executor.close()
            for item in self._open.values() if self.executor.trains_here else ():
                for weights in item.running.values():
                    weights.attempts.end()  # given up, and no death of the process
            self._drop_late()
            self.listener.ended()

    def _notes(self) -> list[str]:
        """What a report says of how the search went."""
        candidates = self.plan.candidates
        trained = [t for t in self.trainings if t.stage in ("search", "subset")]
        request = self.plan.request
        most = candidates.most_trials(request.most_trials)
        seeds = len({(t.spec, t.learning_rate, t.seed, t.share) for t in trained})
        tried = math.ceil(seeds / request.seeds)
        notes = [*candidates.notes(), *self.searcher.notes(self.trainings)]
        is_short = tried < most and (self.gate is None or self._is_time_over)
        trials = counted(tried, "trial")
        if request.trials is not None:
            trials = f"{tried:,} of {counted(most, 'trial')}"
        if (flat := self.searcher.flat(self.trainings)) is not None:
            notes.insert(0, flat_search(self.plan, flat))
        elif is_short and self.policy.is_limited:
            notes.insert(
                0,
                f"The time limit ended the search after {trials}; the same command "
                "goes on with it.",
            )
        elif is_short and self.plan.effort is not None:
            notes.insert(0, spent_effort(self.plan, self.trainings))
        return notes

    def _score_references(self) -> None:
        context = ReferenceContext(
            self.plan.setup,
            self.recorded,
            self._models,
            self.plan.request.seed,
            self.policy.seconds_left,
            self.listener.epoch_done,
        )
        for source in self.plan.references:
            try:
                for record in source.records(context):
                    self._append(record)
                    if record.seconds and record.part == "validation":
                        self.listener.result_recorded(record)
            except TimeUp:
                self.listener.note(
                    "The time limit ended the training of the present model; the same "
                    "command goes on with it."
                )

    def _search(self) -> None:
        oracle = JobOracle(self._propose, self.plan.objective, self.folder / "tuner")
        try:
            while self._fill_slots(oracle):
                outcomes = self.executor.finished()
                if not all([self._settle(oracle, each) for each in outcomes]):
                    raise TimeUp("The time limit ended a training")
        except TimeUp as over:
            self._is_time_over = True
            self.executor.close()
            self.listener.note(f"{over}; the same command goes on with it.")
        else:
            self._raise_if_all_slow()
            self._note_missing_finalists()

    def _fill_slots(self, oracle: JobOracle) -> bool:
        """Give every free slot something to do; whether anything is out."""
        while sum(len(i.running) for i in self._open.values()) < self.executor.slots:
            waiting = next((i for i in self._open.values() if i.waiting), None)
            if waiting is not None:
                member = waiting.waiting.popleft()
                weights = MemberWeights(self._models, waiting.job, member)
                assignment = weights.begin(self.policy.seconds_left())
                waiting.running[assignment] = weights
                self.executor.submit(assignment)
                continue
            used = {item.slot for item in self._open.values()}
            slot = next(s for s in map(str, range(len(used) + 1)) if s not in used)
            trial = oracle.begin(slot)
            if isinstance(trial, Signal):
                break
            self._open[trial] = self._opened(oracle.jobs[trial], slot)
        return bool(self._open)

    def _propose(self) -> Job | Signal:
        """The next job; the listener hears when finalists begin."""
        costs = self.costs
        devices = self.executor.devices
        allowance = self.policy.allowance(costs.cost, costs.alone, devices)
        job = self.searcher.propose(self.trainings, self.pending, allowance)
        if isinstance(job, Job) and job.stage == "finalist" and not self._announced:
            self._announced = True
            jobs = self.searcher.finals(self.trainings, allowance=allowance)
            keys = keys_of(self.trainings)
            seconds = sum(self.costs.cost(j) for j in jobs if not is_known(j, keys))
            self.listener.finalists_planned(jobs, seconds)
        return job

    def _opened(self, job: Job, slot: str) -> _OpenJob:
        """A job that is taken out; members that earlier sessions trained are done."""
        known = {training.key: training for training in self.trainings}
        due = [member for member, key in enumerate(job.keys) if key not in known]
        done = [known[key] for key in job.keys if key in known]
        return _OpenJob(job, slot, deque(due), done)

    def _settle(self, oracle: JobOracle, outcome: Outcome) -> bool:
        """Record what became of an assignment, and end the trial of a whole job.

        Returns:
            Whether there is time to go on.
        """
        assignment, training = outcome.assignment, outcome.training
        out = (pair for pair in self._open.items() if assignment in pair[1].running)
        trial, item = next(out, ("", None))
        if item is None:  # another attempt has taken the place of this one
            return True
        weights = item.running.pop(assignment)
        if outcome.has_died:  # counted when the next attempt begins
            if outcome.is_blamed:
                weights.attempts.blame()
            item.waiting.appendleft(assignment.member)
            return True
        weights.end(assignment, training)
        if training is None:
            return False
        if self.gate is not None and training.status == "ok":
            training = self.gate.with_latency(training)
        item.trainings.append(training)
        if training.status == "ok":
            self._keep_view(training.spec)
        self._append(training)
        self.costs.see(training)
        self.policy.keep(self.costs.answer(training.spec))
        if item.is_done:
            del self._open[trial]
            oracle.finish(trial, item.trainings)
        self.listener.time_left(self._seconds_left())
        self.listener.result_recorded(training)
        self._drop_weights()
        return True

    def _keep_view(self, spec: Spec) -> None:
        """Keep in run.json what makes the inputs of a network that sees less than the
        data have, so that the network opens without the data."""
        data = self.plan.dataset
        if not (view := view_of_spec(spec, data.task)):
            return
        known = read_run(self.folder).get("views", [])
        if view not in [each["view"] for each in known]:
            made = {n: p.to_json() for n, p in data.preprocessing_of(spec).items()}
            self.writer.describe(
                {"views": [*known, {"view": view, "preprocessing": made}]}
            )

    def _append(self, record: Record) -> None:
        """Every record goes to disk first, then to the logs and the lists."""
        self.writer.append(record)
        self.recorded.append(record)
        self.logs.record(record)

    def _seconds_left(self) -> float:
        """Seconds of all that is out, and of what the searcher expects."""
        out = [
            replace(
                item.job, seeds=item.job.seeds[: len(item.waiting) + len(item.running)]
            )
            for item in self._open.values()
        ]
        seconds = sum(map(self.costs.cost, out))
        outlook = self.searcher.outlook(self.trainings, self.pending)
        seconds += self.costs.cost_of(outlook)
        untimed = Allowance(cost=self.costs.cost, alone=self.costs.alone)
        within = self.searcher.within(self.trainings, self.pending, untimed)
        seconds = min(seconds, within.seconds) / self.executor.devices
        return max(min(seconds, self.policy.seconds_left()), 0.0)

    def _drop_weights(self) -> None:
        """Delete weights that nothing needs any more: those of no job that is out, of
        no training that another may go on from, of no baseline and not of the front."""
        plan, fits = self.plan, [r for r in self.recorded if isinstance(r, DeviceFit)]
        answers = answers_of([*self.searched, *fits], plan.budget, plan.identity)
        front = front_of(answers, plan.objective)
        needed = {t.key for entry in front for t in entry.results}
        needed |= self.searcher.needed(self.trainings, self.pending)
        needed |= {key for job in self.pending for key in job.keys}
        tried = (t for t in self.trainings if t.stage in ("search", "subset"))
        _delete(self._models / f"{t.key}.npz" for t in tried if t.key not in needed)

    def _drop_late(self) -> None:
        """Delete what given-up attempts wrote after another attempt had ended, and
        files that were not written to their end."""
        known = {training.key for training in self.trainings}
        written = self._models.glob("*.*.npz")
        _delete(path for path in written if path.name.split(".")[0] in known)
        _delete(self._models.glob(".*.npz.*.partial"))

    def _raise_if_all_slow(self) -> None:
        """Where no spec was admitted one by one, this is known at the end only, and
        only if the end is not that of the time."""
        if self.gate is None or not self.gate.are_all_slow or self.searched:
            return
        with suppress(TimeUp):
            if self.searcher.propose(self.trainings, (), Allowance()) is DONE:
                raise BudgetError(self.gate.nothing_fits())

    def _note_missing_finalists(self) -> None:
        finals = self.searcher.finals(self.trainings)
        is_proved = any(training.stage == "finalist" for training in self.trainings)
        if self.policy.is_limited and not self.searched:
            self.listener.note(
                "The time limit ended the search before any network of it was trained; "
                "the same command goes on with it."
            )
        elif self.policy.is_limited and finals and not is_proved:
            self.listener.note(
                "The time limit leaves no time for finalists; every score is of the "
                "search alone."
            )

    def _raise_if_all_failed(self) -> None:
        tried = self.searched
        if tried and all(training.status == "failed" for training in tried):
            reasons = [training.reason for training in tried]
            most = max(set(reasons), key=reasons.count)
            all_of = f"All {len(tried)} trainings" if len(tried) > 1 else "The training"
            raise TrialError(f"{all_of} failed, mostly so: {most}.")


def _delete(paths: Iterable[Path]) -> None:
    for path in paths:
        with writing(path):
            path.unlink(missing_ok=True)
