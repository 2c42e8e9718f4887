"""One state directory, opened: what every operation needs. The only place where the parts are put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from handclasp.app import ambient
from handclasp.app.settings import Lifetimes, Settings
from handclasp.app.state import StateDirectory
from handclasp.authority.hierarchy import establish
from handclasp.authority.issue import Authority
from handclasp.findings import Code, Refused
from handclasp.pki.spiffe import TrustDomain
from handclasp.store import database as databases
from handclasp.store.keyfiles import KeyFiles
from handclasp.store.ledger import SqlLedger


async def _no_gateway() -> float | None:
    return None


@dataclass(slots=True)
class Site:
    """The authority of a state directory, its settings, and the way to its gateway.

    ``apply`` brings what is committed to the gateway and returns after how many seconds it has confirmed; None
    where no gateway runs. ``report`` says how the gateway is, where one runs.
    """

    state: StateDirectory
    settings: Settings
    authority: Authority
    apply: Callable[[], Awaitable[float | None]] = _no_gateway
    report: Callable[[], Awaitable[dict[str, object]]] | None = None


@asynccontextmanager
async def open_site(state: StateDirectory, settings: Settings | None) -> AsyncIterator[Site]:
    """Open the state directory, making its authority on first use. The lock must be held (``state.lock``).

    Without settings it is opened as what it is: its own trust domain, no services. Refused (CONFIG_MISSING) if there
    is nothing in it either.
    """
    database = databases.open(state.ledger)
    try:
        ledger = SqlLedger(database)
        custody = KeyFiles(state.authority_keys)
        if settings is None:
            settings = await _as_it_is(state, ledger)
        hierarchy = await establish(
            ledger, custody, settings.trust_domain, now=ambient.now(), serial=ambient.new_serial
        )
        yield Site(state, settings, Authority(ledger, custody, hierarchy))
    finally:
        database.close()


async def _as_it_is(state: StateDirectory, ledger: SqlLedger) -> Settings:
    known = await ledger.authorities()
    if not known:
        raise Refused(
            Code.CONFIG_MISSING,
            f"There is nothing in {state.path} yet",
            "no authority was made there, and there are no settings to make one from",
            "Run: handclasp up.",
        )
    trust_domain = TrustDomain.parse((known[0].identity or "").removeprefix("spiffe://"))
    return Settings(trust_domain, (), Lifetimes(), source="", positions={})
