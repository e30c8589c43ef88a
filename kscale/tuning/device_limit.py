"""Flash and RAM of a microcontroller: predicted of all, measured of the finalists.

The prediction decides what is searched. A measurement decides what is an answer.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec.structs import replace

from kscale.data.parts import PartName
from kscale.errors import MissingPackageError, SpecError, reason_of
from kscale.networks.families.base import Spec
from kscale.runs.entries import (
    Entry,
    answers_by_name,
    answers_of,
    entries_of,
    shipped_of,
)
from kscale.runs.records import INT8_SCORES, DeviceFit, Record, Training
from kscale.text import counted
from kscale.tuning.costs import pass_seconds
from kscale.tuning.plan import Plan

logger = logging.getLogger(__name__)

_FEWEST = 200  # examples to score a file on, if there are so many


@dataclass(frozen=True)
class DeviceCheck:
    """Records what networks need on a microcontroller, where that is limited.

    Args:
        plan: The search.
        recorded: Records of the folder, to which `append` adds.
        append: Takes a new record.
        note: Takes a sentence for the user.
        weights_of: The weights of a training.
        seconds_left: Seconds until nothing more is measured.
    """

    plan: Plan
    recorded: Sequence[Record]
    append: Callable[[Record], None]
    note: Callable[[str], None]
    weights_of: Callable[[Training], Path]
    seconds_left: Callable[[], float] = lambda: math.inf

    def run(self) -> None:
        """Predict the needs of all trained networks, and measure possible answers.

        Where a network does not fit, the next possible answer is measured. The int8
        file that is measured is scored in its runtime on the validation part, and on
        the test part if it is an answer.
        """
        if not self.plan.budget.is_of_device:
            return
        known = {item.spec for item in self.recorded if isinstance(item, DeviceFit)}
        for spec in dict.fromkeys(entry.spec for entry in entries_of(self.recorded)):
            if spec not in known and (fit := self._predicted(spec)) is not None:
                self.append(fit)
        try:
            with TemporaryDirectory() as folder:
                self._measure(Path(folder))
                for entry in self._answers()[1]:
                    _, fit = entry.int8 or (None, None)
                    is_due = fit and fit.test_score is None and not fit.unscored
                    if is_due and self.seconds_left() > 0:
                        self.append(self._measured(entry, "test", Path(folder), 2))
        except MissingPackageError as missing:
            self.note(f"Flash and RAM are predictions: {missing}")

    def _measure(self, folder: Path) -> None:
        """Measure one network after the other, while there is time."""
        from kscale.ship.device_file import check_packages

        due = self._due()
        if due:
            check_packages()
        if due and self.seconds_left() > 0:
            networks = counted(len(due), "network")
            verb = "needs" if len(due) == 1 else "need"
            self.note(f"Measuring what {networks} {verb} on a microcontroller ...")
        while due and self.seconds_left() > 0:
            entry, parts = next(iter(due.values())), len(due) + 1
            self.append(self._measured(entry, "validation", folder, parts))
            due = self._due()
        if due:
            self.note(
                "No time was left to measure flash and RAM, which are predictions; the "
                "same command with more time measures them."
            )

    def _predicted(self, spec: Spec) -> DeviceFit | None:
        """What is predicted; None for a baseline that no device runs."""
        try:
            device = self.plan.size(spec).device()
        except SpecError:
            return None
        assert device is not None  # families have blueprints
        return DeviceFit(
            spec=spec, predicted_flash=device.flash, predicted_ram=device.ram
        )

    def _answers(self) -> tuple[list[Entry], list[Entry]]:
        """The finalists, and the answers of what is recorded."""
        plan = self.plan
        entries = answers_of(self.recorded, plan.budget, plan.identity)
        found = answers_by_name(entries, plan.objective).values()
        finalists = [entry for entry in entries if entry.stage == "finalist"]
        return finalists, [*{entry.spec: entry for entry in found}.values()]

    def _due(self) -> dict[Spec, Entry]:
        """Finalists and answers that were not measured with these weights, by spec; of
        a spec with several learning rates, an answer before another finalist."""
        finalists, answers = self._answers()
        return {
            spec: entry
            for spec, entry in {e.spec: e for e in (*finalists, *answers)}.items()
            if (fit := entry.fit)
            and fit.status == "ok"
            and fit.training not in {training.key for training in entry.results}
        }

    def _measured(
        self, entry: Entry, part: PartName, folder: Path, parts: int
    ) -> DeviceFit:
        """A measurement with the score of the file on a part of the data, for which one
        of so many parts of the time is left; a failure is a record with its reason, not
        an error."""
        from kscale.ship.compressing.scoring import FileScorer
        from kscale.ship.device_file import make_int8
        from kscale.ship.micro import arena_bytes

        assert entry.fit is not None
        plan, fit, began = self.plan, entry.fit, time.monotonic()
        training = (entry.int8 or (shipped_of(entry, plan.objective),))[0]
        weights, path = self.weights_of(training), folder / f"{training.key}.tflite"
        most = self.seconds_left() / parts / pass_seconds(training.flops)
        about = (plan.dataset, entry.spec, plan.objective, max(most, _FEWEST))
        scorer = FileScorer(*about)
        try:
            if not path.is_file():
                make_int8(scorer, weights, path)
            if part == "validation":
                fit = DeviceFit(
                    spec=fit.spec,
                    predicted_flash=fit.predicted_flash,
                    predicted_ram=fit.predicted_ram,
                    flash=path.stat().st_size,
                    ram=arena_bytes(path),
                    training=training.key,
                    seconds=fit.seconds,
                )
            found = scorer.scores(part, scorer.answers(path, part))
            scores = found.score, found.stderr, found.examples
            fit = replace(fit, **dict(zip(INT8_SCORES[part], scores, strict=True)))
        except MissingPackageError:
            raise
        except Exception as error:  # Keras and the quantizer may fail in any way
            logger.debug("a network could not be measured", exc_info=True)
            if fit.training == training.key:
                fit = replace(fit, unscored=reason_of(error))
            else:
                fit = replace(fit, status="failed", reason=reason_of(error))
        return replace(fit, seconds=round(fit.seconds + time.monotonic() - began, 3))
