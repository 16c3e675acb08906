"""Faults of the server and of what it is made of: promises 50 to 65.

Each stands in for one function or method, which it is given as `original`.
"""

import asyncio
from dataclasses import replace
from typing import Any

from psycopg import errors as pg

from harness.database import translate
from harness.errors import HarnessError, LeaseLost
from harness.persistence import Fenceable, Serializer, direct, memory
from harness.persistence.direct import DirectSaver
from harness.persistence.memory_retention import MemoryCheckpoints
from harness.server import dispatch
from harness.server.execution import execution
from harness.server.execution.execution import Execution
from harness.server.execution.executions import Executions
from harness.server.execution.reading import Reading
from harness.server.threads import states
from harness.storage.memory.threads import MemoryThreads
from harness.storage.postgres.leases import PostgresLeaseKeeper
from harness.storage.postgres.threads import PostgresThreads
from tests.integration.faulty.fault import FAULTS, fault

__all__ = ["FAULTS"]


@fault(
    50,
    Execution,
    "_concluded",
    quick="test_server_odd_values.py::test_a_message_without_content[memory]",
)
async def failed_runs_are_begun_again(original: Any, self: Any, work: Any) -> Any:
    """Whatever a node raises, another attempt of the run may go better."""
    if not work.cancelled() and work.exception() and self.run.attempt < 3:
        await self._storage.runs.hand_back(self.lease, owner=self.owner)
        return None
    return await original(self, work)


@fault(
    51,
    PostgresLeaseKeeper,
    "_prolong",
    quick="test_leases.py::test_leases_are_kept_while_the_loop_is_blocked",
    slow="test_server_stopping.py::TestTwoServers::test_code_that_blocks_is_executed_once[postgres]",
)
async def leases_wait_for_the_loop(original: Any, self: Any, connection: Any) -> Any:
    """Leases are prolonged by the event loop that executes user code, while they last."""
    turn = asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self._caller)
    await asyncio.wrap_future(turn)
    return not self._expired() and await original(self, connection)


@fault(
    52,
    Fenceable,
    "_write_fence",
    quick="test_fence.py::test_after_its_end_a_run_writes_nothing[postgres-cancelled]",
)
def writes_are_not_fenced(original: Any, self: Any) -> None:
    """A saver writes what it is given, whoever has the run."""
    del original, self


@fault(
    52,
    Fenceable,
    "fenced_by",
    quick="test_fence.py::test_whoever_has_a_runs_saver_is_fenced[postgres-cancelled]",
)
def fences_are_in_a_context_alone(original: Any, self: Any, fence: Any) -> Any:
    """What a node's own threads write is not fenced, since they have no context."""
    del original, fence
    return self


@fault(
    52,
    Executions,
    "lose",
    slow="test_server_stopping.py::test_a_run_is_stopped_wherever_it_is_executed[postgres-cancel]",
)
def lost_leases_are_not_noticed(original: Any, self: Any, token: str) -> None:
    """What is executed goes on when somebody else has ended its run."""
    del original, self, token


@fault(
    53,
    MemoryCheckpoints,
    "remove",
    quick="test_fence.py::test_after_its_end_a_run_writes_nothing[memory-thread deleted]",
)
def checkpoints_outlive_their_thread(original: Any, self: Any, thread_id: str) -> None:
    """A deleted thread's row goes, and nothing else of it."""
    del original, self, thread_id


@fault(
    53,
    PostgresThreads,
    "delete",
    slow="test_server_fence.py::test_a_thread_that_is_made_anew_is_its_new_owners[left alone]",
)
async def deleting_fires_no_trigger(
    original: Any, self: Any, thread_id: str, *, owner: str
) -> None:
    """As above, in tables: checkpoints have no foreign key, but a trigger that removes them."""
    async with self._database.unit() as connection:
        await connection.execute("ALTER TABLE langgraph_server.threads DISABLE TRIGGER USER")
        await original(self, thread_id, owner=owner)
        await connection.execute("ALTER TABLE langgraph_server.threads ENABLE TRIGGER USER")


@fault(
    54,
    states,
    "read_state",
    quick="test_server_odd_values.py::test_what_its_graph_no_longer_reads[memory-checked]",
)
async def reducers_may_raise(
    original: Any, graph: Any, config: Any, *, subgraphs: bool = False
) -> Reading:
    """A state is what its graph makes of it, and nothing where that raises."""
    del original
    return Reading(snapshot=await graph.aget_state(config, subgraphs=subgraphs))


