"""What the command line says before it does anything."""

import pytest
from typer.testing import CliRunner

from harness.cli import app


@pytest.mark.parametrize("command", ["inspect", "prune --keep 1", "check"])
def test_two_databases_are_refused(command: str) -> None:
    """A server's name is not ignored where `DATABASE_URL` names another one."""
    environ = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}
    done = CliRunner().invoke(app, f"db {command} --name other", env=environ)
    assert "--name other and DATABASE_URL name two databases" in str(done.exception)


def test_a_misspelled_variable_is_named() -> None:
    """It sets nothing, and a line says which may be meant."""
    done = CliRunner().invoke(app, ["serve", "--port", "x"], env={"HARNESS_CONCURENCY": "5"})
    line = "harness: HARNESS_CONCURENCY sets nothing; did you mean HARNESS_CONCURRENCY?"
    assert line in done.stderr.splitlines()


@pytest.mark.parametrize(("command", "offered"), [("run", True), ("bench", False)])
def test_what_only_offers(command: str, offered: bool) -> None:
    """Help lists the parts that the command knows, and no other."""
    help_text = CliRunner().invoke(app, [command, "--help"]).stdout
    assert ("contract" in help_text) is offered
