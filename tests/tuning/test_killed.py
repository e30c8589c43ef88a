"""A search killed anywhere loses nothing, repeats nothing and answers the same."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tuning import killed_search

from kscale.results import Result, read_results
from kscale.search.base import result_key

FEW = [["epoch", 4], ["append", 3], ["checkpoint", 2], ["finalist", 2], ["written", 2]]
MANY = [
    *([kind, count] for count in (1, 2, 3, 2) for kind in ("epoch", "append")),
    *([kind, count] for count in (2, 3) for kind in ("checkpoint", "written")),
    # A training that is killed twice without getting further is given up, as it should
    # be: so kills by the clock alternate with kills that come after some progress.
    *([["seconds", 0.3], ["append", 1], ["seconds", 0.9], ["written", 2]]),
    *([["seconds", 1.7], ["append", 1], ["seconds", 2.6], ["epoch", 4]]),
    *([kind, 2] for kind in ("finalist", "append", "finalist", "checkpoint")),
    ["finalist", 3],
    ["append", 2],
]


def search(
    folder: Path, kills: list[list[object]], *settings: int
) -> tuple[list[int], list[Result]]:
    """Exit statuses of the searches, and the results they left."""
    path = [entry for entry in sys.path if entry]
    script = (
        f"import sys; sys.path[:0] = {path!r}\n"
        + Path(killed_search.__file__).read_text()
    )
    done = subprocess.run(
        [
            *[sys.executable, "-c", script, str(folder), json.dumps(kills)],
            *map(str, settings),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), read_results(folder)


def trained(results: list[Result]) -> list[tuple[object, ...]]:
    """What was trained or tested, in order, with its score."""
    return [
        (r.stage, r.job, r.member, r.spec, r.learning_rate, r.seed, r.epochs, r.status)
        for r in results
    ]


def check_kills(tmp_path: Path, kills: list[list[object]], *settings: int) -> None:
    """Kill a search; compare it with one that was not killed."""
    (last,), whole = search(tmp_path / "whole", [], *settings)
    assert last == 0
    ends, survived = search(tmp_path / "killed", kills, *settings)
    assert ends[-1] == 0
    assert ends[:-1] == [9] * len(kills)
    assert trained(survived) == trained(whole)
    for result, expected in zip(survived, whole, strict=True):
        assert result.score == pytest.approx(expected.score, abs=1e-6)
        assert result.curve == expected.curve
    counts = Counter(result_key(result) for result in survived)
    assert set(counts.values()) == {1}
    assert (tmp_path / "killed" / "models" / "recommended.keras").exists()


def test_a_search_killed_five_times_gives_the_answer_of_one_that_was_not(
    tmp_path: Path,
) -> None:
    check_kills(tmp_path, FEW, 4, 2)


@pytest.mark.slow
def test_a_search_killed_twenty_times_gives_the_answer_of_one_that_was_not(
    tmp_path: Path,
) -> None:
    assert len(MANY) >= 20
    check_kills(tmp_path, MANY, 30, 4)
