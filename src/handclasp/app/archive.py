"""The file of a backup: a tar with ``manifest.json``, ``ledger.db`` (SQLite, wherever the ledger is), ``keys/NAME.key``
(encrypted with the backup's own passphrase) and ``handclasp.yaml`` if there is one.

The manifest has the SHA-256 of everything else. Where there are keys there is ``manifest.mac`` too: HMAC-SHA256 over
the manifest by a key made of the passphrase (scrypt, RFC 7914), so that nobody without it can turn a revoked
certificate into a good one on the way. A backup without keys has no passphrase, and only shows damage.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from handclasp.findings import Code, Refused
from handclasp.store import files

FORMAT = 1
LEDGER, SETTINGS, KEYS = "ledger.db", "handclasp.yaml", "keys/"
_MANIFEST, _MAC = "manifest.json", "manifest.mac"
_KEY_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_LARGEST_SMALL = 1 << 20  # bytes of anything but the ledger


def seal(place: Path, about: Mapping[str, Any], passphrase: bytes | None, *, salt: bytes) -> None:
    """Write the manifest of what is in ``place``, and its MAC if there is a passphrase. ``salt``: 16 random bytes."""
    manifest = {"format": FORMAT, **about, "sha256": _digests(place), "salt": salt.hex()}
    text = json.dumps(manifest, indent=2).encode()
    (place / _MANIFEST).write_bytes(text)
    if passphrase is not None:
        (place / _MAC).write_text(_mac(text, passphrase, salt))


def check_seal(file: Path, place: Path, passphrase: bytes) -> None:
    """Returns if whoever sealed what is in ``place`` knew the passphrase; Refused(BACKUP_UNUSABLE)."""
    text = (place / _MANIFEST).read_bytes()
    try:
        made = (place / _MAC).read_text()
        salt = bytes.fromhex(json.loads(text)["salt"])
    except (OSError, ValueError, KeyError, TypeError):
        made, salt = "", b""
    if not hmac.compare_digest(made.encode(), _mac(text, passphrase, salt).encode()):
        raise _unusable(file, "its seal does not fit: somebody without the passphrase has changed it")


def pack(place: Path, target: Path) -> None:
    """Everything in ``place`` as one file (0600), whole or not at all. Raises OSError."""

    def fill(file: BinaryIO) -> None:
        with tarfile.open(fileobj=file, mode="w") as tar:
            for path in sorted(p for p in place.rglob("*") if p.is_file()):
                tar.add(path, arcname=str(path.relative_to(place)), filter=_anonymous)

    files.write_with(target, fill, 0o600)


def unpack(file: Path, place: Path) -> Mapping[str, list[str] | str]:
    """Take out what belongs into a backup, and nothing else; the manifest, which fits it. Refused(BACKUP_UNUSABLE)."""
    try:
        with tarfile.open(file, "r:") as tar:  # as it was written: what is compressed may grow without end
            for member in tar:
                _take(file, tar, member, place)
        manifest = json.loads((place / _MANIFEST).read_text())
        if manifest["format"] != FORMAT or not (place / LEDGER).exists():
            raise _unusable(file, "it was written by a newer Handclasp, or is incomplete")
        manifest["made_at"]
        if not all((place / KEYS / f"{name}.key").is_file() for name in manifest["keys"]):
            raise _unusable(file, "a key is missing in it")
        if manifest["sha256"] != _digests(place):
            raise _unusable(file, "what is in it is not what its manifest says")
    except OSError as error:
        raise _unusable(file, error.strerror or str(error)) from None
    except (tarfile.TarError, EOFError, ValueError, KeyError, TypeError, RecursionError):
        raise _unusable(file, "it is no backup, or it was cut off") from None
    return manifest  # type: ignore[no-any-return]  # what it must hold was just looked at


def _take(file: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, place: Path) -> None:
    key = member.name.startswith(KEYS) and member.name.removeprefix(KEYS).removesuffix(".key")
    known = member.name in (_MANIFEST, _MAC, LEDGER, SETTINGS) or (key and _KEY_NAME.fullmatch(key))
    plain = member.isreg() and not member.issparse()
    if not known or not plain or (member.name != LEDGER and member.size > _LARGEST_SMALL):
        raise _unusable(file, f"{member.name!r} does not belong into one")
    path = place / member.name
    path.parent.mkdir(mode=0o700, exist_ok=True)
    found = tar.extractfile(member)
    assert found is not None
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as copy:
        while piece := found.read(1 << 20):
            copy.write(piece)


def _digests(place: Path) -> dict[str, str]:
    """The SHA-256 of each file but the manifest and its MAC, by its name."""
    digests = {}
    for path in sorted(p for p in place.rglob("*") if p.is_file() and p.name not in (_MANIFEST, _MAC)):
        with path.open("rb") as content:
            digests[str(path.relative_to(place))] = hashlib.file_digest(content, "sha256").hexdigest()
    return digests


def _mac(manifest: bytes, passphrase: bytes, salt: bytes) -> str:
    key = hashlib.scrypt(passphrase, salt=salt, n=1 << 14, r=8, p=1, dklen=32)
    return hmac.new(key, manifest, "sha256").hexdigest()


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member


def _unusable(file: Path, why: str) -> Refused:
    return Refused(
        Code.BACKUP_UNUSABLE,
        f"The backup {file} cannot be restored",
        why,
        "Use a file that handclasp backup wrote, unchanged.",
    )
