"""Caddy's configuration: what each site or connection policy demands, in a Caddyfile and in JSON."""

from __future__ import annotations

import base64
import json
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.doctor.config import caddy
from handclasp.doctor.config.model import Configuration, MutualServer, Named, Setting, Verify
from handclasp.doctor.diagnosis import Place, Severity
from handclasp.doctor.sources import Source
from handclasp.findings import Code

MAIN = "/etc/caddy/Caddyfile"


def _read(text: str | bytes, path: str = MAIN, **others: str) -> Configuration:
    files = {path: text, **{f"/etc/caddy/{name}": one for name, one in others.items()}}

    def load(path: str) -> Source:
        found = files.get(path)
        if found is None:
            return Source(path, b"", unreadable="there is no such file")
        return Source(path, found.encode() if isinstance(found, str) else found)

    return caddy.read(path, load, lambda pattern: sorted(one for one in files if fnmatch(one, pattern)))


def _site(*lines: str, more: str = "", before: str = "") -> MutualServer:
    text = "\n".join([before, "api.test {", "tls {", "client_auth {", *lines, "}", "}", more, "}"])
    return _read(text).servers[0]


def _found(server: MutualServer) -> list[tuple[Code, Severity, int | None]]:
    return [(one.code, one.severity, one.place.line if one.place else None) for one in server.ailments]


_WHOLE = """(mtls) {
	tls /etc/ssl/s.pem "s.key" {
		protocols tls1.3  # and no other
		client_auth {
			mode require_and_verify
			trusted_ca_cert_file {args.0}
		}
	}
}

api.test:8443,
www.test {
	import mtls /etc/ssl/ca.pem
	reverse_proxy localhost:8080 {
		header_up X-Client-DN {http.request.tls.client.subject}
	}
}
"""


def test_a_site_is_read_whole() -> None:
    """Snippets with arguments count, and each setting has its line."""

    def at(line: int) -> Place:
        return Place(MAIN, line)

    assert _read(_WHOLE) == Configuration(
        "caddy",
        (MAIN,),
        (
            MutualServer(
                product="caddy",
                name="api.test:8443 www.test",
                place=at(11),
                verify=Setting("mode require_and_verify", at(5)),
                verifies=Verify.REQUIRED,
                certificates=(Named("/etc/ssl/s.pem", at(2)),),
                keys=(Named("/etc/caddy/s.key", at(2)),),
                trust=(Named("/etc/ssl/ca.pem", at(6)),),
                protocols=("TLSv1.3",),
                protocols_place=at(3),
                resumes=Setting("session tickets (the default)", at(11)),
                identity_headers=(Setting("X-Client-DN {http.request.tls.client.subject}", at(15)),),
            ),
        ),
    )


_ANY = (Code.MTLS_NOT_ENFORCED, Severity.ERROR)


@pytest.mark.parametrize(
    ("lines", "verifies", "found"),
    [
        (["trust_pool file /ca.pem"], Verify.REQUIRED, []),
        (["trust_pool file {", "pem_file /ca.pem", "}"], Verify.REQUIRED, []),
        (["mode verify_if_given", "trust_pool file /ca.pem"], Verify.OPTIONAL,
         [(Code.MTLS_OPTIONAL, Severity.WARNING, 5)]),
        (["mode require"], Verify.OPTIONAL_UNVERIFIED, [(*_ANY, 5)]),
        (["mode require", "trust_pool file /ca.pem"], Verify.OPTIONAL_UNVERIFIED, [(*_ANY, 5)]),
        (["mode request"], Verify.OPTIONAL_UNVERIFIED, [(*_ANY, 5)]),
        ([], Verify.OPTIONAL_UNVERIFIED, [(*_ANY, 4)]),
        (["mode require", "trusted_leaf_cert_file /leaf.pem"], Verify.REQUIRED, []),
        (["mode require_and_verify"], Verify.REQUIRED, [(Code.CONFIG_PUBLIC_ROOTS, Severity.ERROR, 5)]),
        (["trust_pool system", "mode require_and_verify"], Verify.REQUIRED,
         [(Code.CONFIG_PUBLIC_ROOTS, Severity.ERROR, 6)]),
        (["mode always"], Verify.NONE, [(Code.CONFIG_UNREADABLE, Severity.ERROR, 5)]),
    ],
    ids=["pool", "pool block", "if given", "require", "require with ca", "request", "nothing", "leaf", "no pool",
         "system", "unknown"],
)  # fmt: skip
def test_what_is_demanded(lines: list[str], verifies: Verify, found: list[tuple[Code, Severity, int | None]]) -> None:
    """What a site really demands, and the finding at its line."""
    site = _site(*lines)
    assert (site.verifies, _found(site)) == (verifies, found)


def test_a_certificate_in_the_configuration_is_embedded() -> None:
    """DER in base64, with its line."""
    site = _site("trust_pool inline {", "trust_der " + base64.b64encode(b"DER").decode(), "}")
    label = f"{MAIN}:6"
    assert site.trust == (Named(label, Place(MAIN, 6), Source(label, b"DER", line=6)),)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("request_header X-DN {http.request.tls.client.subject}", []),
        ("request_header +X-DN {tls_client_subject}", [(Code.CONFIG_IDENTITY_HEADER, Severity.ERROR, 8)]),
        ("request_header ?X-DN {tls_client_subject}", [(Code.CONFIG_IDENTITY_HEADER, Severity.ERROR, 8)]),
    ],
    ids=["set", "added", "default"],
)
def test_identity_headers(line: str, found: list[tuple[Code, Severity, int | None]]) -> None:
    """A header that a caller can fill is found, at its line."""
    assert _found(_site("trust_pool file /ca.pem", more=line)) == found


