"""The pages of one's own account: password, history, download, deletion."""

import json
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
    url_for,
)
from werkzeug.wrappers import Response as WerkzeugResponse

from webapp import clock
from webapp.accounts.inputs import NewPassword
from webapp.accounts.views import current_accounts, current_user_name, go_on_as
from webapp.errors import Busy, Forbidden, Invalid, TooMany, WrongCredentials
from webapp.sessions.guard import (
    current_copy,
    current_user_id,
    origin,
    sensitive,
    session,
)
from webapp.sessions.records import MOST_LISTED
from webapp.web import Answer, begin_download, earlier_than, go_to, parse, refuse

blueprint = Blueprint("account", __name__, url_prefix="/account")

# What each part of the application keeps of a person, by its name in the download.
Takeout = Mapping[str, Callable[[int], Iterator[Any]]]


def init_account(app: Flask, takeout: Takeout) -> None:
    app.extensions["takeout"] = takeout
    app.register_blueprint(blueprint)


@blueprint.get("")
def index() -> str:
    account = current_accounts().account_of(current_user_id())
    return render_template("accounts/account.html", account=account, errors={})


@blueprint.post("/password")
def change_password() -> Answer:
    copy = current_copy()
    try:
        new = parse(NewPassword, request.form)
        started = current_accounts().change_password(copy, dict(session), new, origin())
    except (Invalid, WrongCredentials, Forbidden, TooMany, Busy) as error:
        return refuse(
            error,
            "accounts/account.html",
            account=current_accounts().account_of(copy.user_id),
            errors=_fields(error),
        )
    go_on_as(started)
    flash("Your password is changed.")
    return go_to("account.index")


@blueprint.get("/history")
def history() -> str:
    lines = current_accounts().history_of(current_user_id(), earlier_than())
    older = lines[-1].at if len(lines) == MOST_LISTED else None
    return render_template("accounts/history.html", lines=lines, older=older)


@blueprint.get("/download")
@sensitive
def download() -> Answer:
    return begin_download(url_for("account.export"), "accounts/download.html")


@blueprint.get("/export")
@sensitive
def export() -> Response:
    """Send everything known of the person, written while it is read."""
    takeout: Takeout = current_app.extensions["takeout"]
    parts = {name: give(current_user_id()) for name, give in takeout.items()}
    name = f"holdfast-{current_user_name()}-{clock.now():%Y-%m-%d}.json"
    return Response(
        _write(parts),
        mimetype="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@blueprint.get("/delete")
def confirm_delete() -> str:
    return render_template("accounts/delete.html")


@blueprint.post("/delete")
@sensitive
def delete() -> WerkzeugResponse:
    current_accounts().delete(current_copy())
    session.forget()
    return go_to("entries.home", notice="account-deleted")


def _write(parts: Mapping[str, Iterator[Any]]) -> Iterator[str]:
    """Write JSON piece by piece: what somebody has need not fit into memory twice."""
    before_part = "{"
    for name, pieces in parts.items():
        yield f"{before_part}\n{json.dumps(name)}: ["
        before_piece = ""
        for piece in pieces:
            yield f"{before_piece}\n{json.dumps(piece, ensure_ascii=False)}"
            before_piece = ","
        yield "]"
        before_part = ","
    yield "\n}\n"


def _fields(error: Exception) -> Mapping[str, str]:
    if isinstance(error, Invalid):
        return error.fields
    if isinstance(error, WrongCredentials):
        return {"current": "That is not your password."}
    return {"current": str(error)}
