"""nginx's configuration, read as nginx reads it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.doctor.config import nginx
from handclasp.doctor.config.model import Configuration, MutualServer, Named, Setting, Verify
from handclasp.doctor.diagnosis import Place, Severity
from handclasp.doctor.sources import Source
from handclasp.findings import Code
from handclasp.testing.servers.material import make_material

MAIN = "/etc/nginx/nginx.conf"
TLS = "listen 443 ssl; ssl_certificate s.pem; ssl_certificate_key s.key;"


def configured(files: Mapping[str, str | bytes]) -> Configuration:
    octets = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}

    def load(path: str) -> Source:
        if path in octets:
            return Source(path, octets[path])
        return Source(path, b"", unreadable="there is no such file")

    return nginx.read(MAIN, load, lambda pattern: sorted(path for path in octets if fnmatch(path, pattern)))


def http(text: str) -> Configuration:
    return configured({MAIN: f"events {{}}\nhttp {{\n{text}\n}}\n"})


def only(configuration: Configuration) -> MutualServer:
    assert len(configuration.servers) == 1
    return configuration.servers[0]


def codes(configuration: Configuration) -> list[tuple[Code, Severity, int | None]]:
    found = [*configuration.ailments, *(one for server in configuration.servers for one in server.ailments)]
    return [(one.code, one.severity, one.place.line if one.place else None) for one in found]


def test_a_server_that_requires_certificates_is_read_whole() -> None:
    """Every setting has its value and the line where it stands; what is not set has nginx's default."""
    text = f"""server {{
{TLS}
server_name api.test;
ssl_client_certificate ca.pem;
ssl_verify_client on;
ssl_crl /pki/crl.pem;
ssl_verify_depth 2;
ssl_protocols TLSv1.3;
ssl_session_tickets off;
}}"""
    assert http(text).servers == (
        MutualServer(
            product="nginx",
            name="443 (api.test)",
            place=Place(MAIN, 3),
            verify=Setting("on", Place(MAIN, 7)),
            verifies=Verify.REQUIRED,
            certificates=(Named("/etc/nginx/s.pem", Place(MAIN, 4)),),
            keys=(Named("/etc/nginx/s.key", Place(MAIN, 4)),),
            trust=(Named("/etc/nginx/ca.pem", Place(MAIN, 6)),),
            crls=(Named("/pki/crl.pem", Place(MAIN, 8)),),
            depth=2,
            depth_place=Place(MAIN, 9),
            protocols=("TLSv1.3",),
            protocols_place=Place(MAIN, 10),
            resumes=None,
        ),
    )


def test_settings_are_inherited_from_http_and_through_includes() -> None:
    """A server in an included file takes what http sets; each place names the file that it is in."""
    found = configured(
        {
            MAIN: "http {\nssl_client_certificate ca.pem;\nssl_verify_client on;\ninclude conf.d/*.conf;\n}",
            "/etc/nginx/conf.d/a.conf": f"server {{ {TLS} }}",
        }
    )
    server = only(found)
    assert (server.verify, server.place, server.trust) == (
        Setting("on", Place(MAIN, 3)),
        Place("/etc/nginx/conf.d/a.conf", 1),
        (Named("/etc/nginx/ca.pem", Place(MAIN, 2)),),
    )
    assert found.files == (MAIN, "/etc/nginx/conf.d/a.conf")


@pytest.mark.parametrize(
    ("settings", "verifies"),
    [
        ("ssl_verify_client optional; ssl_client_certificate ca.pem;", Verify.OPTIONAL),
        ("ssl_verify_client optional_no_ca;", Verify.OPTIONAL_UNVERIFIED),
        ("ssl_client_certificate ca.pem;", Verify.NONE),
        ("ssl_client_certificate ca.pem; ssl_verify_client off;", Verify.NONE),
        ("ssl_trusted_certificate ca.pem;", Verify.NONE),
    ],
)
def test_what_is_asked_of_clients_follows_ssl_verify_client(settings: str, verifies: Verify) -> None:
    """Where authorities are named and verification is not turned on, it was forgotten: the server is told of."""
    assert only(http(f"server {{ {TLS} {settings} }}")).verifies is verifies


