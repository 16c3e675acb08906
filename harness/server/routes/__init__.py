"""Every route of the server; the OpenAPI document is made from this one list."""

from harness.server.http import Route
from harness.server.routes import runs, state, stateless, system, threads

ROUTES: tuple[Route, ...] = (
    *system.ROUTES,
    *threads.ROUTES,
    *state.ROUTES,
    *runs.ROUTES,
    *stateless.ROUTES,
)
"""In the order in which the document shows them."""
