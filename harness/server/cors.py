"""Cross-Origin Resource Sharing: what a browser is told about pages of other origins."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from harness.config import Cors
from harness.server.failures import told
from harness.server.http import Reply

_ANY: Final = "*"
_READABLE: Final = (
    "Content-Location",
    "Location",
    "X-Pagination-Total",
    "X-Pagination-Next",
    "X-Request-Id",
    "Retry-After",
)
"""Headers of answers that a page needs in order to speak the API."""


class Origins:
    """Tells browsers which pages may call.

    Args:
        cors: Which may; None: no page of another origin.
    """

    def __init__(self, cors: Cors | None) -> None:
        self._cors = cors
        self._any = cors is not None and _ANY in cors.allow_origins
        pattern = cors.allow_origin_regex if cors is not None else None
        self._pattern = None if pattern is None else re.compile(pattern)
        self._readable = ", ".join(
            dict.fromkeys((*_READABLE, *(cors.expose_headers if cors else ())))
        )

    def headers(self, request: Mapping[str, str]) -> dict[str, str]:
        """Return headers for the answer to a request, be it an error or a stream."""
        origin = request.get("origin")
        if self._cors is None:
            return {}
        if origin is None or not self._allows(origin):
            return {} if self._any else {"Vary": "Origin"}
        return {**self._allowed(origin), "Access-Control-Expose-Headers": self._readable}

    def preflight(self, request: Mapping[str, str], methods: Sequence[str]) -> Reply | None:
        """Return the answer to a browser that asks before it calls; None: it does not ask that.

        Args:
            request: The headers of an OPTIONS request.
            methods: What the path is served for.
        """
        origin, method = request.get("origin"), request.get("access-control-request-method")
        if self._cors is None or origin is None or method is None:
            return None
        vary = {"Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"}
        if not self._allows(origin):
            return told(403, f"pages of {origin:.200} may not call this server", vary)
        may = methods if _ANY in self._cors.allow_methods else self._cors.allow_methods
        if method not in may:
            return told(403, f"pages may not {method:.20} here", {**self._allowed(origin), **vary})
        wanted = request.get("access-control-request-headers", "")
        sent = wanted if _ANY in self._cors.allow_headers else ", ".join(self._cors.allow_headers)
        return Reply(
            status=204,
            headers={
                **self._allowed(origin),
                "Access-Control-Allow-Methods": ", ".join(may),
                **({"Access-Control-Allow-Headers": sent} if sent else {}),
                "Access-Control-Max-Age": str(self._cors.max_age),
                **vary,
            },
        )

    def _allows(self, origin: str) -> bool:
        assert self._cors is not None  # noqa: S101 -- asked before
        return (
            self._any
            or origin in self._cors.allow_origins
            or (self._pattern is not None and self._pattern.fullmatch(origin) is not None)
        )

    def _allowed(self, origin: str) -> dict[str, str]:
        assert self._cors is not None  # noqa: S101 -- asked before
        headers = {"Access-Control-Allow-Origin": _ANY if self._any else origin}
        if not self._any:
            headers["Vary"] = "Origin"
        if self._cors.allow_credentials:
            headers["Access-Control-Allow-Credentials"] = "true"
        return headers