def test_a_server_without_client_certificates_is_a_note() -> None:
    """It speaks TLS; ssl_trusted_certificate is there for stapling only."""
    found = http(f"server {{ {TLS} ssl_stapling on; ssl_trusted_certificate chain.pem; }}")
    assert (found.servers, codes(found)) == ((), [(Code.MTLS_NOT_ENFORCED, Severity.NOTE, 3)])


def test_stream_servers_count_too() -> None:
    """TLS that is not HTTP is configured in stream."""
    found = configured({MAIN: f"stream {{ server {{ {TLS} ssl_verify_client on; ssl_client_certificate ca.pem; }} }}"})
    assert only(found).verifies is Verify.REQUIRED


def test_a_location_with_headers_of_its_own_loses_the_identity_header() -> None:
    """proxy_set_header replaces those above it, so that the caller's own header goes through."""
    found = http(f"""server {{ {TLS} ssl_verify_client on; ssl_client_certificate ca.pem; ssl_protocols TLSv1.3;
proxy_set_header X-SSL-DN $ssl_client_s_dn;
location / {{ proxy_pass http://app; }}
location /v2 {{
proxy_set_header Host $host;
proxy_pass http://app;
}} }}""")
    server = only(found)
    assert server.identity_headers == (Setting("X-SSL-DN $ssl_client_s_dn", Place(MAIN, 4)),)
    assert codes(found) == [(Code.CONFIG_IDENTITY_HEADER, Severity.ERROR, 8)]
    assert server.ailments[0].fixes[0].configuration == ("proxy_set_header X-SSL-DN $ssl_client_s_dn;",)


def test_another_server_to_the_same_place_must_clear_the_header() -> None:
    """Plain HTTP on port 80 leads a caller with a header of his own to the same application."""
    mutual = f"""server {{ {TLS} ssl_verify_client on; ssl_client_certificate ca.pem; ssl_protocols TLSv1.3;
proxy_set_header X-SSL-DN $ssl_client_s_dn; location / {{ proxy_pass http://app; }} }}"""
    loose = "\nserver { listen 80; location / { proxy_pass http://app/; } }"
    safe = '\nserver { listen 80; location / { proxy_set_header X-SSL-DN ""; proxy_pass http://app/; } }'
    assert codes(http(mutual + loose)) == [(Code.CONFIG_IDENTITY_HEADER, Severity.ERROR, 5)]
    assert codes(http(mutual + safe)) == []


@pytest.mark.parametrize(
    ("check", "severity"),
    [
        ("if ($ssl_client_verify != SUCCESS) { return 403; }", Severity.NOTE),
        ("location /a { if ($ssl_client_verify != SUCCESS) { return 403; } }", Severity.WARNING),
    ],
)
def test_an_optional_certificate_may_be_looked_at_by_a_rule(check: str, severity: Severity) -> None:
    """A check for the whole server is as good as requiring one; one in a location leaves the rest open."""
    found = http(
        f"server {{ {TLS} ssl_protocols TLSv1.3; ssl_client_certificate ca.pem; ssl_verify_client optional;\n{check} }}"
    )
    assert codes(found) == [(Code.MTLS_OPTIONAL, severity, 3)]


