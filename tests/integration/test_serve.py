"""`harness serve`, as a person types it: it starts, it ends, and it says why it does not start."""

import asyncio
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import psycopg
import pytest

from harness.provision import named
from tests.integration.forked.process import run
from tests.integration.serving import Serving

COMMAND: Final = (sys.executable, "-c", "from harness.cli import main; main()", "serve")
_PARENT: Final = """
import asyncio
from harness.faults.served import Served

async def main():
    async with Served() as server:
        print(server.url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
_BLOCKING: Final = """
import time
from langgraph.graph import START, MessagesState, StateGraph

async def block(state):
    time.sleep(1)

graph = StateGraph(MessagesState).add_node(block).add_edge(START, "block")
"""
NOWHERE: Final = "postgresql://nobody:hunter2@127.0.0.1:1/none"


def environment(**settings: str) -> dict[str, str]:
    """Return this process's environment with these settings, and no others of a database."""
    return {k: v for k, v in os.environ.items() if not k.startswith("DATABASE_")} | settings


async def refusal(*arguments: str, **settings: str) -> str:
    """Return the one line with which it refuses to start."""
    ended = await run("harness.cli:main", "serve", *arguments, env=environment(**settings))
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1), ended.err
    return ended.err


async def gone(url: str) -> None:
    """Wait until nobody answers there."""
    async with httpx.AsyncClient(base_url=url) as http:
        while True:
            try:
                await http.get("/ok")
            except httpx.TransportError:
                return
            await asyncio.sleep(0.02)


async def stuck(url: str) -> None:
    """Wait until nothing is answered within 0.2 s."""
    async with httpx.AsyncClient(base_url=url, timeout=0.2) as http:
        while True:
            try:
                await http.get("/ok")
            except httpx.TimeoutException:
                return


class TestItEnds:
    """SIGTERM and SIGINT end it with status 0; that SIGTERM does, each `Serving` asserts."""

    async def test_told_twice_while_it_answers(self) -> None:
        """Other signals right after the first one change nothing."""
        async with Serving() as server:
            await server.http().get("/ok")
            await server.end(signal.SIGINT, signal.SIGTERM, signal.SIGINT)
            assert "Traceback" not in server.log()

    async def test_while_a_node_is_executed(self, tmp_path: Path) -> None:
        """What runs at that moment is not what is interrupted: Robyn would abort the process."""
        await asyncio.to_thread((tmp_path / "mine.py").write_text, _BLOCKING)
        config = tmp_path / "langgraph.json"
        await asyncio.to_thread(config.write_text, '{"graphs": {"mine": "./mine.py:graph"}}')
        async with Serving(None, "--config", str(config)) as server:
            await server.client().runs.create(None, "mine", input={"messages": []})
            await stuck(server.url)
            await server.end()
            assert "Traceback" not in server.log()

    @pytest.mark.slow
    async def test_while_it_still_waits_for_its_database(self) -> None:
        """It does not wait for an answer that never comes."""
        asked = asyncio.Event()

        async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.set()
            await reader.read()
            writer.close()

        async with await asyncio.start_server(never_answer, "127.0.0.1", 0) as silent:
            port = silent.sockets[0].getsockname()[1]
            process = await asyncio.create_subprocess_exec(
                *COMMAND,
                *("--port", "0"),
                env={**os.environ, "DATABASE_URL": f"postgresql://nobody@127.0.0.1:{port}/none"},
                stdout=asyncio.subprocess.PIPE,
            )
            await asked.wait()
            process.terminate()
            out, _ = await process.communicate()
            assert (process.returncode, out) == (0, b"")

    @pytest.mark.slow
    async def test_with_the_process_that_started_it(self, tmp_path: Path) -> None:
        """A test runner that is killed leaves no server behind."""
        script = tmp_path / "parent.py"
        await asyncio.to_thread(script.write_text, _PARENT)
        parent = await asyncio.create_subprocess_exec(
            sys.executable, str(script), stdout=asyncio.subprocess.PIPE
        )
        assert parent.stdout is not None
        url = (await parent.stdout.readline()).decode().strip()
        parent.kill()
        await parent.communicate()
        await gone(url)

    @pytest.mark.slow
    async def test_as_soon_as_it_is_ready(self) -> None:
        """Ctrl-C may come right after the line; `--insecure` lets it listen to others."""
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *("--host", "0.0.0.0", "--port", "0", "--insecure"),  # noqa: S104 -- that is the point
            env=environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        line = await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, log = await process.communicate()
        assert (process.returncode, log) == (0, b"")
        assert line.startswith(b"harness serves http://0.0.0.0:")


