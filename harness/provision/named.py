"""The named embedded servers behind `harness db`: on disk, with fsync, outliving the command.

A server's folder is `<home>/<name>`. Two locks keep order in it: `command.lock` is held while a
command starts or stops the server, and `server.lock` by the server's own processes, so that a
free one proves that none of them lives, also after a reboot.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NoReturn

from harness.errors import ProvisionError
from harness.provision.account import Account, can_use, server_account
from harness.provision.binaries import Binaries, find_binaries
from harness.provision.cluster import BASE_SETTINGS, create_cluster, server_url
from harness.provision.locks import locked, try_lock, wait_for_lock
from harness.provision.process import PortTaken, ServerProcess, candidate_ports, end_detached
from harness.provision.server import ask

DEFAULT_NAME = "default"
_COMMAND_WAIT_S = 150.0
_STOP_WAIT_S = 60.0
_SYSTEM_HOME = Path("/var/lib/langgraph-harness")


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What `start` found or made."""

    url: str
    already_running: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What is remembered between commands, in `server.json`; readable by its owner alone."""

    port: int
    password: str
    data: str


def start(name: str, home: Path) -> Started:
    """Start the server of that name, on the data it had, or say that it runs already.

    Of several calls at the same time one starts it and the others report it.

    Raises:
        ProvisionError: It cannot be started; the message says why and what to do.
    """
    folder = _folder(name, home)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise ProvisionError(
            f"cannot make {folder}: {(exc.strerror or str(exc)).lower()}; "
            "set HARNESS_HOME to a folder that can be written"
        ) from exc
    with locked(folder / "command.lock", wait_s=_COMMAND_WAIT_S):
        lock = try_lock(folder / "server.lock")
        if lock is None:
            return Started(url=_running_url(name, folder), already_running=True)
        try:
            return Started(url=_launch(name, folder, lock), already_running=False)
        finally:
            os.close(lock)


def stop(name: str, home: Path) -> bool:
    """Stop the server and keep its data; return whether it ran.

    Raises:
        ProvisionError: It does not end.
    """
    folder = _folder(name, home)
    if not folder.is_dir():
        return False
    with locked(folder / "command.lock", wait_s=_COMMAND_WAIT_S):
        lock = try_lock(folder / "server.lock")
        if lock is None:
            end_detached(Path(_read(name, folder).data))
            lock = wait_for_lock(folder / "server.lock", wait_s=_STOP_WAIT_S)
            os.close(lock)
            return True
        os.close(lock)
        return False


def url(name: str, home: Path) -> str:
    """Return the address of the running server.

    Raises:
        ProvisionError: It does not run.
    """
    folder = _folder(name, home)
    if folder.is_dir():
        with locked(folder / "command.lock", wait_s=_COMMAND_WAIT_S):
            lock = try_lock(folder / "server.lock")
            if lock is None:
                return _running_url(name, folder)
            os.close(lock)
    raise ProvisionError(
        f"the server {name!r} does not run; start it with `harness db start{_option(name)}`"
    )


def psql(name: str, home: Path, arguments: Sequence[str] = ()) -> NoReturn:
    """Become `psql`, connected to the running server; the password stays off the command line.

    Raises:
        ProvisionError: The server does not run.
    """
    url(name, home)  # raises if there is nothing to connect to
    state = _read(name, _folder(name, home))
    program = str(find_binaries(None)["psql"])
    address = server_url(state.port, None)
    environment = {**os.environ, "PGPASSWORD": state.password}  # noqa: TID251 # for psql, whole
    os.execve(program, [program, address, *arguments], environment)  # noqa: S606 # becoming psql


def _launch(name: str, folder: Path, lock: int) -> str:
    account = server_account()
    binaries = find_binaries(account)
    if (folder / "server.json").exists():
        state = _read(name, folder)
    else:
        data = _place(folder, account) / "data"
        state = _State(port=0, password=secrets.token_urlsafe(24), data=str(data))
        _write(folder, state)
    data = Path(state.data)
    if not data.exists():
        _create(binaries, account, data, state.password)
    process = ServerProcess(
        binaries=binaries,
        account=account,
        data=data,
        log=data.with_name("log"),
        lock=lock,
        detached=True,
    )
    for port in [*([state.port] if state.port else []), *candidate_ports()]:
        try:
            process.start(port)
        except PortTaken:
            continue
        _write(folder, replace(state, port=port))
        address = server_url(port, state.password)
        ask(address)
        return address
    raise ProvisionError("no port is free for PostgreSQL on 127.0.0.1")


def _create(binaries: Binaries, account: Account | None, data: Path, password: str) -> None:
    """Make the data directory whole or not at all; a half made one is what `initdb` left dying."""
    partial = data.with_name("partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(mode=0o700)
        if account:
            account.owns(partial)
    except OSError as exc:
        raise ProvisionError(f"cannot write {data.parent}: {exc.strerror}") from exc
    try:
        create_cluster(
            binaries, account, partial / "data", password=password, settings=BASE_SETTINGS
        )
        (partial / "data").rename(data)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _place(folder: Path, account: Account | None) -> Path:
    """Make the folder of the data: beside the state, or where the unprivileged user can reach it.

    Root's home is closed to the user that PostgreSQL runs as.
    """
    place = folder / "cluster"
    if account is not None and not can_use(account, folder.parent):
        digest = hashlib.sha256(bytes(folder)).hexdigest()[:12]
        place = _SYSTEM_HOME / f"{folder.name}-{digest}"
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    elif account is not None:
        folder.chmod(0o711)  # to pass through; what lies there is readable by its owner alone
    place.mkdir(mode=0o700, exist_ok=True)
    if account is not None:
        account.owns(place)
    return place


def _folder(name: str, home: Path) -> Path:
    if not name or name.startswith(".") or Path(name).name != name:
        raise ProvisionError(f"{name!r} cannot name a server; use letters, digits and dashes")
    return home.expanduser().absolute() / name


def _running_url(name: str, folder: Path) -> str:
    state = _read(name, folder)
    return server_url(state.port, state.password)


def _read(name: str, folder: Path) -> _State:
    try:
        return _State(**json.loads((folder / "server.json").read_text()))
    except FileNotFoundError as exc:
        raise ProvisionError(f"the server {name!r} is being started; try again") from exc
    except (OSError, ValueError, TypeError) as exc:
        raise ProvisionError(f"{folder / 'server.json'} cannot be read: {exc}") from exc


def _write(folder: Path, state: _State) -> None:
    """Replace the file at once, so that nobody reads half of it."""
    partial = folder / "server.json.partial"
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(asdict(state)))
    partial.replace(folder / "server.json")


def _option(name: str) -> str:
    return "" if name == DEFAULT_NAME else f" --name {name}"
