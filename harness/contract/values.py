"""JSON values: what every field keeps, what none accepts, and whose the dicts are."""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import pytest

from harness.contract.base import Probe, StorageContract
from harness.contract.builders import (
    ALICE,
    HOME,
    a_cron,
    a_run,
    a_thread,
    all_raise,
    an_assistant,
    everything,
    find_cron,
    same,
)
from harness.errors import InvalidInput
from harness.models import Json
from harness.storage.extensions import FullStorage, RunQueue, RunRecords, Snapshots

Keep = Callable[[FullStorage, Json], Awaitable[list[Json]]]
"""Write an object into one field and return what each way of reading shows there."""


async def _assistant_config(storage: FullStorage, value: Json) -> list[Json]:
    made = await an_assistant(storage, config=value)
    read = await storage.assistants.get(made.assistant_id, owner=ALICE)
    [found] = await storage.assistants.search(owner=ALICE)
    [version] = await storage.assistants.get_versions(made.assistant_id, owner=ALICE)
    return [made.config, read.config, found.config, version.config]


async def _assistant_context(storage: FullStorage, value: Json) -> list[Json]:
    made = await an_assistant(storage, context=value)
    read = await storage.assistants.get(made.assistant_id, owner=ALICE)
    return [made.context, read.context, read.config["configurable"]]


async def _assistant_metadata(storage: FullStorage, value: Json) -> list[Json]:
    made = await an_assistant(storage, metadata=value)
    read = await storage.assistants.get(made.assistant_id, owner=ALICE)
    return [_unstamped(made.metadata), _unstamped(read.metadata)]


async def _updated_assistant(storage: FullStorage, value: Json) -> list[Json]:
    made = await an_assistant(storage)
    after = await storage.assistants.update(
        made.assistant_id, config=value, metadata=value, owner=ALICE
    )
    read = await storage.assistants.get(made.assistant_id, owner=ALICE)
    back = await storage.assistants.set_latest(made.assistant_id, 2, owner=ALICE)
    return [
        shown for one in (after, read, back) for shown in (one.config, _unstamped(one.metadata))
    ]


async def _thread_metadata(storage: FullStorage, value: Json) -> list[Json]:
    made = await a_thread(storage, metadata=value)
    read = await storage.threads.get(made.thread_id, owner=ALICE)
    copy = await storage.threads.copy(made.thread_id, owner=ALICE)
    return [_unstamped(one.metadata) for one in (made, read, copy)]


async def _updated_thread(storage: FullStorage, value: Json) -> list[Json]:
    made = await a_thread(storage)
    after = await storage.threads.update(made.thread_id, metadata=value, owner=ALICE)
    read = await storage.threads.get(made.thread_id, owner=ALICE)
    return [_unstamped(after.metadata), _unstamped(read.metadata)]


async def _state_values(storage: FullStorage, value: Json) -> list[Json]:
    mine = await a_thread(storage)
    added = await storage.threads.add_state(mine.thread_id, value, owner=ALICE)
    read = await storage.threads.get_state(mine.thread_id, owner=ALICE)
    [entry] = await storage.threads.get_history(mine.thread_id, owner=ALICE)
    thread = await storage.threads.get(mine.thread_id, owner=ALICE)
    assert thread.values is not None
    return [added.values, read.values, entry.values, thread.values]


async def _state_extras(storage: FullStorage, value: Json) -> list[Json]:
    mine = await a_thread(storage)
    added = await storage.threads.add_state(
        mine.thread_id, {}, metadata=value, tasks=[value], interrupts=[value], owner=ALICE
    )
    [entry] = await storage.threads.get_history(mine.thread_id, owner=ALICE)
    return [
        shown
        for one in (added, entry)
        for shown in (one.metadata or {}, *one.tasks, *one.interrupts)
    ]


async def _run_kwargs(storage: FullStorage, value: Json) -> list[Json]:
    made = await a_run(storage, kwargs=value)
    read = await storage.runs.get(made.thread_id, made.run_id, owner=ALICE)
    [listed] = await storage.runs.list(made.thread_id, owner=ALICE)
    claim = await storage.runs.claim(lease_s=60)
    assert claim is not None
    return [made.kwargs, read.kwargs, listed.kwargs, claim.run.kwargs]


async def _run_metadata(storage: FullStorage, value: Json) -> list[Json]:
    made = await a_run(storage, metadata=value)
    read = await storage.runs.get(made.thread_id, made.run_id, owner=ALICE)
    after = await storage.runs.update(made.thread_id, made.run_id, metadata=value, owner=ALICE)
    return [_unstamped(one.metadata) for one in (made, read, after)]


