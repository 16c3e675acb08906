"""A pytest plugin that runs the tests of faults: each without a fault, then with its fault.

A fault is in effect in this process and in the servers that it starts.
"""

import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Final

import pytest

from tests.integration.faulty.fault import SOUND, Pace, caught_by, met
from tests.integration.faulty.faults import FAULTS
from tests.integration.serving import Serving

FOLDER: Final = "tests/integration/"
NAME: Final = "name_of_fault"
"""What no test calls a fixture or parameter of its own."""


class Switch:
    """Puts one fault after another into effect.

    Args:
        file: What names the one that is.
        pace: Of which tests.
    """

    def __init__(self, file: Path, pace: Pace) -> None:
        self._file, self._tests = file, caught_by(pace)
        file.write_text("")
        for fault in FAULTS.values():
            fault.install(file)
        Serving.main = "tests.integration.faulty.server:main"
        Serving.words = (str(file), *Serving.words)

    @pytest.hookimpl(trylast=True)  # so that a fault's name is the last word of a test's id
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Have each test meet no fault, and then those that it is to catch."""
        here = metafunc.definition.nodeid.removeprefix(FOLDER)
        faults = [name for name, test in self._tests.items() if test.partition("[")[0] == here]
        metafunc.parametrize(NAME, [SOUND, *faults])

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Leave out the other cases of these tests.

        Raises:
            pytest.UsageError: A fault's test is not there, or is not one of its promise.
        """
        found = {item.nodeid.removeprefix(FOLDER): item for item in items}
        chosen = set()
        for name, test in self._tests.items():
            item = found.get(met(test, name))
            if item is None:
                raise pytest.UsageError(f"{name}: there is no test {test}")
            marks = item.iter_markers("invariant")
            if FAULTS[name].promise not in {number for mark in marks for number in mark.args}:
                raise pytest.UsageError(f"{test} is no test of promise {FAULTS[name].promise}")
            chosen |= {item, found[met(test, SOUND)]}
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = [item for item in items if item in chosen]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Function) -> Generator[None]:
        """Have the fault in effect for the test itself; what it needs is made without."""
        name = item.callspec.params[NAME]
        self._file.write_text("" if name == SOUND else str(name))
        try:
            return (yield)
        finally:
            self._file.write_text("")


@pytest.fixture(autouse=True)
def _asks(name_of_fault: str) -> None:
    """Have every test take the parameter."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that says which tests."""
    parser.addoption("--pace", choices=("quick", "slow"), required=True, help="of the tests")


def pytest_configure(config: pytest.Config) -> None:
    """Replace what has faults before any test imports it."""
    folder = tempfile.TemporaryDirectory()
    config.add_cleanup(folder.cleanup)
    config.pluginmanager.register(Switch(Path(folder.name) / "fault", config.getoption("pace")))
