"""What the commands of the authority print and how they exit: ca, cert, audit and backup."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
from cryptography import x509

from handclasp.pki.keys import KeyType, key_type
from handclasp.pki.pem import load_chain
from handclasp.testing.requests import a_request


class Said(Protocol):
    code: int
    out: str
    err: str


Run = Callable[..., Said]


@pytest.fixture
def csr(tmp_path: Path) -> str:
    """A file with a request for an API's certificate."""
    (tmp_path / "api.csr").write_text(a_request(x509.DNSName("api.example.org")))
    return "api.csr"


@pytest.fixture
def issued(run: Run, settings: Path, csr: str) -> str:
    """The serial number of that certificate."""
    told = json.loads(run("cert", "issue", "--csr", csr, "--profile", "server", "--out", "api.pem", "--json").out)
    return str(told["serial"])


# cert issue


def test_issue_for_a_request_prints_the_chain(run: Run, settings: Path, csr: str) -> None:
    """On standard output the chain alone, and what it is about on the other."""
    said = run("cert", "issue", "--csr", csr, "--profile", "server")
    leaf, _ = load_chain(said.out.encode())
    assert said.err.startswith(f"Issued api.example.org, serial {leaf.serial_number:x}, until ")


def test_issue_with_a_key_of_its_own_writes_three_files(run: Run, settings: Path) -> None:
    """The key for its owner alone; it is not printed."""
    said = run(
        "cert", "issue", "--profile", "server", "--dns", "a.example.org", "--key-type", "ec-p384", "--out", "api"
    )
    files = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in (settings.parent / "api").iterdir()}
    assert files == {"key.pem": "0o600", "chain.pem": "0o644", "bundle.pem": "0o644"}
    leaf = load_chain((settings.parent / "api" / "chain.pem").read_bytes())[0]
    assert key_type(leaf.public_key()) is KeyType.EC_P384
    assert "PRIVATE" not in said.out + said.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--dns", "a.example.org"), "Name the directory for the new key with --out"),
        (("--out", "api"), "Give a name: --name, --dns or --ip."),
        (("--out", "api", "--name", "a", "--key-type", "dsa"), "'dsa' is no kind of key"),
        (("--out", "api", "--name", "a", "--profile", "issuing"), "REQUEST_PROFILE_UNKNOWN"),
        (("--out", "api", "--name", "a", "--ip", "192.0.2.1"), "REQUEST_NAME_NOT_ALLOWED"),
        (("--out", "api", "--name", "a", "--lifetime", "400d"), "REQUEST_LIFETIME_NOT_ALLOWED"),
    ],
    ids=["no place", "no name", "kind of key", "profile", "name", "lifetime"],
)
def test_issue_that_cannot_be_is_2(run: Run, settings: Path, words: tuple[str, ...], said: str) -> None:
    """With why, and nothing is written."""
    ended = run("cert", "issue", *words)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert not (settings.parent / "api").exists()


def test_a_request_that_waits_is_approved_with_the_command_that_is_named(run: Run, settings: Path, csr: str) -> None:
    """From `issue` to the chain; then it cannot be denied."""
    settings.write_text(settings.read_text() + "profiles: {careful: {extends: server, approval: required}}\n")
    said = run("cert", "issue", "--csr", csr, "--profile", "careful", "--request-id", "r-1")
    assert said.out.endswith("To approve it: handclasp cert approve r-1\n")
    assert run("cert", "requests").out.startswith("r-1  pending  careful      api.example.org  asked ")
    assert len(load_chain(run("cert", "approve", "r-1").out.encode())) == 2
    assert run("cert", "requests").out == "No request waits.\n"
    denied = run("cert", "deny", "r-1")
    assert (denied.code, "(REQUEST_REPEATED)" in denied.err) == (2, True)


# cert list, show, revoke


