"""Typed reading of environment variables; each error names the variable."""

import os
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from harness.errors import ConfigError

TRUE: Final = frozenset({"1", "true", "yes", "on"})
FALSE: Final = frozenset({"0", "false", "no", "off"})

ChoiceT = TypeVar("ChoiceT", bound=str)


class Environment:
    """The variables of this process, or those that are given."""

    def __init__(self, environ: Mapping[str, str] | None) -> None:
        self._environ = os.environ if environ is None else environ

    def text(self, name: str) -> str | None:
        """Read a text; what is empty counts as unset."""
        return self._environ.get(name, "").strip() or None

    def integer(self, name: str, default: int) -> int:
        """Read a whole number."""
        text = self.text(name)
        try:
            return default if text is None else int(text)
        except ValueError as exc:
            raise ConfigError(f"{name} must be a whole number, not {text!r}") from exc

    def number(self, name: str, default: float) -> float:
        """Read a number."""
        text = self.text(name)
        try:
            return default if text is None else float(text)
        except ValueError as exc:
            raise ConfigError(f"{name} must be a number, not {text!r}") from exc

    def flag(self, name: str) -> bool:
        """Read yes or no."""
        text = (self.text(name) or "false").lower()
        if text not in TRUE | FALSE:
            raise ConfigError(f"{name} must be true or false, not {text!r}")
        return text in TRUE

    def choice(self, name: str, default: ChoiceT, options: Sequence[ChoiceT]) -> ChoiceT:
        """Read one of several words."""
        text = self.text(name)
        for option in options:
            if text == option:
                return option
        if text is not None:
            raise ConfigError(f"{name} must be one of {', '.join(options)}, not {text!r}")
        return default
