"""Certificates in files."""

from __future__ import annotations

import base64
import os
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from handclasp.app.kubernetes_yaml import documents
from handclasp.findings import Code
from handclasp.monitor import material
from handclasp.monitor.material import Material
from handclasp.testing import chains
from handclasp.testing.chains import AT, make, make_crl

ROOT = make("Root", authority=True)
LEAF = make("leaf.test", ROOT)
OTHER = make("other.test", ROOT)


def pem(*holders: chains.Holder) -> bytes:
    return b"".join(one.certificate.public_bytes(Encoding.PEM) for one in holders)


def key(holder: chains.Holder) -> bytes:
    made: bytes = holder.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made


def p12(holder: chains.Holder, passphrase: bytes) -> bytes:
    encryption = BestAvailableEncryption(passphrase)
    return serialize_key_and_certificates(b"a", holder.key, holder.certificate, [ROOT.certificate], encryption)


def read(path: Path, passphrase: bytes | None = None) -> Material:
    return material.read(path, passphrase, documents, AT)


def told(found: Material) -> list[tuple[str, str]]:
    """Subjects and places."""
    return [(one.subject, one.place) for one in found.certificates]


def faults(found: Material) -> list[str]:
    return [one.what for one in found.findings]


@pytest.mark.parametrize("form", ["pem", "der", "p12"])
def test_one_file_of_each_form(tmp_path: Path, form: str) -> None:
    """What the name says does not matter."""
    path = tmp_path / "server.crt"
    path.write_bytes({"pem": pem(LEAF), "der": LEAF.der, "p12": p12(LEAF, b"secret")}[form])
    found = read(path, b"secret")
    assert told(found)[0] == ("CN=leaf.test", "server.crt")
    assert found.certificates[0].not_after == AT + timedelta(days=30)
    assert {one.role for one in found.certificates} == {"file"}
    assert found.findings == []


def test_a_directory_with_all_below_it(tmp_path: Path) -> None:
    """In the order of names; keys, hidden files and other things are left alone, and each file is read once."""
    (tmp_path / "b").mkdir()
    (tmp_path / "a.pem").write_bytes(pem(LEAF, ROOT))
    (tmp_path / "b" / "other.crt").write_bytes(pem(OTHER))
    (tmp_path / "b" / "again.crt").symlink_to(tmp_path / "a.pem")
    (tmp_path / "b" / "round").symlink_to(tmp_path)
    (tmp_path / "tls.key").write_bytes(b"not to be read")
    (tmp_path / "privkey.pem").write_bytes(b"not to be read")
    (tmp_path / "server-key.pem").write_bytes(b"not to be read")
    (tmp_path / "README").write_bytes(b"words")
    (tmp_path / ".hidden.pem").write_bytes(b"rubbish")
    found = read(tmp_path)
    assert told(found) == [
        ("CN=leaf.test", "a.pem"),
        ("CN=Root", "a.pem"),
        ("CN=other.test", "b/other.crt"),
    ]
    assert (found.findings, found.files) == ([], 2)


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    """Rubbish, a link to nowhere, a pipe, a store without its passphrase, and a file that is too long."""
    (tmp_path / "a.pem").write_bytes(pem(LEAF))
    (tmp_path / "b.pem").write_bytes(b"rubbish")
    (tmp_path / "c.pem").symlink_to(tmp_path / "nowhere")
    (tmp_path / "d.p12").write_bytes(p12(OTHER, b"secret"))
    os.mkfifo(tmp_path / "e.pem")
    with (tmp_path / "f.pem").open("wb") as file:
        file.truncate(material.MAX_FILE + 1)
    found = read(tmp_path)
    assert told(found) == [("CN=leaf.test", "a.pem")]
    assert faults(found) == [
        "b.pem: it is neither PEM nor DER",
        "c.pem: it cannot be read: No such file or directory",
        "d.p12: no passphrase was given",
        "f.pem: it is no file, or longer than 4 MB",
    ]
    assert {one.code for one in found.findings} == {Code.CHECK_FILE}


@pytest.mark.parametrize(
    ("make_it", "fault"),
    [
        (lambda path: None, "it cannot be read: No such file or directory"),
        (lambda path: path.mkdir(), "there is no certificate in it"),
        (os.mkfifo, "it is no file, or longer than 4 MB"),
        (lambda path: path.write_bytes(b""), "it is empty"),
        (lambda path: path.write_bytes(key(LEAF)), "there is no certificate in it"),
    ],
    ids=["missing", "empty directory", "pipe", "empty", "only a key"],
)
def test_a_target_without_certificates(tmp_path: Path, make_it: object, fault: str) -> None:
    """Is a finding, and waits for nobody."""
    path = tmp_path / "x.pem"
    assert callable(make_it)
    make_it(path)
    assert [what.partition(": ")[2] for what in faults(read(path))] == [fault]


