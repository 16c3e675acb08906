"""Channels: what readers of a run get, whenever they come and however slow they are."""

import asyncio
from collections.abc import Iterator

import pytest

from harness.errors import InvalidInput
from harness.server.execution import channel as channels
from harness.server.execution.broker import Broker
from harness.server.execution.channel import Channel, Lagged, key_of
from harness.server.execution.outcomes import Outcome

DONE = Outcome(status="success")


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker, closed afterwards."""
    broker = Broker(max_bytes=2**20, max_bytes_of_owner=2**20, max_threads_of_owner=10)
    yield broker
    broker.close()


@pytest.fixture
def small() -> Iterator[Broker]:
    """A broker that keeps little."""
    broker = Broker(max_bytes=300, max_bytes_of_owner=200, max_threads_of_owner=2)
    yield broker
    broker.close()


def opened(
    broker: Broker, run_id: str = "run", *, resumable: bool = False, owner: str = "ada"
) -> Channel:
    """Return the channel of a run."""
    return broker.open("thread", run_id, resumable=resumable, owner=owner)


async def names(channel: Channel, after: str | None = None) -> list[str]:
    """Return the names of all events until the end."""
    key = None if after is None else key_of(after)
    return [event.name async for events in channel.read(key) for event in events]


async def test_readers_come_before_amid_and_after(broker: Broker) -> None:
    """Each gets every event, in order."""
    channel = opened(broker)
    early = asyncio.create_task(names(channel))
    await asyncio.sleep(0)
    channel.publish("a", 1)
    amid = asyncio.create_task(names(channel))
    await asyncio.sleep(0)
    channel.publish("b", 2)
    broker.end("run", DONE, owner="ada")
    assert await early == await amid == await names(channel) == ["a", "b"]
    assert await channel.wait() == DONE


async def test_the_first_events_are_sent_before_the_run_goes_on(broker: Broker) -> None:
    """It goes on as soon as its readers ask for more; later on it waits for nobody."""
    channel = opened(broker)
    reader = channel.read()
    for n in range(2):
        channel.publish("a", n)
        going_on = asyncio.create_task(channel.room())
        await asyncio.sleep(0)
        await anext(reader)
        assert not going_on.done()
        asking = asyncio.create_task(anext(reader))
        await going_on
        asking.cancel()
    channel.publish("a", 2)
    later = asyncio.create_task(channel.room())
    await asyncio.sleep(0)
    assert later.done()


async def test_who_does_not_ask_for_first_events_is_not_waited_for(broker: Broker) -> None:
    """A run goes on without them after a moment."""
    channel = opened(broker)
    reader = channel.read()
    channel.publish("a", 1)
    async with asyncio.timeout(60):
        await channel.room()
    assert [event.name for event in await anext(reader)] == ["a"]


async def test_an_event_is_what_it_was(broker: Broker) -> None:
    """What is changed after it was published does not change the event."""
    channel, values = opened(broker), {"n": 1}
    channel.publish("values", values)
    values["n"] = 2
    broker.end("run", owner="ada")
    [[event]] = [events async for events in channel.read()]
    assert event.data == '{"n":1}'


async def test_ids_are_in_order_over_channels(broker: Broker) -> None:
    """What a later attempt says comes after what an earlier one said."""
    first, second = opened(broker, "first"), opened(broker, "second")
    for channel in (first, first, second):
        channel.publish("event", None)
    for run_id in ("first", "second"):
        broker.end(run_id, owner="ada")
    ids = [e.key for c in (first, second) async for events in c.read() for e in events]
    assert ids[:2] == sorted(set(ids[:2]))
    assert ids[2] >= (ids[1][0], 0)


async def test_a_reader_comes_back(broker: Broker) -> None:
    """It gets what came after the id; ids before all mean everything."""
    channel = opened(broker)
    for name in "abc":
        channel.publish(name, None)
    broker.end("run", owner="ada")
    [events] = [events async for events in channel.read()]
    assert await names(channel, events[1].id) == ["c"]
    assert await names(channel, events[2].id) == []
    assert await names(channel, "-1") == await names(channel, "0") == ["a", "b", "c"]


@pytest.mark.parametrize("nonsense", ["x", "1", "1-", "-2", "1-2-3", "²-1"])
def test_no_id_of_an_event(nonsense: str) -> None:
    """It is refused."""
    with pytest.raises(InvalidInput):
        key_of(nonsense)


async def test_memory_is_bounded(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest events go; who has not seen them is told, and nobody is waited for."""
    monkeypatch.setattr(channels, "MAX_CHANNEL_BYTES", 100)
    channel = opened(broker)
    channel.publish("first", None)
    reader = channel.read()
    [first] = await anext(reader)
    for number in range(50):
        channel.publish(f"{number}", "0123456789")
    assert channel.size_bytes <= 100
    with pytest.raises(Lagged):
        await anext(reader)
    channel.publish("huge", "x" * 1_000)
    broker.end("run", owner="ada")
    assert await names(channel) == await names(channel, "-1") == ["huge"]
    with pytest.raises(Lagged):
        await names(channel, first.id)


