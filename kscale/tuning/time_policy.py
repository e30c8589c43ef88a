"""Time limits: what is left of a session, and what a search may still begin."""

import math
import time
from collections.abc import Callable

from kscale.search.contract import Allowance, Job

_MOST_OF_TIME = 0.25  # of the time left for searching, for one job
_MOST_OF_LIMIT = 0.5  # of the whole limit, for all finalists
_MOST_OF_ANSWER = 8.0  # seconds, for scores on the test part, models and the report


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
        answer = min(0.1 * self.limit, _MOST_OF_ANSWER)
        self._end = clock() + self.limit - spent - answer

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit."""
        return self.limit < math.inf

    def seconds_left(self) -> float:
        """Seconds for trainings until the limit: a tenth, but at most 8, are kept for
        the answer. Below 0 after it; infinity without one."""
        return self._end - self._clock()

    def allowance(self, cost: Callable[[Job], float], began: int = 0) -> Allowance:
        """What a searcher may propose now, by the seconds that a job will take and the
        number of trainings that were recorded when the session began."""
        return Allowance(
            self.seconds_left(),
            cost,
            most=_MOST_OF_LIMIT * self.limit,
            share=_MOST_OF_TIME,
            began=began,
        )
