"""The pages of a person's entries: list, new, one, edit, delete."""

from datetime import datetime
from typing import Any

from flask import (
    Blueprint,
    Flask,
    flash,
    redirect,
    render_template,
    request,
    url_for,
)
from pydantic import BaseModel

from webapp.compression import compressed
from webapp.entries.address import EntryKey
from webapp.entries.brief import in_brief, one_page_of
from webapp.entries.days import Days
from webapp.entries.earlier import EarlierValues
from webapp.entries.earlier_views import UNDO, init_earlier
from webapp.entries.file_views import init_files
from webapp.entries.imports import Imports
from webapp.entries.inputs import LabelQuery, ListQuery, NewEntry, NewValue
from webapp.entries.models import labels_of
from webapp.entries.overview_views import init_overview
from webapp.entries.secret_values import UNREADABLE
from webapp.entries.service import Changed, Entries
from webapp.entries.shown import (
    cached_page,
    current_entries,
    look_at,
    see,
    this_writer,
)
from webapp.errors import Invalid, NotFound
from webapp.sessions.guard import (
    check_fresh,
    current_user_id,
    public,
    sensitive,
    sensitive_if,
    session,
)
from webapp.sessions.large import large_form
from webapp.web import Answer, go_to, of_a_visitor, parse, refuse

blueprint = Blueprint("entries", __name__)

OVERWRITES = f"{UNREADABLE} What you save replaces it."
# The kind of notice by which a script knows that no draft is needed any more.
SAVED = "saved"
INCOMPLETE = "The form came incomplete. Open the entry again and do it once more."
FIRST_PAGE = ListQuery()


class Seen(BaseModel):
    """The version of an entry that the person had before their eyes."""

    version: int


def init_entries(
    app: Flask,
    entries: Entries,
    earlier: EarlierValues,
    imports: Imports,
    days: Days,
) -> None:
    app.extensions["entries"] = entries
    app.url_map.converters["entry_key"] = EntryKey
    app.jinja_env.globals["can_be_secret"] = entries.can_be_secret
    app.jinja_env.globals["labels_of"] = labels_of
    app.jinja_env.globals["in_brief"] = in_brief
    app.register_blueprint(blueprint)
    init_earlier(app, earlier)
    init_files(app, imports)
    init_overview(app, days)


@blueprint.get("/")
@public
def home() -> Answer:
    return index() if session.user_id else _welcome()


@compressed
def _welcome() -> Answer:
    return of_a_visitor(render_template("welcome.html"))


@blueprint.get("/entries")
def index() -> Answer:
    user_id = current_user_id()
    if not request.query_string:
        return _first_page(user_id)
    try:
        query = parse(ListQuery, request.args)
    except Invalid as error:
        if "q" not in error.fields:
            raise
        wanted = ListQuery.model_construct(q=request.args["q"])
        shown = {"query": wanted, "page": None, "errors": error.fields}
        return refuse(error, "entries/list.html", **shown)
    if query == FIRST_PAGE:
        return _first_page(user_id)
    version = current_entries().version(user_id)
    page = current_entries().page(user_id, query)
    if query.after and page.newer is None:
        return redirect(
            url_for("entries.index", q=query.q or None, label=query.label or None)
        )
    return render_template("entries/list.html", page=page, query=query, version=version)


@blueprint.get("/labels")
def labels() -> Answer:
    user_id = current_user_id()
    query = parse(LabelQuery, request.args)
    version = current_entries().version(user_id)
    found = current_entries().labels(user_id, query.after)
    shown = list(one_page_of(found))
    return render_template(
        "entries/labels.html",
        labels=[(label, count) for label, count in shown if count],
        query=query,
        more=shown[-1][0] if len(shown) < len(found) else None,
        version=version,
    )


@blueprint.get("/entries/new")
def new() -> Answer:
    form = {"key": request.args.get("key", ""), "value": "", "kind": "text"}
    return render_template("entries/new.html", form=form, errors={})


