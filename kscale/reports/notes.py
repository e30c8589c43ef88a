"""Notes: what a reader of a report should know before believing it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from kscale.networks.budget import used_by
from kscale.networks.families import FAMILIES
from kscale.reports.quality import number_text
from kscale.reports.report import Note, Report, Row
from kscale.runs.records import MAJORITY, PRESENT, REFERENCES, RETRAINED, UNCOUNTED
from kscale.task.heads import HEADS
from kscale.task.objectives import Objective
from kscale.task.tasks import Target

_LEAST_SHARE = 0.5  # of a limit; below this share the budget does not bind
_UNEVEN = 4  # the largest class over the smallest; from here on there is a note


def notes_of(report: Report) -> tuple[Note, ...]:
    """One sentence for each thing that weakens the answer, most important first."""
    best, failures = report.best, map(Note, _failures(report))
    if all(row.stage == "baseline" for row in report.rows):
        unsearched = Note("No training of the search has finished yet.")
        return (unsearched, *failures)
    if best is None:
        return (_without_best(report), *_imbalance(report), *failures)
    return (
        *_undertrained(report),
        *_imbalance(report),
        *_baselines(report, best),
        *_edges(report, best),
        *_budget(report, best),
        *_proof(report, best),
        *_present_fed(report),
        *failures,
    )


def model_notes(report: Report, files: Collection[str]) -> Iterator[Note]:
    """A sentence on answers whose model is not among the files of `models/`."""
    answers = {"best": report.best, "recommended": report.recommended}
    missing = [
        name
        for name, row in answers.items()  # a model is written just after its test
        if row and row.test_score is not None and f"{name}.keras" not in files
    ]
    if missing:
        weights = [w for name in missing if (w := f"{name}.weights.h5") in files]
        left = f" {' and '.join(weights)} can be loaded by your own code."
        yield Note(
            f"There is no model of the {' and the '.join(missing)} network in models/: "
            f"it could not be written, or was removed.{left * bool(weights)} The same "
            "command again writes it, or says why it cannot."
        )


def left_out_notes(run: Mapping[str, Any]) -> Iterator[Note]:
    """A sentence on trials of another tuner that had not ended."""
    left_out = run.get("left_out")
    if isinstance(left_out, Mapping) and left_out:
        number = sum(count for count in left_out.values() if type(count) is int)
        which = ", ".join(f"{count} {status}" for status, count in left_out.items())
        text = f"{number} more had not ended and are left out: {which}."
        yield Note(text, is_decisive=False)


def _undertrained(report: Report) -> Iterator[Note]:
    chance, front = report.chance, report.front
    better = [
        row
        for row in front
        if chance is None or report.objective.better(row.score, chance)
    ]
    which = " better than a constant answer" if 0 < len(better) < len(front) else ""
    rows = better or front
    short = sum(row.undertrained for row in rows)
    if short * 2 > len(rows):
        yield Note(
            f"{short} of the {len(rows)} front rows{which} were still improving when "
            "their training ended, so the front may show speed rather than size: train "
            "longer with --epochs."
        )


def _imbalance(report: Report) -> Iterator[Note]:
    asked = report.targets, report.class_counts, report.objective, report.class_weights
    return map(Note, imbalance_notes(*asked))


def imbalance_notes(
    targets: Sequence[Target],
    class_counts: Mapping[str, Sequence[int]],
    objective: Objective,
    class_weights: str = "none",
) -> list[str]:
    """What to do about classes of very different frequency in the training part, where
    accuracy is used."""
    parts = dict(objective.parts)
    weights = "" if class_weights != "none" else ", or --class-weights balanced"
    return [
        f"The largest class of {target.name} has {max(counts) / min(counts):.3g} times "
        "the examples of the smallest, so accuracy alone misleads: see the recall of "
        "each class, and search with --objective "
        f"{'auc' if target.outputs == 2 else 'f1'}{weights}."
        for target in targets
        if (counts := [n for n in class_counts.get(target.name, ()) if n > 0])
        and max(counts) >= _UNEVEN * min(counts)
        and parts.get(target.name, objective).name == "accuracy"
    ]


def _without_best(report: Report) -> Note:
    networks = [row for row in report.rows if not row.is_reference]
    if any(not row.is_full and not row.over_budget for row in networks):
        return Note(
            "No training of full length has finished yet, so nothing is the best."
        )
    return Note("Nothing trained so far is within the budget.")


def _present_fed(report: Report) -> Iterator[Note]:
    """How the present model was fed, and why its score may be too high."""
    if not any(row.family == PRESENT for row in report.rows):
        return
    present = report.present
    raw, why = present.get("raw_score"), ""
    if isinstance(raw, int | float):
        score = number_text(raw, report.objective.is_share)
        why = f" (with the raw inputs it scores {score}{report.unit})"
    yield Note(
        f"{present.get('name', PRESENT)} was fed {present.get('fed', '')}{why}, its "
        f"outputs taken for {present.get('outputs', '')}. If it was trained on "
        "examples of the validation or test part, its scores are too high.",
        is_decisive=False,
    )


def _baselines(report: Report, best: Row) -> Iterator[Note]:
    """Baselines that win or come near; no row of the front shows a constant answer."""
    gain, families = report.objective.gain, {row.family for row in report.rows}
    near = [
        r.family for r in report.baselines if gain(best.score, r.score) <= best.stderr
    ]
    matched = [n for n in near if n not in (best.family, PRESENT, RETRAINED)]
    if report.chance is not None and gain(best.score, report.chance) <= 0:
        matched.remove(MAJORITY)
        heads = {target.kind: target.head for target in report.targets}
        what = [heads[kind].constant_words for kind in HEADS if kind in heads]
        yield Note(f"Nothing is better than always answering {' and '.join(what)}.")
    if best.is_baseline and families - {best.family, *REFERENCES}:
        yield Note(f"No searched network is better than the {best.family} baseline.")
    elif matched:
        yield Note(
            f"The best row is no better than the {' or the '.join(matched)} baseline, "
            "within one standard error."
        )


def _edges(report: Report, best: Row) -> Iterator[Note]:
    if best.family not in FAMILIES or best.is_baseline:
        return
    for name in ("depth", "width"):
        knob = FAMILIES[best.family].all_knobs.get(name)
        if knob is None or name in report.fixed:
            continue
        values = [float(value) for value in knob.values]
        value, low, high = float(best.knobs[name]), min(values), max(values)
        if value >= high:
            which, beyond, where = "largest", 2 * value, "above"
        elif value <= low and low > (knob.low or 0):
            which, beyond, where = "smallest", max(value // 2, knob.low or 0), "below"
        else:
            continue
        yield Note(
            f"The best {best.family} has the {which} {name} searched ({value:g}): what "
            f"is {where} it was not tried; --set {name}={beyond:g} tries one."
        )


def _budget(report: Report, best: Row) -> Iterator[Note]:
    share = report.budget.share_of(used_by(best))
    if report.budget.is_limited and share < _LEAST_SHARE:
        yield Note(
            f"The budget does not bind: the best row uses {100 * share:.2g} % of it "
            f"({report.budget}).",
            is_decisive=False,
        )


def _proof(report: Report, best: Row) -> Iterator[Note]:
    """How much evidence there is; a row of one training above the best one would look
    like a contradiction."""
    tied = sum(row.is_tied for row in report.rows)
    if best.stage != "finalist":
        among = f", and {tied} rows are within one standard error of the best"
        yield Note(
            "No finalists were retrained: scores are of one seed each, the best of "
            f"which is partly luck{among if tied > 1 else ''}."
        )
        return
    single = [row for row in report.rows if row.stage != "finalist" and row.is_full]
    if tied > 1:
        finalists = sum(row.stage == "finalist" for row in report.rows)
        yield Note(
            f"{tied} of {finalists} finalists are statistically tied for the best: "
            "they are within one standard error of it.",
            is_decisive=False,
        )
    better = report.objective.better
    above = sum(better(r.score, best.score) and not r.over_budget for r in single)
    if above:
        rows = "1 row" if above == 1 else f"{above} rows"
        yield Note(
            f"{rows} of the search scored above the best on a single seed; only "
            "finalists, which have several, can be the best.",
            is_decisive=False,
        )


def _failures(report: Report) -> Iterator[str]:
    """Failed trainings, and networks that could not be counted, with a reason each."""
    for what, joint, is_uncounted in (
        ("trainings failed", " with", False),
        ("models could not be counted", "", True),
    ):
        reasons = [
            (reason.removeprefix(UNCOUNTED), count)
            for reason, count in report.failures
            if reason.startswith(UNCOUNTED) == is_uncounted
        ]
        if not reasons:
            continue
        (reason, most), number = reasons[0], sum(count for _, count in reasons)
        often = f", most often ({most}){joint}" if len(reasons) > 1 else joint
        yield (f"{number} of {report.trainings} {what}{often}: {reason.rstrip('.')}.")
