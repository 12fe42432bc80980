"""What only one session's pages have in their forms, whatever ID the session has.

It is made of what is random of each log-in and shown nowhere; it is the same after a
rotation and on every machine, and is itself not stored anywhere.
"""

import hmac
from functools import lru_cache

from sqlalchemy import select

from webapp.database import Database
from webapp.sessions.models import SessionRecord


def form_key_of(database: Database, session_id: int) -> str:
    """Return what its token is made of; empty when there is no such session any more.

    It never changes.
    """
    statement = select(SessionRecord.device_hash, SessionRecord.id_hash).where(
        SessionRecord.id == session_id
    )
    with database.read() as db:
        row = db.execute(statement).first()
    if row is None:
        return ""
    # The oldest sessions have no device.
    return str(row.device_hash or row.id_hash)


@lru_cache(maxsize=1000)
def form_token_of(key: str) -> str:
    return hmac.digest(key.encode(), b"form", "sha256").hex()[:32]
