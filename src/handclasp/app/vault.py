"""One state directory, opened: its ledger and the keeper of its keys. Nothing is made but the ledger's tables."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from handclasp.app import passphrase
from handclasp.app.authority_settings import AuthoritySettings, KeysSettings
from handclasp.app.settings import Settings
from handclasp.app.state import StateDirectory, unwritable
from handclasp.authority.hierarchy import Plan, trust_domain_of
from handclasp.authority.ports import KeyCustody, Ledger
from handclasp.findings import Code, Refused
from handclasp.pki.spiffe import TrustDomain
from handclasp.store import database as databases
from handclasp.store import files
from handclasp.store.keyfiles import KeyFiles
from handclasp.store.ledger import SqlLedger

if TYPE_CHECKING:
    from handclasp.store.pkcs11keys import Pkcs11Keys

DATABASE = "HANDCLASP_DATABASE"
"""The variable that names the ledger's database where no setting does."""


@dataclass(frozen=True, slots=True)
class Vault:
    """The ledger and the keys of a state directory. ``settings`` are None where there are none, or none were read.

    ``writer`` is what this state directory is called among all that share the ledger.
    """

    state: StateDirectory
    settings: Settings | None
    ledger: Ledger
    custody: KeyCustody
    database: databases.Database
    writer: str

    @property
    def plan(self) -> Plan:
        """How an authority would be made here."""
        return plan_of(AuthoritySettings() if self.settings is None else self.settings.authority)

    async def trust_domain(self, given: str | None = None) -> TrustDomain:
        """That of the authority which is here, of the settings, or the one given. Refused(CONFIG_CONFLICT)."""
        known = await trust_domain_of(self.ledger)
        settled = None if self.settings is None else self.settings.trust_domain
        asked = None if given is None else TrustDomain.parse(given)
        found = known or settled or asked
        if found is None:
            raise Refused(
                Code.CONFIG_MISSING,
                "The trust domain is not known yet",
                f"there is no authority in {self.state.path}, and there are no settings",
                "Give it with --trust-domain, as in example.org.",
            )
        if asked not in (None, found):
            raise Refused(
                Code.CONFIG_CONFLICT,
                f"--trust-domain {asked} does not fit",
                f"the trust domain here is {found}",
                "Leave the option away, or choose another directory with --dir.",
            )
        return found


@contextmanager
def open_vault(state: StateDirectory, settings: Settings | None) -> Iterator[Vault]:
    """Open the ledger and find the keys. The lock must be held (``state.lock``).

    Refused: what opening the database refuses, and HSM_UNAVAILABLE. Passphrases are asked for when a key is used.
    """
    keys = KeysSettings() if settings is None else settings.authority.keys
    target = target_of(state, settings)
    with databases.open(target) as database, ExitStack() as stack:
        custody = custody_of(state, keys)
        if not isinstance(custody, KeyFiles):
            stack.callback(custody.close)
        writer = _writer(state) if isinstance(target, str) else "local"
        yield Vault(state, settings, SqlLedger(database, writer=writer), custody, database, writer)


def plan_of(settings: AuthoritySettings) -> Plan:
    """How the authority is to be made, and what its certificates say."""
    return Plan(
        separate=settings.separate,
        root_key=settings.root_key,
        issuing_key=settings.issuing_key,
        constraints=settings.constraints,
        publication=settings.url,
        crl_shards=settings.crl_shards,
    )


def target_of(state: StateDirectory, settings: Settings | None) -> Path | str:
    """The database of the ledger: a file of the state directory, or the URL of a PostgreSQL."""
    named = (settings.database if settings is not None else None) or os.environ.get(DATABASE)
    return named or state.ledger


def custody_of(state: StateDirectory, keys: KeysSettings) -> KeyFiles | Pkcs11Keys:
    """The keeper of the keys, as the settings say."""
    if keys.custody == "pkcs11":
        from handclasp.store.pkcs11keys import Pkcs11Keys

        assert keys.module and keys.token and keys.pin  # settings_authority sees to it
        return Pkcs11Keys(Path(keys.module), keys.token, passphrase.reader(keys.pin, f"PIN of the token {keys.token}"))
    custody = KeyFiles(state.authority_keys, passphrase.of_keys(keys.passphrase))
    if not custody.encrypts and sys.stdin.isatty() and set(custody.names()) - set(custody.unencrypted()):
        # Nothing says where the passphrase is, but somebody sits there who may know it.
        return KeyFiles(state.authority_keys, passphrase.reader("prompt", "passphrase of the authority's keys"))
    return custody


def _writer(state: StateDirectory) -> str:
    """The name of this state directory's chain in an audit log that several share (D22): random, made once."""
    path = state.writer
    try:
        if path.exists():
            return path.read_text().strip()
        name = secrets.token_hex(8)
        files.write(path, name.encode(), 0o600)
    except OSError as error:
        raise unwritable(state.path, error) from None
    return name
