"""What the deterministic model answers: a pure function of the messages, and nothing else."""

import re
from collections.abc import Iterable, Sequence

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from harness.agents.prompts import SUMMARIZE, facts_in_prompt

_TELLS_NAME = re.compile(
    r"\bmy name(?:['’]s| is)\s+([^.,;:!?\n]+?)(?=\s+(?:and|but)\b|[.,;:!?\n]|\s*$)",  # noqa: RUF001 -- phones type this apostrophe
    re.IGNORECASE,
)
_ASKS_NAME = re.compile(
    r"\bmy name\s*\?|\bwhat(?:['’]s| is) my name\b|\bwho am i\b",  # noqa: RUF001 -- the same
    re.IGNORECASE,
)
_TELLS_FACT = re.compile(
    r"\s*(?:please,?\s+)?remember that\s+(.+?)[.!\s]*", re.IGNORECASE | re.DOTALL
)
_ASKS_FACTS = re.compile(r"\bwhat do you know\b", re.IGNORECASE)


def reply_to(messages: Sequence[BaseMessage]) -> str:
    """Return the answer to the last human message, given all that was said before it.

    It is never empty, and the same messages always get the same one.
    """
    said = [str(message.text) for message in messages if isinstance(message, HumanMessage)]
    known = [
        fact
        for message in messages
        if isinstance(message, SystemMessage)
        for fact in facts_in_prompt(str(message.text))
    ]
    text = said[-1] if said else ""
    if text.startswith(SUMMARIZE):
        return f"This is about: {text.removeprefix(SUMMARIZE)}"
    if _ASKS_NAME.search(text):
        name = _last_name([*known, *said])
        return f"Your name is {name}." if name else "I don't know your name."
    if _ASKS_FACTS.search(text):
        told = (fact_in(line) for line in said)
        facts = list(dict.fromkeys([*known, *(fact for fact in told if fact)]))
        return f"You told me: {'; '.join(facts)}." if facts else "I don't know anything about you."
    if fact := fact_in(text):
        return f"I will remember that {fact}."
    if name := _last_name([text]):
        return f"Nice to meet you, {name}."
    return f"You said: {text}"


def fact_in(text: str) -> str | None:
    """Return what "Remember that …" asks to remember, in one line; None if it asks nothing."""
    found = _TELLS_FACT.fullmatch(text)
    return " ".join(found[1].split()) or None if found else None


def _last_name(lines: Iterable[str]) -> str | None:
    names = [name.strip() for line in lines for name in _TELLS_NAME.findall(line)]
    return names[-1] if names else None
