"""A `langgraph.json`: each key that the official schema knows has its effect or is refused."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints, is_typeddict

import pytest
from langgraph_cli.config import _KNOWN_CONFIG_KEYS
from langgraph_cli.schemas import Config

from harness.config import Cors, Deployment, ItemTtlConfig, ServerConfig, ThreadTtlConfig
from harness.config.deployment import MEANINGLESS, honoured_keys
from harness.errors import ConfigError
from harness.server.loading import is_installed

GRAPHS: Final = {"agent": "./a.py:graph"}
HONOURED: Final = {
    "graphs": "test_server_factories.py",
    "dependencies": "test_dependencies_are_folders_or_packages",
    "env": "test_env_sets_what_the_process_has_not",
    "auth": "test_server_auth.py",
    "auth.path": "test_server_auth.py",
    "auth.openapi": "test_server_auth.py::test_the_document_says_how_to_show_who_one_is",
    "auth.openapi.securitySchemes": "likewise",
    "auth.openapi.security": "likewise",
    "auth.openapi.paths": "likewise",
    "http": "its keys",
    "http.cors": "test_server_cors.py",
    "http.cors.allow_origins": "test_server_cors.py",
    "http.cors.allow_origin_regex": "test_server_cors.py",
    "http.cors.allow_methods": "test_server_cors.py",
    "http.cors.allow_headers": "test_server_cors.py",
    "http.cors.allow_credentials": "test_server_cors.py",
    "http.cors.expose_headers": "test_server_cors.py",
    "http.cors.max_age": "test_server_cors.py",
    "checkpointer": "its keys",
    "checkpointer.ttl": "test_lifetimes_are_handed_on",
    "checkpointer.ttl.strategy": "likewise",
    "checkpointer.ttl.default_ttl": "likewise",
    "checkpointer.ttl.sweep_interval_minutes": "likewise",
    "checkpointer.ttl.sweep_limit": "likewise",
    "store": "its keys",
    "store.ttl": "test_lifetimes_are_handed_on",
    "store.ttl.refresh_on_read": "likewise",
    "store.ttl.default_ttl": "likewise",
    "store.ttl.sweep_interval_minutes": "likewise",
}
"""Keys that have their effect, and the tests that show it."""
SWITCHES: Final = {
    "auth.disable_studio_auth": True,
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
"""Switches whose one position is what the server does anyway."""


def read(folder: Path, **given: Any) -> Deployment:
    """Read a `langgraph.json` of these keys."""
    path = folder / "langgraph.json"
    path.write_text(json.dumps({"graphs": GRAPHS, **given}))
    return Deployment.read(path)


def nested(name: str, value: Any) -> dict[str, Any]:
    """Return an object with a value under a key with dots in it."""
    for part in reversed(name.split(".")):
        value = {part: value}
    found: dict[str, Any] = value
    return found


def official_keys(kind: Any = Config, above: str = "") -> Iterator[str]:
    """Yield every key of the official schema, those within others too."""
    for key, hint in get_type_hints(kind).items():
        yield f"{above}{key}"
        for choice in (hint, *get_args(hint)):
            if is_typeddict(choice):
                yield from official_keys(choice, f"{above}{key}.")


OFFICIAL: Final = sorted({*official_keys(), *_KNOWN_CONFIG_KEYS})


def test_the_official_schema_is_walked_whole() -> None:
    """Keys of objects within objects are among those that are asked about."""
    assert {"auth.openapi.paths", "http.cors.max_age", "store.index.dims", "ui_config"} <= {
        *OFFICIAL
    }


def test_what_is_honoured_is_what_the_tests_name() -> None:
    """A key that is read without a test that shows its effect is found here."""
    assert {*HONOURED} == {*honoured_keys()}
    assert {*HONOURED} <= {*OFFICIAL}


@pytest.mark.invariant(55)
@pytest.mark.parametrize(
    "key", [k for k in OFFICIAL if k not in HONOURED and k.partition(".")[0] not in MEANINGLESS]
)
def test_any_other_official_key_is_refused(tmp_path: Path, key: str) -> None:
    """One line names the key, or the one it lies in; a key that is new tomorrow too."""
    value = not SWITCHES[key] if key in SWITCHES else "something"
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, **nested(key, value))
    line = str(refused.value)
    assert "\n" not in line
    named = line.removeprefix(f"{tmp_path / 'langgraph.json'}: ").split()[0]
    assert key == named or key.startswith(f"{named}.")


@pytest.mark.invariant(55)
@pytest.mark.parametrize("key", [*SWITCHES, *(k for k in OFFICIAL if "." not in k)])
def test_null_and_a_switch_as_it_stands_are_accepted(tmp_path: Path, key: str) -> None:
    """They ask for nothing else than what is."""
    if key in SWITCHES and not key.startswith("auth"):
        read(tmp_path, **nested(key, SWITCHES[key]))
    elif "." not in key and key not in {"graphs", "project_root", "package"}:
        read(tmp_path, **nested(key, None))


@pytest.mark.invariant(55)
@pytest.mark.parametrize("key", sorted(MEANINGLESS))
def test_what_only_an_image_needs_is_said_to_have_no_meaning(tmp_path: Path, key: str) -> None:
    """It is accepted, and told once when the server starts."""
    assert read(tmp_path, **{key: "3.12"}).meaningless == (key,)


@pytest.mark.invariant(55)
@pytest.mark.parametrize(
    ("key", "advice"),
    [
        ("graph", "did you mean graphs?"),
        ("http.corz", "did you mean http.cors?"),
        ("store.ttl.default_tll", "did you mean store.ttl.default_ttl?"),
        ("xyzzy", "remove it"),
    ],
)
def test_a_slip_of_the_pen_is_refused_with_the_right_word(
    tmp_path: Path, key: str, advice: str
) -> None:
    """What is written nearly so is found out."""
    with pytest.raises(ConfigError, match=rf"{key} has no meaning here; {advice}"):
        read(tmp_path, **nested(key, 1))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"graphs": {"a": {"path": 3}}}, "graphs.a.path: Input should be a valid string"),
        ({"graphs": {"a": {"pat": "x"}}}, "graphs.a.path: Field required"),
        ({"env": {"A": 1}}, r"env.*A: Input should be a valid string"),
        ({"env": "missing.env"}, "env: there is no file missing.env"),
        ({"dependencies": ["./missing"]}, "dependencies: there is no folder ./missing"),
        ({"http": {"cors": {}}}, "http.cors allows no origin"),
        ({"http": {"cors": {"allow_origins": ["example.com"]}}}, "'example.com' is no origin"),
        ({"http": {"cors": {"allow_origin_regex": "("}}}, "allow_origin_regex is no regular"),
        (
            {"http": {"cors": {"allow_origins": ["*"], "allow_credentials": True}}},
            "name the origins",
        ),
        ({"checkpointer": {"ttl": {"default_ttl": 0}}}, "default_ttl: Input should be greater"),
        ({"checkpointer": {"ttl": {"strategy": "burn"}}}, "strategy: Input should be 'delete'"),
        ({"store": {"ttl": {"refresh_on_read": "yes"}}}, "refresh_on_read: Input should be"),
        ({"http": []}, "http: Input should be"),
        *(
            ({"http": {"cors": {"allow_origins": ["*"], key: ["X-Fine", text]}}}, f"{key}: ")
            for key in ("allow_methods", "allow_headers", "expose_headers")
            for text in ("a\r\nb: c", "a b", "a,b", "a:", "\0", "\u20ac", "")
        ),
        *(
            ({"http": {"cors": {"allow_origins": [f"https://a{each}b"]}}}, "is no origin")
            for each in ("\r\n", "\0", "\x7f", "\u20ac", "/", " ")
        ),
        *(
            ({"env": {name: "x"}}, "env: .* cannot be the name of a variable")
            for name in ("", "A=B", "A\0", "=")
        ),
        ({"env": {"A": "secret\0"}}, "env: the value of A has NUL"),
        *(
            ({"dependencies": [text]}, "dependencies: .* is no path")
            for text in ("\0", "./a\0b", "x" * 5_000)
        ),
        *(
            ({part: {"ttl": {"sweep_interval_minutes": each}}}, "greater than or equal to 0.016")
            for part in ("checkpointer", "store")
            for each in (0, -1, 1e-300, 0.01)
        ),
    ],
)
def test_a_value_that_cannot_be_used(tmp_path: Path, given: dict[str, Any], says: str) -> None:
    """One line says where it stands and what is wrong with it."""
    with pytest.raises(ConfigError, match=says) as refused:
        read(tmp_path, **given)
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is no JSON"),
        ("{}", "names no graphs"),
        ('{"graphs": {}}', "names no graphs"),
        ("[]", "names no graphs"),
        (None, "cannot read .*: No such file"),
    ],
)
def test_a_file_that_names_no_graphs(tmp_path: Path, text: str | None, says: str) -> None:
    """One line names the file and what to write."""
    path = tmp_path / "langgraph.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        Deployment.read(path)


@pytest.mark.invariant(55)
def test_lifetimes_are_handed_on(tmp_path: Path) -> None:
    """Each key of `checkpointer.ttl` and `store.ttl` reaches the server's settings."""
    threads = {
        "strategy": "keep_latest",
        "default_ttl": 1.5,
        "sweep_interval_minutes": 2,
        "sweep_limit": 3,
    }
    items = {"refresh_on_read": False, "default_ttl": 4, "sweep_interval_minutes": 0.5}
    found = read(tmp_path, checkpointer={"ttl": threads}, store={"ttl": items})
    config = ServerConfig.from_env({}, deployment=found)
    assert config.thread_ttl == ThreadTtlConfig(**threads)  # type: ignore[arg-type]  # read as it is
    assert config.item_ttl == ItemTtlConfig(**items)  # type: ignore[arg-type]  # likewise


