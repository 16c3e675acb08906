"""Settings: their defaults, where they come from, and what is refused."""

import dataclasses
import re
from pathlib import Path

import platformdirs
import pytest

from harness import config
from harness.config import (
    DatabaseConfig,
    ProvisionConfig,
    ServerConfig,
    check_url,
    in_ci,
    misspelled,
    redact,
)
from harness.config.environment import VARIABLES
from harness.errors import ConfigError

URL = "postgresql://user:hunter2@db.example.com:5433/app?sslmode=disable"


class TestDatabaseConfig:
    """The seed's class of that name, and more."""

    def test_defaults(self) -> None:
        """Without settings there is no database, and the pool has its documented size."""
        config = DatabaseConfig()
        assert config.url is None
        assert (config.pool_min_size, config.pool_max_size) == (2, 10)
        assert config.pool_timeout_s == 10.0
        assert config.prepare_threshold == 5
        assert config.statement_timeout_s == 30
        assert config.required is False

    def test_is_configured_with_url(self) -> None:
        """A URL makes it configured."""
        assert DatabaseConfig(url=URL).is_configured

    def test_is_not_configured_without_url(self) -> None:
        """No URL, not configured, and nothing to show for it."""
        assert not DatabaseConfig().is_configured
        assert DatabaseConfig().safe_url == ""

    def test_from_env_with_env_vars(self) -> None:
        """Every documented variable is read, with its type."""
        environ = {
            "DATABASE_URL": URL,
            "DATABASE_REQUIRED": "Yes",
            "DATABASE_POOL_MIN_SIZE": "1",
            "DATABASE_POOL_MAX_SIZE": "3",
            "DATABASE_POOL_TIMEOUT_S": "0.5",
            "DATABASE_PREPARE_THRESHOLD": "None",
            "DATABASE_STATEMENT_TIMEOUT_S": "None",
        }
        assert DatabaseConfig.from_env(environ) == DatabaseConfig(
            url=URL,
            required=True,
            pool_min_size=1,
            pool_max_size=3,
            pool_timeout_s=0.5,
            prepare_threshold=None,
            statement_timeout_s=None,
        )

    def test_from_env_without_env_vars(self) -> None:
        """An empty environment gives the defaults."""
        assert DatabaseConfig.from_env({}) == DatabaseConfig()

    def test_from_env_reads_the_process_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without an argument it is the process's own environment that counts."""
        monkeypatch.setenv("DATABASE_URL", URL)
        assert DatabaseConfig.from_env().url == URL

    @pytest.mark.parametrize("blank", ["", "  "])
    def test_an_empty_variable_counts_as_unset(self, blank: str) -> None:
        """`DATABASE_URL=` in a shell switches Postgres off instead of failing."""
        environ = {"DATABASE_URL": blank, "DATABASE_POOL_MAX_SIZE": blank}
        assert DatabaseConfig.from_env(environ) == DatabaseConfig()

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("DATABASE_POOL_MIN_SIZE", "two"),
            ("DATABASE_POOL_MAX_SIZE", "1.5"),
            ("DATABASE_POOL_MAX_SIZE", "0"),
            ("DATABASE_POOL_MIN_SIZE", "11"),
            ("DATABASE_POOL_MIN_SIZE", "-1"),
            ("DATABASE_POOL_TIMEOUT_S", "soon"),
            ("DATABASE_STATEMENT_TIMEOUT_S", "soon"),
            ("DATABASE_STATEMENT_TIMEOUT_S", "0"),
            ("DATABASE_STATEMENT_TIMEOUT_S", "100000"),
            ("DATABASE_POOL_TIMEOUT_S", "0"),
            ("DATABASE_POOL_TIMEOUT_S", "nan"),
            ("DATABASE_PREPARE_THRESHOLD", "-1"),
            ("DATABASE_PREPARE_THRESHOLD", "never"),
            ("DATABASE_REQUIRED", "maybe"),
        ],
    )
    def test_a_bad_value_is_refused_by_its_name(self, name: str, value: str) -> None:
        """The error is one line that names the variable to correct."""
        with pytest.raises(ConfigError, match=name) as caught:
            DatabaseConfig.from_env({name: value})
        assert "\n" not in str(caught.value)

    def test_is_frozen(self) -> None:
        """Settings do not change under whoever read them."""
        with pytest.raises(dataclasses.FrozenInstanceError):
            DatabaseConfig().url = URL  # type: ignore[misc]  # what the test is about


