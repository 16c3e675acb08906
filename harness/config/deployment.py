"""A `langgraph.json`: what of it has its effect here, what has none, and what is refused."""

import difflib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Final, Self, get_args, get_type_hints

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from harness.config.cors import Cors
from harness.config.ttl import ItemTtlConfig, ThreadTtlConfig
from harness.errors import ConfigError

_NOT_HERE: Final = "is not served here; remove it"

MEANINGLESS: Final = frozenset(
    {
        "$schema",
        "python_version",
        "node_version",
        "api_version",
        "_INTERNAL_docker_tag",
        "base_image",
        "image_distro",
        "pip_config_file",
        "pip_installer",
        "source",
        "dockerfile_lines",
        "keep_pkg_tools",
    }
)
"""Keys that say how an image is built: there is none where the file is served as it is."""

REFUSED: Final[Mapping[str, str]] = {
    "store.index": "is not served here: nothing is searched by meaning; remove it",
    "checkpointer.path": "is not served here: threads are kept by harness's own checkpointer",
    "checkpointer.serde": "is not served here: name classes in HARNESS_MSGPACK_ALLOW instead",
    "auth.cache": "is not served here: each request is authenticated; remove it",
    "encryption": "is not served here: everything would be stored in plain text; remove it",
    "priority": "is not served here: runs begin in the order of their making; remove it",
    "webhooks": _NOT_HERE,
    "ui": _NOT_HERE,
    "ui_config": _NOT_HERE,
    "http.app": "is not served here; serve it beside this server, under an address of its own",
    "http.configurable_headers": "is not served here; remove it, and let callers use `context`",
    "http.logging_headers": "is not served here: no header is logged; remove it",
    "http.middleware_order": "is not served here, since http.app is not; remove it",
    "http.enable_custom_route_auth": "is not served here, since http.app is not; remove it",
    "http.mount_prefix": "is not served here; have a reverse proxy take the prefix away",
}
"""Keys that the official server honours and this one does not, and what to do. A key that is in no
table is refused too."""

_ONLY: Final[Mapping[str, bool]] = {
    "auth.disable_studio_auth": True,  # no request is let in because it comes from Studio
    "http.disable_mcp": True,
    "http.disable_a2a": True,
    "http.disable_ui": True,
    "http.disable_assistants": False,
    "http.disable_threads": False,
    "http.disable_runs": False,
    "http.disable_store": False,
    "http.disable_meta": False,
    "http.disable_webhooks": False,
}
"""Switches that have one position here."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class GraphSource(_Part):
    """Where a graph is found."""

    path: str
    """`path/to/file.py:variable` or `package.module:variable`."""
    description: str | None = None


class SecuritySource(_Part):
    """What the OpenAPI document says of how callers show who they are, in OpenAPI's own words."""

    securitySchemes: dict[str, dict[str, Any]] = Field(default_factory=dict)  # noqa: N815 -- OpenAPI's name
    security: list[dict[str, list[str]]] = Field(default_factory=list)
    """Of every route that asks who calls."""
    paths: dict[str, dict[str, list[dict[str, list[str]]]]] = Field(default_factory=dict)
    """Of a path's methods, instead."""


class AuthSource(_Part):
    """Where the `langgraph_sdk.Auth` object is found that says who may do what."""

    path: str
    """As a graph's."""
    openapi: SecuritySource | None = None


class _Http(_Part):
    cors: Cors | None = None


class _Checkpointer(_Part):
    ttl: ThreadTtlConfig | None = None


class _Store(_Part):
    ttl: ItemTtlConfig | None = None


