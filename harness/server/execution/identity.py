"""Who a graph is told that its caller is, and the names that only the server may give a value."""

from collections.abc import Mapping
from typing import Any, Final

from harness.models import Run
from harness.server.users import ANYBODY, User

USER: Final = "langgraph_auth_user"
"""Where in `configurable` a graph finds who calls."""
STORED_USER: Final = "auth_user"
"""What `authenticate` said of the caller, among a run's `kwargs`; no caller can set it."""

_RESERVED: Final = frozenset(
    {
        "thread_id",
        "run_id",
        "assistant_id",
        "graph_id",
        "run_attempt",
        "checkpoint_id",
        "checkpoint_ns",
        "checkpoint_map",
    }
)
_PREFIXES: Final = ("langgraph_", "checkpoint_", "__")


def is_reserved(name: str) -> bool:
    """Tell whether the server alone says what a name of a config or context means."""
    return name in _RESERVED or name.startswith(_PREFIXES)


def given(values: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what a caller may say, of a `configurable` or a context."""
    return {name: value for name, value in (values or {}).items() if not is_reserved(name)}


def given_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what a caller may say of the metadata that a graph is called with."""
    return {name: value for name, value in given(metadata).items() if name != "owner"}


def user_of(run: Run, owner: str) -> User:
    """Return who a run's caller was, as `authenticate` said when it was created."""
    if owner == ANYBODY:
        return User(owner, fields={"is_authenticated": False})
    return User.restored(owner, run.kwargs.get(STORED_USER))


def identity_of(user: User) -> dict[str, Any]:
    """Return what a graph finds in `configurable` about its caller, under the official names."""
    return {
        USER: user,
        "langgraph_auth_user_id": user.identity,
        "langgraph_auth_permissions": [*user.permissions],
    }
