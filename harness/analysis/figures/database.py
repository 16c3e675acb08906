"""A picture of what lies in a database."""

from collections.abc import Sequence

from harness.analysis.style import BLUE, GREY, Picture, bare, nothing, picture, styled
from harness.analysis.words import counted
from harness.schema.inspect import Table

_UNITS = {"bytes": 1, "kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}


@styled
def table_sizes(tables: Sequence[Table]) -> Picture:
    """Rows and bytes of each table, of those that `inspect_database` lists with both."""
    rows = [
        (str(name), int(count), str(size))
        for table in tables
        if table.columns == ("table", "rows", "size")
        for name, count, size in table.rows
    ]
    if not rows:
        return nothing("There are no tables")
    rows.sort(key=lambda row: (-size_bytes(row[2]), row[0]))
    total = sum(count for _, count, _ in rows)
    largest, _, _ = rows[0]
    figure = picture(
        f"{counted(total, 'row')} in {counted(len(rows), 'table')}; {largest} is the largest",
        "Size on disk with indexes, and number of rows. An empty table has its indexes' pages.",
        height_in=len(rows) * 0.3 + 0.25,
    )
    axes = figure.subplots()
    bare(axes)
    sizes = [size_bytes(size) for _, _, size in rows]
    axes.barh(range(len(rows)), sizes, color=BLUE, height=0.62)
    for y, (_, count, size) in enumerate(rows):
        axes.text(
            sizes[y], y, f"  {size}, {counted(count, 'row')}", va="center", color=GREY, fontsize=9.5
        )
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, max(sizes) * 1.25)
    axes.set_xticks([])
    return figure


def size_bytes(pretty: str) -> int:
    """Read what PostgreSQL's `pg_size_pretty` wrote, such as "48 kB" (its units are 1,024-fold)."""
    number, unit = pretty.split()
    return int(number) * _UNITS[unit]
