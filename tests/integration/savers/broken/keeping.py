"""Faults in what is kept and read: single checkpoints, namespaces, and pending writes."""
# ruff: noqa: D102 -- a class says what is wrong with it; the methods are the saver's

import json
from collections.abc import Mapping
from typing import Any, Final

from langgraph.checkpoint.base import WRITES_IDX_MAP

from harness.contract.checkpointer import (
    CheckpointerContract,
    SaverNamespaceContract,
    SaverPutContract,
    SaverReadContract,
    SaverWritesContract,
)
from tests.integration.savers.broken.sound import Sound


class UnknownIdsReadTheLatest(Sound):
    """A checkpoint that is not there is the latest of its namespace."""

    def get_tuple(self, config: Any) -> Any:
        place = {k: v for k, v in config["configurable"].items() if k != "checkpoint_id"}
        return super().get_tuple(config) or super().get_tuple({"configurable": place})


class TheLastPutIsTheLatest(Sound):
    """The latest checkpoint is the one that was put last."""

    def _latest(self, rows: dict[str, Any]) -> str:
        return [*rows, ""][-1] if len(rows) < 2 else [*rows][-1]


class OldValuesAreDropped(Sound):
    """A channel's new version replaces the old one's value."""

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        thread = str(config["configurable"]["thread_id"])
        place = (thread, config["configurable"]["checkpoint_ns"])
        for key in [key for key in self.blobs if key[:2] == place and key[2] in new_versions]:
            del self.blobs[key]
        return super().put(config, checkpoint, metadata, new_versions)


class ConfigsAreEchoed(Sound):
    """What is read has the config that was asked with."""

    def get_tuple(self, config: Any) -> Any:
        found = super().get_tuple(config)
        return found and found._replace(config=config)


class ParentsAreTheLatest(Sound):
    """A checkpoint's parent is whatever was the latest when it was put."""

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        place = {k: v for k, v in config["configurable"].items() if k != "checkpoint_id"}
        latest = self.get_tuple({"configurable": place})
        return super().put(latest.config if latest else config, checkpoint, metadata, new_versions)


class VersionsAreShortTexts(Sound):
    """Version 10 is less than version 9."""

    def get_next_version(self, current: str | None, channel: None) -> str:
        return str(int(current or 0) + 1)


class VersionsAreCut(Sound):
    """Versions lose their fraction when they are read."""

    def _shown(self, found: Any) -> Any:
        versions = found.checkpoint["channel_versions"].items()
        cut = {channel: version.split(".")[0] for channel, version in versions}
        return found._replace(checkpoint={**found.checkpoint, "channel_versions": cut})


class WholeNumbersAreOtherThreads(Sound):
    """Thread 7 and thread "7" are two."""

    def _named(self, config: Any) -> Any:
        return config


class TheFirstPutStays(Sound):
    """Putting a checkpoint again changes nothing."""

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        named = {**config["configurable"], "checkpoint_id": checkpoint["id"]}
        if self.get_tuple({"configurable": named}):
            return {"configurable": named}
        return super().put(config, checkpoint, metadata, new_versions)


class MetadataAreNotReplaced(Sound):
    """Putting a checkpoint again replaces its values, and keeps its old metadata."""

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        named = {**config["configurable"], "checkpoint_id": checkpoint["id"]}
        before = self.get_tuple({"configurable": named})
        kept = before.metadata if before else metadata
        return super().put(config, checkpoint, kept, new_versions)


class OnlyChangesAreRead(Sound):
    """A checkpoint holds the channels that changed at it."""

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        changed = {**checkpoint, "channel_versions": dict(new_versions)}
        return super().put(config, changed, metadata, new_versions)  # type: ignore[arg-type]  # a TypedDict's copy


class EmptiedChannelsComeBack(Sound):
    """A channel that was emptied has its last value again."""

    def _load_blobs(self, thread_id: str, checkpoint_ns: str, versions: Any) -> dict[str, Any]:
        found = super()._load_blobs(thread_id, checkpoint_ns, versions)
        for key, blob in self.blobs.items():
            known = key[:2] == (thread_id, checkpoint_ns) and key[2] in versions
            if known and key[2] not in found and blob[0] != "empty":
                found[key[2]] = self.serde.loads_typed(blob)
        return found


class WholeFloatsBecomeIntegers(Sound):
    """`1.0` comes back as `1`, in channels and in metadata."""

    def _shown(self, found: Any) -> Any:
        return found._replace(
            checkpoint={
                **found.checkpoint,
                "channel_values": _narrow(found.checkpoint["channel_values"]),
            },
            metadata=_narrow(found.metadata),
        )


