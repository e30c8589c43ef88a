"""Stored: the best network in each of the bits of weights, and which of them wins."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from kscale.networks.budget import Budget
from kscale.runs.compressions import Difference, difference_of
from kscale.runs.entries import (
    Entry,
    best_of,
    entries_of,
    is_answer,
    rounded_of,
    stored_entries,
)
from kscale.runs.records import Record
from kscale.task.objectives import Objective

METHOD_OF_BITS = {32: "float32", 16: "float16", 8: "int8-weights", 4: "int4"}
"""Methods of `kscale compress` that store weights rounded to so many bits."""


def compress_command(run: str, answer: str, bits: int) -> str:
    """The command that writes the file of an answer in its bits.

    Args:
        run: The run, as the command is given it.
        answer: `best` or `recommended`.
        bits: Bits of the weights.
    """
    model = " --model best" * (answer == "best")
    return f"kscale compress {run}{model} --method {METHOD_OF_BITS[bits]}"


@dataclass(frozen=True)
class OfBits:
    """The best network in some bits, beside the best one of all.

    Args:
        entry: The network with its bits.
        difference: To the best of all bits, on the same examples of the validation
            part; None for the best one.
    """

    entry: Entry
    difference: Difference | None


def best_by_bits(
    records: Sequence[Record], budget: Budget, objective: Objective
) -> Iterator[OfBits]:
    """The best network in each of the bits, the most bits first."""
    stored = stored_entries(entries_of(records), records, budget)
    entries = [entry for entry in stored if is_answer(entry, budget)]
    winner = best_of(entries, objective)
    rounded = rounded_of(records, "validation")
    left_out = {(record.training, record.bits): record.left_out for record in rounded}

    def mean_left_out(entry: Entry) -> list[float]:
        rows = [left_out[training.key, entry.bits] for training in entry.results]
        return [*map(fmean, zip(*rows, strict=True))]

    for bits in budget.bits:
        found = best_of([entry for entry in entries if entry.bits == bits], objective)
        if found is None or winner is None:
            continue
        difference = None
        if found != winner:
            pair = [mean_left_out(entry) for entry in (found, winner)]
            difference = difference_of(objective, found, winner, *pair)
        yield OfBits(found, difference)
