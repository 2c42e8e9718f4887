"""Envoy: every filter chain with a DownstreamTlsContext, in a bootstrap, or in the files of listeners and secrets that
it names.

Source: the protos of Envoy 1.40 (DownstreamTlsContext, CertificateValidationContext, HttpConnectionManager); the
defaults are theirs. Names are taken in snake_case and in lowerCamelCase, as protobuf's JSON takes them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from handclasp.doctor.config import envoy_settings
from handclasp.doctor.config.envoy_tree import Malformed, Node, ParseYaml, parse_json
from handclasp.doctor.config.model import Configuration, Load, MutualServer, Named, Setting, Verify
from handclasp.doctor.diagnosis import Ailment, Fix, Place, Severity, Side
from handclasp.doctor.files.exposure import in_configuration
from handclasp.doctor.sources import Source
from handclasp.findings import Code

__all__ = ["Malformed", "Node", "ParseYaml", "read"]

_VERSIONS = {"TLSv1_0": 0, "TLSv1_1": 1, "TLSv1_2": 2, "TLSv1_3": 3}
_SPELLED = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_MOST_CHAINS = 1000
_MOST_FILES = 100


def read(path: str, load: Load, parse_yaml: ParseYaml | None = None) -> Configuration:
    """The configuration in the file at this absolute path; never raises. YAML needs a ``parse_yaml``; JSON does not."""
    reader = _Reader(load, parse_yaml)
    root = reader.file(path, None)
    servers: list[MutualServer] = []
    if root is not None:
        listeners, secrets = reader.resources(root, path)
        for listener, file in listeners:
            for number, chain in enumerate(_chains(listener)):
                found = _Chain(reader, file, listener, chain, number, secrets)
                if len(servers) < _MOST_CHAINS and (server := found.server()) is not None:
                    servers.append(server)
    return Configuration("envoy", tuple(reader.files) or (path,), tuple(servers), tuple(reader.ailments))


@dataclass(slots=True)
class _Reader:
    load: Load
    parse_yaml: ParseYaml | None
    files: list[str] = field(default_factory=list)
    ailments: list[Ailment] = field(default_factory=list)

    def file(self, path: str, named: Place | None) -> Node | None:
        if path in self.files or len(self.files) >= _MOST_FILES:
            return None
        source = self.load(path)
        if source.unreadable is not None:
            code = Code.CONFIG_UNREADABLE if named is None else Code.CONFIG_FILE_MISSING
            what = f"{_shown(path)} cannot be read: {_shown(source.unreadable)}"
            fix = Fix(Side.SERVER, "Correct the path, or let the user who runs the check read the file.", "envoy")
            self.ailments.append(Ailment(code, "configuration", what, Severity.ERROR, (fix,), named or Place(path)))
            return None
        self.files.append(path)
        self.ailments += in_configuration(source, Side.SERVER)
        try:
            return self._parsed(source.data)
        except Malformed as error:
            what, line = str(error), error.line
        except (ValueError, RecursionError):
            what, line = "the YAML reader does not understand this file", 1
        fix = Fix(Side.SERVER, "Correct this place, then have Envoy check it.", "envoy",
                  (f"envoy --mode validate -c {_shown(path)}",))  # fmt: skip
        ailment = Ailment(Code.CONFIG_UNREADABLE, "configuration", what, Severity.ERROR, (fix,), Place(path, line))
        self.ailments.append(ailment)
        return None

    def _parsed(self, data: bytes) -> Node:
        if self.parse_yaml is None or data.lstrip()[:1] in {b"{", b"["}:
            try:
                return parse_json(data)
            except Malformed:
                if self.parse_yaml is None:
                    raise
        return self.parse_yaml(data)

    def resources(self, root: Node, path: str) -> tuple[list[tuple[Node, str]], dict[str, tuple[Node, str]]]:
        """All listeners, and all secrets by name, each with its file: static, and of files that are named."""
        listeners: list[tuple[Node, str]] = []
        secrets: dict[str, tuple[Node, str]] = {}
        waiting = [(root, path)]
        while waiting:
            node, file = waiting.pop(0)
            static = node.get("static_resources")
            listeners += [(one, file) for one in static.get("listeners").items]
            found = list(static.get("secrets").items)
            for one in node.get("resources").items:
                kind = one.get("@type").text
                if kind.endswith(".Listener"):
                    listeners.append((one, file))
                elif kind.endswith(".Secret"):
                    found.append(one)
            for one in found:
                secrets.setdefault(one.get("name").text, (one, file))
            for named in self._named(node):
                target = _absolute(file, named.text)
                inner = self.file(target, Place(file, named.line))
                if inner is not None:
                    waiting.append((inner, target))
        return listeners, secrets

    @staticmethod
    def _named(node: Node) -> Iterator[Node]:
        """The files in which listeners (LDS) and secrets (SDS) are."""
        for one in node.everything():
            for name in ("lds_config", "sds_config"):
                if one.has(name):
                    config = one.get(name)
                    found = config.get("path_config_source", "path")
                    found = found if found.text else config.get("path")
                    if found.text:
                        yield found


@dataclass(frozen=True, slots=True)
class _Chain:
    reader: _Reader
    file: str
    listener: Node
    chain: Node
    number: int
    secrets: dict[str, tuple[Node, str]]

    def server(self) -> MutualServer | None:
        """None where the chain speaks no TLS, or neither asks for certificates nor names authorities."""
        tls = _downstream(self.chain)
        if tls is None:
            return None
        common = tls.get("common_tls_context")
        context, file, unseen = self._validation(common)
        required = tls.get("require_client_certificate")
        asks = context is not None or unseen is not None
        if not required.true and not asks:
            return None
        place = Place(self.file, tls.line)
        setting = Setting(
            f"require_client_certificate: {'true' if required.true else 'false'}"
            + ("" if tls.has("require_client_certificate") else " (the default)"),
            Place(self.file, required.line),
        )
        context = context if context is not None else Node(None, tls.line)
        untrusted = context.get("trust_chain_verification")
        lax = untrusted.text == "ACCEPT_UNTRUSTED" or untrusted.value == 1
        trust = self._sources(context.get("trusted_ca"), file)
        mode = Verify.REQUIRED if required.true else Verify.OPTIONAL
        if lax or (required.true and not trust and unseen is None and not context.has("custom_validator_config")):
            mode = Verify.OPTIONAL_UNVERIFIED
        found = envoy_settings.Seen(self.name, self.chain, self.listener, self.file, tls, context, file, mode, setting)
        headers, exposed = envoy_settings.headers(found)
        certificates, keys = self._credentials(common)
        depth = context.get("max_verify_depth")
        return MutualServer(
            product="envoy",
            name=self.name,
            place=place,
            verify=setting,
            verifies=mode,
            certificates=certificates,
            keys=keys,
            trust=trust,
            crls=() if envoy_settings.spiffe(context) else self._sources(context.get("crl"), file),
            depth=_number(depth),
            depth_place=None if _number(depth) is None else Place(file, depth.line),
            protocols=_protocols(common.get("tls_params")),
            protocols_place=self._protocols_place(common.get("tls_params")),
            resumes=envoy_settings.resumes(found),
            identity_headers=headers,
            ailments=(*envoy_settings.judge(found, trust, unseen), *exposed),
        )

    @property
    def name(self) -> str:
        socket = self.listener.get("address", "socket_address")
        port = socket.get("port_value").value
        address = f"{socket.get('address').text or self.listener.get('name').text}:{port}" if port is not None else ""
        address = address or self.listener.get("name").text or self.listener.get("address", "pipe", "path").text
        names = [one.text for one in self.chain.get("filter_chain_match", "server_names").items]
        own = self.chain.get("name").text or (f"chain {self.number}" if self.number else "")
        label = ", ".join(names[:5]) or own
        return _shown(f"{address or 'listener'} ({label})" if label else address or "listener")

    def _validation(self, common: Node) -> tuple[Node | None, str, Node | None]:
        """The validation context, the file it is in, and the name of an SDS secret that cannot be seen."""
        combined = common.get("combined_validation_context")
        secret = common.get("validation_context_sds_secret_config")
        default: Node | None = common.get("validation_context") if common.has("validation_context") else None
        if combined.value is not None:
            secret = combined.get("validation_context_sds_secret_config")
            default = combined.get("default_validation_context")
        name = secret.get("name")
        if secret.value is None:
            return default, self.file, None
        if name.text not in self.secrets:
            return default, self.file, name
        node, file = self.secrets[name.text]
        dynamic = node.get("validation_context")
        merged = dict(default.value) if default is not None and isinstance(default.value, dict) else {}
        merged |= dynamic.value if isinstance(dynamic.value, dict) else {}
        return Node(dict(merged), dynamic.line), file, None

    def _credentials(self, common: Node) -> tuple[tuple[Named, ...], tuple[Named, ...]]:
        found = [(one, self.file) for one in common.get("tls_certificates").items]
        for one in common.get("tls_certificate_sds_secret_configs").items:
            if one.get("name").text in self.secrets:
                node, file = self.secrets[one.get("name").text]
                found.append((node.get("tls_certificate"), file))
        certificates = [one for node, file in found for one in self._sources(node.get("certificate_chain"), file)]
        keys = [one for node, file in found for one in self._sources(node.get("private_key"), file)]
        return tuple(certificates), tuple(keys)

    def _sources(self, source: Node, file: str) -> tuple[Named, ...]:
        """What a DataSource names or holds; nothing for one that is an environment variable."""
        name = source.get("filename")
        if name.text:
            return (Named(_absolute(file, name.text), Place(file, name.line)),)
        for kind in ("inline_string", "inline_bytes"):
            held = source.get(kind)
            if held.text:
                data = held.text.encode("utf-8", "replace")
                if kind == "inline_bytes":
                    try:
                        data = base64.b64decode(data, validate=True)
                    except (binascii.Error, ValueError):
                        data = b""
                label = f"{file}:{held.line}"
                return (Named(label, Place(file, held.line), Source(label, data, line=held.line)),)
        return ()

    def _protocols_place(self, parameters: Node) -> Place | None:
        for name in ("tls_minimum_protocol_version", "tls_maximum_protocol_version"):
            if parameters.has(name):
                return Place(self.file, parameters.get(name).line)
        return None


def _chains(listener: Node) -> tuple[Node, ...]:
    default = listener.get("default_filter_chain")
    return (*listener.get("filter_chains").items, *((default,) if default.value is not None else ()))


def _downstream(chain: Node) -> Node | None:
    """The DownstreamTlsContext, also where QUIC or STARTTLS holds it."""
    for one in chain.get("transport_socket").everything():
        kind = one.get("@type").text
        if kind.endswith(".DownstreamTlsContext"):
            return one
        if kind.endswith(".QuicDownstreamTransport"):
            return one.get("downstream_tls_context")
        if kind.endswith(".StartTlsConfig") and one.has("tls_socket_config"):
            return one.get("tls_socket_config")
    return None


def _protocols(parameters: Node) -> tuple[str, ...]:
    lowest = _VERSIONS.get(parameters.get("tls_minimum_protocol_version").text, 2)
    highest = _VERSIONS.get(parameters.get("tls_maximum_protocol_version").text, 3)
    return _SPELLED[lowest : highest + 1]


def _number(node: Node) -> int | None:
    """A whole number, as JSON has it or, for the wrapped kinds, in quotes."""
    if isinstance(node.value, int) and not isinstance(node.value, bool):
        return node.value if 0 <= node.value < 10_000 else None
    return int(node.text) if node.text.isascii() and node.text.isdigit() and len(node.text) < 5 else None


def _absolute(file: str, path: str) -> str:
    return path if path.startswith("/") else str(PurePosixPath(file).parent / path)


def _shown(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text[:200])
