"""The pages to sign up, log in, log out and confirm, and the name on every page."""

from collections.abc import Mapping
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
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from webapp.accounts.inputs import Credentials, NewAccount
from webapp.accounts.service import Accounts
from webapp.error_pages import show_error
from webapp.errors import (
    Busy,
    Forbidden,
    Invalid,
    NotFound,
    NotFresh,
    NotLoggedIn,
    TooMany,
    WrongCredentials,
)
from webapp.programs import is_for_programs
from webapp.sessions.copies import Copy
from webapp.sessions.devices import describe_device
from webapp.sessions.guard import (
    check_form_token,
    current_copy,
    current_sessions,
    origin,
    public,
    session,
)
from webapp.sessions.large import large_form
from webapp.sessions.service import Started
from webapp.web import Answer, go_to, is_own_page, own_address, parse, refuse

blueprint = Blueprint("accounts", __name__)

REFUSALS = (Invalid, WrongCredentials, Forbidden, TooMany, Busy)
SEE_OTHER = 303
FORM_OF_LOGIN = ("name", "keep", "next", "act")
# Before the name of a field that the log-in has as well: a token has a name, too.
CARRIED = "typed-"


def init_accounts(app: Flask, accounts: Accounts, *, sign_up_open: bool) -> None:
    app.extensions["accounts"] = accounts
    app.register_blueprint(blueprint)
    app.register_error_handler(NotFresh, ask_again)
    app.register_error_handler(NotLoggedIn, ask_to_log_in)
    app.context_processor(
        lambda: {"user_name": current_user_name(), "sign_up_open": sign_up_open}
    )
    app.config["SIGN_UP_OPEN"] = sign_up_open


@blueprint.get("/signup")
@public
def signup() -> Answer:
    if session.user_id:
        return redirect(_next_page(), SEE_OTHER)
    return render_template("accounts/signup.html", form={}, errors={})


@blueprint.post("/signup")
@public
def do_signup() -> Answer:
    if not current_app.config["SIGN_UP_OPEN"]:
        raise Forbidden("Sign-up is closed here. Ask the operator for an account.")
    try:
        wanted = parse(NewAccount, request.form)
        started = current_accounts().sign_up(wanted, origin())
    except Invalid as error:
        return refuse(error, "accounts/signup.html", form=_typed(), errors=error.fields)
    except (TooMany, Busy) as error:
        errors = {"password": str(error)}
        return refuse(error, "accounts/signup.html", form=_typed(), errors=errors)
    return _let_in(started)


@blueprint.get("/login")
@public
def login() -> Answer:
    if session.user_id:
        return redirect(_next_page(), SEE_OTHER)
    return render_template("accounts/login.html", form={}, error=None)


@blueprint.post("/login")
@public
def do_login() -> Answer:
    try:
        given = parse(Credentials, request.form)
        started = current_accounts().log_in(given, origin())
    except REFUSALS as error:
        message = str(error)
        if isinstance(error, Invalid):
            message = "Enter your user name and your password."
        return refuse(error, "accounts/login.html", form=_typed(), error=message)
    answer = _let_in(started)
    words, act = _last_time(started.copy), request.form.get("act", "")
    if act:
        return _show_typed(act, words)
    if words:
        if not current_sessions().has_copy(started.copy):
            # Where no notice can be kept for the next page, this is a page of its own.
            return go_to("accounts.last_time", next=_next_page())
        flash(words)
    return answer


@blueprint.get("/login/last-time")
def last_time() -> Answer:
    words, next_page = _last_time(current_copy()), _next_page()
    return render_template("accounts/last_time.html", words=words, next=next_page)


@blueprint.post("/logout")
@public
def logout() -> Response:
    check_form_token()
    leave("logged out")
    answer = go_to("accounts.login", notice="logged-out")
    answer.headers["Clear-Site-Data"] = '"cache", "storage"'
    return answer


@blueprint.get("/confirm")
def confirm() -> str:
    return render_template("accounts/confirm.html", act="", typed={}, error=None)


@blueprint.post("/confirm")
@large_form
def do_confirm() -> Answer:
    """Check the password, then go on with the act that asked for it."""
    password = request.form.get("confirm_password", "")
    try:
        started = current_accounts().confirm(
            current_copy(), dict(session), password, origin()
        )
    except REFUSALS as error:
        message = str(error)
        if isinstance(error, WrongCredentials):
            message = "That is not your password."
        page = {"act": request.form.get("act", ""), "typed": _typed()}
        return refuse(error, "accounts/confirm.html", error=message, **page)
    go_on_as(started)
    return _go_on(request.form.get("act", ""))


