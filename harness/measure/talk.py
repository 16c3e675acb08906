"""A conversation of any length, whose words are the same each time it is held.

The model that this project's agents have without a key repeats what it was told, which compresses
far better than an answer does. Here both sides say something new, a sentence or two at a time.
"""

from random import Random
from typing import Final

from langchain_core.messages import BaseMessage, HumanMessage

from harness.agents import DeterministicChatModel
from harness.agents.prompts import SUMMARIZE

_PROSE: Final = (
    "the of and to in is that it was for on are as with his they at be this from have or by one "
    "had not but what all were when we there can an your which their said if do will each about "
    "how up out them then she many some so these would other into has more her two like him see "
    "time could no make than first been its who now people my made over did down only way find "
    "use may water long little very after words called just where most know account payment "
    "invoice delivery customer address tomorrow question contract reason supplier meeting "
    "department yesterday colleague document shipment return warranty receipt balance transfer "
    "available because different another important following without between together something "
    "morning evening Thursday weather journey harbour railway station garden kitchen language "
    "history picture machine engine bridge mountain island village market doctor teacher student "
    "answer problem example information service experience development government industry"
)
_WORDS: Final = _PROSE.split()
_WEIGHTS: Final = [1 / (rank + 10) for rank in range(len(_WORDS))]
"""Some words are far more frequent than others, roughly as in prose (Zipf, Mandelbrot)."""


def said(turn: int) -> str:
    """Return what the human says in a turn: one sentence or two."""
    return _prose(f"human {turn}", sentences=(1, 2))


def answered(turn: int) -> str:
    """Return what the model answers in a turn: two sentences to four."""
    return _prose(f"model {turn}", sentences=(2, 4))


class TalkingModel(DeterministicChatModel):
    """A chat model that answers turn by turn, and sums each up in a few words."""

    @property
    def _llm_type(self) -> str:
        return "harness-talking"

    def reply(self, messages: list[BaseMessage]) -> str:
        """Return the answer of the turn that the last human message begins."""
        human = [str(message.text) for message in messages if isinstance(message, HumanMessage)]
        text = human[-1]
        if text.startswith(SUMMARIZE):
            return " ".join(text.removeprefix(SUMMARIZE).split()[:6])
        return answered(len(human))


def _prose(seed: str, *, sentences: tuple[int, int]) -> str:
    random = Random(seed)  # noqa: S311 -- words, no secret
    return " ".join(
        " ".join(random.choices(_WORDS, _WEIGHTS, k=random.randint(8, 16))).capitalize() + "."
        for _ in range(random.randint(*sentences))
    )
