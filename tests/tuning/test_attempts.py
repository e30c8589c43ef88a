"""Attempts at a training are counted, and their checkpoints are found again."""

from pathlib import Path

from kscale.tuning.attempts import Attempts


def test_attempts_count_only_those_that_came_no_further(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path / "models" / "job.attempts.json")
    assert [attempts.begin(0), attempts.begin(0), attempts.begin(0)] == [0, 1, 2]
    assert [attempts.begin(4), attempts.begin(4)] == [1, 2]
    attempts.end()
    assert attempts.begin(4) == 0
    attempts.path.write_text("{damaged")
    assert attempts.begin(4) == 0
