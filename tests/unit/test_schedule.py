"""When crons fire."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InvalidInput
from harness.storage.schedule import check_schedule, check_timezone, next_firing

START = datetime(2026, 1, 1, tzinfo=UTC)  # a Thursday


def firings(
    schedule: str, timezone: str | None = None, *, after: datetime = START, count: int = 3
) -> list[str]:
    """Return the next firings, in local time."""
    found = []
    moment = after
    for _ in range(count):
        firing = next_firing(schedule, timezone, after=moment, end_time=None)
        assert firing is not None
        moment = firing
        found.append(moment.astimezone(ZoneInfo(timezone or "UTC")).strftime("%a %d %H:%M:%S %z"))
    return found


@pytest.mark.invariant(36)
@pytest.mark.parametrize("weekday", ["0", "7", "sun", "SUN"])
def test_sunday_has_two_numbers(weekday: str) -> None:
    """Weekdays 0 and 7 are Sunday."""
    assert firings(f"0 12 * * {weekday}", count=1) == ["Sun 04 12:00:00 +0000"]


@pytest.mark.invariant(36)
def test_weekday_numbers() -> None:
    """1 is Monday, and a range may end at 7."""
    assert firings("0 0 * * 1", count=1) == ["Mon 05 00:00:00 +0000"]
    days = [firing[:3] for firing in firings("0 0 * * 5-7", count=4)]
    assert days == ["Fri", "Sat", "Sun", "Fri"]


def test_seconds_stand_last() -> None:
    """Of six fields the last is seconds."""
    assert firings("30 4 * * * 15", count=2) == [
        "Thu 01 04:30:15 +0000",
        "Fri 02 04:30:15 +0000",
    ]


def test_time_skipped_by_summer_time() -> None:
    """02:30 on the night without it fires when the clock is put forward, and just once."""
    assert firings("30 2 * * *", "Europe/Berlin", after=datetime(2026, 3, 28, 12, tzinfo=UTC)) == [
        "Sun 29 03:00:00 +0200",
        "Mon 30 02:30:00 +0200",
        "Tue 31 02:30:00 +0200",
    ]


def test_time_shown_twice() -> None:
    """02:30 on the night that has two fires at both."""
    assert firings("30 2 * * *", "Europe/Berlin", after=datetime(2026, 10, 24, 12, tzinfo=UTC)) == [
        "Sun 25 02:30:00 +0200",
        "Sun 25 02:30:00 +0100",
        "Mon 26 02:30:00 +0100",
    ]


def test_end_time() -> None:
    """A firing at the end still counts, a later one does not."""
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    for end_time, expected in [(noon, noon), (noon - timedelta(microseconds=1), None)]:
        assert next_firing("0 12 * * *", None, after=START, end_time=end_time) == expected


@pytest.mark.parametrize("schedule", ["0 0 30 2 *", "0 0 31 4,6 *"])
def test_date_that_never_comes(schedule: str) -> None:
    """A schedule without any date is refused when a date is asked for."""
    with pytest.raises(InvalidInput, match="never fires"):
        next_firing(schedule, None, after=START, end_time=None)


def test_29_february() -> None:
    """A leap day comes, if years later."""
    assert next_firing("0 0 29 2 *", None, after=START, end_time=None) == datetime(
        2028, 2, 29, tzinfo=UTC
    )


@pytest.mark.parametrize(
    "schedule",
    [
        "",
        "* * * *",
        "* * * * * * *",
        "@daily",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "* * * * * 60",
        "*/0 * * * *",
        "H * * * *",
        "R * * * *",
        "* r(1-5) * * *",
        "1,R/2 * * * *",
        "\x00 * * * *",
        None,
    ],
)
def test_bad_schedules(schedule: str | None) -> None:
    """What is no schedule, or names another time at each reading, is refused."""
    with pytest.raises(InvalidInput):
        check_schedule(schedule)


@pytest.mark.parametrize(
    "schedule", ["0 0 * mar fri", "* * L * *", "0 0 * * 5#3", "0-59/7 * * * *"]
)
def test_good_schedules(schedule: str) -> None:
    """Names, the last day, the third Friday and steps are understood."""
    assert check_schedule(schedule) == schedule


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "Europe", "../UTC", "/etc/passwd", "a\x00", 1]
)
def test_bad_timezones(name: object) -> None:
    """What is no timezone is refused, whatever the file system has under that name."""
    with pytest.raises(InvalidInput):
        check_timezone(name)


SCHEDULES = st.sampled_from(
    ["*/7 * * * *", "30 2 * * *", "0 0 1 * *", "* * * * * */20", "15 1 * * 0"]
)
TIMEZONES = st.sampled_from([None, "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe"])
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 -- Hypothesis adds the zone


@given(SCHEDULES, TIMEZONES, TIMES)
def test_firings_are_later(schedule: str, timezone: str | None, after: datetime) -> None:
    """A firing is later than the time it was asked after, and the one before it is not."""
    firing = next_firing(schedule, timezone, after=after, end_time=None)
    assert firing is not None
    assert firing > after
    just_before = firing - timedelta(microseconds=1)
    assert next_firing(schedule, timezone, after=just_before, end_time=None) == firing


@given(SCHEDULES, TIMEZONES, TIMES, st.lists(st.floats(-1.5, 1.5), min_size=1))
def test_what_was_asked_before_changes_nothing(
    schedule: str, timezone: str | None, start: datetime, steps: list[float]
) -> None:
    """Asked again and again, near a firing and far from it, it is what croniter says when fresh.

    A step is in units of the way to the next firing, so that many lie before it and many behind.
    """
    moment = start
    for step in steps:
        expected = croniter(schedule).get_next(
            datetime, start_time=moment.astimezone(ZoneInfo(timezone or "UTC"))
        )
        assert next_firing(schedule, timezone, after=moment, end_time=None) == expected
        moment += step * (expected - moment)


def test_a_firing_is_over_when_it_is_due() -> None:
    """Asked at the very time of a firing that is remembered, the answer is the one after it."""
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert next_firing("0 12 * * *", None, after=START, end_time=None) == noon
    assert next_firing("0 12 * * *", None, after=noon, end_time=None) == noon + timedelta(days=1)
