"""Which checkpoints stay when a history is shortened: the rule, for every backend.

Checkpoints form a tree in each namespace of a thread: each names its parent. A backend tells of
all of a thread's at once (`Link`), and deletes what `settle` says (`Settlement`). The facts about
LangGraph that this rests on are those of langgraph 1.2 and langgraph-checkpoint-postgres 3.2.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby

from harness.storage.requests import Keeping


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What is to know of a checkpoint to decide whether it goes."""

    namespace: str
    checkpoint_id: str
    parent_id: str | None
    made_at: datetime | None
    """By the clock of whoever made it; None if it does not say."""
    root: str | None = None
    """The root graph's checkpoint that a subgraph's call started from."""
    run_id: str | None = None
    """The run that made it, if its metadata say so."""
    sends: bool = False
    """It is older than format 4, and reads pending sends from its parent's writes."""
    open: frozenset[str] = frozenset()
    """The delta channels whose value is not stored here, but rebuilt from ancestors."""
    stored: frozenset[str] = frozenset()
    """The delta channels whose value is stored here."""


@dataclass(slots=True, kw_only=True)
class Settlement:
    """What goes of one thread."""

    calls: list[str] = field(default_factory=list)
    """Namespaces that go as a whole."""
    gone: dict[str, list[str]] = field(default_factory=dict)
    """Of the other namespaces that lose something, the ids of the checkpoints that go."""
    kept: dict[str, set[str]] = field(default_factory=dict)
    """Of those, the ids of the checkpoints that stay."""
    lost: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """Of those, by channel, the checkpoints that stay but from which it is not rebuilt any more."""

    def __bool__(self) -> bool:
        """Whether anything goes."""
        return bool(self.calls or self.gone)


def time_of(text: str | None) -> datetime | None:
    """Return the time that a checkpoint's `ts` tells, None if it tells none."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


Stays = Callable[[int, Link], bool]
"""Whether a checkpoint is to stay, from its place (0 is the newest of its namespace) and itself."""


def newest(keeping: Keeping, now: datetime) -> Stays:
    """Let the newest stay, and what is too young to go; what does not tell its age is young."""
    if keeping.older_than_s is None:
        return lambda place, _: place < keeping.keep
    until = now - timedelta(seconds=keeping.older_than_s)
    return lambda place, link: place < keeping.keep or link.made_at is None or link.made_at > until


def not_of(run_ids: Collection[str]) -> Stays:
    """Let stay what other runs made."""
    return lambda _, link: link.run_id not in run_ids


def settle(links: Sequence[Link], stays: Stays, *, with_calls: bool = True) -> Settlement:
    """Return what goes of a thread, if only what `stays` and what that needs is to stay.

    A checkpoint from before format 4 needs its parent, whose writes hold its pending sends. A
    delta channel needs the ancestors up to the nearest one that stores its value, or to the root.
    An ancestor that stays for that alone is whole but for those delta channels that would have to
    be rebuilt from what is older still: these read as never written there, instead of as a part
    of what they were. (To keep for them what they need would keep all, wherever two channels
    store their values at different steps.)

    Takes time in proportion to the number of checkpoints.

    Args:
        links: All checkpoints of the thread; namespaces together, newest first in each. An
            ancestor is older than its descendants, on which LangGraph's savers rely too.
        stays: Which are to stay, whatever others need.
        with_calls: The namespace of a subgraph's call (`:` stands in its name) goes as a whole
            when the root checkpoint goes that it started from. One whose root checkpoint is not
            there stays: runs save in the background, so that a call may be stored before it.
    """
    spaces = {name: list(group) for name, group in groupby(links, key=lambda one: one.namespace)}
    settlement = Settlement()
    root_gone: set[str] = set()
    for name, space in sorted(spaces.items()):  # the root's first
        if with_calls and ":" in name and space[0].root in root_gone:
            settlement.calls.append(name)
            continue
        kept = _kept(space, stays)
        gone = [link.checkpoint_id for link in space if link.checkpoint_id not in kept]
        if name == "":
            root_gone.update(gone)
        if gone:
            settlement.gone[name] = gone
            settlement.kept[name] = kept
            if lost := _lost(space, kept):
                settlement.lost[name] = lost
    return settlement


def _kept(space: Iterable[Link], stays: Stays) -> set[str]:
    """Return what stays of a namespace, walking from the newest to the oldest."""
    kept: set[str] = set()
    needed: dict[str, frozenset[str]] = {}
    sending: set[str] = set()
    for place, link in enumerate(space):
        walked = needed.pop(link.checkpoint_id, frozenset())
        missing = walked - link.stored
        if stays(place, link):
            missing |= link.open
            if link.sends and link.parent_id is not None:
                sending.add(link.parent_id)
        elif not walked and link.checkpoint_id not in sending:
            continue
        kept.add(link.checkpoint_id)
        if missing and link.parent_id is not None:
            needed[link.parent_id] = needed.get(link.parent_id, frozenset()) | missing
    return kept


def _lost(space: Sequence[Link], kept: Collection[str]) -> dict[str, list[str]]:
    """Return, by channel, the kept checkpoints that have lost a part of its way back."""
    known = {link.checkpoint_id: link for link in space}
    every = frozenset[str]().union(*(link.open | link.stored for link in space))
    broken: dict[str, frozenset[str]] = {}
    lost: dict[str, list[str]] = {}
    for link in reversed(space):
        if link.checkpoint_id not in kept:
            continue
        parent = known.get(link.parent_id or "")
        if parent is None:  # it is a root, or was without its parent before
            continue
        if parent.checkpoint_id in kept:
            cut = broken.get(parent.checkpoint_id, frozenset()) - parent.stored
        else:
            cut = every
        broken[link.checkpoint_id] = cut
        for channel in link.open & cut:
            lost.setdefault(channel, []).append(link.checkpoint_id)
    return lost
