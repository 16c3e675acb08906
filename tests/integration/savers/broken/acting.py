"""Faults in histories, in calls that fail or meet, and in delta channels."""
# ruff: noqa: D102 -- a class says what is wrong with it; the methods are the saver's

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from harness.contract.checkpointer import (
    CheckpointerContract,
    SaverAtomicContract,
    SaverConcurrencyContract,
    SaverDeltaContract,
    SaverHistoryContract,
)
from tests.integration.savers.broken.sound import Sound


class TheOldestComesFirst(Sound):
    """Histories begin at the beginning."""

    def list(self, config: Any, *, limit: int | None = None, **conditions: Any) -> Any:
        yield from [*super().list(config, **conditions)][::-1][:limit]


class LimitsCountWhatDoesNotMatch(Sound):
    """The filter looks at one page only."""

    def list(
        self,
        config: Any,
        *,
        filter: Any = None,  # noqa: A002 -- the library's name
        limit: int | None = None,
        **conditions: Any,
    ) -> Any:
        page = super().list(config, limit=limit, **conditions)
        yield from [one for one in page if self._matches(dict(one.metadata), filter or {})]


class NoughtIsNoLimit(Sound):
    """A limit of nought is all."""

    def list(self, config: Any, *, limit: int | None = None, **conditions: Any) -> Any:
        return super().list(config, limit=limit or None, **conditions)


class BeforeIsIncluded(Sound):
    """A page begins with the last entry of the page before."""

    def _before(self, one: Any, before: Any) -> bool:
        mine = one.config["configurable"]["checkpoint_id"]
        return before is None or mine <= before["configurable"]["checkpoint_id"]


class BeforeMustExist(Sound):
    """`before` is ignored when it names a checkpoint of another thread."""

    def _before(self, one: Any, before: Any) -> bool:
        known = before is not None and self.get_tuple(before) is not None
        return super()._before(one, before if known else None)


class ListsIgnoreIds(Sound):
    """A config with a checkpoint's id lists its whole namespace."""

    def list(self, config: Any, **conditions: Any) -> Any:
        place = dict(config["configurable"]) if config else {}
        place.pop("checkpoint_id", None)
        return super().list({"configurable": place} if config else None, **conditions)


class FiltersMatchAny(Sound):
    """One equal key is enough."""

    def _matches(self, metadata: Any, wanted: Any) -> bool:
        one = super()._matches
        return not wanted or any(one(metadata, {key: value}) for key, value in wanted.items())


class FiltersCompareAsPython(Sound):
    """True is 1."""

    def _matches(self, metadata: Any, wanted: Any) -> bool:
        return all(key in metadata and metadata[key] == value for key, value in wanted.items())


class AbsentIsNull(Sound):
    """A key that is not there is null."""

    def _matches(self, metadata: Any, wanted: Any) -> bool:
        return super()._matches({**dict.fromkeys(wanted), **metadata}, wanted)


class ListsLackWrites(Sound):
    """The entries of a history have no pending writes."""

    def list(self, config: Any, **conditions: Any) -> Any:
        for one in super().list(config, **conditions):
            yield one._replace(pending_writes=[])


class ThreadsAreGrouped(Sound):
    """All threads are listed one after another."""

    def list(self, config: Any, *, limit: int | None = None, **conditions: Any) -> Any:
        found = [*super().list(config, **conditions)]
        if config is None:
            found.sort(key=lambda one: one.config["configurable"]["thread_id"])
        yield from found[:limit]


class RefusedPutsAreHalfDone(Sound):
    """Blobs are stored before it is known that all can be."""

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        values = checkpoint["channel_values"]
        place = self._named(config)["configurable"]
        for channel, version in new_versions.items():
            key = (place["thread_id"], place["checkpoint_ns"], channel, version)
            if channel in values:
                self.blobs[key] = self.serde.dumps_typed(values[channel])
        return super().put(config, checkpoint, metadata, new_versions)


class RefusedWritesAreHalfDone(Sound):
    """Writes are stored before it is known that all can be."""

    def put_writes(self, config: Any, writes: Any, task_id: str, task_path: str = "") -> None:
        for count in range(1, len(writes) + 1):
            super().put_writes(config, writes[:count], task_id, task_path)


