"""Where results go, and where the notebooks lie."""

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import harness
from harness.errors import ResultsError


class Notebook(NamedTuple):
    """A notebook that is in the report."""

    name: str
    """What the report calls it."""
    file: str
    needs: str
    """The kind of results, or the backend, that it shows; without them it is left out."""


NOTEBOOKS: Final = (
    Notebook("contract", "1_contract.ipynb", "contract"),
    Notebook("create timings", "2_create_timings.ipynb", "timings"),
    Notebook("pool utilization", "3_pool_utilization.ipynb", "pool"),
    Notebook("inspect", "4_inspect.ipynb", "postgres"),
    Notebook("streaming", "5_streaming.ipynb", "streaming"),
    Notebook("checkpointer pool", "6_checkpointer_pool.ipynb", "savers"),
    Notebook("growth", "7_growth.ipynb", "growth"),
    Notebook("store differences", "8_store_differences.ipynb", "stores"),
    Notebook("restart", "9_restart.ipynb", "durability"),
    Notebook("server latency", "10_server_latency.ipynb", "server"),
)

_ADVICE: Final = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EACCES: "choose another folder with --out",
    errno.EROFS: "choose another folder with --out",
    errno.EPERM: "choose another folder with --out",
    errno.ENOTDIR: "choose another folder with --out",
    errno.EEXIST: "choose another folder with --out",
}


def notebooks_folder() -> Path:
    """The folder of the notebooks: inside the package where installed, beside it in a checkout.

    Raises:
        ResultsError: There is none, because the installation is broken.
    """
    package = Path(harness.__file__).parent
    for folder in (package / "_notebooks", package.parent / "notebooks"):
        if (folder / NOTEBOOKS[0].file).is_file():
            return folder
    raise ResultsError("the notebooks are missing from this installation; install harness again")


def new_run_folder(out: Path, name: str) -> Path:
    """Make a folder of its own for a run, so that runs at the same time do not meet.

    Args:
        out: The folder of all results; made where it is missing.
        name: What kind of run it is.

    Raises:
        ResultsError: It cannot be made or written to.
    """
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{name}-{secrets.token_hex(3)}"
    with writing(out):
        folder = out.absolute() / stamp
        folder.mkdir(parents=True)
    return folder


def discard_if_empty(folder: Path) -> None:
    """Remove the folder of a run that came to nothing."""
    if not any(folder.iterdir()):
        folder.rmdir()


def publish(folder: Path, report: str) -> Path:
    """Write the report into the run's folder and as the newest one; return the newest's path.

    `report.html` and `latest` beside the runs' folders are replaced at once, never written over.

    Raises:
        ResultsError: They cannot be written.
    """
    out = folder.parent
    with writing(out):
        (folder / "report.html").write_text(report, encoding="utf-8")
        shutil.copyfile(folder / "report.html", out / f".{folder.name}.html")
        (out / f".{folder.name}.html").replace(out / "report.html")
        point_latest_at(folder)
    return out / "report.html"


def point_latest_at(folder: Path) -> None:
    """Make `latest` a link to the run's folder."""
    link = folder.parent / f".{folder.name}.latest"
    link.symlink_to(folder.name, target_is_directory=True)
    link.replace(folder.parent / "latest")


@contextlib.contextmanager
def writing(where: Path) -> Generator[None, None, None]:
    """Turn what the system says about a full or closed disk into one line.

    Raises:
        ResultsError: Something could not be written.
    """
    try:
        yield
    except OSError as exc:
        reason = (exc.strerror or os.strerror(exc.errno or 0)).lower()
        advice = _ADVICE.get(exc.errno or 0, "choose another folder with --out")
        raise ResultsError(f"cannot write results to {where}: {reason}; {advice}") from exc
