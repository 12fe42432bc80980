"""The pages of a person's entries: list, new, one, edit, delete."""

import hashlib
from pathlib import Path
from typing import Any

from flask import (
    Blueprint,
    Flask,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    url_for,
)
from markupsafe import Markup
from pydantic import BaseModel
from werkzeug.wrappers import Response

from webapp.cache import CachedValues, Slot
from webapp.entries.address import EntryKey
from webapp.entries.inputs import ListQuery, NewEntry, NewValue
from webapp.entries.service import Changed, Entries
from webapp.errors import Invalid, NotFound
from webapp.sessions.guard import current_user_id, public, session
from webapp.web import Answer, go_to, parse, refuse

blueprint = Blueprint("entries", __name__)

INCOMPLETE = "The form came incomplete. Open the entry again and do it once more."
FIRST_PAGE = ListQuery()


class Seen(BaseModel):
    """The version of an entry that the person had before their eyes."""

    version: int


def init_entries(app: Flask, entries: Entries, cached: CachedValues) -> None:
    app.extensions["entries"] = entries
    app.extensions["cached_values"] = cached
    app.config["RELEASE"] = _hash_templates(app)
    app.url_map.converters["entry_key"] = EntryKey
    app.register_blueprint(blueprint)


@blueprint.get("/")
@public
def home() -> Answer:
    if session.user_id:
        return index()
    return render_template("welcome.html")


@blueprint.get("/entries")
def index() -> Answer:
    user_id = current_user_id()
    query = parse(ListQuery, request.args) if request.query_string else FIRST_PAGE
    if query == FIRST_PAGE:
        table = _cached_list(user_id)
    else:
        page = _entries().page(user_id, query)
        if query.after and page.newer is None:
            return redirect(url_for("entries.index", q=query.q or None))
        table = Markup(render_template("entries/_table.html", page=page, query=query))  # noqa: S704
    return render_template("entries/list.html", table=table, query=query)


@blueprint.get("/entries/new")
def new() -> Answer:
    form = {"key": request.args.get("key", ""), "value": "", "kind": "text"}
    return render_template("entries/new.html", form=form, errors={})


@blueprint.post("/entries/new")
def create() -> Answer:
    form = _typed()
    try:
        entry = _entries().create(current_user_id(), parse(NewEntry, form))
    except Invalid as error:
        return refuse(error, "entries/new.html", form=form, errors=error.fields)
    flash("Saved.")
    return _see(entry.key)


@blueprint.get("/entries/<entry_key:key>")
def show(key: str) -> Answer:
    entry = _entries().get(current_user_id(), key)
    return render_template("entries/show.html", entry=entry)


@blueprint.get("/entries/<entry_key:key>/edit")
def edit(key: str) -> Answer:
    entry = _entries().get(current_user_id(), key)
    form = {"value": entry.value, "kind": entry.kind, "version": entry.version}
    return render_template("entries/edit.html", key=key, form=form, errors={})


@blueprint.post("/entries/<entry_key:key>/edit")
def change(key: str) -> Answer:
    form = _typed()
    try:
        new_value = parse(NewValue, form)
        _entries().change(current_user_id(), key, _seen_version(), new_value)
    except Changed as error:
        theirs = error.entry
        return refuse(error, "entries/conflict.html", key=key, form=form, entry=theirs)
    except Invalid as error:
        wrong = error.fields
        return refuse(error, "entries/edit.html", key=key, form=form, errors=wrong)
    flash("Saved.")
    return _see(key)


@blueprint.get("/entries/<entry_key:key>/delete")
def confirm_delete(key: str) -> Answer:
    entry = _entries().get(current_user_id(), key)
    return render_template("entries/delete.html", entry=entry, changed=False)


@blueprint.post("/entries/<entry_key:key>/delete")
def delete(key: str) -> Answer:
    try:
        _entries().delete(current_user_id(), key, _seen_version())
    except Changed as error:
        if error.entry is None:
            raise NotFound("It is deleted already, or never was yours.") from error
        now = error.entry
        return refuse(error, "entries/delete.html", entry=now, changed=True)
    flash("Deleted.")
    return go_to("entries.index")


def _cached_list(user_id: int) -> Markup:
    """Render the figures and the first page's table, or take them from the cache."""

    def render() -> str:
        page = _entries().page(user_id, ListQuery())
        return render_template("entries/_figures.html", **_figures(user_id)) + (
            render_template("entries/_table.html", page=page, query=ListQuery())
        )

    slot = Slot("list", f"{current_app.config['RELEASE']}:{request.script_root}")
    cached: CachedValues = current_app.extensions["cached_values"]
    return Markup(cached.get(user_id, slot, _entries(), render))  # noqa: S704


def _hash_templates(app: Flask) -> str:
    folder = Path(app.root_path) / "templates" / "entries"
    content = b"".join(file.read_bytes() for file in sorted(folder.iterdir()))
    return hashlib.sha256(content).hexdigest()[:12]


def _figures(user_id: int) -> dict[str, Any]:
    entries = _entries()
    return {"figures": entries.figures(user_id), "quota": entries.quota}


def _seen_version() -> int:
    try:
        return parse(Seen, request.form).version
    except Invalid as error:
        raise Invalid(value=INCOMPLETE) from error


def _typed() -> dict[str, str]:
    """Read what was typed; browsers end the lines of a text area with CR LF."""
    form = request.form.to_dict()
    form["value"] = form.get("value", "").replace("\r\n", "\n")
    return form


def _see(key: str) -> Response:
    return go_to("entries.show", key=key)


def _entries() -> Entries:
    return current_app.extensions["entries"]  # type: ignore[no-any-return]
