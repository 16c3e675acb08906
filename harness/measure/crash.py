"""Where a failed test's error comes from."""

from collections.abc import Sequence
from pathlib import Path
from traceback import FrameSummary, extract_tb


def innermost(error: BaseException) -> BaseException:
    """Return the first error of a group, however deep; any other error itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def place_of(error: BaseException, folders: Sequence[Path]) -> str:
    """Return the innermost line within some folders that an error went through.

    Returns:
        As `checkpoint/sqlite/aio.py:120 in aput`; empty: it went through none.
    """
    frames = [one for one in extract_tb(error.__traceback__) if _within(one, folders)]
    if not frames:
        return ""
    path = Path(frames[-1].filename)
    return f"{'/'.join(path.parts[-3:])}:{frames[-1].lineno} in {frames[-1].name}"


def _within(frame: FrameSummary, folders: Sequence[Path]) -> bool:
    path = Path(frame.filename).resolve()
    return any(path.is_relative_to(folder) for folder in folders)