def test_too_much_is_told(tmp_path: Path) -> None:
    """The bounds hold, and nothing is left out in silence."""
    (tmp_path / "a.pem").write_bytes(pem(LEAF) * (material.MAX_CERTIFICATES + 1))
    (tmp_path / "b.pem").write_bytes(pem(OTHER))
    found = read(tmp_path)
    assert len(found.certificates) == material.MAX_CERTIFICATES
    assert "there is more in it than is looked at" in faults(found)[-1]


def test_revocation_lists(tmp_path: Path) -> None:
    """The earliest end of them is kept, and one that has ended is told."""
    good = make_crl(ROOT, ends=AT + timedelta(days=1))
    late = make_crl(ROOT, begins=AT - timedelta(days=9), ends=AT - timedelta(days=2))
    (tmp_path / "a.crl").write_bytes(good.public_bytes(Encoding.PEM))
    assert read(tmp_path).crl_next_update == AT + timedelta(days=1)
    (tmp_path / "b.crl").write_bytes(late.public_bytes(Encoding.DER))
    found = read(tmp_path)
    assert found.crl_next_update == AT - timedelta(days=2)
    assert [(one.code, one.what) for one in found.findings] == [
        (Code.CHAIN_CRL_EXPIRED, "b.crl: the revocation list ended on 2026-05-30 12:00 UTC")
    ]


SECRETS = """\
apiVersion: v1
kind: List
items:
- kind: Secret
  metadata: {{name: web, namespace: shop}}
  type: kubernetes.io/tls
  data:
    tls.crt: {leaf}
    tls.key: AAAA
    keystore.p12: {store}
- kind: Deployment
  metadata: {{name: web}}
---
kind: ConfigMap
metadata: {{name: kube-root-ca.crt}}
data:
  ca.crt: |
{root}
---
kind: Secret
metadata: {{name: broken}}
data: {{tls.crt: '???'}}
stringData: {{other.pem: rubbish}}
---
- not: an object
"""


def test_kubernetes_secrets(tmp_path: Path) -> None:
    """Secrets and config maps, in lists and in several documents; keys are not looked at."""
    text = SECRETS.format(
        leaf=base64.b64encode(pem(LEAF)).decode(),
        store=base64.b64encode(p12(OTHER, b"secret")).decode(),
        root="\n".join(f"    {line}" for line in pem(ROOT).decode().splitlines()),
    )
    path = tmp_path / "secrets.yaml"
    path.write_text(text)
    found = read(path, b"secret")
    assert told(found)[:2] == [
        ("CN=leaf.test", "secrets.yaml: shop/web tls.crt"),
        ("CN=other.test", "secrets.yaml: shop/web keystore.p12"),
    ]
    assert told(found)[-1] == ("CN=Root", "secrets.yaml: kube-root-ca.crt ca.crt")
    assert faults(found) == [
        "secrets.yaml: broken tls.crt: it is not base64",
        "secrets.yaml: broken other.pem: it is neither PEM nor DER",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: [\n", "it is not YAML: did not find expected node content in line 2"),
        ("a: &x 1\nb: *x", "there is an alias in it, which no secret needs"),
        ("[" * 50, "it is nested more than 40 levels deep"),
        ("? [a]\n: 1", "it is not YAML: found unhashable key in line 1"),
        ("a: \x00", "it is not YAML: there are characters in it that cannot be printed"),
        ("kind: Secret\ndata: [1]", "there is no certificate in it"),
        ("kind: List\nitems: {a: b}", "there is no certificate in it"),
        ("- !!python/object/apply:os.system [x]", "there is no certificate in it"),
    ],
)
def test_yaml_of_a_stranger(tmp_path: Path, text: str, fault: str) -> None:
    """Nothing is made from it but text, lists and mappings."""
    path = tmp_path / "x.yml"
    path.write_text(text)
    assert [what.partition(": ")[2] for what in faults(read(path))] == [fault]


@pytest.mark.parametrize(
    ("text", "is_file"),
    [
        ("/etc/ssl", True),
        ("./tls", True),
        ("../a", True),
        ("server.pem", True),
        ("keys/store.P12", True),
        ("api.example.org", False),
        ("api.example.org:443", False),
        ("https://a.test/chain.pem", False),
        ("unix:/run/x.crt", False),
    ],
)
def test_which_targets_are_files(text: str, is_file: bool) -> None:
    """By how they begin, or by their suffix."""
    assert material.is_file_name(text) is is_file
