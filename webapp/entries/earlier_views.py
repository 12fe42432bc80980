"""The pages of what entries were before: history, comparison, and the bin."""

from typing import Annotated

from flask import (
    Blueprint,
    Flask,
    current_app,
    flash,
    render_template,
    request,
    url_for,
)
from pydantic import BaseModel, Field

from webapp.database import AnyRow
from webapp.entries.brief import in_short
from webapp.entries.comparing import beginning_of
from webapp.entries.comparing import compare as compare_values
from webapp.entries.earlier import EarlierValues
from webapp.entries.shown import (
    TOKEN_MARK,
    asks_for_all,
    current_entries,
    look_at,
    room_beside,
    see,
    this_writer,
)
from webapp.errors import NotFound
from webapp.sessions.devices import describe_device
from webapp.sessions.guard import check_fresh, current_user_id, sensitive_if
from webapp.web import Answer, go_to, parse
from webapp.weight import cut

blueprint = Blueprint("earlier", __name__, url_prefix="/entries")

# The category of the notice that has a button to undo.
UNDO = "undo"
# Earlier values on one page.
LISTED = 15

Number = Annotated[int, Field(ge=1, lt=2**63)]


class Pair(BaseModel):
    """The two to be compared; None: what is there now."""

    old: Number
    new: Number | None = None


class PartQuery(BaseModel):
    """The part of the bin, or of a history, that follows this number."""

    before: Number | None = None


def init_earlier(app: Flask, earlier: EarlierValues) -> None:
    app.extensions["earlier_values"] = earlier
    app.add_template_filter(writer)
    app.register_blueprint(blueprint)


def writer(written_by: str) -> str:
    """Say who wrote, in words."""
    if written_by.startswith(TOKEN_MARK):
        return f"the token “{cut(written_by.removeprefix(TOKEN_MARK), 60)}”"
    return cut(describe_device(written_by), 60) if written_by else "an earlier release"


@blueprint.get("/<entry_key:key>/history")
def history(key: str) -> Answer:
    query, user_id = parse(PartQuery, request.args), current_user_id()
    version = current_entries().version(user_id)
    rows = _earlier().history(user_id, key, query.before)
    now = _now(user_id, key)
    if not rows and now is None:
        raise NotFound("You have no entry with this key.")
    more, rows = len(rows) > LISTED, rows[:LISTED]
    return render_template(
        "entries/history.html",
        key=key,
        now=now,
        rows=rows,
        query=query,
        address_of=_address_of,
        older=rows[-1].id if more else None,
        version=version,
    )


@blueprint.get("/past/<row_id:number>")
def by_number(number: int) -> Answer:
    """Lead to an earlier value from a list in which its key has no room."""
    past = _earlier().get(current_user_id(), number)
    return go_to("earlier.version", key=past.key, number=number)


@blueprint.get("/past/<row_id:number>/history")
def history_of(number: int) -> Answer:
    """Lead to the history that the earlier value is of, as `by_number`."""
    return go_to("earlier.history", key=_earlier().get(current_user_id(), number).key)


@blueprint.get("/<entry_key:key>/history/<row_id:number>")
def version(key: str, number: int) -> Answer:
    past = _of_key(key, number)
    return render_template(
        "entries/version.html",
        key=key,
        past=past,
        shown=look_at(past),
        now=_now(current_user_id(), key),
    )


@blueprint.get("/<entry_key:key>/history/compare")
def compare(key: str) -> Answer:
    pair = parse(Pair, {name: value for name, value in request.args.items() if value})
    old = _of_key(key, pair.old)
    new = _of_key(key, pair.new) if pair.new else _now(current_user_id(), key)
    if new is None:
        raise NotFound("This entry is deleted. Open its earlier values one by one.")
    if old.encrypted_by or new.encrypted_by:
        check_fresh()
    texts = [current_entries().reveal(row) for row in (old, new)]
    lines, is_part = None, False
    if None not in texts:
        is_json = old.kind == new.kind == "json"
        lines = compare_values(*map(str, texts), is_json=is_json)
        if not asks_for_all():
            lines, is_part = beginning_of(lines, room_beside(new))
    page = {"key": key, "old": old, "new": new, "lines": lines, "is_part": is_part}
    return render_template("entries/compare.html", **page)


@blueprint.post("/<entry_key:key>/history/<row_id:number>/restore")
@sensitive_if(lambda key, number: _of_key(key, number).encrypted_by is not None)
def restore(key: str, number: int) -> Answer:
    """Give the entry the value it had; what it has now stays in the history."""
    user_id = current_user_id()
    past = _of_key(key, number)
    new = _earlier().as_new(past)
    with current_entries().at_once(user_id):
        if now := _now(user_id, key):
            current_entries().change(user_id, key, now.version, new, by=this_writer())
        elif past.key_deleted_at:
            _earlier().undelete(user_id, number, by=this_writer())
        else:
            current_entries().create(user_id, new, by=this_writer())
    flash("Restored.")
    return see(key)


@blueprint.get("/bin")
def bin_() -> Answer:
    query, user_id = parse(PartQuery, request.args), current_user_id()
    version = current_entries().version(user_id)
    page = _earlier().bin(user_id, query.before)
    days = round(_earlier().lifetime.total_seconds() / 86400)
    return render_template(
        "entries/bin.html", page=page, query=query, days=days, version=version
    )


@blueprint.post("/bin/<row_id:number>/restore")
def undelete(number: int) -> Answer:
    entry = _earlier().undelete(current_user_id(), number, by=this_writer())
    flash("It is back.")
    return see(entry.key)


@blueprint.post("/bin/<row_id:number>/forget")
def forget(number: int) -> Answer:
    _earlier().forget(current_user_id(), number)
    flash("It is gone for good, with its history.")
    return go_to("earlier.bin_")


def _address_of(past: AnyRow) -> str:
    """Return where an earlier value is: of a long key, what leads there."""
    address = url_for("earlier.version", key=past.key, number=past.id)
    return in_short(address, "earlier.by_number", past.id)


def _of_key(key: str, number: int) -> AnyRow:
    """Return an earlier value of this key; raises NotFound for another's."""
    past = _earlier().get(current_user_id(), number)
    if past.key != key:
        raise NotFound("This earlier value is not kept any more.")
    return past


def _now(user_id: int, key: str) -> AnyRow | None:
    try:
        return current_entries().get(user_id, key)
    except NotFound:
        return None


def _earlier() -> EarlierValues:
    return current_app.extensions["earlier_values"]  # type: ignore[no-any-return]
