"""Copies of everything: a backup in one file, its restoration, and the ledger moved to another database.

A backup is a tar file: ``manifest.json``, ``ledger.db`` (SQLite, wherever the ledger is), ``keys/NAME.key`` (encrypted
with the backup's own passphrase), and ``handclasp.yaml`` if there is one.
"""

from __future__ import annotations

import json
import os
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from handclasp import __version__
from handclasp.app import ambient
from handclasp.app.control import SettingsSource
from handclasp.app.settings import Settings
from handclasp.app.state import StateDirectory, unwritable
from handclasp.app.vault import Vault, open_vault
from handclasp.authority import checkpoints
from handclasp.authority.hierarchy import trust_domain_of
from handclasp.authority.records import Event
from handclasp.findings import Code, Refused
from handclasp.store import database as databases
from handclasp.store import files, transfer
from handclasp.store.keyfiles import KeyFiles

Json = dict[str, object]
FORMAT = 1
_MANIFEST, _LEDGER, _SETTINGS, _KEYS = "manifest.json", "ledger.db", "handclasp.yaml", "keys/"
_LARGEST_SMALL = 1 << 20  # bytes of anything but the ledger


async def make(vault: Vault, *, file: str, settings: str, passphrase: str | None) -> Json:
    """Write a backup to ``file`` (0600), whole or not at all. Without a passphrase (hex), without keys.

    Refused: STATE_UNWRITABLE; BACKUP_UNUSABLE if keys are wanted and they are in a security module.
    """
    target = Path(file)
    now = ambient.now()
    try:
        with tempfile.TemporaryDirectory(dir=vault.state.path, prefix="backup-") as made:
            place = Path(made)
            with databases.open(place / _LEDGER) as copy:
                counts = await transfer.copy(vault.database, copy)
            keys = [] if passphrase is None else await _copy_keys(vault, place / _KEYS, bytes.fromhex(passphrase))
            manifest = {
                "format": FORMAT,
                "handclasp": __version__,
                "made_at": now.isoformat(timespec="seconds"),
                "trust_domain": str(await trust_domain_of(vault.ledger) or ""),
                "keys": keys,
                "rows": dict(counts),
            }
            (place / _MANIFEST).write_text(json.dumps(manifest, indent=2))
            if (source := Path(settings)).exists():
                (place / _SETTINGS).write_bytes(source.read_bytes())
            _pack(place, target)
    except OSError as error:
        raise unwritable(target, error) from None
    await vault.ledger.append(Event(now, "backup.made", target.name, {"by": "operator", "keys": " ".join(keys)}))
    return {"certificates": counts["certificates"], "events": counts["events"], "keys": keys}


async def restore(
    state: StateDirectory, load: SettingsSource, file: Path, passphrase: Callable[[], bytes | None]
) -> Json:
    """Put a backup into a state directory that has nothing yet, and its ledger where the settings say.

    Without settings, those of the backup are read. Refused: BACKUP_UNUSABLE, STATE_FILE_EXISTS, KEY_PASSPHRASE_WRONG,
    and what opening refuses.
    """
    with state.lock(), tempfile.TemporaryDirectory(dir=state.path, prefix="restore-") as made:
        place = Path(made)
        manifest = _unpack(file, place)
        if state.exists():
            raise Refused(
                Code.STATE_FILE_EXISTS,
                f"Nothing was restored into {state.path}",
                "there is an authority in it already",
                "Choose an empty directory with --dir, or move this one away.",
            )
        before = _parts(state)
        names = [str(name) for name in manifest["keys"]]
        copies = KeyFiles(place / _KEYS, await _opened(place / _KEYS, names, passphrase) if names else None)
        try:
            with databases.open(place / _LEDGER) as source, open_vault(state, _settings(load)) as vault:
                counts = await transfer.copy(source, vault.database)
                (await checkpoints.examine(vault.ledger)).check()
                for name in names:
                    await copies.copy(name, vault.custody)
                about = {"by": "operator", "made_at": str(manifest["made_at"])}
                await vault.ledger.append(Event(ambient.now(), "backup.restored", file.name, about))
            if (place / _SETTINGS).exists():
                files.write(state.path / "restored.yaml", (place / _SETTINGS).read_bytes(), 0o600)
        except BaseException:
            # Half of something is not to be here. But keys may have been, where the ledger is in another database.
            for path in _parts(state) - before:
                path.unlink(missing_ok=True)
            raise
    return {
        "certificates": counts["certificates"],
        "events": counts["events"],
        "keys": names,
        "made_at": manifest["made_at"],
    }


