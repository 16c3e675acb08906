"""The table of promises is whole, and every promise that storage can be asked about is asked."""

import re
from pathlib import Path

import pytest

import harness.contract
from harness.contract import ALL
from harness.contract.langgraph_store import LangGraphStoreContract
from harness.contract.promises import CONTRACT_PROMISES, PROMISES, SERVER_PROMISES
from tests.integration.broken.suite import FAULTS as BROKEN_BACKENDS
from tests.integration.faulty.faults import FAULTS

MARK = re.compile(r"\binvariant\(([\d, ]+)\)")


def asked(contract: type) -> set[int]:
    """Return the promises that a contract class's tests name."""
    return {
        number
        for name in dir(contract)
        if name.startswith("test_")
        for mark in getattr(getattr(contract, name), "pytestmark", [])
        if mark.name == "invariant"
        for number in mark.args
    }


def test_each_promise_is_one_of_its_own() -> None:
    """Each promise stands under its own number, in order, and says something of its own."""
    assert list(PROMISES) == sorted(PROMISES)
    assert all(promise.number == number for number, promise in PROMISES.items())
    assert len({promise.text for promise in PROMISES.values()}) == len(PROMISES)


@pytest.mark.parametrize("number", CONTRACT_PROMISES)
def test_every_storage_promise_has_a_contract_test(number: int) -> None:
    """Each promise that a storage can be asked about is named by some contract test."""
    assert any(number in asked(contract) for contract in ALL), PROMISES[number].text


def test_no_test_names_an_unknown_promise() -> None:
    """What tests are marked with is in the table, and is asked of storages."""
    assert set().union(*map(asked, ALL)) == set(CONTRACT_PROMISES)


@pytest.mark.parametrize("asked_of", ["database", "process", "langgraph"])
def test_every_other_promise_has_a_test_here(asked_of: str) -> None:
    """What is asked of servers, processes and savers is named by some test of this repository."""
    tests = Path(__file__).parents[1].glob("integration/**/*.py")
    contracts = Path(harness.contract.__file__).parent.glob("**/*.py")
    marks = [m for file in (*tests, *contracts) for m in MARK.findall(file.read_text())]
    named = {int(number) for mark in marks for number in mark.split(",")}
    assert {p.number for p in PROMISES.values() if p.asked == asked_of} <= named


def test_every_server_promise_is_asked_of_a_server() -> None:
    """Each promise that a server can keep is named by a test that speaks HTTP to one."""
    folder = Path(__file__).parents[1] / "integration"
    tests = [*folder.glob("test_server_*.py"), folder / "test_openapi.py", folder / "test_serve.py"]
    named = {
        int(number)
        for file in tests
        for mark in MARK.findall(file.read_text())
        for number in mark.split(",")
    }
    assert set(SERVER_PROMISES) <= named
    assert {p.number for p in PROMISES.values() if p.asked == "server"} <= set(SERVER_PROMISES)


def test_every_promise_about_interference_can_be_broken() -> None:
    """Each of them has a fault that breaks it, which a test of it must catch."""
    broken = {fault.promise for fault in (*FAULTS.values(), *BROKEN_BACKENDS)}
    assert {p.number for p in PROMISES.values() if p.area == "interference"} <= broken


def test_the_store_contract_stands_for_its_promise() -> None:
    """Each question that is put to a LangGraph store is put under the promise that they agree."""
    [mark] = getattr(LangGraphStoreContract, "pytestmark", [])
    assert (mark.name, mark.args) == ("invariant", (47,))
    assert PROMISES[47].asked == "langgraph"


def test_every_contract_test_says_what_it_proves() -> None:
    """Every test of the shipped suite has a docstring of one line."""
    for contract in ALL:
        for name in dir(contract):
            if name.startswith("test_"):
                text = getattr(contract, name).__doc__
                assert text, f"{contract.__name__}.{name}"
                assert "\n" not in text, f"{contract.__name__}.{name}"


def test_every_class_is_exported() -> None:
    """A contract class that is defined is shipped, each once."""
    import harness.contract as package  # noqa: PLC0415 -- the module itself, not its names

    names = {contract.__name__ for contract in ALL}
    assert len(names) == len(ALL)
    assert names == {name for name in dir(package) if name.endswith("Contract")} - {
        "StorageContract"
    }
