"""Attempts at a training are counted, and their checkpoints are found again."""

from pathlib import Path

from kscale.networks.families import find_family
from kscale.search.contract import Job
from kscale.tuning.attempts import Attempts, MemberWeights


def test_attempts_count_only_those_that_came_no_further(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path / "models" / "job.attempts.json")
    assert [attempts.begin(0), attempts.begin(0), attempts.begin(0)] == [0, 1, 2]
    assert [attempts.begin(4), attempts.begin(4)] == [1, 2]
    attempts.end()
    assert attempts.begin(4) == 0
    attempts.path.write_text("{damaged")
    assert attempts.begin(4) == 0


def test_attempts_of_other_processes_count_where_they_are_blamed(
    tmp_path: Path,
) -> None:
    """A killed driver is no death of what others train, and numbers are used once."""
    job = Job("search", 0, find_family("mlp").spec(), (1,), (None,), 4)
    begun = []
    for is_blamed in (False, True, True, False):
        weights = MemberWeights(tmp_path, job, 0)
        begun.append(weights.begin())
        if is_blamed:
            weights.attempts.blame()
    assert [assignment.deaths for assignment in begun] == [0, 0, 1, 2]
    assert [assignment.attempt for assignment in begun] == [1, 2, 3, 4]
    assert len({assignment.target for assignment in begun}) == 4