def test_long_sessions_are_a_warning() -> None:
    """Five minutes, the default, are not."""
    text = f"server {{ {TLS} ssl_protocols TLSv1.3; ssl_client_certificate ca.pem; ssl_verify_client on;\n"
    assert codes(http(f"{text}ssl_session_timeout 1d; }}")) == [(Code.CONFIG_RESUMPTION, Severity.WARNING, 4)]
    assert codes(http(f"{text}ssl_session_timeout 5m; }}")) == []


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, (Code.CONFIG_UNREADABLE, None)),
        ({MAIN: "http {\nserver {\n"}, (Code.CONFIG_UNREADABLE, 2)),
        ({MAIN: "http {\n\ninclude gone.conf; }"}, (Code.CONFIG_FILE_MISSING, 3)),
        ({MAIN: "include nginx.conf;"}, (Code.CONFIG_UNREADABLE, None)),
    ],
    ids=["no file", "not closed", "no include", "a circle"],
)
def test_what_cannot_be_read_is_told_with_its_line(files: dict[str, str], expected: tuple[Code, int | None]) -> None:
    """A finding, never an exception."""
    found = configured(files)
    assert [(one.code, one.place.line if one.place else None) for one in found.ailments] == [expected]


def test_nginx_accepts_what_these_tests_are_made_of(tmp_path: Path) -> None:
    """The configuration passes nginx -t, and its files are found where nginx finds them."""
    made = make_material(tmp_path)
    path = tmp_path / "nginx.conf"
    temporary = " ".join(
        f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    path.write_text(f"""pid {tmp_path}/pid; error_log {tmp_path}/log;
events {{}}
http {{ access_log off; {temporary}
include part*.conf;
}}""")
    (tmp_path / "part1.conf").write_text(f"""server {{
listen 127.0.0.1:28500 ssl; ssl_certificate {made.server.chain.name}; ssl_certificate_key {made.server.key.name};
ssl_client_certificate {made.client_authorities.name}; ssl_verify_client optional;
if ($ssl_client_verify != SUCCESS) {{ return 403; }}
location / {{ proxy_set_header X-SSL-DN $ssl_client_s_dn; proxy_pass http://127.0.0.1:1; }}
}}""")
    ran = subprocess.run(
        ["nginx", "-t", "-c", path, "-p", tmp_path, "-e", tmp_path / "log"], capture_output=True, check=False
    )
    assert ran.returncode == 0, ran.stderr

    def load(name: str) -> Source:
        return Source(name, Path(name).read_bytes())

    server = only(nginx.read(str(path), load))
    assert [one.path for one in (*server.certificates, *server.keys, *server.trust)] == [
        str(one) for one in (made.server.chain, made.server.key, made.client_authorities)
    ]


def test_a_key_in_the_configuration_is_told_and_not_shown() -> None:
    """Neither the finding nor the errors around it hold any of it."""
    found = configured({MAIN: "http {\n-----BEGIN PRIVATE KEY-----\nsecretsecret;\n"})
    assert Code.FILE_KEY_IN_CONFIG in [one.code for one in found.ailments]
    assert "secretsecret" not in repr(found)


_PIECES = st.sampled_from(
    [
        "http",
        "server",
        "location",
        "{",
        "}",
        ";",
        " ",
        "\n",
        '"',
        "'",
        "\\",
        "$",
        "${",
        "#",
        "include",
        "nginx.conf",
        "ssl_verify_client",
        "on",
        "optional",
        "if",
        "(",
        ")",
        "proxy_pass",
        "proxy_set_header",
        "listen",
        "443",
        "ssl",
        "ssl_session_timeout",
        "1d",
        "ssl_verify_depth",
        "map",
        "*",
    ]
)


@given(st.one_of(st.binary(max_size=200), st.lists(_PIECES, max_size=60).map(lambda parts: " ".join(parts).encode())))
def test_no_octets_raise(data: bytes) -> None:
    """Whatever the file holds, there is an answer."""
    assert configured({MAIN: data}).product == "nginx"


def test_deep_blocks_do_not_raise() -> None:
    """Neither crossplane's recursion nor ours comes out."""
    assert Code.CONFIG_UNREADABLE in [one.code for one in http("location / {" * 5000 + "}" * 5000).ailments]
