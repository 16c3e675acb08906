"""What README and CONTRIBUTING show as Python: it is syntax, and what it imports is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCKS = [
    pytest.param(block, id=f"{name}-{number}")
    for name in ("README.md", "CONTRIBUTING.md")
    for number, block in enumerate(
        re.findall(r"^```python\n(.*?)^```", (ROOT / name).read_text(), re.DOTALL | re.MULTILINE),
        start=1,
    )
]


@pytest.mark.parametrize("block", BLOCKS)
def test_what_is_shown_can_be_imported(block: str) -> None:
    """Every import of a code block succeeds."""
    imports = [
        node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    for node in imports:
        exec(ast.unparse(node), {})  # noqa: S102 -- our own documents
