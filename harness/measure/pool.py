"""Measures pool utilization: many callers at once, behind pools of several sizes."""

from collections.abc import Awaitable, Callable, Iterator
from itertools import count

from harness.errors import ResultsError
from harness.measure.calls import Calls
from harness.measure.driving import Load, drive
from harness.measure.records import Mix, PoolCell
from harness.measure.sites import PostgresSite, Site

Step = Callable[[int], Awaitable[object]]


async def measure_cell(
    site: Site,
    calls: Calls,
    *,
    subject: str,
    callers: int,
    mix: Mix,
    duration_s: float,
    rows: int,
) -> PoolCell:
    """Let callers loop over the subject's calls for a while, and watch the pool meanwhile.

    Args:
        site: Where `rows` threads lie; more are created.
        calls: The subject's calls on threads, ready for `rows` rows.
        subject: Its name.
        callers: How many call at the same time.
        mix: What they call.
        duration_s: How long.
        rows: How many threads were planted.

    Raises:
        ResultsError: Not every row that was created is there.
    """
    steps = _steps(calls, mix)
    numbers = count()
    created = 0

    async def act(_caller: int) -> None:
        nonlocal created
        step, creates = next(steps)
        await step(next(numbers) % rows)
        created += creates

    before = await site.count("threads")
    cell = await drive(
        Load(subject=subject, mix=mix, callers=callers, duration_s=duration_s),
        act,
        site.database.pool if isinstance(site, PostgresSite) else None,
    )
    there = await site.count("threads") - before
    if there != created:
        raise ResultsError(
            f"{callers} callers of {subject} created {created} threads, and {there} are there"
        )
    return cell


def _steps(calls: Calls, mix: Mix) -> Iterator[tuple[Step, bool]]:
    """Yield what to do next, for ever, and whether it creates a row.

    `mixed` is five gets, two updates, a search, a listing and a create in ten.
    """
    create, get, update = (calls.create, True), (calls.get, False), (calls.update, False)
    search, newest = (lambda _: calls.search(), False), (lambda _: calls.newest(10), False)
    cycle: list[tuple[Step, bool]] = [create]
    if mix == "mixed":
        cycle = [get, update, get, search, get, create, get, update, get, newest]
    while True:
        yield from cycle
