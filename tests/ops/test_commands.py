"""What the operator types, and what is said back."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from tests.browser import PASSWORD, Browser
from tests.servers import ROOT
from webapp import create_app

NEW = "quiet-harbour-eight-boats"

Operator = Callable[..., str]


def _log_in(app: Flask, name: str, password: str) -> Browser:
    return Browser(app.test_client(), name, password).log_in()


def test_create_makes_an_account_to_log_in_with(app: Flask, operator: Operator) -> None:
    assert operator(f"user create Carol --password {NEW}") == "Created Carol.\n"
    assert _log_in(app, "Carol", NEW).is_logged_in


def test_list_has_a_line_per_account_and_how_many(
    alice: Browser, bob: Browser, operator: Operator
) -> None:
    operator("user disable bob")
    lines = operator("user list").splitlines()
    assert [line.split()[:2] for line in lines[:2]] == [
        ["alice", "active"],
        ["bob", "disabled"],
    ]
    assert lines[2:] == ["2 accounts."]


def test_list_of_nobody(operator: Operator) -> None:
    assert operator("user list") == "0 accounts.\n"


def test_list_of_one(alice: Browser, operator: Operator) -> None:
    assert operator("user list").endswith("\n1 account.\n")


def test_disable_ends_the_sessions_at_once_and_refuses_log_in(
    app: Flask, alice: Browser, bob: Browser, operator: Operator
) -> None:
    alice.keep("diary", "dear diary")
    assert operator("user disable alice") == "Disabled alice; all sessions ended.\n"
    assert not alice.open("/entries").is_logged_in
    assert alice.path == "/login"
    assert not alice.log_in().is_logged_in
    assert "This account is disabled. Ask the operator." in alice.text
    assert bob.open("/").is_logged_in, "nobody else is touched"


def test_enable_lets_in_again_and_nothing_is_lost(
    alice: Browser, operator: Operator
) -> None:
    alice.keep("diary", "dear diary")
    operator("user disable alice")
    assert operator("user enable alice") == "Enabled alice.\n"
    assert not alice.open("/").is_logged_in, "the old session stays over"
    assert alice.log_in().is_logged_in
    assert alice.value("diary") == "dear diary"


def test_set_password_ends_the_sessions_and_the_old_password(
    alice: Browser, bob: Browser, operator: Operator
) -> None:
    said = operator(f"user set-password alice --password {NEW}")
    assert said == "Password of alice changed; all sessions ended.\n"
    assert not alice.open("/").is_logged_in
    assert not alice.log_in().is_logged_in
    alice.password = NEW
    assert alice.log_in().is_logged_in
    assert bob.open("/").is_logged_in


def test_names_are_known_in_whatever_case(alice: Browser, operator: Operator) -> None:
    operator("user disable ALICE")
    assert not alice.open("/").is_logged_in


@pytest.mark.parametrize("command", ["disable", "enable"])
def test_doing_it_twice_is_no_error(
    alice: Browser, operator: Operator, command: str
) -> None:
    assert operator(f"user {command} alice") == operator(f"user {command} alice")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("disable nobody", "There is no user nobody."),
        ("enable nobody", "There is no user nobody."),
        (f"set-password nobody --password {NEW}", "There is no user nobody."),
        ("make-code nobody", "There is no user nobody."),
        (f"create alice --password {NEW}", "This user name is taken."),
        ("create ALICE --code", "This user name is taken."),
        ("create al --code", "Use 3 to 32 letters"),
        (f"create ALICE --password {NEW}", "This user name is taken."),
        (f"create al --password {NEW}", "Use 3 to 32 letters"),
        ("create carol --password short", "Use at least 15 characters."),
        ("create carol --password passwordpassword", "Too many people use this"),
        ("set-password alice --password short", "Use at least 15 characters."),
        ("set-password alice --password alicealicealice", "than your user name"),
    ],
    ids=["disable", "enable", "set", "code", "taken", "taken, code", "name, code",
         "case", "name", "short", "common", "new", "own name"],
)  # fmt: skip
def test_a_mistake_is_one_line_and_status_1(
    alice: Browser, operator: Operator, command: str, said: str
) -> None:
    [line] = operator(f"user {command}", status=1).splitlines()
    assert line.startswith("Error: ")
    assert said in line
    assert alice.open("/").is_logged_in, "nothing was changed"


@pytest.mark.parametrize(
    "arguments",
    [
        ["create", "carol", "--password", "\udcff" * 20],
        ["create", "car\udcff", "--password", NEW],
        ["set-password", "alice", "--password", "\udcff" * 20],
        ["set-password", "al\udcff", "--password", NEW],
        ["disable", "al\udcff"],
        ["create", "car\udcff", "--code"],
        ["make-code", "al\udcff"],
        ["enable", "al\0ice"],
    ],
    ids=[
        "password",
        "name",
        "new password",
        "whose",
        "disable",
        "code for",
        "code",
        "NUL",
    ],
)
def test_bytes_that_are_no_text_are_one_line_too(
    cli: FlaskCliRunner, alice: Browser, arguments: list[str]
) -> None:
    result = cli.invoke(args=["user", *arguments])
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert alice.open("/").is_logged_in


@pytest.mark.parametrize("command", ["create carol", "set-password alice"])
def test_the_password_can_be_typed_unseen(
    app: Flask, cli: FlaskCliRunner, alice: Browser, command: str
) -> None:
    typed = f"{NEW}\n{NEW}\n"
    result = cli.invoke(args=["user", *command.split()], input=typed)
    assert result.exit_code == 0
    assert NEW not in result.output
    assert _log_in(app, command.split()[1], NEW).is_logged_in


def test_a_password_typed_differently_the_second_time_is_asked_for_again(
    app: Flask, cli: FlaskCliRunner
) -> None:
    typed = f"{NEW}\n{PASSWORD}\n{NEW}\n{NEW}\n"
    result = cli.invoke(args=["user", "create", "carol"], input=typed)
    assert "do not match" in result.output
    assert _log_in(app, "carol", NEW).is_logged_in


def test_no_password_at_all_changes_nothing(
    cli: FlaskCliRunner, alice: Browser
) -> None:
    result = cli.invoke(args=["user", "set-password", "alice"], input="")
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert alice.open("/").is_logged_in


def test_db_upgrade_says_the_revision_and_can_be_repeated(
    alice: Browser, operator: Operator
) -> None:
    alice.keep("diary", "dear diary")
    said = operator("db upgrade")
    assert said.startswith("The database is at revision ")
    assert operator("db upgrade") == said
    assert alice.value("diary") == "dear diary"


def test_a_command_reaches_a_server_that_runs(app: Flask, alice: Browser) -> None:
    """It is another process; nothing is shared but the data."""
    other = create_app(app.config["SETTINGS"])
    result = other.test_cli_runner().invoke(args=["user", "disable", "alice"])
    assert result.exit_code == 0
    assert not alice.open("/entries").is_logged_in


def _flask(folder: Path, *arguments: str, **environment: str) -> Any:
    return subprocess.run(  # noqa: S603
        [str(Path(sys.executable).parent / "flask"), *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DATA_DIR": str(folder)} | environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_commands_of_ones_own_stand_beside_the_others(
    app: Flask, cli: FlaskCliRunner
) -> None:
    app.cli.command("greet")(lambda: click.echo("Hello."))
    assert cli.invoke(args=["greet"]).output == "Hello.\n"
    assert cli.invoke(args=["user", "list"]).output == "0 accounts.\n"
    assert {"greet", "user", "state"} <= set(
        app.cli.list_commands(click.Context(app.cli))
    )


@pytest.mark.embedded
@pytest.mark.long
def test_flask_finds_the_commands_by_itself(tmp_path: Path) -> None:
    made = _flask(tmp_path, "user", "create", "carol", "--password", NEW)
    assert (made.returncode, made.stdout) == (0, "Created carol.\n"), made.stderr
    listed = _flask(tmp_path, "user", "list")
    assert "survives" not in listed.stdout + listed.stderr, "a server says that"
    assert listed.stdout.split()[:2] == ["carol", "active"]
    again = _flask(tmp_path, "user", "create", "carol", "--password", NEW)
    assert again.returncode == 1
    assert again.stderr == "Error: This user name is taken. Choose another.\n"


@pytest.mark.long
def test_a_wrong_setting_is_a_sentence_for_a_command_too(tmp_path: Path) -> None:
    done = _flask(tmp_path, "user", "list", SESSION_IDLE="soon")
    assert done.returncode != 0
    assert "SESSION_IDLE=soon: " in done.stderr
    assert "Traceback" not in done.stderr
