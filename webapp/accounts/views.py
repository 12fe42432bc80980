"""The pages to sign up, log in and log out, and the name on every page."""

from flask import (
    Blueprint,
    Flask,
    current_app,
    redirect,
    render_template,
    request,
    url_for,
)
from werkzeug.wrappers import Response

from webapp.accounts.inputs import Credentials, NewAccount
from webapp.accounts.service import Accounts
from webapp.errors import Forbidden, Invalid, WrongCredentials
from webapp.sessions.guard import origin, public, session
from webapp.sessions.service import Sessions, Started
from webapp.web import is_own_page, parse

blueprint = Blueprint("accounts", __name__)

SEE_OTHER = 303
Answer = str | tuple[str, int] | Response


def init_accounts(app: Flask, accounts: Accounts) -> None:
    app.extensions["accounts"] = accounts
    app.register_blueprint(blueprint)
    app.context_processor(
        lambda: {
            "user_name": current_user_name(),
            "sign_up_open": accounts.sign_up_open,
        }
    )


@blueprint.get("/signup")
@public
def signup() -> Answer:
    if session.user_id:
        return redirect(_next_page(), SEE_OTHER)
    return render_template("accounts/signup.html", form={}, errors={})


@blueprint.post("/signup")
@public
def do_signup() -> Answer:
    try:
        wanted = parse(NewAccount, request.form)
        started = _accounts().sign_up(wanted, origin())
    except Invalid as error:
        form = {"name": request.form.get("name", "")}
        page = render_template("accounts/signup.html", form=form, errors=error.fields)
        return page, error.status
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
        started = _accounts().log_in(parse(Credentials, request.form), origin())
    except (Invalid, WrongCredentials, Forbidden) as error:
        form = {"name": request.form.get("name", "")}
        message = (
            "Enter your user name and your password."
            if isinstance(error, Invalid)
            else str(error)
        )
        page = render_template("accounts/login.html", form=form, error=message)
        return page, error.status
    return _let_in(started)


@blueprint.post("/logout")
@public
def logout() -> Response:
    if session.copy_at_open:
        _sessions().end(session.copy_at_open, "logged out")
        session.forget()
    answer = redirect(url_for("accounts.login", notice="logged-out"), SEE_OTHER)
    answer.headers["Clear-Site-Data"] = '"cache", "storage"'
    return answer


def current_user_name() -> str | None:
    """Return the logged-in name; asks the records only when the copy lost it."""
    if session.user_id is None:
        return None
    name = session.get("name")
    if not isinstance(name, str):
        name = session["name"] = _accounts().name_of(session.user_id)
    return name


def _let_in(started: Started) -> Response:
    """Put the browser into its new session; the one it had is over."""
    if session.copy_at_open:
        _sessions().end(session.copy_at_open, "replaced")
        session.forget()
    session.become(started)
    return redirect(_next_page(), SEE_OTHER)


def _next_page() -> str:
    wanted = request.values.get("next", "")
    return wanted if is_own_page(wanted) else url_for("entries.index")


def _accounts() -> Accounts:
    return current_app.extensions["accounts"]  # type: ignore[no-any-return]


def _sessions() -> Sessions:
    return current_app.session_interface.sessions  # type: ignore[attr-defined, no-any-return]