class TestPasswords:
    """No setting shows its password."""

    @pytest.mark.parametrize("config", [DatabaseConfig(url=URL), ProvisionConfig(url=URL)])
    def test_repr_hides_the_url(self, config: DatabaseConfig | ProvisionConfig) -> None:
        """A config in a log or a traceback reveals nothing."""
        assert "hunter2" not in repr(config)

    def test_safe_url_keeps_all_but_the_password(self) -> None:
        """The address can still be recognised."""
        safe = DatabaseConfig(url=URL).safe_url
        assert "hunter2" not in safe
        assert "db.example.com" in safe
        assert "5433" in safe

    @pytest.mark.parametrize(
        "url",
        [
            URL,
            "host=db.example.com password=hunter2",
            "postgresql://user@db.example.com/app?password=hunter2",
            "postgresql://user:hunter%32@db.example.com/app",
        ],
    )
    def test_redact_knows_every_way_to_write_one(self, url: str) -> None:
        """URL, query, percent-encoding and key=value forms alike lose the password."""
        assert "hunter" not in redact(url)

    @pytest.mark.parametrize("password", ["hun@hunter2", "hun/hunter2", "hun@a/hunter2"])
    def test_a_password_that_would_be_taken_for_a_host_is_refused(self, password: str) -> None:
        """Unescaped, part of it would end up in messages as a host or a database."""
        with pytest.raises(ConfigError, match="%40") as caught:
            check_url(f"postgresql://user:{password}@db.example.com/app")
        assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize(
        "url",
        [
            "not a url hunter2",
            "mysql://user:hunter2@db.example.com/app",
            "postgresql://user:hunter2@[broken/app",
            "postgresql://user:hunter2@db.example.com/app?nosuchoption=1",
            "",
        ],
    )
    def test_a_malformed_url_is_refused_without_repeating_it(self, url: str) -> None:
        """One clear line says how to write it, and the password stays out."""
        with pytest.raises(ConfigError, match="postgresql://user:password@host") as caught:
            check_url(url)
        assert "hunter2" not in str(caught.value)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("config", [DatabaseConfig, ProvisionConfig])
    def test_a_malformed_url_is_refused_from_the_environment(
        self, config: type[DatabaseConfig] | type[ProvisionConfig]
    ) -> None:
        """Both configs check the URL before anything connects."""
        with pytest.raises(ConfigError, match="DATABASE_URL"):
            config.from_env({"DATABASE_URL": "localhost"})


class TestProvisionConfig:
    """Where a Postgres comes from."""

    def test_defaults_to_the_embedded_server(self) -> None:
        """Nothing set means the server that needs nothing installed."""
        config = ProvisionConfig.from_env({})
        assert config.url is None
        assert config.provisioner == "embedded"
        assert config.home == platformdirs.user_data_path("langgraph-harness")

    def test_reads_every_variable(self, tmp_path: Path) -> None:
        """URL, provisioner, image and home come from their variables."""
        environ = {
            "DATABASE_URL": URL,
            "HARNESS_POSTGRES": "container",
            "HARNESS_POSTGRES_IMAGE": "postgres:15-local",
            "HARNESS_HOME": str(tmp_path),
        }
        assert ProvisionConfig.from_env(environ) == ProvisionConfig(
            url=URL, provisioner="container", image="postgres:15-local", home=tmp_path
        )

    def test_an_unknown_provisioner_is_refused(self) -> None:
        """The error names the variable and the choices."""
        with pytest.raises(
            ConfigError, match="HARNESS_POSTGRES must be one of embedded, container"
        ):
            ProvisionConfig.from_env({"HARNESS_POSTGRES": "podman"})


