"""The authority's keys as files: PKCS#8 in PEM, readable by their owner only, under a passphrase if there is one."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import cast

from handclasp.authority.ports import KeyCustody
from handclasp.findings import Code, Refused
from handclasp.pki import pkcs8
from handclasp.pki.keys import KeyType, PrivateKey, PublicKey, generate, key_type, private_pem, spki_sha256
from handclasp.pki.keys import sign as sign_with
from handclasp.pki.pkcs8 import Encryption
from handclasp.store import files

ROOT = "root"

Passphrase = Callable[[], bytes]

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_CHANGE = ".passphrase-change"


def encryption(passphrase: bytes) -> Encryption:
    """How a key file is encrypted: with the costs that are the rule, a fresh salt and a fresh IV."""
    fresh = os.urandom(pkcs8.SALT_BYTES), os.urandom(pkcs8.IV_BYTES)  # noqa: TID251 - as random as the key itself
    return Encryption(passphrase, *fresh)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A key file that was opened, by what the system says of it, and the half of the key that is no secret."""

    stamp: tuple[int, ...]
    public: PublicKey


class KeyFiles:
    """A KeyCustody of files ``<directory>/<name>.key``, the directory 0700, the root's key 0400, others 0600.

    With a passphrase, what is written is encrypted; what lies there unencrypted is read all the same, and is told
    by ``unencrypted``. A key is read when it is first needed and then kept in memory, except the root's: that one is
    opened for every use, so that moving its file away takes it away. Opening takes half a second, in a thread.

    ``encryption`` makes the salt and the costs of every key that is written.
    """

    def __init__(
        self,
        directory: Path,
        passphrase: Passphrase | None = None,
        *,
        encryption: Callable[[bytes], Encryption] = encryption,
    ) -> None:
        self._directory = directory
        self._passphrase = passphrase
        self._encryption = encryption
        self._kept: dict[str, PrivateKey] = {}
        self._seen: dict[str, _Seen] = {}
        self._proved = False
        self._turn = RLock()

    def __repr__(self) -> str:
        return f"KeyFiles({str(self._directory)!r})"

    async def create(self, name: str, kind: KeyType) -> PublicKey:
        """As KeyCustody says. Refused(STATE_UNWRITABLE) if the file cannot be written."""
        return await asyncio.to_thread(self._put, name, lambda: generate(kind))

    async def take(self, name: str, key: PrivateKey) -> PublicKey:
        """As KeyCustody says. Refused(STATE_FILE_EXISTS) if another key has the name."""
        public = await asyncio.to_thread(self._put, name, lambda: key)
        if spki_sha256(public) != spki_sha256(key.public_key()):
            raise Refused(
                Code.STATE_FILE_EXISTS,
                f"The {name} key cannot be taken over",
                f"{self.where(name)} holds another key",
                "Move that file away, if nothing needs it.",
            )
        return public

    async def public_key(self, name: str) -> PublicKey | None:
        """As KeyCustody says."""
        if name in self._kept:
            return self._kept[name].public_key()
        return await asyncio.to_thread(self._public, name)

    async def available(self, name: str) -> bool:
        """As KeyCustody says."""
        return await self.public_key(name) is not None

    async def sign(self, name: str, tbs: bytes) -> bytes:
        """As KeyCustody says."""
        return sign_with(await self._needed(name), tbs)

    def where(self, name: str) -> str:
        """As KeyCustody says."""
        return str(self._path(name))

    @property
    def encrypts(self) -> bool:
        """Whether what is written is put under a passphrase."""
        return self._passphrase is not None

    def names(self) -> tuple[str, ...]:
        """The names of the keys that are here, in order. Raises Refused(STATE_DAMAGED)."""
        with self._reading() as there:
            return tuple(self._found()) if there else ()

    def unencrypted(self) -> tuple[str, ...]:
        """The names of the keys whose files anybody could use who gets hold of them."""
        with self._reading() as there:
            if not there:
                return ()
            return tuple(name for name in self._found() if not pkcs8.is_encrypted(self._path(name).read_bytes()))

    async def copy(self, name: str, to: KeyCustody) -> PublicKey:
        """Put a copy of a key into another custody: for a backup, and back. Refused(STATE_KEY_MISSING)."""
        return await to.take(name, await self._needed(name))

    async def reencrypt(self, passphrase: Passphrase | None) -> tuple[str, ...]:
        """Put every key that is here under another passphrase (None: under none); returns their names.

        All or none, whenever the machine stops: a passphrase opens all keys of the directory or none. A key that is
        not here, such as a root's that was moved away, stays under the passphrase that it has.
        """
        return await asyncio.to_thread(self._reencrypt, passphrase)

    async def _needed(self, name: str) -> PrivateKey:
        key = self._kept.get(name) or await asyncio.to_thread(self._load, name)
        if key is None:
            raise Refused(
                Code.STATE_KEY_MISSING,
                f"The {name} key is not here",
                f"there is no file {self.where(name)}",
                f"Put the file back as {self.where(name)}, for as long as it is needed.",
            )
        return key

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a key")
        return self._directory / f"{name}.key"

    def _found(self) -> list[str]:
        names = (path.name.removesuffix(".key") for path in self._directory.glob("*.key"))
        return sorted(name for name in names if _NAME.fullmatch(name))

    def _public(self, name: str) -> PublicKey | None:
        # The status asks for the root's key every time, and need not open it for that.
        with self._turn:
            seen = self._seen.get(name)
            if seen is not None and seen.stamp == _stamp(self._path(name)):
                return seen.public
            key = self._load(name)
            return None if key is None else key.public_key()

    def _load(self, name: str) -> PrivateKey | None:
        path = self._path(name)
        with self._turn:
            if name in self._kept:
                return self._kept[name]
            with self._reading() as there:
                stamp = _stamp(path)
                if not there or stamp is None:
                    self._seen.pop(name, None)
                    return None
                content = path.read_bytes()
            key = self._opened(path, content)
            self._seen[name] = _Seen(stamp, key.public_key())
            if not _is_root(name):
                self._kept[name] = key
            return key

    def _opened(self, path: Path, content: bytes) -> PrivateKey:
        try:
            passphrase = self._passphrase() if self._passphrase and pkcs8.is_encrypted(content) else None
            key = pkcs8.load_pem(content, passphrase)
            self._proved = self._proved or passphrase is not None
            key_type(key.public_key())
        except pkcs8.PassphraseMissing:
            raise Refused(
                Code.KEY_PASSPHRASE_MISSING,
                f"The key file {path} cannot be opened",
                "it is encrypted, and no passphrase was given",
                "Set authority.keys.passphrase in handclasp.yaml, or HANDCLASP_CA_PASSPHRASE.",
            ) from None
        except pkcs8.PassphraseWrong:
            raise Refused(
                Code.KEY_PASSPHRASE_WRONG,
                f"The key file {path} cannot be opened",
                "the passphrase does not open it",
                "Give the passphrase with which it was encrypted; if that is the one, restore the file from a backup.",
            ) from None
        except ValueError as error:
            # Without the cause: what a parser says of a broken key file may quote from it.
            raise _damaged(path, str(error), "Restore the file from a backup.") from None
        except Refused as refused:
            if refused.code is not Code.REQUEST_KEY_NOT_ALLOWED:
                raise
            raise _damaged(path, refused.why, "Restore the file from a backup.") from None
        return cast("PrivateKey", key)

    def _put(self, name: str, make: Callable[[], PrivateKey]) -> PublicKey:
        with self._turn:
            found = self._public(name)
            if found is not None:
                return found
            self._prove()
            content = self._sealed(make(), self._passphrase)
            with self._writing():
                # Another process may have been faster, and its key may be in use already.
                if not self._path(name).exists():
                    files.write(self._path(name), content, _mode(name))
            # Read back: what is used is what a restart will find.
            stored = self._load(name)
            assert stored is not None
            return stored.public_key()

    def _prove(self) -> None:
        """Raises Refused unless the passphrase opens what is here: a new key must not get one that was mistyped."""
        if self._passphrase is None or self._proved:
            return
        encrypted = set(self.names()) - set(self.unencrypted())
        # The root's may come from elsewhere, and is not the one to ask if there is another.
        for name in sorted(encrypted, key=lambda name: (_is_root(name), name))[:1]:
            self._load(name)

    def _sealed(self, key: PrivateKey, passphrase: Passphrase | None) -> bytes:
        if passphrase is None:
            return private_pem(key)
        secret = passphrase()
        if not secret:
            raise Refused(
                Code.KEY_PASSPHRASE_MISSING,
                "The keys cannot be encrypted",
                "the passphrase is empty",
                "Give one of some length: whoever gets the files can try passphrases for as long as they like.",
            )
        return private_pem(key, self._encryption(secret))

    def _reencrypt(self, passphrase: Passphrase | None) -> tuple[str, ...]:
        with self._turn:
            names = self.names()
            sealed: dict[str, bytes] = {}
            for name in names:
                key = self._load(name)
                if key is not None:
                    sealed[name] = self._sealed(key, passphrase)
            if sealed:
                with self._writing():
                    for name, content in sealed.items():
                        files.write(self._next(name), content, _mode(name))
                    # From here on the new files are what counts: whoever comes next moves them, if we cannot.
                    files.write(self._directory / _CHANGE, b"", 0o600)
                    self._finish()
            self._passphrase, self._proved = passphrase, False
            self._seen.clear()
            return tuple(sealed)

    def _next(self, name: str) -> Path:
        return self._directory / f".{name}.key.next"

    def _finish(self) -> None:
        """Bring a change of passphrase that was cut off to its end, or undo it if it never came to its middle."""
        change = self._directory / _CHANGE
        pending = sorted(self._directory.glob(".*.key.next"))
        decided = change.exists()
        for path in pending:
            if decided:
                path.replace(self._path(path.name.removeprefix(".").removesuffix(".key.next")))
            else:
                path.unlink()
        if decided:
            files.sync_directory(self._directory)
            change.unlink()
            files.sync_directory(self._directory)

    @contextmanager
    def _reading(self) -> Iterator[bool]:
        """While nobody else has the directory; False if there is none."""
        try:
            with ExitStack() as stack:
                try:
                    stack.enter_context(files.locked(self._directory))
                    there = True
                except (FileNotFoundError, NotADirectoryError):
                    there = False
                if there:
                    self._finish()
                yield there
        except OSError as error:
            path = Path(error.filename or self._directory)
            raise _damaged(path, error.strerror or "it cannot be read", "Correct its owner and mode.") from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            files.private_directory(self._directory)
            with files.locked(self._directory):
                self._finish()
                yield
        except OSError as error:
            raise Refused(
                Code.STATE_UNWRITABLE,
                f"The key file {error.filename or self._directory} cannot be written",
                error.strerror or "the system refuses it",
                "Correct the owner and mode of the directory, or choose another with --dir.",
            ) from error


def _is_root(name: str) -> bool:
    """Whether it is the key of a root: the first is ``root``, those after it ``root-2`` and so on."""
    return name == ROOT or name.startswith(f"{ROOT}-")


def _mode(name: str) -> int:
    return 0o400 if _is_root(name) else 0o600


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _damaged(path: Path, why: str, fix: str) -> Refused:
    return Refused(Code.STATE_DAMAGED, f"The key file {path} cannot be used", why, fix)
