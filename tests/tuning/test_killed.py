"""A search killed anywhere loses nothing, repeats nothing and answers the same."""

import json
from collections import Counter
from pathlib import Path

import pytest
from tuning import killed_search
from warm_python import WarmPython

from kscale.runs.results import Result, read_results
from kscale.search.contract import result_key

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


def trained(results: list[Result]) -> list[tuple[object, ...]]:
    """What was trained or tested, in order, with its score."""
    return [
        (r.stage, r.job, r.member, r.spec, r.learning_rate, r.seed, r.epochs, r.status)
        for r in results
    ]


def check_kills(
    python: WarmPython, tmp_path: Path, kills: list[list[object]], *settings: int
) -> None:
    """Kill a search; compare it with one that was not killed."""
    folders = [str(tmp_path / "whole"), str(tmp_path / "killed")]
    asked = json.dumps(dict(zip(folders, [[], kills], strict=True)))
    script = Path(killed_search.__file__).read_text()
    done = python.run_here(script, asked, *settings)
    assert done.returncode == 0, done.stderr
    ends = json.loads(done.stdout.splitlines()[-1])
    assert ends == dict(zip(folders, [[0], [9] * len(kills) + [0]], strict=True))
    whole, survived = (read_results(Path(folder)) for folder in folders)
    assert trained(survived) == trained(whole)
    for result, expected in zip(survived, whole, strict=True):
        assert result.score == pytest.approx(expected.score, abs=1e-6)
        assert result.curve == expected.curve
    counts = Counter(result_key(result) for result in survived)
    assert set(counts.values()) == {1}
    assert (tmp_path / "killed" / "models" / "recommended.keras").exists()


def test_a_search_killed_five_times_gives_the_answer_of_one_that_was_not(
    tmp_path: Path, warm_python: WarmPython
) -> None:
    check_kills(warm_python, tmp_path, FEW, 4, 2)


@pytest.mark.slow
def test_a_search_killed_twenty_times_gives_the_answer_of_one_that_was_not(
    tmp_path: Path, warm_python: WarmPython
) -> None:
    assert len(MANY) >= 20
    check_kills(warm_python, tmp_path, MANY, 30, 4)
