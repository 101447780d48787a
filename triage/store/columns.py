"""What both databases say differently of a column: moments and numbered keys."""

from datetime import UTC, datetime

from sqlalchemy import TIMESTAMP, BigInteger, Dialect, Integer, Text, TypeDecorator
from sqlalchemy.types import TypeEngine


class Moment(TypeDecorator[datetime]):
    """A moment in UTC to the microsecond: timestamptz on PostgreSQL.

    On SQLite it is RFC 3339 text with Z, which sorts as time does and which
    SQLite's own date functions read.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(Text())  # type: ignore[arg-type]

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> object:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs its time zone")
        if dialect.name == "postgresql":
            return value
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def process_result_value(self, value: object, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return moment_of(value)


def moment_of(value: object) -> datetime | None:
    """Return a moment as either database gives it, in UTC."""
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return None


# SQLite numbers rows by itself only for a column that is INTEGER to the letter.
Key = BigInteger().with_variant(Integer, "sqlite")
