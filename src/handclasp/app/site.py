"""A state directory with its authority: what most operations need. The only place where the parts are put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import NoReturn

from handclasp.app import ambient
from handclasp.app.settings import Lifetimes, Settings
from handclasp.app.state import StateDirectory
from handclasp.app.vault import Vault, open_vault, plan_of
from handclasp.authority.hierarchy import establish, load, trust_domain_of
from handclasp.authority.issue import Authority
from handclasp.authority.records import AuthorityRecord
from handclasp.findings import Code, Refused


async def _no_gateway() -> float | None:
    return None


@dataclass(slots=True)
class Site:
    """The authority of a state directory, its settings, and the way to its gateway.

    ``apply`` brings what is committed to the gateway and returns after how many seconds it has confirmed; None
    where no gateway runs. ``report`` says how the gateway is, where one runs. ``seen`` are the authorities as they
    were last loaded.
    """

    vault: Vault
    settings: Settings
    authority: Authority
    apply: Callable[[], Awaitable[float | None]] = _no_gateway
    report: Callable[[], Awaitable[dict[str, object]]] | None = None
    seen: tuple[AuthorityRecord, ...] = ()

    @property
    def state(self) -> StateDirectory:
        """Where all of it is."""
        return self.vault.state

    async def reload(self) -> bool:
        """Take over what has changed among the authorities; False if nothing has."""
        # Asked every second, and loading asks for every key, which may be in a module far away.
        records = await self.vault.ledger.authorities()
        if records == self.seen:
            return False
        found = await load(self.vault.ledger, self.vault.custody, self.settings.trust_domain)
        changed = found is not None and found != self.authority.hierarchy
        if found is not None:
            self.authority, self.seen = replace(self.authority, hierarchy=found), records
        return changed


@asynccontextmanager
async def open_site(state: StateDirectory, settings: Settings | None) -> AsyncIterator[Site]:
    """Open the state directory, making its authority on first use. The lock must be held (``state.lock``).

    Without settings it is opened as what it is: its own trust domain, no services. Refused (CONFIG_MISSING) if there
    is nothing in it either.
    """
    with open_vault(state, settings) as vault:
        if settings is None:
            # Nothing is made: it may be the machine that keeps a root and is to have nothing below it.
            current = await _as_it_is(vault)
            hierarchy = await load(vault.ledger, vault.custody, current.trust_domain) or _nothing_issues(vault)
        else:
            current = settings
            hierarchy = await establish(
                vault.ledger,
                vault.custody,
                current.trust_domain,
                plan=plan_of(current.authority),
                now=ambient.now(),
                serial=ambient.new_serial,
            )
        yield Site(vault, current, Authority(vault.ledger, vault.custody, hierarchy, plan_of(current.authority)))


def _nothing_issues(vault: Vault) -> NoReturn:
    raise Refused(
        Code.AUTHORITY_UNKNOWN,
        f"No authority issues certificates in {vault.state.path}",
        "there is a root alone, or an authority that waits for its certificate, and there are no settings",
        "See what is there: handclasp ca show. To make what is missing, write handclasp.yaml.",
    )


async def _as_it_is(vault: Vault) -> Settings:
    trust_domain = await trust_domain_of(vault.ledger)
    if trust_domain is None:
        raise Refused(
            Code.CONFIG_MISSING,
            f"There is nothing in {vault.state.path} yet",
            "no authority was made there, and there are no settings to make one from",
            "Run: handclasp up.",
        )
    return Settings(trust_domain, (), Lifetimes(), source="", positions={})
