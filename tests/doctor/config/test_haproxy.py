"""HAProxy's configuration, read as HAProxy reads it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.doctor.config import haproxy
from handclasp.doctor.config.haproxy_lines import words
from handclasp.doctor.config.model import Configuration, MutualServer, Named, Setting, Verify
from handclasp.doctor.diagnosis import Place, Severity
from handclasp.doctor.sources import Source
from handclasp.findings import Code
from handclasp.testing.servers.material import make_material

MAIN = "/etc/haproxy/haproxy.cfg"


def configured(text: str | bytes, **others: str) -> Configuration:
    data = text.encode() if isinstance(text, str) else text
    files = {MAIN: data, **{f"/etc/haproxy/{name}": value.encode() for name, value in others.items()}}

    def load(path: str) -> Source:
        return Source(path, files[path]) if path in files else Source(path, b"", unreadable="there is no such file")

    return haproxy.read(MAIN, load, lambda _: ())


def only(configuration: Configuration) -> MutualServer:
    assert len(configuration.servers) == 1
    return configuration.servers[0]


def bound(options: str, rules: str = "") -> Configuration:
    return configured(f"frontend api\n  bind :443 ssl crt s.pem no-tls-tickets {options}\n{rules}")


def codes(configuration: Configuration) -> list[tuple[Code, Severity, int | None]]:
    found = [*configuration.ailments, *(one for server in configuration.servers for one in server.ailments)]
    return [(one.code, one.severity, one.place.line if one.place else None) for one in found]


def test_a_bind_that_requires_certificates_is_read_whole() -> None:
    """Bases and default options of global count; HAProxy's depth has no limit that matters."""
    found = configured(
        """global
  ca-base /pki
  crt-base "/my certs"
  ssl-default-bind-options ssl-min-ver TLSv1.1 no-tls-tickets
  tune.ssl.cachesize 0
frontend api  # ours
  bind :443 ssl crt s.pem ca-file ca.pem crl-file crl.pem verify required
"""
    )
    assert found.servers == (
        MutualServer(
            product="haproxy",
            name=":443 (frontend api)",
            place=Place(MAIN, 7),
            verify=Setting("required", Place(MAIN, 7)),
            verifies=Verify.REQUIRED,
            certificates=(Named("/my certs/s.pem", Place(MAIN, 7)),),
            trust=(Named("/pki/ca.pem", Place(MAIN, 7)),),
            crls=(Named("/pki/crl.pem", Place(MAIN, 7)),),
            protocols=("TLSv1.1", "TLSv1.2", "TLSv1.3"),
            protocols_place=Place(MAIN, 4),
        ),
    )


@pytest.mark.parametrize(
    ("options", "verifies"),
    [
        ("ca-file ca.pem verify optional", Verify.OPTIONAL),
        ("ca-file ca.pem", Verify.NONE),
        ("ca-file ca.pem verify none", Verify.NONE),
        ("ca-file ca.pem verify required crt-ignore-err all", Verify.OPTIONAL_UNVERIFIED),
        ("crt-list list ca-verify-file ca.pem verify required", Verify.REQUIRED),
    ],
)
def test_what_is_asked_of_clients_follows_verify(options: str, verifies: Verify) -> None:
    """A ca-file alone asks nobody; ignoring every fault takes any certificate."""
    assert only(bound(options)).verifies is verifies


def test_a_bind_without_client_certificates_is_a_note() -> None:
    """It speaks TLS to anybody."""
    found = bound("")
    assert (found.servers, codes(found)) == ((), [(Code.MTLS_NOT_ENFORCED, Severity.NOTE, 2)])


def test_options_of_a_list_of_certificates_count() -> None:
    """crt-list gives a certificate its own authorities, in brackets."""
    found = configured(
        "frontend api\n  bind :443 ssl crt-list list\n", list="a.pem [ca-file ca.pem verify required] api.test\n"
    )
    server = only(found)
    assert (server.verifies, server.certificates, server.trust) == (
        Verify.REQUIRED,
        (Named("/etc/haproxy/a.pem", Place("/etc/haproxy/list", 1)),),
        (Named("/etc/haproxy/ca.pem", Place("/etc/haproxy/list", 1)),),
    )


