"""`python -m harness.server`: serve, with settings from the environment."""

from harness.config import DatabaseConfig, ServerConfig
from harness.server.serve import serve

if __name__ == "__main__":
    serve(ServerConfig.from_env(), DatabaseConfig.from_env())
