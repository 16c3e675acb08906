"""The agent server's times as frames, comparisons with their floors, tables and lines."""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import pandas as pd

from harness.analysis.lines import Line, Mood
from harness.analysis.peers import PEERS
from harness.analysis.statistics import median, paired_ratio, quantile, verdict
from harness.analysis.targets import Comparison
from harness.analysis.words import counted, listed, milliseconds, span
from harness.measure.records import Results, Timing
from harness.measure.server_records import Checkpoints, Client, Host, ServedTurns, Way

AT_MOST: Final = 2.0
"""What HTTP, routing and queueing may cost: so many times the echo and the work in process."""
STORES: Final[tuple[Checkpoints, ...]] = ("memory", "postgres")
CREATES: Final = {
    "create_sequential": "creates one after another",
    "create_20_workers": "creates by 20 workers",
}
"""What workloads are called, in their order."""
SENT: Final[dict[Client, str]] = {"raw": "bare connection", "sdk": "official client"}
"""What clients are called."""

Moment = Literal["wait", "first_event", "total"]
MOMENTS: Final[dict[Moment, str]] = {
    "wait": "run and wait",
    "first_event": "first event",
    "total": "whole stream",
}


class Who(NamedTuple):
    """A subject: who carried turns out, where its checkpoints went, how it was asked."""

    host: Host
    checkpoints: Checkpoints
    client: Client | None


ECHO: Final = Who("echo", "none", "raw")

_WAYS: Final[dict[Moment, Way]] = {"wait": "wait", "first_event": "stream", "total": "stream"}


def create_parts(
    results: Results, workload: str, resource: str, store: str, client: Client
) -> tuple[Timing, Timing, Timing] | None:
    """Return the creates of a server, and the two that its floor is made of: echo and storage.

    None where one of them was not measured.
    """
    found = {
        timing.subject: timing
        for timing in results.timings
        if (timing.workload, timing.resource) == (workload, resource)
    }
    names = (f"{store} {client}", f"echo {client}", f"{store} storage")
    if not all(name in found for name in names):
        return None
    served, echo, storage = (found[name] for name in names)
    return served, echo, storage


def create_comparisons(results: Results) -> list[Comparison]:
    """Return creates over HTTP / (echo of the same body + the same storage call in process)."""
    found = []
    for workload, words in CREATES.items():
        for store in STORES:
            for client, sent in SENT.items():
                for resource in ("assistants", "threads"):
                    parts = create_parts(results, workload, resource, store, client)
                    if parts is None:
                        continue
                    served, echo, storage = (timing.samples_s for timing in parts)
                    floor = [e + s for e, s in zip(echo, storage, strict=True)]
                    found.append(
                        _judged(f"{words}, {store}, {sent} / floor", resource, served, floor)
                    )
    return found


def turn_comparisons(results: Results) -> list[Comparison]:
    """Return turns over HTTP / (echo + the graph in process on the same checkpointer).

    By medians of rounds, over a bare connection.
    """
    found = []
    for moment, words in MOMENTS.items():
        for store in STORES:
            for many in conversations_of(results):
                served, graph, echo = (
                    _cell(results, moment, many, who)
                    for who in (Who("server", store, "raw"), Who("process", store, None), ECHO)
                )
                if served is None or graph is None or echo is None:
                    continue
                floor = [
                    g + e
                    for g, e in zip(_medians(graph, moment), _medians(echo, moment), strict=True)
                ]
                what = f"{words}, {store} / floor"
                found.append(_judged(what, f"{many} at once", _medians(served, moment), floor))
    return found


def turn_times(results: Results, moment: Moment, many: int, who: Who) -> list[float]:
    """Return the milliseconds of every turn of a subject; none where it was not measured."""
    cell = _cell(results, moment, many, who)
    return [] if cell is None else [1_000 * s for turns in _rounds(cell, moment) for s in turns]


def conversations_of(results: Results) -> list[int]:
    """Return how many conversations there were at once, ascending."""
    return sorted({cell.conversations for cell in results.turns})


def store_name(store: str) -> str:
    """Return what a store is called in the middle of a sentence."""
    return "Postgres" if store == "postgres" else store


