"""Arguments that several resources share."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from harness.errors import InvalidInput
from harness.models import Json, SortOrder, ThreadHead, ThreadStatus
from harness.storage.checks import (
    MAX_LIMIT,
    check_choice,
    check_flag,
    check_id,
    check_integer,
    check_number,
)
from harness.storage.requests import Keeping, Page
from harness.storage.values import canonical_object, check_text

NewT = TypeVar("NewT")

MAX_AGE_S: Final = 1_000 * 366 * 86_400.0


def make_page(
    limit: Any,
    offset: Any,
    sort_by: Any = "created_at",
    sort_fields: Any = None,
    sort_order: Any = "desc",
    *,
    min_limit: int = 1,
    max_limit: int = MAX_LIMIT,
) -> Page:
    """Return a checked page; `sort_fields` is the `Literal` of the fields to sort by."""
    return Page(
        limit=check_integer(limit, "limit", low=min_limit, high=max_limit),
        offset=check_integer(offset, "offset"),
        sort_by=sort_by if sort_fields is None else check_choice(sort_by, sort_fields, "sort_by"),
        sort_order=check_choice(sort_order, SortOrder, "sort_order"),
    )


def make_keeping(keep: Any, older_than_s: Any, *, dry_run: Any = False) -> Keeping:
    """Return what stays of each history.

    Raises:
        InvalidInput: There is neither a number nor an age, or one of them is none.
    """
    if keep is None and older_than_s is None:
        raise InvalidInput("keep or older_than_s must say what stays")
    return Keeping(
        keep=1 if keep is None else check_integer(keep, "keep", low=1),
        older_than_s=None
        if older_than_s is None
        else check_number(older_than_s, "older_than_s", high=MAX_AGE_S, or_zero=True),
        dry_run=check_flag(dry_run, "dry_run"),
    )


def check_names(thread_ids: Any) -> tuple[str, ...] | None:
    """Return ids of threads that LangGraph may know alone, which are any text; None for all.

    Raises:
        InvalidInput: They are no list of texts.
    """
    if thread_ids is None:
        return None
    if isinstance(thread_ids, str) or not isinstance(thread_ids, Sequence):
        raise InvalidInput("thread IDs must be a list of texts")
    return tuple(check_text(thread_id, "thread ID") for thread_id in thread_ids)


def bulk_rows(rows: Any, make: Callable[[dict[str, Any]], NewT]) -> list[NewT]:
    """Return one request a row; `make` gets the row as keyword arguments.

    Raises:
        InvalidInput: A row is no mapping or has a wrong argument; the message says which row.
    """
    if isinstance(rows, str | Mapping) or not isinstance(rows, Sequence):
        raise InvalidInput("rows must be a list of objects")
    made = []
    for index, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise InvalidInput(f"row {index} must be an object, not {type(row).__name__}")
        try:
            made.append(make(dict(row)))
        except TypeError as exc:  # an argument that `create` does not have, or one missing
            raise InvalidInput(f"row {index}: {exc}") from exc
        except InvalidInput as exc:
            raise InvalidInput(f"row {index}: {exc}") from exc
    return made


def optional_text(value: Any, name: str) -> str | None:
    """Return a text, or None."""
    return None if value is None else check_text(value, name)


def object_list(values: Any, name: str) -> list[Json]:
    """Return canonical copies of a list of JSON objects."""
    if isinstance(values, str | Mapping) or not isinstance(values, Sequence):
        raise InvalidInput(f"{name} must be a list of objects")
    return [canonical_object(value, name) for value in values]


def settled_status(value: Any) -> ThreadStatus:
    """Return what a thread becomes after a run: anything but `busy`, which no run means."""
    status: ThreadStatus = check_choice(value, ThreadStatus, "thread_status")
    if status == "busy":
        raise InvalidInput("thread_status must be idle, interrupted or error: busy needs a run")
    return status


def canonical_head(head: Any) -> ThreadHead:
    """Return a canonical copy of what a thread is to show.

    Raises:
        InvalidInput: It is no `ThreadHead`, or something in it cannot be stored.
    """
    if not isinstance(head, ThreadHead):
        raise InvalidInput(f"head must be a ThreadHead, not {type(head).__name__}")
    interrupts = canonical_object(head.interrupts, "interrupts")
    return ThreadHead(
        values=None if head.values is None else canonical_object(head.values, "values"),
        checkpoint_id=None
        if head.checkpoint_id is None
        else check_id(head.checkpoint_id, "checkpoint"),
        interrupts={task: object_list(of, "interrupts") for task, of in interrupts.items()},
        error=None if head.error is None else canonical_object(head.error, "error"),
    )
