"""Flash and RAM of a microcontroller: predicted of all, measured of the finalists.

The prediction decides what is searched. A measurement decides what is an answer.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from kscale.errors import MissingPackageError, SpecError, reason_of
from kscale.networks.families.base import Spec
from kscale.runs.entries import Entry, answers_of, best_of, entries_of, recommended_of
from kscale.runs.records import DeviceFit, Record
from kscale.text import counted
from kscale.tuning.plan import Plan

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DeviceCheck:
    """Records what networks need on a microcontroller, where that is limited.

    Args:
        plan: The search.
        recorded: Records of the folder, to which `append` adds.
        append: Takes a new record.
        note: Takes a sentence for the user.
        weights_of: The weights of an entry that are shipped.
        is_over: Whether no time is left, so that nothing more is measured.
    """

    plan: Plan
    recorded: Sequence[Record]
    append: Callable[[Record], None]
    note: Callable[[str], None]
    weights_of: Callable[[Entry], Path]
    is_over: Callable[[], bool] = lambda: False

    def run(self) -> None:
        """Predict the needs of all trained networks, and measure possible answers.

        Where a network does not fit, the next possible answer is measured.
        """
        if not self.plan.budget.is_of_device:
            return
        known = {item.spec for item in self.recorded if isinstance(item, DeviceFit)}
        for spec in dict.fromkeys(entry.spec for entry in entries_of(self.recorded)):
            if spec not in known and (fit := self._predicted(spec)) is not None:
                self.append(fit)
        try:
            self._measure()
        except MissingPackageError as missing:
            self.note(f"Flash and RAM are predictions: {missing}")

    def _measure(self) -> None:
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
            self.append(self._measured(next(iter(due.values()))))
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

    def _due(self) -> dict[Spec, Entry]:
        """Finalists and answers that were not measured, by spec."""
        plan = self.plan
        entries = answers_of(self.recorded, plan.budget, plan.identity)
        answers = (
            best_of(entries, plan.objective),
            recommended_of(entries, plan.objective),
        )
        finalists = [entry for entry in entries if entry.stage == "finalist"]
        waiting = (e for e in (*finalists, *answers) if e and e.fit)
        return {e.spec: e for e in waiting if e.fit and not e.fit.is_measured}

    def _measured(self, entry: Entry) -> DeviceFit:
        """A measurement; a failure is a record with its reason, not an error."""
        from kscale.ship.device_file import measured_needs

        assert entry.fit is not None
        began = time.monotonic()
        weights = self.weights_of(entry)
        try:
            flash, ram = measured_needs(entry.spec, self.plan.dataset, weights)
            fit = replace(entry.fit, flash=flash, ram=ram)
        except MissingPackageError:
            raise
        except Exception as error:  # Keras and the quantizer may fail in any way
            logger.debug("a network could not be measured", exc_info=True)
            fit = replace(entry.fit, status="failed", reason=reason_of(error))
        return replace(fit, seconds=round(time.monotonic() - began, 3))
