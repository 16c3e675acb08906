"""A verdict as lines of Markdown, which read well in a terminal too."""

from collections.abc import Iterator
from typing import Final

from harness.verdicts.verdict import Cause, State, Verdict

_TITLES: Final[dict[State, str]] = {
    "broken": "Broken",
    "refused": "Refused loudly",
    "not offered": "Not offered",
    "not asked": "Not asked",
}
"""Of what is told one by one, the worst first."""
_MOST_TESTS = 5
_MOST_LINES = 8


def headline(verdict: Verdict) -> str:
    """Return the verdict in one line."""
    faults = len(verdict.broken)
    if not verdict.counted:
        return f"{verdict.subject} could not be asked"
    kept = sum(len(one.tests) for one in verdict.causes if one.state == "kept")
    found = f"{faults} fault{'s' * (faults != 1)} found" if faults else "no fault found"
    return f"{verdict.subject}: {found}; {kept} of {len(verdict.counted)} tests passed"


def lines(verdict: Verdict) -> Iterator[str]:
    """Yield the verdict, line by line."""
    yield f"# {headline(verdict)}"
    yield ""
    yield f"- {verdict.kind} `{verdict.class_name}`" + (
        f" of {verdict.distribution}" if verdict.distribution else ""
    )
    yield f"- asked on {verdict.made_at:%Y-%m-%d %H:%M} UTC, in {verdict.duration_s:.0f} s"
    apart = len(verdict.answers) - len(verdict.counted)
    if apart:
        yield f"- {apart} tests of promises that are this project's alone are not counted (--ours)"
    found = verdict.causes
    for state, title in _TITLES.items():
        causes = [one for one in found if one.state == state]
        if causes:
            yield ""
            yield f"## {title}"
            for cause in causes:
                yield ""
                yield from _of_cause(cause)


def _of_cause(cause: Cause) -> Iterator[str]:
    tests = [f"{one.contract.removeprefix('Test')}.{one.test}" for one in cause.tests]
    promises = ", ".join(map(str, cause.promises))
    yield f"- **{cause.what}**" + (f" (promise {promises})" if promises else "")
    more = f" and {len(tests) - _MOST_TESTS} more" if len(tests) > _MOST_TESTS else ""
    yield f"  {len(tests)} test{'s' * (len(tests) != 1)}: {', '.join(tests[:_MOST_TESTS])}{more}"
    if cause.state == "broken":
        example = cause.tests[0]
        yield f"  asked: {' '.join(example.asked.split())}"
        for line in example.message.splitlines()[:_MOST_LINES]:
            yield f"      {line}"
