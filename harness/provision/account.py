"""The unprivileged user that PostgreSQL runs as when the harness runs as root."""

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ProvisionError

CHILD_ENVIRONMENT = {"LC_ALL": "C", "PATH": os.defpath}
"""All that PostgreSQL's programs get to see: PGDATA, PGPORT and the like would steer them."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine."""

    uid: int
    gid: int

    def owns(self, path: Path) -> None:
        """Make the path this user's."""
        os.chown(path, self.uid, self.gid)


def server_account() -> Account | None:
    """Return whom to run PostgreSQL as: None for the current user, somebody else for root.

    `initdb` needs a user that has a name, so a made-up number would not do.

    Raises:
        ProvisionError: The harness runs as root and the machine knows no other user.
    """
    if os.geteuid() != 0:
        return None
    users = [user for user in pwd.getpwall() if user.pw_uid != 0]
    for wanted in ("postgres", "nobody"):
        for user in users:
            if user.pw_name == wanted:
                return Account(user.pw_uid, user.pw_gid)
    if users:
        return Account(users[0].pw_uid, users[0].pw_gid)
    raise ProvisionError(
        "PostgreSQL refuses to run as root and this machine has no other user; "
        "add one with `useradd --system postgres`, or set DATABASE_URL"
    )


def run_as(
    account: Account | None, command: Sequence[str | Path], *, timeout_s: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run a short command as that user in a bare environment, and capture what it prints.

    Raises:
        OSError: The user may not execute it.
        subprocess.TimeoutExpired: It took longer than `timeout_s` seconds.
    """
    return subprocess.run(  # noqa: S603 # commands are built here, from our own paths
        [str(part) for part in command],
        env=CHILD_ENVIRONMENT,
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=timeout_s,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def can_use(account: Account | None, folder: Path) -> bool:
    """Whether that user may enter the folder, through all its parents."""
    return run_as(account, ["/bin/sh", "-c", 'cd -- "$0"', folder]).returncode == 0
