"""`handclasp up`: everything in one process with Envoy as its child, from the lock to the last drained request."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from handclasp.access.evaluate import Request, decide
from handclasp.access.policy import Anyone
from handclasp.app import ambient, control, ports, settings
from handclasp.app.audits import sign_hourly
from handclasp.app.demo import PATH as DEMO_PATH
from handclasp.app.demo import SERVICE as DEMO_SERVICE
from handclasp.app.demo import DemoApi
from handclasp.app.gateway import Gateway
from handclasp.app.grant import grant
from handclasp.app.hardening import no_core_dumps
from handclasp.app.log_file import log_file
from handclasp.app.operations import OPERATIONS
from handclasp.app.settings import ServiceSettings, Settings, SettingsError
from handclasp.app.site import Site, open_site
from handclasp.app.state import BUNDLE, CHAIN, KEY, StateDirectory, unwritable
from handclasp.authority.records import CertificateRecord, CertificateState
from handclasp.findings import Code, InvalidSetting, Refused
from handclasp.pki.spiffe import SpiffeID, TrustDomain
from handclasp.store import files
from handclasp.store.keyfiles import KeyFiles

if TYPE_CHECKING:
    from handclasp.app.monitoring import Monitoring
    from handclasp.protocols.publish.server import PublishServer

_log = logging.getLogger("handclasp")
_WATCH_SECONDS = 0.2
_GOOD = frozenset({CertificateState.INTENDED, CertificateState.ISSUED})
_LATELY = timedelta(hours=1)
_UNCHANGED = "Nothing was changed: the gateway goes on with the settings it has."
FIRST = "first"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What the command line says. ``upstreams`` (name, URL) and ``trust_domain`` count on the first run only."""

    state: StateDirectory
    config: Path
    upstreams: tuple[tuple[str, str], ...] = ()
    demo: bool = False
    trust_domain: str | None = None
    listen: str | None = None
    command: str = "handclasp"


@dataclass(slots=True)
class Up:
    """A running `up`, as its callers see it: for the summary, and to end it."""

    site: Site
    gateway: Gateway
    demo: DemoApi | None = None
    monitoring: Monitoring | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


