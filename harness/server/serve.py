"""Starts the server and ends it: one line when it is ready, one line when it cannot be."""

import asyncio
import gc
import logging
import os
import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Thread
from time import monotonic
from types import FrameType
from typing import Any, Final, NoReturn

import uvloop

from harness.config import DatabaseConfig, ServerConfig, prepare_robyn
from harness.errors import ConfigError, HarnessError
from harness.models import SYSTEM
from harness.persistence import Fenceable, Serializer
from harness.runtime import (
    get_checkpointer,
    get_storage,
    get_store,
    initialize_database,
    is_postgres_enabled,
    shutdown_database,
)
from harness.server.access.handlers import check_table
from harness.server.address import free_port, until_it_answers
from harness.server.app import listen
from harness.server.auth import Guard, guard_of
from harness.server.dispatch import Dispatcher, access
from harness.server.execution.executor import Executor
from harness.server.graphs import Graphs, load_graphs, system_assistant_id
from harness.server.health import Probe
from harness.server.http import Route
from harness.server.loading import is_installed
from harness.server.logs import log_to_stderr
from harness.server.metrics import Metrics
from harness.server.routes import ROUTES
from harness.server.services import Services
from harness.server.streams import Streams
from harness.server.sweeping import Sweeper
from harness.server.webhooks import Webhooks

logger = logging.getLogger("harness.server")

_CLOSING_S: Final = 1.0
"""Given to readers to take the last pieces of their streams."""
_SENDING_S: Final = 0.1
"""Given to Robyn to send what it was given last, since it does not tell when it has."""
_SPARE_THREADS: Final = 8
"""Beside one for the node of each run: who has a part of the places has that part of the threads at
most, unless nodes of a run are executed at once. Python's own default is fewer than the places."""
_ENDING: Final = (signal.SIGTERM, signal.SIGINT)


def serve(
    config: ServerConfig, database: DatabaseConfig, *, routes: Sequence[Route] = ROUTES
) -> NoReturn:
    """Serve until a signal ends the process; does not return.

    SIGTERM and SIGINT end it within the grace period: runs are handed back, streams and the
    database closed, and the exit status is 0. Before it is ready they end it at once. With
    `with_parent` the end of standard input does what SIGTERM does.

    Args:
        config: How to listen.
        database: What to store in; without a URL, memory.
        routes: What is served.

    Raises:
        ConfigError: The port is taken, or a graph or a key cannot be used.
    """
    for number in _ENDING:
        signal.signal(number, _end_at_once)
    if config.with_parent:
        Thread(target=_end_with_input, name="ends with its parent", daemon=True).start()
    log_to_stderr()
    check_table(tuple(routes))
    guard = guard_of(config)
    sources = load_graphs(config.deployment)
    port = free_port(config.host, config.port)
    prepare_robyn()
    uvloop.new_event_loop = _Loop  # which Robyn calls
    server = _Server(config, database, guard, sources, port)
    listen(
        config.host,
        port,
        routes,
        dispatcher=lambda: server.dispatcher,
        on_start=server.start,
        on_end=server.end,
    )
    sys.exit(0)


class _Ended(KeyboardInterrupt):
    """A signal ends the server."""


class _Loop(uvloop.Loop):
    """An event loop that ends when the server does, and not when a node calls `sys.exit`.

    A task that raises `SystemExit` or `KeyboardInterrupt` keeps it as its error, and its loop
    raises it as well, as it does with what goes wrong while it reports an error of a callback.
    """

    def run_forever(self) -> None:
        """Run until the server is told to end."""
        while True:
            try:
                return super().run_forever()
            except BaseException as exc:
                if isinstance(exc, _Ended) or self.is_running() or self.is_closed():
                    raise
                logger.warning("a task raised %s; the server goes on", type(exc).__name__)


