"""The page on which somebody sets a password with a code that the operator gave."""

from flask import Blueprint, Flask, current_app, render_template, request

from webapp.accounts.codes import Codes
from webapp.accounts.inputs import PasswordByCode
from webapp.accounts.views import leave
from webapp.errors import Busy, HoldfastError, Invalid, TooMany, WrongCredentials
from webapp.sessions.guard import origin, public
from webapp.web import Answer, go_to, parse, refuse

# What the operator is told, who has no request to build an address from.
PATH = "/password"
NOT_VALID = (
    "User name and code do not belong together, or the code is used, replaced or too "
    "old. The operator can give you another."
)
ONCE_MORE = "Type the code once more: this page does not keep it."

blueprint = Blueprint("codes", __name__, url_prefix=PATH)


def init_codes(app: Flask, codes: Codes) -> None:
    app.extensions["codes"] = codes
    app.register_blueprint(blueprint)


@blueprint.get("")
@public
def index() -> str:
    return render_template("accounts/password.html", form={}, errors={})


@blueprint.post("")
@public
def set_password() -> Answer:
    """Set the password and lead to the log-in: the code itself lets nobody in."""
    try:
        current_codes().use(parse(PasswordByCode, request.form), origin())
    except (Invalid, WrongCredentials, TooMany, Busy) as error:
        form = {"name": request.form.get("name", "")}
        return refuse(
            error, "accounts/password.html", form=form, errors=_explain(error)
        )
    leave("logged out")
    return go_to("accounts.login", notice="password-set")


def current_codes() -> Codes:
    return current_app.extensions["codes"]  # type: ignore[no-any-return]


def _explain(error: HoldfastError) -> dict[str, str]:
    """Say what is wrong by field, that of the code first: it has to be typed again."""
    if isinstance(error, Invalid):
        return {"code": ONCE_MORE} | error.fields
    return {"code": NOT_VALID if isinstance(error, WrongCredentials) else str(error)}
