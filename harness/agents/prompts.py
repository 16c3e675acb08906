"""What the graphs ask a model, in words that a real one understands as well as ours."""

from collections.abc import Iterable

SUMMARIZE = "Say in a few words what this is about: "
"""Begins the request for a summary; the text follows."""

_KNOWN = "The user asked you in earlier conversations to remember:"
_BULLET = "- "


def facts_prompt(facts: Iterable[str]) -> str:
    """Return the system prompt that tells a model what is known of the user, a line a fact."""
    return "\n".join([_KNOWN, *(_BULLET + fact for fact in facts)])


def facts_in_prompt(text: str) -> list[str]:
    """Return the facts that `facts_prompt` was given; of another text, none."""
    heading, *lines = text.split("\n")
    return [line.removeprefix(_BULLET) for line in lines] if heading == _KNOWN else []
