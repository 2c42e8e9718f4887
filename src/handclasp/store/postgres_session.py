"""One connection to PostgreSQL, and what is said when there is none. Never said: the password of the URL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from handclasp.findings import Refused
from handclasp.store.faults import postgres_refusal, sqlstate, unreachable

T = TypeVar("T")

_CONNECTING = 10.0  # seconds
_STATEMENT = 60.0  # seconds
_SETTINGS = {
    "application_name": "handclasp",
    # A COMMIT returns when it is on the disk, whatever the server's default is.
    "synchronous_commit": "on",
    "statement_timeout": str(int(_STATEMENT * 1000)),
    "lock_timeout": "30000",
    # A process that hangs must not hold its locks for ever.
    "idle_in_transaction_session_timeout": "60000",
    "timezone": "UTC",
}
_CONNECTION_ERRORS = (sa.exc.SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError)


def shown(url: str) -> str:
    """The URL without its password and its parameters. Refused(DATABASE_UNREACHABLE) if it cannot be read."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    # A password with a slash or a question mark in it would look like a part of what follows.
    if not parts.scheme or "@" in parts.path + parts.query + parts.fragment:
        raise unreachable(
            "(its URL cannot be read)", "in a password the characters / ? # @ : % must be written as %2F and so on"
        )
    user = f"{parts.username}@" if parts.username else ""
    return f"postgresql://{user}{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}{parts.path}"


class Disconnected(Exception):
    """The connection ended before anything was committed."""


class PostgresSession:
    """A connection for one thread at a time, made when it is needed, and again after it has died."""

    def __init__(self, url: str, name: str, *, read_only: bool = False) -> None:
        self._name = name
        self._loop = asyncio.Runner()
        options: dict[str, Any] = {}
        if read_only:
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

        async def connect() -> asyncpg.Connection:
            return await asyncpg.connect(
                url, timeout=_CONNECTING, command_timeout=_STATEMENT, server_settings=_SETTINGS
            )

        self._engine: AsyncEngine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=connect,
            poolclass=NullPool,
            hide_parameters=True,
            execution_options=options,
        )
        self._connection: AsyncConnection | None = None

    def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """One transaction around ``work(connection, *arguments)``. Disconnected if it may be tried again."""
        return self._loop.run(self._run(work, arguments))

    def close(self) -> None:
        """End the connection."""
        self._loop.run(self._disconnect())
        self._loop.close()

    async def _run(self, work: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        connection = await self._connected()
        committing = False
        try:
            async with connection.begin() as transaction:
                result = await connection.run_sync(work, *arguments)
                committing = True
                await transaction.commit()
            return result
        except (sa.exc.DBAPIError, OSError, asyncpg.InterfaceError) as error:
            if isinstance(error, sa.exc.DBAPIError) and not (error.connection_invalidated or not sqlstate(error)):
                raise
            await self._disconnect()
            if committing:
                # Nobody knows whether it was committed, so it must not be done again.
                raise unreachable(self._name, "the connection was closed while it wrote") from None
            raise Disconnected from None

    async def _connected(self) -> AsyncConnection:
        if self._connection is None:
            try:
                self._connection = await self._engine.connect()
            except _CONNECTION_ERRORS as error:
                # Without the cause, which may quote from the URL.
                raise _refused(error, self._name) from None
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close()
            except _CONNECTION_ERRORS:
                # It is of no more use, whatever it says.
                await connection.invalidate()


def _refused(error: BaseException, name: str) -> Refused:
    """Why there is no connection, in our own words: what a driver says of a URL may quote from it."""
    refused = postgres_refusal(error, name)
    if refused is not None:
        return refused
    if isinstance(error, TimeoutError):
        return unreachable(name, f"it did not answer within {_CONNECTING:.0f} seconds")
    if isinstance(error, OSError):
        return unreachable(name, error.strerror or "there is no connection")
    return unreachable(name, "there is no connection, or the URL has a part that cannot be used")
