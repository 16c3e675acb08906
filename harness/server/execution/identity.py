"""Who a graph is told that its caller is, and the names that only the server may give a value."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from harness.server.auth import ANYBODY

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
_OF_USERS: Final = ("identity", "display_name", "is_authenticated", "permissions")
_PREFIXES: Final = ("langgraph_", "checkpoint_", "__")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """The caller, as `runtime.server_info.user` and LangGraph's `BaseUser` have it."""

    identity: str
    """The owner of the run: who authenticated, or `anybody` where nobody need."""
    permissions: Sequence[str] = ()

    @property
    def display_name(self) -> str:
        """The identity: no other name is known."""
        return self.identity

    @property
    def is_authenticated(self) -> bool:
        """Whether the caller has shown a token."""
        return self.identity != ANYBODY

    def __getitem__(self, name: str) -> Any:
        if name not in self:
            raise KeyError(name)
        return getattr(self, name)

    def __contains__(self, name: object) -> bool:
        return name in _OF_USERS

    def __iter__(self) -> Iterator[str]:
        return iter(_OF_USERS)


def is_reserved(name: str) -> bool:
    """Tell whether the server alone says what a name of a config or context means."""
    return name in _RESERVED or name.startswith(_PREFIXES)


def given(values: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what a caller may say, of a `configurable` or a context."""
    return {name: value for name, value in (values or {}).items() if not is_reserved(name)}


def given_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what a caller may say of the metadata that a graph is called with."""
    return {name: value for name, value in given(metadata).items() if name != "owner"}


def identity_of(owner: str) -> dict[str, Any]:
    """Return what a graph finds in `configurable` about its caller, under the official names."""
    user = User(identity=owner)
    return {
        "langgraph_auth_user": user,
        "langgraph_auth_user_id": user.identity,
        "langgraph_auth_permissions": [*user.permissions],
    }
