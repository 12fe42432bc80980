"""Types of columns that are the same for people on every database."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    Integer,
    String,
    TypeDecorator,
)
from sqlalchemy.types import TypeEngine

BigId = BigInteger().with_variant(Integer, "sqlite")


class Differing(TypeDecorator[Any]):
    """A type that has another name on MariaDB and MySQL.

    `with_variant` would need that one at once, and so load the dialect: 25 ms of each
    start for nothing where another database is used.
    """

    impl = TypeEngine
    cache_ok = True

    def on_mariadb(self, types: Any) -> TypeEngine[Any]:
        """Return the type, one of `types`: SQLAlchemy's of this dialect."""
        raise NotImplementedError

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name not in ("mysql", "mariadb"):
            return super().load_dialect_impl(dialect)
        from sqlalchemy.dialects import mysql  # noqa: PLC0415

        return dialect.type_descriptor(self.on_mariadb(mysql))


class Words(Differing):
    """What people and browsers call themselves and things; `length` in characters.

    There the character set of a database may be one that has few letters.
    """

    impl = String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def on_mariadb(self, types: Any) -> TypeEngine[Any]:
        return types.VARCHAR(self.length, charset="utf8mb4")  # type: ignore[no-any-return]


class UtcDateTime(Differing):
    """An aware datetime in UTC, to the microsecond on every database."""

    impl = DateTime
    cache_ok = True

    def on_mariadb(self, types: Any) -> TypeEngine[Any]:
        return types.DATETIME(fsp=6)  # type: ignore[no-any-return]

    def process_bind_param(self, value: datetime | None, dialect: Any) -> Any:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Any) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)
