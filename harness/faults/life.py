"""One life of a writer: writes of all five resources, one after another, each told to the ledger.

A life has an owner of its own, so nobody else touches what it wrote. It knows what each write must
make of its cells, and ends with the first write whose outcome is unknown.
"""

from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from harness.faults.ledger import CHANGED, Cell, Effect, Ledger
from harness.faults.pen import Pen, Refused, Surprise
from harness.faults.witness import cron_fields, item_cell, run_fields, thread_fields
from harness.models import ClaimedRun, Cron, CronFiring, Json
from harness.storage.extensions import FullStorage

NEVER: Final = "0 0 1 1 *"
EVERY_SECOND: Final = "* * * * * *"
_GRAPH: Final = "survivor"
_LEASE_S: Final = 3_600.0
_SUCCESS: Final[Json] = {"status": "success", "error": None}
_VALUES: Final[Json] = {"int": 1, "float": 1.0, "text": "1 ✓", "none": None, "list": [True, {}]}


class Life:
    """Writes turn after turn; `turn` raises `LifeOver` when it has ended.

    Args:
        storage: Where to write.
        ledger: Where to record it.
        owner: Whom everything belongs to; nobody else may use that name.
    """

    def __init__(self, storage: FullStorage, ledger: Ledger, owner: str) -> None:
        self._storage = storage
        self._owner = owner
        self._pen = Pen(ledger, owner)
        self._assistant_id = str(uuid4())
        self._cron_id = str(uuid4())
        self._queue: list[tuple[str, str]] = []  # thread and run of the pending runs, oldest first
        self._claimed: ClaimedRun | None = None
        self._turns = 0

    async def turn(self) -> None:
        """Write once around all resources.

        Raises:
            LifeOver: It has ended.
        """
        self._turns += 1
        for deed in (
            self._keep_assistant,
            self._bulk_of_assistants,
            self._conversation,
            self._bulk_of_threads,
            self._items,
            self._crons,
            self._work,
        ):
            try:
                await deed()
            except Refused:
                continue

    async def _keep_assistant(self) -> None:
        """Make the assistant that everything else rests on, later give it another version."""
        cell = ("assistant", self._assistant_id)
        versions_cell = ("assistant_versions", self._assistant_id)
        if self._pen.cells.get(cell) is None:
            await self._pen.write(
                "assistants.create",
                self._new_assistant(self._assistant_id, _VALUES),
                self._storage.assistants.create(
                    _GRAPH,
                    assistant_id=self._assistant_id,
                    context=_VALUES,
                    name=self._owner,
                    owner=self._owner,
                ),
            )
        fields, versions = self._pen.known(cell), self._pen.known(versions_cell)["versions"]
        number = versions[0][0] + 1
        metadata = {**fields["metadata"], "turn": self._turns}
        await self._pen.write(
            "assistants.update",
            [
                Effect(cell, {"metadata": metadata, "version": number}),
                Effect(versions_cell, {"versions": [[number, metadata], *versions]}),
            ],
            self._storage.assistants.update(
                self._assistant_id, metadata={"turn": self._turns}, owner=self._owner
            ),
        )

    async def _bulk_of_assistants(self) -> None:
        """Make three at once; then two of which one is taken, so that neither may be there."""
        ids = [str(uuid4()) for _ in range(3)]
        rows: list[Json] = [
            {"graph_id": _GRAPH, "assistant_id": each, "name": self._owner, "context": {"n": 1}}
            for each in ids
        ]
        effects = [effect for each in ids for effect in self._new_assistant(each, {"n": 1})]
        await self._pen.write(
            "assistants.create_many",
            effects,
            self._storage.assistants.create_many(rows, owner=self._owner),
        )
        fresh = str(uuid4())
        rows[1]["assistant_id"] = fresh
        await self._pen.conflict(
            "assistants.create_many",
            self._new_assistant(fresh, {"n": 1}),
            self._storage.assistants.create_many(rows[:2], owner=self._owner),
        )
        gone = [Effect(("assistant", ids[2]), None), Effect(("assistant_versions", ids[2]), None)]
        await self._pen.write(
            "assistants.delete", gone, self._storage.assistants.delete(ids[2], owner=self._owner)
        )

    async def _conversation(self) -> None:
        """Make a thread, put states and a run on it; delete every other one with all it has."""
        thread_id = str(uuid4())
        await self._pen.write(
            "threads.create",
            [self._new_thread(thread_id)],
            self._storage.threads.create(
                thread_id=thread_id, metadata={"turn": self._turns}, owner=self._owner
            ),
            lambda thread: [Effect(("thread", thread_id), thread_fields(thread))],
        )
        for number in range(2):
            await self._add_state(thread_id, {**_VALUES, "number": number})
        run_id = str(uuid4())
        await self._create_runs("runs.create", [(thread_id, run_id)])
        if self._turns % 2:
            return
        cron_id = str(uuid4())
        await self._create_crons("crons.create", [(cron_id, thread_id, NEVER)])
        cells: list[Cell] = [
            ("thread", thread_id),
            ("states", thread_id),
            ("run", thread_id, run_id),
            ("cron", cron_id),
        ]
        await self._pen.write(
            "threads.delete",
            [Effect(cell, None) for cell in cells],
            self._storage.threads.delete(thread_id, owner=self._owner),
        )
        self._queue.remove((thread_id, run_id))

    async def _bulk_of_threads(self) -> None:
        """Make four threads at once, a run on each at once, and let a bulk of runs fail."""
        ids = [str(uuid4()) for _ in range(4)]
        await self._pen.write(
            "threads.create_many",
            [self._new_thread(each) for each in ids],
            self._storage.threads.create_many(
                [{"thread_id": each, "metadata": {"turn": self._turns}} for each in ids],
                owner=self._owner,
            ),
        )
        pairs = [(each, str(uuid4())) for each in ids[:3]]
        await self._create_runs("runs.create_many", pairs)
        taken, fresh = pairs[0], (ids[3], str(uuid4()))
        await self._pen.conflict(
            "runs.create_many",
            [Effect(("run", *fresh), self._new_run())],
            self._storage.runs.create_many(self._run_rows([fresh, taken]), owner=self._owner),
        )

    async def _items(self) -> None:
        """Put, overwrite, put several, delete."""
        here, many = ("survival", f"turn {self._turns}"), ("survival", "bulk", str(self._turns))
        for value in (_VALUES, {"again": 1.0}):
            await self._pen.write(
                "items.put_item",
                [Effect(item_cell(here, "key"), {"value": value})],
                self._storage.items.put_item(here, "key", value, owner=self._owner),
            )
        keys = ["a", "b_", "c%"]
        await self._pen.write(
            "items.put_many",
            [Effect(item_cell(many, key), {"value": {"key": key}}) for key in keys],
            self._storage.items.put_many(
                [{"namespace": many, "key": key, "value": {"key": key}} for key in keys],
                owner=self._owner,
            ),
        )
        await self._pen.write(
            "items.delete_item",
            [Effect(item_cell(many, keys[1]), None)],
            self._storage.items.delete_item(many, keys[1], owner=self._owner),
        )

    async def _crons(self) -> None:
        """Keep one cron that is due each second, and fire it; make two that never are."""
        if self._pen.cells.get(("cron", self._cron_id)) is None:
            await self._create_crons("crons.create", [(self._cron_id, None, EVERY_SECOND)])
        await self._create_crons(
            "crons.create_many", [(str(uuid4()), None, NEVER) for _ in range(2)]
        )
        await self._fire()

    async def _work(self) -> None:
        """Claim the oldest run and finish it, or hand it back and claim it again."""
        self._know_assistant()
        if self._claimed is None:
            await self._claim()
        if self._claimed is not None and self._turns % 3 == 0:
            await self._hand_back(self._claimed)
            await self._claim()
        if self._claimed is not None:
            await self._finish(self._claimed)

    async def _add_state(self, thread_id: str, values: Json) -> None:
        checkpoint_id = str(uuid4())
        history = (self._pen.cells.get(("states", thread_id)) or {"history": []})["history"]
        await self._pen.write(
            "threads.add_state",
            [
                Effect(("states", thread_id), {"history": [[checkpoint_id, values], *history]}),
                Effect(("thread", thread_id), {"values": values, "checkpoint_id": checkpoint_id}),
            ],
            self._storage.threads.add_state(
                thread_id, values, checkpoint_id=checkpoint_id, owner=self._owner
            ),
        )

    async def _create_runs(self, op: str, pairs: list[tuple[str, str]]) -> None:
        self._know_assistant()
        effects = [Effect(("run", *pair), self._new_run()) for pair in pairs]
        effects += [self._thread_becomes(thread_id, "busy", stamp=True) for thread_id, _ in pairs]
        rows = self._run_rows(pairs)
        await self._pen.write(
            op,
            effects,
            self._storage.runs.create(**rows[0], owner=self._owner)
            if op == "runs.create"
            else self._storage.runs.create_many(rows, owner=self._owner),
        )
        self._queue += sorted(pairs, key=lambda pair: pair[1])  # one time for all: the id decides

    async def _create_crons(self, op: str, rows: list[tuple[str, str | None, str]]) -> None:
        self._know_assistant()
        payload = {"input": {"turn": self._turns}}
        arguments: list[Json] = [
            {
                "assistant_id": self._assistant_id,
                "schedule": schedule,
                "thread_id": thread_id,
                "cron_id": cron_id,
                "payload": payload,
            }
            for cron_id, thread_id, schedule in rows
        ]
        effects = [
            Effect(
                ("cron", row["cron_id"]),
                {
                    **{key: value for key, value in row.items() if key != "cron_id"},
                    "metadata": {"owner": self._owner},
                },
            )
            for row in arguments
        ]
        await self._pen.write(
            op,
            effects,
            self._one_cron(arguments[0])
            if op == "crons.create"
            else self._storage.crons.create_many(arguments, owner=self._owner),
            lambda crons: [Effect(("cron", cron.cron_id), cron_fields(cron)) for cron in crons],
        )

    async def _one_cron(self, arguments: Json) -> list[Cron]:
        return [await self._storage.crons.create(**arguments, owner=self._owner)]

    async def _fire(self) -> None:
        cron, made = ("cron", self._cron_id), ("firings", self._cron_id)
        count = 1 + (self._pen.cells.get(made) or {"runs": 0})["runs"]
        was_due = self._pen.known(cron)["next_run_date"]
        fired = Effect(made, {"runs": count, "threads": count})

        def learn(firings: list[CronFiring]) -> list[Effect]:
            effects: list[Effect] = []
            for firing in firings:
                if firing.cron.cron_id != self._cron_id:
                    raise Surprise(f"cron {firing.cron.cron_id} fired, which is never due")
                run = firing.run
                thread = {"status": "busy", "metadata": self._stamp({"cron_id": self._cron_id})}
                effects += [
                    Effect(cron, cron_fields(firing.cron)),
                    Effect(("run", run.thread_id, run.run_id), run_fields(run)),
                    Effect(("thread", run.thread_id), thread),
                    fired,
                ]
            return effects

        firings = await self._pen.write(
            "crons.claim_due",
            [Effect(cron, {"next_run_date": {CHANGED: was_due}}), fired],
            self._storage.crons.claim_due(owner=self._owner),
            learn,
        )
        self._queue += [(firing.run.thread_id, firing.run.run_id) for firing in firings]

    async def _claim(self) -> None:
        if not self._queue:
            return
        cell: Cell = ("run", *self._queue[0])
        attempt = self._pen.known(cell)["attempt"] + 1
        claimed = await self._pen.write(
            "runs.claim",
            [Effect(cell, {"status": "running", "attempt": attempt})],
            self._storage.runs.claim(lease_s=_LEASE_S, owner=self._owner),
        )
        if claimed is None or claimed.run.run_id != cell[2]:
            raise Surprise(f"{cell[2]} is the oldest pending run, and a claim gave {claimed}")
        del self._queue[0]
        self._claimed = claimed

    async def _hand_back(self, claimed: ClaimedRun) -> None:
        cell: Cell = ("run", claimed.run.thread_id, claimed.run.run_id)
        await self._pen.write(
            "runs.hand_back",
            [Effect(cell, {"status": "pending"})],
            self._storage.runs.hand_back(claimed.lease, owner=self._owner),
        )
        self._claimed = None
        self._queue.insert(0, (cell[1], cell[2]))

    async def _finish(self, claimed: ClaimedRun) -> None:
        cell: Cell = ("run", claimed.run.thread_id, claimed.run.run_id)
        failed = self._turns % 5 == 0
        await self._pen.write(
            "runs.finish",
            [
                Effect(cell, {"status": "error", "error": "no"} if failed else _SUCCESS),
                self._thread_becomes(cell[1], "error" if failed else "idle"),
            ],
            self._storage.runs.finish(
                claimed.lease,
                "error" if failed else "success",
                error="no" if failed else None,
                owner=self._owner,
            ),
        )
        self._claimed = None

    def _know_assistant(self) -> None:
        self._pen.known(("assistant", self._assistant_id))

    def _stamp(self, metadata: Json) -> Json:
        """What metadata a thread has once a run of ours was made on it."""
        own = {"owner": self._owner, "assistant_id": self._assistant_id, "graph_id": _GRAPH}
        return {**metadata, **own}

    def _new_assistant(self, assistant_id: str, context: Json) -> list[Effect]:
        fields = {
            "graph_id": _GRAPH,
            "name": self._owner,
            "context": context,
            "metadata": {"owner": self._owner},
            "version": 1,
        }
        return [
            Effect(("assistant", assistant_id), fields),
            Effect(("assistant_versions", assistant_id), {"versions": [[1, fields["metadata"]]]}),
        ]

    def _new_thread(self, thread_id: str) -> Effect:
        metadata = {"owner": self._owner, "turn": self._turns}
        fields = {"status": "idle", "metadata": metadata, "values": None, "checkpoint_id": None}
        return Effect(("thread", thread_id), fields)

    def _new_run(self) -> Json:
        return {
            "assistant_id": self._assistant_id,
            "status": "pending",
            "attempt": 0,
            "kwargs": _VALUES,
            "metadata": {"owner": self._owner, "turn": self._turns},
            "error": None,
        }

    def _run_rows(self, pairs: Sequence[tuple[str, str]]) -> list[Json]:
        return [
            {
                "thread_id": thread_id,
                "assistant_id": self._assistant_id,
                "kwargs": _VALUES,
                "metadata": {"turn": self._turns},
                "run_id": run_id,
            }
            for thread_id, run_id in pairs
        ]

    def _thread_becomes(self, thread_id: str, status: str, *, stamp: bool = False) -> Effect:
        cell = ("thread", thread_id)
        more = {"metadata": self._stamp(self._pen.known(cell)["metadata"])} if stamp else {}
        return Effect(cell, {"status": status, **more})
