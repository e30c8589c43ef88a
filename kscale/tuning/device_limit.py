"""Flash and RAM of a microcontroller: predicted of all, measured of the finalists.

The prediction decides what is searched. A measurement decides what is an answer.
"""

import logging
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
    answers_of,
    best_of,
    entries_of,
    recommended_of,
    shipped_of,
)
from kscale.runs.records import DeviceFit, Record, Training
from kscale.text import counted
from kscale.tuning.plan import Plan

logger = logging.getLogger(__name__)

_FIELDS = {"validation": ("score", "stderr"), "test": ("test_score", "test_stderr")}


@dataclass(frozen=True)
class DeviceCheck:
    """Records what networks need on a microcontroller, where that is limited.

    Args:
        plan: The search.
        recorded: Records of the folder, to which `append` adds.
        append: Takes a new record.
        note: Takes a sentence for the user.
        weights_of: The weights of a training.
        is_over: Whether no time is left, so that nothing more is measured.
    """

    plan: Plan
    recorded: Sequence[Record]
    append: Callable[[Record], None]
    note: Callable[[str], None]
    weights_of: Callable[[Training], Path]
    is_over: Callable[[], bool] = lambda: False

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
                    is_due = entry.int8 and entry.int8[1].test_score is None
                    if is_due and not self.is_over():
                        self.append(self._measured(entry, "test", Path(folder)))
        except MissingPackageError as missing:
            self.note(f"Flash and RAM are predictions: {missing}")

    def _measure(self, folder: Path) -> None:
        """Measure one network after the other, while there is time."""
        from kscale.ship.device_file import check_packages

        due = self._due()
        if due:
            check_packages()
        if due and not self.is_over():
            networks = counted(len(due), "network")
            verb = "needs" if len(due) == 1 else "need"
            self.note(f"Measuring what {networks} {verb} on a microcontroller ...")
        while due and not self.is_over():
            self.append(self._measured(next(iter(due.values())), "validation", folder))
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
        plan, objective = self.plan, self.plan.objective
        entries = answers_of(self.recorded, plan.budget, plan.identity)
        found = (best_of(entries, objective), recommended_of(entries, objective))
        finalists = [entry for entry in entries if entry.stage == "finalist"]
        return finalists, [*{entry.spec: entry for entry in found if entry}.values()]

    def _due(self) -> dict[Spec, Entry]:
        """Finalists and answers that were not measured, by spec."""
        finalists, answers = self._answers()
        waiting = (*finalists, *answers)
        return {e.spec: e for e in waiting if e.fit and not e.fit.is_measured}

    def _measured(self, entry: Entry, part: PartName, folder: Path) -> DeviceFit:
        """A measurement with the score of the file on a part; a failure is a record
        with its reason, not an error."""
        from kscale.ship.compressing.scoring import FileScorer
        from kscale.ship.device_file import make_int8
        from kscale.ship.micro import arena_bytes

        assert entry.fit is not None
        plan, fit, began = self.plan, entry.fit, time.monotonic()
        try:
            training = (entry.int8 or (shipped_of(entry, plan.objective),))[0]
            path = folder / f"{training.key}.tflite"
            scorer = FileScorer(plan.dataset, entry.spec, plan.objective)
            if not path.is_file():
                make_int8(scorer, self.weights_of(training), path)
            if part == "validation":
                flash, ram = path.stat().st_size, arena_bytes(path)
                fit = replace(fit, flash=flash, ram=ram, training=training.key)
            found = scorer.scores(part, scorer.answers(path, part))
            names = _FIELDS[part]
            fit = replace(
                fit, **dict(zip(names, (found.score, found.stderr), strict=True))
            )
        except MissingPackageError:
            raise
        except Exception as error:  # Keras and the quantizer may fail in any way
            logger.debug("a network could not be measured", exc_info=True)
            fit = replace(fit, status="failed", reason=reason_of(error))
        return replace(fit, seconds=round(fit.seconds + time.monotonic() - began, 3))