@blueprint.post("/entries/new")
@large_form
def create() -> Answer:
    form = _typed()
    try:
        entry = current_entries().create(
            current_user_id(), parse(NewEntry, form), by=this_writer()
        )
    except Invalid as error:
        return refuse(error, "entries/new.html", form=form, errors=error.fields)
    flash("Saved.", SAVED)
    return see(entry.key)


@blueprint.get("/entries/<entry_key:key>")
def show(key: str) -> Answer:
    entry = current_entries().get(current_user_id(), key)
    return render_template("entries/show.html", entry=entry, shown=look_at(entry))


@blueprint.get("/entry/<row_id:number>")
def by_number(number: int) -> Answer:
    """Lead to the page of an entry from a list in which its key has no room."""
    return see(current_entries().key_of(current_user_id(), number))


@blueprint.get("/entries/<entry_key:key>/show")
@sensitive
def reveal(key: str) -> Answer:
    """Come here for the password, and go on to the page that has the value then."""
    return see(key)


@blueprint.get("/entries/<entry_key:key>/edit")
def edit(key: str) -> Answer:
    entry = current_entries().get(current_user_id(), key)
    if entry.encrypted_by:
        check_fresh()
    value = current_entries().reveal(entry)
    form = {
        "value": value or "",
        "kind": entry.kind,
        "secret": entry.encrypted_by,
        "version": entry.version,
        "labels": ", ".join(labels_of(entry)),
        "expires_at": _for_field(entry.expires_at),
    }
    errors = {"value": OVERWRITES} if value is None else {}
    return render_template(
        "entries/edit.html",
        key=key,
        form=form,
        errors=errors,
        version=entry.version_of_all,
    )


@blueprint.post("/entries/<entry_key:key>/edit")
@large_form
@sensitive_if(lambda key: current_entries().is_secret(current_user_id(), key))
def change(key: str) -> Answer:
    form = _typed()
    try:
        new_value = parse(NewValue, form)
        current_entries().change(
            current_user_id(), key, _seen_version(), new_value, by=this_writer()
        )
    except Changed as error:
        page: dict[str, Any] = {"key": key, "entry": error.entry, "form": form}
        if theirs := error.entry:
            # What is secret does not cease to be it because somebody overlooks that.
            form["secret"] = form.get("secret") or theirs.encrypted_by or ""
            page["shown"] = look_at(theirs)
        return refuse(error, "entries/conflict.html", **page)
    except Invalid as error:
        wrong = error.fields
        return refuse(error, "entries/edit.html", key=key, form=form, errors=wrong)
    flash("Saved.", SAVED)
    return see(key)


@blueprint.get("/entries/<entry_key:key>/delete")
def confirm_delete(key: str) -> Answer:
    entry = current_entries().get(current_user_id(), key)
    return render_template(
        "entries/delete.html", entry=entry, shown=look_at(entry), changed=False
    )


@blueprint.post("/entries/<entry_key:key>/delete")
def delete(key: str) -> Answer:
    try:
        number = current_entries().delete(
            current_user_id(), key, _seen_version(), by=this_writer()
        )
    except Changed as error:
        if error.entry is None:
            raise NotFound("It is deleted already, or never was yours.") from error
        page = {"entry": error.entry, "shown": look_at(error.entry), "changed": True}
        return refuse(error, "entries/delete.html", **page)
    flash(str(number), UNDO)
    return go_to("entries.index")


def _first_page(user_id: int) -> Answer:
    """Render the page that is opened all day, or take it from the cache."""

    def render(**own: Any) -> str:
        version = current_entries().version(user_id)
        page = current_entries().page(user_id, FIRST_PAGE)
        figures = {
            "version": version,
            "figures": current_entries().figures(user_id),
            "quota": current_entries().quota,
        }
        return render_template(
            "entries/list.html", page=page, query=FIRST_PAGE, **figures, **own
        )

    return cached_page(user_id, "list", render)


def _for_field(when: datetime | None) -> str:
    """Write a time as a field of a form has it, in UTC and without a zone."""
    return f"{when:%Y-%m-%dT%H:%M:%S}" if when else ""


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
