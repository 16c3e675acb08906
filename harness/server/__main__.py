"""`python -m harness.server`: serve, with settings from the environment."""

import sys

from harness.config import DatabaseConfig, ServerConfig
from harness.errors import HarnessError
from harness.server.serve import serve

if __name__ == "__main__":
    try:
        serve(ServerConfig.from_env(), DatabaseConfig.from_env())
    except HarnessError as exc:
        sys.exit(f"harness: {exc}")
