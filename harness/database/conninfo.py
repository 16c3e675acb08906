"""The connection string as it is used, and what may be said of a failure to connect."""

from psycopg.conninfo import conninfo_to_dict, make_conninfo

CONNECT_TIMEOUT_S = 3
"""Seconds for one attempt to connect, where the URL does not say otherwise."""

_DEFAULTS: dict[str, str | int] = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "harness",
}
"""Bounds for a peer that vanished without a word: noticed within 25 s when idle (seconds) and
within 10 s when data is in flight (milliseconds). A server that is frozen but whose kernel still
acknowledges is not noticed by TCP; callers then queue up to the pool's timeout.

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""


def bounded(url: str) -> str:
    """Return the connection string with time limits where it names none."""
    given = conninfo_to_dict(url)
    return make_conninfo(url, **{k: v for k, v in _DEFAULTS.items() if k not in given})


def named(conninfo: str, name: str) -> str:
    """Return a bounded connection string whose application is named for what it does."""
    given = conninfo_to_dict(conninfo)
    if given.get("application_name") != _DEFAULTS["application_name"]:
        return conninfo
    return make_conninfo(conninfo, application_name=f"{_DEFAULTS['application_name']} {name}")


def reason(error: BaseException) -> str:
    """Return what an error says, on one line (libpq never repeats the password)."""
    return " ".join(str(error).split()) or type(error).__name__
