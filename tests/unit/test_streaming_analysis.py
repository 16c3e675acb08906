"""What is said of streamed turns, from cells whose times are known."""

import pytest

from harness.analysis.figures import far_throughput, stream_ratios, turn_times
from harness.analysis.streaming import (
    slower_cells,
    stream_comparisons,
    streaming_frame,
    streaming_lines,
    streaming_table,
    throughput,
)
from harness.measure.agent_records import StreamCell
from harness.measure.environment import collect
from harness.measure.records import Results
from harness.measure.running import nothing_yet

ROUNDS = 10


async def results_of(*cells: StreamCell) -> Results:
    """Results that hold these cells."""
    empty = await nothing_yet("streaming", None)
    return Results(
        kind="streaming",
        made_at=empty.made_at,
        environment=await collect(None),
        streaming=list(cells),
    )


def cell(
    subject: str, turn_s: float, *, conversations: int = 50, network_ms: float = 2.0
) -> StreamCell:
    """A cell whose every turn takes about as long, and its first token a tenth of it."""
    rounds = [turn_s * (1 + number / 1_000) for number in range(ROUNDS)]
    return StreamCell(
        subject=subject,
        durability="async",
        network_ms=network_ms,
        conversations=conversations,
        pool_size=10,
        wall_s=rounds,
        first_token_s=[[turn / 10] * conversations for turn in rounds],
        total_s=[[turn] * conversations for turn in rounds],
        order=list(range(ROUNDS)),
    )


async def test_the_frame_counts_in_milliseconds_and_turns() -> None:
    """Seconds become milliseconds; turns a second are conversations over the rounds' median."""
    frame = streaming_frame(await results_of(cell("ours", 0.5)))
    [row] = frame.to_dict("records")
    assert row["total_p50_ms"] == pytest.approx(502.25, rel=1e-6)
    assert row["first_token_p50_ms"] == pytest.approx(50.225, rel=1e-6)
    assert row["turns_per_s"] == pytest.approx(50 / 0.50225)


@pytest.mark.parametrize(("ours_s", "told", "mood"), [(0.3, "met", "good"), (0.4, "missed", "bad")])
async def test_throughput_is_judged(ours_s: float, told: str, mood: str) -> None:
    """Three times the stock saver's turns is the aim for 50 conversations far away."""
    results = await results_of(cell("ours", ours_s), cell("stock", 1.0))
    [(_, ratio, verdict)] = throughput(results)
    assert verdict == told
    assert ratio.value == pytest.approx(1 / ours_s)
    [line] = streaming_lines(results)
    assert line.mood == mood
    assert f"aim \u2265 3: {told}" in line.found


async def test_fewer_conversations_have_no_aim() -> None:
    """The target is one of 50 conversations; 20 are told and not judged."""
    few = [cell(name, 1.0, conversations=20) for name in ("ours", "stock")]
    [line] = streaming_lines(await results_of(*few))
    assert line.mood == "plain"
    assert "aim" not in line.found


async def test_only_a_whole_interval_above_is_slower() -> None:
    """6 % more in every round is slower than stock; 4 % is not."""
    near = {"network_ms": 0.0, "conversations": 1}
    slower = await results_of(cell("ours", 1.06, **near), cell("stock", 1.0, **near))  # type: ignore[arg-type]
    assert len(slower_cells(slower)) == 2
    assert "clearly slower" in stream_ratios(slower).message
    assert streaming_lines(slower)[0].mood == "bad"
    equal = await results_of(cell("ours", 1.04, **near), cell("stock", 1.0, **near))  # type: ignore[arg-type]
    assert slower_cells(equal) == []
    assert "nowhere clearly slower" in stream_ratios(equal).message


async def test_pictures_of_nothing() -> None:
    """Without cells, and without a second saver, there is a sentence in place of a picture."""
    for results in (await results_of(), await results_of(cell("none", 1.0, network_ms=0.0))):
        assert stream_comparisons(results) == []
        assert stream_ratios(results).message == "No turn was streamed"
        assert far_throughput(results).message == "No turn was streamed over a slow network"
    assert turn_times(await results_of()).message == "No turn was streamed"


async def test_pictures_say_what_they_show() -> None:
    """Messages hold the numbers, and the table has a row a cell."""
    results = await results_of(cell("ours", 0.3), cell("stock", 1.2))
    assert "301 ms on PooledSaver and 1.2 s" in turn_times(results).message
    assert "4.00\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN} with async" in (
        far_throughput(results).message
    )
    assert len(streaming_table(results)) == 2
