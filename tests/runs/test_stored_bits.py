"""Networks with their bits: which fit, which are on the front, which one wins."""

from typing import Any

import pytest

from kscale.errors import BudgetError
from kscale.networks.budget import Budget
from kscale.networks.families.base import Spec
from kscale.networks.sizing import Size
from kscale.runs.compressions import compressions_of
from kscale.runs.entries import (
    answers_of,
    best_of,
    entries_of,
    front_of,
    is_answer,
    recommended_of,
    stored_entry,
)
from kscale.runs.records import Compression, Training, from_line, to_line
from kscale.runs.stored import best_by_bits
from kscale.task.heads import HEADS

ACCURACY = HEADS["classes"].objectives["accuracy"]
OPEN = Budget(max_bytes=8000, bits=(4, 8, 32))


def trained(width: int, score: float) -> Training:
    """A finalist with 100 params for each unit of width."""
    return Training(
        key=f"finalist-{width}",
        stage="finalist",
        job=0,
        spec=Spec("mlp", (("depth", 1), ("width", width))),
        params=100 * width,
        trainable=100 * width,
        flops=200 * width,
        bytes=400 * width,
        learning_rate=0.01,
        epochs=5,
        score=score,
        stderr=0.02,
        examples=100,
    )


def rounded(training: Training, bits: int, score: float, **more: Any) -> Compression:
    """A network that is right for the first `100 * score` examples."""
    right = round(100 * score)
    left_out = [(right - (place < right)) / 99 for place in range(100)]
    about: dict[str, Any] = {"method": str(bits), "bytes": training.bytes * bits // 32}
    return Compression(
        training=training.key,
        spec=training.spec,
        bits=bits,
        score=score,
        stderr=0.02,
        examples=100,
        left_out=left_out,
        **{**about, **more},
    )


NARROW, WIDE, HUGE = trained(20, 0.80), trained(80, 0.95), trained(160, 0.97)
RECORDS = [
    *(NARROW, WIDE, HUGE),
    *(rounded(NARROW, 32, 0.80), rounded(NARROW, 8, 0.79), rounded(NARROW, 4, 0.7)),
    *(rounded(WIDE, 8, 0.94), rounded(WIDE, 4, 0.85), rounded(HUGE, 4, 0.90)),
]


def test_a_network_is_inside_where_its_fewest_bits_are() -> None:
    size = Size(16_000, 16_000, 0, 0, 0)
    assert OPEN.allows(size)
    assert not Budget(max_bytes=7999, bits=(4,)).allows(size)
    assert not Budget(max_bytes=8000).allows(size)
    assert OPEN.bits_for(4 * 2000) == (32, 8, 4)
    assert OPEN.bits_for(4 * 16_000) == (4,)
    assert OPEN.bits_for(4 * 16_001) == ()


def test_only_open_bits_are_written_and_unknown_ones_are_refused() -> None:
    assert "bits" not in Budget(max_bytes=8000).to_json()
    assert Budget(**OPEN.to_json()) == OPEN
    for bits in ((), (3,), (8, 64)):
        with pytest.raises(BudgetError, match="`bits` must be of 32, 16, 8, 4"):
            Budget(max_bytes=8000, bits=bits)


def test_the_front_has_networks_with_their_bits() -> None:
    entries = answers_of(RECORDS, OPEN, {})
    front = front_of(entries, ACCURACY)
    shown = [(e.spec.width, e.bits, e.bytes, e.score) for e in front]
    assert shown == [
        (20, 4, 1000, 0.7),
        (20, 8, 2000, 0.79),
        (80, 4, 4000, 0.85),
        (80, 8, 8000, 0.94),
    ]
    best, small = best_of(entries, ACCURACY), recommended_of(entries, ACCURACY)
    assert best is not None and (best.spec.width, best.bits) == (80, 8)
    assert small is best
    assert repr(best) == (
        "Entry(mlp depth=1 width=80, 8,000 params in 8 bits, score 0.94 +- 0.02, "
        "1 trained)"
    )


def test_int8_of_a_wider_network_beats_float32_by_a_paired_difference() -> None:
    best = {each.entry.bits: each for each in best_by_bits(RECORDS, OPEN, ACCURACY)}
    assert [*best] == [32, 8, 4]
    assert best[8].difference is None
    found = best[32].difference
    assert found is not None and found.gain == pytest.approx(-0.14)
    # 14 of 100 examples are right with one of the two only.
    wanted = (14 - 14**2 / 100) / 100 / 99 + 0.01**2
    assert found.stderr == pytest.approx(wanted**0.5)
    assert not found.is_within(2)
    assert best[4].entry.spec == HUGE.spec


def test_until_anything_is_rounded_a_network_has_the_most_bits_that_fit() -> None:
    entries = [stored_entry(e, OPEN) for e in entries_of([NARROW, WIDE, HUGE])]
    assert [entry.bits for entry in entries] == [32, 8, 4]
    assert all(is_answer(entry, OPEN) for entry in entries)
    assert answers_of([NARROW, WIDE, HUGE], OPEN, {}) == entries
    assert [e.spec for e in answers_of(RECORDS, Budget(max_bytes=8000), {})] == [
        NARROW.spec
    ]


def test_what_was_rounded_is_no_file_that_was_compressed() -> None:
    records = [item for item in RECORDS if isinstance(item, Compression)]
    assert [from_line(to_line(record)) for record in records] == records
    assert compressions_of(records, ACCURACY) == []
    files = [rounded(WIDE, 32, 0.95, method="float32", file="a.tflite", bytes=9000)]
    files += [rounded(WIDE, 8, 0.94, method="int8", file="b.tflite", bytes=3000)]
    files += [rounded(WIDE, 4, 0.85, method="int4", file="c.tflite", bytes=2000)]
    broken = rounded(WIDE, 8, 0.0, method="x", status="failed", reason="no such thing")
    (found,) = compressions_of([*records, *files, broken], ACCURACY)
    assert found.chosen.method == "int8"  # one example fewer is within luck
    assert [row.method for row in found.others] == ["int8", "int4"]
    assert found.failed == (broken,)
