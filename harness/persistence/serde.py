"""How checkpointed values become bytes, and which bytes become objects again."""

import json
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import Enum
from importlib import import_module
from typing import Any, Final, Literal, NamedTuple

import ormsgpack
from langchain_core.load.load import Reviver
from langgraph.checkpoint.serde._msgpack import SAFE_MSGPACK_METHODS, SAFE_MSGPACK_TYPES
from langgraph.checkpoint.serde.jsonplus import (
    EXT_CONSTRUCTOR_KW_ARGS,
    EXT_CONSTRUCTOR_POS_ARGS,
    EXT_CONSTRUCTOR_SINGLE_ARG,
    EXT_DELTA_SNAPSHOT,
    EXT_METHOD_SINGLE_ARG,
    EXT_NUMPY_ARRAY,
    EXT_PYDANTIC_V1,
    EXT_PYDANTIC_V2,
    JsonPlusSerializer,
    _msgpack_default,
    _option,
    _send_from_args,
)
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from pydantic import BaseModel

from harness.errors import HarnessError, InvalidInput, Unreadable

Hook = Callable[[int, bytes], Any]

_EXACT: Final = _option & ~ormsgpack.OPT_REPLACE_SURROGATES
_MESSAGES: Final = Reviver(allowed_objects="messages")
_SURROGATES: Final = ["utf-8", "surrogatepass"]
_PYDANTIC: Final = {EXT_PYDANTIC_V1: "construct", EXT_PYDANTIC_V2: "model_construct"}


class _Scalar(NamedTuple):
    """A text or number that msgpack cannot hold, as a call of the builtin that makes it again.

    LangGraph's own serializer reads it too, unless it is strict.
    """

    name: str
    args: tuple[Any, ...]


class _Pairs(NamedTuple):
    """A dict with a key that msgpack cannot hold, as what the builtin makes it of again."""

    pairs: list[tuple[Any, Any]]


class _Form(NamedTuple):
    """LangGraph's form of an object: which one, and its parts, which are still to be packed."""

    code: int
    parts: Any


_form_of: Final[Callable[[Any], _Form | str]] = types.FunctionType(
    _msgpack_default.__code__,
    {
        **_msgpack_default.__globals__,
        "_msgpack_enc": lambda parts: parts,
        "ormsgpack": types.SimpleNamespace(Ext=_Form),
    },
)
"""LangGraph's own choice of a form, without its packing: that makes `?` of lone surrogates."""


class _Marking:
    """Whether a value that is being packed was found to have a part that msgpack cannot hold."""

    def __init__(self) -> None:
        self.is_needed = False