class _Server:
    """What lives as long as the server does."""

    def __init__(
        self,
        config: ServerConfig,
        database: DatabaseConfig,
        guard: Guard,
        sources: Mapping[str, Any],
        port: int,
    ) -> None:
        self._config, self._database = config, database
        self._guard, self._sources, self._port = guard, sources, port
        named = f"[{config.host}]" if ":" in config.host else config.host
        self._url = f"http://{named}:{port}"
        graphs = config.deployment.graphs if config.deployment is not None else {}
        self._descriptions = {name: source.description for name, source in graphs.items()}
        self._services: Services | None = None
        self._announcing: asyncio.Task[None] | None = None

    @property
    def dispatcher(self) -> Dispatcher:
        """Who answers requests.

        Raises:
            HarnessError: The server has not started.
        """
        if self._services is None:
            raise HarnessError("the server has not started")
        return self._dispatcher

    async def start(self) -> None:
        """Open everything; a process that cannot says why in one line, and ends with status 1."""
        threads = ThreadPoolExecutor(self._config.concurrency + _SPARE_THREADS)
        asyncio.get_running_loop().set_default_executor(threads)
        try:
            self._services = await self._open()
        except HarnessError as exc:
            sys.stderr.write(f"harness: {exc}\n")
            await shutdown_database()
            _exit(1)
        self._dispatcher = Dispatcher(self._services, self._guard)
        await self._services.executor.start()
        self._services.sweeper.start()
        gc.collect()
        gc.freeze()  # what is there now stays: every full collection would look through it
        self._announcing = asyncio.create_task(self._announce())

    async def end(self) -> None:
        """Close everything, within the grace period."""
        if self._announcing is not None:
            self._announcing.cancel()
        if self._services is not None:
            deadline = monotonic() + self._config.grace_s
            await self._services.sweeper.stop()
            await self._services.executor.stop(self._config.grace_s)
            await self._services.webhooks.stop(deadline - monotonic())
            await self._services.streams.all_ended(_CLOSING_S)
            await asyncio.sleep(_SENDING_S)
        await shutdown_database()

    async def _open(self) -> Services:
        serde = Serializer(allow=self._config.revived)
        share = self._config.share_of(self._database.pool_max_size)
        bounds_owners = share < self._database.pool_max_size
        await initialize_database(
            replace(self._database, connections_per_owner=share if bounds_owners else None),
            serde=serde,
            stores_configurable=False,
            thread_ttl=self._config.thread_ttl,
            item_ttl=self._config.item_ttl,
        )
        storage, checkpointer, store = get_storage(), get_checkpointer(), get_store()
        if checkpointer is None or store is None:
            raise ConfigError("there is no persistence")
        if isinstance(checkpointer, Fenceable):
            checkpointer.requires_fence = True  # a node's own threads know no fence
        graphs = Graphs(self._sources, checkpointer, store)
        await self._try(graphs)
        for name in graphs.names:
            await storage.assistants.create(
                name,
                assistant_id=system_assistant_id(name),
                name=name,
                description=self._descriptions.get(name),
                metadata={"created_by": "system"},
                if_exists="do_nothing",
                owner=SYSTEM,
            )
        metrics = Metrics()
        webhooks = Webhooks(self._config, metrics)
        return Services(
            config=self._config,
            storage=storage,
            checkpointer=checkpointer,
            store=store,
            graphs=graphs,
            health=Probe(storage, wanted=self._database.is_configured),
            executor=Executor(
                storage,
                graphs,
                checkpointer,
                self._config,
                metrics,
                on_ended=webhooks.run_ended,
            ),
            webhooks=webhooks,
            sweeper=Sweeper(storage, self._config),
            streams=Streams(self._config, metrics),
            metrics=metrics,
        )

    async def _try(self, graphs: Graphs) -> None:
        """Say what has no effect here, and which graphs cannot be used.

        Raises:
            ConfigError: None can.
        """
        failed = await graphs.try_all()
        if len(graphs.problems) == len(graphs.names):
            raise ConfigError("; ".join(map(str, graphs.problems.values())))
        deployment = self._config.deployment
        if deployment is not None and deployment.meaningless:
            keys = ", ".join(deployment.meaningless)
            logger.info("no image is built, so these keys have no meaning: %s", keys)
        for package in deployment.packages if deployment is not None else ():
            if not is_installed(package):
                logger.warning(
                    "dependencies: %s is not installed where this server runs; install it there, "
                    "such as with: pip install %s",
                    package,
                    shlex.quote(package),
                )
        for problem in failed.values():
            logger.warning("%s", problem)

    async def _announce(self) -> None:
        """Say where the server is, once it answers there.

        From then on signals are ours alone: the HTTP server below Robyn takes them when it starts,
        and would close its connections at once, whatever is still to be sent.
        """
        access.disabled = True  # its own question
        await until_it_answers(self._config.host, self._port)
        access.disabled = False
        loop = asyncio.get_running_loop()  # Robyn's
        for number in _ENDING:
            signal.signal(number, partial(_interrupt_once, loop))
        kept = "Postgres" if is_postgres_enabled() else "memory, which forgets when this ends"
        sys.stdout.write(f"harness serves {self._url} ({kept})\n")
        sys.stdout.flush()


def _end_with_input() -> None:
    """End as SIGTERM would, once nobody can write to standard input any more."""
    while os.read(0, 1_024):  # the descriptor itself: its buffer's lock would outlive the process
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _exit(status: int) -> NoReturn:
    """End the process; Robyn would make 0 of any status while it starts."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _end_at_once(number: int, frame: FrameType | None) -> None:
    """End the process where there is nothing yet to be ended in order."""
    del number, frame
    _exit(0)


def _interrupt_once(loop: asyncio.AbstractEventLoop, number: int, frame: FrameType | None) -> None:
    """Interrupt Robyn's loop, which ends it; a second signal would break into its ending.

    The loop does it itself: raised here, the interruption could end in whatever code the signal
    came upon, such as an encoder that makes a TypeError of every exception.
    """
    del number, frame
    for ending in _ENDING:
        signal.signal(ending, _do_nothing)  # Python complains where SIG_IGN comes upon a signal
    loop.call_soon_threadsafe(_interrupt)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    del number, frame


def _interrupt() -> NoReturn:
    raise _Ended
