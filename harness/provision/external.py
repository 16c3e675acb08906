"""A server that somebody else runs, named by DATABASE_URL."""

from typing import NoReturn

from psycopg.conninfo import conninfo_to_dict

from harness.errors import ProvisionError
from harness.provision.server import PostgresServer, ServerFacts, StopMode, ask


class ExternalServer(PostgresServer):
    """A server that can be used but not controlled.

    Its URL is passed on as given: it names the database to connect to, which need not be
    `postgres`.
    """

    provisioner = "external"

    def __init__(self, url: str) -> None:
        self._url = url
        self._facts: ServerFacts | None = None

    @property
    def url(self) -> str:
        """The address that was given."""
        return self._url

    @property
    def facts(self) -> ServerFacts:
        """What the server said of itself when it was first reached."""
        if self._facts is None:
            raise ProvisionError("the server has not been asked yet; call start() first")
        return self._facts

    @property
    def location(self) -> str:
        """The host, or the folder of the socket, and the port."""
        parts = conninfo_to_dict(self._url)
        host = parts.get("host") or parts.get("hostaddr") or "default host"
        return f"{host}:{parts.get('port') or 5432}"

    def start(self) -> None:
        """Check that the server answers within 5 seconds.

        Raises:
            ProvisionError: It does not.
        """
        self._facts = ask(self._url)

    def stop(self, mode: StopMode = "fast") -> None:
        """Refuse: it is not ours to stop."""
        del mode
        self._refuse("stopped")

    def kill(self) -> None:
        """Refuse: it is not ours to kill."""
        self._refuse("killed")

    def pids(self) -> list[int]:
        """Refuse: its processes are not ours."""
        self._refuse("looked into")

    def close(self) -> None:
        """Leave it as it is."""

    def _refuse(self, what: str) -> NoReturn:
        raise ProvisionError(
            f"the server at {self.location} is not ours and cannot be {what}; "
            "unset DATABASE_URL to use the embedded one"
        )
