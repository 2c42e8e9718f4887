"""The authority's keys as files: PKCS#8 in PEM, not encrypted, readable by their owner only (D9)."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from handclasp.findings import Code, InvalidSetting, Refused
from handclasp.pki.keys import KeyType, PrivateKey, PublicKey, generate, load_private, private_pem
from handclasp.pki.keys import sign as sign_with

ROOT = "root"

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


class KeyFiles:
    """A KeyCustody of files ``<directory>/<name>.key``, the directory 0700, the root's key 0400, others 0600.

    A key is read when it is first needed and then kept in memory, except the root's: that one is read for every
    use, so that moving its file away takes it away.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._kept: dict[str, PrivateKey] = {}

    def __repr__(self) -> str:
        return f"KeyFiles({str(self._directory)!r})"

    async def create(self, name: str, kind: KeyType) -> PublicKey:
        """As KeyCustody says. Refused(STATE_UNWRITABLE) if the file cannot be written."""
        key = self._load(name)
        if key is None:
            key = generate(kind)
            self._save(name, key)
        return key.public_key()

    async def public_key(self, name: str) -> PublicKey | None:
        """As KeyCustody says."""
        key = self._load(name)
        return None if key is None else key.public_key()

    async def available(self, name: str) -> bool:
        """As KeyCustody says."""
        return self._load(name) is not None

    async def sign(self, name: str, tbs: bytes) -> bytes:
        """As KeyCustody says."""
        key = self._load(name)
        if key is None:
            raise Refused(
                Code.STATE_KEY_MISSING,
                f"The {name} key is not here",
                f"there is no file {self.where(name)}",
                f"Put the file back as {self.where(name)}, for as long as it is needed.",
            )
        return sign_with(key, tbs)

    def where(self, name: str) -> str:
        """As KeyCustody says."""
        return str(self._path(name))

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a key")
        return self._directory / f"{name}.key"

    def _load(self, name: str) -> PrivateKey | None:
        if name in self._kept:
            return self._kept[name]
        path = self._path(name)
        try:
            key = load_private(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            why = error.strerror or "it cannot be read"
            raise _damaged(path, why, "Correct the owner and mode of the file.") from error
        except InvalidSetting as error:
            # Without the cause: what a parser says of a broken key file may quote from it.
            raise _damaged(path, error.why, "Restore the file from a backup.") from None
        if name != ROOT:
            self._kept[name] = key
        return key

    def _save(self, name: str, key: PrivateKey) -> None:
        """Whole or not at all, after a crash too: a file beside it, to the disk, then renamed."""
        path = self._path(name)
        # Always the same name, so that what a crash left behind is removed here and does not pile up.
        fresh = path.with_name(f".{path.name}.new")
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._directory.chmod(0o700)
            fresh.unlink(missing_ok=True)
            try:
                _write(fresh, private_pem(key), 0o400 if name == ROOT else 0o600)
                fresh.rename(path)
            except BaseException:
                with suppress(OSError):
                    fresh.unlink(missing_ok=True)
                raise
            _flush_directory(self._directory)
            # A new directory is itself an entry that has to reach the disk.
            _flush_directory(self._directory.parent)
        except OSError as error:
            raise Refused(
                Code.STATE_UNWRITABLE,
                f"The key file {path} cannot be written",
                error.strerror or "the system refuses it",
                "Correct the owner and mode of the directory, or choose another with --dir.",
            ) from error


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _flush_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _damaged(path: Path, why: str, fix: str) -> Refused:
    return Refused(Code.STATE_DAMAGED, f"The key file {path} cannot be used", why, fix)
