"""Whose run this is: a context variable, so that concurrent runs never see each other's."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from harness.database import on_behalf_of
from harness.errors import NoOwner
from harness.storage.checks import check_owner

_owner: ContextVar[str] = ContextVar("harness_owner")


@contextmanager
def owner_scope(owner: str) -> Iterator[None]:
    """Say who owns what is stored in this block and in the tasks that it starts.

    The database's connections are taken for that owner, too.

    ```python
    with owner_scope("ada"):
        await graph.ainvoke(input, config)
    ```

    The innermost scope counts. Don't hold one across a `yield`: what the consumer of a generator
    does between two items would happen under its owner.

    Raises:
        InvalidInput: It is no owner's name.
    """
    token = _owner.set(check_owner(owner))
    try:
        with on_behalf_of(owner):
            yield
    finally:
        _owner.reset(token)


def current_owner() -> str:
    """Return the owner of the innermost scope.

    Raises:
        NoOwner: There is none around this call.
    """
    try:
        return _owner.get()
    except LookupError:
        raise NoOwner from None
