"""Every route of the server; the OpenAPI document is made from this one list."""

from harness.server.http import Route
from harness.server.openapi import with_document
from harness.server.routes import (
    assistants,
    crons,
    drawings,
    runs,
    state,
    stateless,
    store,
    system,
    threads,
)

ROUTES: tuple[Route, ...] = with_document(
    (
        *system.ROUTES,
        *assistants.ROUTES,
        *drawings.ROUTES,
        *threads.ROUTES,
        *state.ROUTES,
        *runs.ROUTES,
        *stateless.ROUTES,
        *crons.ROUTES,
        *store.ROUTES,
    )
)
"""In the order in which the document shows them."""
