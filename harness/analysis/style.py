"""How every figure looks: colours, type, and the header that carries the message."""

import io
import math
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.textpath import TextToPath
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

# Okabe and Ito, "Color Universal Design" (2008): apart for every common kind of colour vision.
BLUE: Final = "#0072B2"
ORANGE: Final = "#E69F00"
GREEN: Final = "#009E73"
VERMILLION: Final = "#D55E00"
SKY: Final = "#56B4E9"
PURPLE: Final = "#CC79A7"
INK: Final = "#1F2328"
GREY: Final = "#6B7280"
FAINT: Final = "#D8DCE2"

SUBJECTS: Final = {"memory": ORANGE, "postgres": BLUE}
"""A colour for each backend, the same in every picture; floors are grey."""

WIDTH_IN: Final = 8.6
PIXELS_PER_INCH: Final = 100
"""At which a figure is shown; the picture itself has twice as many, for sharp screens."""

_RC: Final[Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
}

_TITLE_PT: Final = 13.5
_SUBTITLE_PT: Final = 10
_MARGIN_IN: Final = 0.12

P = ParamSpec("P")
T = TypeVar("T")


class Picture(Figure):
    """A figure that shows itself in a notebook, without pyplot's global state."""

    message: str = ""
    """What it says, for those who cannot see it."""

    def png(self, *, scale: float = 2) -> bytes:
        """Draw it; `scale` is picture pixels per pixel on the screen."""
        buffer = io.BytesIO()
        FigureCanvasAgg(self).print_figure(
            buffer, format="png", dpi=PIXELS_PER_INCH * scale, facecolor="white"
        )
        return buffer.getvalue()

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        width = round(self.get_figwidth() * PIXELS_PER_INCH)
        return self.png(), {"width": width, "alt": self.message}


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """Let a function draw in this style, whatever the user's matplotlib is set to."""

    @wraps(draw)
    def inner(*args: P.args, **kwargs: P.kwargs) -> T:
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(_RC)
            return draw(*args, **kwargs)

    return inner


def picture(
    message: str, subtitle: str = "", *, height_in: float, width_in: float = WIDTH_IN
) -> Picture:
    """Return an empty figure with its message as the header; the height is that of the plot.

    Args:
        message: The one thing to see, as a sentence.
        subtitle: What is drawn, and in which unit.
        height_in: Inches for the axes; the header's come on top.
        width_in: Inches from side to side.
    """
    room_in = width_in - 2 * _MARGIN_IN
    title = _wrapped(message, room_in, _TITLE_PT, weight="bold")
    below = _wrapped(subtitle, room_in, _SUBTITLE_PT)
    title_in = len(title) * _TITLE_PT * 1.25 / 72
    header_in = title_in + len(below) * _SUBTITLE_PT * 1.35 / 72 + 2 * _MARGIN_IN
    total_in = height_in + header_in
    figure = Picture(figsize=(width_in, total_in), layout="constrained")
    figure.message = message
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(rect=(0, 0, 1, 1 - header_in / total_in), w_pad=0.08, h_pad=0.06)
    left = _MARGIN_IN / width_in
    figure.text(
        left,
        1 - _MARGIN_IN / total_in,
        "\n".join(title),
        fontsize=_TITLE_PT,
        fontweight="bold",
        va="top",
        linespacing=1.2,
    )
    figure.text(
        left,
        1 - (_MARGIN_IN + title_in + 0.03) / total_in,
        "\n".join(below),
        fontsize=_SUBTITLE_PT,
        color=GREY,
        va="top",
        linespacing=1.3,
    )
    return figure


def nothing(message: str) -> Picture:
    """Return a picture of its message alone, where there is nothing to draw."""
    return picture(message, height_in=0.1)


def colour_of(subject: str) -> str:
    """The colour of a backend; whatever is no known backend is a floor, and grey."""
    return SUBJECTS.get(subject, GREY)


def readable(colour: str) -> str:
    """A darker tone of a colour, for small type on white."""
    red, green, blue = to_rgb(colour)
    return to_hex((red * 0.72, green * 0.72, blue * 0.72))


def log_axis(axis: XAxis | YAxis, low: float, high: float, text: Callable[[float], str]) -> None:
    """Make a logarithmic axis from `low` to `high` with ticks that people can read.

    At 1, 2 and 5 of every power of ten; only at the powers where those would be too many.
    """
    axis.axes.set(**{f"{axis.axis_name}scale": "log", f"{axis.axis_name}lim": (low, high)})
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if math.log10(high / low) < 2.6 else (1,)
    ticks = [step * 10.0**power for power in powers for step in steps]
    axis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())
    axis.grid(visible=True)


def steps_axis(axes: Axes, steps: Iterable[float], label: str = "") -> None:
    """Make the x axis logarithmic, with a tick at each of the steps that were measured."""
    at = sorted({int(step) for step in steps})
    axes.set_xscale("log")
    axes.set_xticks(at, [f"{step:,}" for step in at])
    axes.minorticks_off()
    axes.set_xlabel(label)


def steps_grid(axes: Axes, steps: Iterable[float], label: str = "") -> None:
    """Make a `steps_axis` with room at both ends, in a grid."""
    at = sorted(set(steps))
    steps_axis(axes, at, label)
    axes.set_xlim(at[0] / 1.25, at[-1] * 1.25)
    axes.grid(visible=True, color=FAINT)


def named_rows(axes: Axes, names: Sequence[str]) -> None:
    """Write a name beside each row of a picture whose y axis counts its rows from 0."""
    axes.set_yticks(range(len(names)), names)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def draw_mark(axes: Axes, x: float, y: float, mark: str, colour: str, *, boxed: bool) -> None:
    """Draw a mark in a cell of a matrix; a boxed one, white on its colour, is not to be missed."""
    box = {"boxstyle": "round,pad=0.15", "facecolor": colour, "edgecolor": "none"}
    axes.text(
        x,
        y,
        mark,
        ha="center",
        va="center",
        color="white" if boxed else colour,
        fontsize=11,
        fontweight="bold",
        bbox=box if boxed else None,
    )


def _wrapped(text: str, room_in: float, size_pt: float, weight: str = "normal") -> list[str]:
    """Break text into lines that fit, by the widths of its letters."""
    font = FontProperties(size=size_pt, weight=weight)
    measure = TextToPath()
    lines: list[str] = []
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        width_pt, _, _ = measure.get_text_width_height_descent(longer, font, ismath=False)
        if lines and width_pt / 72 <= room_in:
            lines[-1] = longer
        elif text:
            lines.append(word)
    return lines


def bare(axes: Axes) -> None:
    """Take away the frame and the ticks, where the picture needs none."""
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0)
