"""Latency: the time of a forward pass, measured on the device at hand.

Only a network that is built can be measured, so this limit comes last, and three facts
keep the builds few and small. Among networks of one family with equal FLOPs those of
the fewest layers are the fastest, so the widest of a depth that is fast enough bounds
the FLOPs of all that are deeper: the bound is looked for from the narrowest up, in
steps that double, and then by bisection. A network that is wider than a slow one, and
else equal, is too slow as well. And what a search does not come to propose is not
measured.
"""

import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from kscale.engine.base import Latency
from kscale.engine.engines import make_engine
from kscale.errors import BudgetError, TrialError, reason_of
from kscale.networks.families.base import Spec
from kscale.runs.records import Measurement, Record, Training, training_key
from kscale.search.pool import Pool
from kscale.tuning.attempts import Attempts
from kscale.tuning.plan import Plan
from kscale.tuning.time_policy import TimePolicy
from kscale.tuning.trainer import TimeUp, check_memory
from kscale.units import format_value

logger = logging.getLogger(__name__)

_CHEAP_FLOPS = 10**8  # of a network that is built and measured within a second
_DOUBTED = 1.25  # times the limit: medians up to it are measured once more
_MOST_ATTEMPTS = 2


def settled_latency(measure: Callable[[], Latency], limit: float) -> Latency:
    """A measurement, or the lower of two where the first is little above the limit.

    Other processes only ever slow a network down, so the lower median is the truer.
    """
    found = measure()
    if limit < found.median <= _DOUBTED * limit:
        found = min(found, measure(), key=lambda latency: latency.median)
    return found


