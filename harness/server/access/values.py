"""What handlers are shown of a call, and how what they change in it comes back into the call."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias
from uuid import UUID

from harness.server.http import Call, Nothing, Schema
from harness.storage.resources.ownership import new_id

Value: TypeAlias = dict[str, Any]
AnyCall: TypeAlias = Call[Any, Any]

_IDS: Final = frozenset({"assistant_id", "thread_id", "run_id", "cron_id"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A value with the call's ids and some fields of its body or query.

    A handler may change it: fields that it changed are the call's then, checked anew.
    """

    fields: tuple[str, ...] = ()
    """Of the body, or of the query where there is no body."""
    new_id: str | None = None
    """The field that holds a new row's id; made here where the caller leaves it to the server."""
    further: Mapping[str, Any] = field(default_factory=dict)
    """What is in the value besides."""

    def shown(self, call: AnyCall) -> Value:
        """Return the value."""
        value: Value = dict(self.further)
        for name, text in call.path.items():
            if name in _IDS:
                value[name] = as_uuid(call.services.graphs.assistant_id(text))
        given = part_of(call)
        for name in self.fields:
            found = getattr(given, name)
            value[name] = {} if found is None and name == "metadata" else deepcopy(found)
        if self.new_id is not None:
            value[self.new_id] = as_uuid(getattr(given, self.new_id) or new_id())
        return value

    def applied(self, call: AnyCall, before: Value, after: Value) -> AnyCall:
        """Return the call with what a handler has changed.

        Raises:
            ValidationError: It was changed to what no caller could send.
        """
        changed = {
            name: _plain(after[name])
            for name in self.fields
            if name in after and after[name] != before[name]
        }
        if self.new_id is not None:
            changed.setdefault(self.new_id, _plain(after[self.new_id]))
        return with_part(call, changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceShape(Shape):
    """A value of the store, whose `namespace` is a tuple, whatever the request calls it."""

    named: str
    """What the request calls it."""

    def shown(self, call: AnyCall) -> Value:
        """Return the value."""
        found = getattr(part_of(call), self.named)
        if isinstance(found, str):
            found = found.split(".") if found else []
        namespace = None if found is None else tuple(found)
        # Not `super()`: a dataclass with slots is another class than the one in the source.
        return {"namespace": namespace, **Shape.shown(self, call)}

    def applied(self, call: AnyCall, before: Value, after: Value) -> AnyCall:
        """Return the call with what a handler has changed."""
        call = Shape.applied(self, call, before, after)
        namespace = after.get("namespace")
        if namespace == before["namespace"]:
            return call
        labels = None if namespace is None else list(namespace)
        if isinstance(getattr(part_of(call), self.named), str):
            if any("." in label for label in labels or ()):
                raise ValueError("a label of a namespace has a dot in it")
            return with_part(call, {self.named: ".".join(labels or ())})
        return with_part(call, {self.named: labels})


@dataclass(frozen=True, slots=True, kw_only=True)
class NestedShape(Shape):
    """A value that holds most fields of the body together under one name."""

    under: str
    """Such as `kwargs`."""
    nested: Callable[[Any], dict[str, Any]]
    """Returns them for a body."""
    also: Callable[[AnyCall], Value] = field(default=lambda _: {})
    """Returns what is in the value besides."""

    def shown(self, call: AnyCall) -> Value:
        """Return the value."""
        value = Shape.shown(self, call)
        return {**value, **self.also(call), self.under: deepcopy(self.nested(call.body))}

    def applied(self, call: AnyCall, before: Value, after: Value) -> AnyCall:
        """Return the call with what a handler has changed."""
        call = Shape.applied(self, call, before, after)
        held = after.get(self.under) or {}
        changed = {
            name: _plain(held.get(name))
            for name in {*before[self.under], *held} & {*type(call.body).model_fields}
            if held.get(name) != before[self.under].get(name)
        }
        return with_part(call, changed)


def part_of(call: AnyCall) -> Schema:
    """Return the body; the query of a call that has none."""
    found: Schema = call.query if isinstance(call.body, Nothing) else call.body
    return found


def with_part(call: AnyCall, changed: Mapping[str, Any]) -> AnyCall:
    """Return a call whose body, or query without a body, has other fields."""
    if not changed:
        return call
    given = part_of(call)
    known = {name: value for name, value in changed.items() if name in type(given).model_fields}
    fields = {name: getattr(given, name) for name in given.model_fields_set}
    made = type(given).model_validate({**_plain(fields), **known})
    return replace(call, body=made) if given is call.body else replace(call, query=made)


def thread_named(call: AnyCall) -> str | None:
    """Return the thread that a run is asked for: the path's, or in a batch the body's."""
    return call.path.get("thread_id") or getattr(call.body, "thread_id", None)


def as_uuid(text: Any) -> Any:
    """Return an id as handlers get it; what is none is left for the route to refuse."""
    try:
        return UUID(text)
    except (ValueError, TypeError, AttributeError):
        return text


def _plain(value: Any) -> Any:
    """Return what a caller could have sent."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Schema):
        return value.model_dump(exclude_unset=True)
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
