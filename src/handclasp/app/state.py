"""The state directory: what lies where, who may write it, and the files that callers are given (D9, D10)."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from handclasp.findings import Code, Refused
from handclasp.pki.spiffe import SpiffeID
from handclasp.store import files

KEY, CHAIN, BUNDLE = "key.pem", "chain.pem", "bundle.pem"


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """``<path>``: 0700, ignored by git, written by one process at a time."""

    path: Path

    @property
    def ledger(self) -> Path:
        """The SQLite database."""
        return self.path / "ledger.db"

    @property
    def writer(self) -> Path:
        """What this directory is called in a ledger that several share: only there where it is, or was, one of them."""
        return self.path / "writer"

    @property
    def authority_keys(self) -> Path:
        """The directory of the authority's keys."""
        return self.path / "ca"

    @property
    def control_socket(self) -> Path:
        """Where a running ``up`` answers."""
        return self.path / "control.sock"

    @property
    def ads_socket(self) -> Path:
        """Where Envoy is fed."""
        return self.path / "run" / "xds.sock"

    @property
    def log(self) -> Path:
        """The directory of logs."""
        return self.path / "log"

    def gateway(self, service: str) -> Path:
        """The directory of a service's own certificate."""
        return self.path / "gateway" / service

    def client(self, identity: SpiffeID) -> Path:
        """The directory of a caller's files. A name's slashes become plus signs, which no name can contain."""
        return self.path / "clients" / identity.path.replace("/", "+")

    def exists(self) -> bool:
        """Whether anything was ever established here."""
        return self.ledger.exists()

    def prepare(self) -> None:
        """Make the directory and its parts, with their modes. Raises Refused (STATE_UNWRITABLE)."""
        try:
            for part in (self.path, self.path / "run", self.log, self.path / "gateway", self.path / "clients"):
                part.mkdir(mode=0o700, parents=True, exist_ok=True)
                part.chmod(0o700)
            ignore = self.path / ".gitignore"
            if not ignore.exists():
                files.write(ignore, b"# Private keys live here.\n*\n", 0o600)
        except OSError as error:
            raise unwritable(self.path, error) from None

    @contextmanager
    def lock(self, patience: float = 0) -> Iterator[None]:
        """Be the only writer while the context lasts, waiting at most ``patience`` seconds for a short command to end.
        Raises Refused (STATE_IN_USE); any death frees it."""
        self.prepare()
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise unwritable(self.path, error) from None
        try:
            try:
                _flock(descriptor, time.monotonic() + patience)
            except BlockingIOError:
                holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
                raise Refused(
                    Code.STATE_IN_USE,
                    f"The state directory {self.path} is in use",
                    f"another handclasp holds its lock (process {holder or 'unknown'})",
                    "Stop it, or choose another directory with --dir.",
                ) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)


def _flock(descriptor: int, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.02)
        else:
            return


def unwritable(path: Path, error: OSError) -> Refused:
    """The error of a directory or file that cannot be written, in words."""
    return Refused(
        Code.STATE_UNWRITABLE,
        f"{error.filename or path} cannot be written",
        error.strerror or str(error),
        "Choose another place with --dir (or --out), or correct its owner and mode.",
    )


def write_identity(directory: Path, *, key: bytes | None, chain: bytes, bundle: bytes) -> None:
    """Write a key (0600; None leaves the one there), a chain and a trust bundle, each atomically."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if key is not None:
            files.write(directory / KEY, key, 0o600)
        files.write(directory / BUNDLE, bundle, 0o644)
        files.write(directory / CHAIN, chain, 0o644)  # last: a directory with a chain is complete
    except OSError as error:
        raise unwritable(directory, error) from None