class TestItRefuses:
    """What is wrong and what to do in one line, and status 1."""

    @pytest.mark.slow
    async def test_a_port_that_is_taken(self) -> None:
        """The line names the address and the option."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            line = await refusal("--port", str(port))
        assert line == (
            f"harness: cannot listen on 127.0.0.1:{port}: address already in use; "
            "choose another with --port\n"
        )

    @pytest.mark.invariant(41)
    async def test_a_required_database_that_is_not_there(self) -> None:
        """It never stores in memory instead; the password is not told."""
        settings = {"DATABASE_URL": NOWHERE, "DATABASE_REQUIRED": "true"}
        line = await refusal("--port", "0", **settings)
        assert line.startswith("harness: ")
        assert "127.0.0.1" in line
        assert "hunter2" not in line

    async def test_a_graph_that_cannot_be_made(self, tmp_path: Path) -> None:
        """That is told at the start, and not to the graph's first caller."""
        await asyncio.to_thread((tmp_path / "mine.py").write_text, "def graph(): return 1 / 0")
        config = tmp_path / "langgraph.json"
        await asyncio.to_thread(config.write_text, '{"graphs": {"mine": "./mine.py:graph"}}')
        line = await refusal("--config", str(config), "--port", "0")
        assert line.startswith("harness: graph 'mine' cannot be made: ZeroDivisionError")

    async def test_to_serve_others_without_authentication(self) -> None:
        """Off loopback it wants a key, or to be told that it is meant so."""
        line = await refusal("--host", "0.0.0.0")  # noqa: S104 -- likewise
        assert line.startswith("harness: 0.0.0.0 can be reached by others")
        assert "--insecure" in line

    async def test_a_setting_that_makes_no_sense(self) -> None:
        """`python -m harness.server` refuses likewise, and tells no secret."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "harness.server"),
            env=environment(HARNESS_JWT_SECRET="too-short"),  # noqa: S106 -- refused as such
            stderr=asyncio.subprocess.PIPE,
        )
        _, err = await process.communicate()
        line = b"harness: HARNESS_JWT_SECRET must have 32 bytes or more\n"
        assert (process.returncode, err) == (1, line)


@pytest.fixture
def home() -> Iterator[Path]:
    """A home of named servers that the servers' user can reach; they are stopped."""
    with tempfile.TemporaryDirectory(prefix="harness-home-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
        for server in Path(folder).iterdir():
            named.stop(server.name, Path(folder))


@pytest.mark.slow
@pytest.mark.postgres
async def test_embedded_is_the_server_of_harness_db(home: Path) -> None:
    """It is started, comes before DATABASE_URL, and stays with what was stored."""
    settings = {"HARNESS_HOME": str(home), "DATABASE_REQUIRED": "false"}
    async with Serving(NOWHERE, "--embedded", **settings) as server:
        assert "(Postgres)" in server.announced
    started = await asyncio.to_thread(named.start, named.DEFAULT_NAME, home)
    assert started.already_running
    async with await psycopg.AsyncConnection.connect(started.url) as connection:
        cursor = await connection.execute(
            "SELECT name FROM langgraph_server.assistants WHERE graph_id = 'agent'"
        )
        assert await cursor.fetchall() == [("agent",)]