async def _item_value(storage: FullStorage, value: Json) -> list[Json]:
    await storage.items.put_item(HOME, "k", value, owner=ALICE)
    read = await storage.items.get_item(HOME, "k", owner=ALICE)
    [found] = await storage.items.search_items(HOME, owner=ALICE)
    assert read is not None
    return [read.value, found.value]


async def _cron_payload(storage: FullStorage, value: Json) -> list[Json]:
    made = await a_cron(storage, payload=value)
    read = await find_cron(storage, made.cron_id)
    after = await storage.crons.update(made.cron_id, payload=value, owner=ALICE)
    assert read is not None
    return [made.payload, read.payload, after.payload]


async def _cron_metadata(storage: FullStorage, value: Json) -> list[Json]:
    made = await a_cron(storage, metadata=value)
    after = await storage.crons.update(made.cron_id, metadata=value, owner=ALICE)
    return [_unstamped(made.metadata), _unstamped(after.metadata)]


def _unstamped(metadata: Json) -> Json:
    return {key: value for key, value in metadata.items() if key != "owner"}


FIELDS: dict[str, Keep] = {
    "assistant.config": _assistant_config,
    "assistant.context": _assistant_context,
    "assistant.metadata": _assistant_metadata,
    "assistant.update": _updated_assistant,
    "thread.metadata": _thread_metadata,
    "thread.update": _updated_thread,
    "state.values": _state_values,
    "state.metadata+tasks+interrupts": _state_extras,
    "run.kwargs": _run_kwargs,
    "run.metadata": _run_metadata,
    "item.value": _item_value,
    "cron.payload": _cron_payload,
    "cron.metadata": _cron_metadata,
}
every_field = pytest.mark.parametrize("keep", FIELDS.values(), ids=FIELDS.keys())

NASTY: Json = {
    "digits": "123",
    "int": 123,
    "float": 123.0,
    "one": 1,
    "one float": 1.0,
    "true": True,
    "false": False,
    "null": None,
    "zero": 0,
    "zero float": 0.0,
    "empty": ["", [], {}, [[]], [{}], [None]],
    "mixed": [1, 1.0, True, "1", None, [1], {"1": 1}],
    "64 bit": [2**63 - 1, -(2**63), 2**53 + 1],
    "floats": [0.1, 1 / 3, 1e-7, 5e-324, 1.7976931348623157e308, -1e19, 1e22, 123456789.125],
    "near 1e16": [1e15, 9999999999999998.0, 10**16, 10**16 + 1],
    "texts": ["\x01\x7f\x80", "\u2028\ufeff\ufffe", "𝄞🦉", "é", "e\u0301", "\\u0000", "\\", "\\n"],
    "sql": ["'; DROP TABLE threads; --", '"', "%s", "%(x)s", "$1", ":x", "{}", "?"],
    "dates": "2026-02-30T25:61:00Z",
    "": "the empty key",
    "a.b": {"$eq": 1, "%": 2, "_": 3, "é": 4, " ": 5, "\n": 6, "'": 7, '"': 8, "\\": 9},
    "nested": {"a": [{"b": [None, {"c": [[[{"d": {}}]]]}]}]},
    "order": {"z": 1, "a": 2, "aa": 3, "B": 4},
}

CANONICAL: tuple[tuple[Any, Any], ...] = (
    (-0.0, 0.0),
    (1e16, 10**16),
    (1e18, 10**18),
    (-1e17, -(10**17)),
    (1e19, 1e19),
    ((1, (2,)), [1, [2]]),
)
"""What is given in another form than the one that everybody keeps."""

REFUSED: tuple[Any, ...] = (
    float("nan"),
    float("inf"),
    -float("inf"),
    "a\x00b",
    "\ud800",
    "\udc00\ud800",
    2**63,
    -(2**63) - 1,
    b"bytes",
    {1: "a number for a key"},
    {None: 1},
    {"a\x00": 1},
    {"\udfff": 1},
    {1, 2},
    object(),
    1j,
)


