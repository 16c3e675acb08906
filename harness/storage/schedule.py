"""Cron schedules: when the next firing is."""

import re
from copy import copy
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from croniter import CroniterError, croniter

from harness.errors import InvalidInput
from harness.storage.values import check_text

_AT_RANDOM: Final = re.compile(r"(?:^|[\s,])R(?:$|[\s,(/])", re.IGNORECASE)
"""croniter's `R`: another time at each reading, so that nobody could say when the cron is due."""


def check_timezone(name: Any) -> str | None:
    """Return an IANA timezone name, or None for UTC."""
    if name is None:
        return None
    text = check_text(name, "timezone")
    try:
        ZoneInfo(text)
    except (KeyError, OSError, ValueError) as exc:  # one for unknown, folders and bad names
        raise InvalidInput(f"unknown timezone {text!r:.80}") from exc
    return text


def check_schedule(schedule: Any) -> str:
    """Return a cron expression of five fields, or six with seconds last."""
    text = check_text(schedule, "schedule")
    fields = len(text.split())
    try:
        if fields in {5, 6} and not _AT_RANDOM.search(text):
            _parsed(text)
            return text
    except CroniterError:
        pass
    raise InvalidInput(
        f"bad schedule {text!r:.80}: write five cron fields, or six with seconds last"
    )


def next_firing(
    schedule: str, timezone: str | None, *, after: datetime, end_time: datetime | None
) -> datetime | None:
    """Return the first firing later than `after`, in UTC; None when it lies after `end_time`.

    Where a clock is put forward, a time that it skips fires when it is put; where it is put back, a
    time that it shows twice fires twice.

    Raises:
        InvalidInput: The schedule names no date that ever comes, such as 30 February.
    """
    firing = _calendar(schedule, timezone).after(after)
    return None if end_time is not None and firing > end_time else firing


class _Calendar:
    """When one schedule fires in one timezone.

    It remembers the last firing it found: finding one takes longer than all else that making a cron
    in memory does. Between the time it was asked for and the firing itself there is no other.
    """

    def __init__(self, schedule: str, timezone: str | None) -> None:
        self._schedule = schedule
        self._timezone = ZoneInfo(timezone or "UTC")
        self._known = (datetime.max.replace(tzinfo=UTC),) * 2  # nothing, since it ends as it begins

    def after(self, moment: datetime) -> datetime:
        """Return the first firing later than `moment`, in UTC."""
        since, firing = self._known
        if not since <= moment < firing:
            firing = self._find(moment)
            self._known = (moment, firing)
        return firing

    def _find(self, moment: datetime) -> datetime:
        local = moment.astimezone(self._timezone)
        try:
            found: datetime = copy(_parsed(self._schedule)).get_next(datetime, start_time=local)
        except CroniterError as exc:
            raise InvalidInput(f"schedule {self._schedule!r} never fires") from exc
        return found.astimezone(UTC)


@lru_cache(maxsize=1024)
def _calendar(schedule: str, timezone: str | None) -> _Calendar:
    return _Calendar(schedule, timezone)


@lru_cache(maxsize=1024)
def _parsed(schedule: str) -> croniter:
    """Return a parsed schedule to copy: parsing takes three times as long as finding a date."""
    return croniter(schedule)
