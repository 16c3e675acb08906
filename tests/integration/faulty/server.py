"""`harness`, with the fault that a file names.

The file is read again whenever the fault could show, so that one server can have all faults, one
after another. While it is empty there is none.
"""

import sys
from pathlib import Path
from typing import NoReturn

from harness import cli
from tests.integration.faulty.faults import FAULTS


def main() -> NoReturn:
    """Run the command line, whose first argument is the file."""
    switch = Path(sys.argv.pop(1))
    for fault in FAULTS.values():
        fault.install(switch)
    cli.main()