async def up(options: UpOptions, say: Say) -> None:
    """Start everything, say where it is, and serve until SIGINT or SIGTERM; then drain. Raises Refused."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running(options, say) as up_:
        say(summary(up_.site, options))
        tasks = [
            asyncio.create_task(up_.gateway.maintain()),
            asyncio.create_task(_watch(options.config, up_, say)),
            asyncio.create_task(_monitor(up_)),
            asyncio.create_task(sign_hourly(up_.site.vault)),
        ]
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            for task in tasks:
                task.cancel()
        for task in tasks:
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise error
        say("Stopping: no new connections; requests have 10 s to finish. Once more to stop at once.")
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, up_.ended.set)


@asynccontextmanager
async def running(options: UpOptions, say: Say) -> AsyncIterator[Up]:
    """The whole of `up` without the waiting: yields when the gateway serves, drains and stops at the end."""
    state = options.state
    no_core_dumps()
    with state.lock(), log_file(state.log):
        demo = _settle_first_run(options, say)
        try:
            current = _with_services(options.config)
            demo = demo or _demo_again(options, current)
            if demo is not None:
                demo.start()
            async with open_site(state, current) as site:
                gateway = Gateway(site)
                up_ = Up(site, gateway, demo)
                try:
                    await gateway.start()
                    async with published(site):
                        await _first_caller(site)
                        server = await control.serve(site.vault, site, lambda: site.settings)
                        try:
                            yield up_
                        finally:
                            server.close()
                            state.control_socket.unlink(missing_ok=True)
                finally:
                    await _stop(up_)
        finally:
            if demo is not None:
                demo.stop()


@asynccontextmanager
async def published(site: Site) -> AsyncIterator[PublishServer | None]:
    """Serve revocation lists, certificates and OCSP while the context lasts, where the settings say so."""
    where = site.settings.authority
    if where.listen is None:
        yield None
        return
    from handclasp.protocols.publish.server import served

    address = where.listen.address or ports.any_address()
    prefix = urlsplit(where.url or "").path
    async with served(
        lambda: site.authority,
        address,
        where.listen.port,
        clock=ambient.now,
        serial=ambient.new_serial,
        prefix=prefix,
    ) as server:
        before = site.apply

        async def apply() -> float | None:
            seconds = await before()
            await server.refresh()
            return seconds

        site.apply = apply
        yield server


async def _stop(up_: Up) -> None:
    """Drain; a second signal cuts it short."""
    draining = asyncio.create_task(up_.gateway.stop())
    hurried = asyncio.create_task(up_.ended.wait())
    await asyncio.wait({draining, hurried}, return_when=asyncio.FIRST_COMPLETED)
    hurried.cancel()
    if not draining.done():
        draining.cancel()
        with suppress(asyncio.CancelledError):
            await draining
        await up_.gateway.stop(drain=0)
    else:
        draining.result()


def _settle_first_run(options: UpOptions, say: Say) -> DemoApi | None:
    """With no settings file, write one (D11); with one, what only a first run takes is an error that names the line."""
    config = options.config
    if config.exists():
        if options.upstreams or options.trust_domain or options.listen:
            raise _already_there(options, _with_services(config))
        return None
    if not options.upstreams and not options.demo:
        raise Refused(
            Code.CONFIG_MISSING,
            f"There is no {config}",
            "it says what is served and who may call it",
            "Make one: handclasp up --upstream http://127.0.0.1:8000 (your API), or handclasp up --demo.",
        )
    demo = None
    upstreams = list(options.upstreams)
    if options.demo:
        demo = _new_demo()
        upstreams.append((DEMO_SERVICE, f"http://127.0.0.1:{demo.port}"))
    trust_domain = TrustDomain.parse(options.trust_domain or "handclasp.internal")
    address, _, port = (options.listen or "8443").rpartition(":")
    if not port.isdecimal():
        raise Refused(
            Code.CONFIG_INVALID,
            f"--listen {options.listen} is no place to listen",
            "it has no port",
            "Use 8443 or 127.0.0.1:8443.",
        )
    text = settings.first_file(
        trust_domain,
        services=[
            (name, f"{address}:{int(port) + n}" if address else str(int(port) + n), ["localhost"], url)
            for n, (name, url) in enumerate(upstreams)
        ],
        allow=str(SpiffeID.named(trust_domain, FIRST)),
        demo=options.demo,
    )
    try:
        settings.parse(text, str(config))
        files.write(config.absolute(), text.encode(), 0o644)
    except OSError as error:
        raise unwritable(config, error) from None
    except BaseException:
        if demo is not None:
            demo.stop()
        raise
    say(f"Wrote {config}: what is served, and who may call it. Change it at any time; changes are live at once.")
    return demo


def _with_services(config: Path) -> Settings:
    """The settings of a gateway: with services. Raises Refused and SettingsError."""
    current = settings.load(config)
    if not current.services:
        raise Refused(
            Code.CONFIG_MISSING,
            f"{config} has no services",
            "there is nothing to put behind mutual TLS",
            "Add one below services:, or run the monitors alone: handclasp monitor run.",
        )
    return current


def _already_there(options: UpOptions, current: Settings) -> Refused:
    config = options.config
    if options.upstreams:
        name, url = options.upstreams[0]
        known = {service.name for service in current.services}
        setting = f"services.{name if name in known else next(iter(known))}.upstream"
        option, fix = f"--upstream {url}", f"Write the upstream there: {current.where(setting)}"
    elif options.listen:
        option, fix = "--listen", f"Change it there: {current.where(f'services.{current.services[0].name}.listen')}"
    else:
        option, fix = "--trust-domain", f"It stands there: {current.where('trust_domain')}"
    return Refused(
        Code.CONFIG_CONFLICT,
        f"{option} is for the first run",
        f"{config} is there already, and it alone says what is served",
        f"{fix}; or start without the option.",
    )


def _new_demo() -> DemoApi:
    try:
        return DemoApi(8000)
    except OSError:
        return DemoApi(0)  # somebody else's port: any other will do


def _demo_again(options: UpOptions, current: Settings) -> DemoApi | None:
    """The demo API where the settings expect it to be."""
    if not options.demo:
        return None
    service = next((s for s in current.services if s.name == DEMO_SERVICE), None)
    if service is None or str(service.upstream.host) != "127.0.0.1" or service.upstream.scheme != "http":
        raise Refused(
            Code.CONFIG_CONFLICT,
            "--demo has no place in these settings",
            f"{options.config} has no service {DEMO_SERVICE} with an upstream on http://127.0.0.1",
            "Start without --demo; or use it in an empty directory.",
        )
    try:
        return DemoApi(service.upstream.port)
    except OSError as error:
        where = current.where(f"services.{DEMO_SERVICE}.upstream")
        raise Refused(
            Code.GATEWAY_PORT_TAKEN,
            f"The demo API cannot listen on port {service.upstream.port}",
            (error.strerror or str(error)).lower(),
            f"Stop the program that listens there, or change the port: {where}.",
        ) from None


async def _first_caller(site: Site) -> None:
    """Give the caller `first` its files where a rule names it and it never had any (D11)."""
    identity = SpiffeID.named(site.settings.trust_domain, FIRST)
    named = any(
        pattern.exact == str(identity)
        for service in site.settings.services
        for rule in service.policy.rules
        if not isinstance(rule.callers, Anyone)
        for pattern in rule.callers
    )
    directory = site.state.client(identity)
    if named and _never_had(await site.authority.ledger.certificates(identity=str(identity)), directory):

        async def perform(operation: str, **arguments: object) -> dict[str, object]:
            return await OPERATIONS[operation](site, **arguments)

        await grant(perform, identity, directory)


def _never_had(records: tuple[CertificateRecord, ...], directory: Path) -> bool:
    """Whether a caller never got its files: none was issued, or the process was killed before they were written."""
    if not records:
        return True
    good = all(record.state in _GOOD for record in records)
    lately = max(record.issued_at for record in records) > ambient.now() - _LATELY
    return good and lately and not (directory / CHAIN).exists()


async def _monitor(up_: Up) -> None:
    """Watch what the settings and the local API name. What it takes is imported when the gateway serves already."""
    # In a thread: what takes half a second must not keep a change or a revocation waiting.
    await asyncio.to_thread(import_module, "handclasp.app.monitoring")
    from handclasp.app import credentials
    from handclasp.app.monitoring import Monitoring

    async def renew(name: str) -> object:
        return await credentials.renew(up_.site, name=name)

    up_.monitoring = Monitoring(up_.site.vault, renew, up_.site.settings)
    await up_.monitoring.run()


async def _watch(config: Path, up_: Up, say: Say) -> None:
    """Take over each change of the settings file; a bad one changes nothing and is said."""
    gateway = up_.gateway
    seen = _signature(config, gateway.settings)
    while True:
        await asyncio.sleep(_WATCH_SECONDS)
        now = _signature(config, gateway.settings)
        if now == seen:
            continue
        seen = now
        try:
            current = _with_services(config)
            seconds = await gateway.change(current, say)
            if up_.monitoring is not None:
                await up_.monitoring.settle(current)
        except SettingsError as error:
            say(f"{error}\n{_UNCHANGED}")
        except Refused as refused:
            say(f"{refused.what}: {refused.why}. {refused.fix}\n{_UNCHANGED}")
        except InvalidSetting as invalid:
            say(f"{invalid.path}: {invalid.why}. Allowed: {invalid.allowed}.\n{_UNCHANGED}")
        else:
            say(f"Took over {config.name}; live after {seconds * 1000:.0f} ms.")
            seen = _signature(config, gateway.settings)


def _signature(config: Path, current: Settings) -> tuple[tuple[int, int, int] | None, ...]:
    files_ = [config, *(s.upstream.ca_file for s in current.services if s.upstream.ca_file is not None)]
    return tuple(_stat(path) for path in files_)


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def summary(site: Site, options: UpOptions) -> str:
    """Where things are, with a call that passes and one that is refused, to be pasted as they stand."""
    lines = ["", f"Handclasp is up. State: {site.state.path}   Settings: {options.config}", ""]
    for service in site.settings.services:
        asks = "client certificate required" if service.policy.client_certificates else "no client certificates"
        count = len(service.policy.rules)
        rules = "no rules, so nobody may call it" if count == 0 else f"{count} rule{'s' if count > 1 else ''}"
        lines.append(f"  {service.name}: {_base_url(service)} -> {service.upstream}   ({asks}; {rules})")
    if call := _example(site):
        url, directory = call
        tls = f"curl --cacert {directory / BUNDLE}"
        passes = f"{tls} --cert {directory / CHAIN} --key {directory / KEY} {url}"
        lines += [
            "",
            "A call that passes:",
            "",
            f"  {passes}",
            "",
            "The same without a certificate is refused:",
            "",
            f"  {tls} {url}",
        ]
    lines += [
        "",
        *_about_keys(site, options),
        "",
        f"  {options.command} client add NAME    a caller with a key and certificate of its own",
        f"  {options.command} log -f             who called, who was refused, and why",
        f"  {options.command} status             authority, certificates, gateway",
        "",
        "Stop with Ctrl-C.",
    ]
    return "\n".join(lines)


def _about_keys(site: Site, options: UpOptions) -> list[str]:
    custody = site.authority.custody
    if not isinstance(custody, KeyFiles) or not custody.unencrypted():
        return [f"The authority's keys, and whether the root's can be moved away: {options.command} status."]
    return [
        "The authority's keys are unencrypted files of this directory, readable by you alone; the root's can be moved",
        f"away (see: {options.command} status). To encrypt them: {options.command} ca passphrase.",
    ]


def _base_url(service: ServiceSettings) -> str:
    host = str(service.hosts[0])
    return f"https://{f'[{host}]' if ':' in host else host}:{service.listen.port}"


def _example(site: Site) -> tuple[str, Path] | None:
    """A URL and the files of a caller that a rule allows to GET it."""
    identity = SpiffeID.named(site.settings.trust_domain, FIRST)
    directory = site.state.client(identity).absolute()
    if not (directory / CHAIN).exists():
        return None
    for service in site.settings.services:
        for path in (DEMO_PATH, "/") if service.name == DEMO_SERVICE else ("/",):
            if service.policy.client_certificates and decide(service.policy, Request(identity, "GET", path)).allowed:
                return _base_url(service) + path, directory
    return None
