"""The account and its sessions, for programs."""

from typing import cast

from flask import Response, current_app

from webapp.accounts.views import current_accounts
from webapp.api.asker import Asker
from webapp.api.models import (
    AccountInfo,
    Ended,
    SessionInfo,
    SessionList,
    TokenInfo,
)
from webapp.api.operations import (
    Operation,
    conditions_of_request,
    operation,
    respond,
    respond_empty,
)
from webapp.database import AnyRow
from webapp.entries.service import Entries
from webapp.sessions.devices import describe_device
from webapp.sessions.guard import current_sessions, sensitive, session
from webapp.sessions.views import ENDED_HERE

SESSIONS = "/api/v1/sessions"
ENDED_BY_PROGRAM = "ended by a program"


@operation(Operation("GET", "/api/v1/account", {200: AccountInfo}))
def get_account(asker: Asker) -> AccountInfo:
    """Tell whose token or session it is, and how much room is taken."""
    account = current_accounts().account_of(asker.user_id)
    entries = cast(Entries, current_app.extensions["entries"])
    (count, size), quota = entries.totals(asker.user_id), entries.quota
    return AccountInfo(
        name=account.name,
        created_at=account.created_at,
        entries=count,
        max_entries=quota.entries,
        size=size,
        max_size=quota.size,
        max_value_size=quota.value_size,
        token=_describe_token(asker.token) if asker.token else None,
    )


@operation(Operation("GET", SESSIONS, {200: SessionList}))
def list_sessions(asker: Asker) -> SessionList:
    """List the browsers that are logged in, last seen first."""
    return _list(asker)


@operation(Operation("DELETE", SESSIONS, {200: Ended}, is_conditional=True))
@sensitive
def end_sessions(asker: Asker) -> Ended:
    """End all sessions; for a browser, all but its own."""
    _check_seen(asker)
    if asker.copy:
        return Ended(ended=current_sessions().end_others(asker.copy, ENDED_HERE))
    return Ended(ended=current_sessions().end_all(asker.user_id, ENDED_BY_PROGRAM))


@operation(
    Operation(
        "DELETE", f"{SESSIONS}/<row_id:session_id>", {204: None}, is_conditional=True
    )
)
@sensitive
def end_session(asker: Asker, session_id: int) -> Response:
    """End one session: its browser is logged out."""
    _check_seen(asker)
    sessions = current_sessions()
    if asker.copy is None:
        sessions.end_of_user(asker.user_id, session_id, ENDED_BY_PROGRAM)
    else:
        sessions.end_one(asker.copy, session_id, ENDED_HERE)
        if session_id == asker.copy.record_id:
            session.forget()
    return respond_empty(204)


def _list(asker: Asker) -> SessionList:
    asker.check_everything()
    alive, _ = current_sessions().records.of_user(asker.user_id)
    this = asker.copy.record_id if asker.copy else None
    return SessionList(sessions=[_describe(row, row.id == this) for row in alive])


def _check_seen(asker: Asker) -> None:
    """Raise PreconditionFailed where the list is not the one the program has seen.

    A session by itself has no versions.
    """
    seen = respond(_list(asker))
    seen.add_etag()
    conditions_of_request().check_write(seen.headers["ETag"])


def _describe(row: AnyRow, is_current: bool) -> SessionInfo:
    return SessionInfo(
        id=row.id,
        device=describe_device(row.user_agent),
        address=row.address,
        started_at=row.created_at,
        last_seen_at=row.last_seen_at,
        ends_at=current_sessions().records.over_at(row),
        kept=row.kept,
        current=is_current,
    )


def _describe_token(token: AnyRow) -> TokenInfo:
    return TokenInfo(
        name=token.name,
        access="read-write" if token.can_write else "read",
        prefix=token.key_prefix,
        may_read_secrets=token.can_read_secrets,
        expires_at=token.expires_at,
    )
