"""Credentials in use: found for an endpoint, opened, and renewed where they are our own.

What is opened stays in the memory of this process and goes to the handshake alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import cast

from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key

from handclasp.app import ambient, control, credentials
from handclasp.app.control import SettingsSource
from handclasp.app.hardening import no_core_dumps
from handclasp.app.sealing import Sealing
from handclasp.app.site import Site
from handclasp.app.state import StateDirectory
from handclasp.app.vault import Vault, open_vault, target_of
from handclasp.authority.records import CertificateState
from handclasp.findings import Code, Refused
from handclasp.probe.credentials import Credential, Pattern, SigningKey, candidates, signature_schemes
from handclasp.store.credentials import StoredCredential

Renew = Callable[[str], Awaitable[object]]
"""Has the certificate of the credential of that name renewed, wherever that can be done."""

KNOWN_FOR = 1.0
"""Seconds for which the list of patterns is believed: a new credential counts after that. One that is changed or
removed counts at once."""

TRY_AGAIN = 60.0
"""Seconds until a renewal that failed is tried again."""

_log = logging.getLogger("handclasp.credentials")


@dataclass(frozen=True, slots=True)
class Watched:
    """What is known of a credential without opening it: for the watch over its end. ``certificate`` is DER."""

    name: str
    pattern: str
    not_after: datetime
    certificate: bytes


class CredentialSource:
    """The credentials of a vault, for whoever makes connections. To be used from one event loop."""

    def __init__(
        self,
        vault: Vault,
        renew: Renew,
        *,
        clock: Callable[[], datetime] = ambient.now,
        known_for: float = KNOWN_FOR,
    ) -> None:
        self._ledger = vault.ledger
        self._store = credentials.stored(vault)
        self._sealing = Sealing(vault.custody)
        self._renew = renew
        self._clock = clock
        self._known_for = known_for
        self._opened: dict[str, tuple[StoredCredential, Credential]] = {}
        self._patterns: frozenset[str] = frozenset()
        self._patterns_until = float("-inf")
        self._not_before: dict[str, float] = {}
        self._turn = asyncio.Lock()

    def __repr__(self) -> str:
        return f"CredentialSource({self._store!r})"

    async def find(self, host: str, port: int) -> Credential | None:
        """The credential for an endpoint by its pattern, opened; None where there is none.

        ``host`` is the name that the server's certificate must have. Refused: CREDENTIAL_EXPIRED; CREDENTIAL_UNUSABLE
        for an identity that is revoked or on hold; STATE_DAMAGED, STATE_KEY_MISSING and what the custody refuses.
        """
        tried = [str(one) for one in candidates(host, port)]
        if not tried:
            return None
        if monotonic() >= self._patterns_until:
            self._patterns = await self._store.patterns()
            self._patterns_until = monotonic() + self._known_for
            # What was removed is not kept in memory.
            self._opened = {name: one for name, one in self._opened.items() if one[0].pattern in self._patterns}
        if self._patterns.isdisjoint(tried):
            return None
        there = await self._store.for_patterns(tried)
        best = next((there[one] for one in tried if one in there), None)
        return None if best is None else await self._usable(best)

    async def named(self, name: str) -> Credential:
        """The credential of that name, opened, whatever its pattern: for who names one. Refused as by ``find``, and
        CREDENTIAL_UNKNOWN."""
        found = await self._store.named(name)
        if found is None:
            raise credentials.unknown(name)
        return await self._usable(found)

    async def watched(self) -> tuple[Watched, ...]:
        """Every credential by name, with its leaf; no key is opened. Refused(STATE_DAMAGED)."""
        return tuple(
            Watched(one.name, one.pattern, leaf.not_valid_after_utc, leaf.public_bytes(Encoding.DER))
            for one in await self._store.all()
            for leaf in credentials.chain_of(one)[:1]
        )

    async def _usable(self, stored: StoredCredential) -> Credential:
        if stored.identity is not None:
            stored = await self._renewed(stored)
        if stored.not_after <= self._clock():
            raise Refused(
                Code.CREDENTIAL_EXPIRED,
                f"The credential {stored.name} cannot be used",
                f"its certificate has expired, on {stored.not_after.isoformat(timespec='seconds')}",
                f"Replace it: handclasp credential add '{stored.pattern}' --replace, with the new files or --identity.",
            )
        kept = self._opened.get(stored.name)
        if kept is not None and kept[0] == stored:
            return kept[1]
        opened = await self._open(stored)
        self._opened[stored.name] = stored, opened
        return opened

    async def _renewed(self, stored: StoredCredential) -> StoredCredential:
        """As it is once it was renewed, if that was due. Refused(CREDENTIAL_UNUSABLE) if it was revoked."""
        record = await credentials.record_of(self._ledger, stored)
        if record is not None and record.state is not CertificateState.ISSUED:
            self._opened.pop(stored.name, None)
            state = "on hold" if record.state is CertificateState.HELD else "revoked"
            raise Refused(
                Code.CREDENTIAL_UNUSABLE,
                f"The credential {stored.name} cannot be used",
                f"the certificate of {stored.identity} is {state}",
                f"Remove it: handclasp credential remove {stored.name}; or grant access again: handclasp client add.",
            )
        if record is None or not await credentials.is_due(self._ledger, record, self._clock()):
            return stored
        async with self._turn:
            if monotonic() >= self._not_before.get(stored.name, float("-inf")):
                self._not_before[stored.name] = monotonic() + TRY_AGAIN
                try:
                    await self._renew(stored.name)
                except Refused as refused:
                    # It is good for a third of its life still.
                    _log.warning("the credential %s was not renewed: %s. %s", stored.name, refused, refused.fix)
                except Exception:
                    # Whatever it was, it must not keep anybody from using what is good.
                    _log.exception("the credential %s was not renewed", stored.name)
        return await self._store.named(stored.name) or stored

    async def _open(self, stored: StoredCredential) -> Credential:
        private = await self._sealing.open(stored)
        leaf, *above = credentials.chain_of(stored)
        key = load_der_private_key(private, None)
        if not signature_schemes(key, leaf):
            raise AssertionError("what was sealed is what TLS clients sign with")
        return Credential(
            name=stored.name,
            pattern=Pattern.parse(stored.pattern),
            chain=tuple(one.public_bytes(Encoding.DER) for one in (leaf, *above)),
            not_after=leaf.not_valid_after_utc,
            key=cast("SigningKey", key),
            anchors=tuple(one.public_bytes(Encoding.DER) for one in credentials.anchors_of(stored)),
            identity=stored.identity,
        )


def of_site(site: Site) -> CredentialSource:
    """The credentials of a site that is open, which renews its own itself."""

    async def renew(name: str) -> object:
        return await credentials.renew(site, name=name)

    return CredentialSource(site.vault, renew)


@contextmanager
def opened(state: StateDirectory, load: SettingsSource) -> Iterator[CredentialSource | None]:
    """The credentials of a state directory, for a command that only uses them; None where there is no ledger.

    Nothing is made, and the lock is not taken: an ``up`` may run there, and is asked to renew what is due. Refused
    and SettingsError as for opening a vault.
    """
    try:
        settings = load()
    except Refused as refused:
        if refused.code is not Code.CONFIG_MISSING:
            raise
        settings = None
    if target_of(state, settings) == state.ledger and not state.exists():
        yield None
        return
    no_core_dumps()
    with open_vault(state, settings) as vault:
        yield CredentialSource(vault, lambda name: control.perform(state, load, "credential.renew", name=name))
