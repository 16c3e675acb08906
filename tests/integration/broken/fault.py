"""What a broken backend is: a memory backend with one fault, and the promise that it breaks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from harness.storage.extensions import FullStorage
from harness.storage.local import LocalStorage
from harness.storage.memory import MemoryBackend
from harness.storage.memory.probe import MemoryProbe
from harness.storage.probe import Probe


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail."""

    name: str
    promise: int
    """The number of the promise that it breaks, and under which it must be caught."""
    build: Callable[[], tuple[FullStorage, Probe]]
    """Make a broken storage, empty, and a sound probe of it."""


def engine(**engines: Callable[..., Any]) -> tuple[FullStorage, Probe]:
    """Make a storage some of whose engines are of other classes."""
    backend = MemoryBackend()
    for name, make in engines.items():
        setattr(backend, name, make(backend.tables))
    return LocalStorage(backend), MemoryProbe(backend.tables)


def face(**faces: Callable[..., Any]) -> tuple[FullStorage, Probe]:
    """Make a storage some of whose public resources are of other classes."""
    backend = MemoryBackend()
    storage = LocalStorage(backend)
    for name, make in faces.items():
        setattr(storage, name, make(getattr(backend, name)))
    return storage, MemoryProbe(backend.tables)


def of_engine(promise: int, **engines: type) -> Fault:
    """Return the fault of one engine class, under the name of the class."""
    [broken] = engines.values()
    return Fault(broken.__name__, promise, lambda: engine(**engines))


def of_face(promise: int, **faces: type) -> Fault:
    """Return the fault of one public resource's class, under the name of the class."""
    [broken] = faces.values()
    return Fault(broken.__name__, promise, lambda: face(**faces))


SOUND: Final = Fault("Sound", 0, engine)
"""The backend without a fault."""
