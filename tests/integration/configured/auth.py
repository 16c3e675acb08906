"""Who calls is what the token says; so is what the handlers answer, and each call is noted."""

import json
import os
from pathlib import Path
from typing import Any

from langgraph_sdk import Auth
from raising_of_src import ENDING, NONSENSE, Unreadable  # type: ignore[import-not-found]

auth = Auth()
RAISED = {**ENDING, **NONSENSE}


def note(*said: str) -> None:
    """Write down that a handler was called, where the tests read it."""
    with Path(os.environ["CONFIGURED_NOTES"]).open("a") as notes:
        notes.write(" ".join(said) + "\n")


@auth.authenticate
async def who(authorization: str | None, method: str, path: str) -> Any:
    """Return what the token says."""
    note("authenticate", method, path)
    if authorization is None:
        raise Auth.exceptions.HTTPException(status_code=401, detail="who are you?")
    said = json.loads(authorization.removeprefix("Bearer "))
    if isinstance(said, dict) and "raises" in said:
        if said["raises"] in RAISED:
            raise RAISED[said["raises"]]()  # noqa: RSE102 -- it is a function
        raise {"KeyError": KeyError, "AssertionError": AssertionError}[said["raises"]]("secret")
    return said


@auth.on
async def everything(ctx: Auth.types.AuthContext, value: Any) -> Any:
    """Answer what the user's token says."""
    named = f"{ctx.resource}.{ctx.action}"
    note("on", named)
    answers = getattr(ctx.user, "answers", {})
    answer = answers.get(named, answers.get("*"))
    if answer == "assert":
        raise AssertionError("not yours")
    if answer == "teapot":
        raise Auth.exceptions.HTTPException(status_code=418, detail="tea")
    if answer == "fail":
        raise LookupError("secret")
    if answer == "unreadable filter":
        return Unreadable(owner="ada")
    if isinstance(answer, dict) and "$raise" in answer:
        raise RAISED[answer["$raise"]]()  # noqa: RSE102 -- likewise
    if answer == "nonsense":
        return 7
    if isinstance(answer, dict) and "$set" in answer:
        for name, given in answer["$set"].items():
            if isinstance(value.get(name), dict):
                value[name].update(given)
            else:
                value[name] = tuple(given) if name == "namespace" else given
        return None
    return answer


@auth.on.crons.delete
async def never(ctx: Auth.types.AuthContext, value: Any) -> bool:  # noqa: ARG001 -- by name
    """Refuse, whatever the general handler would say."""
    note("never", ctx.resource, ctx.action)
    return False
