"""Reads the floors' SQL: blocks that begin with `-- name: …`, one file a resource."""

import re
from functools import cache
from importlib.resources import files
from typing import LiteralString

_COMMENT = re.compile(r"^--.*\n?", re.MULTILINE)
_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def blocks(file: str) -> dict[str, LiteralString]:
    """Return the blocks of `<file>.sql` by name.

    Raises:
        FileNotFoundError: There is no such file.
    """
    text = files(__package__).joinpath(f"{file}.sql").read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    # Comments stay behind: psycopg parses a statement anew on each call if it is longer than 4 kB.
    return {
        name: _COMMENT.sub("", body).strip()
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }


def block(file: str, name: str) -> LiteralString:
    """Return one block.

    Raises:
        KeyError: There is no such block.
    """
    return blocks(file)[name]
