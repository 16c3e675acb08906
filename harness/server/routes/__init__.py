"""Every route of the server; the OpenAPI document is made from this one list."""

from harness.server.http import Route
from harness.server.routes import system

ROUTES: tuple[Route, ...] = (*system.ROUTES,)
"""In the order in which the document shows them."""
