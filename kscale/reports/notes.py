"""Notes: what a reader of a report should know before believing it."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from kscale.networks.budget import used_by
from kscale.networks.families import FAMILIES
from kscale.reports.quality import number_text
from kscale.reports.report import Report, Row
from kscale.runs.records import MAJORITY, PRESENT, RETRAINED, UNCOUNTED
from kscale.task.heads import HEADS
from kscale.task.objectives import Objective
from kscale.task.tasks import Target

_LEAST_SHARE = 0.5  # of a limit; below this share the budget does not bind
_UNEVEN = 4  # the largest class over the smallest; from here on there is a note


def notes_of(report: Report) -> tuple[str, ...]:
    """One sentence for each thing that weakens the answer, most important first."""
    if all(row.stage == "baseline" for row in report.rows):
        return ("No training of the search has finished yet.", *_failures(report))
    order: tuple[Callable[[Report], Iterable[str]], ...] = (
        _undertrained,
        _imbalance,
        _over_all,
        _present_fed,
        _constant,
        _baselines,
        _edges,
        _budget,
        _ties,
        _evidence,
        _lucky,
        _failures,
    )
    return tuple(note for notes in order for note in notes(report))


def model_notes(report: Report, files: Collection[str]) -> tuple[str, ...]:
    """A sentence on answers whose model is not among the files of `models/`."""
    answers = {"best": report.best, "recommended": report.recommended}
    missing = [
        name
        for name, row in answers.items()  # a model is written just after its test
        if row and row.test_score is not None and f"{name}.keras" not in files
    ]
    if not missing:
        return ()
    weights = [w for name in missing if (w := f"{name}.weights.h5") in files]
    left = f" {' and '.join(weights)} can be loaded by your own code." * bool(weights)
    return (
        f"There is no model of the {' and the '.join(missing)} network in models/: it "
        f"could not be written, or was removed.{left} The same command again writes "
        "it, or says why it cannot.",
    )


def left_out_notes(run: Mapping[str, Any]) -> tuple[str, ...]:
    """A sentence on trials of another tuner that had not ended."""
    left_out = run.get("left_out")
    if not isinstance(left_out, Mapping) or not left_out:
        return ()
    number = sum(count for count in left_out.values() if type(count) is int)
    which = ", ".join(f"{count} {status}" for status, count in left_out.items())
    return (f"{number} more had not ended and are left out: {which}.",)


def _undertrained(report: Report) -> Iterator[str]:
    rows, which = _better_than_constant(report)
    short = sum(row.undertrained for row in rows)
    if short * 2 > len(rows):
        yield (
            f"{short} of the {len(rows)} front rows{which} were still improving when "
            "their training ended, so the front may show speed rather than size: train "
            "longer with --epochs."
        )


def _better_than_constant(report: Report) -> tuple[Sequence[Row], str]:
    """Rows of the front above the majority row, with words for them; all of the front
    where there are none."""
    chance, better = report.chance, report.objective.better
    rows = [r for r in report.front if chance is None or better(r.score, chance)]
    if not rows or len(rows) == len(report.front):
        return report.front, ""
    return rows, " better than a constant answer"


def _imbalance(report: Report) -> list[str]:
    return imbalance_notes(
        report.targets, report.class_counts, report.objective, report.class_weights
    )


def imbalance_notes(
    targets: Sequence[Target],
    class_counts: Mapping[str, Sequence[int]],
    objective: Objective,
    class_weights: str = "none",
) -> list[str]:
    """What to do about classes of very different frequency, where accuracy is used.

    Args:
        targets: What the networks predict.
        class_counts: By target of classes, how often each occurs in the training part.
        objective: What is improved.
        class_weights: Weights of the classes in the loss.
    """
    parts = dict(objective.parts)
    return [
        _imbalance_note(target, counts, class_weights)
        for target in targets
        if (counts := [n for n in class_counts.get(target.name, ()) if n > 0])
        and max(counts) >= _UNEVEN * min(counts)
        and parts.get(target.name, objective).name == "accuracy"
    ]


def _imbalance_note(target: Target, counts: Sequence[int], class_weights: str) -> str:
    times = max(counts) / min(counts)
    better = "auc" if target.outputs == 2 else "f1"
    weights = "" if class_weights != "none" else ", or --class-weights balanced"
    return (
        f"The largest class of {target.name} has {times:.3g} times the examples of the "
        f"smallest, so accuracy alone misleads: see the recall of each class, and "
        f"search with --objective {better}{weights}."
    )


def _over_all(report: Report) -> Iterator[str]:
    if report.best is not None:
        return
    networks = [row for row in report.rows if not row.is_reference]
    if any(not row.is_full and not row.over_budget for row in networks):
        yield "No training of full length has finished yet, so nothing is the best."
    else:
        yield "Nothing trained so far is within the budget."


def _present_fed(report: Report) -> Iterator[str]:
    """How the present model was fed, and why its score may be too high."""
    if not any(row.family == PRESENT for row in report.rows):
        return
    name, fed = report.present.get("name", PRESENT), report.present.get("fed", "")
    raw, why = report.present.get("raw_score"), ""
    if isinstance(raw, int | float):
        score = number_text(raw, report.objective.is_share)
        why = f" (with the raw inputs it scores {score}{report.unit})"
    yield (
        f"{name} was fed {fed}{why}, its outputs taken for "
        f"{report.present.get('outputs', '')}. If it was trained on examples of the "
        "validation or test part, its scores are too high."
    )


def _constant(report: Report) -> Iterator[str]:
    """A note where a constant answer wins, which no row of the front shows."""
    if _is_constant_best(report):
        heads = {target.kind: target.head for target in report.targets}
        what = [heads[kind].constant_words for kind in HEADS if kind in heads]
        yield f"Nothing is better than always answering {' and '.join(what)}."


def _is_constant_best(report: Report) -> bool:
    best, chance = report.best, report.chance
    if best is None or chance is None:
        return False
    return report.objective.gain(best.score, chance) <= 0


def _baselines(report: Report) -> Iterator[str]:
    best = report.best
    if best is None:
        return
    networks = [row for row in report.rows if not row.is_reference]
    if best.is_baseline and any(row.family != best.family for row in networks):
        yield f"No searched network is better than the {best.family} baseline."
        return
    matched = [
        row.family
        for row in report.baselines
        if row.family not in (best.family, PRESENT, RETRAINED)
        and not (row.family == MAJORITY and _is_constant_best(report))
        and report.objective.gain(best.score, row.score) <= best.stderr
    ]
    if matched:
        yield (
            f"The best row is no better than the {' or the '.join(matched)} baseline, "
            "within one standard error."
        )


def _edges(report: Report) -> Iterator[str]:
    best = report.best
    if best is None or best.family not in FAMILIES or best.is_baseline:
        return
    for name in ("depth", "width"):
        if name in FAMILIES[best.family].all_knobs and name not in report.fixed:
            yield from _edge(best, name)


def _edge(best: Row, name: str) -> Iterator[str]:
    knob = FAMILIES[best.family].all_knobs[name]
    values = [float(value) for value in knob.values]
    value = float(best.knobs[name])
    if value >= max(values):
        which, beyond, where = "largest", 2 * value, "above"
    elif value <= min(values) and min(values) > (knob.low or 0):
        which, beyond, where = "smallest", max(value // 2, knob.low or 0), "below"
    else:
        return
    yield (
        f"The best {best.family} has the {which} {name} searched ({value:g}): what is "
        f"{where} it was not tried; --set {name}={beyond:g} tries one."
    )


def _budget(report: Report) -> Iterator[str]:
    if report.best is None or not report.budget.is_limited:
        return
    share = report.budget.share_of(used_by(report.best))
    if share < _LEAST_SHARE:
        yield (
            f"The budget does not bind: the best row uses {100 * share:.2g} % of it "
            f"({report.budget})."
        )


def _ties(report: Report) -> Iterator[str]:
    finalists = [row for row in report.rows if row.stage == "finalist"]
    tied = sum(row.is_tied for row in finalists)
    if tied >= 2:
        yield (
            f"{tied} of {len(finalists)} finalists are statistically tied for the "
            "best: they are within one standard error of it."
        )


def _evidence(report: Report) -> Iterator[str]:
    if report.best is None or report.best.stage == "finalist":
        return
    tied = sum(row.is_tied for row in report.rows)
    among = f", and {tied} rows are within one standard error of the best"
    yield (
        "No finalists were retrained: scores are of one seed each, the best of which "
        f"is partly luck{among if tied > 1 else ''}."
    )


def _lucky(report: Report) -> Iterator[str]:
    """Rows of one training above the best one, which look like a contradiction."""
    best = report.best
    if best is None or best.stage != "finalist":
        return
    above = sum(
        row.stage != "finalist"
        and row.is_full
        and not row.over_budget
        and report.objective.better(row.score, best.score)
        for row in report.rows
    )
    if above:
        yield (
            f"{above} {'row' if above == 1 else 'rows'} of the search scored above the "
            "best on a single seed; only finalists, which have several, can be the "
            "best."
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
