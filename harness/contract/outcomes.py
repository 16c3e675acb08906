"""Whether the outcome of a concurrent program can be: what every interleaving must keep."""

from collections import Counter
from typing import Any

from harness.contract.programs import (
    ARENA,
    ASSISTANT,
    BORN,
    CRONS,
    OWNER,
    SHARED,
    SPACE,
    Call,
    History,
    claims,
)
from harness.models import ACTIVE
from harness.storage.extensions import FullStorage
from harness.storage.probe import Probe, RawRow


async def check(history: History, storage: FullStorage, probe: Probe) -> None:
    """Check what a program left behind.

    Raises:
        AssertionError: It cannot be; the message holds the history.
    """
    problems = [
        *(f"{call}: {call.error!r}" for call in history.unexpected()),
        *await _assistants(history, probe),
        *await _threads(history, storage, probe),
        *await _states(history, probe),
        *await _runs(history, probe),
        *await _items(history, storage),
        *await _crons(history, probe),
        *await _counts(storage, probe),
    ]
    assert not problems, "\n".join([*problems, "after:", str(history)])


async def _assistants(history: History, probe: Probe) -> list[str]:
    """Twenty updates are twenty versions, and none loses another's metadata."""
    updates = history.done("update_assistant")
    [row] = await probe.rows("assistants")
    versions = await probe.rows("assistant_versions", assistant_id=ASSISTANT)
    numbers = sorted(version["version"] for version in versions)
    returned = sorted(call.answer.version for call in updates)
    lost = {call.mark for call in updates} - row["metadata"].keys()
    return _problems(
        (numbers != list(range(1, len(updates) + 2)), f"versions {numbers}"),
        (returned != numbers[1:], f"updates returned versions {returned} of {numbers}"),
        (row["version"] != numbers[-1], f"latest version {row['version']} of {numbers}"),
        (lost, f"the assistant lost the updates {lost}"),
    )


async def _threads(history: History, storage: FullStorage, probe: Probe) -> list[str]:
    problems: list[str] = []
    threads = {row["thread_id"]: row for row in await probe.rows("threads")}
    runs = await probe.rows("runs")
    for thread_id, row in threads.items():
        mine = [run for run in runs if run["thread_id"] == thread_id]
        active = [run["status"] for run in mine if run["status"] in ACTIVE]
        problems += _problems(
            ((row["status"] == "busy") != bool(active), f"{thread_id} {row['status']}: {active}"),
            (active.count("running") > 1, f"{thread_id} runs {active}"),
        )
    for slot, thread_id in enumerate(SHARED):
        if thread_id in threads:
            marks = {call.mark for call in history.done("update_thread") if call.step.slot == slot}
            lost = marks - threads[thread_id]["metadata"].keys()
            problems += _problems((lost, f"{thread_id} lost the updates {lost}"))
    for slot, thread_id in enumerate(BORN):
        born = [call.answer for call in history.done("do_nothing") if call.step.slot == slot]
        if born:
            problems += _problems(
                (len({repr(thread) for thread in born}) > 1, f"do_nothing returned {born}"),
                (born[0] != await storage.threads.get(thread_id, owner=OWNER), "another thread"),
            )
    for table in ("runs", "thread_states"):
        orphans = {row["thread_id"] for row in await probe.rows(table)} - threads.keys()
        problems += _problems((orphans, f"{table} of threads that are gone: {orphans}"))
    deleted = [call.task for call in history.done("delete_thread")]
    return problems + _problems((len(deleted) > 1, f"deleted twice, by tasks {deleted}"))


async def _states(history: History, probe: Probe) -> list[str]:
    """A thread's states are one chain, and the last one is the thread's."""
    problems: list[str] = []
    for slot, thread_id in enumerate(SHARED):
        threads = await probe.rows("threads", thread_id=thread_id)
        rows = await probe.rows("thread_states", thread_id=thread_id)
        chain = sorted(rows, key=lambda row: int(row["seq"]))
        ids = [None, *(row["checkpoint_id"] for row in chain)]
        added = [call for call in history.done("add_state") if call.step.slot == slot]
        for thread in threads:
            head = chain[-1]["values"] if chain else None
            problems += _problems(
                (len(chain) != len(added), f"{len(chain)} states of {len(added)} added"),
                ([row["parent_checkpoint_id"] for row in chain] != ids[:-1], f"no chain: {chain}"),
                (thread["values"] != head, f"thread has {thread['values']}, its head {head}"),
                (thread["checkpoint_id"] != ids[-1], "thread and head differ in checkpoint"),
            )
    return problems