class Serializer(JsonPlusSerializer):
    """LangGraph's serializer, exact for plain values and, where it is strict, for classes.

    Texts with lone surrogates and integers beyond 64 bits round-trip, wherever in a value they are
    and as keys too (LangGraph's makes `?` of the former and refuses the latter), and so do sets of
    tuples (LangGraph's reads lists). Subclasses of `float`, such as numpy's, are stored as floats.

    A strict one revives nothing but what LangGraph deems safe and what is registered. Registered
    are the classes of `allow`, and those of the schema of each graph that is compiled with the
    checkpointer (LangGraph's `with_allowlist`, which changes this serializer instead of copying
    it). It refuses to write what it could not read back as what it was, where LangGraph's makes a
    dict or None of it in silence.

    Rows are LangGraph's in either case.

    Args:
        allow: Modules and names of classes to revive as well; True: any class there is, so that
            whoever can write to the database can run code here. By default
            LANGGRAPH_STRICT_MSGPACK decides between none and any.
    """

    def __init__(self, *, allow: Collection[tuple[str, str]] | Literal[True] | None = None) -> None:
        if allow is None:
            super().__init__()
        else:
            super().__init__(allowed_msgpack_modules=True if allow is True else tuple(allow))
        allowed = self._allowed_msgpack_modules
        self._registered: dict[tuple[str, ...], type | None] = {}
        if isinstance(allowed, set):
            self.with_msgpack_allowlist(allowed)
        self._revives_any = allowed is True
        self._library_hook = self._unpack_ext_hook

    def with_msgpack_allowlist(
        self, extra_allowlist: Iterable[tuple[str, ...] | type]
    ) -> "Serializer":
        """Register classes, or where they are; returns this serializer.

        What is registered as a class need not stand at the top of a module.
        """
        for found in extra_allowlist:
            if isinstance(found, type):
                self._registered[found.__module__, found.__name__] = found
            else:
                self._registered.setdefault(found, None)
        return self

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Return a value's type and bytes.

        Raises:
            TypeError: It has a part that cannot be serialized.
            InvalidInput: It has one that this serializer would not revive.
        """
        if obj is None or isinstance(obj, bytes | bytearray):
            return super().dumps_typed(obj)
        return "msgpack", self._packed(obj, _Marking())

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Return the value of a type and bytes.

        Raises:
            Unreadable: It cannot be read as what it was.
        """
        kind, packed = data
        try:
            if kind == "msgpack":
                return _unpacked(packed, self._revive_any if self._revives_any else self._revive)
            if kind == "json" and not self._revives_any:
                return json.loads(packed, object_hook=_revive_json)
            return super().loads_typed(data)
        except HarnessError:
            raise
        except Exception as exc:
            raise Unreadable.of(exc) from exc

    def _packed(self, value: Any, marking: _Marking) -> bytes:
        """Pack a value; once a part of it had to be marked, mark the others without trying first.

        (Objects are packed within objects: trying each of them twice would double with each level.)
        """
        failed: list[Exception] = []

        def default(one: Any) -> Any:
            try:
                return self._object(one, marking)
            except Exception as exc:
                failed.append(exc)
                raise

        try:
            if not marking.is_needed:
                return ormsgpack.packb(value, default=default, option=_EXACT)
        except ormsgpack.MsgpackEncodeError as exc:
            if failed:
                raise _reported(failed[0], exc) from None
            marking.is_needed = True
        try:
            return ormsgpack.packb(_marked(value), default=default, option=_EXACT)
        except ormsgpack.MsgpackEncodeError as exc:
            raise _reported(failed[0] if failed else exc, exc) from None
        except RecursionError:
            raise TypeError("it is nested too deeply to be serialized") from None

    def _object(self, value: Any, marking: _Marking) -> Any:
        """Return what stands for an object: LangGraph's form of it, proved to be readable."""
        if isinstance(value, _Scalar):
            packed = ormsgpack.packb(("builtins", value.name, value.args))
            return ormsgpack.Ext(EXT_CONSTRUCTOR_POS_ARGS, packed)
        if isinstance(value, float) and not isinstance(value, Enum):
            return float(value)
        if isinstance(value, BaseModel):  # messages, most often: its own form, made directly
            kind = type(value)
            dumped = (kind.__module__, kind.__name__, value.model_dump(), "model_validate_json")
            if not self._revives_any:
                self._prove_readable(lambda: self._check(EXT_PYDANTIC_V2, dumped))
            return ormsgpack.Ext(EXT_PYDANTIC_V2, self._packed(dumped, marking))
        if is_dict := isinstance(value, _Pairs):
            parts = ("builtins", "dict", value.pairs)
            form: _Form | str = _Form(EXT_CONSTRUCTOR_SINGLE_ARG, parts)
        else:
            form = _form_of(value)
        if not isinstance(form, _Form):
            made = _marked(form)  # of an exception its text
        elif form.code == EXT_NUMPY_ARRAY:
            made = _msgpack_default(value)  # whose buffer is only lent
        else:
            packed = self._packed(form.parts, marking)
            made = ormsgpack.Ext(form.code, packed)
            if not is_dict and not self._revives_any:
                self._prove_readable(lambda: self._prove(form.code, form.parts, packed))
        return made

    def _prove_readable(self, prove: Callable[[], Any]) -> None:
        try:
            prove()
        except Exception as exc:
            raise InvalidInput(
                f"{exc}; declare it in the graph's schema, or name it in HARNESS_MSGPACK_ALLOW"
            ) from exc

    def _prove(self, code: int, parts: Any, packed: bytes) -> None:
        """Make an object again, unless it certainly can be: its parts are proved already."""
        if code == EXT_DELTA_SNAPSHOT:
            return
        self._check(code, parts)
        if code not in _PYDANTIC and tuple(parts[:2]) not in SAFE_MSGPACK_TYPES:
            self._revive(code, packed)

    def _revive(self, code: int, data: bytes) -> Any:
        """Return an object of LangGraph's format, if its class is safe or registered."""
        if code == EXT_DELTA_SNAPSHOT:
            return _DeltaSnapshot(_unpacked(data, self._revive))
        parts = _unpacked(data, self._revive)
        if code == EXT_NUMPY_ARRAY:
            return _array(*parts)
        if _is_builtin(parts):
            return _BUILTINS[parts[1]](parts[2])
        self._check(code, parts)
        try:
            return _made(self._found(*parts[:2]), code, parts)
        except Unreadable:
            raise
        except Exception as exc:
            raise Unreadable(
                f"an object of {parts[0]}.{parts[1]} cannot be made again "
                f"({type(exc).__name__}: {exc})"
            ) from exc

    def _check(self, code: int, parts: Any) -> None:
        """Refuse what is neither safe nor registered, and what is not there.

        Raises:
            Unreadable: It is not, or nothing stands under its name.
        """
        module, name = str(parts[0]), str(parts[1])
        if code == EXT_METHOD_SINGLE_ARG:
            allowed = (module, name, parts[3]) in SAFE_MSGPACK_METHODS
        else:
            allowed = (module, name) in SAFE_MSGPACK_TYPES or (module, name) in self._registered
        if not allowed:
            raise Unreadable(f"{module}.{name} is no class of a schema")
        self._found(module, name)

    def _found(self, module: str, name: str) -> Any:
        """Return what is registered, or what stands under a name in a module.

        Raises:
            Unreadable: Nothing does.
        """
        try:
            return self._registered.get((module, name)) or getattr(import_module(module), name)
        except (ImportError, AttributeError) as exc:
            raise Unreadable(f"{module}.{name} is not there ({exc})") from exc

    def _revive_any(self, code: int, data: bytes) -> Any:
        """Return an object as LangGraph's own serializer does, but for builtins."""
        if code in (EXT_CONSTRUCTOR_POS_ARGS, EXT_CONSTRUCTOR_SINGLE_ARG):
            parts = _unpacked(data, self._revive_any)
            if _is_builtin(parts):
                return _BUILTINS[parts[1]](parts[2])
        return self._library_hook(code, data)