@pytest.mark.invariant(55)
def test_origins_come_from_a_variable_or_from_the_file(tmp_path: Path) -> None:
    """The variable comes first."""
    found = read(tmp_path, http={"cors": {"allow_origins": ["https://a.example"]}})
    assert ServerConfig.from_env({}, deployment=found).cors == Cors(
        allow_origins=("https://a.example",)
    )
    environ = {"HARNESS_CORS_ORIGINS": "https://b.example, http://localhost:3000"}
    assert ServerConfig.from_env(environ, deployment=found).cors == Cors(
        allow_origins=("https://b.example", "http://localhost:3000")
    )
    assert ServerConfig.from_env({}).cors is None


@pytest.mark.invariant(55)
@pytest.mark.parametrize("as_file", [True, False])
def test_env_sets_what_the_process_has_not(
    tmp_path: Path, as_file: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a file or an object; what the process was started with comes first."""
    monkeypatch.setenv("HARNESS_TEST_MINE", "the process's")
    monkeypatch.delenv("HARNESS_TEST_NEW", raising=False)
    variables = {"HARNESS_TEST_MINE": "the file's", "HARNESS_TEST_NEW": "a b"}
    (tmp_path / ".env").write_text("HARNESS_TEST_MINE='the file'\nHARNESS_TEST_NEW='a b'  # it\n")
    found = read(tmp_path, env=".env" if as_file else variables)
    assert "the file" not in repr(found)  # it may be a secret
    try:
        found.set_environment()
        assert os.environ["HARNESS_TEST_MINE"] == "the process's"
        assert os.environ["HARNESS_TEST_NEW"] == "a b"
    finally:
        os.environ.pop("HARNESS_TEST_NEW", None)


@pytest.mark.invariant(55)
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe=\x00\nA=B\n", r"env: \.env is not UTF-8"),
        (b"A=\0", "env: the value of A has NUL"),
        (b"A\0=1", "env: .* cannot be the name of a variable"),
    ],
)
def test_a_file_of_variables_that_cannot_be_used(tmp_path: Path, content: bytes, says: str) -> None:
    """One line names the file, the variable and what is wrong."""
    (tmp_path / ".env").write_bytes(content)
    with pytest.raises(ConfigError, match=says) as refused:
        read(tmp_path, env=".env")
    assert "\n" not in str(refused.value)


@pytest.mark.invariant(55)
@pytest.mark.parametrize(
    ("dependency", "installed"),
    [
        ("langgraph", True),
        ("LangGraph_SDK", True),
        ("langgraph>=1,<99", True),
        ("langgraph<0.1", False),
        ("no-such-package-of-harness", False),
        ("no-such-package-of-harness; python_version < '3'", True),
        ("git+https://example.com/x.git", False),
        ("requests>>2", False),
    ],
)
def test_a_package_that_is_missing_is_found_out(dependency: str, installed: bool) -> None:
    """By its name and its version, as pip would see it."""
    assert is_installed(dependency) is installed


@pytest.mark.invariant(55)
def test_dependencies_are_folders_or_packages(tmp_path: Path) -> None:
    """Folders are imported from; packages have to be there."""
    (tmp_path / "src").mkdir()
    found = read(tmp_path, dependencies=[".", "./src", "langchain_openai"])
    assert found.folders == (tmp_path, tmp_path / "src")
    assert found.packages == ("langchain_openai",)
    assert str(tmp_path) not in sys.path


@pytest.mark.invariant(55)
@pytest.mark.parametrize("key", ["HARNESS_JWT_SECRET", "HARNESS_JWT_PUBLIC_KEY"])
def test_two_ways_to_tell_who_calls_are_refused(tmp_path: Path, key: str) -> None:
    """With `auth` and a key for tokens, one of them would be ignored."""
    found = read(tmp_path, auth={"path": "./auth.py:auth", "disable_studio_auth": True})
    with pytest.raises(ConfigError, match="not both"):
        ServerConfig.from_env({key: "x" * 32}, deployment=found)
    assert ServerConfig.from_env({}, deployment=found, host="192.0.2.1").authenticates
