"""A server as a child process, for tests that speak HTTP to it."""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from harness.faults.served import SERVE, Served
from tests.integration.forked.process import Forked

_READ_EARLY: Final = {"LANGGRAPH_AES_KEY", "LANGGRAPH_STRICT_MSGPACK"}
"""Variables that decide how libraries are imported."""
GRAPHS: Final = Path(__file__).parent / "served" / "langgraph.json"


class ForkedServed(Served):
    """A server that is forked from a process that has imported what it needs.

    It is started anew if its settings decide how libraries are imported.
    """

    main = "harness.cli:main"
    """What is called."""
    words: Sequence[str] = SERVE[3:]
    """With which arguments before its own."""

    async def _spawn(self, *arguments: str) -> Any:
        revives_any = self._environ.get("HARNESS_MSGPACK_ALLOW", "").lower() == "any"
        if revives_any or _READ_EARLY & self._environ.keys():
            return await super()._spawn(*arguments)
        given = (*self.words, *arguments)
        return await Forked.start(self.main, given, self._environ, self._log.fileno())


class Serving(ForkedServed):
    """A running server of the graphs of `served/`; what it logged is shown when it is left.

    Args:
        database_url: What it stores in; None: memory.
        arguments: Of `harness serve`; by default, to serve the graphs of `served/`.
        settings: Environment variables.
    """

    def __init__(self, database_url: str | None = None, *arguments: str, **settings: str) -> None:
        self.database_url = database_url
        super().__init__(
            database_url, *arguments, graphs=None if arguments else GRAPHS, settings=settings
        )

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        sys.stderr.write(self.failures())
        await super().__aexit__(kind, exc, traceback)

    def failures(self) -> str:
        """Return what it has logged, but for requests that went well."""
        return "\n".join(line for line in self.log().splitlines() if not _is_fine(line))


def _is_fine(line: str) -> bool:
    try:
        return int(json.loads(line)["status"]) < 400
    except (ValueError, KeyError, TypeError):
        return False


def said_by_node(parts: Iterable[Any]) -> dict[str, str]:
    """Return what the deltas of each node's messages add up to, of a stream by the client."""
    said: dict[str, str] = {}
    for part in parts:
        if part.event == "messages":
            token, about = part.data
            node = about["langgraph_node"]
            said[node] = said.get(node, "") + token["content"]
    return said
