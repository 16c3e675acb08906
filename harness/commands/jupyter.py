"""`harness notebook`: JupyterLab on the notebooks."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from harness.commands.folders import NOTEBOOKS, notebooks_folder, writing


def lab_folder(copy_to: Path) -> Path:
    """Return the folder to open: that of the checkout, or a copy of the installed notebooks.

    A notebook that is there already is the user's, and stays as it is.

    Raises:
        ResultsError: The copy cannot be written, or there is nothing to copy.
    """
    source = notebooks_folder()
    if source.name != "_notebooks":
        return source
    with writing(copy_to):
        copy_to.mkdir(parents=True, exist_ok=True)
        for notebook in NOTEBOOKS:
            if not (copy_to / notebook.file).exists():
                shutil.copyfile(source / notebook.file, copy_to / notebook.file)
    return copy_to


def open_lab(copy_to: Path, arguments: Sequence[str]) -> NoReturn:
    """Become JupyterLab.

    Raises:
        ResultsError: There are no notebooks, or they cannot be copied.
    """
    command = [sys.executable, "-m", "jupyterlab", str(lab_folder(copy_to)), *arguments]
    os.execv(sys.executable, command)  # noqa: S606 -- becoming JupyterLab