def test_list_prints_a_line_each(run: Run, issued: str) -> None:
    """State, end, profile, names and serial number; and where it goes on."""
    out = run("cert", "list", "api.ex").out
    assert out.startswith("issued ")
    assert out.endswith(f" server     api.example.org  serial {issued}\n")
    assert run("cert", "list", "nothing at all").out == "Nothing was found.\n"
    more = run("cert", "list", "--limit", "1").out.splitlines()[-1]
    assert more.startswith("There is more: --after ")
    assert issued not in run("cert", "list", "--after", more.rpartition(" ")[2]).out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("ab",), "'ab' is too short to look for.\nAllowed: 3 characters or more.\n"),
        (("--after", "x"), "--after: 'x' is no place in a list.\nAllowed: what the page before ended with.\n"),
        (("--serial", "xyz"), "--serial: 'xyz' is no serial number.\nAllowed: hexadecimal digits.\n"),
    ],
    ids=["short", "after", "serial"],
)
def test_list_of_what_cannot_be_is_2(run: Run, settings: Path, words: tuple[str, ...], said: str) -> None:
    """With what is allowed."""
    ended = run("cert", "list", *words)
    assert (ended.code, ended.out, ended.err) == (2, "", said)


def test_show_for_people_and_programs(run: Run, issued: str) -> None:
    """Its facts and what happened to it; the PEM alone; and JSON."""
    out = run("cert", "show", issued).out
    assert out.startswith("api.example.org\n  state        issued\n")
    assert "certificate.issued by operator" in out
    assert f"{load_chain(run('cert', 'show', issued, '--pem').out.encode())[0].serial_number:x}" == issued
    assert json.loads(run("cert", "show", issued, "--json").out)["dns"] == ["api.example.org"]


def test_what_is_done_again_is_said_to_be_done(run: Run, issued: str) -> None:
    """Hold, release and revoke, each twice; exit 0 each time."""
    told = []
    for verb in ("hold", "release", "revoke"):
        for _ in range(2):
            said = run("cert", verb, issued)
            assert said.code == 0
            told.append(said.out.partition(":")[0])
    assert told == [
        "Put on hold",
        "Already put on hold",
        "Released",
        "Already released",
        "Revoked",
        "Already revoked",
    ]


def test_renew_supersedes(run: Run, issued: str, csr: str) -> None:
    """The chain of the new one is printed, and the old one is revoked."""
    said = run("cert", "renew", issued, "--csr", csr, "--supersede")
    assert len(load_chain(said.out.encode())) == 2
    assert "superseded" in run("cert", "show", issued).out


