"""Networks with their bits: which fit, which are on the front, which one wins."""

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from kscale.errors import BudgetError
from kscale.networks.budget import Budget
from kscale.networks.families.base import Spec
from kscale.networks.sizing import Size
from kscale.reports.bits_section import bits_sentences
from kscale.reports.compression_tables import compression_lines
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
from kscale.runs.stored_bits import best_by_bits
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


def made(method: str, bits: int, score: float, size: int, **more: Any) -> Compression:
    """A file of the wide network."""
    about = {"method": method, "bytes": size, "file": f"{method}.tflite"}
    return rounded(WIDE, bits, score, **{**about, **more})


FILES = [
    made("float32", 32, 0.95, 9000),
    made("int8", 8, 0.94, 3000),
    made("int4", 4, 0.85, 2000),
    made("float16", 16, 0.80, 2500),
]


@pytest.mark.parametrize(
    ("most", "method", "said"),
    [
        (None, "int8", "the smallest file at most 2.00 points worse, the standard"),
        (3000, "int8", "the smallest file at most 2.00 points worse, the standard"),
        (2999, "int4", "the best file within max_bytes=3 kB of the run; none there is"),
        (1999, "int8", "no file is within max_bytes=2 kB of the run"),
    ],
)
def test_the_chosen_file_is_within_the_limit(
    most: int | None, method: str, said: str
) -> None:
    (found,) = compressions_of(FILES, ACCURACY, most)
    assert found.chosen.method == method
    assert said in next(compression_lines(found))


def test_noise_of_a_method_does_not_widen_the_margin() -> None:
    """Of the mean over two seeds that differ by 14 points, one standard error is 7."""
    noisy = [
        made("scratch:50%", 32, score, 900, seed=seed, file=f"{seed}.tflite")
        for seed, score in enumerate((0.97, 0.83))
    ]
    (found,) = compressions_of([*FILES, *noisy], ACCURACY)
    row = found.others[-1]
    assert found.difference(row).is_within(1)
    assert not found.is_tied(row)
    assert found.chosen.method == "int8"
    steady = [replace(each, score=0.935) for each in noisy]
    assert (
        compressions_of([*FILES, *steady], ACCURACY)[0].chosen.method == "scratch:50%"
    )


def test_a_score_on_the_test_part_is_of_the_file_that_ships() -> None:
    seeds = [made("narrow", 32, s, 900, seed=n, file=f"{n}") for n, s in ((0, 0.9),)]
    tested = made("narrow", 32, 0.91, 900, seed=0, file="0", part="test")
    (found,) = compressions_of([*FILES, *seeds, tested], ACCURACY)
    assert found.others[-1].test == tested
    again = [*FILES, *seeds, tested, *seeds]
    assert compressions_of(again, ACCURACY)[0].others[-1].test is None
    better = made("narrow", 32, 0.97, 900, seed=1, file="1")
    (found,) = compressions_of([*FILES, *seeds, tested, better], ACCURACY)
    assert found.chosen.best == better
    assert found.chosen.test is None


def test_sentences_on_methods_say_each_thing_once() -> None:
    trained = [
        made("scratch:50%", 32, 0.95, 900, seed=n, latency_ms=2.0) for n in (0, 1)
    ]
    trained += [made("prune:80%", 32, 0.95, 9000)]
    broken = [
        made("x", 8, 0.0, 0, seed=n, status="failed", reason="no") for n in (0, 1)
    ]
    plain = made("float32", 32, 0.95, 9000, latency_ms=1.0)
    (found,) = compressions_of([plain, *trained, *broken], ACCURACY)
    text = "\n".join(compression_lines(found))
    assert text.count("x failed: no") == 1
    assert "means over 1 to 2 seeds" in text
    assert "scratch:50% is a baseline of narrow, distill" in text
    assert "scratch:50% is slower than float32: 2.0 times" in text


@pytest.mark.parametrize("later", ["baseline", "finalist"])
def test_a_baseline_beside_finalists_is_no_rival(later: str) -> None:
    first = replace(NARROW, stage="baseline", key="first")
    linear = replace(NARROW, stage=later, key="linear")
    rows = [first, linear, WIDE, rounded(linear, 32, 0.8), *RECORDS[6:8]]
    report: Any = SimpleNamespace(
        by_bits=[*best_by_bits(rows, OPEN, ACCURACY)],
        objective=ACCURACY,
        factor=100,
        front=(),
    )
    ((_, text),) = bits_sentences(report)
    assert "the best in 4 bits" in text
    assert "the best in 32 bits" not in text
    assert text.endswith("; no network of the search in 32 bits was a finalist")