def serving_table(results: Results) -> pd.DataFrame:
    """One row per subject and load, in words: creates one after another, then turns."""
    rows = []
    for timing in results.timings:
        each_ms = [1_000 * seconds / timing.operations for seconds in timing.samples_s]
        rows.append(
            {
                "what": f"{CREATES[timing.workload]}: {timing.resource}",
                "who": timing.subject,
                "at once": "",
                "p50": milliseconds(median(each_ms)),
                "p95": milliseconds(quantile(each_ms, 0.95)),
                "samples": len(each_ms),
            }
        )
    for moment, words in MOMENTS.items():
        for cell in results.turns:
            if cell.way == _WAYS[moment]:
                times_ms = [1_000 * s for turns in _rounds(cell, moment) for s in turns]
                rows.append(
                    {
                        "what": words,
                        "who": _who(cell),
                        "at once": str(cell.conversations),
                        "p50": milliseconds(median(times_ms)),
                        "p95": milliseconds(quantile(times_ms, 0.95)),
                        "samples": len(times_ms),
                    }
                )
    return pd.DataFrame(rows)


def peers_table() -> pd.DataFrame:
    """The figures of other servers, and where they are from."""
    return pd.DataFrame(
        {
            "server": peer.name,
            "what": "one create" if peer.quoted == "create" else MOMENTS[peer.quoted],
            "quoted": milliseconds(peer.low_ms)
            if peer.low_ms == peer.high_ms
            else f"{milliseconds(peer.low_ms)} to {milliseconds(peer.high_ms)}",
            "source": peer.source,
        }
        for peer in PEERS
    )


def load_frame(results: Results) -> pd.DataFrame:
    """One row per server under load: its pool, as it told of it itself."""
    rows = [
        {
            "connections": load.pool_size,
            "callers": load.callers,
            "creates a second": load.operations / load.duration_s,
            "busy": load.busy_share,
            "waiting": load.waiting,
            "wait_ms": load.wait_ms,
        }
        for load in results.load
    ]
    columns = ["connections", "callers", "creates a second", "busy", "waiting", "wait_ms"]
    return pd.DataFrame(rows, columns=columns)


def serving_lines(results: Results) -> list[Line]:
    """What a run says of the server: where it stands next to its floors, and its pool."""
    lines = [
        _line("creates over HTTP / (echo + storage)", create_comparisons(results)),
        *(
            _line(f"{words} over HTTP / (echo + graph)", rows)
            for moment, words in MOMENTS.items()
            if (rows := [r for r in turn_comparisons(results) if r.what.startswith(words)])
        ),
    ]
    if results.load:
        busiest = max(results.load, key=lambda load: load.busy_share)
        lines.append(
            Line(
                "pool of the server",
                f"{busiest.busy_share:.0%} of {counted(busiest.pool_size, 'connection')} busy "
                f"under {counted(busiest.callers, 'caller')}, who wait "
                f"{milliseconds(busiest.wait_ms)} for one",
            )
        )
    return [line for line in lines if line.found]


def _line(what: str, rows: Sequence[Comparison]) -> Line:
    if not rows:
        return Line(what, "")
    verdicts = [row.verdict for row in rows]
    counts = [
        f"{verdicts.count(told)} {told}"
        for told in ("met", "missed", "undecided", "not enough data")
        if told in verdicts
    ]
    mood: Mood = "bad" if "missed" in verdicts else "plain"
    if set(verdicts) == {"met"}:
        mood = "good"
    found = span([row.ratio.value for row in rows])
    return Line(what, f"{found}, aim ≤ {AT_MOST:g}: {listed(counts)}", mood)


def _judged(what: str, resource: str, above: Sequence[float], below: Sequence[float]) -> Comparison:
    ratio = paired_ratio(above, below)
    return Comparison(
        what=what,
        resource=resource,
        ratio=ratio,
        at_most=AT_MOST,
        verdict=verdict(ratio, AT_MOST),
    )


def _cell(results: Results, moment: Moment, many: int, who: Who) -> ServedTurns | None:
    for cell in results.turns:
        subject = Who(cell.host, cell.checkpoints, cell.client)
        if (cell.way, cell.conversations, subject) == (_WAYS[moment], many, who):
            return cell
    return None


def _rounds(cell: ServedTurns, moment: Moment) -> list[list[float]]:
    return cell.first_event_s if moment == "first_event" else cell.total_s


def _medians(cell: ServedTurns, moment: Moment) -> list[float]:
    return [median(turns) for turns in _rounds(cell, moment)]


def _who(cell: ServedTurns) -> str:
    if cell.host == "echo":
        return "echo"
    if cell.host == "process":
        on = "no checkpointer" if cell.checkpoints == "none" else cell.checkpoints
        return f"graph in process, {on}"
    return f"server, {cell.checkpoints}, {cell.client}"
