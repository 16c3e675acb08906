"""The promises: each is how some real server of this kind has failed, turned around.

A contract test names the promise it asks about with `@pytest.mark.invariant(number)`, so that a
backend which breaks one is reported by its name.
"""

from dataclasses import dataclass
from typing import Final, Literal

Area = Literal[
    "state", "identity", "items", "runs", "crons", "lifecycle", "langgraph", "interference"
]
Asked = Literal["contract", "database", "process", "langgraph", "server"]


@dataclass(frozen=True, slots=True)
class Promise:
    """One line that every backend must keep."""

    number: int
    text: str
    area: Area
    asked: Asked
    """Where it is asked today: of any storage (`contract`), of a Postgres server and its schema
    (`database`), of graphs in processes and on servers that are killed (`process`), of LangGraph's
    savers and stores beside ours (`langgraph`), or only of a server, over HTTP (`server`)."""


def _table(area: Area, *rows: tuple[int, Asked, str]) -> dict[int, Promise]:
    return {number: Promise(number, text, area, asked) for number, asked, text in rows}


PROMISES: Final[dict[int, Promise]] = {
    **_table(
        "state",
        (1, "process", "after n turns the state holds 2n messages, in order"),
        (2, "contract", "each history entry holds the state as it was then"),
        (3, "server", "a run's first values event shows the state before it"),
        (4, "contract", "a checkpoint id is stable, heads the history, and works as `before`"),
        (5, "contract", "history honours its limit, and an unknown `before` has one answer"),
        (6, "contract", "nobody reads or writes another owner's state, history or snapshots"),
        (7, "process", "a server in memory remembers turn 1 in turn 2"),
        (8, "process", "channels, next, tasks, interrupts and parents survive a restart"),
        (9, "contract", "a snapshot and the thread's values change together or not at all"),
    ),
    **_table(
        "identity",
        (10, "contract", "the caller's ids are honoured, and `create` makes that very thread"),
        (11, "contract", "an id that is taken is a conflict, never an overwrite"),
        (12, "contract", "a row's owner survives every update"),
        (13, "contract", "hundreds of interleaved requests leave no row under a wrong owner"),
        (14, "contract", "what `system` owns is visible to all and writable by none but it"),
    ),
    **_table(
        "items",
        (15, "contract", "namespaces come back as put and never meet; `%` and `_` are letters"),
        (16, "contract", "JSON values keep their types; canonical forms are the same everywhere"),
        (17, "contract", "what cannot be stored is refused alike before anything is written"),
        (18, "contract", "overwriting has one rule for metadata and timestamps"),
        (19, "server", "percent-encoded namespaces and keys round-trip over HTTP"),
        (20, "contract", "one bad write among many good ones fails alone"),
        (21, "contract", "time to live is kept to the second; the expired is never returned"),
        (22, "contract", "paging through equal timestamps shows each row once"),
        (23, "contract", "reading creates nothing; filters treat numbers and absence by one rule"),
    ),
    **_table(
        "runs",
        (24, "server", "a failed run is stored as error, and the next run works"),
        (25, "server", "every run reaches a terminal state"),
        (26, "contract", "a cancelled run is terminal, and a terminal status never changes"),
        (27, "contract", "of concurrent `reject` runs on a thread exactly one wins"),
        (28, "server", "after kill -9 nothing stays running or busy"),
        (29, "server", "the route table and the OpenAPI document are one list"),
        (30, "server", "message deltas add up to the final text"),
        (31, "server", "two readers of a run both get every event, also after reconnecting"),
        (32, "server", "a stream holds no database connection while it waits"),
    ),
    **_table(
        "crons",
        (33, "contract", "a cron needs no thread"),
        (34, "contract", "arguments are the same, in the same order, in every store"),
        (35, "contract", "a due cron makes a run and advances its next date, with an end too"),
        (36, "contract", "a cron fires at the time it names, weekday numbers included"),
        (37, "contract", "count is the length of search"),
    ),
    **_table(
        "lifecycle",
        (38, "contract", "deleting a thread leaves nothing; a reused id starts empty"),
        (39, "contract", "twenty concurrent updates are twenty versions, nothing lost"),
        (40, "database", "many processes boot at once on an empty database, and all succeed"),
        (41, "server", "a database that is down at boot is said so, never silently replaced"),
        (42, "contract", "200 concurrent requests queue for connections; none fails"),
        (43, "contract", "order, defaults and errors are the same in every backend"),
        (44, "contract", "large values are kept or refused clearly, alike everywhere"),
        (45, "contract", "concurrent identical `do_nothing` creates return the one row"),
    ),
    **_table(
        "langgraph",
        (46, "langgraph", "savers keep namespaces apart, writes in order, and puts atomic"),
        (47, "langgraph", "LangGraph's own stores agree, or the differences are shown"),
        (48, "langgraph", "a pool behind a saver is really used"),
        (49, "process", "an acknowledged checkpoint survives a crash"),
    ),
    **_table(
        "interference",
        (50, "server", "whatever a node returns or raises, its run ends and is executed once"),
        (51, "server", "a node that blocks its event loop is executed once; others are served"),
        (52, "server", "nothing of a run that is over is written, whichever process executes it"),
        (53, "server", "no row outlives what it belongs to, after any deletes, cancels and kills"),
        (54, "server", "what is stored in a thread never makes reading or copying it fail"),
        (55, "server", "every parameter and configuration key has its effect or is refused"),
        (56, "server", "a run's context is stored with no checkpoint and shown by no state"),
        (57, "server", "a graph sees the authenticated identity, whatever a config says"),
        (58, "contract", "one user at full throttle delays the others by a bounded amount"),
        (59, "server", "each database fault has one clear answer, and passes by itself"),
        (61, "server", "what was deleted stays deleted, for late writes too"),
        (62, "langgraph", "with an encrypting serializer nothing lies in plain text"),
        (63, "langgraph", "a schema's classes come back as themselves, and nothing else revives"),
        (65, "contract", "an expired thread goes whole, and no list shows what a get denies"),
    ),
}

CONTRACT_PROMISES: Final[tuple[int, ...]] = tuple(
    promise.number for promise in PROMISES.values() if promise.asked == "contract"
)
"""The promises that a storage alone can be asked about."""

SERVER_PROMISES: Final[tuple[int, ...]] = (
    *range(1, 6),
    8,
    10,
    11,
    13,
    19,
    *range(24, 33),
    38,
    39,
    41,
    42,
    *range(50, 60),
    61,
    65,
)
"""The promises that a running server is asked about over HTTP, whoever else is asked too."""
