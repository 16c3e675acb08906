"""Delta channels: a value is rebuilt from a snapshot and the writes on the way from it."""

import operator
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from langgraph.graph import START, StateGraph

from harness.contract.checkpointer.base import CheckpointerContract, Saver
from harness.contract.checkpointer.builders import Story, a_thread, at


async def _history(saver: Saver, story: Story, channel: str = "c") -> tuple[Any, list[Any]]:
    """Return a channel's seed ("none" where there is none) and the values written since."""
    histories = await saver.aget_delta_channel_history(config=story.head, channels=[channel])
    history = histories[channel]
    return history.get("seed", "none"), [value for _, _, value in history["writes"]]


def _append(before: list[str], writes: Any) -> list[str]:
    """Reduce as `operator.add` does, for several writes at once."""
    for write in writes:
        before = operator.add(before, write)
    return before


class _State(TypedDict):
    log: Annotated[list[str], DeltaChannel(_append, snapshot_frequency=3)]


class SaverDeltaContract(CheckpointerContract):
    """What `aget_delta_channel_history` promises."""

    needs = frozenset({"aget_delta_channel_history"})

    async def test_writes_come_oldest_first(self, saver: Saver) -> None:
        """Without a stored value all writes before the checkpoint are there, in their order."""
        story = Story(saver)
        for number in range(4):
            await story.step()
            for task in ("b", "a"):
                await story.write(f"{number}{task}0", f"{number}{task}1", task=task)
        await story.step()
        wanted = [f"{n}{task}{index}" for n in range(4) for task in "ab" for index in range(2)]
        assert await _history(saver, story) == ("none", wanted)

    @pytest.mark.parametrize("seed", [_DeltaSnapshot([1, 2]), [1, 2], "text", 7])
    async def test_the_nearest_value_is_the_seed(self, saver: Saver, seed: Any) -> None:
        """The walk ends at the nearest stored value; its own writes count, older ones do not."""
        story = Story(saver)
        await story.step({"c": ["older"]})
        await story.write("older")
        await story.step({"c": seed})
        await story.write("own")
        await story.step(emptied=("c",))
        await story.write("next")
        await story.step(emptied=("c",))
        await story.write("the head's own")
        assert await _history(saver, story) == (seed, ["own", "next"])

    async def test_branches_are_apart(self, saver: Saver) -> None:
        """Only writes on the way to the checkpoint count, none of a fork's."""
        story = Story(saver)
        await story.step()
        await story.write("both", task="0")
        branch = story.fork()
        for one, name in ((story, "mine"), (branch, "its"), (story, "mine")):
            await one.step()
            await one.write(name)
        await story.step()
        await branch.step()
        assert await _history(saver, story) == ("none", ["both", "mine", "mine"])
        assert await _history(saver, branch) == ("none", ["both", "its"])

    @pytest.mark.invariant(46)
    async def test_namespaces_and_channels_are_apart(self, saver: Saver) -> None:
        """Each namespace and each channel has its own seed and writes."""
        thread = a_thread()
        stories = [Story(saver, thread, namespace) for namespace in ("", "inner")]
        for story in stories:
            await story.step({"d": [f"{story.namespace} d"]})
            await story.write(f"{story.namespace} c")
            await story.write(f"{story.namespace} d", task="other", channel="d")
            await story.step(emptied=("c", "d"))
        for story in stories:
            name = story.namespace
            assert await _history(saver, story) == ("none", [f"{name} c"])
            assert await _history(saver, story, "d") == ([f"{name} d"], [f"{name} d"])

    async def test_nothing_has_no_history(self, saver: Saver) -> None:
        """An unknown thread or channel has no seed and no writes, and no channels no answer."""
        read = saver.aget_delta_channel_history
        nothing: dict[str, Any] = {"c": {"writes": []}}
        assert await read(config=at(a_thread()), channels=["c"]) == nothing
        story = Story(saver)
        await story.step({"d": [1]})
        assert await read(config=story.head, channels=["c"]) == nothing
        assert await read(config=story.head, channels=[]) == {}

    async def test_a_graph_rebuilds_its_log(self, saver: Saver) -> None:
        """A graph's delta channel holds every turn at each checkpoint, over several snapshots."""

        def answer(state: _State) -> dict[str, list[str]]:
            return {"log": [f"answer {len(state['log'])}"]}

        graph = StateGraph(_State).add_node(answer).add_edge(START, "answer")
        config = at(a_thread())
        for turn in range(4):
            await graph.compile(checkpointer=saver).ainvoke({"log": [f"turn {turn}"]}, config)
        app = graph.compile(checkpointer=saver)
        wanted = [line for n in range(4) for line in (f"turn {n}", f"answer {2 * n + 1}")]
        assert (await app.aget_state(config)).values == {"log": wanted}
        logs = [one.values.get("log", []) async for one in app.aget_state_history(config)]
        assert all(log == wanted[: len(log)] for log in logs)
        assert sorted({len(log) for log in logs}) == list(range(9))
