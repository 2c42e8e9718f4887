"""Apache's configuration as httpd itself reads it: whom a host asks, what it trusts, and what it hands on."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.doctor.config import apache
from handclasp.doctor.config.model import Configuration, Load, MutualServer, Named, Setting, Verify
from handclasp.doctor.diagnosis import Place, Severity
from handclasp.doctor.sources import Source
from handclasp.findings import Code

MAIN = "/etc/httpd/httpd.conf"
_MODULES = Path("/usr/lib/apache2/modules")


def _load(files: Mapping[str, str | bytes]) -> Load:
    def load(path: str) -> Source:
        found = files.get(path)
        if found is None:
            return Source(path, b"", unreadable="there is no such file")
        return Source(path, found if isinstance(found, bytes) else found.encode())

    return load


def _read(text: str | bytes, **files: str) -> Configuration:
    others = {f"/etc/httpd/{name.replace('__', '.')}": one for name, one in files.items()}
    listed = tuple(sorted(others))
    return apache.read(
        MAIN, _load({MAIN: text, **others}), lambda pattern: [one for one in listed if fnmatch(one, pattern)]
    )


def _host(*lines: str, before: str = "") -> MutualServer:
    text = "\n".join([before, "<VirtualHost *:443>", "SSLEngine on", *lines, "</VirtualHost>"])
    return _read(text).servers[0]


def _found(server: MutualServer) -> list[tuple[Code, Severity, int | None]]:
    return [(one.code, one.severity, one.place.line if one.place else None) for one in server.ailments]


_GOOD = """ServerRoot "/srv/httpd"
Define CA /etc/ssl/ca.pem
<IfModule mod_ssl.c>
<VirtualHost 10.0.0.1:443>
  ServerName api.example.com
  SSLEngine on
  SSLProtocol all -SSLv3 -TLSv1 -TLSv1.1
  SSLCertificateFile "server.pem"
  SSLCertificateKeyFile \\
    /etc/ssl/server.key
  SSLCACertificateFile ${CA}
  SSLCARevocationFile crl.pem
  SSLCARevocationCheck chain
  SSLVerifyClient require
  SSLVerifyDepth 3
  SSLSessionTickets off
  SSLSessionCache none
  RequestHeader set X-DN "%{SSL_CLIENT_S_DN}s"
