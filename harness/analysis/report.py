"""Merge executed notebooks into one HTML file that needs nothing beside itself."""

import html
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template
from typing import Any, Final

from nbconvert import HTMLExporter

from harness.analysis.summary import Summary
from harness.measure.records import Environment

TITLE: Final = "LangGraph persistence harness"

_TEMPLATES: Final = Path(__file__).with_name("templates")


@dataclass(frozen=True, slots=True)
class Chapter:
    """One notebook of the report."""

    name: str
    """Short, for the navigation; unique in the report."""
    document: Any
    """The notebook as nbformat holds it, with outputs."""
    failure: str = ""
    """Why it did not run to its end, if it did not."""


def render(
    chapters: Sequence[Chapter],
    *,
    summary: Summary,
    environment: Environment | None,
    made: str,
) -> str:
    """Return the report as HTML.

    Everything is inside: styles, and pictures as data URIs; there is no script, and the page's own
    Content-Security-Policy forbids the browser to ask anybody for anything.

    Args:
        chapters: In the order to show them.
        summary: What was found.
        environment: What it was found on.
        made: When and how, in one line.
    """
    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        template_name="notebook",
        extra_template_basedirs=[str(_TEMPLATES)],
        exclude_anchor_links=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    names = ["summary", *(chapter.name for chapter in chapters), "environment"]
    return Template((_TEMPLATES / "report.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(TITLE),
        style=(_TEMPLATES / "report.css").read_text(encoding="utf-8"),
        lead=html.escape(summary.headline),
        made=html.escape(made),
        navigation="".join(
            f'<a href="#{_identity(name)}">{html.escape(name.capitalize())}</a>' for name in names
        ),
        summary=_table(
            ("what", "found"),
            [(line.what, line.found, line.mood) for line in summary.lines],
        ),
        sections="\n".join(_section(exporter, chapter) for chapter in chapters),
        environment=_table(
            ("fact", "value"), [(name, value, "plain") for name, value in _facts(environment)]
        ),
    )


def _section(exporter: HTMLExporter, chapter: Chapter) -> str:
    body, _ = exporter.from_notebook_node(chapter.document)
    failure = ""
    if chapter.failure:
        failure = f'<p class="failure" role="alert">{html.escape(chapter.failure)}</p>'
    return f'<section id="{_identity(chapter.name)}">\n{failure}{body}\n</section>'


def _table(head: Sequence[str], rows: Sequence[tuple[str, str, str]]) -> str:
    lines = [
        f'<tr><th scope="row">{html.escape(what)}</th>'
        f'<td class="{mood}">{html.escape(found)}</td></tr>'
        for what, found, mood in rows
    ]
    heads = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in head)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _facts(environment: Environment | None) -> list[tuple[str, str]]:
    if environment is None:
        return []
    facts = [
        ("processor", f"{environment.cpu}, {environment.cores} cores"),
        ("memory", f"{environment.memory_bytes / 2**30:.1f} GiB"),
        ("system", environment.platform),
        ("Python", environment.python),
    ]
    if environment.postgres is not None:
        settings = asdict(environment.postgres)
        facts.append(("PostgreSQL", settings.pop("version")))
        facts += [(name.replace("_", " "), str(value)) for name, value in settings.items()]
    return [*facts, *sorted(environment.libraries.items())]


def _identity(name: str) -> str:
    return name.lower().replace(" ", "-")