class LatencyGate:
    """Lets through the networks that are fast enough; each is measured once at most.

    A network that cannot be measured (memory is missing, building fails, the process
    died twice) is recorded as failed and not let through.

    Args:
        plan: The search, whose budget has `max_latency_ms`.
        folder: Folder of the run.
        recorded: Records of earlier sessions, whose measurements are not repeated.
        record: Takes each new measurement.
        policy: The time limit, after which nothing is measured to be let through.

    Attributes:
        measurements: How many networks this gate measured or failed to.
    """

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        recorded: Iterable[Record],
        record: Callable[[Record], None],
        policy: TimePolicy | None = None,
    ) -> None:
        self.plan = plan
        self.engine = make_engine(plan.request.strategy)
        self.budget = plan.budget
        self.folder = folder
        self.record = record
        self.policy = policy or TimePolicy()
        self.measurements = 0
        self._limit = self.budget.max_latency_ms or math.inf
        self._known: dict[Spec, dict[int, Measurement]] = defaultdict(dict)
        for item in recorded:
            if isinstance(item, Measurement):
                same, width = self._alike(item.spec)
                same[width] = item

    def admits(self, spec: Spec) -> bool:
        """Whether a network is fast enough; builds and measures it if need be.

        The measurement of the network decides. Without a measurement, the network is
        refused unbuilt where a narrower network, all else equal, was too slow and none
        at least as wide was fast: a disturbed measurement must not rule out what is
        known to be fast. The answer for a network never changes, not even in later
        sessions.

        Raises:
            TimeUp: The network would have to be measured, and the time is over.
        """
        same, width = self._alike(spec)
        if width not in same:
            fast = {other for other in same if self._is_fast(same[other])}
            slow = same.keys() - fast
            if min(slow, default=width) < width > max(fast, default=0):
                return False
            if self.policy.seconds_left() <= 0:
                raise TimeUp(
                    "The time limit came before the next latency could be measured"
                )
        return self._is_fast(self.measured(spec))

    def _admits_now(self, pool: Pool, index: int) -> bool | None:
        """Whether a spec of a pool is admitted; None where there is no time left."""
        try:
            return self.admits(pool.spec(int(index)))
        except TimeUp:
            return None

    def measured(self, spec: Spec) -> Measurement:
        """The measurement of a network, now or before, also after the time limit."""
        same, width = self._alike(spec)
        if width not in same:
            same[width] = self._measure(spec)
            self.measurements += 1
            self.record(same[width])
        return same[width]

    def with_latency(self, training: Training) -> Training:
        """A training, with what was measured of its network."""
        found = self.measured(training.spec)
        names = ("latency_ms", "latency_low", "latency_high")
        return replace(training, **{name: getattr(found, name) for name in names})

    def _alike(self, spec: Spec) -> tuple[dict[int, Measurement], int]:
        """Measurements by width of networks that differ in width alone; the width."""
        shared, width = self.plan.candidates.by_width(spec)
        return self._known[shared], width

    def attempts(self, spec: Spec) -> Attempts:
        """How often measuring a network was begun and killed the process."""
        shared, width = self.plan.candidates.by_width(spec)
        name = training_key("latency", shared.with_knobs(width=width), None, 0, 0)
        return Attempts(self.folder / "models" / f"{name}.attempts.json")

    def _is_fast(self, found: Measurement) -> bool:
        return found.latency_ms is not None and found.latency_ms <= self._limit

    def _measure(self, spec: Spec) -> Measurement:
        """A measurement; a failure is a record with its reason, not an error."""
        start = time.monotonic()
        attempts, reason = self.attempts(spec), ""
        times: Latency | None = None
        try:
            if attempts.begin(0) >= _MOST_ATTEMPTS:
                raise TrialError("the process died twice while measuring it")
            size = self.plan.size(spec)
            # Initial weights are computed and then copied into the variables.
            needed = 2 * size.weight_bytes()
            needed += self.budget.latency_batch * size.activation_bytes
            check_memory("measuring it", needed, self.engine.devices())
            timer = self.plan.timer(self.engine, spec)
            times = settled_latency(timer, self._limit)
        except Exception as error:
            logger.debug("a latency could not be measured", exc_info=True)
            reason = reason_of(error)
        finally:
            attempts.end()
        return Measurement(
            spec=spec,
            status="ok" if times else "failed",
            reason=reason,
            latency_ms=times.median if times else None,
            latency_low=times.low if times else None,
            latency_high=times.high if times else None,
            seconds=round(time.monotonic() - start, 3),
        )

    def narrow(self, pool: Pool) -> Pool:
        """The pool without what has too many FLOPs for any depth.

        After the time limit nothing is measured, and specs that were not measured stay.
        Where no spec stays, the error names the fastest that was measured.
        """
        inside = np.ones(len(pool), bool)
        for family in pool.space.families:
            places = np.flatnonzero(pool.by_family({family.name: 1}))
            inside[self._too_slow(pool, places)] = False
        if not inside.any():
            raise BudgetError(self.nothing_fits())
        return pool.within(inside)

    def _too_slow(self, pool: Pool, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """What of a family has too many FLOPs: for its depth, and so for any deeper.

        A depth whose networks are all fast enough bounds nothing; the next is tried.
        """
        depths = np.array([pool.spec(i).depth for i in places.tolist()], np.int64)
        if self._all_fast(pool, places, depths):
            return places[:0]
        fast = 0.0
        for depth in np.unique(depths):
            deep = places[depths >= depth]
            least = places[depths == depth]
            group = np.flatnonzero(pool.at_least(least[np.argmin(pool.flops[least])]))
            line = group[np.argsort(pool.flops[group], kind="stable")]
            flops = pool.flops[line]
            start = max(int(np.searchsorted(flops, fast, "right")) - 1, 0)
            slow = self._first_slow(pool, line.tolist(), start)
            if slow < len(line):
                most = flops[slow - 1] if slow else -1
                return deep[pool.flops[deep] > most]
            fast = float(flops[-1])
        return places[:0]

    def _first_slow(self, pool: Pool, line: Sequence[int], start: int) -> int:
        """How many of a line of positions, from the narrowest up, may be fast."""
        fast, slow, at = -1, len(line), start
        while slow - fast > 1:
            admitted = self._admits_now(pool, line[at])
            if admitted is None:
                break
            fast, slow = (at, slow) if admitted else (fast, at)
            further = min(start + max(2 * (at - start), 1), slow - 1)
            at = further if slow == len(line) else (fast + slow) // 2
        return slow

    def _all_fast(
        self, pool: Pool, places: NDArray[np.int64], depths: NDArray[np.int64]
    ) -> bool:
        """Whether the largest and the deepest of a family are fast, so that the limit
        is not likely to bind; networks too large to be asked in passing are not."""
        if pool.flops[places].max() > _CHEAP_FLOPS:
            return False
        deepest = places[depths == depths.max()]
        ends = [group[np.argmax(pool.flops[group])] for group in (deepest, places)]
        return all(self._admits_now(pool, index) for index in ends)

    @property
    def are_all_slow(self) -> bool:
        """Whether candidates were measured, and none was fast enough."""
        tried = self._tried()
        return bool(tried) and not any(map(self._is_fast, tried))

    def _tried(self) -> list[Measurement]:
        """Measurements of candidates."""
        known = (found for same in self._known.values() for found in same.values())
        return [each for each in known if self.plan.is_candidate(each.spec)]

    def nothing_fits(self) -> str:
        """What to say where no network of the search was fast enough."""
        tried = self._tried()
        fastest = min(tried, key=lambda found: found.latency_ms or math.inf)
        spec, took = fastest.spec, fastest.latency_ms
        shape = [item for item in spec.knobs if item[0] in ("depth", "width")]
        shown = [f"{n}={format_value(value)}" for n, value in shape or spec.knobs]
        network = f"{spec.family} ({', '.join(shown)})"
        found = f"{network} could not be measured: {fastest.reason}"
        if took is not None:
            batch = f"for a batch of {self.budget.latency_batch}"
            found = f"the fastest measured, {network}, takes {took:.3g} ms {batch}"
        way = self.plan.candidates.faster(spec, self._limit / took) if took else ""
        return (
            f"Nothing fits max_latency_ms={self._limit:g}: {found}. {way}Raise the "
            "limit or choose another family."
        )
