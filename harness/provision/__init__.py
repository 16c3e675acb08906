"""From settings to a running PostgreSQL: one that is there, one in a container, or our own."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from harness.config import ProvisionConfig
from harness.provision.embedded import EmbeddedServer, Storage
from harness.provision.external import ExternalServer
from harness.provision.server import PostgresServer, ServerFacts, StopMode, describe

__all__ = [
    "EmbeddedServer",
    "ExternalServer",
    "PostgresServer",
    "ServerFacts",
    "StopMode",
    "Storage",
    "describe",
    "provision",
    "provisioned",
]


def provision(
    config: ProvisionConfig,
    *,
    storage: Storage = "tmpfs",
    settings: Mapping[str, str] | None = None,
) -> PostgresServer:
    """Return a running server; whoever calls closes it.

    The first of these that applies: `config.url`, a container if that is asked for, the embedded
    server. `storage` and `settings` concern the last two.

    Raises:
        ProvisionError: The server cannot be reached or started; nothing is left running.
    """
    server: PostgresServer
    if config.url is not None:
        server = ExternalServer(config.url)
    elif config.provisioner == "container":
        # Imported here: docker's client takes a quarter of a second, and few runs use it.
        from harness.provision.container import ContainerServer  # noqa: PLC0415

        server = ContainerServer(config.image, storage=storage, settings=settings)
    else:
        server = EmbeddedServer(storage=storage, settings=settings)
    try:
        server.start()
    except BaseException:
        server.close()
        raise
    return server


@asynccontextmanager
async def provisioned(
    config: ProvisionConfig, *, storage: Storage = "tmpfs"
) -> AsyncGenerator[PostgresServer, None]:
    """Lend a server, as `provision`; it is started and closed beside the event loop.

    Raises:
        ProvisionError: The server cannot be reached or started; nothing is left running.
    """
    starting = asyncio.create_task(asyncio.to_thread(provision, config, storage=storage))
    try:
        server = await asyncio.shield(starting)
    except asyncio.CancelledError:
        (await starting).close()  # a thread cannot be cancelled, but what it made be undone
        raise
    try:
        yield server
    finally:
        await asyncio.shield(asyncio.to_thread(server.close))
