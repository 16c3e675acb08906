"""History: its order, its pages, and its filters."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from harness.contract.checkpointer.base import CheckpointerContract, Saver
from harness.contract.checkpointer.builders import Story, a_thread, at, found, id_of, ids, listed

_LENGTH = 7


class SaverHistoryContract(CheckpointerContract):
    """What `alist` promises."""

    @pytest_asyncio.fixture(loop_scope="session")
    async def story(self, saver: Saver) -> AsyncIterator[Story]:
        """Return a story of seven checkpoints, of two colours in turn."""
        story = Story(saver)
        for number in range(_LENGTH):
            colour = "red" if number % 2 else "blue"
            await story.step({"c": [number]}, colour=colour, flag=bool(number % 2))
            await story.write(number)
        yield story

    async def test_history_is_what_reading_each_gives(self, saver: Saver, story: Story) -> None:
        """The newest is first, and each entry is the checkpoint as it is read by its id."""
        history = await listed(saver, at(story.thread_id))
        assert [one.metadata["step"] for one in history] == list(range(_LENGTH))[::-1]
        assert [await found(saver, one.config) for one in history] == history

    @pytest.mark.ours
    async def test_limits(self, saver: Saver, story: Story) -> None:
        """A limit cuts the list; nought is nothing; a large one is all."""
        everything = await ids(saver, at(story.thread_id))
        for limit in (0, 1, 3, _LENGTH, 1_000):
            assert await ids(saver, at(story.thread_id), limit=limit) == everything[:limit]

    async def test_pages_show_each_once(self, saver: Saver, story: Story) -> None:
        """Following `before` page by page shows every checkpoint once."""
        everything = await listed(saver, at(story.thread_id))
        paged = await listed(saver, at(story.thread_id), limit=2)
        for _ in range(_LENGTH):
            page = await listed(saver, at(story.thread_id), before=paged[-1].config, limit=2)
            assert len(page) <= 2
            if not page:
                break
            paged += page
        assert paged == everything

    @pytest.mark.ours
    async def test_before_needs_no_checkpoint(self, saver: Saver, story: Story) -> None:
        """`before` compares ids; the checkpoint it names need not be in the list, or be at all."""
        history = await ids(saver, at(story.thread_id))
        gone = at(a_thread(), "", history[2])
        assert await ids(saver, at(story.thread_id), before=gone) == history[3:]
        assert await ids(saver, at(story.thread_id), before=at(a_thread(), "", "0")) == []

    async def test_a_checkpoint_id_lists_that_one(self, saver: Saver, story: Story) -> None:
        """A config with an id lists that checkpoint alone."""
        config = (await listed(saver, at(story.thread_id)))[3].config
        assert await ids(saver, config) == [id_of(config)]

    async def test_filters_match_all_that_is_named(self, saver: Saver, story: Story) -> None:
        """Every named key must be equal; limit and `before` count what matches."""
        place = at(story.thread_id)
        everything = await ids(saver, place)
        red, blue = everything[1::2], everything[::2]
        assert await ids(saver, place, filter={}) == everything
        assert await ids(saver, place, filter={"colour": "red"}) == red
        assert await ids(saver, place, filter={"colour": "red"}, limit=2) == red[:2]
        before = at(story.thread_id, "", blue[1])
        assert await ids(saver, place, filter={"colour": "red"}, before=before) == red[1:]
        assert await ids(saver, place, filter={"colour": "red", "step": 3}) == [everything[3]]
        assert await ids(saver, place, filter={"colour": "red", "step": 2}) == []
        assert await ids(saver, place, filter={"colour": "RED"}) == []
        assert await ids(saver, place, filter={"step": "3"}) == []
        assert await ids(saver, place, filter={"taste": "red"}) == []

    @pytest.mark.ours
    async def test_filters_tell_true_from_one(self, saver: Saver, story: Story) -> None:
        """A filter for 1 does not find `true`, as in JSON."""
        place = at(story.thread_id)
        assert len(await ids(saver, place, filter={"flag": True})) == _LENGTH // 2
        assert await ids(saver, place, filter={"flag": 1}) == []

    @pytest.mark.ours
    async def test_filters_tell_null_from_absent(self, saver: Saver, story: Story) -> None:
        """A filter for null finds what holds null, not what holds nothing."""
        null = await story.step(taste=None)
        assert await ids(saver, at(story.thread_id), filter={"taste": None}) == [id_of(null)]

    @pytest.mark.parametrize("limit", [None, 3])
    @pytest.mark.ours
    async def test_all_threads_are_listed_by_age(self, saver: Saver, limit: int | None) -> None:
        """Without a config every thread is listed, the newest checkpoint first."""
        tag = a_thread()
        stories = [Story(saver) for _ in range(3)]
        put = [id_of(await story.step(tag=tag)) for _ in range(2) for story in stories]
        assert await ids(saver, None, filter={"tag": tag}, limit=limit) == put[::-1][:limit]
