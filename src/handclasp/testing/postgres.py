"""A PostgreSQL of the tests' own: made in a directory, reached through a socket there, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_INSTALLED = Path("/usr/lib/postgresql")
_STARTING = 60  # seconds
_UNPRIVILEGED = ("postgres", "nobody")
_QUICK = ("fsync=off", "full_page_writes=off")
_SETTINGS = (
    "listen_addresses=",
    "max_connections=200",
    "shared_buffers=32MB",
    "log_min_messages=warning",
    "autovacuum_naptime=600",
)


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server. Its superuser is ``handclasp``; anyone who reaches the socket may be anyone."""

    directory: Path
    user: str | None

    def url(self, database: str, *, user: str = "handclasp") -> str:
        """The address of one of its databases."""
        return f"postgresql://{user}@/{database}?host={self.directory}"

    def create(self, database: str, *, template: str = "template0") -> str:
        """Make a database, empty or as a copy; its address. The name: lower-case letters, digits and underscores."""
        self.sql(f"CREATE DATABASE {database} TEMPLATE {template} STRATEGY FILE_COPY")
        return self.url(database)

    def sql(self, statement: str, *, database: str = "postgres") -> str:
        """Run a statement as the superuser; what psql prints of its rows."""
        call = [_program("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", str(self.directory)]
        done = subprocess.run(
            [*call, "-U", "handclasp", "-d", database, "-c", statement], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def kill(self) -> None:
        """kill -9 of the whole server, as a power cut of its machine would end it. ``start`` starts it again."""
        _pg_ctl(self.directory, self.user, "stop", "-m", "immediate")

    def start(self, *, durable: bool = True) -> None:
        """Start the server."""
        options = [*_SETTINGS, f"unix_socket_directories={self.directory}", *([] if durable else _QUICK)]
        arguments = " ".join(f"-c {option}" for option in options)
        _pg_ctl(self.directory, self.user, "start", "-o", arguments, "-l", str(self.directory / "server.log"))


@contextmanager
def postgres(*, durable: bool = False) -> Iterator[Postgres]:
    """A server of its own, for as long as the block runs; without ``durable`` it does not wait for the disk."""
    user = _user()
    # Not in pytest's directory: the server's user could not go there, and a socket's path has to be short.
    with tempfile.TemporaryDirectory(prefix="handclasp-pg-", ignore_cleanup_errors=True) as made:
        directory = Path(made)
        directory.chmod(0o755)
        if user is not None:
            shutil.chown(directory, user)
        _run(
            user,
            "initdb",
            *("-D", str(directory / "data"), "-U", "handclasp", "-A", "trust", "-E", "UTF8"),
            *("--locale=C.UTF-8", "--no-sync", "--no-instructions"),
        )
        server = Postgres(directory, user)
        server.start(durable=durable)
        try:
            yield server
        finally:
            _pg_ctl(directory, user, "stop", "-m", "immediate")


def _pg_ctl(directory: Path, user: str | None, verb: str, *options: str) -> None:
    _run(user, "pg_ctl", verb, "-D", str(directory / "data"), "-w", "-s", "-t", str(_STARTING), *options)


def _run(user: str | None, program: str, *arguments: str) -> None:
    # Not through a pipe: the server would inherit it, and the reader wait for the server's end.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            [_program(program), *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            user=user,
            group=None if user is None else pwd.getpwnam(user).pw_gid,
            extra_groups=None if user is None else [],
        )
        output.seek(0)
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {output.read().decode(errors='replace')}")


def _user() -> str | None:
    """PostgreSQL refuses to run as root: then it runs as somebody without rights."""
    if os.geteuid() != 0:
        return None
    users = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in _UNPRIVILEGED if name in users)


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        newest = sorted(_INSTALLED.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
        if not newest:
            raise FileNotFoundError(f"there is no {name}: install PostgreSQL (Debian: apt-get install postgresql)")
        found = str(newest[-1])
    return found
