"""What a fault is: one thing of the project that is replaced while a file names it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Final, Literal

Broken = Callable[..., Any]
"""What stands in for a function or method: it is given that one first, then its arguments."""

Pace = Literal["quick", "slow"]
SOUND: Final = "sound"
"""The name of no fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to fail."""

    name: str
    promise: int
    """The number of the promise that it breaks."""
    owner: Any
    """The module or class that has what is replaced, under the name by which it is called there."""
    attribute: str
    broken: Broken
    quick: str | None
    """A test of the promise, in `tests/integration`, that must fail on it; None: `slow` alone."""
    slow: str | None
    """Another one, which has servers of its own or takes long."""

    def install(self, switch: Path) -> None:
        """Replace the attribute by what is broken whenever `switch` names this fault."""
        original, broken = getattr(self.owner, self.attribute), self.broken

        @wraps(original)
        def either(*args: Any, **kwargs: Any) -> Any:
            if switch.read_text() == self.name:
                return broken(original, *args, **kwargs)
            return original(*args, **kwargs)

        setattr(self.owner, self.attribute, either)


FAULTS: Final[dict[str, Fault]] = {}
"""All faults, by their names."""


def fault(
    promise: int,
    owner: Any,
    attribute: str,
    *,
    quick: str | None = None,
    slow: str | None = None,
) -> Callable[[Broken], Broken]:
    """Register a function as a fault of its name; the arguments are those of `Fault`."""

    def register(broken: Broken) -> Broken:
        FAULTS[broken.__name__] = Fault(
            name=broken.__name__,
            promise=promise,
            owner=owner,
            attribute=attribute,
            broken=broken,
            quick=quick,
            slow=slow,
        )
        return broken

    return register


def caught_by(pace: Pace) -> dict[str, str]:
    """Return by faults the tests that must fail on them, of all that have one of this pace."""
    tests = {name: one.quick if pace == "quick" else one.slow for name, one in FAULTS.items()}
    return {name: test for name, test in tests.items() if test is not None}


def met(test: str, fault: str) -> str:
    """Return the id that a test has when it meets a fault, or `SOUND`."""
    return f"{test.removesuffix(']')}-{fault}]" if test.endswith("]") else f"{test}[{fault}]"
