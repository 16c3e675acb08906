"""A state machine of random histories, on a model and on a subject at once.

All five resources, several owners, `system` among them, ids from small pools, nasty values, every
filter, order and page: after each step both sides must have given the same answer or the same kind
of error; every few steps they hold the same number of rows, in the end the same rows.
"""

import asyncio

from hypothesis.stateful import initialize

from harness.contract.stateful.assistants import AssistantRules
from harness.contract.stateful.core import OpenSide, Side
from harness.contract.stateful.crons import CronRules
from harness.contract.stateful.items import ItemRules
from harness.contract.stateful.runs import RunRules
from harness.contract.stateful.strategies import OBJECTS, Id
from harness.contract.stateful.threads import ThreadRules
from harness.models import SYSTEM, Json

__all__ = ["Side", "StorageMachine", "storage_machine"]


class StorageMachine(AssistantRules, ThreadRules, RunRules, ItemRules, CronRules):
    """Random histories of everything, in a world where something is there already."""

    @initialize(metadata=OBJECTS, values=OBJECTS, payload=OBJECTS)
    def furnish(self, metadata: Json, values: Json, payload: Json) -> None:
        """Give every owner something, most to ada; a random start alone would stay empty long."""
        for assistant, thread, run, cron, owner in (
            ("a0", "t0", "r0", "c0", "ada"),
            ("a1", "t1", "r1", "c1", SYSTEM),
            ("a2", "t2", "r2", "c2", "bob"),
        ):
            self.create_assistant("agent", {}, assistant_id=Id(assistant), owner=owner)
            self.create_thread(thread_id=Id(thread), metadata=metadata, owner=owner)
            at = {"thread_id": Id(thread), "owner": owner}
            self.add_state({"next": ["a"]}, **at, values=values, checkpoint_id=Id("s0"))
            self.create_run({}, **at, assistant_id=Id(assistant), run_id=Id(run))
            self.create_cron(
                {"payload": payload, "metadata": metadata},
                assistant_id=Id(assistant),
                schedule="0 0 1 1 *",
                cron_id=Id(cron),
                owner=owner,
            )
            self.put_item(["a"], key="k", value=values, ttl=None, owner=owner)
        self.put_item(["a", "b"], key="k", value=values, ttl=10, owner="ada")
        self.add_state({}, thread_id=Id("t0"), values=values, checkpoint_id=Id("s1"), owner="ada")
        mine = {"thread_id": Id("t0"), "assistant_id": Id("a0"), "owner": "ada"}
        self.create_run({}, **mine, run_id=Id("r3"))
        self.create_cron(
            {"thread_id": Id("t0")},
            assistant_id=Id("a0"),
            schedule="0 0 1 1 *",
            cron_id=Id("c3"),
            owner="ada",
        )


def storage_machine(
    runner: asyncio.Runner, *, model: OpenSide, subject: OpenSide
) -> type[StorageMachine]:
    """Return the machine for `hypothesis.stateful.run_state_machine_as_test`.

    Args:
        runner: Runs every call, one at a time; what the two sides need lives on its loop.
        model: Opens an empty storage that is right by definition.
        subject: Opens an empty storage to compare with it.
    """
    return type(
        "StorageMachine",
        (StorageMachine,),
        {
            "runner": runner,
            "open_model": staticmethod(model),
            "open_subject": staticmethod(subject),
        },
    )
