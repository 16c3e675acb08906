"""Verdicts on somebody's checkpointer or store: `harness verify SUBJECT`."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from harness.contract.checkpointer import ALL
from harness.contract.langgraph_store import LangGraphStoreContract
from harness.contract.store_differences import STORE_DIFFERENCES
from harness.errors import ConfigError
from harness.subjects.factory import named
from harness.subjects.find import find
from harness.subjects.subject import facts_of
from tests.integration.forked.process import Ended, run
from tests.integration.savers.subjects import SUBJECTS

FACTORIES = """
from contextlib import asynccontextmanager, contextmanager
from langgraph.checkpoint.memory import InMemorySaver

saver = InMemorySaver()
left = []

def function():
    return InMemorySaver()

async def coroutine():
    return InMemorySaver()

@asynccontextmanager
async def manager():
    yield InMemorySaver()
    left.append("manager")

@contextmanager
def plain_manager():
    yield InMemorySaver()
    left.append("plain_manager")

async def generator():
    yield InMemorySaver()
    left.append("generator")

def lazy():
    import users_mistakes
    return InMemorySaver()

class Nested:
    Saver = InMemorySaver
"""

FAULTY = """
from langgraph.checkpoint.memory import InMemorySaver

class Faulty(InMemorySaver):
    async def adelete_thread(self, thread_id):
        raise KeyError(thread_id)

    async def aget_tuple(self, config):
        found = await super().aget_tuple(config)
        return found and found._replace(pending_writes=(found.pending_writes or [])[:9])
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with modules of a user's in it."""
    (tmp_path / "users_factories.py").write_text(FACTORIES)
    (tmp_path / "users_faulty.py").write_text(FAULTY)
    (tmp_path / "users_mistakes.py").write_text("def broken(): return 1 / 0\nnumber = 7\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


async def verify(*arguments: str, folder: Path) -> Ended:
    """Run `harness verify` in a folder."""
    return await run("harness.cli:main", "verify", *arguments, env=os.environ, cwd=folder)


def kept_in(folder: Path) -> tuple[str, list[dict[str, Any]]]:
    """Return the text of the one verdict that lies in a folder, and its answers."""
    [verdict] = {one.resolve() for one in folder.glob("results/*")}
    answers = json.loads((verdict / "verdict.json").read_text())["answers"]
    return (verdict / "verdict.md").read_text(), answers


@pytest.mark.parametrize(
    "attribute",
    [
        *("saver", "function", "coroutine", "manager", "plain_manager", "generator"),
        *("InMemorySaver", "Nested.Saver", "lazy"),
    ],
)
@pytest.mark.parametrize("place", ["users_factories", "users_factories.py"])
@pytest.mark.usefixtures("here")
async def test_whatever_makes_it_is_opened(place: str, attribute: str) -> None:
    """Functions, coroutines, context managers, generators, classes and objects are factories."""
    subject = named(f"{place}:{attribute}")
    for _ in range(2):
        async with subject.open() as opened:
            assert isinstance(opened, InMemorySaver)
            facts = facts_of(opened)
    assert facts is not None
    assert facts.kind == "checkpointer"
    assert facts.distribution.startswith("langgraph-checkpoint ")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nobody", "name a factory (package.module:attribute) or one of memory-saver"),
        ("no_such_module:x", "cannot be loaded: ModuleNotFoundError"),
        ("users_factories:nothing", "cannot be loaded: AttributeError"),
        (":x", "package.module:attribute"),
        ("http://127.0.0.1:2024", "is a server's address"),
    ],
)
@pytest.mark.usefixtures("here")
def test_what_is_not_there_is_said(name: str, says: str) -> None:
    """The error says what to name instead."""
    with pytest.raises(ConfigError) as refused:
        find(name)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("users_mistakes:broken", "cannot be opened: ZeroDivisionError"),
        ("users_mistakes:number", "yields a int, which is no"),
    ],
)
async def test_a_set_up_that_fails_breaks_no_promise(here: Path, name: str, says: str) -> None:
    """It is one line, before anything is asked; exit 2."""
    ended = await verify(name, folder=here)
    assert ended.code == 2
    assert says in ended.err
    assert not os.listdir(here / "results")  # noqa: PTH208 -- blocking paths are not for coroutines


async def test_faults_of_one_cause_are_one_line(here: Path) -> None:
    """Each fault is named once, by where it is raised or by what was asked; exit 1."""
    ended = await verify("users_faulty:Faulty", folder=here)
    assert ended.code == 1, ended.err
    text, answers = kept_in(here)
    assert text.count("**KeyError at ") == 1
    assert "users_faulty.py:6 in adelete_thread**" in text
    assert "past the tenth" in text
    assert len(answers) > 70


async def test_langgraphs_own_saver_has_no_fault(here: Path) -> None:
    """Nothing that LangGraph's own saver does is held against anybody."""
    ended = await verify("memory-saver", folder=here)
    assert ended.code == 0, ended.out + ended.err
    assert "no fault found" in ended.out
    assert "acopy_thread raises NotImplementedError" in ended.out


@pytest.mark.slow
async def test_langgraphs_own_store_has_no_fault(here: Path) -> None:
    """Likewise, of the store."""
    ended = await verify("memory-store", folder=here)
    assert ended.code == 0, ended.out + ended.err
    assert "no fault found" in ended.out


def test_what_langgraphs_own_do_differently_is_ours() -> None:
    """A test that one of LangGraph's own is known to fail is marked as this project's alone."""
    differing = {known.question for known in STORE_DIFFERENCES}
    differing |= {name for one in SUBJECTS for name in (*one.disagrees, *one.wavers)}
    tests = {
        name: test
        for contract in (*ALL, LangGraphStoreContract)
        for name, test in vars(contract).items()
        if name in differing
    }
    unmarked = {
        name
        for name, test in tests.items()
        if "ours" not in {mark.name for mark in getattr(test, "pytestmark", [])}
    }
    assert unmarked - KILLED == set()


KILLED = {"test_a_saver_outlives_a_killed_call"}
"""Asked of nobody from outside."""
