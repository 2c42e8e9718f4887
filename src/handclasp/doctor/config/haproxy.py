"""HAProxy: the ``bind`` lines that ask for client certificates, with what ``global`` says for all of them.

Source: HAProxy's Configuration Manual, §3.1 (ca-base, crt-base, ssl-default-bind-options) and §5.1 (bind
options). ``verify`` is none unless it is said, whatever ``ca-file`` names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import PurePosixPath

from handclasp.doctor.config import haproxy_headers, haproxy_lines
from handclasp.doctor.config.haproxy_lines import Line, Section
from handclasp.doctor.config.model import Configuration, Load, MutualServer, Named, Setting, Verify
from handclasp.doctor.config.nginx_tree import Find, matching
from handclasp.doctor.diagnosis import Ailment, Fix, Place, Severity, Side
from handclasp.doctor.files.exposure import in_configuration
from handclasp.findings import Code

_MODES = {"required": Verify.REQUIRED, "optional": Verify.OPTIONAL}
_VERSIONS = ("SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_FLAGS = {"sslv3": "SSLv3", "tlsv10": "TLSv1.0", "tlsv11": "TLSv1.1", "tlsv12": "TLSv1.2", "tlsv13": "TLSv1.3"}
_BESIDE = (".ocsp", ".sctl", ".issuer", ".key", ".dh")
_BRIEF = 300  # seconds; the default of tune.ssl.lifetime
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_MAX_LISTED = 1_000


def read(path: str, load: Load, find: Find = matching) -> Configuration:
    """The configuration in the file at this absolute path; ``find`` lists a directory that ``crt`` names.

    Never raises. Binds that speak TLS and ask nobody for a certificate are told of as notes.
    """
    source = load(path)
    if source.unreadable is not None:
        what = f"{path} cannot be read: {source.unreadable}"
        return Configuration("haproxy", (path,), (), (Ailment(Code.CONFIG_UNREADABLE, path, what, place=Place(path)),))
    sections, faults = haproxy_lines.sections(source.data, path)
    exposed = in_configuration(replace(source, name=path), Side.SERVER)
    common = _Common.of(sections, path, load, find)
    servers: list[MutualServer] = []
    ailments = [*faults, *exposed]
    for section in sections:
        if section.kind not in {"frontend", "listen"}:
            continue
        found = [(line, _server(line, section, common)) for line in section.of("bind") if "ssl" in line.words[2:]]
        strict = bool(found) and len(found) == sum(1 for _ in section.of("bind"))
        strict = strict and all(one is not None and one.verifies is Verify.REQUIRED for _, one in found)
        headers, unset = haproxy_headers.judge(section, sections, everyone_known=strict)
        guard = haproxy_headers.guard(section)
        for line, server in found:
            if server is None:
                what = f"{_name(line, section)} speaks TLS and asks nobody for a certificate"
                ailments.append(Ailment(Code.MTLS_NOT_ENFORCED, str(line.place), what, Severity.NOTE, place=line.place))
                continue
            told = (*server.ailments, *_guarded(server, guard), *unset)
            servers.append(replace(server, identity_headers=headers, ailments=told))
    return Configuration("haproxy", (path,), tuple(servers), tuple(ailments))


@dataclass(frozen=True, slots=True)
class _Common:
    """What ``global`` says for every bind."""

    load: Load
    find: Find
    ca_base: str
    crt_base: str
    options: tuple[Line, ...]
    lifetime: Setting | None
    cached: bool

    @classmethod
    def of(cls, sections: Sequence[Section], path: str, load: Load, find: Find) -> _Common:
        lines = [line for section in sections if section.kind == "global" for line in section.lines]

        def last(keyword: str) -> Setting | None:
            found = [line for line in lines if line.words[0] == keyword and len(line.words) > 1]
            return Setting(found[-1].words[1], found[-1].place) if found else None

        directory = str(PurePosixPath(path).parent)
        base = [one.value if one else directory for one in (last("ca-base"), last("crt-base"))]
        ca_base, crt_base = (one if one.startswith("/") else f"{directory}/{one}" for one in base)
        cache = last("tune.ssl.cachesize")
        return cls(
            load,
            find,
            ca_base,
            crt_base,
            options=tuple(line for line in lines if line.words[0] == "ssl-default-bind-options"),
            lifetime=last("tune.ssl.lifetime"),
            cached=cache is None or cache.value != "0",
        )


@dataclass(frozen=True, slots=True)
class _Bind:
    """The options of one bind line, and behind them those of ``ssl-default-bind-options``."""

    line: Line
    defaults: tuple[Line, ...]

    def value(self, keyword: str) -> Setting | None:
        for line in (self.line, *reversed(self.defaults)):
            found = line.after(keyword)
            if found is not None:
                return Setting(found, line.place)
        return None

    def flag(self, keyword: str) -> Place | None:
        return next((line.place for line in (self.line, *self.defaults) if keyword in line.words), None)

    def every(self, keyword: str) -> tuple[str, ...]:
        words = self.line.words
        return tuple(after for word, after in pairwise(words) if word == keyword)


def _server(line: Line, section: Section, common: _Common) -> MutualServer | None:
    bind = _Bind(line, common.options)
    listed, faults = _listed(bind, common)
    verify = bind.value("verify")
    authorities = [one for one in (bind.value("ca-file"), bind.value("ca-verify-file")) if one is not None]
    inside = [each for entry in listed for each in [entry.value("verify")] if each is not None and each.value in _MODES]
    verify = verify or next(iter(inside), None)
    authorities += [each for entry in listed for each in [entry.value("ca-file")] if each is not None]
    if not authorities and (verify is None or verify.value not in _MODES):
        return None
    verify = verify or Setting("none (the default)", line.place)
    mode = _MODES.get(verify.value, Verify.NONE)
    ignored = [one for one in (bind.value("crt-ignore-err"), bind.value("ca-ignore-err")) if one is not None]
    if mode is not Verify.NONE and any(one.value == "all" for one in ignored):
        mode = Verify.OPTIONAL_UNVERIFIED
        verify = Setting(f"{verify.value}, but every fault of the certificate is ignored", verify.place)
    protocols, protocols_place = _protocols(bind)
    revoked = bind.value("crl-file")
    resumes = _resumes(bind, common)
    system = next((one for one in authorities if one.value.startswith("@")), None)
    return MutualServer(
        product="haproxy",
        name=_name(line, section),
        place=line.place,
        verify=verify,
        verifies=mode,
        certificates=tuple(_certificates(bind, listed, common)),
        trust=tuple(_named(common.ca_base, one) for one in authorities if _is_file(one.value)),
        crls=(_named(common.ca_base, revoked),) if revoked is not None and _is_file(revoked.value) else (),
        depth=None,
        protocols=protocols,
        protocols_place=protocols_place,
        resumes=resumes,
        ailments=(*faults, *_ignoring(ignored, mode), *_lasting(resumes, common), *_system(system)),
    )


def _name(line: Line, section: Section) -> str:
    address = line.words[1] if len(line.words) > 1 else "?"
    return f"{address} ({section.kind} {section.name})" if section.name else address


def _is_file(path: str) -> bool:
    """Not the system's store, and not a path that only the environment completes."""
    return not path.startswith("@") and "$" not in path


