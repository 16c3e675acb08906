"""A server of `configured/`, whose `langgraph.json` has every key that has its effect."""

import contextlib
import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from langgraph_sdk.client import LangGraphClient

from tests.integration.serving import Serving

CONFIG: Final = Path(__file__).parent / "configured" / "langgraph.json"


class Configured(Serving):
    """A server whose handlers note that they were called.

    Args:
        database_url: What it stores in; None: memory.
        notes: Where they note it.
    """

    def __init__(self, database_url: str | None, notes: Path) -> None:
        self._notes = notes
        super().__init__(database_url, "--config", str(CONFIG), CONFIGURED_NOTES=str(notes))

    def notes(self) -> list[str]:
        """Return what was noted since this was asked last."""
        found = self._notes.read_text().splitlines()
        self._notes.write_text("")
        return found

    def client_of(self, identity: str, **said: Any) -> LangGraphClient:
        """Return the client of a user about whom `authenticate` says this."""
        return self.client(token(identity, **said))


def token(identity: str, **said: Any) -> str:
    """Return what the handler of `configured/auth.py` takes for a user."""
    return json.dumps({"identity": identity, "team": "tides", "permissions": ["wade"], **said})


@contextlib.asynccontextmanager
async def configured(database_url: str | None = None) -> AsyncIterator[Configured]:
    """Start one."""
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "notes"
        notes.touch()
        async with Configured(database_url, notes) as server:
            yield server
