"""What each owner holds of something that there is only so much of."""

from collections import Counter


class Shares:
    """Decides who may have one more.

    One owner has at most a part of what the others leave, and may always have one while there is
    any. So the first takes no more than that part of all, the next one that part of the rest, and
    something is left for whoever comes after them.

    Args:
        total: How many there are.
        part: Above 0; 1: an owner may have all that is left.
    """

    def __init__(self, total: int, part: float) -> None:
        self._total, self._part = total, part
        self._held: Counter[str] = Counter()

    def held_by(self, owner: str) -> int:
        """Return how many an owner has."""
        return self._held[owner]

    def take(self, owner: str) -> None:
        """Note that an owner has one more."""
        self._held[owner] += 1

    def give(self, owner: str) -> None:
        """Note that an owner has one less."""
        self._held[owner] -= 1
        if not self._held[owner]:
            del self._held[owner]

    def is_full(self, owner: str) -> bool:
        """Whether an owner has as many as it may."""
        held = self._held[owner]
        left_by_others = self._total - self._held.total() + held
        return held >= max(int(left_by_others * self._part), min(left_by_others, 1))

    @property
    def full(self) -> list[str]:
        """The owners who have some, and as many as they may."""
        return [owner for owner in self._held if self.is_full(owner)]