def _named(base: str, setting: Setting) -> Named:
    path = setting.value
    return Named(path if path.startswith("/") else f"{base}/{path}", setting.place)


def _certificates(bind: _Bind, listed: Sequence[_Bind], common: _Common) -> Iterator[Named]:
    entries = [Setting(one, bind.line.place) for one in bind.every("crt")]
    entries += [Setting(entry.line.words[0], entry.line.place) for entry in listed if entry.line.words]
    for entry in entries[:_MAX_LISTED]:
        if not _is_file(entry.value):
            continue
        named = _named(common.crt_base, entry)
        inside = [one for one in common.find(f"{named.path}/*") if not one.endswith(_BESIDE)]
        yield from (Named(one, named.place) for one in inside) if inside else (named,)


def _listed(bind: _Bind, common: _Common) -> tuple[tuple[_Bind, ...], tuple[Ailment, ...]]:
    """The lines of the lists of certificates: a file, options in brackets, names (§5.1, crt-list)."""
    found: list[_Bind] = []
    faults: list[Ailment] = []
    for path in bind.every("crt-list"):
        if not _is_file(path):
            continue
        named = _named(common.crt_base, Setting(path, bind.line.place))
        source = common.load(named.path)
        if source.unreadable is not None or len(source.data) > haproxy_lines.MAX_SIZE:
            what = f"{named.path} cannot be read: {source.unreadable or 'it is too large'}"
            faults.append(Ailment(Code.CONFIG_FILE_MISSING, named.path, what, place=named.place))
            continue
        lines = source.data.decode("utf-8", "replace").split("\n")[:_MAX_LISTED]
        for number, text in enumerate(lines, 1):
            words = tuple(text.partition("#")[0].replace("[", " ").replace("]", " ").split())
            if words:
                found.append(_Bind(Line(words, Place(named.path, number)), ()))
    return tuple(found), tuple(faults)


