"""Rows that somebody who can write to a checkpointer's tables may leave there."""

import json
import pickle
from pathlib import Path
from typing import Any

import ormsgpack
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer


def call(code: int, *parts: Any) -> tuple[str, bytes]:
    """Return what LangGraph's msgpack has for an object that is made by a call."""
    return "msgpack", ormsgpack.packb([ormsgpack.Ext(code, ormsgpack.packb(parts))])


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self._path, "w")


def hostile(path: Path) -> dict[str, tuple[str, bytes]]:
    """Return rows that somebody who can write to the database may leave; each would make a file."""
    file, command = str(path), f"touch {path}"
    lc = {"lc": 2, "type": "constructor"}
    langchain = {"lc": 1, "type": "constructor"}
    nested = ormsgpack.Ext(0, ormsgpack.packb(("os", "system", command)))
    return {
        "a call with one argument": call(0, "os", "system", command),
        "a call with arguments": call(1, "subprocess", "check_call", (["touch", file],)),
        "a call with names": call(2, "subprocess", "check_call", {"args": ["touch", file]}),
        "a method": call(3, "pathlib", "Path", file, "touch"),
        "a method of a safe class": call(3, "datetime", "datetime", "x", "strptime"),
        "an old model": call(4, "os", "system", {"command": command}, []),
        "a model": call(5, "os", "system", {"command": command}, "model_validate_json"),
        "within a message": call(
            5,
            "langchain_core.messages.human",
            "HumanMessage",
            {"content": nested},
            "model_validate_json",
        ),
        "within a snapshot": (
            "msgpack",
            ormsgpack.packb(ormsgpack.Ext(7, ormsgpack.packb(nested))),
        ),
        "a pickle": ("pickle", pickle.dumps(Payload(file))),
        "an array of objects": call(6, "|O", [1], "C", pickle.dumps(Payload(file))),
        "JSON": ("json", json.dumps({**lc, "id": ["os", "system"], "args": [command]}).encode()),
        "JSON of LangChain": (
            "json",
            json.dumps(
                {
                    **langchain,
                    "id": ["langchain_core", "prompts", "prompt", "PromptTemplate"],
                    "kwargs": {"template": "x", "input_variables": []},
                }
            ).encode(),
        ),
        "a secret": ("json", b'{"lc": 1, "type": "secret", "id": ["PATH"]}'),
        "a class that is gone": call(5, __name__, "Gone", {}, "model_validate_json"),
        "a class that no schema names": call(0, __name__, "Payload", file),
        "an unknown form": call(99, "os", "system", command),
        "an unknown type": ("parquet", b"x"),
        "another's cipher": ("msgpack+aes", b"x" * 40),
        "broken bytes": ("msgpack", b"\xc1"),
        "half of it": ("msgpack", JsonPlusSerializer().dumps_typed(["a" * 40])[1][:20]),
        "no UTF-8": ("msgpack", b"\xa1\xff"),
    }
