"""A process that answers every POST with its own body: the least that an HTTP server takes.

Run as `python -m harness.measure.floors.echo --port 0`; it says where it is in one line.
"""

import asyncio
import signal
import sys
from typing import Final

from harness.config import prepare_robyn
from harness.server.address import free_port, until_it_answers

_HOST: Final = "127.0.0.1"
_HEADERS: Final = {"Content-Type": "application/json"}


def main() -> None:
    """Serve until SIGTERM."""
    port = free_port(_HOST, int(sys.argv[-1]))
    prepare_robyn()
    import robyn  # noqa: PLC0415 -- it reads what was prepared

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
    app.start(host=_HOST, port=port, _check_port=False)


async def _announce(port: int) -> None:
    await until_it_answers(_HOST, port)
    sys.stdout.write(f"echo serves http://{_HOST}:{port}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
