"""Loads the SQL that stands in `.sql` files beside the modules, as named blocks.

A block begins with a line such as `-- statement: get`:

- a `statement` is sent as it is;
- a `template` has places, such as `{order}`, that `Template.render` fills with fragments;
- a `fragment` stands in other blocks, wherever `{its name}` does.

Nothing a caller wrote ever becomes SQL text: values travel as parameters, and what is chosen by an
argument (an order, a condition) is chosen among fragments.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Final, Literal

Kind = Literal["statement", "template", "fragment"]

_HEADER: Final = re.compile(r"^-- (statement|template|fragment): (\w+)\n", re.MULTILINE)
_COMMENT: Final = re.compile(r"--[^\n]*")
_PLACE: Final = re.compile(r"\{(\w+)\}")


class Blocks(Mapping[str, str]):
    """The named blocks of one file; those of a template are its text with places left in."""

    def __init__(self, text: str) -> None:
        parts = _HEADER.split(text)
        self.kinds: dict[str, Kind] = {}
        self._texts: dict[str, str] = {}
        for kind, name, body in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
            if name in self._texts:
                raise ValueError(f"block {name!r} stands twice")
            # psycopg parses a statement anew on each call if it is longer than 4 kB, so no comment
            # and no indentation goes with it.
            self._texts[name] = " ".join(_COMMENT.sub("", body).split())
            self.kinds[name] = kind  # type: ignore[assignment]  # one of the header's three words
        for name, kind in self.kinds.items():
            if kind != "fragment":
                self._texts[name] = self._expanded(name, optional=kind == "template")

    def __getitem__(self, name: str) -> str:
        return self._texts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def render(self, name: str, **places: str) -> str:
        """Return a template with its places filled."""
        return _PLACE.sub(lambda place: places[place[1]], self._texts[name])

    def _expanded(self, name: str, *, optional: bool) -> str:
        def fill(place: re.Match[str]) -> str:
            if self.kinds.get(place[1]) == "fragment":
                return self._expanded(place[1], optional=optional)
            if optional:
                return place[0]
            raise ValueError(f"block {name!r} names {place[0]}, which is no fragment")

        return _PLACE.sub(fill, self._texts[name])


@cache
def load(name: str, *, package: str = "harness.storage.postgres") -> Blocks:
    """Return the blocks of `<name>.sql`, which lies beside the modules of a package."""
    file = resources.files(package).joinpath(f"{name}.sql")
    return Blocks(file.read_text(encoding="utf-8"))
