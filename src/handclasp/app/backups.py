"""Copies of everything: a backup in one file, its restoration, and the ledger moved to another database.

What is in a backup, and how it is sealed, is in ``archive``.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

from handclasp import __version__
from handclasp.app import ambient, archive
from handclasp.app.archive import KEYS, LEDGER, SETTINGS
from handclasp.app.control import SettingsSource
from handclasp.app.hardening import no_core_dumps
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


async def make(vault: Vault, *, file: str, settings: str, passphrase: str | None) -> Json:
    """Write a backup to ``file`` (0600), whole or not at all. Without a passphrase (hex), without keys.

    Refused: STATE_UNWRITABLE; BACKUP_UNUSABLE if keys are wanted and they are in a security module.
    """
    target = Path(file)
    now = ambient.now()
    try:
        with tempfile.TemporaryDirectory(dir=vault.state.path, prefix="backup-") as made:
            place = Path(made)
            with databases.open(place / LEDGER) as copy:
                counts = await transfer.copy(vault.database, copy)
            secret = None if passphrase is None else bytes.fromhex(passphrase)
            keys = [] if secret is None else await _copy_keys(vault, place / KEYS, secret)
            about = {
                "handclasp": __version__,
                "made_at": now.isoformat(timespec="seconds"),
                "trust_domain": str(await trust_domain_of(vault.ledger) or ""),
                "keys": keys,
                "rows": dict(counts),
            }
            if (source := Path(settings)).exists():
                (place / SETTINGS).write_bytes(source.read_bytes())
            archive.seal(place, about, secret, salt=secrets.token_bytes(16))
            archive.pack(place, target)
    except OSError as error:
        raise unwritable(target, error) from None
    await vault.ledger.append(Event(now, "backup.made", target.name, {"by": "operator", "keys": " ".join(keys)}))
    return {"certificates": counts["certificates"], "events": counts["events"], "keys": keys}


async def restore(
    state: StateDirectory, load: SettingsSource, file: Path, passphrase: Callable[[], bytes | None]
) -> Json:
    """Put a backup into a state directory that has nothing yet, and its ledger where the settings say.

    The backup's own settings are put beside, as restored.yaml. Refused: BACKUP_UNUSABLE, STATE_FILE_EXISTS,
    KEY_PASSPHRASE_WRONG, and what opening refuses.
    """
    no_core_dumps()
    with state.lock(), tempfile.TemporaryDirectory(dir=state.path, prefix="restore-") as made:
        place = Path(made)
        manifest = archive.unpack(file, place)
        if state.exists():
            raise Refused(
                Code.STATE_FILE_EXISTS,
                f"Nothing was restored into {state.path}",
                "there is an authority in it already",
                "Choose an empty directory with --dir, or move this one away.",
            )
        before = _parts(state)
        names = [str(name) for name in manifest["keys"]]
        copies = KeyFiles(place / KEYS, await _opened(file, place, names, passphrase) if names else None)
        try:
            with databases.open(place / LEDGER) as source, open_vault(state, _settings(load)) as vault:
                counts = await transfer.copy(source, vault.database)
                key = await copies.public_key(checkpoints.AUDIT_KEY)
                (await checkpoints.examine(vault.ledger, key=key)).check()
                for name in names:
                    await copies.copy(name, vault.custody)
                about = {"by": "operator", "made_at": str(manifest["made_at"])}
                await vault.ledger.append(Event(ambient.now(), "backup.restored", file.name, about))
                in_clear = list(vault.custody.unencrypted()) if isinstance(vault.custody, KeyFiles) else []
            if (place / SETTINGS).exists():
                files.write(state.path / "restored.yaml", (place / SETTINGS).read_bytes(), 0o600)
        except BaseException:
            # Half of something is not to be here. But keys may have been, where the ledger is in another database.
            for path in _parts(state) - before:
                path.unlink(missing_ok=True)
            raise
    return {
        "certificates": counts["certificates"],
        "events": counts["events"],
        "keys": names,
        "keys_unencrypted": in_clear,
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


async def _opened(file: Path, place: Path, names: list[str], ask: Callable[[], bytes | None]) -> Callable[[], bytes]:
    """The passphrase of the backup, proved on all its keys and then on its seal.

    Refused: KEY_PASSPHRASE_MISSING, KEY_PASSPHRASE_WRONG; BACKUP_UNUSABLE if somebody changed it.
    """
    secret = ask()
    if not secret:
        raise Refused(
            Code.KEY_PASSPHRASE_MISSING,
            "The backup's keys cannot be opened",
            "they are encrypted, and no passphrase was given",
            "Give that of the backup: --password-file.",
        )
    copies = KeyFiles(place / KEYS, lambda: secret)
    for name in names:
        await copies.public_key(name)
    archive.check_seal(file, place, secret)
    return lambda: secret


def _settings(load: SettingsSource) -> Settings | None:
    try:
        return load()
    except Refused as refused:
        if refused.code is not Code.CONFIG_MISSING:
            raise
        return None