@fault(
    55,
    execution,
    "request_of",
    quick="test_server_fields.py::test_a_field_has_its_effect_or_is_refused[memory-runs.interrupts]",
)
def interrupt_after_is_ignored(original: Any, *args: Any, **kwargs: Any) -> Any:
    """A field of a request is taken, and forgotten."""
    request = original(*args, **kwargs)
    options = {name: value for name, value in request.options.items() if name != "interrupt_after"}
    return replace(request, options=options)


@fault(
    56,
    memory,
    "without_configurable",
    quick="test_server_values.py::TestContext::test_a_context_is_stored_with_no_checkpoint"
    "[memory-run-context]",
)
def contexts_are_stored(original: Any, config: Any) -> Any:
    """What is in a `configurable` is in each checkpoint's metadata, as LangGraph has it."""
    del original
    return config


@fault(
    57,
    execution,
    "config_of",
    quick="test_server_identity.py::test_the_server_says_who_calls_and_what_runs[memory-by_config]",
)
def callers_say_who_they_are(original: Any, run: Any, assistant: Any, owner: str) -> Any:
    """A caller's config comes before what the server knows of the caller."""
    config = original(run, assistant, owner)
    said = (run.kwargs.get("config") or {}).get("configurable") or {}
    about = {name: value for name, value in said.items() if name.startswith("langgraph_auth_")}
    return {**config, "configurable": {**config["configurable"], **about}}


@fault(
    58,
    dispatch,
    "check_limits",
    slow="test_server_shares.py::test_what_is_looked_for_is_bounded[memory-POST /threads/search]",
)
def anything_may_be_asked_for(original: Any, *args: Any, **kwargs: Any) -> None:
    """However much work a body makes, it is done."""
    del original, args, kwargs


@fault(
    59,
    Execution,
    "_concluded",
    quick="test_executor_ends.py::test_what_the_database_cuts_short_is_taken_up[memory]",
)
async def a_fault_of_the_database_fails_runs(original: Any, self: Any, work: Any) -> Any:
    """What a run meets of the database's faults is its own error."""
    error = None if work.cancelled() else work.exception()
    if isinstance(error, HarnessError):
        return await self._finish("error", error)
    return await original(self, work)


@fault(
    59,
    translate,
    "meaning_of",
    slow="test_server_faults.py::test_a_read_only_database",
)
def read_only_is_unheard_of(original: Any, error: Exception) -> Any:
    """An error of psycopg has no meaning of ours."""
    return None if isinstance(error, pg.ReadOnlySqlTransaction) else original(error)


@fault(
    61,
    DirectSaver,
    "_store",
    quick="test_fence.py::test_after_its_end_a_run_writes_nothing[postgres-thread deleted]",
)
async def late_writes_are_taken(original: Any, self: Any, *stored: Any) -> None:
    """A write that its fence refuses, because the thread is gone, is stored all the same."""
    name, row, rows, params = stored
    try:
        await original(self, *stored)
    except LeaseLost:
        async with self._executed(direct.statement(name, row, rows), params):
            return


@fault(
    62,
    direct,
    "divided",
    quick="test_saver_secrets.py::test_nothing_lies_in_plain_text",
)
def plain_values_are_not_encrypted(original: Any, values: Any, *, hides: bool) -> Any:
    """What jsonb can hold lies inline, whatever the serializer is for."""
    del hides
    return original(values, hides=False)


@fault(
    63,
    Serializer,
    "_check",
    quick="test_saver_classes.py::test_a_hostile_row_runs_nothing_and_is_an_error"
    "[a call with one argument]",
)
def any_class_is_revived(original: Any, self: Any, code: int, parts: Any) -> None:
    """A row says what is called, and it is."""
    del original, self, code, parts


@fault(
    63,
    Serializer,
    "with_msgpack_allowlist",
    quick="test_saver_classes.py::test_classes_of_the_schema_come_back_as_themselves[memory]",
)
def schemas_are_not_registered(original: Any, self: Any, classes: Any) -> Any:
    """Classes of a graph's schema are as foreign as any."""
    del original, classes
    return self


@fault(
    65,
    MemoryThreads,
    "_matching",
    quick="test_server_ttl.py::test_no_route_shows_an_expired_thread[memory]",
)
def expired_threads_are_listed(original: Any, self: Any, query: Any, owner: str) -> Any:
    """A list shows what a get denies, until it is swept."""
    return original(self, query, owner) or self._tables.threads.group("owner", owner)
