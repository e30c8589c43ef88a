"""How much is enough: the effort of a search, and where more of it gains too little."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from kscale.networks.families.base import Spec
from kscale.runs.entries import Entry, entries_of
from kscale.runs.records import Training
from kscale.search.contract import Allowance, Beliefs, Job, keys_of

_MOST_OF_FINALISTS = 0.5  # of the effort
_FLAT = 0.1  # of the standard error of the best score, below which a gain is too little
_IN_A_ROW = 8  # jobs that promise too little, after which a search is flat


@dataclass(frozen=True)
class Effort:
    """How much a search may train, finalists included.

    Args:
        trainings: Full trainings of the winner that all trainings together may cost.
        least: Seconds that all trainings may take in any case, because trainings of
            small data are mostly fixed time.
    """

    trainings: float
    least: float

    def seconds(self, winner: Job, allowance: Allowance) -> float:
        """Seconds of all trainings, by the job that trains the winner."""
        return max(self.trainings * allowance.alone(winner), self.least)

    def within(
        self,
        winner: Job,
        history: Sequence[Training],
        pending: Sequence[Job],
        allowance: Allowance,
    ) -> Allowance:
        """The part of an allowance that the effort leaves. Devices train side by side,
        as many as use the seconds of the effort within the time."""
        seconds = self.seconds(winner, allowance)
        left = seconds - _spent(history, pending, allowance)
        devices = 1.0
        if left > allowance.seconds:
            devices = min(left / max(allowance.seconds, 1e-9), allowance.devices)
        return replace(
            allowance,
            seconds=min(allowance.seconds, left),
            most=min(allowance.most, _MOST_OF_FINALISTS * seconds / devices),
            devices=devices,
        )


EFFORTS: Mapping[str, Effort] = {
    "quick": Effort(3.0, 9.0),
    "normal": Effort(5.0, 20.0),
    "thorough": Effort(20.0, 60.0),
}
"""The winner itself takes one training, and two finalists of one new seed take two:
fewer than three leave nothing to search."""


@dataclass(frozen=True)
class Flat:
    """Why a search has done enough: none of its last jobs promised much.

    Args:
        gain: Largest expected gain among these jobs, in the unit of the score.
        stderr: Standard error of the best score.
    """

    gain: float
    stderr: float


def flat_of(
    history: Sequence[Training],
    beliefs_of: Callable[[Sequence[Training]], Beliefs | None],
) -> Flat | None:
    """How flat a search is; None while more trainings may still gain.

    A search is flat if the most promising network had its full length, and if, after
    each of the last jobs, no gain was expected. A gain of less than a tenth of the
    standard error of the best score cannot be seen on the validation part
    (`experiments/flat_stop.py`). Searchers without a model of scores are never flat.

    Args:
        history: Trainings of the search.
        beliefs_of: Gives what the searcher expects after a history.
    """
    jobs = [*dict.fromkeys(training.job for training in history)]
    best = next(iter(promising_of(history, beliefs_of(history))), None)
    if best is None or not best.is_full or len(jobs) < _IN_A_ROW:
        return None
    gains: list[float] = []
    for number in range(_IN_A_ROW):
        last = jobs[len(jobs) - number :]
        beliefs = beliefs_of([t for t in history if t.job not in last])
        if beliefs is None or beliefs.gain >= _FLAT * best.stderr:
            return None
        gains.append(beliefs.gain)
    return Flat(max(gains), best.stderr)


def promising_of(history: Sequence[Training], beliefs: Beliefs | None) -> list[Entry]:
    """Networks that were trained, however short, the most promising first; without
    those that failed before their full length, which never get there.

    Where the code of a user's model decides the learning rate, a searcher knows none,
    but the trainings tell which it was.
    """
    found: dict[tuple[Spec, float | None], Entry] = {}
    for entry in entries_of(history):
        found |= {(entry.spec, rate): entry for rate in (None, entry.learning_rate)}
    trained = beliefs.trained if beliefs is not None else ()
    failed = {(t.spec, t.learning_rate) for t in history if t.status == "failed"}
    places = [(belief.spec, belief.learning_rate) for belief in trained]
    ranked = ((place, found[place]) for place in places if place in found)
    return [each for place, each in ranked if each.is_full or place not in failed]


def _spent(
    history: Sequence[Training], pending: Sequence[Job], allowance: Allowance
) -> float:
    """Seconds of what was trained, and of what is out and not yet recorded."""
    known = keys_of(history)
    out = sum(
        allowance.cost(job) * sum(key not in known for key in job.keys) / len(job.keys)
        for job in pending
    )
    return sum(training.seconds for training in history) + out