async def test_a_quick_reader_misses_nothing(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much is said at once: the run lets it catch up, also if it has not begun to read."""
    monkeypatch.setattr(channels, "MAX_CHANNEL_BYTES", 100)
    channel = opened(broker)
    with broker.following("thread", owner="ada") as thread:
        readers = (channel.read(), thread.read(thread.newest))

        async def take(reader: channels.Reader) -> list[str]:
            taken: list[str] = []
            while len(taken) < 50:
                taken += [event.name for event in await anext(reader)]
            return taken

        monkeypatch.setattr(channels, "MAX_PIECE_BYTES", 20)
        taking = [asyncio.create_task(take(reader)) for reader in readers]
        for number in range(50):
            channel.publish(f"{number}", "0123456789")
            await channel.room()
        names = [f"{number}" for number in range(50)]
        assert await asyncio.gather(*taking) == [names, names]


async def test_a_slow_reader_is_waited_for_once(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who does not read at all costs a run its patience, and no more; who is gone costs nothing."""
    monkeypatch.setattr(channels, "MAX_CHANNEL_BYTES", 100)
    monkeypatch.setattr(channels, "PATIENCE_S", 0.05)
    channel = opened(broker)
    asleep, gone = channel.read(), channel.read()
    gone.patience_s = 1_000
    del gone
    for number in range(1_000):
        channel.publish(f"{number}", "0123456789")
        await channel.room()
    assert asleep.patience_s <= 0
    with pytest.raises(Lagged):
        await anext(asleep)


async def test_only_resumable_channels_are_kept(broker: Broker) -> None:
    """Others are gone with their run."""
    opened(broker, "kept", resumable=True)
    opened(broker, "gone")
    for run_id in ("kept", "gone"):
        broker.end(run_id, DONE, owner="ada")
    assert broker.find("gone", owner="ada") is None
    kept = broker.find("kept", owner="ada")
    assert kept is not None
    assert kept.ended


async def test_what_an_owner_keeps_is_bounded(small: Broker) -> None:
    """Of an owner with too much, what has ended goes first, then the oldest of the fullest."""
    other = opened(small, "other", owner="bob")
    other.publish("event", "x" * 70)
    ended = [opened(small, run_id, resumable=True) for run_id in ("old", "new")]
    for channel in ended:
        channel.publish("event", "x" * 60)
        small.end(channel.run_id, owner=channel.owner)
    live = opened(small, "live")
    live.publish("event", "x" * 68)  # 62 + 62 + 70 bytes of JSON, of 200
    assert [channel.size_bytes for channel in ended] == [62, 62]
    live.publish("event", "x" * 30)
    assert [channel.size_bytes for channel in (*ended, live, other)] == [0, 62, 102, 72]
    for number in range(20):
        live.publish(f"{number}", "x" * 30)
        assert small.budget.size_bytes <= 72 + 200
    assert [channel.size_bytes for channel in (*ended, other)] == [0, 0, 72]
    with pytest.raises(Lagged):
        await names(ended[0], "1-0")
    assert (await anext(live.read()))[-1].name == "19"


async def test_what_all_owners_keep_is_bounded(small: Broker) -> None:
    """Too much of all together goes from whoever keeps most, whoever speaks; counts stay right."""
    channels_of = {name: opened(small, name, owner=name) for name in ("ada", "bob", "eve")}
    for name, size in (("ada", 130), ("bob", 100), ("eve", 20)):
        for _ in range(size // 10):
            channels_of[name].publish("event", "x" * 8)
    for _ in range(6):
        channels_of["eve"].publish("event", "x" * 8)
    assert small.budget.size_bytes <= 300
    assert channels_of["eve"].size_bytes == 80
    assert channels_of["bob"].size_bytes == 100
    for name in channels_of:
        small.end(name, owner=name)
    assert small.budget.size_bytes == 0


async def test_threads_that_are_followed_no_more_are_bounded(small: Broker) -> None:
    """Of an owner's followed threads the oldest that nobody follows is forgotten; no other's."""
    with small.following("bobs", owner="bob"):
        pass
    with small.following("first", owner="ada") as first:
        with small.following("second", owner="ada") as second:
            pass
        for number in range(3):
            with small.following(f"later {number}", owner="ada"):
                assert second.ended
        assert not first.ended
    with small.following("bobs", owner="bob") as bobs:
        assert not bobs.ended


async def test_closing_ends_everything(broker: Broker) -> None:
    """Readers are let go without an outcome, and so are those who come later."""
    channel = opened(broker)
    reader = asyncio.create_task(names(channel))
    await asyncio.sleep(0)
    broker.close()
    assert await reader == []
    assert await channel.wait() is None
    assert await opened(broker, "later").wait() is None


async def test_a_thread_is_followed(broker: Broker) -> None:
    """Over all its runs, from the moment on when somebody follows."""
    opened(broker, "before").publish("early", None)
    with broker.following("thread", owner="ada") as thread:
        for run_id in ("first", "second"):
            opened(broker, run_id).publish(run_id, {})
            broker.end(run_id, owner="ada")
        broker.end_thread("thread", owner="ada")
        told = [(e.name, e.data) async for events in thread.read() for e in events]
    done = '{"run_id":"%s","status":"run_done"}'
    assert told == [
        ("first", "{}"),
        ("metadata", done % "first"),
        ("second", "{}"),
        ("metadata", done % "second"),
    ]
