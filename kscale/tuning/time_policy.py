"""Time limits: what is left of a session, and what a search may still begin."""

import math
import time
from collections.abc import Callable

from kscale.search.contract import Allowance, Job

_MOST_OF_TIME = 0.25  # of the time left for searching, for one job
_MOST_OF_LIMIT = 0.5  # of the whole limit, that a search leaves for finalists
_OF_ANSWER = 0.1  # of the whole limit, for the answer, at most
_ANSWER = 8.0  # seconds of the answer, before any training was measured


class TimePolicy:
    """The time limit of one session.

    Args:
        limit: Seconds of the session, finalists included; None for no limit.
        spent: Seconds of the session that are over already.
        clock: Gives seconds that only ever grow.
    """

    def __init__(
        self,
        limit: float | None = None,
        spent: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit = math.inf if limit is None else limit
        self._clock = clock
        self._end = clock() + self.limit - spent
        self.keep(_ANSWER)

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit."""
        return self.limit < math.inf

    def keep(self, seconds: float) -> None:
        """Keep seconds for the answer, that is test scores, models and the report: at
        most a tenth of the limit."""
        self._kept = min(seconds, _OF_ANSWER * self.limit)

    def seconds_left(self) -> float:
        """Seconds for trainings until the limit, without those kept for the answer.
        Below 0 after the limit; infinity without a limit."""
        return self.seconds_to_limit() - self._kept

    def seconds_to_limit(self) -> float:
        """As `seconds_left`, with those kept for the answer."""
        return self._end - self._clock()

    def allowance(
        self,
        cost: Callable[[Job], float],
        alone: Callable[[Job], float] = lambda job: 0.0,
        devices: int = 1,
    ) -> Allowance:
        """What a searcher may propose now.

        Args:
            cost, alone: Seconds that a job will take, as in `Allowance`.
            devices: Trainings that take no time from each other.
        """
        return Allowance(
            self.seconds_left(),
            cost,
            most=_MOST_OF_LIMIT * self.limit,
            share=_MOST_OF_TIME,
            alone=alone,
            devices=devices,
        )
