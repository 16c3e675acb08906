"""Item filters as SQL: fixed fragments, one a condition; keys and operands are parameters."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from harness.storage.filters import Condition, Operator
from harness.storage.postgres.codec import dumps
from harness.storage.postgres.sql import Blocks

_OPERATORS: Final[Mapping[Operator, str]] = {
    "$eq": "=",
    "$ne": "<>",
    "$gt": ">",
    "$gte": ">=",
    "$lt": "<",
    "$lte": "<=",
}


def filter_sql(blocks: Blocks, conditions: Sequence[Condition]) -> tuple[str, dict[str, Any]]:
    """Return the conditions as SQL, each beginning with AND, and their parameters."""
    parts: list[str] = []
    parameters: dict[str, Any] = {}
    for index, condition in enumerate(conditions):
        places = [f"key_{index}_{depth}" for depth in range(len(condition.path))]
        parameters.update(zip(places, condition.path, strict=True))
        steps = " ".join(blocks.render("step", place=place) for place in places)
        name, operand = _comparison(condition)
        place = f"operand_{index}"
        parameters[place] = operand
        parts.append(
            blocks.render(
                name,
                value=blocks.render("value", steps=steps),
                operator=_OPERATORS[condition.operator],
                place=place,
            )
        )
    return " ".join(parts), parameters


def _comparison(condition: Condition) -> tuple[str, Any]:
    """Return the fragment that compares with an operand, and the operand as its parameter."""
    if condition.operator in ("$eq", "$ne"):
        return "compare", dumps(condition.operand)
    if isinstance(condition.operand, str):
        return "compare_strings", condition.operand
    return "compare_numbers", dumps(condition.operand)