class _Document(_Part):
    """The keys that have their effect."""

    graphs: dict[str, GraphSource] = Field(min_length=1)
    dependencies: tuple[str, ...] = ()
    env: dict[str, str] | str = Field(default_factory=dict)
    auth: AuthSource | None = None
    http: _Http = _Http()
    checkpointer: _Checkpointer = _Checkpointer()
    store: _Store = _Store()

    @field_validator("graphs", mode="before")
    @classmethod
    def _with_paths(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {
            name: {"path": target} if isinstance(target, str) else target
            for name, target in given.items()
        }


_PARTS: Final = (
    AuthSource,
    SecuritySource,
    _Http,
    _Checkpointer,
    _Store,
    Cors,
    ThreadTtlConfig,
    ItemTtlConfig,
)


class Deployment(BaseModel):
    """What a `langgraph.json` asks for; whatever of it has no effect was refused."""

    model_config = ConfigDict(frozen=True)

    folder: Path
    """Where its relative paths begin."""
    graphs: Mapping[str, GraphSource]
    folders: tuple[Path, ...]
    """Of its `dependencies`, and its own: what is imported from."""
    packages: tuple[str, ...]
    """Of its `dependencies`: to be installed beforehand."""
    env: Mapping[str, str] = Field(repr=False)
    auth: AuthSource | None
    cors: Cors | None
    thread_ttl: ThreadTtlConfig | None
    item_ttl: ItemTtlConfig | None
    meaningless: tuple[str, ...]
    """Its keys that have no meaning where no image is built."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a `langgraph.json`.

        Raises:
            ConfigError: It cannot be read, or has a key that would have no effect; names the key.
        """
        try:
            text = path.read_text(encoding="utf-8")
            given = json.loads(text)
        except OSError as exc:
            raise ConfigError(f"cannot read {path}: {exc.strerror}") from exc
        except (ValueError, RecursionError) as exc:
            raise ConfigError(f"{path} is no JSON: {exc}") from exc
        if not isinstance(given, dict) or not given.get("graphs"):
            raise ConfigError(
                f'{path} names no graphs; write {{"graphs": {{"agent": "./a.py:graph"}}}}'
            )
        meaningless: list[str] = []
        try:
            honoured = _honoured(given, _Document, "", meaningless)
            document = _Document.model_validate_json(json.dumps(honoured))
        except ValidationError as exc:
            raise ConfigError(f"{path}: {_first_of(exc)}") from exc
        except ConfigError as exc:
            raise ConfigError(f"{path}: {exc}") from exc
        folder = path.resolve().parent
        folders, packages = _dependencies(document.dependencies, folder, path)
        return cls(
            folder=folder,
            graphs=document.graphs,
            folders=folders,
            packages=packages,
            env=_variables(document.env, folder, path),
            auth=document.auth,
            cors=document.http.cors,
            thread_ttl=document.checkpointer.ttl,
            item_ttl=document.store.ttl,
            meaningless=tuple(meaningless),
        )

    def set_environment(self) -> None:
        """Set the variables of `env` that the process does not have yet."""
        for name, value in self.env.items():
            os.environ.setdefault(name, value)


def _honoured(
    given: Mapping[str, Any], kind: type, above: str, meaningless: list[str]
) -> dict[str, Any]:
    """Return the part of an object that has its effect; null is as good as nothing.

    Raises:
        ConfigError: Something would have none.
    """
    kept: dict[str, Any] = {}
    for key, value in given.items():
        name = f"{above}{key}"
        if value is None:
            _check_known(name, kind, above)
        elif name in MEANINGLESS:
            meaningless.append(name)
        elif name in REFUSED:
            raise ConfigError(f"{name} {REFUSED[name]}")
        elif name in _ONLY:
            if value is not _ONLY[name]:
                only = json.dumps(_ONLY[name])
                raise ConfigError(f"{name} can only be {only} here; write that, or remove it")
        else:
            _check_known(name, kind, above)
            part = _part_of(kind, key)
            kept[key] = value
            if part is not None and isinstance(value, dict):
                kept[key] = _honoured(value, part, f"{name}.", meaningless)
    return kept


def _check_known(name: str, kind: type, above: str) -> None:
    """Refuse a key that no table has."""
    known = {f"{above}{field}" for field in _fields_of(kind)} | MEANINGLESS | {*REFUSED, *_ONLY}
    if name not in known:
        like = difflib.get_close_matches(name, sorted(known), n=1)
        advice = f"did you mean {like[0]}?" if like else "remove it"
        raise ConfigError(f"{name} has no meaning here; {advice}")


def _fields_of(kind: type) -> Mapping[str, Any]:
    """Return the types of an object's keys."""
    return {name: hint for name, hint in get_type_hints(kind).items() if not name.startswith("_")}


def _part_of(kind: type, key: str) -> type | None:
    """Return what an object under a key is made of, where its keys are ours to know."""
    hint = _fields_of(kind)[key]
    choices = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return next((each for each in choices if each in _PARTS), None)


def _dependencies(
    given: tuple[str, ...], folder: Path, path: Path
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Tell folders, which are imported from, from packages, which must have been installed."""
    folders, packages = [folder], []
    for dependency in given:
        try:
            place = (folder / dependency).resolve()
            is_folder = place.is_dir()
        except (OSError, RuntimeError, ValueError) as exc:  # NUL, or links in a circle
            raise ConfigError(f"{path}: dependencies: {dependency!r:.200} is no path") from exc
        if is_folder:
            folders.append(place)
        elif dependency.startswith((".", "/")):
            raise ConfigError(f"{path}: dependencies: there is no folder {dependency}")
        else:
            packages.append(dependency)
    return tuple(dict.fromkeys(folders)), tuple(packages)


def _variables(given: Mapping[str, str] | str, folder: Path, path: Path) -> dict[str, str]:
    """Return the variables of `env`, each of which a process can have."""
    if isinstance(given, str):
        given = _of_file(folder / given, f"{path}: env")
    for name, value in given.items():
        if not name or "=" in name or not _is_text(name):
            raise ConfigError(f"{path}: env: {name!r:.200} cannot be the name of a variable")
        if not _is_text(value):  # it may be secret
            raise ConfigError(f"{path}: env: the value of {name} has NUL or is no Unicode")
    return dict(given)


def _of_file(file: Path, where: str) -> dict[str, str]:
    if not file.is_file():
        raise ConfigError(f"{where}: there is no file {file.name}")
    try:
        found = dotenv_values(file, encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"{where}: cannot read {file.name}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{where}: {file.name} is not UTF-8") from exc
    return {name: value for name, value in found.items() if value is not None}


def _is_text(text: str) -> bool:
    """Whether an environment can hold text."""
    return "\0" not in text and not any("\ud800" <= each <= "\udfff" for each in text)


def _first_of(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    what = first["msg"].removeprefix("Value error, ")
    return f"{'.'.join(map(str, first['loc']))}: {what}"


def honoured_keys(kind: type = _Document, above: str = "") -> Iterator[str]:
    """Yield the keys that have their effect, with dots between those that lie within others."""
    for key in _fields_of(kind):
        yield f"{above}{key}"
        part = _part_of(kind, key)
        if part is not None:
            yield from honoured_keys(part, f"{above}{key}.")
