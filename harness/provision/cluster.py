"""Make PostgreSQL's data directory and its settings."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from harness.errors import ProvisionError
from harness.provision.account import Account, run_as
from harness.provision.binaries import Binaries

SUPERUSER = "postgres"
_SOCKET_PATH_BYTES = 100
"""Longest path of a socket: `sun_path` holds 104 bytes on macOS and 108 on Linux."""

BASE_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "300",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
EPHEMERAL_SETTINGS: Mapping[str, str] = {
    "fsync": "off",
    "max_wal_size": "256MB",
    "dynamic_shared_memory_type": "mmap",  # in the data directory, so that it goes with it
}
"""For data that need not survive the machine. `synchronous_commit` and `full_page_writes` stay on:
what was acknowledged must survive the death of the processes."""


def create_cluster(
    binaries: Binaries,
    account: Account | None,
    data: Path,
    *,
    password: str,
    settings: Mapping[str, str],
) -> None:
    """Run `initdb`: UTF-8, byte order, the socket open to who can reach it, TCP by password.

    The password is random and long, so one round of SCRAM protects it as well as 4,096 do.

    Raises:
        ProvisionError: It failed; the message says why.
    """
    secret = data.parent / "password"
    secret.touch(mode=0o600)
    try:
        secret.write_text(password)
        if account:
            account.owns(secret)
        command: list[str | Path] = [
            binaries["initdb"],
            f"--pgdata={data}",
            f"--username={SUPERUSER}",
            f"--pwfile={secret}",
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "--set=scram_iterations=1",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-sync",
            "--no-instructions",
            *(f"--set={name}={value}" for name, value in settings.items()),
        ]
        try:
            result = run_as(account, command)
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise ProvisionError(f"initdb cannot run in {data.parent}: {exc}") from exc
    finally:
        secret.unlink()
    if result.returncode != 0:
        raise ProvisionError(explain(result.stdout + result.stderr, data.parent))


def socket_folder(folder: Path) -> Path | None:
    """The folder if a socket in it has a path that is short enough, else None: TCP alone."""
    length = len(bytes(folder / ".s.PGSQL.65535.lock"))
    return folder if length <= _SOCKET_PATH_BYTES else None


def server_command(binaries: Binaries, data: Path, port: int) -> list[str]:
    """The command that runs the server in the foreground."""
    sockets = socket_folder(data.parent)
    quoted = str(sockets).replace('"', '""')
    return [
        str(binaries["postgres"]),
        "-D",
        str(data),
        "-c",
        f"port={port}",
        "-c",
        f'unix_socket_directories="{quoted}"' if sockets else "unix_socket_directories=",
    ]


def server_url(port: int, password: str | None) -> str:
    """The address of the maintenance database, without a password if None."""
    secret = "" if password is None else f":{quote(password, safe='')}"
    return f"postgresql://{SUPERUSER}{secret}@127.0.0.1:{port}/postgres?sslmode=disable"


def explain(log: str, folder: Path) -> str:
    """Turn what PostgreSQL printed into one clear line, with the printed lines where needed."""
    if "No space left on device" in log:
        return f"no disk space left for PostgreSQL in {folder}; free some, or set DATABASE_URL"
    if "could not look up effective user ID" in log:
        return (
            "PostgreSQL needs a user that has a name, and the current one has no entry in "
            "/etc/passwd; run as another user, or set DATABASE_URL"
        )
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    causes = [line for line in lines if "FATAL:" in line or "PANIC:" in line or "error:" in line]
    cause = causes[-1] if causes else "it printed no reason"
    if "Permission denied" in cause:
        return f"PostgreSQL may not use its folder {folder}: {cause}"
    return "\n  ".join([f"PostgreSQL did not start: {cause}", *lines[-8:]])
