"""Numbers as people write them: "5e6" and "1.5m" parameters, "2MB", "90s"."""

import math
import re

_FACTORS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9, "t": 10**12}
_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
# A comma is allowed between thousands only: "1,5m" may mean 1.5 million.
_WHOLE = r"\d{1,3}(?:,\d{3})+|\d[\d_]*"
_NUMBER = re.compile(
    rf"\s*([+-]?(?:(?:{_WHOLE})\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([a-z]*)\s*"
)

_TIME = r"\s*(\d+(?:\.\d+)?(?:d|h|min|m|s))\s*"


def _split(text: str | float, form: str = "64, 500k, 1.5m or 5e6") -> tuple[float, str]:
    match = _NUMBER.fullmatch(str(text).lower())
    if match is None:
        raise ValueError(f"{text!r} is not a number; write one as {form}.")
    number = float(match[1].replace("_", "").replace(",", ""))
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is not a finite number.")
    return number, match[2]


def parse_count(text: str | float) -> int:
    """A whole number of at least 1 from "100k", "1.5m", "5e6" or 5_000_000.

    Raises:
        ValueError: The text is no number, or not a whole number of 1 or more.

    Example:

    >>> parse_count("100k"), parse_count("1.5M"), parse_count("5e6")
    (100000, 1500000, 5000000)
    """
    number, suffix = _split(text)
    if suffix not in _FACTORS:
        raise ValueError(f"{text!r} ends in {suffix!r}; use k, m, b or t.")
    count = number * _FACTORS[suffix]
    if count < 1 or abs(count - round(count)) > 1e-6 * count:
        raise ValueError(f"a whole number of at least 1 must be given, not {text!r}.")
    return round(count)


def parse_bytes(text: str | float) -> int:
    """Bytes from "2MB", "500k" or 1e6; decimal units, 1 MB = 1,000,000 bytes.

    Example:

    >>> parse_bytes("2MB"), parse_bytes("500k")
    (2000000, 500000)
    """
    text = str(text).strip()
    return parse_count(text[:-1] if re.search(r"[\dkmgt ]b$", text, re.I) else text)


def parse_seconds(text: str | float) -> float:
    """Seconds from "90", "90s", "5m", "1.5h", "1d", or several of them: "1m40s".

    Raises:
        ValueError: The text is no time above 0.

    Example:

    >>> parse_seconds("90s"), parse_seconds("1.5h"), parse_seconds("1m40s")
    (90.0, 5400.0, 100.0)
    """
    parts = [str(text)]
    if re.fullmatch(f"(?:{_TIME})+", str(text).lower()):
        parts = re.findall(_TIME, str(text).lower())
    seconds = 0.0
    for number, suffix in (_split(part, "90s, 5m or 1h30m") for part in parts):
        if suffix not in _SECONDS:
            raise ValueError(f"{text!r} ends in {suffix!r}; use s, m, h or d.")
        seconds += number * _SECONDS[suffix]
    if seconds <= 0:
        raise ValueError(f"a time above 0 must be given, not {text!r}.")
    return seconds


def format_value(value: object) -> str:
    """A value of a knob for people: four digits of a number that is not whole.

    Example:

    >>> format_value(0.004243343573868751), format_value(0.25), format_value(123456)
    ('0.004243', '0.25', '123456')
    """
    text = str(value)
    is_long = isinstance(value, float) and len(text) > len("0.1234")
    return f"{value:.4g}" if is_long else text


def format_count(count: float) -> str:
    """A count for people: three digits and a suffix.

    Example:

    >>> [format_count(n) for n in (850, 1_234, 25_636_712, 3_100_000_000)]
    ['850', '1.23k', '25.6M', '3.1G']
    """
    magnitude = abs(count)
    for factor, suffix in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if magnitude >= factor * 0.9995:
            return f"{count / factor:.3g}{suffix}"
    return f"{count:.3g}" if isinstance(count, float) else f"{count}"


def format_bytes(count: float) -> str:
    """Bytes in decimal units: 1 MB = 1,000,000 bytes.

    Example:

    >>> format_bytes(437_928_960)
    '438 MB'
    """
    text = format_count(count)
    if text[-1].isdigit():
        return f"{text} B"
    return f"{text[:-1]} {text[-1]}B"


def format_seconds(seconds: float) -> str:
    """A time as people say it.

    Example:

    >>> format_seconds(4.25), format_seconds(100), format_seconds(7260)
    ('4.2s', '1m40s', '2h01m')
    """
    if seconds < 59.5:
        return f"{seconds:.0f}s" if seconds >= 9.95 else f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def octave_of(params: int) -> int:
    """Number of the octave of a size: octave n is from 2**(n - 1) to 2**n - 1.

    Example:

    >>> octave_of(512), octave_of(1023), octave_of(1024)
    (10, 10, 11)
    """
    return params.bit_length()
