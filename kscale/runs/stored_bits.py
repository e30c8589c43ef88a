"""The best network for each number of bits that a weight may be stored in."""

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
"""By bits of a weight, the method of `kscale compress` that stores such weights."""


def compress_command(run: str, answer: str, bits: int) -> str:
    """The command that writes an answer as a file with weights of some bits.

    Args:
        run: The run folder, as an argument of the command.
        answer: `best` or `recommended`.
        bits: Bits of the weights.
    """
    model = " --model best" * (answer == "best")
    return f"kscale compress {run}{model} --method {METHOD_OF_BITS[bits]}"


@dataclass(frozen=True)
class OfBits:
    """The best network with weights of some bits, beside the best of all bits.

    Args:
        entry: The network.
        difference: To the best of all bits, on the same examples of the validation
            part; None for the best of all bits.
    """

    entry: Entry
    difference: Difference | None


def best_by_bits(
    records: Sequence[Record], budget: Budget, objective: Objective
) -> Iterator[OfBits]:
    """The best network for each number of bits of the budget, most bits first."""
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