@pytest.mark.parametrize(
    ("rules", "line"),
    [
        ("http-request set-header X-DN %[ssl_c_s_dn]", None),
        ("http-request set-header X-DN %[ssl_c_s_dn] if { ssl_c_used }", 3),
        ("http-request del-header X-DN\nhttp-request set-header X-DN %[ssl_c_s_dn] if { ssl_c_used }", None),
        ("http-request add-header X-DN %[ssl_c_s_dn]", 3),
    ],
    ids=["always set", "under a condition", "removed before", "added"],
)
def test_an_identity_header_must_not_come_from_the_caller(rules: str, line: int | None) -> None:
    """It is set for everybody, or removed first."""
    found = bound("ca-file ca.pem verify optional", rules)
    expected = [] if line is None else [(Code.CONFIG_IDENTITY_HEADER, Severity.ERROR, line)]
    assert (codes(found), len(only(found).identity_headers)) == (expected, 1)


def test_another_frontend_to_the_same_backend_must_clear_the_header() -> None:
    """The plain frontend leaves the caller's own header to the application."""
    mutual = "http-request set-header X-DN %[ssl_c_s_dn]\ndefault_backend app\n"
    found = bound(
        "ca-file ca.pem verify required", f"{mutual}frontend plain\nbind :80\ndefault_backend app\nbackend app\n"
    )
    assert codes(found) == [(Code.CONFIG_IDENTITY_HEADER, Severity.ERROR, 5)]


@pytest.mark.parametrize(
    "rule",
    ["http-request deny unless { ssl_c_used }", "acl known ssl_c_verify 0\nhttp-request deny if !known"],
)
def test_an_optional_certificate_may_be_looked_at_by_a_rule(rule: str) -> None:
    """Then it is a note."""
    assert codes(bound("ca-file ca.pem verify optional", rule)) == [(Code.MTLS_OPTIONAL, Severity.NOTE, 2)]


def test_the_authorities_of_the_system_are_everybody() -> None:
    """ca-file @system-ca lets in whoever has a public certificate."""
    assert codes(bound("ca-file @system-ca verify required")) == [(Code.CONFIG_PUBLIC_ROOTS, Severity.ERROR, 2)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bind\t:443 ssl # comment", (("bind", ":443", "ssl"), "")),
        (r"a\ b 'c \d' " + '"e \\" $X"', (("a b", r"c \d", 'e " $X'), "")),
        ('log-format "%ci#" \\#', (("log-format", "%ci#", "#"), "")),
        ("a ''", (("a", ""), "")),
        ('a "b', (("a", "b"), "a quotation mark is not closed")),
    ],
)
def test_words_are_parted_as_the_manual_says(text: str, expected: tuple[tuple[str, ...], str]) -> None:
    """Quotes, escapes and comments (§2.2); variables stay."""
    assert words(text) == expected


def test_haproxy_accepts_what_these_tests_are_made_of(tmp_path: Path) -> None:
    """The configuration passes haproxy -c, and its files are found where HAProxy finds them."""
    made = make_material(tmp_path)
    path = tmp_path / "haproxy.cfg"
    path.write_text(f"""global
  ca-base "{tmp_path}"
  crt-base '{tmp_path}'
  ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend api
  bind 127.0.0.1:28501 ssl crt {made.server.both.name} ca-file {made.client_authorities.name} verify optional
  acl known ssl_c_verify 0
  http-request deny if !known
  http-request set-header X-DN %[ssl_c_s_dn] if {{ ssl_c_used }}
  default_backend app
backend app
  server one 127.0.0.1:1
""")
    ran = subprocess.run(["haproxy", "-c", "-f", path], capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr

    def load(name: str) -> Source:
        return Source(name, Path(name).read_bytes())

    server = only(haproxy.read(str(path), load))
    assert [one.path for one in (*server.certificates, *server.trust)] == [
        str(made.server.both),
        str(made.client_authorities),
    ]


_PIECES = st.sampled_from(
    [
        "global",
        "frontend",
        "listen",
        "bind",
        "ssl",
        "crt",
        "ca-file",
        "verify",
        "required",
        "crt-list",
        "\n",
        "\n",
        " ",
        '"',
        "'",
        "\\",
        "#",
        "http-request",
        "set-header",
        "X",
        "%[ssl_c_s_dn]",
        "if",
        "{",
        "default_backend",
        "acl",
        "ssl-min-ver",
        "tune.ssl.lifetime",
        "9d",
        "²",
        "ca-base",
        "no-tls-tickets",
    ]
)


@given(st.one_of(st.binary(max_size=200), st.lists(_PIECES, max_size=60).map(lambda parts: " ".join(parts).encode())))
def test_no_octets_raise(data: bytes) -> None:
    """Whatever the file holds, there is an answer."""
    assert configured(data).product == "haproxy"
