"""Putting a checkpoint: channel values, metadata, and putting it again."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from harness.contract.checkpointer.base import CheckpointerContract, Saver, SaverProbe
from harness.contract.checkpointer.builders import (
    Story,
    a_checkpoint,
    at,
    counts,
    found,
    id_of,
    ids,
    some_metadata,
)
from harness.contract.checkpointer.odd import ODD

Record = Callable[[str, object], None]
JSON: dict[str, Any] = {
    "nothing": None,
    "yes": True,
    "no": False,
    "zero": 0,
    "whole": 1.0,
    "number": -2.5,
    "large": 2**53 + 1,
    "tiny": 5e-324,
    "text": "Grüße, 世界 🎈 \"'\\ %s {}",
    "empty": "",
    "list": [1, "1", 1.0, None, [True, []]],
    "object": {"a": {"b": [{"c": None}]}, "": {}, "ns.key": 0},
}


def _typed(value: Any) -> Any:
    """Return the value with the type of each number and constant beside it."""
    if isinstance(value, dict):
        return {key: _typed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_typed(inner) for inner in value]
    kept = "NaN" if isinstance(value, float) and math.isnan(value) else value
    return type(value).__name__, kept


class SaverPutContract(CheckpointerContract):
    """What `aput` promises."""

    @pytest.mark.invariant(46)
    async def test_a_second_put_keeps_the_update(self, saver: Saver, probe: SaverProbe) -> None:
        """Putting a checkpoint again replaces values and metadata; parent and place stay."""
        story = Story(saver)
        root = await story.step({"c": [1], "text": "old"})
        head = await story.step()
        await story.write("pending")
        versions = {"c": saver.get_next_version(story.versions["c"], None), "text": 9}
        versions["text"] = saver.get_next_version(story.versions["text"], None)
        again = a_checkpoint({"c": [2], "text": "new"}, versions, id_of(head))
        assert await saver.aput(root, again, some_metadata(7, note="again"), versions) == head
        there = await found(saver, head)
        assert there.checkpoint["channel_values"] == {"c": [2], "text": "new"}
        assert there.checkpoint["channel_versions"] == versions
        assert (there.metadata["step"], there.metadata.get("note")) == (7, "again")
        assert there.parent_config == root
        assert len(there.pending_writes or []) == 1
        assert (await counts(probe, story.thread_id))[0] == 2
        assert await ids(saver, at(story.thread_id)) == [id_of(head), id_of(root)]

    async def test_unchanged_channels_are_read(self, saver: Saver) -> None:
        """A channel that did not change is there in every later checkpoint."""
        story = Story(saver)
        await story.step({"old": [1], "text": "kept", "c": [0]})
        for number in range(1, 4):
            await story.step({"c": [number]})
            there = await found(saver, story.head)
            assert there.checkpoint["channel_values"] == story.values

    async def test_emptied_channels_are_gone(self, saver: Saver) -> None:
        """A channel that was emptied is in no later checkpoint, and still in the earlier one."""
        story = Story(saver)
        before = await story.step({"c": [1], "text": "x", "d": [2]})
        await story.step(emptied=("c", "text"))
        assert (await found(saver, story.head)).checkpoint["channel_values"] == {"d": [2]}
        earlier = (await found(saver, before)).checkpoint["channel_values"]
        assert earlier == {"c": [1], "text": "x", "d": [2]}

    async def test_channel_values_keep_their_types(self, saver: Saver) -> None:
        """Channels come back with their types, the short ones and a megabyte."""
        story = Story(saver)
        values = {**JSON, "bytes": b"\x00\xff", "long": "ä" * 500_000, "deep": [JSON]}
        await story.step(values)
        kept = (await found(saver, story.head)).checkpoint["channel_values"]
        assert _typed(kept) == _typed(values)

    async def test_what_goes_in_is_copied(self, saver: Saver) -> None:
        """Nobody changes what is stored by changing what they gave or got."""
        story = Story(saver)
        value, extra = [[1]], {"a": [1]}
        await story.step({"c": value}, extra=extra)
        value[0].append(2)
        extra["a"].append(2)
        for _ in range(2):
            there = await found(saver, story.head)
            kept, metadata = there.checkpoint["channel_values"], dict(there.metadata)
            assert kept == {"c": [[1]]}
            assert metadata["extra"] == {"a": [1]}
            kept["c"].append(3)
            there.checkpoint["channel_versions"].clear()
            metadata["extra"]["a"].append(3)

    async def test_metadata_keep_every_json_type(self, saver: Saver) -> None:
        """Metadata come back with their types, read alone and listed."""
        story = Story(saver)
        await story.step(**{f"x-{key}": value for key, value in JSON.items()})
        wanted = {
            **some_metadata(),
            **{f"x-{key}": value for key, value in JSON.items()},
        }
        assert _typed((await found(saver, story.head)).metadata) == _typed(wanted)
        [one] = [one async for one in saver.alist(at(story.thread_id))]
        assert _typed(one.metadata) == _typed(wanted)

    @pytest.mark.parametrize("name", ODD)
    @pytest.mark.ours
    async def test_odd_values_are_kept_or_refused(
        self, saver: Saver, probe: SaverProbe, name: str, record_property: Record
    ) -> None:
        """What is refused leaves nothing behind; what is not comes back as it was."""
        metadata, values = ODD[name]
        story = Story(saver)
        refusal = ""
        try:
            await story.step(values, **metadata)
        except Exception as exc:  # noqa: BLE001 -- each saver's own error
            refusal = str(exc)
            assert refusal, "a refusal says why"
            record_property("refused", f"{name}: {type(exc).__name__}: {refusal}")
        if self.refuses is not None:
            assert bool(refusal) == (name in self.refuses)
        if refusal:
            assert await counts(probe, story.thread_id) == (0, 0, 0)
            return
        there = await found(saver, story.head)
        assert _typed(there.checkpoint["channel_values"]) == _typed(values)
        assert _typed(there.metadata) == _typed(some_metadata(**metadata))

    @pytest.mark.ours
    async def test_nul_in_a_text_of_metadata_is_dropped(self, saver: Saver) -> None:
        """A text of metadata loses its NULs, as LangGraph's own helper has it, and nothing else."""
        story = Story(saver)
        await story.step(note="x\0y", other="z")
        metadata = (await found(saver, story.head)).metadata
        assert (metadata.get("note"), metadata.get("other")) == ("xy", "z")
