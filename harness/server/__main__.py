"""`python -m harness.server`: serve, with settings from the environment."""

import sys
from typing import NoReturn

from harness.config import DatabaseConfig, ServerConfig, prepare_langgraph
from harness.errors import HarnessError


def _serve() -> NoReturn:
    config = ServerConfig.from_env()
    prepare_langgraph(config)
    from harness.server.serve import serve  # noqa: PLC0415 -- it imports LangGraph

    serve(config, DatabaseConfig.from_env())


if __name__ == "__main__":
    try:
        _serve()
    except HarnessError as exc:
        sys.exit(f"harness: {exc}")