def _narrow(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _narrow(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_narrow(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


class ValuesAreShared(Sound):
    """What is read is the object that was put."""

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        stored = super().put(config, checkpoint, metadata, new_versions)
        shared: dict[str, Any] = self.__dict__.setdefault("shared", {})
        shared[checkpoint["id"]] = checkpoint["channel_values"]
        return stored

    def _shown(self, found: Any) -> Any:
        values = self.__dict__["shared"][found.checkpoint["id"]]
        return found._replace(checkpoint={**found.checkpoint, "channel_values": values})


class MetadataLoseNulls(Sound):
    """Keys of metadata that hold null are dropped."""

    def _shown(self, found: Any) -> Any:
        return found._replace(metadata={k: v for k, v in found.metadata.items() if v is not None})


class NanBecomesNull(Sound):
    """Numbers that JSON does not have are quietly replaced in metadata."""

    def _shown(self, found: Any) -> Any:
        text = json.dumps(found.metadata).replace("-Infinity", "null").replace("NaN", "null")
        return found._replace(metadata=json.loads(text))


class RefusedPutsLeaveBlobs(Sound):
    """A text with NUL is refused when the blobs have been stored."""

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        stored = super().put(config, checkpoint, metadata, new_versions)
        if "\\u0000" in json.dumps([metadata, repr(checkpoint["channel_values"])]):
            raise ValueError("NUL")
        return stored


class NulsAreKept(Sound):
    """Texts of metadata keep their NULs."""

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        coded = {
            k: v.replace("\0", "<0>") if isinstance(v, str) else v for k, v in metadata.items()
        }
        return super().put(config, checkpoint, coded, new_versions)  # type: ignore[arg-type]  # likewise

    def _shown(self, found: Any) -> Any:
        items = found.metadata.items()
        return found._replace(
            metadata={k: v.replace("<0>", "\0") if isinstance(v, str) else v for k, v in items}
        )


class BlobsIgnoreNamespaces(Sound):
    """All namespaces of a thread share their blobs."""

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        stored = super().put(config, checkpoint, metadata, new_versions)
        thread, namespace = (stored["configurable"][k] for k in ("thread_id", "checkpoint_ns"))
        for channel, version in new_versions.items():
            blob = self.blobs[thread, namespace, channel, version]
            self.blobs[thread, "", channel, version] = blob
        return stored

    def _load_blobs(self, thread_id: str, checkpoint_ns: str, versions: Any) -> dict[str, Any]:
        return super()._load_blobs(thread_id, "", versions)


class _KeyedWrites(Sound):
    """Writes are found by a key that names too little."""

    def _key(self, thread: str, namespace: str, checkpoint: str) -> tuple[str, str, str]:
        return thread, namespace, checkpoint

    def put_writes(self, config: Any, writes: Any, task_id: str, task_path: str = "") -> None:
        place = self._named(config)["configurable"]
        names = ("thread_id", "checkpoint_ns", "checkpoint_id")
        key = self._key(*(place[name] for name in names))
        keyed = {"configurable": dict(zip(names, key, strict=True))}
        super().put_writes(keyed, writes, task_id, task_path)  # type: ignore[arg-type]  # a config

    def _ordered_writes(self, thread_id: str, checkpoint_ns: str, checkpoint_id: str) -> Any:
        return super()._ordered_writes(*self._key(thread_id, checkpoint_ns, checkpoint_id))


class WritesIgnoreNamespaces(_KeyedWrites):
    """All namespaces of a thread share their writes."""

    def _key(self, thread: str, namespace: str, checkpoint: str) -> tuple[str, str, str]:
        return thread, "", checkpoint


class WritesIgnoreCheckpoints(_KeyedWrites):
    """A checkpoint has its thread's writes."""

    def _key(self, thread: str, namespace: str, checkpoint: str) -> tuple[str, str, str]:
        return thread, namespace, ""


class NamesAreJoined(_KeyedWrites):
    """Thread and namespace are one text in the key of writes."""

    def _key(self, thread: str, namespace: str, checkpoint: str) -> tuple[str, str, str]:
        return thread + namespace, "", checkpoint


class ListsIgnoreNamespaces(Sound):
    """The list of a namespace is the list of its thread."""

    def list(self, config: Any, **conditions: Any) -> Any:
        place = dict(config["configurable"]) if config else {}
        place.pop("checkpoint_ns", None)
        return super().list({"configurable": place} if config else None, **conditions)


class NamespacesAreGrouped(Sound):
    """A thread is listed one namespace after another, all threads one after another."""

    def list(self, config: Any, *, limit: int | None = None, **conditions: Any) -> Any:
        found = [*super().list(config, **conditions)]
        found.sort(key=lambda one: sorted(one.config["configurable"].values())[0:2])
        yield from found[:limit]


class WritesComeAsTheyCame(Sound):
    """Writes are in the order of their arrival."""

    def _ordered_writes(self, thread_id: str, checkpoint_ns: str, checkpoint_id: str) -> Any:
        return [*self.writes.get((thread_id, checkpoint_ns, checkpoint_id), {}).values()]


class IndexesSortAsText(Sound):
    """A task's tenth write comes before its second."""

    def _ordered_writes(self, thread_id: str, checkpoint_ns: str, checkpoint_id: str) -> Any:
        stored = self.writes.get((thread_id, checkpoint_ns, checkpoint_id), {})
        return [stored[k] for k in sorted(stored, key=lambda k: (stored[k][3], k[0], str(k[1])))]


class TaskPathsAreIgnored(Sound):
    """Writes are sorted by task id alone."""

    def _ordered_writes(self, thread_id: str, checkpoint_ns: str, checkpoint_id: str) -> Any:
        stored = self.writes.get((thread_id, checkpoint_ns, checkpoint_id), {})
        return [stored[key] for key in sorted(stored)]


class TheLastWriteWins(Sound):
    """A task that runs again replaces its writes."""

    def put_writes(self, config: Any, writes: Any, task_id: str, task_path: str = "") -> None:
        place = self._named(config)["configurable"]
        key = (place["thread_id"], place["checkpoint_ns"], place["checkpoint_id"])
        for index, _ in enumerate(writes):
            self.writes[key].pop((task_id, index), None)
        super().put_writes(config, writes, task_id, task_path)


class SpecialWritesStay(Sound):
    """The first error, interrupt or resume of a task counts."""

    def put_writes(self, config: Any, writes: Any, task_id: str, task_path: str = "") -> None:
        place = self._named(config)["configurable"]
        key = (place["thread_id"], place["checkpoint_ns"], place["checkpoint_id"])
        there = self.writes.get(key, {})
        new = [w for w in writes if (task_id, WRITES_IDX_MAP.get(w[0], 0)) not in there]
        super().put_writes(config, new, task_id, task_path)


class WritesNeedTheirCheckpoint(Sound):
    """Writes whose checkpoint is not there yet are lost."""

    def put_writes(self, config: Any, writes: Any, task_id: str, task_path: str = "") -> None:
        if self.get_tuple(config):
            super().put_writes(config, writes, task_id, task_path)


class NoWritesAreAnError(Sound):
    """A task that wrote nothing raises."""

    def put_writes(self, config: Any, writes: Any, task_id: str, task_path: str = "") -> None:
        if not writes:
            raise ValueError("no writes")
        super().put_writes(config, writes, task_id, task_path)


FAULTS: Final[Mapping[type[Sound], type[CheckpointerContract]]] = {
    UnknownIdsReadTheLatest: SaverReadContract,
    TheLastPutIsTheLatest: SaverReadContract,
    OldValuesAreDropped: SaverReadContract,
    ConfigsAreEchoed: SaverReadContract,
    ParentsAreTheLatest: SaverReadContract,
    VersionsAreShortTexts: SaverReadContract,
    VersionsAreCut: SaverReadContract,
    WholeNumbersAreOtherThreads: SaverReadContract,
    TheFirstPutStays: SaverPutContract,
    MetadataAreNotReplaced: SaverPutContract,
    OnlyChangesAreRead: SaverPutContract,
    EmptiedChannelsComeBack: SaverPutContract,
    WholeFloatsBecomeIntegers: SaverPutContract,
    ValuesAreShared: SaverPutContract,
    MetadataLoseNulls: SaverPutContract,
    NanBecomesNull: SaverPutContract,
    RefusedPutsLeaveBlobs: SaverPutContract,
    NulsAreKept: SaverPutContract,
    BlobsIgnoreNamespaces: SaverNamespaceContract,
    WritesIgnoreNamespaces: SaverNamespaceContract,
    NamesAreJoined: SaverNamespaceContract,
    ListsIgnoreNamespaces: SaverNamespaceContract,
    NamespacesAreGrouped: SaverNamespaceContract,
    WritesIgnoreCheckpoints: SaverWritesContract,
    WritesComeAsTheyCame: SaverWritesContract,
    IndexesSortAsText: SaverWritesContract,
    TaskPathsAreIgnored: SaverWritesContract,
    TheLastWriteWins: SaverWritesContract,
    SpecialWritesStay: SaverWritesContract,
    WritesNeedTheirCheckpoint: SaverWritesContract,
    NoWritesAreAnError: SaverWritesContract,
}
"""Each fault, and the contract class whose promise it breaks."""
