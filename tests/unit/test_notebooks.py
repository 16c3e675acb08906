"""The notebooks drive the harness: prose, calls and figures, and nothing of their own."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.commands.folders import NOTEBOOKS, notebooks_folder

FILES = [notebooks_folder() / notebook.file for notebook in NOTEBOOKS]
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)

notebooks = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    """The cells of a notebook that are of a kind, each with its source as one text."""
    found = json.loads(path.read_text())["cells"]
    return [
        {**cell, "source": "".join(cell["source"])} for cell in found if cell["cell_type"] == kind
    ]


def test_the_folder_holds_these_and_no_others() -> None:
    """A notebook that is added must be added to the report too."""
    there = [path.name for path in notebooks_folder().glob("*.ipynb")]
    assert sorted(there, key=lambda name: int(name.partition("_")[0])) == [
        notebook.file for notebook in NOTEBOOKS
    ]


@notebooks
def test_it_is_committed_without_outputs(path: Path) -> None:
    """What a notebook shows is measured, never a picture of somebody else's machine."""
    for cell in cells(path, "code"):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


@notebooks
def test_it_defines_nothing(path: Path) -> None:
    """Logic lives in the package, where it is typed and tested: no def, no class, no lambda."""
    for cell in cells(path, "code"):
        tree = compile(
            cell["source"],
            path.name,
            "exec",
            ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
        )
        found = [node for node in ast.walk(tree) if isinstance(node, DEFINITIONS)]
        assert not found, ast.dump(found[0])


@notebooks
def test_it_explains_itself(path: Path) -> None:
    """It begins with a title, and has about as much prose as code."""
    prose, code = cells(path, "markdown"), cells(path, "code")
    assert prose[0]["source"].startswith("# ")
    assert len(prose) * 2 >= len(code)


def test_cell_ids_are_unique_over_all_notebooks() -> None:
    """The report puts all of them on one page, where ids must not meet."""
    ids = [
        cell["id"] for path in FILES for kind in ("code", "markdown") for cell in cells(path, kind)
    ]
    assert len(ids) == len(set(ids))


def test_ruff_finds_nothing_in_them() -> None:
    """Cells are held to the rules of the rest of the code."""
    checked = subprocess.run(  # noqa: S603 -- our own linter
        [sys.executable, "-m", "ruff", "check", *map(str, FILES)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout
