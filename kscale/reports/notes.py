"""Notes: what a reader should know before trusting a report."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from kscale.errors import SpecError
from kscale.networks.budget import used_by
from kscale.networks.families import FAMILIES
from kscale.reports.compression_tables import with_error
from kscale.reports.evidence import skills_of
from kscale.reports.quality import number_text
from kscale.reports.report import Note, Report, Row
from kscale.runs.records import PRESENT, REFERENCES, UNCOUNTED
from kscale.task.objectives import Objective
from kscale.task.tasks import Target
from kscale.text import counted, printable

_LEAST_SHARE = 0.5  # of a limit; below this share the budget does not bind
_UNEVEN = 4  # the largest class over the smallest; from here on there is a note


def notes_of(report: Report) -> tuple[Note, ...]:
    """One sentence for each thing that weakens the answer, most important first."""
    best, failures = report.best, map(Note, _failures(report))
    if all(r.stage == "baseline" for row in report.rows for r in row.results):
        what = "ended with a score and a size" if report.failures else "finished yet"
        return (Note(f"No training of the search has {what}."), *failures)
    if best is None:
        return (_without_best(report), *_imbalance(report), *failures)
    return (
        *_undertrained(report),
        *_imbalance(report),
        *_baselines(report, best),
        *_edges(report, best),
        *_budget(report, best),
        *_stored(best),
        *_on_device(report),
        *_in_int8(report),
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


def search_notes(run: Mapping[str, Any]) -> Iterator[Note]:
    """Notes of the searcher on how the search went."""
    notes = run.get("notes")
    for text in notes if isinstance(notes, list) else ():
        yield Note(str(text))


def left_out_notes(run: Mapping[str, Any]) -> Iterator[Note]:
    """Sentences on trials of another tuner: not ended, or without a checkpoint."""
    if run.get("unchecked"):
        yield Note(
            "Whether the code still builds the models of the search is not known of "
            f"{run['unchecked']} of the trials, whose checkpoints cannot be read.",
            is_decisive=False,
        )
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
        what = f"{short} of the {len(rows)} front rows{which} were"
        if short == len(rows):
            what = f"All {short} front rows{which} were"
        if len(rows) == 1:
            what = f"The only front row{which} was"
        longer = "more --time and --epochs" if report.is_timed else "--epochs"
        yield Note(
            f"{what} still improving when training ended, so the front may show speed "
            f"rather than size: train longer with {longer}."
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
    """A baseline that wins, and targets of which only some are learned."""
    skills = skills_of(report, best)
    unknown = [printable(skill.target.name) for skill in skills if not skill.is_known]
    if len(unknown) < len(skills) and unknown:
        yield Note(
            f"Nothing was learned of {' and '.join(unknown)}: on the test part the "
            "answers of the best network follow it no more than chance would."
        )
    families = {row.family for row in report.rows} - {best.family, *REFERENCES}
    if best.is_baseline and families:
        yield Note(
            f"The best network is the {best.family} baseline: none that was searched "
            "is proved better."
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
        if _fits(report, best, {name: int(beyond)}):
            yield Note(
                f"The best {best.family} has the {which} {name} searched ({value:g}): "
                f"what is {where} it was not tried; --set {name}={beyond:g} tries one."
            )


def _fits(report: Report, best: Row, changed: Mapping[str, Any]) -> bool:
    """Whether any network like the best one, with a knob changed, is in the budget."""
    family = FAMILIES[best.family]
    other = "width" if "depth" in changed else "depth"
    values = family.all_knobs[other].values if other in best.knobs else ()
    for value in values:
        knobs = {**best.knobs, other: value, **changed}
        with suppress(SpecError):
            size = family.size(family.spec(**knobs), report.task)
            if report.budget.allows(size):
                return True
    return False


def _stored(best: Row) -> Iterator[Note]:
    """That a limit on bytes is one on weights alone."""
    if best.bits != 32:
        yield Note(
            f"max_bytes is of weights alone: the file in {best.bits} bits is larger by "
            "its graph, scales, biases and norms, and kscale compress measures it."
        )


def _on_device(report: Report) -> Iterator[Note]:
    """Networks that turned out not to fit a device, and those that nobody measured."""
    limits = report.budget.of_device
    for row in report.rows:
        if row.fit is None or not limits:
            continue
        over = [
            f"{name.removeprefix('max_')}={measured:,} (predicted {predicted:,})"
            for name, measured, predicted in (
                ("max_flash", row.fit.flash, row.fit.predicted_flash),
                ("max_ram", row.fit.ram, row.fit.predicted_ram),
            )
            if name in limits and measured is not None and measured > limits[name]
        ]
        if over:
            yield Note(
                f"{row.label} is no answer: as an int8 file it has {', '.join(over)}."
            )
        elif row.fit.status == "failed":
            yield Note(f"{row.label} was not measured: {row.fit.reason}.")
        elif row.fit.unscored:
            part = " on the test part" * (row.fit.score is not None)
            why = row.fit.unscored
            yield Note(f"{row.label} was not scored{part} as int8 file: {why}.")


def _in_int8(report: Report) -> Iterator[Note]:
    """What the int8 files of finalists reach, beside their weights in float32."""
    texts = [
        f"{row.label} {with_error(report.objective, fit.score, fit.stderr)}"
        f"{report.unit}{_of_some(fit.examples, trained.examples)} "
        "(those weights in float32 "
        f"{with_error(report.objective, trained.score, trained.stderr)})"
        for row in report.networks
        if row.int8
        for trained, fit in [row.int8]
    ]
    if texts:
        yield Note(
            f"Run as int8 files on the validation part: {'; '.join(texts)}. The scores "
            "of float32 choose among networks."
        )


def _of_some(examples: int | None, of: int) -> str:
    if examples is None or examples >= of:
        return ""
    return f" on {examples:,} of {of:,} examples"


def _budget(report: Report, best: Row) -> Iterator[Note]:
    """Where the best row is far below the limits: whether larger ones are no better,
    or were never trained."""
    if not report.budget.is_limited:
        return
    share = report.budget.share_of(used_by(best))
    tried = [
        (report.budget.share_of(used_by(row)), row.score)
        for row in report.rows
        if not (row.is_reference or row.over_budget)
    ]
    better = report.objective.better
    larger = [score for each, score in tried if each > share]
    if share >= _LEAST_SHARE or any(better(score, best.score) for score in larger):
        return
    used, most = f"{100 * share:.2g} % of it ({report.budget})", max(tried)[0]
    if most >= _LEAST_SHARE:
        yield Note(
            f"The budget does not bind: the best row uses {used}, and none that uses "
            f"up to {100 * most:.2g} % is better.",
            is_decisive=False,
        )
    else:
        yield Note(
            f"Much of the budget was not tried: the best row uses {used}, and no "
            f"network of more than {100 * most:.2g} % was trained.",
            is_decisive=False,
        )


def _proof(report: Report, best: Row) -> Iterator[Note]:
    """How much evidence there is, and why rows of the search that look better than the
    answers are no answers."""
    tied, objective = sum(row.is_tied for row in report.rows), report.objective
    single = [row for row in report.networks if row.stage != "finalist"]
    if best.stage != "finalist":
        if len(single) == 1:
            return
        seeds = "one seed" if best.seeds == 1 else f"{best.seeds} seeds"
        among = f", and {tied} rows are within one standard error of the best"
        yield Note(
            f"No finalists were retrained: scores are of {seeds} each, the best of "
            f"which is partly luck{among if tied > 1 else ''}."
        )
        return
    params = min(row.params for row in report.rows if row.is_recommended)
    near = [
        row
        for row in single
        if row.params < params and objective.gain(best.score, row.score) <= best.stderr
    ]
    if near:
        smallest = min(near, key=lambda row: row.params)
        rows = "1 smaller row is" if len(near) == 1 else f"{len(near)} smaller rows are"
        yield Note(
            f"{rows} within one standard error of the best too, but not retrained, so "
            f"not recommended: the smallest is {printable(smallest.label)} of "
            f"{smallest.params:,} params. With more --finalists or --time more are."
        )
    if tied > 1:
        finalists = sum(row.stage == "finalist" for row in report.rows)
        yield Note(
            f"{tied} of {finalists} finalists are statistically tied for the best: "
            "they are within one standard error of it.",
            is_decisive=False,
        )
    if above := sum(objective.better(row.score, best.score) for row in single):
        rows = counted(above, "row")
        yield Note(
            f"{rows} of the search scored above the best with the seeds that chose "
            "them; only finalists, trained from new ones, can be the best.",
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
