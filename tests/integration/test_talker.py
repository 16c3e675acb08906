"""The process that tests and notebooks talk to: it says what went wrong, and outlives nobody."""

import asyncio
import sys
import textwrap

import psutil
import pytest

from harness.config import without_pytest
from harness.faults.talker import Talker, TalkerEnded, TalkerFailed


@pytest.mark.slow
async def test_calls_fail_alone_and_clearly() -> None:
    """Many calls are under way at once; the bad ones say why, the good ones answer."""
    async with Talker(None) as talker:
        answers = await asyncio.gather(
            talker.say("My name is Ann", thread_id="a", owner="ann"),
            talker.run("steps", "b", {"steps": 3, "fail_at": 2}, owner="ann"),
            talker.run("steps", "c", {"steps": 3}, owner=""),
            talker.run("agent", "d", None, owner="ann"),
            talker.say("My name is Bob", thread_id="e", owner="bob"),
            talker.state("nonsense", "f", owner="ann"),
            return_exceptions=True,
        )
        assert answers[0] == "Nice to meet you, Ann."
        assert answers[4] == "Nice to meet you, Bob."
        kinds = [answer.kind for answer in answers if isinstance(answer, TalkerFailed)]
        assert kinds == ["StepFailed", "InvalidInput", "EmptyInputError", "KeyError"]
        assert "step 2 of 3" in str(answers[1])

        call = asyncio.create_task(talker.run("steps", "g", {"delay_s": 60}, owner="ann"))
        pid = talker.pid
        assert pid is not None
        await talker.state("steps", "g", owner="ann")  # which is asked for after the run
        await talker.close()
        with pytest.raises(TalkerFailed, match="told to end"):
            await call
        assert not psutil.pid_exists(pid)
        with pytest.raises(TalkerEnded, match="start it first"):
            await talker.say("Hello", thread_id="a", owner="ann")


@pytest.mark.slow
async def test_it_never_falls_back_to_memory() -> None:
    """Where its database cannot be reached it does not start, and says why, without a password."""
    url = "postgresql://postgres:secret@127.0.0.1:1/postgres"
    with pytest.raises(TalkerEnded, match="Connection refused") as caught:
        await Talker(url).start()
    assert "secret" not in str(caught.value)


@pytest.mark.slow
async def test_it_ends_with_its_parent() -> None:
    """A parent that is killed in mid-run leaves no process behind."""
    source = """
        import asyncio
        from harness.faults.talker import Talker

        async def main() -> None:
            async with Talker(None) as talker:
                await talker.run(
                    *("steps", "a", {"delay_s": 60}),
                    owner="ann",
                    on_event=lambda *_: print(talker.pid, flush=True),
                )

        asyncio.run(main())
    """
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", textwrap.dedent(source)),
        stdout=asyncio.subprocess.PIPE,
        env=without_pytest(),
    )
    assert parent.stdout is not None
    child = psutil.Process(int(await parent.stdout.readline()))
    parent.kill()
    await parent.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, [child], timeout=60)
    assert alive == []
