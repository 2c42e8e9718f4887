"""`handclasp convert` and `handclasp inspect` as commands, their files read by openssl and keytool."""

from __future__ import annotations

import json
import os
import pty
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.files.conftest import PASSPHRASE, READ_BY_OPENSSL, House, Openssl, house_of, spki, write

from handclasp.cli.main import main
from handclasp.findings import Code
from handclasp.pki import containers, pkcs12
from handclasp.pki.keys import KeyType

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "convert.md"


class Said(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


Run = Callable[..., Said]


@pytest.fixture
def run(written: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Run `handclasp` with these words in the directory with the files of the house."""
    monkeypatch.chdir(written)
    monkeypatch.delenv("HANDCLASP_P12_PASSWORD", raising=False)

    def act(*words: str) -> Said:
        capfdbinary.readouterr()
        try:
            main(list(words))
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = capfdbinary.readouterr()
        return Said(code, out.decode("latin-1"), err.decode())

    return act


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


def keytool(directory: Path, *words: str) -> str:
    done = subprocess.run(
        ["keytool", *words, "-storepass:file", "pass"], check=False, capture_output=True, text=True, cwd=directory,
        timeout=60, env={**os.environ, "LC_ALL": "C", "JAVA_TOOL_OPTIONS": "-Duser.language=en"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", READ_BY_OPENSSL, ids=str)
def test_pkcs12_is_read_by_openssl_and_java(kind: KeyType, run: Run, tmp_path: Path, openssl: Openssl) -> None:
    """Inputs in any order; the leaf first. Java lists the entry and signs a request with its key."""
    house = house_of(kind)
    write(house, tmp_path)
    words = ["root.pem", "key.pem", "leaf.pem", "issuing.pem", "--to", "p12", "--java", "--name", "Orders"]
    assert run("convert", *words, "--out", "o.p12", "--out-password-file", "pass").code == 0
    assert mode(tmp_path / "o.p12") == "0o600"
    said = openssl("pkcs12", "-in", "o.p12", "-passin", "file:pass", "-nodes").decode()
    found = containers.read(said.encode())
    assert [one.certificate for one in found.certificates] == list(house.chain)
    assert [spki(one.key) for one in found.keys] == [spki(house.key)]
    listed = keytool(tmp_path, "-list", "-v", "-keystore", "o.p12")
    assert ("Alias name: orders\n" in listed, "Certificate chain length: 3" in listed) == (True, True)
    request = keytool(tmp_path, "-certreq", "-alias", "orders", "-keystore", "o.p12", "-keypass:file", "pass")
    (made,) = containers.read(request.encode()).requests
    assert (made.is_signature_valid, spki(made)) == (True, spki(house.key))


def test_a_trust_store_is_used_by_java(run: Run, tmp_path: Path) -> None:
    """Each certificate is a trusted entry under an alias of its own; not more than its owner's key is secret."""
    words = ["root.pem", "issuing.pem", "--to", "p12", "--java", "--name", "our", "--out", "t.p12"]
    assert run("convert", *words, "--out-password-file", "pass").code == 0
    listed = keytool(tmp_path, "-list", "-keystore", "t.p12")
    assert re.findall(r"^(\S+), .*trustedCertEntry", listed, re.MULTILINE) == ["our", "our-2"]
    assert mode(tmp_path / "t.p12") == "0o644"


def test_a_store_of_java_with_several_entries(run: Run, tmp_path: Path) -> None:
    """Made by keytool: the keys are named, and one is taken with its chain by --entry."""
    for alias in ("one", "two"):
        keytool(
            tmp_path, "-genkeypair", "-alias", alias, "-keyalg", "EC", "-dname", f"CN={alias}", "-keystore", "j.p12"
        )
    keytool(tmp_path, "-importcert", "-noprompt", "-alias", "root", "-file", "root.pem", "-keystore", "j.p12")
    refused = run("convert", "j.p12", "--password-file", "pass", "--to", "pem", "--out", "x.pem")
    assert (refused.code, Code.FILE_UNSUITABLE in refused.err, "one, two" in refused.err) == (2, True, True)
    words = ["convert", "j.p12", "--password-file", "pass", "--to", "pem", "--entry", "two", "--out", "x.pem"]
    assert run(*words).code == 0
    found = containers.read((tmp_path / "x.pem").read_bytes())
    assert [one.certificate.subject.rfc4514_string() for one in found.certificates] == ["CN=two"]
    assert len(found.keys) == 1


@pytest.mark.parametrize("kind", [*READ_BY_OPENSSL, KeyType.ML_DSA_65], ids=str)
def test_pem_there_and_back(kind: KeyType, run: Run, tmp_path: Path) -> None:
    """Through DER and encrypted PEM nothing is lost, for every kind of key."""
    house = house_of(kind)
    write(house, tmp_path)
    both = ["key.pem", "leaf.pem", "--to", "pem", "--out", "e.pem", "--out-password-file", "pass"]
    assert run("convert", *both).code == 0
    assert b"ENCRYPTED PRIVATE KEY" in (tmp_path / "e.pem").read_bytes()
    for part, form, out in (
        ("--key-only", "der", "k.der"),
        ("--cert-only", "der", "c.der"),
        ("--chain", "pem", "c.pem"),
    ):
        assert run("convert", "e.pem", "--password-file", "pass", "--to", form, part, "--out", out).code == 0
    assert run("convert", "k.der", "c.der", "--to", "pem", "--out", "again.pem").code == 0
    again = containers.read((tmp_path / "again.pem").read_bytes())
    assert (spki(again.keys[0].key), again.certificates[0].certificate) == (spki(house.key), house.leaf)
    assert [mode(tmp_path / name) for name in ("e.pem", "k.der", "c.der", "c.pem", "again.pem")] == [
        "0o600",
        "0o600",
        "0o644",
        "0o644",
        "0o600",
    ]


def test_pkcs7_is_read_by_openssl(run: Run, written: Path, openssl: Openssl, house: House) -> None:
    """Certificates and CRLs; a key is left out, and that is said."""
    said = run("convert", "crl.pem", "root.pem", "key.pem", "leaf.pem", "issuing.pem", "--to", "p7b", "--out", "c.p7b")
    assert (said.code, "Note: the private key is left out: PKCS#7 holds none.\n" in said.err) == (0, True)
    found = containers.read(openssl("pkcs7", "-in", "c.p7b", "-print_certs"))
    assert [one.certificate for one in found.certificates] == list(house.chain)
    (crl,) = containers.read((written / "c.p7b").read_bytes()).crls
    assert crl.public_bytes(Encoding.PEM) == (written / "crl.pem").read_bytes()


def test_old_pkcs12_to_new(run: Run, written: Path, openssl: Openssl, house: House) -> None:
    """RC2 with 40 bits and 3DES in, AES-256 out, the name kept."""
    legacy = ["pkcs12", "-export", "-legacy", "-in", "leaf.pem", "-inkey", "key.pem", "-name", "old friend"]
    openssl(*legacy, "-passout", "file:pass", "-out", "old.p12")
    words = ["old.p12", "--password-file", "pass", "--to", "p12", "--out", "new.p12", "--out-password-file", "pass"]
    assert run("convert", *words).code == 0
    info = openssl("pkcs12", "-in", "new.p12", "-passin", "file:pass", "-nodes").decode()
    assert "friendlyName: old friend" in info
    assert containers.read((written / "new.p12").read_bytes(), PASSPHRASE).keys[0].name == "old friend"


def test_nothing_is_overwritten(run: Run, written: Path) -> None:
    """Not without --force; with it, the file gets mode 0600 whatever it was. A device is never replaced."""
    (written / "o.pem").write_text("mine")
    (written / "o.pem").chmod(0o666)
    words = ["convert", "key.pem", "leaf.pem", "--to", "pem", "--out"]
    assert (run(*words, "o.pem").code, (written / "o.pem").read_text()) == (2, "mine")
    assert (run(*words, "o.pem", "--force").code, mode(written / "o.pem")) == (0, "0o600")
    refused = run(*words, os.devnull, "--force")
    assert (refused.code, Code.STATE_UNWRITABLE in refused.err) == (2, True)
    assert run(*words, "no/such/place.pem").code == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["key.pem", "root.pem", "--to", "pem", "--out", "x"], "the private key belongs to none of the certificates"),
        (["key.pem", "leaf.pem", "--to", "pem"], "is written to a file"),
        (["key.pem", "leaf.pem", "--to", "der", "--out", "x"], "DER holds one thing, and there are 2"),
        (["key.pem", "--to", "p12", "--out", "x", "--out-password-file", "pass"], "there is no certificate"),
        (["leaf.pem", "--to", "pem", "--key-only"], "there is no private key"),
        (["key.pem", "--to", "p7b"], "there is nothing"),
        (["key.pem", "--to", "p12", "--key-only"], "A key alone is written with"),
        (["leaf.pem", "--to", "pem", "--java"], "--java goes with"),
        (["none.pem", "--to", "pem"], "there is no such file"),
        ([".", "--to", "pem"], "is a directory"),
        (["pass", "--to", "pem"], "it is neither PEM nor DER"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done(run: Run, written: Path, words: list[str], said: str) -> None:
    """Each is refused with exit code 2 and a reason, and nothing is written."""
    refused = run("convert", *words)
    assert (refused.code, said in refused.err, (written / "x").exists(), refused.out) == (2, True, False, "")


def test_ml_dsa_is_not_put_into_pkcs12(run: Run, tmp_path: Path) -> None:
    """The format could; the library and nearly all readers cannot, and the message says what to do."""
    write(house_of(KeyType.ML_DSA_44), tmp_path)
    refused = run("convert", "key.pem", "leaf.pem", "--to", "p12", "--out", "x", "--out-password-file", "pass")
    assert (refused.code, "--to pem" in refused.err, (tmp_path / "x").exists()) == (2, True, False)


def test_a_key_to_standard_output_when_asked(run: Run, house: House) -> None:
    """--out - is the way."""
    said = run("convert", "key.pem", "leaf.pem", "--to", "pem", "--out", "-")
    assert said.out.encode() == house.key_pem + house.leaf.public_bytes(Encoding.PEM)


def test_a_terminal_gets_no_binary_data(written: Path) -> None:
    """DER without --out is refused at a terminal."""
    master, slave = pty.openpty()
    words = [sys.executable, "-m", "handclasp", "convert", "leaf.pem", "--to", "der"]
    done = subprocess.run(words, check=False, stdout=slave, stderr=subprocess.PIPE, cwd=written, timeout=60)
    os.close(slave)
    os.close(master)
    assert (done.returncode, b"Binary data is written to a file" in done.stderr) == (2, True)


def test_standard_input_is_read_once(written: Path) -> None:
    """A file and its passphrase cannot both come from there."""
    words = [sys.executable, "-m", "handclasp", "convert", "-", "--password-file", "-", "--to", "pem"]
    done = subprocess.run(words, check=False, input=b"x", capture_output=True, cwd=written, timeout=60)
    assert (done.returncode, b"Only one of the arguments" in done.stderr) == (2, True)


def test_inspect(run: Run, house: House) -> None:
    """Files of each kind; all of it as JSON."""
    assert run("inspect", "leaf.pem").out.startswith("PEM: 1 certificate\n\nCertificate\n  SPIFFE ID     spiffe://")
    assert json.loads(run("inspect", "crl.pem", "--json").out)["crls"][0]["count"] == 12
    assert len(json.loads(run("inspect", "crl.pem", "--json").out)["crls"][0]["entries"]) == 12
    key = run("inspect", "key.pem")
    assert (key.code, "Encrypted     no (PKCS#8)" in key.out) == (0, True)


def test_inspect_never_shows_a_key(run: Run, written: Path, house: House) -> None:
    """Not in words and not in JSON."""
    value = house.key.private_numbers().private_value  # type: ignore[union-attr]
    secrets = [f"{value:x}", str(value), house.key_pem.decode().splitlines()[1]]
    for words in (["key.pem"], ["key.pem", "--json"]):
        assert [secret for secret in secrets if secret in run("inspect", *words).out] == []


def test_inspect_asks_for_what_it_needs(run: Run, written: Path, house: House) -> None:
    """A PKCS#12 needs its passphrase, and there is nobody to ask; a wrong one is told from none."""
    (written / "o.p12").write_bytes(pkcs12.encode("o", house.key, house.chain, PASSPHRASE))
    (written / "wrong").write_text("wrong\n")
    missing, wrong = run("inspect", "o.p12"), run("inspect", "o.p12", "--password-file", "wrong")
    assert (missing.code, Code.FILE_PASSPHRASE_MISSING in missing.err) == (2, True)
    assert (wrong.code, Code.FILE_PASSPHRASE_WRONG in wrong.err) == (2, True)
    assert run("inspect", "o.p12", "--password-file", "pass").out.startswith("PKCS#12: 3 certificates, 1 private key")


def test_inspect_of_a_server_reads_what_it_sends(run: Run, tmp_path: Path) -> None:
    """HOST:PORT is no file: the certificates come from a handshake; where nobody answers, the code says so."""
    said = run("inspect", "127.0.0.1:1")
    assert (said.code, Code.NET_CONNECTION_REFUSED in said.err) == (2, True)
    (tmp_path / "127.0.0.1:1").write_bytes(b"not a certificate")
    assert Code.FILE_UNRECOGNIZED in run("inspect", "127.0.0.1:1").err


def test_inspect_reads_standard_input_and_starts_quickly(written: Path) -> None:
    """From a pipe; without a database, a settings model or an event loop being imported."""
    program = (
        "import sys; from handclasp.cli.main import main\n"
        "try: main(['inspect', '-'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('sqlalchemy', 'pydantic', 'yaml', 'asyncio', 'grpc', 'alembic') if m in sys.modules])"
    )
    data = (written / "leaf.pem").read_bytes()
    done = subprocess.run([sys.executable, "-c", program], check=True, input=data, capture_output=True, timeout=60)
    assert done.stdout.decode().startswith("PEM: 1 certificate\n") and done.stdout.decode().endswith("\n[]\n")


BLOCKS = re.findall(r"```sh\n(.*?)```", HOW_TO.read_text(), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_the_how_to(block: str, written: Path) -> None:
    """Every command of docs/how-to/convert.md does its work."""
    (written / "handclasp").symlink_to(Path(sys.executable).with_name("handclasp"))
    path = f"{written}{os.pathsep}{os.environ['PATH']}"
    making = next(one for one in BLOCKS if "--out orders.p12" in one)
    script = making + block if "orders.p12" in block and block != making else block
    done = subprocess.run(
        ["bash", "-e", "-c", script], check=False, capture_output=True, text=True, cwd=written, timeout=60,
        env={**os.environ, "PATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