def _protocols(bind: _Bind) -> tuple[tuple[str, ...], Place | None]:
    """Which versions are accepted; from TLS 1.2 on unless said (§5.1, ssl-min-ver)."""
    least, most = bind.value("ssl-min-ver"), bind.value("ssl-max-ver")
    lowest = _VERSIONS.index(least.value) if least and least.value in _VERSIONS else 3
    highest = _VERSIONS.index(most.value) if most and most.value in _VERSIONS else len(_VERSIONS) - 1
    place = least.place if least else most.place if most else None
    for flag, version in _FLAGS.items():
        forced = bind.flag(f"force-{flag}")
        if forced is not None:
            return (version,), forced
    kept = tuple(one for one in _VERSIONS[lowest : highest + 1] if not bind.flag(f"no-{_flag(one)}"))
    return kept, place


def _flag(version: str) -> str:
    return next(flag for flag, one in _FLAGS.items() if one == version)


def _resumes(bind: _Bind, common: _Common) -> Setting | None:
    if bind.flag("no-tls-tickets") is None:
        return Setting("TLS tickets (the default)", bind.line.place)
    return Setting("the session cache (the default)", bind.line.place) if common.cached else None


def _lasting(resumes: Setting | None, common: _Common) -> Iterator[Ailment]:
    lifetime = common.lifetime
    if resumes is None or lifetime is None or _seconds(lifetime.value) <= _BRIEF:
        return
    what = (
        f"sessions are resumed for {lifetime.value} (tune.ssl.lifetime) without looking at the certificate again: so "
        "long does an expired or revoked client stay in"
    )
    lines = ("tune.ssl.lifetime 300", "tune.ssl.cachesize 0", "ssl-default-bind-options no-tls-tickets")
    fix = Fix(Side.SERVER, "Make sessions short, or turn resumption off.", "haproxy", configuration=lines)
    yield Ailment(Code.CONFIG_RESUMPTION, "global", what, Severity.WARNING, (fix,), lifetime.place)


def _seconds(text: str) -> int:
    digits = text.rstrip("smhd")
    return int(digits) * _UNITS.get(text[len(digits) :] or "s", 0) if digits.isdecimal() and len(digits) < 12 else 0


def _ignoring(ignored: Sequence[Setting], mode: Verify) -> Iterator[Ailment]:
    if mode in {Verify.NONE, Verify.OPTIONAL_UNVERIFIED}:
        return
    for one in ignored:
        what = f"certificates are let in despite the faults {one.value[:100]} (codes of OpenSSL)"
        fix = Fix(Side.SERVER, "Take crt-ignore-err and ca-ignore-err out of the bind line.", "haproxy")
        yield Ailment(Code.MTLS_NOT_ENFORCED, str(one.place), what, Severity.WARNING, (fix,), one.place)


def _system(setting: Setting | None) -> Iterator[Ailment]:
    if setting is None:
        return
    what = f"{setting.value} trusts every public authority of this system: anybody can get a certificate from one"
    fix = Fix(Side.SERVER, "Name the file of your own authority.", "haproxy", configuration=("ca-file clients-ca.pem",))
    yield Ailment(Code.CONFIG_PUBLIC_ROOTS, str(setting.place), what, fixes=(fix,), place=setting.place)


def _guarded(server: MutualServer, guard: Place | None) -> Iterator[Ailment]:
    if guard is None or server.verifies not in {Verify.OPTIONAL, Verify.OPTIONAL_UNVERIFIED}:
        return
    what = (
        f"verify {server.verify.value}: callers are told apart by a rule at {guard}; make sure that it meets them all"
    )
    fix = Fix(
        Side.SERVER, "Require a certificate of everybody.", "haproxy", configuration=("bind ... verify required",)
    )
    yield Ailment(Code.MTLS_OPTIONAL, server.name, what, Severity.NOTE, (fix,), server.verify.place)
