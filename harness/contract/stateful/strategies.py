"""What random histories are made of: few owners and ids, so that they collide, and nasty values."""

from typing import Any, Final
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from harness.models import SYSTEM, ThreadHead


class Id(str):
    """The name of an id, which each side has its own value for."""

    __slots__ = ()


def pool(prefix: str, count: int, *more: str) -> SearchStrategy[Id]:
    """Return a strategy for the names of a few ids; `more` are ids that the storage makes.

    The first, which is ada's from the start, comes up more often than the others.
    """
    names = [f"{prefix}0", f"{prefix}0", *(f"{prefix}{number}" for number in range(count))]
    return st.sampled_from([Id(name) for name in (*names, *more)])


def fixed_id(name: str) -> str:
    """Return the value of an id that the caller makes, the same on every side.

    They sort before every UUIDv7, so that server-made ids come after them on every side.
    """
    return str(UUID(bytes=name.encode().rjust(14, b"\0") + b"\0\0"))


OWNERS: Final = st.sampled_from(["ada", "ada", "ada", "ada", "ada", "bob", SYSTEM])
ASSISTANTS: Final = pool("a", 3)
THREADS: Final = pool("t", 4, "copy", "fired-thread")
RUNS: Final = pool("r", 5, "fired-run")
CRONS: Final = pool("c", 4)
CHECKPOINTS: Final = pool("s", 4)
GRAPHS: Final = st.sampled_from(["agent", "agent", "chat"])
NAMES: Final = st.sampled_from(["Ada", "ada%", "STRASSE", "Stra\u00dfe", "a_b", "\u0130x"])
NAME_PARTS: Final = st.sampled_from(["", "ADA", "t", "%", "_", "ss", "\u00df", "x", "i"])

_SCALARS: Final = st.one_of(
    st.sampled_from([None, True, False, 0, 1, 1.0, -0.0, "1", "", "a", "%", "\u00e9"]),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([1e16, 1e22, 5e-324, 1.7e308, 2.0**63, -(2.0**63), 123456789012345.6]),
    st.text(max_size=5),
)
_FAMILIAR: Final[SearchStrategy[Any]] = st.sampled_from(
    [1, 1.0, True, "1", None, [], {}, [1, "a"], ["a"], {"a": 1}, {"a": {"0": [1]}}, [[1]], [{}]]
)


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


UNSTORABLE: Final = st.sampled_from(
    [
        float("nan"),
        float("inf"),
        "\x00",
        "a\ud800",
        2**63,
        -(2**63) - 1,
        {1: "number as a key"},
        b"bytes",
        {"a", "set"},
        _deep(120),
    ]
)
_KEYS: Final = st.one_of(st.sampled_from(["a", "b", "0", "%"]), st.text(max_size=3))
JSON: Final[SearchStrategy[Any]] = st.one_of(
    _FAMILIAR,
    st.recursive(
        _SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
        max_leaves=6,
    ),
)
OBJECTS: Final = st.one_of(
    st.dictionaries(st.sampled_from(["a", "b", "0"]), _FAMILIAR, max_size=2),
    st.dictionaries(_KEYS, JSON, max_size=3),
    # Seldom: the refusals are quickly seen, and a refused call tests nothing else.
    st.integers(0, 9).flatmap(
        lambda n: st.fixed_dictionaries({"a": UNSTORABLE}) if n == 9 else st.just({})
    ),
)
PATTERNS: Final = st.one_of(
    st.sampled_from([{}, {}, {"owner": "ada"}]),
    st.dictionaries(st.sampled_from(["a", "b", "0"]), _FAMILIAR, max_size=1),
    OBJECTS,
)
"""Objects for containment; most of them small enough to be contained in something."""

HEADS: Final = st.fixed_dictionaries(
    {
        "values": st.none() | OBJECTS,
        "interrupts": st.dictionaries(_KEYS, st.lists(OBJECTS, max_size=1), max_size=1),
        "error": st.none() | OBJECTS,
    }
)
"""What a thread is told to show, but for its checkpoint."""

ORDERS: Final = st.sampled_from(["asc", "desc"])


def pages(*sort_fields: str) -> SearchStrategy[dict[str, Any]]:
    """Return a strategy for the paging arguments of a search."""
    return st.one_of(
        st.just({}),
        st.fixed_dictionaries(
            {"sort_by": st.sampled_from(sort_fields), "sort_order": ORDERS},
            optional={"limit": st.integers(1, 4), "offset": st.integers(0, 3)},
        ),
    )


def a_head(checkpoint_id: Id | None, given: dict[str, Any]) -> ThreadHead:
    """Return a head at a checkpoint, whose name stands for the same id on every side."""
    made = None if checkpoint_id is None else fixed_id(checkpoint_id)
    return ThreadHead(checkpoint_id=made, **given)


def optional(**strategies: SearchStrategy[Any]) -> SearchStrategy[dict[str, Any]]:
    """Return a strategy for keyword arguments, each given or left out."""
    return st.fixed_dictionaries({}, optional=strategies)
