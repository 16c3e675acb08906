"""Who calls, as handlers and graphs see it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Self

import orjson

from harness.models import SYSTEM
from harness.server.encoding import encode

ANYBODY: Final = "anybody"
"""The one owner of everything where there is no authentication."""
RESERVED_OWNERS: Final = frozenset({ANYBODY, SYSTEM})
"""Owners that no authenticated caller can be."""


class User:
    """An authenticated caller: LangGraph's `BaseUser`, with further fields as keys or attributes.

    Its text names the identity only: what else `authenticate` said may be secret.

    Args:
        identity: The owner of what the caller makes.
        permissions: What `authenticate` said that the caller may do.
        fields: All else that it said.
    """

    __slots__ = ("fields", "identity", "permissions")

    def __init__(
        self,
        identity: str,
        permissions: Sequence[str] = (),
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        self.identity = identity
        self.permissions = tuple(permissions)
        self.fields = dict(fields or {})

    def __repr__(self) -> str:
        return f"User({self.identity!r})"

    @property
    def is_authenticated(self) -> bool:
        """Whether it is known who this is; so it is unless `authenticate` says otherwise."""
        return bool(self.fields.get("is_authenticated", True))

    @property
    def display_name(self) -> str:
        """A name for people."""
        return str(self.fields.get("display_name", self.identity))

    def __getitem__(self, key: str) -> Any:
        return self.to_dict()[key]

    def __contains__(self, key: object) -> bool:
        return key in self.to_dict()

    def __iter__(self) -> Iterator[str]:
        return iter(self.to_dict())

    def __getattr__(self, name: str) -> Any:
        if name in self.__slots__ or name.startswith("__") or name not in self.fields:
            raise AttributeError(f"the user has no {name!r}")
        return self.fields[name]

    def to_dict(self) -> dict[str, Any]:
        """Return everything about the user."""
        return {
            **self.fields,
            "identity": self.identity,
            "permissions": list(self.permissions),
            "is_authenticated": self.is_authenticated,
            "display_name": self.display_name,
        }

    def stored(self) -> dict[str, Any]:
        """Return what is stored with a run, beside its owner; what is no JSON, as its text."""
        found = {"permissions": self.permissions, "fields": self.fields}
        kept: dict[str, Any] = orjson.loads(encode(found))
        return {name: value for name, value in kept.items() if value}

    @classmethod
    def restored(cls, identity: str, stored: Mapping[str, Any] | None) -> Self:
        """Return the user that was stored with a run."""
        found = stored or {}
        return cls(identity, tuple(found.get("permissions", ())), dict(found.get("fields", {})))
