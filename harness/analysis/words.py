"""Numbers and lists as people read them: the words of titles, tables and summaries."""

from collections.abc import Sequence
from typing import Final

from harness.analysis.statistics import TIMES, significant

_IRREGULAR: Final = {"query": "queries"}


def counted(number: int, noun: str) -> str:
    """Write `1 test`, `2 tests`."""
    plural = _IRREGULAR.get(noun, f"{noun}s")
    return f"{number:,} {noun if number == 1 else plural}"


def listed(words: Sequence[str]) -> str:
    """Write `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def times(ratio: float) -> str:
    """Write a ratio: `1.07 x`, `14 x`."""
    return f"{significant(ratio, 2 if ratio < 1 or ratio >= 10 else 3)}\N{NO-BREAK SPACE}{TIMES}"


def milliseconds(value: float) -> str:
    """Write milliseconds in the unit that fits: `310 us`, `4.2 ms`, `1.3 s`."""
    if value < 1:
        return f"{significant(value * 1_000, 2)} \N{MICRO SIGN}s"
    if value < 1_000:
        return f"{significant(value, 2 if value < 100 else 3)} ms"
    return f"{significant(value / 1_000, 2)} s"


def tick_ms(value: float) -> str:
    """Write milliseconds at a tick, where round numbers stand: `1 ms` and not `1.0 ms`."""
    return milliseconds(value).replace(".0 ", " ")


def size(value: float) -> str:
    """Write bytes in the unit that fits, decimal as disks are sold: `934 kB`, `1.9 MB`."""
    for unit, power in (("GB", 9), ("MB", 6), ("kB", 3)):
        if value >= 10**power:
            number = value / 10**power
            return f"{significant(number, 2 if number < 100 else 3)} {unit}"
    return f"{value:.0f} bytes"


def span(values: Sequence[float]) -> str:
    """Write the range of ratios: `1.1 to 1.4 x`, or one number when they agree to two digits."""
    low, high = min(values), max(values)
    if significant(low, 2) == significant(high, 2):
        return times(low)
    return f"{significant(low, 2)} to {significant(high, 2)}\N{NO-BREAK SPACE}{TIMES}"
