"""The pages of a person's API tokens: which there are, a new one, the end of one."""

from flask import Blueprint, Flask, current_app, flash, render_template, request
from werkzeug.wrappers import Response

from webapp.accounts.inputs import NewToken
from webapp.accounts.tokens import MOST, Tokens, over_at
from webapp.errors import Invalid
from webapp.sessions.guard import current_copy, current_user_id, origin, sensitive
from webapp.web import Answer, go_to, parse, refuse

blueprint = Blueprint("tokens", __name__, url_prefix="/account/tokens")

LIST = "accounts/tokens.html"
UNTOUCHED = {"access": "read", "expires": "90"}


def init_tokens(app: Flask, tokens: Tokens) -> None:
    app.extensions["tokens"] = tokens
    app.register_blueprint(blueprint)


@blueprint.get("")
@sensitive
def index() -> str:
    return render_template(LIST, form=UNTOUCHED, errors={}, **_listed())


@blueprint.post("")
@sensitive
def make() -> Answer:
    """Show the new token on the answer itself: it is kept nowhere, not for a moment."""
    try:
        new = parse(NewToken, request.form)
        token = current_tokens().make(current_copy(), new, origin())
    except Invalid as error:
        # What is wrong with a date as a whole is shown beside the date.
        errors = {("on" if name == "value" else name): text
                  for name, text in error.fields.items()}  # fmt: skip
        return refuse(error, LIST, form=request.form, errors=errors, **_listed())
    return render_template("accounts/token_made.html", token=token, new=new)


@blueprint.post("/<row_id:token_id>/revoke")
@sensitive
def revoke(token_id: int) -> Response:
    current_tokens().revoke(current_copy(), token_id, origin())
    flash("That token is revoked: it opens nothing any more.")
    return go_to("tokens.index")


def _listed() -> dict[str, object]:
    alive, over = current_tokens().of_user(current_user_id())
    return {
        "alive": alive,
        "over": over,
        "over_at": over_at,
        "is_full": len(alive) >= MOST,
    }


def current_tokens() -> Tokens:
    return current_app.extensions["tokens"]  # type: ignore[no-any-return]
