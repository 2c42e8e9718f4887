"""Authorities whose root is elsewhere, or that existed before: as a person makes them, checked by openssl."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from handclasp.testing.site import handclasp

SECRET = {"HANDCLASP_CA_PASSPHRASE": "correct horse battery staple"}


def openssl(directory: Path, *arguments: str) -> str:
    """What openssl prints."""
    done = subprocess.run(
        ["openssl", *arguments], cwd=directory, capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout


@pytest.fixture
def machines(tmp_path: Path) -> tuple[Path, Path]:
    """Two directories that stand for the offline and the online machine."""
    offline, online = tmp_path / "offline", tmp_path / "online"
    offline.mkdir()
    online.mkdir()
    return offline, online


def state(directory: Path) -> dict[str, str]:
    """Each authority with its state."""
    told = json.loads(handclasp(directory, "ca", "show", "--json").stdout)
    return {one["name"]: one["state"] for one in told["authorities"]}


def test_the_root_stays_offline(machines: tuple[Path, Path]) -> None:
    """Root made and encrypted offline, request online, signed offline, installed online, where no root key ever is."""
    offline, online = machines
    handclasp(offline, "ca", "root", "--trust-domain", "example.org", "--out", "root.pem", environment=SECRET)
    handclasp(online, "ca", "csr", "--trust-domain", "example.org", "--out", "issuing.csr")
    assert state(online) == {"issuing": "requested"}
    handclasp(offline, "ca", "sign", "../online/issuing.csr", "--out", "../online/issuing.pem", environment=SECRET)
    handclasp(online, "ca", "install", "issuing.pem")
    assert state(online) == {"issuing": "active", "root": "active"}
    handclasp(online, "cert", "issue", "--profile", "server", "--dns", "api.example.org", "--out", "api", check=False)
    (online / "handclasp.yaml").write_text(
        "trust_domain: example.org\nservices:\n  a: {listen: 1, hosts: [a], upstream: 'http://a'}\n"
    )
    handclasp(online, "cert", "issue", "--profile", "server", "--dns", "api.example.org", "--out", "api")
    verified = openssl(
        online, "verify", "-CAfile", str(offline / "root.pem"), "-untrusted", "api/chain.pem", "-purpose", "sslserver",
        "-verify_hostname", "api.example.org", "api/chain.pem",
    )  # fmt: skip
    assert verified == "api/chain.pem: OK\n"
    assert sorted(path.name for path in (online / ".handclasp" / "ca").iterdir()) == ["issuing.key"]
    refused = handclasp(offline, "client", "list", check=False, environment=SECRET)
    assert (refused.returncode, "AUTHORITY_UNKNOWN" in refused.stderr) == (2, True)
    assert state(offline) == {"root": "active"}
    handclasp(offline, "ca", "crl", "--out", "../online/root.crl", environment=SECRET)
    assert "of root is published" in handclasp(online, "ca", "install-crl", "root.crl").stdout
    assert b"ENCRYPTED" in (offline / ".handclasp" / "ca" / "root.key").read_bytes()


def test_an_encrypted_key_is_not_taken_for_none(tmp_path: Path) -> None:
    """Without its passphrase nothing is imported: a root without a key would be there, and its key not."""
    openssl(
        tmp_path, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-passout", "pass:corp",
        "-keyout", "corp.key", "-out", "corp.pem", "-days", "900", "-subj", "/CN=Corp",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign",
    )  # fmt: skip
    (tmp_path / "none").write_text("\n")
    (tmp_path / "right").write_text("corp\n")
    call = ("ca", "import", "corp.pem", "corp.key", "--trust-domain", "example.org", "--password-file")
    refused = handclasp(tmp_path, *call, "none", check=False)
    assert (refused.returncode, "FILE_PASSPHRASE_MISSING" in refused.stderr) == (2, True)
    handclasp(tmp_path, *call, "right")
    assert [path.name for path in (tmp_path / ".handclasp" / "ca").iterdir()] == ["root.key"]


def test_a_root_crl_of_another_form_is_refused(tmp_path: Path) -> None:
    """Without a number, as openssl makes them if nobody asks for one: said, and nothing is published."""
    handclasp(tmp_path, "ca", "root", "--trust-domain", "example.org", "--unencrypted", "--out", "root.pem")
    (tmp_path / "index.txt").touch()
    (tmp_path / "ca.cnf").write_text(
        "[ca]\ndefault_ca = c\n[c]\ndatabase = index.txt\ndefault_md = sha384\ndefault_crl_days = 9\n"
    )
    openssl(
        tmp_path, "ca", "-config", "ca.cnf", "-gencrl", "-cert", "root.pem", "-keyfile", ".handclasp/ca/root.key",
        "-out", "root.crl",
    )  # fmt: skip
    refused = handclasp(tmp_path, "ca", "install-crl", "root.crl", check=False)
    assert (refused.returncode, "it has no number" in refused.stderr) == (2, True)
    too_long = handclasp(tmp_path, "ca", "crl", "--lifetime", "99999999d", check=False)
    assert (too_long.returncode, "longer than a hundred years" in too_long.stderr) == (2, True)


def test_a_request_is_not_signed_without_the_passphrase(machines: tuple[Path, Path]) -> None:
    """Nor with a wrong one; the message says which, and never the passphrase."""
    offline, online = machines
    handclasp(offline, "ca", "root", "--trust-domain", "example.org", "--out", "root.pem", environment=SECRET)
    handclasp(online, "ca", "csr", "--trust-domain", "example.org", "--out", "issuing.csr")
    none = handclasp(offline, "ca", "sign", "../online/issuing.csr", check=False)
    wrong = handclasp(
        offline,
        "ca",
        "sign",
        "../online/issuing.csr",
        check=False,
        environment={"HANDCLASP_CA_PASSPHRASE": "wr0ng-one"},
    )
    assert (none.returncode, wrong.returncode) == (2, 2)
    assert "KEY_PASSPHRASE_MISSING" in none.stderr
    assert "KEY_PASSPHRASE_WRONG" in wrong.stderr
    assert "wr0ng-one" not in wrong.stderr + wrong.stdout


def test_a_certificate_for_another_key_is_not_installed(machines: tuple[Path, Path]) -> None:
    """A chain that belongs to no request of this machine is refused, and nothing changes."""
    offline, online = machines
    handclasp(offline, "ca", "root", "--trust-domain", "example.org", "--out", "root.pem", environment=SECRET)
    handclasp(online, "ca", "csr", "--trust-domain", "example.org", "--out", "issuing.csr")
    refused = handclasp(online, "ca", "install", str(offline / "root.pem"), check=False)
    assert (refused.returncode, "AUTHORITY_UNUSABLE" in refused.stderr) == (2, True)
    assert state(online) == {"issuing": "requested"}


def test_an_existing_root_is_imported(tmp_path: Path) -> None:
    """A root made with openssl, RSA as they often are: an issuing authority is made below it, and openssl agrees."""
    openssl(
        tmp_path, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "old.key", "-out", "old.pem",
        "-days", "900", "-subj", "/O=Example/CN=Example Root", "-addext", "basicConstraints=critical,CA:TRUE",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign",
    )  # fmt: skip
    handclasp(tmp_path, "ca", "import", "old.pem", "old.key", "--trust-domain", "example.org", stdin=subprocess.DEVNULL)
    (tmp_path / "handclasp.yaml").write_text(
        "trust_domain: example.org\nservices:\n  a: {listen: 1, hosts: [a], upstream: 'http://a'}\n"
    )
    handclasp(tmp_path, "client", "add", "checkout", "--out", "files")
    assert state(tmp_path) == {"root": "active", "issuing": "active"}
    verified = openssl(
        tmp_path,
        "verify",
        "-CAfile",
        "old.pem",
        "-untrusted",
        "files/chain.pem",
        "-purpose",
        "sslclient",
        "files/chain.pem",
    )
    assert verified == "files/chain.pem: OK\n"


def test_an_existing_intermediate_is_imported_from_pkcs12(tmp_path: Path) -> None:
    """An issuing authority below a company root, from PKCS#12: it signs here without its root key."""
    openssl(
        tmp_path, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes",
        "-keyout", "root.key", "-out", "root.pem", "-days", "900", "-subj", "/CN=Company Root",
    )  # fmt: skip
    openssl(
        tmp_path, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "sub.key",
        "-out", "sub.csr", "-subj", "/CN=Company Issuing",
    )  # fmt: skip
    (tmp_path / "sub.ext").write_text(
        "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
    )
    openssl(
        tmp_path, "x509", "-req", "-in", "sub.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial",
        "-out", "sub.pem", "-days", "600", "-extfile", "sub.ext",
    )  # fmt: skip
    openssl(
        tmp_path, "pkcs12", "-export", "-inkey", "sub.key", "-in", "sub.pem", "-certfile", "root.pem",
        "-out", "sub.p12", "-passout", "pass:old secret",
    )  # fmt: skip
    (tmp_path / "secret").write_text("old secret\n")
    handclasp(tmp_path, "ca", "import", "sub.p12", "--password-file", "secret", "--trust-domain", "example.org")
    (tmp_path / "handclasp.yaml").write_text(
        "trust_domain: example.org\nservices:\n  a: {listen: 1, hosts: [a], upstream: 'http://a'}\n"
    )
    handclasp(tmp_path, "client", "add", "checkout", "--out", "files")
    verified = openssl(tmp_path, "verify", "-CAfile", "root.pem", "-untrusted", "files/chain.pem", "files/chain.pem")
    assert verified == "files/chain.pem: OK\n"