def _reported(failed: Exception, exc: ormsgpack.MsgpackEncodeError) -> Exception:
    """Return what to raise for a part that failed: ours as it is, others as ormsgpack's."""
    return failed if isinstance(failed, InvalidInput | TypeError) else exc


def _marked(value: Any) -> Any:
    """Return a value with the parts that msgpack cannot hold, keys too, made calls of builtins.

    What msgpack takes for a plain value is one, subclasses of the builtins as well.
    """
    if isinstance(value, str) and not isinstance(value, Enum):
        try:
            value.encode()
        except UnicodeEncodeError:
            return _Scalar("str", (value.encode(*_SURROGATES), *_SURROGATES))
    elif isinstance(value, int) and not isinstance(value, Enum):
        return value if -(2**63) <= value < 2**64 else _Scalar("int", (f"{value:x}", 16))
    elif isinstance(value, dict):
        pairs = [(_marked(key), _marked(one)) for key, one in value.items()]
        is_plain = not any(isinstance(key, _Scalar) for key, _ in pairs)
        return dict(pairs) if is_plain else _Pairs(pairs)
    elif isinstance(value, list) or type(value) is tuple:
        return [_marked(one) for one in value]
    return value


def _is_builtin(parts: Any) -> bool:
    return isinstance(parts, list) and parts[:1] == ["builtins"] and parts[1] in _BUILTINS


def _int(args: Sequence[Any]) -> int:
    text, base = args
    return int(text, base)


def _hashable(value: Any) -> Any:
    """Return a member of a set: msgpack has no tuples, and a list in a set was one."""
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


_BUILTINS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "str": lambda args: str(*args),
    "int": _int,
    "dict": dict,
    "set": lambda members: {_hashable(one) for one in members},
    "frozenset": lambda members: frozenset(map(_hashable, members)),
}
"""What makes values again that are stored as calls of builtins."""


def _unpacked(packed: bytes, hook: Hook) -> Any:
    """Unpack; what the hook raises is raised, which ormsgpack makes a bare ValueError of."""
    raised: list[Exception] = []

    def listening(code: int, data: bytes) -> Any:
        try:
            return hook(code, data)
        except Exception as exc:
            raised.append(exc)
            raise

    try:
        return ormsgpack.unpackb(packed, ext_hook=listening, option=ormsgpack.OPT_NON_STR_KEYS)
    except ormsgpack.MsgpackDecodeError:
        if raised:
            raise raised[0] from None
        raise


def _made(found: Any, code: int, parts: Any) -> Any:
    """Return an object of a class, of one of LangGraph's forms."""
    given = parts[2]
    if code == EXT_CONSTRUCTOR_SINGLE_ARG:
        return found(given)
    if code == EXT_CONSTRUCTOR_POS_ARGS:
        is_send = tuple(parts[:2]) == ("langgraph.types", "Send")
        return _send_from_args(given) if is_send else found(*given)
    if code == EXT_CONSTRUCTOR_KW_ARGS:
        return found(**given)
    if code == EXT_METHOD_SINGLE_ARG:
        return getattr(found, parts[3])(given)
    if code in _PYDANTIC:
        try:
            return found(**given)
        except Exception:  # noqa: BLE001 -- what was valid when it was stored is still what it was
            return getattr(found, _PYDANTIC[code])(**given)
    raise ValueError(f"{code} is no form of an object")


def _array(dtype: str, shape: list[int], order: Literal["C", "F"], buffer: bytes) -> Any:
    import numpy as np  # noqa: PLC0415 -- only those who store arrays load it

    return np.frombuffer(buffer, dtype=np.dtype(dtype)).reshape(shape, order=order)


def _revive_json(value: dict[str, Any]) -> Any:
    """Return what LangGraph wrote before it took msgpack: of classes, messages and what is safe."""
    kind, path = value.get("lc"), value.get("id")
    if kind not in (1, 2) or not isinstance(path, list) or "type" not in value:
        return value
    if kind == 1 and value["type"] == "constructor":
        return _MESSAGES(value)
    *module, name = map(str, path)
    if kind == 2 and (".".join(module), name) in SAFE_MSGPACK_TYPES:
        found = getattr(import_module(".".join(module)), name)
        return found(*(value.get("args") or ()), **(value.get("kwargs") or {}))
    raise Unreadable(f"{'.'.join(map(str, path))} is no class of a schema")
