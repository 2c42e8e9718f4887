"""`handclasp credential`, as a person uses it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from handclasp.testing.chains import SERVER, make

NOW = datetime.now(UTC)
DATES: dict[str, Any] = {"begins": NOW - timedelta(days=1), "ends": NOW + timedelta(days=30, minutes=1)}
ROOT = make("root", authority=True, **DATES)
LEAF = make("client", ROOT, **DATES)
WRONG = make("wrong", ROOT, usages=[SERVER], **DATES)
Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    """What a person has: certificates, keys, a PKCS#12 and its passphrase."""
    for name, one in (("client", LEAF), ("wrong", WRONG), ("root", ROOT)):
        (tmp_path / f"{name}.pem").write_bytes(one.certificate.public_bytes(Encoding.PEM))
        key = one.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (tmp_path / f"{name}.key").write_bytes(key)
    under = BestAvailableEncryption(b"correct horse")
    data = pkcs12.serialize_key_and_certificates(b"me", LEAF.key, LEAF.certificate, [ROOT.certificate], under)
    (tmp_path / "client.p12").write_bytes(data)
    (tmp_path / "password").write_bytes(b"correct horse\n")


def test_from_files_to_its_removal(run: Run, tmp_path: Path) -> None:
    """Without settings: added, listed, asked for, shown, replaced, removed. The files may go meanwhile."""
    said = run("credential", "add", "*.Acme.com", "--cert", "client.pem", "--key", "client.key", "--cacert", "root.pem")
    until = DATES["ends"].isoformat(timespec="seconds")
    assert said == (0, f"Added wildcard.acme.com for *.acme.com: CN=client, until {until} (30 days left).\n", "")
    for name in ("client.pem", "client.key", "root.pem"):
        (tmp_path / name).unlink()
    assert run("credential", "list").out == "*.acme.com  30 days left    wildcard.acme.com  CN=client\n"
    assert run("credential", "for", "api.acme.com:8443").out.startswith(
        "wildcard.acme.com: its pattern *.acme.com is for any host directly below acme.com, on every port.\n"
    )
    assert run("credential", "for", "acme.com").out == "None: nothing matches (acme.com:443, acme.com).\n"
    shown = run("credential", "show", "wildcard.acme.com").out
    assert all(part in shown for part in ("for *.acme.com\n", "valid, 30 days left\n", "verify with  CN=root\n"))
    pem = run("credential", "show", "*.acme.com", "--pem").out
    assert pem.encode() == LEAF.certificate.public_bytes(Encoding.PEM)
    words = ("credential", "add", "*.acme.com", "--cert", "wrong.pem", "--key", "wrong.key")
    again = run(*words)
    assert (again.code, "(STATE_FILE_EXISTS)" in again.err, "--replace" in again.err) == (2, True, True)
    replaced = run(*words, "--replace")
    assert replaced.out.splitlines()[0] == f"Replaced wildcard.acme.com for *.acme.com: CN=client, until {until}."
    assert replaced.err == (
        "Note: the certificate is not meant for clients (it is for servers): most servers refuse it.\n"
    )
    assert run("credential", "remove", "*.acme.com").out == "Removed wildcard.acme.com for *.acme.com: CN=wrong.\n"
    assert run("credential", "list").out.startswith("There are no credentials yet")
    assert "(CREDENTIAL_UNKNOWN)" in run("credential", "show", "wildcard.acme.com").err


def test_as_json(run: Run, settings: Path) -> None:
    """Each answer is one object, and none has the key."""
    add = ("credential", "add", "api.acme.com", "--p12", "client.p12", "--password-file", "password", "--json")
    said = [
        run(*add, "--name", "acme"),
        run("credential", "list", "--json"),
        run("credential", "show", "acme", "--json"),
    ]
    said += [run("credential", "for", "api.acme.com", "--json"), run("credential", "remove", "acme", "--json")]
    assert [(one.code, one.err) for one in said] == [(0, "")] * 5
    added, listed, shown, chosen, removed = (json.loads(one.out) for one in said)
    short = {key: value for key, value in removed.items() if key != "days_left"}
    for one in (added, *listed["credentials"], shown, chosen["credential"]):
        assert short.items() <= one.items()
    assert (short["name"], short["subject"], short["state"]) == ("acme", "CN=client", "valid")
    assert (chosen["port"], shown["usable"], added["warnings"]) == (443, True, [])
    number = f"{LEAF.key.private_numbers().private_value:x}"
    told = "".join(one.out for one in said)
    assert not any(text in told for text in ("PRIVATE", "correct horse", number))


def test_an_identity_of_the_authority_here(run: Run, settings: Path) -> None:
    """No files; it says that it renews itself."""
    said = run("credential", "add", "orders.example.org", "--identity", "monitor")
    assert said.out.startswith("Added orders.example.org for orders.example.org: spiffe://example.org/monitor, until ")
    assert "spiffe://example.org/monitor, renewed by itself" in run("credential", "show", "orders.example.org").out
    assert "90 days left" in run("credential", "list").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Give one of these"),
        (("--cert", "client.pem", "--identity", "me"), "Give one of these"),
        (("--key", "client.key"), "Give one of these"),
        (("--p12", "client.p12", "--key", "client.key"), "--key goes with --cert"),
        (("--identity", "me", "--password-file", "password"), "--password-file is for files"),
        (("--cert", "missing.pem"), "missing.pem cannot be read"),
        (("--cert", "client.pem"), "no private key"),
        (("--cert", "client.pem", "--key", "wrong.key"), "(CREDENTIAL_UNUSABLE)"),
        (("--p12", "client.p12"), "(FILE_PASSPHRASE_MISSING)"),
        (("--cert", "client.pem", "--key", "client.key", "--name", "auto"), "--name: "),
        (("--cert", "client.pem", "--key", "client.key", "--cacert", "client.key"), "has no certificates"),
    ],
)
def test_what_cannot_be_added(run: Run, words: tuple[str, ...], said: str) -> None:
    """2, with the reason; and nothing is there."""
    told = run("credential", "add", "api.acme.com", *words)
    assert (told.code, told.out, said in told.err) == (2, "", True)


def test_a_pattern_is_explained(run: Run) -> None:
    """What it may be stands beside what is wrong with it."""
    said = run("credential", "add", "a*.acme.com", "--cert", "client.pem", "--key", "client.key")
    assert (said.code, said.err.splitlines()) == (
        2,
        [
            "'a*.acme.com' has * elsewhere than as its whole first label.",
            "Allowed: a host, *. and a host, or an address, with or without a port, as in api.acme.com, "
            "*.acme.com:8443 or [2001:db8::7].",
        ],
    )