def _parts(state: StateDirectory) -> set[Path]:
    return {*state.path.glob(f"{state.ledger.name}*"), *state.authority_keys.glob("*.key")}


async def move(vault: Vault, *, url: str) -> Json:
    """Copy the ledger into another, empty database, and prove there that the audit log is whole."""
    from handclasp.store.ledger import SqlLedger

    target = url if "://" in url else Path(url).absolute()
    with databases.open(target) as database:
        counts = await transfer.copy(vault.database, database)
        (await checkpoints.examine(SqlLedger(database, writer="local"))).check()
        name = database.name
    return {"certificates": counts["certificates"], "events": counts["events"], "database": name}


async def _copy_keys(vault: Vault, place: Path, passphrase: bytes) -> list[str]:
    custody = vault.custody
    if not isinstance(custody, KeyFiles):
        raise Refused(
            Code.BACKUP_UNUSABLE,
            "The keys cannot be put into a backup",
            "they are in a hardware security module, which does not give them away",
            "Use --without-keys, and back up the module with its own tools.",
        )
    copies = KeyFiles(place, lambda: passphrase)
    names = custody.names()
    for name in names:
        await custody.copy(name, copies)
    return list(names)


async def _opened(place: Path, names: list[str], ask: Callable[[], bytes | None]) -> Callable[[], bytes]:
    """The passphrase of the backup's keys, proved on all of them. Refused(KEY_PASSPHRASE_MISSING, _WRONG)."""
    secret = ask()
    if not secret:
        raise Refused(
            Code.KEY_PASSPHRASE_MISSING,
            "The backup's keys cannot be opened",
            "they are encrypted, and no passphrase was given",
            "Give that of the backup: --password-file.",
        )
    copies = KeyFiles(place, lambda: secret)
    for name in names:
        await copies.public_key(name)
    return lambda: secret


def _pack(place: Path, target: Path) -> None:
    def fill(file: BinaryIO) -> None:
        with tarfile.open(fileobj=file, mode="w") as tar:
            for path in sorted(p for p in place.rglob("*") if p.is_file()):
                tar.add(path, arcname=str(path.relative_to(place)), filter=_anonymous)

    files.write_with(target, fill, 0o600)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member


def _unpack(file: Path, place: Path) -> Mapping[str, list[str] | str]:
    """Take out what belongs into a backup, and nothing else; the manifest. Refused(BACKUP_UNUSABLE)."""
    try:
        with tarfile.open(file) as tar:
            for member in tar:
                key = member.name.startswith(_KEYS) and member.name.removeprefix(_KEYS).removesuffix(".key")
                known = member.name in (_MANIFEST, _LEDGER, _SETTINGS) or (key and key.replace("-", "").isalnum())
                if not known or not member.isreg() or (member.name != _LEDGER and member.size > _LARGEST_SMALL):
                    raise _unusable(file, f"{member.name!r} does not belong into one")
                path = place / member.name
                path.parent.mkdir(mode=0o700, exist_ok=True)
                found = tar.extractfile(member)
                assert found is not None
                with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as copy:
                    while piece := found.read(1 << 20):
                        copy.write(piece)
        manifest = json.loads((place / _MANIFEST).read_text())
        if manifest["format"] != FORMAT or not (place / _LEDGER).exists():
            raise _unusable(file, "it was written by a newer Handclasp, or is incomplete")
        manifest["keys"], manifest["made_at"]
    except OSError as error:
        raise _unusable(file, error.strerror or str(error)) from None
    except (tarfile.TarError, EOFError, ValueError, KeyError, TypeError):
        raise _unusable(file, "it is no backup, or it was cut off") from None
    return manifest  # type: ignore[no-any-return]  # what it must hold was just looked at


def _unusable(file: Path, why: str) -> Refused:
    return Refused(
        Code.BACKUP_UNUSABLE,
        f"The backup {file} cannot be restored",
        why,
        "Use a file that handclasp backup wrote, unchanged.",
    )


def _settings(load: SettingsSource) -> Settings | None:
    try:
        return load()
    except Refused as refused:
        if refused.code is not Code.CONFIG_MISSING:
            raise
        return None
