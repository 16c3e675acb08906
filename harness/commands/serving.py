"""`harness serve`: the agent server."""

from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from harness.config import (
    DatabaseConfig,
    Deployment,
    ProvisionConfig,
    ServerConfig,
    prepare_langgraph,
)
from harness.provision import named


def serve_until_told(
    *,
    host: str | None,
    port: int | None,
    embedded: bool,
    graphs: Path | None,
    insecure: bool,
    with_parent: bool,
) -> NoReturn:
    """Serve until a signal ends the process, with status 0.

    Args:
        host: Where to listen; None: this machine only.
        port: On which port; None: the default one, 0: any that is free.
        embedded: Store in the server of `harness db`, which is started if it does not run; it comes
            before DATABASE_URL.
        graphs: A `langgraph.json`; None: the bundled agents.
        insecure: Serve others than this machine without authentication.
        with_parent: End when standard input does, too.

    Raises:
        ConfigError: A setting cannot be used, a key of the file would have no effect, or the port
            is taken.
        ProvisionError: The embedded server cannot be started.
    """
    deployment = None if graphs is None else Deployment.read(graphs)
    if deployment is not None:
        deployment.set_environment()  # before anything is read from it
    config = ServerConfig.from_env(
        deployment=deployment, host=host, port=port, insecure=insecure, with_parent=with_parent
    )
    database = DatabaseConfig.from_env()
    prepare_langgraph(config)
    from harness.server.serve import serve  # noqa: PLC0415 -- a wrong setting is told at once

    if embedded:
        started = named.start(named.DEFAULT_NAME, ProvisionConfig.from_env().home)
        database = replace(database, url=started.url, required=True)
    serve(config, database)
