"""What each owner holds of something that there is only so much of."""

from collections import Counter


class Shares:
    """Counts what owners hold.

    Args:
        most: How many one owner may hold.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._held: Counter[str] = Counter()

    def take(self, owner: str) -> None:
        """Note that an owner holds one more."""
        self._held[owner] += 1

    def give(self, owner: str) -> None:
        """Note that an owner holds one less."""
        self._held[owner] -= 1
        if not self._held[owner]:
            del self._held[owner]

    def is_full(self, owner: str) -> bool:
        """Whether an owner holds as many as one may."""
        return self._held[owner] >= self.most

    @property
    def full(self) -> list[str]:
        """The owners who hold as many as one may."""
        return [owner for owner, held in self._held.items() if held >= self.most]
