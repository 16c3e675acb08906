"""Crons: create, read, change, find and remove schedules."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from harness.contract.base import Probe, StorageContract
from harness.contract.builders import (
    ALICE,
    BOB,
    a_cron,
    a_thread,
    all_raise,
    an_assistant,
    everything,
    find_cron,
    new_id,
)
from harness.errors import InvalidInput, NotFound
from harness.models import Cron
from harness.storage.extensions import FullStorage

DAY = timedelta(days=1)


def the_next(cron: Cron) -> datetime:
    """Return the next date of a cron that has one."""
    assert cron.next_run_date is not None
    return cron.next_run_date


class CronStoreContract(StorageContract):
    """What `storage.crons` promises about records."""

    @pytest.mark.invariant(33)
    async def test_create_and_get_bug_pg_001_thread_id_none(self, storage: FullStorage) -> None:
        """A cron without a thread is created, read, found and changed like any other."""
        created = await a_cron(storage)
        assert created.thread_id is None
        assert await find_cron(storage, created.cron_id) == created
        assert await storage.crons.search(owner=ALICE) == [created]
        assert await storage.crons.search(assistant_id=created.assistant_id, owner=ALICE) == [
            created
        ]
        updated = await storage.crons.update(created.cron_id, metadata={"n": 1}, owner=ALICE)
        assert updated.thread_id is None

    @pytest.mark.invariant(43)
    async def test_create_and_get(self, storage: FullStorage) -> None:
        """What was created is what is read, with every field as it was given."""
        assistant, thread = await an_assistant(storage), await a_thread(storage)
        until = datetime.now(UTC) + 400 * DAY
        created = await storage.crons.create(
            assistant.assistant_id,
            schedule="5 4 * * *",
            thread_id=thread.thread_id,
            payload={"input": {"n": 1}},
            metadata={"team": "red"},
            timezone="Europe/Berlin",
            end_time=until,
            enabled=False,
            on_run_completed="keep",
            owner=ALICE,
        )
        assert created == await find_cron(storage, created.cron_id)
        assert created.assistant_id == assistant.assistant_id
        assert created.thread_id == thread.thread_id
        assert created.schedule == "5 4 * * *"
        assert created.timezone == "Europe/Berlin"
        assert created.payload == {"input": {"n": 1}}
        assert created.metadata == {"team": "red", "owner": ALICE}
        assert created.end_time == until
        assert created.on_run_completed == "keep"
        assert created.enabled is False
        assert created.created_at == created.updated_at

    @pytest.mark.invariant(43)
    async def test_defaults(self, storage: FullStorage) -> None:
        """A cron of which only assistant and schedule are known has the SDK's defaults."""
        cron = await a_cron(storage)
        assert (cron.payload, cron.metadata) == ({}, {"owner": ALICE})
        assert (cron.timezone, cron.end_time) == (None, None)
        assert (cron.enabled, cron.on_run_completed) == (True, "delete")

    @pytest.mark.invariant(33)
    async def test_list_crons_bug_pg_001(self, storage: FullStorage) -> None:
        """Crons with and without threads are listed together, newest first."""
        thread = await a_thread(storage)
        crons = [await a_cron(storage), await a_cron(storage, thread_id=thread.thread_id)]
        assert await storage.crons.search(owner=ALICE) == crons[::-1]

    async def test_update_cron_bug_pg_002_dicts_are_serialised(self, storage: FullStorage) -> None:
        """Payload and metadata given as dicts are stored as JSON; both merge shallowly."""
        before = await a_cron(storage, payload={"a": 1}, metadata={"a": 1, "b": {"c": 1}})
        after = await storage.crons.update(
            before.cron_id,
            payload={"input": {"deep": [1, {"x": None}]}},
            metadata={"b": {"d": 2}},
            owner=ALICE,
        )
        assert after == await find_cron(storage, before.cron_id)
        assert after.payload == {"a": 1, "input": {"deep": [1, {"x": None}]}}
        assert after.metadata == {"a": 1, "b": {"d": 2}, "owner": ALICE}
        assert after.created_at == before.created_at
        assert after.updated_at > before.updated_at

    async def test_update_every_field(self, storage: FullStorage) -> None:
        """Schedule, timezone, end, switch and thread's fate can change; the rest stays."""
        before = await a_cron(storage, payload={"a": 1})
        until = datetime.now(UTC) + 400 * DAY
        after = await storage.crons.update(
            before.cron_id,
            schedule="0 9 * * 1",
            timezone="Asia/Tokyo",
            end_time=until,
            enabled=False,
            on_run_completed="keep",
            owner=ALICE,
        )
        assert (after.schedule, after.timezone) == ("0 9 * * 1", "Asia/Tokyo")
        assert (after.end_time, after.enabled) == (until, False)
        assert after.on_run_completed == "keep"
        assert after.payload == {"a": 1}
        cleared = await storage.crons.update(before.cron_id, end_time=None, owner=ALICE)
        assert cleared.end_time is None
        assert (cleared.timezone, cleared.enabled) == ("Asia/Tokyo", False)

    @pytest.mark.invariant(35)
    async def test_end_times_come_back(self, storage: FullStorage) -> None:
        """Any time with a timezone is kept to the microsecond, as the same moment."""
        east = timezone(timedelta(hours=14))
        for until in (
            datetime(9999, 12, 30, 23, 59, 59, 999_999, tzinfo=UTC),
            datetime(1, 1, 2, tzinfo=UTC),
            datetime(2040, 2, 29, 1, 2, 3, 4, tzinfo=east),
        ):
            cron = await a_cron(storage, end_time=until)
            assert cron.end_time == until
            assert cron.end_time.utcoffset() == timedelta()
            assert await find_cron(storage, cron.cron_id) == cron

    async def test_delete_cron(self, storage: FullStorage) -> None:
        """A deleted cron is gone: changing and deleting it again find nothing."""
        cron = await a_cron(storage)
        await storage.crons.delete(cron.cron_id, owner=ALICE)
        assert await storage.crons.count(owner=ALICE) == 0
        await all_raise(
            NotFound,
            storage.crons.update(cron.cron_id, enabled=False, owner=ALICE),
            storage.crons.delete(cron.cron_id, owner=ALICE),
        )

    @pytest.mark.invariant(37)
    async def test_count_crons(self, storage: FullStorage) -> None:
        """Count is the length of search, with every condition."""
        thread, assistant = await a_thread(storage), await an_assistant(storage)
        for number in range(4):
            await a_cron(
                storage,
                assistant_id=assistant.assistant_id if number else None,
                thread_id=thread.thread_id if number % 2 else None,
                enabled=number != 3,
                metadata={"parity": number % 2},
            )
        for condition, expected in (
            ({}, 4),
            ({"assistant_id": assistant.assistant_id}, 3),
            ({"thread_id": thread.thread_id}, 2),
            ({"enabled": True}, 3),
            ({"enabled": False}, 1),
            ({"metadata": {"parity": 1}}, 2),
            ({"metadata": {"parity": 1}, "enabled": True}, 1),
            ({"thread_id": new_id()}, 0),
        ):
            found = await storage.crons.search(**condition, owner=ALICE)
            assert len(found) == expected, condition
            assert await storage.crons.count(**condition, owner=ALICE) == expected

    async def test_owner_isolation(self, storage: FullStorage) -> None:
        """One owner's crons do not exist for another."""
        cron = await a_cron(storage)
        assert await storage.crons.search(owner=BOB) == []
        assert await storage.crons.count(owner=BOB) == 0
        assert await find_cron(storage, cron.cron_id) == cron

    @pytest.mark.invariant(23)
    async def test_create_needs_assistant_and_thread(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """A missing assistant or thread, or another's, is NotFound, and no row is left."""
        assistant, thread = await an_assistant(storage), await a_thread(storage)
        bobs_assistant = await an_assistant(storage, owner=BOB)
        bobs_thread = await a_thread(storage, owner=BOB)
        before = await everything(probe)
        for assistant_id, thread_id in (
            (new_id(), None),
            (new_id(), thread.thread_id),
            (assistant.assistant_id, new_id()),
            (bobs_assistant.assistant_id, thread.thread_id),
            (assistant.assistant_id, bobs_thread.thread_id),
        ):
            with pytest.raises(NotFound):
                await a_cron(storage, assistant_id=assistant_id, thread_id=thread_id)
        assert await everything(probe) == before

    @pytest.mark.parametrize(
        "bad",
        [
            {"schedule": "* * * *"},
            {"schedule": "61 * * * *"},
            {"schedule": "every day"},
            {"schedule": ""},
            {"schedule": 5},
            {"schedule": "* * * * * * *"},
            {"schedule": "0 0 30 2 *"},
            {"schedule": "@daily"},
            {"timezone": "Mars/Olympus"},
            {"timezone": ""},
            {"timezone": 1},
            {"end_time": "tomorrow"},
            {"end_time": datetime(2030, 1, 1)},  # noqa: DTZ001 -- wrong on purpose
            {"enabled": 1},
            {"on_run_completed": "burn"},
            {"payload": []},
            {"metadata": "x"},
        ],
        ids=repr,
    )
    @pytest.mark.invariant(43)
    async def test_bad_arguments(
        self, storage: FullStorage, probe: Probe, bad: dict[str, Any]
    ) -> None:
        """A schedule, timezone or switch that is none is refused, on create and on update."""
        assistant = await an_assistant(storage)
        good = {"schedule": "* * * * *"}
        with pytest.raises(InvalidInput):
            await storage.crons.create(assistant.assistant_id, **{**good, **bad}, owner=ALICE)
        assert await probe.count("crons") == 0
        cron = await a_cron(storage)
        with pytest.raises(InvalidInput):
            await storage.crons.update(cron.cron_id, **bad, owner=ALICE)
        assert await find_cron(storage, cron.cron_id) == cron
