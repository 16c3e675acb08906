"""Markers and options, and which tests they select."""

from typing import Final

import pytest

BACKENDS: Final = ("memory", "postgres")
NEEDS_POSTGRES: Final = frozenset(
    {
        "database",
        "database_url",
        "empty_database_url",
        "own_postgres_server",
        "postgres_available",
        "postgres_pool",
        "postgres_probe",
        "postgres_server",
        "postgres_storage",
        "scratch_databases",
        "shared_database",
    }
)
"""The fixtures that start or look for a server; tests that use one are marked `postgres`."""

_MARKERS: Final = (
    "postgres: needs a PostgreSQL server; set on each test that uses a fixture of harness for one",
    "docker: needs a container engine",
    "invariant(*numbers): the promises that the test proves, by their numbers",
    "ours: a promise of this project alone, which LangGraph neither documents nor keeps",
    "survival: kills, restarts or cuts off a server of its own",
    "slow: takes many seconds; this repository's suite leaves it out unless --slow is given",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add harness's options."""
    group = parser.getgroup("harness", "harness: storage on a real PostgreSQL")
    group.addoption(
        "--require-postgres",
        action="store_true",
        help="fail instead of skipping when no PostgreSQL can be had (CI=true does so too)",
    )
    group.addoption(
        "--survival-rounds",
        type=int,
        default=5,
        metavar="N",
        help="how often the survival contract kills the database (default: 5); with many, raise "
        "--timeout as well",
    )
    group.addoption(
        "--backend",
        action="append",
        metavar="NAME",
        help=f"backends of the `storage` fixture: {', '.join(BACKENDS)}; repeat the option or "
        "separate names with commas (default: all)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and refuse options that mean nothing."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    chosen_backends(config)


def chosen_backends(config: pytest.Config) -> tuple[str, ...]:
    """Return the backends that `--backend` asks for, each once.

    Raises:
        pytest.UsageError: One is unknown.
    """
    given: list[str] | None = config.getoption("backend")
    if given is None:
        return BACKENDS
    names = [name.strip() for option in given for name in option.split(",") if name.strip()]
    for name in names:
        if name not in BACKENDS:
            raise pytest.UsageError(
                f"--backend: unknown backend {name!r}; use one of {', '.join(BACKENDS)}"
            )
    if not names:
        raise pytest.UsageError(f"--backend: name at least one of {', '.join(BACKENDS)}")
    return tuple(dict.fromkeys(names))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that use harness's own `storage` fixture once for each chosen backend."""
    if "storage_backend" in metafunc.fixturenames:
        marks = {"postgres": pytest.mark.postgres}
        metafunc.parametrize(
            "storage_backend",
            [
                pytest.param(name, marks=marks.get(name, ()), id=name)
                for name in chosen_backends(metafunc.config)
            ],
        )


@pytest.hookimpl(tryfirst=True)  # before `-m` selects by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use Postgres."""
    for item in items:
        fixtures: list[str] = getattr(item, "fixturenames", [])
        if not NEEDS_POSTGRES.isdisjoint(fixtures) and not item.get_closest_marker("postgres"):
            item.add_marker(pytest.mark.postgres)