def test_import_counts(run: Run, settings: Path, tmp_path: Path) -> None:
    """What is new and what was there."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-keyout", "k.pem", "-out", "other.pem", "-subj", "/CN=Other", "-days", "5"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert run("cert", "import", "other.pem").out == ("Took 1 certificates into the inventory; 0 were there already.\n")
    assert run("cert", "import", "other.pem").out.startswith("Took 0 ")
    assert "external" in run("cert", "list", "CN=Other").out


# ca


def test_ca_show_says_where_keys_are(run: Run, issued: str) -> None:
    """Each authority with its key, and the profiles."""
    out = run("ca", "show").out
    assert ".handclasp/ca/root.key" in out
    assert out.endswith("\nProfiles: server, client, workload\n")


def test_ca_root_prints_the_certificate_alone(run: Run, tmp_path: Path) -> None:
    """What else there is to say goes to standard error."""
    said = run("ca", "root", "--trust-domain", "example.org", "--unencrypted")
    assert len(load_chain(said.out.encode())) == 1
    assert said.err.startswith("Made the root CN=")


def test_the_passphrase_of_an_offline_root_is_changed(run: Run, tmp_path: Path) -> None:
    """Where there are no settings, as on its machine; and a backup of it is made there."""
    run("ca", "root", "--trust-domain", "example.org", "--unencrypted")
    (tmp_path / "new").write_text("new secret\n")
    said = run("ca", "passphrase", "--new-password-file", "new")
    assert (said.code, said.out.splitlines()[0]) == (0, "Encrypted root.")
    assert run("backup", "b.tar", "--without-keys").code == 0


def test_ca_passphrase_without_anybody_to_ask(run: Run, issued: str) -> None:
    """Exit 2, and the keys stay as they are."""
    said = run("ca", "passphrase")
    assert said.code == 2
    assert "--new-password-file" in said.err


@pytest.mark.parametrize(
    "words", [("ca", "show"), ("ca", "bundle"), ("ca", "sign", "api.csr"), ("audit", "verify")], ids=" ".join
)
def test_where_there_is_nothing(run: Run, csr: str, tmp_path: Path, words: tuple[str, ...]) -> None:
    """Exit 2, and nothing is made."""
    said = run(*words)
    assert (said.code, said.out) == (2, "")
    assert "(CONFIG_MISSING)" in said.err
    assert not (tmp_path / ".handclasp").exists()


# ca rotate


def test_a_rotation_says_what_comes_next(run: Run, issued: str) -> None:
    """Each step with the command for the one that follows."""
    assert run("ca", "rotate", "status").out == "No rotation is under way.\n"
    assert run("ca", "rotate", "start", "issuing").out == (
        "issuing-2 is published, and everyone has confirmed it.\nNext: handclasp ca rotate advance, to activate it\n"
    )
    assert run("ca", "rotate", "advance").out == (
        "issuing-2 is active; 1 still depends on issuing.\n  waits for api.example.org\n"
        "Next: handclasp ca rotate advance, to retire\n"
    )
    stays = run("ca", "rotate", "advance")
    assert (stays.code, "api.example.org" in stays.err, "(ROTATION_NOT_CONFIRMED)" in stays.err) == (1, True, True)
    assert run("ca", "rotate", "advance", "--without", "api.example.org").out == "No rotation is under way.\n"


# audit and backup


def test_audit_verify_and_export(run: Run, issued: str, tmp_path: Path) -> None:
    """A sentence with the number of events, and as many lines of JSON."""
    lines = run("audit", "export").out.splitlines()
    assert all(json.loads(line)["class_uid"] for line in lines)
    assert run("audit", "verify").out == f"The audit log verifies: {len(lines)} events, 0 signed checkpoints.\n"
    (tmp_path / "kept.json").write_text(run("audit", "checkpoint").out)
    out = run("audit", "verify", "--checkpoint", "kept.json").out
    assert out.splitlines()[1].endswith("; 0 events since then.")


def test_a_broken_log_is_1(run: Run, issued: str, tmp_path: Path) -> None:
    """A failure and no mistake of the user's: it says where."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(tmp_path / ".handclasp" / "ledger.db")) as database:
        database.execute("DELETE FROM events WHERE seq = 2")
        database.commit()
    said = run("audit", "verify")
    assert (said.code, "event 2 of local was removed" in said.err) == (1, True)


@pytest.mark.parametrize("words", [(), ("--password-file", "empty")], ids=["nobody to ask", "empty"])
def test_a_backup_with_keys_wants_a_passphrase(run: Run, issued: str, tmp_path: Path, words: tuple[str, ...]) -> None:
    """Exit 2, and no file."""
    (tmp_path / "empty").write_text("\n")
    said = run("backup", "b.tar", *words)
    assert (said.code, (tmp_path / "b.tar").exists()) == (2, False)
    assert "A backup with keys needs a passphrase" in said.err


def test_a_ledger_that_moved_into_a_file_is_to_be_put_in_its_place(run: Run, issued: str, tmp_path: Path) -> None:
    """The settings name no file, so nobody is told to write it there."""
    out = run("database", "move", "moved.db").out.splitlines()
    assert out[0].endswith("the audit log verifies.")
    assert str(tmp_path / ".handclasp" / "ledger.db") in out[1]