@pytest.mark.parametrize(
    ("environ", "expected"),
    [({}, False), ({"CI": "true"}, True), ({"CI": "woodpecker"}, True), ({"CI": "false"}, False)],
)
def test_in_ci(environ: dict[str, str], expected: bool) -> None:
    """CI counts unless it says no."""
    assert in_ci(environ) is expected


class TestServerConfig:
    """What checkpoints may hold, and what is refused instead of being ignored."""

    @pytest.mark.parametrize(
        ("environ", "revived"),
        [
            ({}, frozenset()),
            ({"HARNESS_MSGPACK_ALLOW": "a.b:C, d:E"}, {("a.b", "C"), ("d", "E")}),
            ({"HARNESS_MSGPACK_ALLOW": "Any", "LANGGRAPH_STRICT_MSGPACK": "false"}, True),
            ({"LANGGRAPH_STRICT_MSGPACK": "true"}, frozenset()),
        ],
    )
    def test_what_is_revived(self, environ: dict[str, str], revived: object) -> None:
        """Nothing beyond schemas by default; named classes, or any."""
        assert ServerConfig.from_env(environ).revived == revived

    @pytest.mark.parametrize(
        ("text", "hosts"),
        [
            ("", None),
            ("none", frozenset()),
            (" None ", frozenset()),
            ("NONE", frozenset()),
            ("a.example, B.example", {"a.example", "b.example"}),
        ],
    )
    def test_whom_webhooks_may_call(self, text: str, hosts: object) -> None:
        """Anybody, nobody or the hosts that are named, in any case."""
        assert ServerConfig.from_env({"HARNESS_WEBHOOK_HOSTS": text}).webhook_hosts == hosts

    @pytest.mark.parametrize(
        ("environ", "complaint"),
        [
            ({"HARNESS_MSGPACK_ALLOW": "os"}, "module:Class"),
            ({"HARNESS_MSGPACK_ALLOW": "os:"}, "module:Class"),
            ({"LANGGRAPH_STRICT_MSGPACK": "0"}, "HARNESS_MSGPACK_ALLOW=any"),
            ({"LANGGRAPH_AES_KEY": "x" * 16}, "LANGGRAPH_AES_KEY is set"),
        ],
    )
    def test_what_cannot_be_honoured(self, environ: dict[str, str], complaint: str) -> None:
        """Neither a weaker server nor one that only seems to encrypt; keys are not repeated."""
        with pytest.raises(ConfigError, match=complaint) as told:
            ServerConfig.from_env(environ)
        assert "xxxx" not in str(told.value)


class TestVariables:
    """The variables that there are, and those that set nothing."""

    def test_all_are_documented_and_read(self) -> None:
        """The table of `harness.config` lists those that are known, and each is read."""
        rows = [row for row in (config.__doc__ or "").splitlines() if row.startswith("| `")]
        documented = [
            name for row in rows for name in re.findall(r"`([A-Z_]+)`", row.split("|")[1])
        ]
        assert sorted(documented) == sorted(VARIABLES)
        environ = _Read()
        for read in (DatabaseConfig.from_env, ProvisionConfig.from_env, ServerConfig.from_env):
            read(environ)
        config.results_folder(environ)
        config.model_name(environ)
        assert environ.names >= set(VARIABLES)

    @pytest.mark.parametrize("name", VARIABLES)
    def test_a_misspelled_one(self, name: str) -> None:
        """A name that lacks a letter, has one too many or two in the wrong order is noticed."""
        for at in range(len(name) - 1):
            for wrong in (
                name[:at] + name[at + 1 :],
                name[:at] + "X" + name[at:],
                name[:at] + name[at + 1] + name[at] + name[at + 2 :],
            ):
                if wrong != name:
                    assert misspelled({wrong: "1"}) == {wrong: name}

    @pytest.mark.parametrize(
        "name", [*VARIABLES, "HARNESS_BUILD_ID", "HARNESS_ACCOUNT_ID", "DATABASE_NAME", "PATH"]
    )
    def test_others(self, name: str) -> None:
        """What is spelled well, or is another program's, is passed over."""
        assert misspelled({name: "1"}) == {}


class _Read(dict[str, str]):
    """An empty environment that keeps which names are looked up."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        """Keep the name."""
        self.names.add(name)
        return default
