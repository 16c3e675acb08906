"""How a pool's use is summed up, by a clock that the test moves."""

from harness.database import Usage


def test_busy_and_waiting_are_sums_over_time() -> None:
    """Two callers, of whom one waits for the other: each second counts once for each of them."""
    now_s = 100.0
    usage = Usage(lambda: now_s)
    usage.asked()
    usage.taken()
    usage.asked()
    now_s = 103.0
    assert (usage.in_use, usage.waiting, usage.checkouts) == (1, 1, 1)
    assert (usage.busy_s, usage.waiting_s) == (3.0, 3.0)
    usage.given()
    usage.taken()
    now_s = 105.0
    usage.given()
    now_s = 200.0
    assert (usage.in_use, usage.waiting, usage.checkouts) == (0, 0, 2)
    assert (usage.busy_s, usage.waiting_s) == (5.0, 3.0)


def test_a_caller_who_gives_up_has_waited() -> None:
    """Whoever leaves without a connection is waiting no more, and took none."""
    now_s = 0.0
    usage = Usage(lambda: now_s)
    usage.asked()
    now_s = 2.0
    usage.gave_up()
    now_s = 9.0
    assert (usage.waiting, usage.checkouts, usage.waiting_s, usage.busy_s) == (0, 0, 2.0, 0.0)
