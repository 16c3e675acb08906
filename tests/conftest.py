"""What all tests share: what Hypothesis tries, and what is not ours to collect."""

import gc
import os
import signal
import sys
from functools import cache
from typing import Final

import pytest
from httpx._transports import default as transports
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("tests.integration.fields", "tests.integration.executing")

collect_ignore = ["example_repo"]  # somebody else's repo, run by test_example_repo.py

# Times are the machine's, not the code's; a database makes examples slow, which is no mistake.
_UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
_RANDOM = settings(_UNTIMED, derandomize=False)
# The suite's verdict is not a matter of luck: its examples are the same every time. `.ci/explore`
# looks at others. (Hypothesis itself does so where the variable CI is set, and only there.)
settings.register_profile("quick", _UNTIMED, max_examples=40, derandomize=True)
settings.register_profile("explore", _RANDOM, max_examples=60)
settings.register_profile("full", _RANDOM, max_examples=2_000)
settings.load_profile("quick")

# A shell has what it starts in the background ignore Ctrl-C, and so would the processes of tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Where Python is told to keep no bytecode, as in many container images, each process that a test
# starts would compile every library anew: several seconds for each server.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Each HTTP client reads all certificates there are, though no test speaks TLS.
transports.create_ssl_context = cache(transports.create_ssl_context)  # type: ignore[attr-defined]

# jsonschema compiles a grammar of IRIs for seconds where that package is installed, and asks for
# none where it is not; no test has an IRI.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

ORDER: Final = 1
"""The seed of the order of tests where none is given: a checkout gives the same result tomorrow."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options for what the suite leaves out, and for how long it is."""
    parser.addoption(
        "--slow",
        action="store_true",
        help="run tests marked `slow` too; those of files named on the command line always run",
    )
    parser.addoption(
        "--slow-sample",
        type=int,
        metavar="N",
        help="run every Nth of the tests marked `slow` too, the same ones each time",
    )
    group = parser.getgroup("soak", "soak and fuzz of the agent server")
    group.addoption("--soak-s", type=float, default=20, help="seconds of soak (default: 20)")
    group.addoption("--fuzz", type=int, default=2_000, help="malformed requests (default: 2000)")
    group.addoption("--soak-seed", default="1", help="decides what is done (default: 1)")


@pytest.hookimpl(tryfirst=True)  # before pytest-randomly and pytest-xdist look
def pytest_configure(config: pytest.Config) -> None:
    """Fix the order of tests, and share them out so that each module's servers start once.

    By default pytest-xdist hands tests out one by one, so that both workers start the servers of
    every module; this way each begins with half of the modules and takes over what is left.
    """
    config.addinivalue_line("markers", "slow_in_memory: slow where its server stores in memory")
    if config.getoption("randomly_seed", None) == "default":
        config.option.randomly_seed = ORDER
    if config.getoption("dist", None) == "load":
        config.option.dist = "worksteal"
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    if named and not hasattr(config, "workerinput"):  # a worker has its controller's options
        config.option.slow = True


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark `slow` what is marked `slow_in_memory`, where its server stores in memory."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    in_memory = any(isinstance(one, str) and one == "memory" for one in parameters.values())
    if in_memory and item.get_closest_marker("slow_in_memory"):
        item.add_marker(pytest.mark.slow)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is slow, unless it was asked for: benchmarks are, if nothing else is."""
    if config.getoption("timeout", None) == 0:  # of no test, whatever its own is
        for item in items:
            item.add_marker(pytest.mark.timeout(0), append=False)
    if config.option.slow or config.getoption("benchmark_only", False):
        return
    slow = [one for one in items if one.get_closest_marker("slow")]
    every = config.option.slow_sample
    if every:
        sample = sorted(slow, key=lambda one: one.nodeid)[::every]
        slow = [one for one in slow if one not in sample]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [one for one in items if one not in set(slow)]


def pytest_collection_finish() -> None:
    """Let no collection of garbage look at the thousands of tests and all modules again."""
    gc.collect()
    gc.freeze()
