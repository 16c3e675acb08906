"""The folder of a server that lives for a session: where it lies, and that it goes away.

Each folder holds a lock that its server's processes inherit. A folder whose lock is free belongs
to nobody alive and is removed by whoever makes the next one.
"""

import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.errors import ProvisionError
from harness.provision.account import Account, can_use
from harness.provision.locks import try_lock

PREFIX = "harness-pg-"
MEMORY = Path("/dev/shm")  # noqa: S108 # the memory file system, chosen on purpose
MEMORY_NEEDED_BYTES = 1 << 30
_MEMORY_FILESYSTEMS = ("tmpfs", "ramfs")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFolder:
    """A private folder; `lock` is the descriptor that keeps it from being swept."""

    path: Path
    lock: int

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.path / "data"

    @property
    def log(self) -> Path:
        """What the server wrote to its standard error."""
        return self.path / "log"

    def remove(self) -> None:
        """Delete everything and let go of the lock."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.lock)


def make_folder(base: Path, account: Account | None) -> ServerFolder:
    """Make a folder in `base` that only the account can enter, after sweeping dead ones.

    Raises:
        ProvisionError: `base` cannot be written, or the account cannot reach it.
    """
    try:
        sweep(base, account)
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        lock = try_lock(path / "lock")
        if lock is None:  # swept between the two calls
            return make_folder(base, account)
        if account:
            account.owns(path)
            account.owns(path / "lock")
    except OSError as exc:
        raise ProvisionError(
            f"cannot make a folder for PostgreSQL in {base}: {(exc.strerror or str(exc)).lower()}"
        ) from exc
    folder = ServerFolder(path=path, lock=lock)
    if not can_use(account, path):
        folder.remove()
        raise ProvisionError(
            f"the user that runs PostgreSQL cannot enter {base}; choose a folder that it can reach"
        )
    return folder


def sweep(base: Path, account: Account | None) -> None:
    """Remove the folders whose server and owner are dead; leave all others alone."""
    ours = {os.geteuid()} | ({account.uid} if account else set())
    for path in base.glob(f"{PREFIX}*"):
        try:
            found = path.lstat()
            has_lock = (path / "lock").exists()
        except OSError:  # removed by its owner just now, or not ours to read
            continue
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in ours or not has_lock:
            continue
        try:
            lock = try_lock(path / "lock")
        except OSError:
            continue
        if lock is not None:
            ServerFolder(path=path, lock=lock).remove()


def memory_base() -> Path | None:
    """The memory file system, where it has 1 GiB free; else None."""
    if not MEMORY.is_dir() or filesystem(MEMORY) not in _MEMORY_FILESYSTEMS:
        return None
    if not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < MEMORY_NEEDED_BYTES:
        return None
    return MEMORY


def disk_base() -> Path:
    """A temporary folder on a real disk if there is one; `location_of` tells what it is."""
    candidates = [Path("/var/tmp"), Path(tempfile.gettempdir())]  # noqa: S108 # mkdtemp inside
    usable = [path for path in candidates if path.is_dir() and os.access(path, os.W_OK)]
    for path in usable:
        if filesystem(path) not in _MEMORY_FILESYSTEMS:
            return path
    return (usable or candidates)[-1]


def filesystem(path: Path) -> str:
    """Name of the file system that holds the path, such as "ext4"; "" if that is not known."""
    resolved = path.resolve()
    mounts = {Path(part.mountpoint): part.fstype for part in psutil.disk_partitions(all=True)}
    for parent in (resolved, *resolved.parents):
        if parent in mounts:
            return mounts[parent]
    return ""


def location_of(path: Path) -> str:
    """Where data in that folder lies, for people: "tmpfs" or "ext4 disk"."""
    kind = filesystem(path)
    return kind if kind in _MEMORY_FILESYSTEMS else f"{kind} disk".strip()
