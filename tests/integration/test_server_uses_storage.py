"""What storage can do and the server never asks for is listed, with the reason."""

import re
from pathlib import Path
from typing import Final

import harness.persistence
import harness.server
from harness.contract.signatures import FULL

UNUSED: Final = {
    "crons.claim_due": "crons do not fire yet, which /info says",
    "crons.create_many": "no route makes several",
    "assistants.create_many": "no route makes several",
    "threads.create_many": "no route makes several",
    "threads.add_state": "states over HTTP are those of graphs",
    "threads.prune_history": "`harness db prune` does it",
    "runs.get_active": "the queue knows what keeps a thread busy",
    "runs.update": "no route changes a run's metadata",
    "runs.count": "no route counts runs",
    "items.put_many": "no route puts several",
    "items.count_items": "no route counts items",
}
"""Operations without a caller in the server."""
_CALL: Final = re.compile(rf"({'|'.join(FULL)})\.(\w+)")
_SOURCES: Final = (harness.server, harness.persistence)


def test_every_other_operation_of_storage_is_used() -> None:
    """Each operation of a resource has a caller in the server, or a reason why it has none."""
    text = "\n".join(
        file.read_text(encoding="utf-8")
        for package in _SOURCES
        for file in Path(str(package.__file__)).parent.rglob("*.py")
    )
    used = {f"{resource}.{name}" for resource, name in _CALL.findall(text)}
    known = {
        f"{resource}.{name}"
        for resource, protocol in FULL.items()
        for name in dir(protocol)
        if not name.startswith("_")
    }
    assert known - used == UNUSED.keys()
