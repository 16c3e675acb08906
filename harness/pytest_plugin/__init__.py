"""The pytest plugin: markers, options and fixtures, for this repo and for anybody's.

Every pytest run of an environment that has harness loads it, so importing it costs next to
nothing, and a run that uses none of its fixtures sees nothing of it. Its asynchronous fixtures
live on the session's event loop; set both `asyncio_default_fixture_loop_scope` and
`asyncio_default_test_loop_scope` to `session`, so that tests share that loop with their pools.
"""

import pytest

pytest.register_assert_rewrite("harness.contract")

pytest_plugins = (
    "harness.pytest_plugin.options",
    "harness.pytest_plugin.servers",  # before `report`, which imports it
    "harness.pytest_plugin.report",
    "harness.pytest_plugin.databases",
    "harness.pytest_plugin.storages",
)
