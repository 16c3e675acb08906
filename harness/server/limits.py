"""What a body may ask for at most, whatever route it is for."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from harness.config import ServerConfig
from harness.server.failures import HttpError


def check_limits(document: Any, config: ServerConfig, *, is_search: bool) -> None:
    """Check the parts of a body that could make the server work for long.

    Args:
        document: The body: an object, or a list of some.
        config: The server's bounds.
        is_search: Whether it says what to look for.

    Raises:
        HttpError: 422, it asks for more; the detail says what to do.
    """
    for one in document if isinstance(document, list) else [document]:
        settings = one.get("config") if isinstance(one, dict) else None
        limit = settings.get("recursion_limit") if isinstance(settings, dict) else None
        if isinstance(limit, int | float) and limit > config.max_recursion_limit:
            raise HttpError(
                422,
                f"config.recursion_limit must be at most {config.max_recursion_limit}, "
                f"not {limit:g}; HARNESS_MAX_RECURSION_LIMIT of the server allows more",
            )
    most = config.max_filter_terms
    if is_search and sum(1 for _ in islice(_terms(document), most + 1)) > most:
        raise HttpError(
            422,
            f"the search names more than {most} keys and values: split it, or look for less; "
            "HARNESS_MAX_FILTER_TERMS of the server allows more",
        )


def _terms(document: Any) -> Iterator[Any]:
    """Yield each name and each element of a list, at any depth."""
    left = [document]
    while left:
        value = left.pop()
        if isinstance(value, Mapping):
            yield from value
            left += value.values()
        elif isinstance(value, list):
            yield from value
            left += value
