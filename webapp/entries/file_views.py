"""The pages that write a person's entries into a file, and read them from one."""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    flash,
    render_template,
    request,
    stream_with_context,
    url_for,
)
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from webapp import clock
from webapp.entries.checking import MOST_MISTAKES, WrongLines
from webapp.entries.csv_file import write_csv
from webapp.entries.foretelling import MOST_SHOWN, Mode
from webapp.entries.imports import Imports, Waiting
from webapp.entries.json_file import write_json
from webapp.entries.shown import current_entries, this_writer
from webapp.errors import HoldfastError, Invalid, NotFound
from webapp.pace import let_others_go
from webapp.sessions.guard import (
    check_fresh,
    current_user_id,
    sensitive,
    sensitive_if,
)
from webapp.sessions.large import upload
from webapp.web import Answer, begin_download, go_to, parse, refuse

blueprint = Blueprint("files", __name__, url_prefix="/entries")

Write = Callable[[Iterator[Mapping[str, Any]]], Iterator[str]]
FORMATS: dict[str, Write] = {"json": write_json, "csv": write_csv}
TYPES = {"json": "application/json", "csv": "text/csv"}
NEW = "entries/import_new.html"
# Where the page of a running import has what is written while it runs.
PLACE = "<!-- progress -->"
DATABASE_AWAY = "The database does not answer, or is full. Wait a moment, then go on."
log = logging.getLogger(__name__)


class Choice(BaseModel):
    """What is to become of keys that are there already."""

    mode: Mode = "replace"


def init_files(app: Flask, imports: Imports) -> None:
    app.extensions["imports"] = imports
    app.register_blueprint(blueprint)


@blueprint.get("/export")
def export() -> str:
    return render_template("entries/export.html")


@blueprint.get("/export/<any(json, csv):kind>")
@sensitive
def begin_export(kind: str) -> Answer:
    left_out = current_entries().count_unreadable(current_user_id())
    address = url_for("files.download", kind=kind)
    page = {"kind": kind, "address": address, "left_out": left_out}
    return begin_download(address, "entries/exported.html", **page)


@blueprint.get("/export/entries.<any(json, csv):kind>")
@sensitive
def download(kind: str) -> Response:
    """Send the entries, written while they are read; without what is unreadable."""
    every = current_entries().export(current_user_id())
    readable = (entry for entry in every if entry["value"] is not None)
    name = f"holdfast-entries-{clock.now():%Y-%m-%d}.{kind}"
    return Response(
        FORMATS[kind](readable),
        mimetype=TYPES[kind],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@blueprint.get("/import")
def choose() -> str:
    """Ask for a file, or show what would come of the one that waits."""
    waiting = _imports().waiting(current_user_id())
    if waiting is None:
        return render_template(NEW, errors={}, mistakes=(), most=MOST_MISTAKES)
    return render_template("entries/import.html", waiting=waiting, most=MOST_SHOWN)


@blueprint.post("/import")
@upload
def take() -> Answer:
    try:
        mode = parse(Choice, request.form).mode
        file = request.files.get("file")
        data = file.read() if file else b""
        _imports().upload(current_user_id(), data, mode)
    except Invalid as error:
        mistakes = error.mistakes if isinstance(error, WrongLines) else ()
        page = {"mistakes": mistakes, "most": MOST_MISTAKES}
        return refuse(error, NEW, errors=error.fields, **page)
    return go_to("files.choose")


def _changes_secrets() -> bool:
    waiting = _imports().waiting(current_user_id())
    return bool(waiting and waiting.forecast and waiting.forecast.secret)


@blueprint.post("/import/run")
@sensitive_if(_changes_secrets)
def run() -> Answer:
    """Do it, and write on the page how far it is while it is being done."""
    waiting = _imports().waiting(current_user_id())
    if waiting is None:
        flash("There is nothing left to import.")
        return go_to("entries.index")
    if _is_another(waiting):
        return _show_other()
    try:
        if _imports().look_again(current_user_id()).secret:
            check_fresh()  # It may have become secret since.
    except Invalid as error:
        mistakes = error.mistakes if isinstance(error, WrongLines) else ()
        shown = {"waiting": waiting, "most": MOST_SHOWN, "mistakes": mistakes}
        return refuse(error, "entries/import.html", error=str(error), **shown)
    page = render_template("entries/import_run.html", place=PLACE)
    steps = _steps(page, current_user_id(), waiting.id, this_writer())
    # nginx would keep the page until all of it is there.
    return Response(stream_with_context(steps), headers={"X-Accel-Buffering": "no"})


@blueprint.post("/import/drop")
def drop() -> Answer:
    waiting = _imports().waiting(current_user_id())
    if waiting and _is_another(waiting):
        return _show_other()
    _imports().drop(current_user_id())
    flash("The file is forgotten.")
    return go_to("files.choose")


def _is_another(waiting: Waiting) -> bool:
    """Tell whether the form in hand is of another file than the one that waits."""
    return request.form.get("import") != str(waiting.id)


def _show_other() -> Answer:
    flash("Another file was uploaded since. This is what it would do.")
    return go_to("files.choose")


def _steps(page: str, user_id: int, import_id: int, by: str) -> Iterator[str]:
    before, after = page.split(PLACE)
    yield before
    try:
        yield from _progress(user_id, import_id, by)
    except NotFound:
        yield render_template("entries/_import_over.html")
    except HoldfastError as error:
        yield render_template("entries/_import_halted.html", reason=str(error))
    except SQLAlchemyError:
        log.exception("An import was halted")
        yield render_template("entries/_import_halted.html", reason=DATABASE_AWAY)
    yield after


def _progress(user_id: int, import_id: int, by: str) -> Iterator[str]:
    """Do all steps; write how far it is at each hundredth, and at the end the sums."""
    said = -1
    while True:
        progress = _imports().step(user_id, import_id, by=by)
        if progress.is_done:
            break
        if (hundredths := 100 * progress.done // progress.total) > said:
            said = hundredths
            yield render_template("entries/_import_progress.html", progress=progress)
        let_others_go()
    yield render_template("entries/_import_done.html", progress=progress)


def _imports() -> Imports:
    return current_app.extensions["imports"]  # type: ignore[no-any-return]
