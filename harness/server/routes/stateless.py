"""Runs on a thread of their own, which goes when they end unless it is to be kept."""

from typing import Any

from pydantic import GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from harness.server.http import Call, Nothing, Reply, Route, Schema, StreamReply
from harness.server.routes import starting
from harness.server.routes.run_bodies import BackgroundBody, BatchRunBody, RunBody
from harness.server.routes.run_shapes import RunShape
from harness.server.routes.starting import shown


class BatchBody(Schema):
    """A list of runs."""

    runs: list[BatchRunBody]

    @model_validator(mode="before")
    @classmethod
    def _listed(cls, given: Any) -> Any:
        return {"runs": given}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return dict(handler.resolve_ref_schema(handler(schema))["properties"]["runs"])


async def create(call: Call[BackgroundBody, Nothing]) -> Reply:
    """Create a run, which is executed in the background."""
    run = await starting.create(call, call.body, None)
    return Reply(body=shown(run), headers={"Content-Location": f"/runs/{run.run_id}"})


async def wait(call: Call[RunBody, Nothing]) -> Reply | StreamReply:
    """Create a run and answer with the values that it leaves."""
    return await starting.waited(call, call.body, None)


async def stream(call: Call[RunBody, Nothing]) -> StreamReply:
    """Create a run and stream its events."""
    return await starting.streamed(call, call.body, None)


async def batch(call: Call[BatchBody, Nothing]) -> Reply:
    """Create several runs, all or none, which are executed in the background."""
    runs = await starting.create_many(call, call.body.runs)
    return Reply(body=[shown(run) for run in runs])


ROUTES: tuple[Route, ...] = (
    Route("POST", "/runs", create, {200: RunShape}, fails=(400, 404)),
    Route("POST", "/runs/wait", wait, {200: Any}, fails=(400, 404)),
    Route("POST", "/runs/stream", stream, {200: str}, fails=(400, 404)),
    Route("POST", "/runs/batch", batch, {200: list[RunShape]}, fails=(400, 403, 404, 409)),
)
