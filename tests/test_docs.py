"""The documents say what is there: settings, commands, files, and examples that run."""

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from flask import Flask
from prometheus_client.metrics import MetricWrapperBase
from pydantic import ByteSize

from config.kinds import MAKE_KEY, Rate, write_duration
from config.secret_sources import VAULT_VARIABLES
from config.settings import Settings
from tests.servers import ROOT
from webapp import metrics

README = (ROOT / "README.md").read_text("utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Flask's own, which every Flask application has.
FLASK_COMMANDS = {"run", "shell", "routes"}


def _table(name: str, document: str = README) -> list[list[str]]:
    """Return the cells of the table below the comment that names it."""
    below = document.split(f"<!-- {name}:", 1)[1].split("\n\n", 1)[0]
    rows = [line for line in below.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def _write(default: Any) -> str:
    """Write a default as an operator would write the setting."""
    match default:
        case None | ():
            return ""
        case ByteSize() as size:
            written = size.human_readable(decimal=True, separator="")
            return f"`{written.replace('.0', '').replace('K', 'k')}`"
        case timedelta() as time:
            return f"`{write_duration(time)}`"
        case Rate(burst, period):
            return f"`{burst}/{_write(period).strip('`')}`"
        case _:
            return f"`{default}`"


def test_every_setting_is_documented() -> None:
    expected = [
        [f"`{name.upper()}`", _write(field.default), field.description]
        for name, field in Settings.model_fields.items()
    ]
    assert _table("settings") == expected


def test_every_variable_that_leads_to_vault_is_documented() -> None:
    expected = [[f"`{name}`", meaning] for name, meaning in VAULT_VARIABLES.items()]
    assert _table("vault", OPERATIONS) == expected


def test_a_key_is_made_as_the_message_of_a_wrong_one_says() -> None:
    assert MAKE_KEY in OPERATIONS


def test_every_command_is_documented(app: Flask) -> None:
    expected = [
        [f"`flask {' '.join(path)}`", command.get_short_help_str(200)]
        for path, command in _leaves(app.cli)
        if path[0] not in FLASK_COMMANDS
    ]
    assert sorted(_table("commands")) == sorted(expected)


def _leaves(group: click.Group, path: tuple[str, ...] = ()) -> Any:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        here = (*path, name)
        if isinstance(command, click.Group):
            yield from _leaves(command, here)
        # A group can be a command itself.
        if getattr(command, "invoke_without_command", True):
            usage = " ".join(
                str(parameter.human_readable_name)
                for parameter in command.params
                if isinstance(parameter, click.Argument)
            )
            yield (*here, usage) if usage else here, command


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_link_and_file_named_is_there(document: Path) -> None:
    text = document.read_text("utf-8")
    links = [
        target for target in re.findall(r"\]\(([^)#]+)\)", text) if ":" not in target
    ]
    missing = [target for target in links if not (document.parent / target).exists()]
    named = re.findall(r"`((?:webapp|config|tests|bin|docs)/[\w/.]+)`", text)
    missing += [path for path in named if not (ROOT / path).exists()]
    assert not missing


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", "".join(map(_read, DOCUMENTS))))
    files = (ROOT / "tests").rglob("test_*.py")
    written = set(
        re.findall(r"^def (test_\w+)", "".join(map(_read, files)), re.MULTILINE)
    )
    assert named - written == set()


def _read(file: Path) -> str:
    return file.read_text("utf-8")


def test_the_other_servers_are_on_the_path_before_they_are_run() -> None:
    """They are in .venv/bin, and honcho looks for gunicorn on the path."""
    below = _read(ROOT / "docs" / "deploy.md").split("**Other servers.**", 1)[1]
    first, *others = below.split("```sh\n", 1)[1].split("```", 1)[0].splitlines()
    assert first == 'PATH="$PWD/.venv/bin:$PATH"'
    assert len(others) == 3


def test_every_metric_is_documented() -> None:
    counted = [
        metric
        for wrapper in vars(metrics).values()
        if isinstance(wrapper, MetricWrapperBase)
        for metric in wrapper.describe()
    ]
    assert len(counted) >= 8
    endings = {"counter": "_total"}
    expected = {f"{each.name}{endings.get(each.type, '')}" for each in counted}
    table = OPERATIONS.split("| metric |", 1)[1].split("\n\n", 1)[0]
    assert set(re.findall(r"^\| `(\w+)", table, re.MULTILINE)) == expected | {
        "holdfast_sessions_alive"
    }


def test_every_warning_is_explained() -> None:
    table = OPERATIONS.split("| line |", 1)[1].split("\n\n", 1)[0]
    sources = [*(ROOT / "webapp").rglob("*.py"), *(ROOT / "config").glob("*.py")]
    texts = re.findall(
        r'log\.(?:warning|error)\(\s*"([^"]+)"', "".join(map(_read, sources))
    )
    assert len(texts) >= 9
    for text in texts:
        words = max(re.split("%s", text), key=len).strip(" :;.")
        assert words in table, text


def test_the_map_names_every_part() -> None:
    tree = README.split("## The map", 1)[1].split("```", 2)[1]
    parts = [
        path.name
        for path in (ROOT / "webapp").iterdir()
        if path.is_dir() and not path.name.startswith("_") and any(path.glob("*"))
    ] + [path.name for path in (ROOT / "webapp").glob("*.py")]
    assert [part for part in parts if part not in tree] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_python_example_runs(document: Path, tmp_path: Path) -> None:
    for example in re.findall(
        r"```python\n(.*?)```", document.read_text("utf-8"), re.DOTALL
    ):
        code = compile(example, str(document), "exec")
        exec(code, {"folder": tmp_path})  # noqa: S102


@pytest.mark.embedded
@pytest.mark.long
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_console_example_says_what_it_shows(
    document: Path, tmp_path: Path
) -> None:
    for example in re.findall(
        r"```console\n(.*?)```", document.read_text("utf-8"), re.DOTALL
    ):
        shown = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", example, re.MULTILINE)
        for command, expected in shown:
            assert _matches(_run(command, tmp_path), expected)


def _run(command: str, folder: Path) -> str:
    done = subprocess.run(  # noqa: S602
        command,
        shell=True,
        cwd=ROOT,
        env={"PATH": str(Path(sys.executable).parent), "DATA_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def _matches(said: str, shown: str) -> bool:
    """Compare; in what is shown `…` stands for the rest of a line."""
    pattern = ".*".join(re.escape(part) for part in shown.split("…"))
    assert re.fullmatch(pattern, said), f"{said!r} is not {shown!r}"
    return True
