"""What is advised to be typed runs, with files as they are; what is advised to be programmed is of its language."""

from __future__ import annotations

import shutil
import subprocess
from itertools import chain
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from handclasp.doctor.advice import fixes
from handclasp.findings import Code
from handclasp.testing import chains
from handclasp.testing.servers import make_material

CODES = [code for code in Code if fixes(code)]
OFFLINE = tuple(f"openssl {one} " for one in ("x509", "pkey", "req", "genpkey", "crl2pkcs7", "crl", "verify"))
STORES = ("openssl pkcs12 ", "keytool ")  # slow, and the same for every code
WITH_STORES = {Code.CLIENT_CHAIN_INCOMPLETE, Code.SERVER_CERT_UNKNOWN_CA}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every file that a placeholder names."""
    directory = tmp_path_factory.mktemp("advice")
    made = directory / "made"
    made.mkdir()
    material = make_material(made)
    files = {
        f"{name}{end}": path
        for name, one in (("client", material.client), ("server", material.server))
        for end, path in ((".pem", one.leaf), ("-chain.pem", one.chain), (".key", one.key))
    }
    files |= {"intermediate.pem": material.client.issuers, "issuing-ca.pem": material.client.issuers}
    files |= {"client-ca.pem": material.client_authorities, "server-ca.pem": material.roots}
    for name, path in files.items():
        shutil.copy(path, directory / name)
    shutil.rmtree(made)
    (directory / "client-ca.crl.pem").write_bytes(chains.make_crl(material.root).public_bytes(Encoding.PEM))
    for name in ("passphrase.txt", "store-passphrase.txt"):
        (directory / name).write_text("correct horse\n")
    return directory


@pytest.fixture
def directory(made: Path, tmp_path: Path) -> Path:
    """A copy of those files, which a test may change."""
    return shutil.copytree(made, tmp_path / "files")


def _run(line: str, directory: Path) -> str:
    done = subprocess.run(["bash", "-c", line], cwd=directory, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
    return done.stdout


def _commands(*codes: Code) -> list[str]:
    found = (one.commands for code in codes for one in fixes(code) if one.product != "iis")
    starts = (*OFFLINE, "cat ", "chmod 600 ", "ls ", "(umask", *(STORES if set(codes) & WITH_STORES else ()))
    return [line for line in dict.fromkeys(chain.from_iterable(found)) if line.startswith(starts)]


@pytest.mark.parametrize("code", [code for code in CODES if _commands(code) and not code.startswith("CHAIN_")], ids=str)
def test_commands_that_need_no_network_run(code: Code, directory: Path) -> None:
    """In order, with the placeholders' files there, each ends well."""
    for line in _commands(code):
        if line.startswith("openssl verify "):  # that ends as the chain deserves; its options are read
            done = subprocess.run(["bash", "-c", line], cwd=directory, capture_output=True, text=True, check=False)
            assert "unknown option" not in done.stderr.lower()
            assert "Use -help" not in done.stderr
        else:
            _run(line, directory)


def test_a_renewed_request_asks_for_the_same_names(directory: Path) -> None:
    """The request for a renewal has the subject and the names of the certificate."""
    for line in _commands(Code.CLIENT_CERT_EXPIRED)[:2]:
        _run(line, directory)
    old = x509.load_pem_x509_certificate((directory / "client.pem").read_bytes())
    new = x509.load_pem_x509_csr((directory / "client.csr").read_bytes())
    names = x509.SubjectAlternativeName
    assert (new.subject, new.extensions.get_extension_for_class(names).value) == (
        old.subject,
        old.extensions.get_extension_for_class(names).value,
    )


def test_a_request_for_a_client_asks_for_its_purpose(directory: Path) -> None:
    """extendedKeyUsage is clientAuth and nothing else."""
    for line in _commands(Code.CLIENT_CERT_WRONG_EKU)[:2]:
        _run(line, directory)
    request = x509.load_pem_x509_csr((directory / "client.csr").read_bytes())
    usage = request.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert usage == x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])


def test_a_revocation_list_is_kept_as_pem(directory: Path) -> None:
    """As authorities publish it, DER, it comes through the pipe as PEM."""
    fetch = next(line for line in fixes(Code.SERVER_CRL_EXPIRED, server="nginx")[0].commands if line.startswith("curl"))
    data = x509.load_pem_x509_crl((directory / "client-ca.crl.pem").read_bytes())
    (directory / "published.crl").write_bytes(data.public_bytes(Encoding.DER))
    _run("cat published.crl |" + fetch.partition("|")[2], directory)
    assert x509.load_pem_x509_crl((directory / "client-ca.crl.pem").read_bytes()) == data


def test_both_digests_are_equal_for_a_pair_alone(directory: Path) -> None:
    """What is advised to compare a certificate with a key tells a pair from no pair."""
    of_certificate, of_key = _commands(Code.CLIENT_KEY_MISMATCH)[:2]
    other = of_key.replace("client.key", "server.key")
    digests = [_run(line, directory).split()[-1] for line in (of_certificate, of_key, other)]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("code", CODES, ids=str)
def test_python_is_python(code: Code) -> None:
    """It compiles."""
    for one in fixes(code, clients=("python",)):
        if one.product == "python":
            compile("\n".join(one.configuration), "advice", "exec")


def test_python_loads_the_chain(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines up to the call do what they say with real files."""
    first = fixes(Code.CLIENT_CERT_MISSING, clients=("python",))[0]
    monkeypatch.chdir(directory)
    names: dict[str, object] = {}
    exec("import ssl\n" + "\n".join(first.configuration[:2]), names)
    assert "context" in names


def test_javascript_is_javascript(tmp_path: Path) -> None:
    """Node reads every line."""
    found = [one.configuration for code in CODES for one in fixes(code, clients=("node",)) if one.product == "node"]
    (tmp_path / "advice.js").write_text("\n".join("{ " + "\n".join(lines) + " }" for lines in dict.fromkeys(found)))
    _run("node --check advice.js", tmp_path)


def test_go_is_go(tmp_path: Path) -> None:
    """gofmt reads every line."""
    found = [
        one.configuration
        for code in CODES
        for one in fixes(code, server="go", clients=("go",))
        if one.product == "go" and one.configuration
    ]
    bodies = "\n".join(
        f"func advised{index}() {{\n" + "\n".join(lines) + "\n}" for index, lines in enumerate(dict.fromkeys(found))
    )
    (tmp_path / "advice.go").write_text(f"package main\n{bodies}\n")
    _run("gofmt -e -l advice.go", tmp_path)


def test_a_new_key_is_for_its_owner_alone(directory: Path) -> None:
    """The command that makes a key leaves nobody else a right to it, and the old key as it was."""
    old = (directory / "client.key").read_bytes()
    _run(_commands(Code.CLIENT_KEY_TOO_WEAK)[0], directory)
    assert (directory / "client-new.key").stat().st_mode & 0o777 == 0o600
    assert (directory / "client.key").read_bytes() == old