class ValuesContract(StorageContract):
    """What JSON promises: types are kept, one canonical form, and nothing bad gets in."""

    needs: ClassVar[frozenset[type]] = frozenset({RunQueue, RunRecords, Snapshots})

    @pytest.mark.invariant(16)
    @every_field
    async def test_values_keep_their_types(self, storage: FullStorage, keep: Keep) -> None:
        """Every JSON value comes back as it was given, by every way of reading."""
        for shown in await keep(storage, NASTY):
            wrong = {key for key in NASTY if not same(NASTY[key], shown.get(key))}
            assert not wrong
            assert shown.keys() == NASTY.keys()

    @pytest.mark.invariant(16)
    @every_field
    async def test_one_canonical_form(self, storage: FullStorage, keep: Keep) -> None:
        """What jsonb cannot keep as it is has one form, in the answer and ever after."""
        given = {str(number): one for number, (one, _) in enumerate(CANONICAL)}
        kept = {str(number): other for number, (_, other) in enumerate(CANONICAL)}
        for shown in await keep(storage, given):
            assert same(shown, kept)
            assert str(shown["0"]) == "0.0"

    @pytest.mark.invariant(17)
    @every_field
    async def test_what_cannot_be_kept_is_refused(
        self, storage: FullStorage, probe: Probe, keep: Keep
    ) -> None:
        """Bad values are refused at any depth, before anything is written."""
        for bad in REFUSED:
            for value in ({"x": bad}, {"x": [{"y": [bad]}]}):
                with pytest.raises(InvalidInput):
                    await keep(storage, value)
        for table, rows in (await everything(probe)).items():
            for row in rows:
                assert not any(isinstance(one, dict) and "x" in one for one in row.values()), table

    @pytest.mark.invariant(17)
    @every_field
    async def test_only_objects_are_objects(self, storage: FullStorage, keep: Keep) -> None:
        """A list, a text or a number is no object."""
        for bad in ([], "text", 1, True, [("a", 1)]):
            with pytest.raises(InvalidInput):
                await keep(storage, bad)  # type: ignore[arg-type]  # wrong on purpose

    @pytest.mark.invariant(17)
    @pytest.mark.parametrize("bad", ["a\x00b", "\ud800", 5, b"x", ["x"]], ids=ascii)
    async def test_bad_texts(self, storage: FullStorage, probe: Probe, bad: Any) -> None:
        """Texts beside the JSON are refused by the same rule."""
        mine = await an_assistant(storage)
        run = await a_run(storage, assistant_id=mine.assistant_id)
        before = await everything(probe)
        await all_raise(
            InvalidInput,
            storage.assistants.create(bad, owner=ALICE),
            storage.assistants.create("agent", name=bad, owner=ALICE),
            storage.assistants.create("agent", description=bad, owner=ALICE),
            storage.assistants.update(mine.assistant_id, name=bad, owner=ALICE),
            storage.assistants.update(mine.assistant_id, graph_id=bad, owner=ALICE),
            storage.assistants.update(mine.assistant_id, description=bad, owner=ALICE),
            storage.assistants.search(name=bad, owner=ALICE),
            storage.assistants.search(graph_id=bad, owner=ALICE),
            storage.threads.add_state(run.thread_id, {}, next=[bad], owner=ALICE),
            storage.runs.update_status(run.thread_id, run.run_id, "error", error=bad, owner=ALICE),
            storage.crons.create(mine.assistant_id, schedule=bad, owner=ALICE),
            storage.crons.create(
                mine.assistant_id, schedule="* * * * *", timezone=bad, owner=ALICE
            ),
        )
        assert await everything(probe) == before

    @pytest.mark.invariant(17)
    @pytest.mark.parametrize("bad", REFUSED[:8], ids=ascii)
    async def test_bad_values_in_conditions(self, storage: FullStorage, bad: Any) -> None:
        """A condition that nothing could meet is refused, not answered with nothing."""
        thread = await a_thread(storage)
        await all_raise(
            InvalidInput,
            storage.assistants.search(metadata={"x": bad}, owner=ALICE),
            storage.assistants.count(metadata={"x": bad}, owner=ALICE),
            storage.threads.search(metadata={"x": bad}, owner=ALICE),
            storage.threads.search(values={"x": bad}, owner=ALICE),
            storage.threads.get_history(thread.thread_id, metadata={"x": bad}, owner=ALICE),
            storage.runs.search(metadata={"x": bad}, owner=ALICE),
            storage.crons.search(metadata={"x": bad}, owner=ALICE),
            storage.items.search_items((), filter={"x": bad}, owner=ALICE),
            storage.items.search_items((), filter={"x": {"$ne": bad}}, owner=ALICE),
        )

    @pytest.mark.invariant(16)
    @every_field
    async def test_what_goes_in_and_out_is_copied(
        self, storage: FullStorage, probe: Probe, keep: Keep
    ) -> None:
        """Changing a dict that was given, or one that came back, changes nothing stored."""
        given: Json = {"list": [1, {"deep": [2]}], "object": {"n": 1}}
        for handed in [*await keep(storage, given), given]:
            assert handed == {"list": [1, {"deep": [2]}], "object": {"n": 1}}
            handed["list"][1]["deep"].append("spoiled")
            handed["object"]["n"] = "spoiled"
            handed["spoiled"] = True
        assert "spoiled" not in repr(await everything(probe))
