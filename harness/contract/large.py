"""Large values: kept whole, or refused in one clear way."""

import random
import string
from functools import cache
from typing import TYPE_CHECKING, ClassVar

import pytest

from harness.contract.base import Probe, StorageContract
from harness.contract.builders import (
    ALICE,
    HOME,
    a_run,
    a_thread,
    all_raise,
    an_assistant,
    an_item,
)
from harness.contract.snapshots import checkpoint_id
from harness.errors import InvalidInput
from harness.storage.extensions import FullStorage, Snapshots

if TYPE_CHECKING:
    from harness.models import Json


@cache
def noise(size: int) -> str:
    """Return letters that compress badly, the same at every call."""
    return "".join(random.Random(size).choices(string.printable, k=size))  # noqa: S311 -- no secret


class LargeValuesContract(StorageContract):
    """What size promises: what fits comes back whole, what does not is InvalidInput."""

    needs: ClassVar[frozenset[type]] = frozenset({Snapshots})

    @pytest.mark.invariant(44)
    async def test_a_config_of_3_kilobytes(self, storage: FullStorage) -> None:
        """A random config of 3 KB is stored, found and versioned, whatever indexes there are."""
        config: Json = {"configurable": {"prompt": noise(3_000)}}
        mine = await an_assistant(storage, config=config)
        assert (await storage.assistants.get(mine.assistant_id, owner=ALICE)).config == config
        updated = await storage.assistants.update(
            mine.assistant_id, config={"configurable": {"prompt": noise(4_000)}}, owner=ALICE
        )
        assert updated.context == {"prompt": noise(4_000)}
        back = await storage.assistants.set_latest(mine.assistant_id, 1, owner=ALICE)
        assert back.config == config

    @pytest.mark.invariant(44)
    async def test_metadata_of_100_kilobytes(self, storage: FullStorage) -> None:
        """Large metadata is kept and can be matched on."""
        metadata = {"note": noise(100_000), "n": 1}
        thread = await a_thread(storage, metadata=metadata)
        assert await storage.threads.search(metadata=metadata, owner=ALICE) == [thread]
        mine = await an_assistant(storage, metadata=metadata)
        assert await storage.assistants.search(metadata={"n": 1}, owner=ALICE) == [mine]

    @pytest.mark.invariant(44)
    async def test_a_state_of_a_megabyte(self, storage: FullStorage) -> None:
        """A state of 1 MB is kept whole, in the history too."""
        mine = await a_thread(storage)
        values: Json = {"messages": [{"content": noise(10_000), "n": n} for n in range(100)]}
        added = await storage.threads.add_state(mine.thread_id, values, owner=ALICE)
        assert added.values == values
        assert (await storage.threads.get(mine.thread_id, owner=ALICE)).values == values
        read = await storage.threads.get_state(mine.thread_id, checkpoint_id(added), owner=ALICE)
        assert read == added
        assert await storage.threads.get_history(mine.thread_id, owner=ALICE) == [added]

    @pytest.mark.invariant(44)
    async def test_kwargs_and_items_of_a_megabyte(self, storage: FullStorage) -> None:
        """A run's arguments and an item's value may be as large."""
        value: Json = {"text": noise(1_000_000)}
        run = await a_run(storage, kwargs=value)
        assert run.kwargs == value
        item = await an_item(storage, value=value)
        assert item.value == value
        assert len(await storage.items.search_items(HOME, filter=value, owner=ALICE)) == 1

    @pytest.mark.invariant(44)
    async def test_a_key_of_3_kilobytes(self, storage: FullStorage, probe: Probe) -> None:
        """A key or label of 3 KB is refused, by put, get and delete alike."""
        for namespace, key in ((HOME, noise(3_000)), (("n" * 3_000,), "k")):
            await all_raise(
                InvalidInput,
                storage.items.put_item(namespace, key, {}, owner=ALICE),
                storage.items.get_item(namespace, key, owner=ALICE),
                storage.items.delete_item(namespace, key, owner=ALICE),
            )
        assert await probe.count("store_items") == 0

    @pytest.mark.invariant(44)
    async def test_names_of_2000_bytes(self, storage: FullStorage, probe: Probe) -> None:
        """Names and graph ids hold 2,000 bytes of UTF-8 and not one more; descriptions any."""
        name = "é" * 1_000
        mine = await an_assistant(
            storage, graph_id="g" * 2_000, name=name, description=noise(20_000)
        )
        assert await storage.assistants.search(name=name.upper(), owner=ALICE) == [mine]
        for given in ({"name": name + "x"}, {"graph_id": "g" * 2_001}):
            with pytest.raises(InvalidInput):
                await an_assistant(storage, **given)
        assert await probe.count("assistants") == 1

    @pytest.mark.invariant(44)
    async def test_many_keys(self, storage: FullStorage) -> None:
        """An object of ten thousand keys comes back with all of them."""
        value = {f"key-{number}": number for number in range(10_000)}
        assert (await an_item(storage, value=value)).value == value

    @pytest.mark.invariant(44)
    async def test_depth(self, storage: FullStorage, probe: Probe) -> None:
        """A hundred levels are kept, one more is refused."""
        value: Json = {}
        for _ in range(99):
            value = {"in": value}
        assert (await an_item(storage, value=value)).value == value
        with pytest.raises(InvalidInput):
            await storage.items.put_item(HOME, "deeper", {"in": value}, owner=ALICE)
        assert await probe.count("store_items") == 1