async def _runs(history: History, probe: Probe) -> list[str]:
    rows = {row["run_id"]: row for row in await probe.rows("runs")}
    tried, won = history.tried("reject"), history.done("reject")
    arena = [row for row in rows.values() if row["thread_id"] == ARENA]
    claimed = Counter(claim.run.run_id for claim in claims(history))
    attempts = Counter((claim.run.run_id, claim.run.attempt) for claim in claims(history))
    twice = [attempt for attempt, times in attempts.items() if times > 1]
    problems = _problems(
        (bool(tried) != (len(won) == 1), f"{len(won)} of {len(tried)} reject runs won"),
        (len(arena) != len(won), f"{len(arena)} runs where {len(won)} were acknowledged"),
        (twice, f"claimed twice: {twice}"),
    )
    ended = {call.answer.run.run_id: call.mark for call in history.done("work") if call.answer}
    for call in history.done("cancel"):
        if call.answer is not None:
            problems += _problems((call.answer.run_id in ended, f"{call.answer} ended twice"))
            ended[call.answer.run_id] = call.mark
    for run_id, row in rows.items():
        problems += _problems(
            (row["attempt"] != claimed[run_id], f"{run_id}: attempt {row['attempt']}"),
            (run_id in ended and row["error"] != ended[run_id], f"{row} changed its end"),
        )
    made = {call.answer.run_id for call in history.done("enqueue") if call.step.slot == 0}
    deleted = {call.answer for call in history.done("delete_run")}
    lost = made - rows.keys() - deleted
    return problems + _problems((lost, f"runs are gone that nobody deleted: {lost}"))


async def _items(history: History, storage: FullStorage) -> list[str]:
    problems: list[str] = []
    for call in history.done("put_own"):
        for key in ("x", "y"):
            item = await storage.items.get_item(("own", call.mark), key, owner=OWNER)
            problems += _problems((item is None, f"item {call.mark} {key} was lost"))
    for slot in range(2):
        item = await storage.items.get_item(SPACE, str(slot), owner=OWNER)
        writes = [call for call in history.done("put", "delete_item") if call.step.slot == slot]
        last = [call for call in writes if not any(other.began > call.ended for other in writes)]
        possible = [_written(call) for call in last] or [None]
        found = None if item is None else item.value
        problems += _problems((found not in possible, f"item {slot}: {found} of {possible}"))
    return problems


def _written(call: Call) -> Any:
    return {"mark": call.mark} if call.step.kind == "put" else None


async def _crons(history: History, probe: Probe) -> list[str]:
    """Every due date fires once: in the answers and in the rows."""
    fired = Counter(firing.cron.cron_id for call in history.done("fire") for firing in call.answer)
    runs = await probe.rows("runs")
    made = Counter(run["metadata"]["cron_id"] for run in runs if "cron_id" in run["metadata"])
    wanted = dict.fromkeys(CRONS, 1) if history.done("fire") else {}
    return _problems(
        (dict(fired) != wanted, f"crons fired {dict(fired)}"),
        (made != fired, f"firings made {dict(made)} runs, but answered {dict(fired)}"),
    )


async def _counts(storage: FullStorage, probe: Probe) -> list[str]:
    threads = await storage.threads.search(limit=1_000, owner=OWNER)
    runs = await storage.runs.search(limit=1_000, owner=OWNER)
    rows: list[RawRow] = await probe.rows("threads")
    numbers = (len(threads), await storage.threads.count(owner=OWNER), len(rows))
    run_numbers = (len(runs), await storage.runs.count(owner=OWNER), await probe.count("runs"))
    return _problems(
        (len(set(numbers)) > 1, f"threads found, counted, there: {numbers}"),
        (len(set(run_numbers)) > 1, f"runs found, counted, there: {run_numbers}"),
    )


def _problems(*checks: tuple[object, str]) -> list[str]:
    """Return the messages of the checks that something is wrong with."""
    return [message for wrong, message in checks if wrong]
