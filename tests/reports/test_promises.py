"""What a report says beside its table, for runs of every kind drawn at random."""

import re

import numpy as np
import pytest
from made_runs import cnn, linear, made_result, made_run, majority

from kscale.networks.budget import used_by
from kscale.reports.cells import mark_lines
from kscale.reports.report import Report, Row
from kscale.reports.rows import make_report
from kscale.runs.records import Record


def drawn(seed: int) -> Report:
    """A run of up to 12 networks, of which some are over a limit, short, baselines or
    finalists, of scores as near to each other as their errors."""
    rng = np.random.default_rng(seed)
    records: list[Record] = []
    if rng.random() < 0.8:
        records += [majority(rng.uniform(0.1, 0.9)), linear(rng.uniform(0.7, 0.9))]
    specs = dict.fromkeys(
        cnn(int(rng.integers(1, 17)), 8 * int(rng.integers(1, 8)))
        for _ in range(rng.integers(1, 13))
    )
    for spec in specs:
        score, epochs = rng.uniform(0.75, 0.9), int(rng.choice([20, 20, 20, 5]))
        about = {
            "full_epochs": 20,
            "epochs": epochs,
            "undertrained": rng.random() < 0.4,
        }
        records.append(made_result(spec, score, stderr=0.03, **about))
        if epochs == 20 and rng.random() < 0.3:
            records += [
                made_result(spec, score - rng.uniform(0, 0.05), "finalist", seed=seed)
                for seed in range(10, 10 + rng.integers(1, 4))
            ]
    limit = int(10 ** rng.uniform(3, 6))
    return make_report(made_run(budget={"max_params": limit}), records)


def said(report: Report, pattern: str) -> re.Match[str] | None:
    notes = " ".join(map(str, report.notes))
    return re.search(pattern, notes)


@pytest.mark.parametrize("seed", range(60))
def test_nothing_that_is_said_contradicts_the_table(seed: int) -> None:
    report = drawn(seed)
    networks, best, recommended = report.networks, report.best, report.recommended
    if best is None or recommended is None:
        assert not networks or all(row.stage == "baseline" for row in networks)
        return
    finalists = [row for row in networks if row.stage == "finalist"]
    rivals = finalists or list(networks)
    assert best.score == max(row.score for row in rivals)
    legend = " ".join(mark_lines(report, report.rows))
    highest = "of the finalists" if finalists else "in the budget"
    assert f"highest score {highest}" in legend
    tied = [row for row in rivals if best.score - row.score <= best.stderr]
    assert recommended.params == min(row.params for row in tied)
    smaller = [
        row
        for row in networks
        if row.params < recommended.params and best.score - row.score <= best.stderr
    ]
    named = said(report, r"(\d+) smaller rows? ")
    assert (int(named[1]) if named else 0) == len(smaller)
    above = said(report, r"(\d+) rows? of the search scored above the best")
    assert (int(above[1]) if above else 0) == sum(
        r.score > best.score for r in networks
    )
    check_front(report, best)
    check_budget(report, best)


def check_front(report: Report, best: Row) -> None:
    """No row of as much evidence beats one of the front; what is short is counted."""
    for row in report.front:
        rivals = [r for r in report.networks if r.score <= best.score]
        assert not any(r.params < row.params and r.score >= row.score for r in rivals)
    if found := said(
        report, r"(\d+ of the|All) (\d+) front rows( better than a constant)?"
    ):
        rows = [r for r in report.front if not found[3] or r.score > report.chance]
        counts = sum(row.undertrained for row in rows), len(rows)
        short = found[2] if found[1] == "All" else found[1].split()[0]
        assert (int(short), int(found[2])) == counts


def check_budget(report: Report, best: Row) -> None:
    """The budget is said to be more than is needed only where more of it was tried."""
    tried = [row for row in report.rows if not (row.is_reference or row.over_budget)]
    shares = {row: report.budget.share_of(used_by(row)) for row in tried}
    most = max(shares.values())
    if said(report, "budget does not bind"):
        assert shares[best] < 0.5 <= most
        larger = [row for row in tried if row.params > best.params]
        assert not any(row.score > best.score for row in larger)
    if found := said(report, r"no network of more than (\S+) % was"):
        assert float(found[1]) == pytest.approx(100 * most, rel=0.1) and most < 0.5
