"""Numbers are read as people write them, and refused with what to write instead."""

from collections.abc import Callable

import pytest

from kscale.units import (
    format_bytes,
    format_count,
    format_seconds,
    parse_bytes,
    parse_count,
    parse_seconds,
)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("100k", 100_000),
        ("1.5M", 1_500_000),
        ("5e6", 5_000_000),
        ("5_000_000", 5_000_000),
        ("5,000,000", 5_000_000),
        (" 2 m ", 2_000_000),
        (".5k", 500),
        ("1B", 10**9),
        ("3g", 3 * 10**9),
        ("2t", 2 * 10**12),
        (1e6, 1_000_000),
        (7, 7),
        ("0.0001m", 100),
    ],
)
def test_counts_are_read(text: str | float, count: int) -> None:
    assert parse_count(text) == count
    assert type(parse_count(text)) is int


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("5e-6", "whole number of at least 1"),
        ("0", "whole number of at least 1"),
        ("-5", "whole number of at least 1"),
        ("1.5", "whole number of at least 1"),
        ("nan", "write one as 64, 500k, 1.5m or 5e6"),
        ("inf", "write one as 64"),
        ("abc", "write one as 64"),
        ("", "write one as 64"),
        ("1,5m", "write one as 64"),
        (True, "write one as 64"),
        ("1e999", "finite"),
        ("5x", "use k, m, b or t"),
    ],
)
def test_what_is_no_count_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_count(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [("2MB", 2_000_000), ("500k", 500_000), ("1b", 1), ("850 B", 850), ("1e6", 10**6)],
)
def test_bytes_are_read(text: str, count: int) -> None:
    assert parse_bytes(text) == count


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("5m", 300),
        ("2min", 120),
        ("1.5h", 5400),
        ("1d", 86400),
    ],
)
def test_times_are_read(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "says"),
    [("1h30", "not a number"), ("1m-40s", "not"), ("1m40x", "not a number")]
    + [
        ("0", "above 0"),
        ("-3s", "above 0"),
        ("3w", "use s, m, h or d"),
        ("soon", "not"),
    ],
)
def test_what_is_no_time_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_seconds(text)


@pytest.mark.parametrize("seconds", [4.2, 59, 100, 3599, 7260])
def test_times_are_read_as_they_are_printed(seconds: float) -> None:
    assert parse_seconds(format_seconds(seconds)) == seconds


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1k"),
        (999_499, "999k"),
        (999_500, "1M"),
        (25_636_712, "25.6M"),
        (3_100_000_000, "3.1G"),
        (2 * 10**12, "2T"),
        (-1500, "-1.5k"),
        (0.25, "0.25"),
    ],
)
def test_counts_are_written_with_three_digits(count: float, text: str) -> None:
    assert format_count(count) == text


@pytest.mark.parametrize(
    "count", [1, 12, 999, 1000, 54_321, 10**6, 123_456_789, 10**12]
)
@pytest.mark.parametrize(
    ("write", "read"), [(format_count, parse_count), (format_bytes, parse_bytes)]
)
def test_what_is_written_can_be_read(
    write: Callable[[float], str], read: Callable[[str], int], count: int
) -> None:
    assert read(write(count)) == pytest.approx(count, rel=0.005)


def test_bytes_and_times_are_written_with_their_unit() -> None:
    assert (format_bytes(850), format_bytes(437_928_960)) == ("850 B", "438 MB")
    times = [format_seconds(seconds) for seconds in (0.04, 9.96, 59.6, 3599.7, 90_000)]
    assert times == ["0.0s", "10s", "1m00s", "1h00m", "25h00m"]