class PutsAreTwoSteps(Sound):
    """A checkpoint follows its blobs in a transaction of its own."""

    async def aput(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        stored = super().put(config, checkpoint, metadata, new_versions)
        place = stored["configurable"]
        rows = self.storage[place["thread_id"]][place["checkpoint_ns"]]
        row = rows.pop(checkpoint["id"])
        await asyncio.sleep(0)
        rows[checkpoint["id"]] = row
        return stored


class WritesAreSeveralSteps(Sound):
    """Each write of a task is a transaction of its own."""

    async def aput_writes(
        self, config: Any, writes: Any, task_id: str, task_path: str = ""
    ) -> None:
        for count in range(1, len(writes) + 1):
            super().put_writes(config, writes[:count], task_id, task_path)
            await asyncio.sleep(0)


class CancelledOnceAndForAll(Sound):
    """After a call that was cancelled every other waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self._busy = False

    async def aput(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        if self._busy:
            raise RuntimeError("another command is already in progress")
        self._busy = True
        await asyncio.sleep(0)
        self._busy = False
        return super().put(config, checkpoint, metadata, new_versions)


class TheAskedIsKeptAside(Sound):
    """Of concurrent reads all get what the last one asked for."""

    _asked: Any = None

    async def aget_tuple(self, config: Any) -> Any:
        self._asked = config
        await asyncio.sleep(0)
        return self.get_tuple(self._asked)


class WritesAreLost(Sound):
    """A task's writes are added to those that were there when it began."""

    async def aput_writes(
        self, config: Any, writes: Any, task_id: str, task_path: str = ""
    ) -> None:
        place = self._named(config)["configurable"]
        key = (place["thread_id"], place["checkpoint_ns"], place["checkpoint_id"])
        before = dict(self.writes.get(key, {}))
        await asyncio.sleep(0)
        self.writes[key] = before
        self.put_writes(config, writes, task_id, task_path)


class PutsAreLost(Sound):
    """A checkpoint is added to those that were there when its put began."""

    async def aput(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        place = self._named(config)["configurable"]
        rows = dict(self.storage[place["thread_id"]][place["checkpoint_ns"]])
        await asyncio.sleep(0)
        self.storage[place["thread_id"]][place["checkpoint_ns"]] = rows
        return self.put(config, checkpoint, metadata, new_versions)


class HistoriesAreLive(Sound):
    """What is put while a history is read shifts it."""

    async def alist(self, config: Any, **conditions: Any) -> Any:
        position = 0
        while len(found := [*self.list(config, **conditions)]) > position < 100:
            yield found[position]
            position += 1


class OneLockForAll(Sound):
    """A history holds the lock that every call takes."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = asyncio.Lock()

    async def alist(self, config: Any, **conditions: Any) -> Any:
        async with self._lock:
            for one in self.list(config, **conditions):
                yield one

    async def aget_tuple(self, config: Any) -> Any:
        async with self._lock:
            return self.get_tuple(config)

    async def aput(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        async with self._lock:
            return self.put(config, checkpoint, metadata, new_versions)


class TheNewestWriteComesFirst(Sound):
    """Writes are replayed backwards."""

    def get_delta_channel_history(self, *, config: Any, channels: Any) -> Any:
        found = super().get_delta_channel_history(config=config, channels=channels)
        return {name: {**one, "writes": one["writes"][::-1]} for name, one in found.items()}


class SeedsAreForgotten(Sound):
    """A channel is rebuilt from writes alone."""

    def get_delta_channel_history(self, *, config: Any, channels: Any) -> Any:
        found = super().get_delta_channel_history(config=config, channels=channels)
        return {name: {"writes": one["writes"]} for name, one in found.items()}


class BranchesAreMixed(Sound):
    """All writes of a namespace are on the way to its checkpoint."""

    def get_delta_channel_history(self, *, config: Any, channels: Any) -> Any:
        found = dict(super().get_delta_channel_history(config=config, channels=channels))
        place = {k: v for k, v in config["configurable"].items() if k != "checkpoint_id"}
        past = [*self.list({"configurable": place}, before=self._asked(config))]
        for name in channels:
            if "seed" not in found[name]:
                writes = [w for one in past[::-1] for w in one.pending_writes or [] if w[1] == name]
                found[name] = {"writes": writes}
        return found

    def _asked(self, config: Any) -> Any:
        found = self.get_tuple(config)
        return found.config if found else None


class ChannelsAreMixed(Sound):
    """Each channel is rebuilt from the writes of all."""

    def get_delta_channel_history(self, *, config: Any, channels: Any) -> Any:
        names = ("c", "d")
        found = super().get_delta_channel_history(config=config, channels=names)
        writes = [write for name in names for write in found[name]["writes"]]
        read = super().get_delta_channel_history(config=config, channels=channels)
        return {name: {**one, "writes": writes or one["writes"]} for name, one in read.items()}


class UnknownChannelsAreAnError(Sound):
    """What has no history raises."""

    def get_delta_channel_history(self, *, config: Any, channels: Any) -> Any:
        found = super().get_delta_channel_history(config=config, channels=channels)
        if any(not one["writes"] and "seed" not in one for one in found.values()):
            raise KeyError(channels)
        return found


FAULTS: Final[Mapping[type[Sound], type[CheckpointerContract]]] = {
    TheOldestComesFirst: SaverHistoryContract,
    LimitsCountWhatDoesNotMatch: SaverHistoryContract,
    NoughtIsNoLimit: SaverHistoryContract,
    BeforeIsIncluded: SaverHistoryContract,
    BeforeMustExist: SaverHistoryContract,
    ListsIgnoreIds: SaverHistoryContract,
    FiltersMatchAny: SaverHistoryContract,
    FiltersCompareAsPython: SaverHistoryContract,
    AbsentIsNull: SaverHistoryContract,
    ListsLackWrites: SaverHistoryContract,
    ThreadsAreGrouped: SaverHistoryContract,
    RefusedPutsAreHalfDone: SaverAtomicContract,
    RefusedWritesAreHalfDone: SaverAtomicContract,
    PutsAreTwoSteps: SaverAtomicContract,
    WritesAreSeveralSteps: SaverAtomicContract,
    CancelledOnceAndForAll: SaverAtomicContract,
    TheAskedIsKeptAside: SaverConcurrencyContract,
    WritesAreLost: SaverConcurrencyContract,
    PutsAreLost: SaverConcurrencyContract,
    HistoriesAreLive: SaverConcurrencyContract,
    OneLockForAll: SaverConcurrencyContract,
    TheNewestWriteComesFirst: SaverDeltaContract,
    SeedsAreForgotten: SaverDeltaContract,
    BranchesAreMixed: SaverDeltaContract,
    ChannelsAreMixed: SaverDeltaContract,
    UnknownChannelsAreAnError: SaverDeltaContract,
}
"""Each fault, and the contract class whose promise it breaks."""
