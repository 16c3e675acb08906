"""The ledger keeps what it was told; the verification finds what was planted against it."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest

from harness.errors import DatabaseUnavailable, OutcomeUnknown
from harness.faults.ledger import CHANGED, Effect, Entry, Ledger, read_ledger
from harness.faults.survival import Kind, matches, verify
from harness.faults.witness import Sight, contradictions, witness
from harness.faults.writers import Crew
from harness.models import Json
from harness.storage.extensions import FullStorage

OWNER = "writer"
ITEM = ("item", "here", "key")


def put(value: Json | None) -> list[Effect]:
    """The effect of putting a value, or of deleting it."""
    return [Effect(ITEM, None if value is None else {"value": value})]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger lies."""
    return tmp_path / "ledger"


def entry(op: str, effects: list[Effect], outcome: str = "acknowledged") -> Entry:
    """A write as the ledger would give it back."""
    return Entry(ticket=str(uuid4()), owner=OWNER, op=op, effects=tuple(effects), outcome=outcome)  # type: ignore[arg-type] # a literal, by name


def test_ledger_gives_back_what_it_was_told(path: Path) -> None:
    """Intents, outcomes, errors and effects are read as they were recorded, in order."""
    with Ledger(path) as ledger:
        done, gone, open_ = (ledger.intend(name, "put", put({"n": 1.0})) for name in "abc")
        refused = ledger.intend("a", "put", put({"n": 2}))
        ledger.acknowledge(done)
        ledger.unknown(gone, OutcomeUnknown())
        ledger.refuse(refused, DatabaseUnavailable("down"))
        entries = read_ledger(path)
    assert [(each.owner, each.outcome) for each in entries] == [
        ("a", "acknowledged"),
        ("b", "unknown"),
        ("c", "unknown"),
        ("a", "refused"),
    ]
    assert entries[0].effects == tuple(put({"n": 1.0}))
    assert entries[3].error == "DatabaseUnavailable: down"
    assert open_ == entries[2].ticket


def test_ledger_is_written_before_the_call_returns(path: Path) -> None:
    """What was recorded can be read while the ledger is still open, as after its writer's death."""
    with Ledger(path) as ledger:
        ledger.intend(OWNER, "put", put({"n": 1}))
        assert len(read_ledger(path)) == 1


def test_ledger_ignores_a_torn_last_line(path: Path) -> None:
    """A writer that dies in the middle of a line has not recorded it."""
    with Ledger(path) as ledger:
        ledger.acknowledge(ledger.intend(OWNER, "put", put({"n": 1})))
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    assert [each.outcome for each in read_ledger(path)] == ["unknown"]


def test_ledger_refuses_a_line_that_is_none(path: Path) -> None:
    """A damaged ledger is said to be damaged, with the line."""
    path.write_text("{}{\n")
    with pytest.raises(ValueError, match="line 1"):
        read_ledger(path)


def test_no_owner_goes_on_after_an_unknown_write(path: Path) -> None:
    """After an unknown outcome nobody could say what the owner's rows must be."""
    with Ledger(path) as ledger:
        ledger.unknown(ledger.intend(OWNER, "put", put({"n": 1})), OutcomeUnknown())
        with pytest.raises(ValueError, match="another owner"):
            ledger.intend(OWNER, "put", put({"n": 2}))


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        (None, None, True),
        (None, {}, False),
        ({}, None, False),
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1}, {"a": 1.0}, False),
        ({"a": True}, {"a": 1}, False),
        ({"a": None}, {}, False),
        ({"a": {CHANGED: 1}}, {"a": 2}, True),
        ({"a": {CHANGED: 1}}, {"a": 1}, False),
    ],
)
def test_matches_compares_types_and_only_what_is_expected(
    expected: Json | None, actual: Json | None, *, same: bool
) -> None:
    """Fields nobody expects don't count; `1`, `1.0` and `true` are three things."""
    assert matches(expected, actual) is same


async def test_crew_and_verification_agree_on_a_store_that_forgets_nothing(
    memory_storage: FullStorage, path: Path
) -> None:
    """Twenty writers over all resources, and not one finding: the check itself is sound."""
    with Ledger(path) as ledger:
        async with asyncio.timeout(120), Crew(memory_storage, ledger) as crew:
            await crew.until(lambda ledger: ledger.total("acknowledged") > 1_000)
    report = await verify(read_ledger(path), memory_storage)
    assert report.survived, str(report)
    assert report.acknowledged > 1_000
    assert report.cells > 1_000