def test_a_new_root_comes_from_the_offline_machine(machines: tuple[Path, Path]) -> None:
    """The root is rotated with both roots' keys offline: published when installed, then advanced as any rotation."""
    offline, online = machines
    handclasp(offline, "ca", "root", "--trust-domain", "example.org", "--out", "root.pem", environment=SECRET)
    handclasp(online, "ca", "csr", "--trust-domain", "example.org", "--out", "issuing.csr")
    handclasp(offline, "ca", "sign", "../online/issuing.csr", "--out", "../online/issuing.pem", environment=SECRET)
    handclasp(online, "ca", "install", "issuing.pem")
    handclasp(offline, "ca", "renew-root", "--out", "../online/root-2.pem", environment=SECRET)
    handclasp(online, "ca", "install", "root-2.pem")
    assert state(online) == {"issuing": "active", "root": "active", "root-2": "published"}
    (online / "handclasp.yaml").write_text(
        "trust_domain: example.org\nservices:\n  a: {listen: 1, hosts: [a], upstream: 'http://a'}\n"
    )
    handclasp(online, "ca", "rotate", "advance")
    handclasp(online, "client", "add", "checkout", "--out", "files")
    chain = openssl(online, "crl2pkcs7", "-nocrl", "-certfile", "files/chain.pem")
    (online / "chain.p7b").write_text(chain)
    assert openssl(online, "pkcs7", "-in", "chain.p7b", "-print_certs").count("subject=") == 3  # leaf, issuing, cross
    for root in (offline / "root.pem", online / "files" / "bundle.pem"):
        verified = openssl(online, "verify", "-CAfile", str(root), "-untrusted", "files/chain.pem", "files/chain.pem")
        assert verified == "files/chain.pem: OK\n"
