"""A process that answers every POST with its own body: the least that an HTTP server takes.

Run as `python -m harness.measure.floors.echo --port 0`; it says where it is in one line.
"""

import asyncio
import signal
import socket
import sys
from typing import Final

from harness.config import prepare_robyn

_HEADERS: Final = {"Content-Type": "application/json"}


def main() -> None:
    """Serve until SIGTERM."""
    port = int(sys.argv[-1]) or _free_port()
    sys.argv[1:] = ["--log-level", "WARN", "--disable-openapi"]  # Robyn reads them when imported
    prepare_robyn()
    import robyn  # noqa: PLC0415 -- as said

    app = robyn.Robyn(__file__)

    async def echo(request: robyn.Request) -> robyn.Response:
        return robyn.Response(
            status_code=200, headers=robyn.Headers(_HEADERS), description=request.body
        )

    async def start() -> None:
        # Without it SIGTERM would not end Robyn.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        announcing.append(asyncio.create_task(_announce(port)))

    announcing: list[asyncio.Task[None]] = []
    app.startup_handler(start)
    app.add_route("POST", "/*rest", echo)
    app.start(host="127.0.0.1", port=port, _check_port=False)


async def _announce(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            break
    sys.stdout.write(f"echo serves http://127.0.0.1:{port}\n")
    sys.stdout.flush()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
