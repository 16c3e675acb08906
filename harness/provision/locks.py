"""File locks that the kernel releases when the last process that holds them is gone.

A lock belongs to the open file, so a child that inherits the descriptor holds it too: a server
that got one proves by it that one of its processes is alive, whatever became of their ids.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import ProvisionError

_POLL_S = 0.01


def try_lock(path: Path) -> int | None:
    """Lock the file, made where it is missing; return its descriptor, or None if it is held.

    Raises:
        OSError: The file cannot be opened for writing.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    if not _is_still(path, descriptor):
        os.close(descriptor)
        return None
    return descriptor


def wait_for_lock(path: Path, *, wait_s: float) -> int:
    """Lock the file, waiting until whoever holds it lets go.

    Raises:
        ProvisionError: It is still held after `wait_s` seconds, or cannot be opened.
    """
    give_up = time.monotonic() + wait_s
    try:
        while (descriptor := try_lock(path)) is None:
            if time.monotonic() > give_up:
                raise ProvisionError(f"another process has held {path} for {wait_s:g} seconds")
            time.sleep(_POLL_S)
    except OSError as exc:
        raise ProvisionError(f"cannot write {path}: {exc.strerror}") from exc
    return descriptor


@contextmanager
def locked(path: Path, *, wait_s: float) -> Iterator[None]:
    """Hold the lock inside the `with` block."""
    descriptor = wait_for_lock(path, wait_s=wait_s)
    try:
        yield
    finally:
        os.close(descriptor)


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether the locked file still has that name: its folder may have been swept meanwhile."""
    try:
        named = path.lstat()
    except FileNotFoundError:
        return False
    return os.path.samestat(named, os.fstat(descriptor))