</VirtualHost>
</IfModule>
"""


def test_a_host_is_read_whole() -> None:
    """Quotes, continued lines, variables and ServerRoot count, and each setting has its line."""

    def at(line: int) -> Place:
        return Place(MAIN, line)

    assert _read(_GOOD) == Configuration(
        "apache",
        (MAIN,),
        (
            MutualServer(
                product="apache",
                name="10.0.0.1:443 (api.example.com)",
                place=at(4),
                verify=Setting("require", at(14)),
                verifies=Verify.REQUIRED,
                certificates=(Named("/srv/httpd/server.pem", at(8)),),
                keys=(Named("/etc/ssl/server.key", at(9)),),
                trust=(Named("/etc/ssl/ca.pem", at(11)),),
                crls=(Named("/srv/httpd/crl.pem", at(12)),),
                depth=2,
                depth_place=at(15),
                protocols=("TLSv1.2", "TLSv1.3"),
                protocols_place=at(7),
                resumes=None,
                identity_headers=(Setting("X-DN %{SSL_CLIENT_S_DN}s", at(18)),),
            ),
        ),
    )


def test_defaults_are_those_of_mod_ssl() -> None:
    """No room for an intermediate, all versions, tickets."""
    host = _host("SSLVerifyClient require", "SSLCACertificateFile /ca.pem")
    assert (host.depth, host.depth_place, host.protocols, host.resumes) == (
        0,
        None,
        ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
        Setting("SSLSessionTickets on (the default)", Place(MAIN, 2)),
    )


def test_a_crl_that_is_not_checked_is_no_crl() -> None:
    """SSLCARevocationFile alone lets revoked certificates in."""
    host = _host("SSLVerifyClient require", "SSLCACertificateFile /ca.pem", "SSLCARevocationFile /crl.pem")
    assert (host.crls, _found(host)) == ((), [(Code.CONFIG_NO_REVOCATION, Severity.ERROR, 6)])


_CA = "SSLCACertificateFile /ca.pem"


@pytest.mark.parametrize(
    ("lines", "verifies", "found"),
    [
        (("SSLVerifyClient optional", _CA), Verify.OPTIONAL, [(Code.MTLS_OPTIONAL, Severity.WARNING, 4)]),
        (("SSLVerifyClient optional_no_ca", _CA), Verify.OPTIONAL_UNVERIFIED,
         [(Code.MTLS_NOT_ENFORCED, Severity.ERROR, 4)]),
        (("SSLVerifyClient optional", _CA, "<Location />", 'Require expr "%{SSL_CLIENT_VERIFY} == \'SUCCESS\'"',
          "</Location>"), Verify.OPTIONAL, [(Code.MTLS_OPTIONAL, Severity.NOTE, 4)]),
        (("SSLVerifyClient optional", _CA, "<Location /api>", "Require ssl-verify-client", "</Location>"),
         Verify.OPTIONAL, [(Code.MTLS_OPTIONAL, Severity.WARNING, 4)]),
        ((_CA,), Verify.NONE, [(Code.MTLS_NOT_ENFORCED, Severity.ERROR, 4)]),
        (("SSLVerifyClient require",), Verify.REQUIRED, [(Code.TRUST_STORE_UNREADABLE, Severity.ERROR, 4)]),
        ((_CA, "<Location /api>", "SSLVerifyClient require", "</Location>"), Verify.REQUIRED,
         [(Code.CLIENT_CERT_MISSING, Severity.WARNING, 6)]),
        ((_CA, "SSLVerifyClient require", "SSLEngine off"), Verify.NONE, [(Code.MTLS_NOT_ENFORCED, Severity.ERROR, 5)]),
        ((_CA, "SSLVerifyClient require", "SSLVerifyDepth 0"), Verify.REQUIRED,
         [(Code.CONFIG_DEPTH_TOO_SMALL, Severity.WARNING, 6)]),
        ((_CA, "SSLVerifyClient require", "SSLCARevocationCheck chain"), Verify.REQUIRED,
         [(Code.SERVER_CRL_MISSING, Severity.ERROR, 6)]),
        ((_CA, "SSLVerifyClient require", "SSLOptions +FakeBasicAuth"), Verify.REQUIRED,
         [(Code.CONFIG_IDENTITY_HEADER, Severity.NOTE, 6)]),
    ],
    ids=["optional", "no ca", "checked", "checked in part", "forgotten", "no trust", "location", "no engine", "depth 0",
         "check without crl", "basic"],
)  # fmt: skip
def test_what_is_demanded(
    lines: tuple[str, ...], verifies: Verify, found: list[tuple[Code, Severity, int | None]]
) -> None:
    """What a host really demands, and the finding at its line."""
    host = _host(*lines)
    assert (host.verifies, _found(host)) == (verifies, found)


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (['RequestHeader set X-DN "%{SSL_CLIENT_S_DN}s"'], []),
        (['RequestHeader add X-DN "%{SSL_CLIENT_S_DN}s"'], [6]),
        (["RequestHeader unset x-dn", 'RequestHeader add X-DN "%{SSL_CLIENT_S_DN}s"'], []),
        (['RequestHeader set X-DN "%{SSL_CLIENT_S_DN}s" env=TRUSTED'], [6]),
        (['RequestHeader set X-DN "%{SSL_CLIENT_S_DN}e"'], [6]),
        (["SSLOptions +StdEnvVars", 'RequestHeader set X-DN "%{SSL_CLIENT_S_DN}e"'], []),
        (["<Location /a>", 'RequestHeader set X-DN "%{SSL_CLIENT_S_DN}s"', "</Location>"], []),
        (["ProxyPass / http://app/", "<Location /a>", 'RequestHeader set X-DN "%{SSL_CLIENT_S_DN}s"', "</Location>"],
         [8]),
    ],
    ids=["set", "add", "unset", "condition", "no environment", "environment", "location", "other way"],
)  # fmt: skip
def test_identity_headers(lines: list[str], found: list[int]) -> None:
    """A header that a caller can fill is found, at its line."""
    host = _host("SSLVerifyClient require", _CA, *lines)
    assert _found(host) == [
        (Code.CONFIG_IDENTITY_HEADER, Severity.WARNING if "}e" in lines[-1] else Severity.ERROR, line) for line in found
    ]


def test_a_host_takes_over_what_the_main_server_says() -> None:
    """Settings above the hosts count in each."""
    host = _host(before="SSLVerifyClient require\nSSLCACertificateFile ca.pem\nSSLVerifyDepth 4")
    assert (host.verifies, host.trust, host.depth) == (
        Verify.REQUIRED,
        (Named("/etc/httpd/ca.pem", Place(MAIN, 2)),),
        3,
    )


def test_includes_are_read_in_their_place() -> None:
    """With globs, and with the file and line of what they hold."""
    found = _read("IncludeOptional *.conf\nIncludeOptional none.conf", a__conf=_GOOD)
    assert (found.files, found.servers[0].verify.place, found.ailments) == (
        (MAIN, "/etc/httpd/a.conf"),
        Place("/etc/httpd/a.conf", 14),
        (),
    )


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("\n<VirtualHost *:443>\nSSLEngine on", Code.CONFIG_UNREADABLE, Place(MAIN, 2)),
        ("</VirtualHost>", Code.CONFIG_UNREADABLE, Place(MAIN, 1)),
        ("<VirtualHost *:443>\n<Location />\n</VirtualHost>", Code.CONFIG_UNREADABLE, Place(MAIN, 3)),
        ('SSLCACertificateFile "ca.pem', Code.CONFIG_UNREADABLE, Place(MAIN, 1)),
        ("\nInclude missing.conf", Code.CONFIG_FILE_MISSING, Place(MAIN, 2)),
        ("# -----BEGIN PRIVATE KEY-----", Code.FILE_KEY_IN_CONFIG, Place(MAIN, 1)),
        ("\0", Code.CONFIG_UNREADABLE, Place(MAIN)),
    ],
    ids=["open", "closed", "crossed", "quote", "include", "key", "null"],
)
def test_faults_of_the_file(text: str, code: Code, place: Place) -> None:
    """Each is told with its file and line."""
    assert [(one.code, one.place) for one in _read(text).ailments] == [(code, place)]


def test_a_circle_of_includes_ends() -> None:
    """A file that includes itself is a finding, not a hang."""
    assert {one.code for one in _read("Include httpd.conf").ailments} == {Code.CONFIG_UNREADABLE}


def test_an_option_that_is_not_taken() -> None:
    """A block for when mod_ssl is missing does not count."""
    host = _host("SSLVerifyClient require", _CA, "<IfModule !mod_ssl.c>", "SSLVerifyClient none", "</IfModule>")
    assert host.verifies is Verify.REQUIRED


@given(st.binary(max_size=300))
def test_octets_never_raise(data: bytes) -> None:
    """Whatever the file holds."""
    assert _read(data).product == "apache"


@given(st.lists(st.sampled_from([*_GOOD.split(), "\n", '"', "<", ">", "\\\n", "</VirtualHost>", "<If", "${CA}"])))
def test_words_never_raise(words: list[str]) -> None:
    """Nor its own words in any order."""
    assert _read(" ".join(words)).product == "apache"


@pytest.mark.parametrize("name", ["site", "header"])
def test_httpd_takes_the_configuration(name: str, tmp_path: Path) -> None:
    """What these tests read, the program itself reads without a fault."""
    modules = ("mpm_event", "authz_core", "ssl", "headers")
    lines = [f"LoadModule {one}_module {_MODULES}/mod_{one}.so" for one in modules]
    text = {
        "site": "SSLVerifyClient optional\n<Location />\nRequire ssl-verify-client\n</Location>",
        "header": 'SSLVerifyClient require\nRequestHeader unset X-DN\nRequestHeader add X-DN "%{SSL_CLIENT_S_DN}s"',
    }[name]
    _certificate(tmp_path)
    path = tmp_path / "httpd.conf"
    path.write_text(
        "\n".join(
            [
                f"ServerRoot {tmp_path}",
                f"DefaultRuntimeDir {tmp_path}",
                "ServerName localhost",
                f"ErrorLog {tmp_path}/log",
                "Listen 127.0.0.1:1",
                *lines,
                "<VirtualHost *:443>",
                "SSLEngine on",
                "SSLCertificateFile s.pem",
                "SSLCertificateKeyFile \\\n s.key",
                "SSLCACertificateFile s.pem",
                text,
                "</VirtualHost>",
            ]
        )
    )
    done = subprocess.run(
        ["/usr/sbin/apache2", "-t", "-f", str(path)], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr.strip().splitlines()[-1:]) == (0, ["Syntax OK"])
    found = apache.read(str(path), lambda one: Source(one, Path(one).read_bytes()))
    assert (found.ailments, [one.keys[0].path for one in found.servers]) == ((), [f"{tmp_path}/s.key"])


def _certificate(directory: Path) -> None:
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=s -keyout s.key -out s.pem"
    )
    subprocess.run(command.split(), cwd=directory, check=True, capture_output=True, timeout=30)