def ask_again(error: NotFresh) -> Answer:
    """Answer a sensitive act by asking for the password; keep what was typed."""
    if is_for_programs():
        return current_app.make_response(show_error(error))
    if request.method == "GET":
        return go_to("accounts.confirm", next=own_address())
    page = {"act": request.path, "typed": _typed(), "error": None}
    return refuse(error, "accounts/confirm.html", **page)


def ask_to_log_in(error: NotLoggedIn) -> Answer:
    """Answer a form by asking for the log-in; keep what was typed."""
    # That of /confirm has an act of its own, which is to be confirmed again.
    form = {"act": request.path} | {
        f"{CARRIED}{name}" if name in ("name", "keep") else name: value
        for name, value in _typed().items()
    }
    return refuse(error, "accounts/login.html", form=form, error=str(error))


def _show_typed(act: str, notice: str) -> Answer:
    """Show what was typed before the log-in: whoever is there now may send it."""
    endpoint, arguments = _match(act)
    # What was given may be read otherwise by a browser: `//entries/new`, `/entries/?`.
    address = url_for(endpoint, _method="POST", **arguments)
    if notice:
        flash(notice)
    typed = {
        name.removeprefix(CARRIED): value
        for name, value in _typed().items()
        if name not in FORM_OF_LOGIN
    }
    return render_template("accounts/typed.html", address=address, typed=typed)


def go_on_as(started: Started | None) -> None:
    """Take over the session's new ID.

    Raises NotLoggedIn when it was over, or another request gave it one: what was typed
    goes through the log-in.
    """
    if started is None:
        session.step_back()
        raise NotLoggedIn("Please log in once more. What you typed is kept here.")
    session.become(started)


def leave(reason: str) -> None:
    """End the session that the browser has, if it has one."""
    if session.copy_at_open:
        current_sessions().end(session.copy_at_open, reason)
        session.forget()


def current_accounts() -> Accounts:
    return current_app.extensions["accounts"]  # type: ignore[no-any-return]


def current_user_name() -> str | None:
    """Return the logged-in name; asks the records only when the copy lost it."""
    if session.user_id is None:
        return None
    name = session.get("_name")
    if not isinstance(name, str):
        try:
            name = session["_name"] = current_accounts().name_of(session.user_id)
        except (SQLAlchemyError, NotFound):
            # The page that says so needs no name.
            return "Your account"
    return name


def _let_in(started: Started) -> Response:
    """Put the browser into its new session; the one it had is over."""
    leave("replaced")
    session.become(started)
    return redirect(_next_page(), SEE_OTHER)


def _last_time(copy: Copy) -> str:
    """Say when the person logged in before, and what was tried since; once it was."""
    last = current_accounts().last_time(copy)
    if last is None:
        return ""
    words = (
        f"You last logged in on {last.at:%Y-%m-%d at %H:%M} UTC with "
        f"{describe_device(last.user_agent)} from {last.address}."
    )
    if last.failures_since:
        times = "once" if last.failures_since == 1 else f"{last.failures_since} times"
        words += f" Since then a wrong password or code was tried {times}."
    return words


def _go_on(act: str) -> Answer:
    """Do the act the person was asked to confirm, with the form as it came again."""
    if not act:
        return redirect(_next_page(), SEE_OTHER)
    endpoint, arguments = _match(act)
    view: Any = current_app.view_functions[endpoint]
    # What needed the password may need it no more, as an entry that is not secret now.
    if not hasattr(view, "is_sensitive"):
        raise Forbidden("Only what needs your password can be confirmed.")
    return view(**arguments)  # type: ignore[no-any-return]


def _match(act: str) -> tuple[str, Mapping[str, Any]]:
    """Return the endpoint that takes the form, with its arguments; raises NotFound."""
    adapter = current_app.url_map.bind_to_environ(request.environ)
    try:
        return adapter.match(act, method="POST")
    except HTTPException as error:
        raise NotFound("There is nothing to go on with.") from error


def _typed() -> dict[str, str]:
    """Return what was typed but passwords and tokens, to be shown again."""
    return {
        name: value
        for name, value in request.form.items()
        if "password" not in name and name not in ("form_token", "current", "again")
    }


def _next_page() -> str:
    wanted = request.values.get("next", "")
    return wanted if is_own_page(wanted) else url_for("entries.index")
