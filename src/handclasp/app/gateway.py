"""The running gateway: settings, certificates and revocations become one intent, and Envoy is kept on it.

Everything that changes ends in ``apply``: one coalescing signal, one compilation, one push (D20).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.app import ambient, logs, ports
from handclasp.app.roots import read_roots
from handclasp.app.server_certificates import ServerCertificate, server_certificate
from handclasp.app.settings import ServiceSettings, Settings
from handclasp.app.site import Site
from handclasp.app.vault import plan_of
from handclasp.authority.crl import Memory, current_crl, deny_set
from handclasp.authority.records import Confirmation
from handclasp.dataplane.ads import AdsServer
from handclasp.dataplane.compile import compile_intent
from handclasp.dataplane.envoy import DRAIN_SECONDS, Envoy, Exit
from handclasp.dataplane.intent import Fingerprint256, Intent, Service, Upstream
from handclasp.dataplane.snapshot import LISTENER, Snapshot
from handclasp.findings import Code, Refused
from handclasp.pki import pem
from handclasp.pki.profile import SERVER

_log = logging.getLogger("handclasp.gateway")
_CRL_AGE = timedelta(hours=1)
_CONFIRM_SECONDS = 5.0
_START_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class _Crl:
    """A revocation list as it was handed to Envoy, and the revocation mark that it has seen."""

    text: str
    made_at: datetime
    mark: int


class Gateway:
    """Envoy with what it is fed, from ``start`` to ``stop``."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._any = ports.any_address()
        self._certificates: dict[str, ServerCertificate] = {}
        self._crls: dict[str, _Crl] = {}
        self._memories: dict[str, Memory] = {}
        self._trusted: frozenset[str] = frozenset()
        self._left_out: frozenset[str] = frozenset()
        self._good: Snapshot | None = None
        self._publishing = asyncio.Lock()
        self._ads: AdsServer | None = None
        self.envoy = Envoy(site.state.path, _say_exit)

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._site.settings

    async def start(self) -> None:
        """Check the ports, start Envoy on the first snapshot, and return when it serves."""
        self._check_ports(self._site.settings.services)
        names = self._site.authority.hierarchy.names()
        snapshot = await self._compile(self._site.settings)
        self._ads = AdsServer(self._site.state.ads_socket, snapshot)
        await self._ads.start()
        await self.envoy.start()
        settled = asyncio.create_task(self._ads.confirmed())
        ready = asyncio.create_task(self.envoy.ready(_START_SECONDS))
        try:
            # A rejection is known long before the wait for readiness would end.
            await asyncio.wait({settled, ready}, return_when=asyncio.FIRST_EXCEPTION)
            for task in (settled, ready):
                if task.done():
                    task.result()
        finally:
            settled.cancel()
            ready.cancel()
        self._good = snapshot
        await self._confirm(names)
        self._site.apply = self.apply
        self._site.report = self.report

    async def stop(self, drain: float = DRAIN_SECONDS) -> None:
        """Drain and end Envoy."""
        await self.envoy.stop(drain)
        if self._ads is not None:
            await self._ads.stop()

    async def apply(self) -> float:
        """Bring everything that is committed to Envoy; return after how many seconds it has confirmed.

        Raises Refused: GATEWAY_NOT_ACKNOWLEDGED (it will get it as soon as it is back), GATEWAY_REJECTED_CONFIG.
        """
        began = asyncio.get_running_loop().time()
        async with self._publishing:
            await self._publish(self._site.settings)
        return asyncio.get_running_loop().time() - began

    async def change(self, settings: Settings, say: Callable[[str], None]) -> float:
        """Take over new settings, or leave all as it was and raise Refused."""
        before = self._site.settings
        if settings.trust_domain != before.trust_domain:
            raise Refused(
                Code.CONFIG_CONFLICT,
                "The trust domain cannot be changed",
                f"the authority in {self._site.state.path} is of {before.trust_domain}",
                "A new trust domain needs a state directory of its own: --dir.",
            )
        mine = {(s.listen.address, s.listen.port) for s in before.services}
        self._check_ports(s for s in settings.services if (s.listen.address, s.listen.port) not in mine)
        began = asyncio.get_running_loop().time()
        if (later := _next_start(before, settings)) and say is not None:
            say(f"{', '.join(later)}: this counts from the next start of handclasp up.")
        async with self._publishing:
            plan = self._site.authority.plan
            self._site.settings = settings
            self._site.authority = replace(self._site.authority, plan=plan_of(settings.authority))
            try:
                await self._publish(settings, say)
            except Refused as refused:
                if refused.code is not Code.GATEWAY_NOT_ACKNOWLEDGED:
                    self._site.settings = before
                    self._site.authority = replace(self._site.authority, plan=plan)
                raise
        return asyncio.get_running_loop().time() - began

    async def report(self) -> dict[str, object]:
        """How the gateway is, for `handclasp status`."""
        now = ambient.now()
        return {
            "envoy_pid": self.envoy.pid,
            "live": await self.envoy.is_live(),
            "restarts": self.envoy.restarts,
            "certificates": [
                {
                    "service": name,
                    "not_after": c.not_after.isoformat(timespec="seconds"),
                    "days_left": round((c.not_after - now) / timedelta(days=1), 2),
                    "renewal": c.renew_at.isoformat(timespec="seconds"),
                }
                for name, c in sorted(self._certificates.items())
            ],
        }

    async def maintain(self) -> None:
        """Once a second, for ever: renew what is due, re-sign the revocation list, rotate the log."""
        while True:
            await asyncio.sleep(1)
            try:
                now = ambient.now()
                due = [name for name, c in self._certificates.items() if now >= c.renew_at]
                if due or await self._reloaded() or await self._stale(now):
                    await self.apply()
                    for name in due:
                        _log.info("renewed the certificate of %s until %s", name, self._certificates[name].not_after)
                if logs.rotate(self._site.state.path):
                    await self.envoy.reopen_logs()
            except (Refused, OSError) as error:
                _log.error("upkeep failed and is tried again in a second: %s", error)

    async def _publish(self, settings: Settings, say: Callable[[str], None] | None = None) -> None:
        assert self._ads is not None
        # Before it is compiled: an authority that comes meanwhile may not be in it, and is confirmed the next time.
        names = self._site.authority.hierarchy.names()
        snapshot = await self._compile(settings)
        if say is not None and self._good is not None:
            for name in drained(self._good, snapshot):
                say(
                    f"The listener {name} changes: requests have {DRAIN_SECONDS} s to finish, "
                    "and open streams (WebSocket, gRPC) are cut then."
                )
        self._ads.publish(snapshot)
        try:
            await asyncio.wait_for(self._ads.confirmed(), _CONFIRM_SECONDS)
        except TimeoutError:
            raise Refused(
                Code.GATEWAY_NOT_ACKNOWLEDGED,
                "The gateway has not confirmed the change yet",
                f"Envoy did not answer within {_CONFIRM_SECONDS:.0f} s",
                "The change is recorded, and goes out as soon as Envoy answers. See: handclasp status.",
            ) from None
        except Refused:
            if self._good is not None:
                self._ads.publish(self._good)
            raise
        self._good = snapshot
        await self._confirm(names)

    async def _confirm(self, names: frozenset[str]) -> None:
        """Tell the ledger which authorities Envoy trusts now: a rotation waits for it."""
        names -= self._left_out
        if names != self._trusted:
            point = f"gateway/{self._site.vault.writer}"
            await self._site.authority.ledger.confirm(Confirmation(point, names, ambient.now()))
            self._trusted = names

    async def _compile(self, settings: Settings) -> Snapshot:
        return compile_intent(await self._intent(settings))

    async def _intent(self, settings: Settings) -> Intent:
        services = tuple(self._service(s) for s in settings.services)  # first: it may refuse, and nothing is made yet
        now = ambient.now()
        issuers = self._site.authority.hierarchy.signer(SERVER).chain
        for service in settings.services:
            kept = self._certificates.get(service.name)
            if kept is None or now >= kept.renew_at or kept.hosts != service.hosts or kept.issuers != issuers:
                self._certificates[service.name] = await server_certificate(self._site, service)
        names = {service.name for service in settings.services}
        self._certificates = {name: c for name, c in self._certificates.items() if name in names}
        authority = self._site.authority
        crls = await self._current_crls(now)
        accepted = [issuer for issuer in authority.hierarchy.accepted if issuer.key_id in crls]
        return Intent(
            trust_domain=settings.trust_domain,
            services=services,
            certificates={s.name: self._certificates[s.name].pair for s in settings.services},
            client_authorities=pem.pem(*(issuer.certificate for issuer in accepted)).decode(),
            crl="".join(crls[issuer.key_id].text for issuer in accepted),
            revoked=frozenset(Fingerprint256(f) for f in await deny_set(authority, now=now)),
        )

    async def _current_crls(self, now: datetime) -> dict[str, _Crl]:
        """A revocation list of each authority whose certificates are accepted, by its key id, signed anew when
        something was revoked or an hour has passed (D19).

        Without the key the last list stays, and an authority that never had one here is left out: what the others
        revoke must not wait for it.
        """
        authority = self._site.authority
        current, left_out = {}, set()
        for issuer in authority.hierarchy.accepted:
            mark = await authority.ledger.revocation_mark(issuer.key_id, None)
            kept = self._crls.get(issuer.key_id)
            if kept is None or kept.mark != mark or not timedelta(0) <= now - kept.made_at < _CRL_AGE:
                memory = self._memories.setdefault(issuer.key_id, Memory())
                try:
                    signed = await current_crl(authority, issuer, now=now, memory=memory)
                except Refused as refused:
                    if kept is None:
                        left_out.add(issuer.name)
                    if issuer.name not in self._left_out:
                        _log.error("no revocation list of %s could be signed: %s", issuer.name, refused)
                else:
                    kept = _Crl(signed.public_bytes(Encoding.PEM).decode(), now, mark)
            if kept is not None:
                current[issuer.key_id] = kept
        self._crls, self._left_out = current, frozenset(left_out)
        return current

    async def _reloaded(self) -> bool:
        """Whether something has changed among the authorities. If that cannot be taken over, the rest goes on."""
        try:
            return await self._site.reload()
        except Refused as refused:
            _log.error("what has changed among the authorities is not taken over: %s", refused)
            return False

    async def _stale(self, now: datetime) -> bool:
        """Whether a list is old, or another process has revoked something since it was made."""
        for issuer in self._site.authority.hierarchy.accepted:
            kept = self._crls.get(issuer.key_id)
            if kept is None or not timedelta(0) <= now - kept.made_at < _CRL_AGE:
                return True
            if kept.mark != await self._site.authority.ledger.revocation_mark(issuer.key_id, None):
                return True
        return False

    def _service(self, service: ServiceSettings) -> Service:
        upstream = service.upstream
        roots = read_roots(upstream.ca_file, service.name) if upstream.scheme == "https" else None
        return Service(
            name=service.name,
            address=service.listen.address or self._any,
            port=service.listen.port,
            hosts=tuple(str(host) for host in service.hosts),
            upstream=Upstream(upstream.scheme, upstream.host, upstream.port, roots),
            policy=service.policy,
            explain=service.explain == "full",
            both_families=service.listen.address is None and self._any == "::",
        )

    def _check_ports(self, services: Iterable[ServiceSettings]) -> None:
        for service in services:
            where = self._site.settings.where(f"services.{service.name}.listen")
            address = service.listen.address
            ports.check_free(
                address or self._any, service.listen.port, where, both_families=address is None and self._any == "::"
            )


def _next_start(before: Settings, after: Settings) -> list[str]:
    """The settings that have changed and that a running process cannot take over: it has opened what they name."""
    old, new = before.authority, after.authority
    changed = {
        "database": before.database != after.database,
        "authority.keys": old.keys != new.keys,
        "authority.publish.listen": old.listen != new.listen,
    }
    return [name for name, differs in changed.items() if differs]


def drained(before: Snapshot, after: Snapshot) -> tuple[str, ...]:
    """The listeners whose connections a change from one snapshot to the other would drain."""
    old, new = before.resources[LISTENER], after.resources[LISTENER]
    return tuple(name for name, resource in old.items() if name not in new or new[name].version != resource.version)


def _say_exit(exit_: Exit, backoff: float) -> None:
    _log.error("Envoy %s; it is started again in %.1f s", exit_, backoff)