def test_names_that_are_not_compared() -> None:
    """Without strict_sni_host a client goes round the site that asks for certificates."""
    site = _site("trust_pool file /ca.pem", before="{\nservers {\nstrict_sni_host insecure_off\n}\n}")
    assert _found(site) == [(*_ANY, 3)]


def test_imported_files_are_read() -> None:
    """With a glob, and with their own places."""
    found = _read("import sites/*", **{"sites/api": _WHOLE})
    assert (found.files, found.servers[0].place) == ((MAIN, "/etc/caddy/sites/api"), Place("/etc/caddy/sites/api", 11))


def test_a_file_of_one_site_needs_no_braces() -> None:
    """The first line is its address."""
    found = _read("api.test\ntls {\nclient_auth {\nmode require\n}\n}")
    assert [(one.name, one.verify) for one in found.servers] == [("api.test", Setting("mode require", Place(MAIN, 4)))]


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("api.test {\n", Code.CONFIG_UNREADABLE, 1),
        ("a {\n}\n}", Code.CONFIG_UNREADABLE, 3),
        ("a {\nimport none\n}", Code.CONFIG_FILE_MISSING, 2),
        ("# -----BEGIN PRIVATE KEY-----", Code.FILE_KEY_IN_CONFIG, 1),
        ("(a) {\nimport a\n}\nb {\nimport a\n}", Code.CONFIG_UNREADABLE, 2),
    ],
    ids=["open", "closed", "import", "key", "circle"],
)
def test_faults_of_the_file(text: str, code: Code, line: int) -> None:
    """Each is told with its file and line."""
    assert [(one.code, one.place) for one in _read(text).ailments] == [(code, Place(MAIN, line))]


def _json(server: dict[str, Any], **auth: Any) -> str:
    policy = {"match": {"sni": ["api.test"]}, "client_authentication": auth}
    whole = {"listen": [":8443"], "tls_connection_policies": [policy], **server}
    return json.dumps({"apps": {"http": {"servers": {"s": whole}}}})


def test_a_policy_in_json() -> None:
    """The same judgement, by the product's own format."""
    text = _json({}, mode="require_and_verify", trusted_ca_certs_pem_files=["/ca.pem"])
    at = Place("/etc/caddy/c.json", 1)
    assert _read(text, "/etc/caddy/c.json").servers == (
        MutualServer(
            product="caddy",
            name=":8443 (api.test)",
            place=at,
            verify=Setting("mode require_and_verify", at),
            verifies=Verify.REQUIRED,
            trust=(Named("/ca.pem", at),),
            protocols=("TLSv1.2", "TLSv1.3"),
            resumes=Setting("session tickets (the default)", at),
        ),
    )


@pytest.mark.parametrize(
    ("server", "auth", "found"),
    [
        ({}, {"ca": {"provider": "file", "pem_files": ["/ca.pem"]}}, []),
        ({}, {"mode": "require"}, [_ANY]),
        ({}, {"mode": "require_and_verify"}, [(Code.CONFIG_PUBLIC_ROOTS, Severity.ERROR)]),
        ({"strict_sni_host": False}, {"trusted_ca_certs": ["AAAA"]}, [_ANY]),
    ],
    ids=["pool", "require", "no pool", "loose"],
)
def test_findings_in_json(server: dict[str, Any], auth: dict[str, Any], found: list[tuple[Code, Severity]]) -> None:
    """What a policy really demands."""
    policy = _read(_json(server, **auth), "/etc/caddy/c.json").servers[0]
    assert [(one.code, one.severity) for one in policy.ailments] == found


def test_json_that_is_none_has_its_line() -> None:
    """The fault is told where it is."""
    ailments = _read('{\n"apps": }', "/etc/caddy/c.json").ailments
    assert [(one.code, one.place) for one in ailments] == [(Code.CONFIG_UNREADABLE, Place("/etc/caddy/c.json", 2))]


@given(st.binary(max_size=300))
def test_octets_never_raise(data: bytes) -> None:
    """Whatever the file holds."""
    assert _read(data).product == "caddy"


@given(st.lists(st.sampled_from([*_WHOLE.split(), "\n", '"', "`", "{", "}", "import", "(a)", "a", "\\\n"])))
def test_words_never_raise(words: list[str]) -> None:
    """Nor its own words in any order."""
    assert _read(" ".join(words)).product == "caddy"


def test_caddy_takes_the_configuration(tmp_path: Path) -> None:
    """What these tests read, the program itself takes; its own JSON of it is judged alike."""
    path = tmp_path / "Caddyfile"
    path.write_text(_WHOLE.replace("/etc/ssl/ca.pem", f"{tmp_path}/ca.pem"))
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=s -keyout s.key -out ca.pem"
    )
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True, timeout=30)
    adapt = ["caddy", "adapt", "--adapter", "caddyfile", "--config", str(path)]
    done = subprocess.run(adapt, capture_output=True, timeout=30, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first = caddy.read(str(path), lambda one: Source(one, Path(one).read_bytes())).servers
    second = _read(done.stdout, "/etc/caddy/c.json").servers
    assert [(one.verifies, one.protocols, one.ailments) for one in first] == [
        (one.verifies, one.protocols, one.ailments) for one in second[:1]
    ]
