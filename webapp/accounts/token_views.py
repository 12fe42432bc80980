"""The pages of a person's API tokens: which there are, a new one, the end of one."""

from typing import Annotated

from flask import Blueprint, Flask, current_app, flash, render_template, request
from pydantic import BaseModel, Field
from werkzeug.wrappers import Response

from webapp.accounts.inputs import NewToken
from webapp.accounts.tokens import MOST, Tokens, over_at
from webapp.errors import Invalid
from webapp.sessions.guard import current_copy, current_user_id, origin, sensitive
from webapp.web import Answer, go_to, parse, refuse

blueprint = Blueprint("tokens", __name__, url_prefix="/account/tokens")

LIST = "accounts/tokens.html"
# Tokens on one page.
LISTED = 10
UNTOUCHED = {"access": "read", "expires": "90"}


class TokenQuery(BaseModel):
    """The part of the list that begins after so many."""

    skip: Annotated[int, Field(ge=0, lt=1000)] = 0


def init_tokens(app: Flask, tokens: Tokens) -> None:
    app.extensions["tokens"] = tokens
    app.register_blueprint(blueprint)


@blueprint.get("")
@sensitive
def index() -> str:
    query = parse(TokenQuery, request.args)
    return render_template(LIST, form=UNTOUCHED, errors={}, **_listed(query))


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
        return refuse(
            error, LIST, form=request.form, errors=errors, **_listed(TokenQuery())
        )
    return render_template("accounts/token_made.html", token=token, new=new)


@blueprint.post("/<row_id:token_id>/revoke")
@sensitive
def revoke(token_id: int) -> Response:
    current_tokens().revoke(current_copy(), token_id, origin())
    flash("That token is revoked: it opens nothing any more.")
    return go_to("tokens.index")


def _listed(query: TokenQuery) -> dict[str, object]:
    alive, over = current_tokens().of_user(current_user_id())
    end = query.skip + LISTED
    return {
        "query": query,
        "alive": alive[query.skip : end],
        "over": over[max(query.skip - len(alive), 0) : max(end - len(alive), 0)],
        "over_at": over_at,
        "more": end if end < len(alive) + len(over) else None,
        "is_full": len(alive) >= MOST,
    }


def current_tokens() -> Tokens:
    return current_app.extensions["tokens"]  # type: ignore[no-any-return]
