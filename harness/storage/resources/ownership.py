"""Stamps the owner into metadata, and keeps it there."""

from collections.abc import Mapping
from typing import Any

from uuid_utils import uuid7

from harness.errors import InvalidInput
from harness.models import Json
from harness.storage.checks import check_id
from harness.storage.values import canonical_object


def stamped(metadata: Mapping[str, Any] | None, owner: str) -> Json:
    """Return a canonical copy of a new row's metadata, with its owner.

    Raises:
        InvalidInput: It names another owner.
    """
    copied = owned(metadata, owner)
    copied["owner"] = owner
    return copied


def owned(metadata: Mapping[str, Any] | None, owner: str) -> Json:
    """Return a canonical copy of metadata to merge into a row that `owner` has.

    Raises:
        InvalidInput: It names another owner.
    """
    copied = canonical_object(metadata, "metadata")
    if copied.get("owner", owner) != owner:
        raise InvalidInput("metadata.owner is the caller and cannot be changed")
    return copied


def given_or_new(value: str | None, kind: str) -> str:
    """Return the caller's id, or a new one (UUIDv7, so that ids made later sort later)."""
    return new_id() if value is None else check_id(value, kind)


def new_id() -> str:
    """Return a new UUIDv7."""
    return str(uuid7())
