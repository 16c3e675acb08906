"""Where a server listens: a port that is free, and whether requests are answered there."""

import asyncio
import socket
from typing import Final

from harness.errors import ConfigError

_POLL_S: Final = 0.01


def free_port(host: str, port: int) -> int:
    """Return the port, or a free one for 0.

    Raises:
        ConfigError: It is taken, or there is no such address here.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)  # with SO_REUSEADDR, binding alone does not find who listens
        except OSError as exc:
            reason = (exc.strerror or str(exc)).lower()
            raise ConfigError(
                f"cannot listen on {host}:{port}: {reason}; choose another with --port"
            ) from exc
        return int(probe.getsockname()[1])


async def until_it_answers(host: str, port: int) -> None:
    """Return when a request is answered there, whatever the answer is."""
    while True:
        try:
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET /ok HTTP/1.0\r\n\r\n")
            answered = await reader.read(1) != b""
            writer.close()
        except OSError:
            answered = False
        if answered:
            return
        await asyncio.sleep(_POLL_S)