async def test_each_kind_of_row_is_missed(memory_storage: FullStorage, path: Path) -> None:
    """A row of any resource that disappears is found lost, by its cell."""
    with Ledger(path) as ledger:
        async with asyncio.timeout(120), Crew(memory_storage, ledger, writers=1) as crew:
            await crew.until(lambda ledger: ledger.total("acknowledged") > 20)
    entries = read_ledger(path)
    owner = entries[0].owner
    cells = list(await witness(memory_storage, owner))

    def one(kind: str) -> tuple[str, ...]:
        return next(cell for cell in cells if cell[0] == kind)

    cron, assistant, item, run = (one(kind) for kind in ("cron", "assistant", "item", "run"))
    await memory_storage.crons.delete(cron[1], owner=owner)
    await memory_storage.items.delete_item(item[1:-1], item[-1], owner=owner)
    await memory_storage.runs.delete(run[1], run[2], owner=owner)
    await memory_storage.assistants.delete(assistant[1], owner=owner)
    await memory_storage.threads.delete(one("states")[1], owner=owner)
    report = await verify(entries, memory_storage)
    lost = {finding.cell for finding in report.findings if finding.kind == "lost"}
    assert {cron, assistant, item, run, one("states"), one("thread")} <= lost


@pytest.mark.parametrize(
    ("there", "writes", "kind"),
    [
        (None, [entry("put", put({"n": 1}))], "lost"),
        ({"n": 2}, [entry("put", put({"n": 1}))], "lost"),
        ({"n": 1}, [entry("put", put({"n": 1})), entry("delete", put(None))], "risen"),
        ({"n": 1}, [entry("put", put({"n": 1}), "refused")], "risen"),
        ({"n": 1}, [], "stray"),
        ({"n": 3}, [entry("put", put({"n": 1})), entry("put", put({"n": 2}), "unknown")], "half"),
    ],
)
async def test_findings_are_named(
    memory_storage: FullStorage, there: Json | None, writes: list[Entry], kind: Kind
) -> None:
    """Lost, risen, stray and half-done writes are told apart."""
    if there is not None:
        await memory_storage.items.put_item(("here",), "key", there, owner=OWNER)
    writes = [entry("put", [Effect(("item", "there", "x"), None)]), *writes]
    report = await verify(writes, memory_storage)
    assert [finding.kind for finding in report.findings] == [kind], str(report)


@pytest.mark.parametrize("there", [None, {"n": 1}])
async def test_unknown_writes_may_be_there_or_not(
    memory_storage: FullStorage, there: Json | None
) -> None:
    """An unknown write that is whole or absent breaks no promise, and is counted as such."""
    if there is not None:
        await memory_storage.items.put_item(("here",), "key", there, owner=OWNER)
    report = await verify([entry("put", put({"n": 1}), "unknown")], memory_storage)
    assert report.survived, str(report)
    assert (report.unknown_applied, report.unknown_absent) == ((1, 0) if there else (0, 1))


async def test_a_bulk_in_part_is_half(memory_storage: FullStorage) -> None:
    """Of an unknown bulk of two only one is there: half done."""
    await memory_storage.items.put_item(("here",), "key", {"n": 1}, owner=OWNER)
    bulk = [*put({"n": 1}), Effect(("item", "here", "other"), {"value": {"n": 2}})]
    report = await verify([entry("put_many", bulk, "unknown")], memory_storage)
    assert report.count("half") > 0, str(report)


@pytest.mark.parametrize(
    ("broken", "fields"),
    [
        ("thread", {"status": "idle"}),
        ("thread", {"values": {"n": 2}}),
        ("thread", {"checkpoint_id": "another"}),
        ("run", {"status": "success"}),
        ("firings", {"runs": 1, "threads": 2}),
        ("assistant", {"version": 2}),
    ],
)
def test_contradictions_are_found_without_the_ledgers_help(broken: str, fields: Json) -> None:
    """Cells that disagree are found, whoever wrote them; cells that agree are not."""
    sight: Sight = {
        ("assistant", "a"): {"version": 1},
        ("assistant_versions", "a"): {"versions": [[1, {}]]},
        ("thread", "t"): {"status": "busy", "values": {"n": 1}, "checkpoint_id": "c"},
        ("states", "t"): {"history": [["c", {"n": 1}], ["b", {"n": 0}]]},
        ("run", "t", "r"): {"status": "running"},
        ("firings", "f"): {"runs": 2, "threads": 2},
    }
    assert not list(contradictions(sight))
    [cell] = [cell for cell in sight if cell[0] == broken]
    sight[cell] = sight[cell] | fields
    assert len(list(contradictions(sight))) == 1


def test_a_run_without_its_thread_is_a_contradiction() -> None:
    """A run that outlived its thread is half of something."""
    [(cell, _)] = contradictions({("run", "t", "r"): {"status": "success"}})
    assert cell == ("run", "t", "r")
