"""The running gateway: settings, certificates and revocations become one intent, and Envoy is kept on it.

Everything that changes ends in ``apply``: one coalescing signal, one compilation, one push (D20).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.app import ambient, logs, ports
from handclasp.app.roots import read_roots
from handclasp.app.server_certificates import ServerCertificate, server_certificate
from handclasp.app.settings import ServiceSettings, Settings
from handclasp.app.site import Site
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


POINT = "gateway/local"
"""What this gateway is called among those who confirm what is trusted."""


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
        await self._confirm(self._site.authority.hierarchy.names())
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
        async with self._publishing:
            self._site.settings = settings
            try:
                await self._publish(settings, say)
            except Refused as refused:
                if refused.code is not Code.GATEWAY_NOT_ACKNOWLEDGED:
                    self._site.settings = before
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
                if due or await self._site.reload() or await self._stale(now):
                    await self.apply()
                    for name in due:
                        _log.info("renewed the certificate of %s until %s", name, self._certificates[name].not_after)
                if logs.rotate(self._site.state.path):
                    await self.envoy.reopen_logs()
            except (Refused, OSError) as error:
                _log.error("upkeep failed and is tried again in a second: %s", error)

    async def _publish(self, settings: Settings, say: Callable[[str], None] | None = None) -> None:
        assert self._ads is not None
        snapshot = await self._compile(settings)
        if say is not None and self._good is not None:
            for name in drained(self._good, snapshot):
                say(
                    f"The listener {name} changes: requests have {DRAIN_SECONDS} s to finish, "
                    "and open streams (WebSocket, gRPC) are cut then."
                )
        names = self._site.authority.hierarchy.names()
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
        if names != self._trusted:
            await self._site.authority.ledger.confirm(Confirmation(POINT, names, ambient.now()))
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
        return Intent(
            trust_domain=settings.trust_domain,
            services=services,
            certificates={s.name: self._certificates[s.name].pair for s in settings.services},
            client_authorities=pem.pem(*(issuer.certificate for issuer in authority.hierarchy.accepted)).decode(),
            crl=await self._current_crls(now),
            revoked=frozenset(Fingerprint256(f) for f in await deny_set(authority, now=now)),
        )

    async def _current_crls(self, now: datetime) -> str:
        """A revocation list of each authority whose certificates are accepted, signed anew when something was revoked
        or an hour has passed (D19)."""
        authority = self._site.authority
        current = {}
        for issuer in authority.hierarchy.accepted:
            mark = await authority.ledger.revocation_mark(issuer.key_id, None)
            kept = self._crls.get(issuer.key_id)
            if kept is None or kept.mark != mark or not timedelta(0) <= now - kept.made_at < _CRL_AGE:
                memory = self._memories.setdefault(issuer.key_id, Memory())
                signed = await current_crl(authority, issuer, now=now, memory=memory)
                kept = _Crl(signed.public_bytes(Encoding.PEM).decode(), now, mark)
            current[issuer.key_id] = kept
        self._crls = current
        return "".join(crl.text for crl in current.values())

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


def drained(before: Snapshot, after: Snapshot) -> tuple[str, ...]:
    """The listeners whose connections a change from one snapshot to the other would drain."""
    old, new = before.resources[LISTENER], after.resources[LISTENER]
    return tuple(name for name, resource in old.items() if name not in new or new[name].version != resource.version)


def _say_exit(exit_: Exit, backoff: float) -> None:
    _log.error("Envoy %s; it is started again in %.1f s", exit_, backoff)
