"""What may stand in the headers of an answer (RFC 9110, section 5)."""

import re
from typing import Final

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FORBIDDEN: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")


def is_token(text: str) -> bool:
    """Whether text can be the name of a header or of a method."""
    return _NAME.fullmatch(text) is not None


def is_value(text: str) -> bool:
    """Whether text can be the value of a header: no line break, no other control character."""
    return _FORBIDDEN.search(text) is None
