"""The keys of credentials at rest: who gets the database, the logs or a backup without keys has none of them."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from handclasp.app import backups, credential_source
from handclasp.app.state import StateDirectory
from handclasp.findings import Code, Refused
from handclasp.pki import pkcs8
from handclasp.pki.keys import KeyType, generate, private_pem
from handclasp.probe.credentials import Credential
from handclasp.testing import softhsm
from handclasp.testing.chains import Holder, make

if TYPE_CHECKING:
    from tests.app.conftest import Place

NOW = datetime.now(UTC)
LEAF = make("client", begins=NOW - timedelta(days=1), ends=NOW + timedelta(days=30))
OTHER = make("other", begins=NOW - timedelta(days=1), ends=NOW + timedelta(days=30))
PASSPHRASE = b"Tr0ub4dor-and-3"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory, place_at: Callable[[Path], Place]) -> Place:
    """A ledger with nothing in it: to copy it is quicker than to make it."""
    made = place_at(tmp_path_factory.mktemp("empty") / "state")
    made.do("credential.list")
    return made


@pytest.fixture
def place(empty: Place, place: Place) -> Place:
    """Such a ledger."""
    shutil.copytree(empty.state.path, place.state.path)
    return place


def certificate_of(holder: Holder) -> bytes:
    """In PEM."""
    return holder.certificate.public_bytes(Encoding.PEM)


def add(place: Place, pattern: str = "*.acme.com", holder: Holder = LEAF, *, replace: bool = False) -> None:
    """Add one, its key under a passphrase."""
    key = holder.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSPHRASE))
    files = [["cert.pem", certificate_of(holder).hex()], ["key.pem", key.hex()]]
    given = {"files": files, "passphrase": PASSPHRASE.hex(), "ca": None, "name": None, "replace": replace}
    place.do("credential.add", pattern=pattern, **given)


def opened(place: Place, host: str = "api.acme.com") -> Credential:
    """The credential for a host."""

    async def scene() -> Credential:
        with credential_source.opened(place.state, place.settings) as source:
            assert source is not None
            found = await source.find(host, 443)
        assert found is not None
        return found

    return asyncio.run(scene())


def refused(place: Place, host: str = "api.acme.com") -> Refused:
    """Why it cannot be opened."""
    with pytest.raises(Refused) as caught:
        opened(place, host)
    return caught.value


def key_file(place: Place) -> Path:
    """What opens them."""
    return place.state.authority_keys / "credentials.key"


@contextmanager
def database(place: Place) -> Iterator[sqlite3.Connection]:
    """The ledger, as somebody has it who got hold of the file."""
    with closing(sqlite3.connect(place.state.ledger)) as connection, connection:
        yield connection


def test_another_key_opens_nothing(place: Place) -> None:
    """STATE_DAMAGED, which names the file; what is added then is opened by the new key."""
    add(place)
    key_file(place).write_bytes(private_pem(generate(KeyType.ED25519)))
    said = refused(place)
    assert (said.code, str(key_file(place)) in said.why) == (Code.STATE_DAMAGED, True)
    shown = place.do("credential.show", which="*.acme.com")
    assert (shown["usable"], shown["fault"]["code"]) == (False, "STATE_DAMAGED")
    add(place, "*.example.org")
    assert opened(place, "api.example.org").chain == (LEAF.der,)
    add(place, replace=True)
    assert opened(place).chain == (LEAF.der,)


def test_without_the_key_nothing_is_opened_or_added(place: Place) -> None:
    """STATE_KEY_MISSING: another would strand what there is; where there is nothing any more, a new one is made."""
    add(place)
    content = key_file(place).read_bytes()
    key_file(place).unlink()
    said = refused(place)
    assert (said.code, str(key_file(place)) in said.why) == (Code.STATE_KEY_MISSING, True)
    with pytest.raises(Refused) as caught:
        add(place, "*.example.org")
    assert (caught.value.code, key_file(place).exists()) == (Code.STATE_KEY_MISSING, False)
    key_file(place).write_bytes(content)
    assert opened(place).chain == (LEAF.der,)
    key_file(place).unlink()
    place.do("credential.remove", which="*.acme.com")
    add(place)
    assert opened(place).chain == (LEAF.der,)


CHANGES: dict[str, tuple[str, tuple[object, ...]]] = {
    "name": ("name = 'another'", ()),
    "pattern": ("pattern = '*.evil.example'", ()),
    "certificate": ("chain = ?", (certificate_of(OTHER),)),
    "one more": ("chain = CAST(chain || ? AS BLOB)", (certificate_of(OTHER),)),
    "no certificate": ("chain = x'00'", ()),
    "authorities": ("ca = ?", (certificate_of(OTHER),)),
    "identity": ("identity = 'spiffe://example.org/alice'", ()),
    "no key": ("sealed = NULL", ()),
    "empty": ("sealed = x''", ()),
    "version": ("sealed = CAST(x'02' || substr(sealed, 2) AS BLOB)", ()),
    "nonce": ("sealed = CAST(substr(sealed, 1, 9) || zeroblob(12) || substr(sealed, 22) AS BLOB)", ()),
    "text": ("sealed = CAST(substr(sealed, 1, 21) || zeroblob(8) || substr(sealed, 30) AS BLOB)", ()),
    "tag": ("sealed = CAST(substr(sealed, 1, length(sealed) - 16) || zeroblob(16) AS BLOB)", ()),
    "cut": ("sealed = substr(sealed, 1, length(sealed) - 1)", ()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_who_can_write_to_the_database_gains_nothing(place: Place, change: str) -> None:
    """A key goes with its name, its hosts, its certificates and its authorities, or not at all: STATE_DAMAGED."""
    add(place)
    with database(place) as connection:
        what, values = CHANGES[change]
        connection.execute(f"UPDATE credentials SET {what}", values)
    said = refused(place, "api.evil.example" if change == "pattern" else "api.acme.com")
    assert (said.code, said.what.startswith("The credential ")) == (Code.STATE_DAMAGED, True)
    (listed,) = place.do("credential.list")["credentials"]  # it can still be seen, and removed
    place.do("credential.remove", which=listed["name"])


def test_two_cannot_be_exchanged(place: Place) -> None:
    """The key of one in the row of the other."""
    add(place)
    add(place, "*.example.org", OTHER)
    with database(place) as connection:
        (sealed,) = connection.execute("SELECT sealed FROM credentials WHERE pattern = '*.example.org'").fetchone()
        connection.execute("UPDATE credentials SET sealed = ? WHERE pattern = '*.acme.com'", (sealed,))
    assert refused(place).code is Code.STATE_DAMAGED
    assert opened(place, "api.example.org").chain == (OTHER.der,)


def test_the_same_key_is_never_sealed_the_same_way(place: Place) -> None:
    """So nobody sees in the database who shares one."""
    add(place)
    add(place, "*.example.org")
    with database(place) as connection:
        (first, second) = [one for (one,) in connection.execute("SELECT sealed FROM credentials")]
    assert first[:9] == second[:9]  # the version, and the name of what seals
    assert first[9:21] != second[9:21]


def test_it_goes_with_the_passphrase_of_the_keys(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made under it, never in clear; changed with it; and without it, or with a wrong one, nothing is opened."""
    monkeypatch.setenv("HANDCLASP_CA_PASSPHRASE", "first")
    add(place)
    assert pkcs8.is_encrypted(key_file(place).read_bytes())
    assert place.do("ca.passphrase", new=b"second".hex()) == {"keys": ["credentials"]}
    assert pkcs8.is_encrypted(key_file(place).read_bytes())
    assert refused(place).code is Code.KEY_PASSPHRASE_WRONG
    monkeypatch.setenv("HANDCLASP_CA_PASSPHRASE", "second")
    assert opened(place).chain == (LEAF.der,)
    monkeypatch.delenv("HANDCLASP_CA_PASSPHRASE")
    assert refused(place).code is Code.KEY_PASSPHRASE_MISSING


def backup(place: Place, file: Path, passphrase: bytes | None) -> bytes:
    """Make one; what is in it."""
    given = None if passphrase is None else passphrase.hex()
    place.do("backup", file=str(file), settings="none.yaml", passphrase=given)
    return file.read_bytes()


def restored(place: Place, file: Path, passphrase: bytes | None) -> Place:
    """The place that a backup makes."""
    new = StateDirectory(file.parent / "new")
    asyncio.run(backups.restore(new, place.settings, file, lambda: passphrase))
    return type(place)(new, place.text)


def test_a_backup_with_keys_brings_them_back(place: Place, tmp_path: Path) -> None:
    """Under its own passphrase on the way."""
    add(place)
    content = backup(place, tmp_path / "kept.tar", b"staple battery")
    assert b"keys/credentials.key" in content
    new = restored(place, tmp_path / "kept.tar", b"staple battery")
    assert opened(new).chain == (LEAF.der,)


def test_a_backup_without_keys_has_nothing_to_open_them(place: Place, tmp_path: Path) -> None:
    """They are there, sealed, until the key is put beside them."""
    place.issue()
    add(place)
    content = backup(place, tmp_path / "kept.tar", None)
    assert b"credentials.key" not in content
    new = restored(place, tmp_path / "kept.tar", None)
    assert refused(new).code is Code.STATE_KEY_MISSING
    new.state.authority_keys.mkdir(mode=0o700, exist_ok=True)
    shutil.copy(key_file(place), key_file(new))
    assert opened(new).chain == (LEAF.der,)


def spellings() -> list[bytes]:
    """The key as it might lie somewhere: its number, its forms, its lines; and the passphrase of its file."""
    number = LEAF.key.private_numbers().private_value
    der = LEAF.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    old = LEAF.key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    lines = private_pem(LEAF.key).splitlines()[1:-1]
    plain = [number.to_bytes(32, "big"), der, old, PASSPHRASE]
    told = [each for one in plain for each in (one.hex().encode(), base64.b64encode(one), repr(one)[2:-1].encode())]
    return [*plain, *told, *lines, str(number).encode()]


def test_the_key_lies_nowhere(place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not in the database, what it writes ahead, a log, a backup, an answer or the audit log; while it is used."""
    caplog.set_level(logging.DEBUG)
    add(place)
    used = opened(place)
    told: list[object] = [used, used.client(), place.do("credential.list")]
    told += [place.do("credential.show", which="*.acme.com"), place.do("credential.for", target="api.acme.com")]
    told.append(place.do("audit.export", kind=None, subject=None, after=None))
    kinds = {"with keys": b"right", "without": None}
    content = {name: backup(place, tmp_path / f"{name}.tar", given) for name, given in kinds.items()}
    with closing(sqlite3.connect(place.state.ledger)) as held:
        held.execute("SELECT count(*) FROM credentials").fetchone()  # keeps what is written ahead from being moved away
        add(place, replace=True)
        told.append(place.do("credential.remove", which="*.acme.com"))
        files = [path for path in place.state.path.rglob("*") if path.is_file()]
        assert {"ledger.db", "ledger.db-wal", "credentials.key"} <= {path.name for path in files}
        content |= {str(path): path.read_bytes() for path in files}
    content["told"] = (str(told) + repr(told) + caplog.text).encode()
    needles = spellings()
    assert [name for name, data in content.items() if any(needle in data for needle in needles)] == []
    assert needles[1] == used.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def mistakes() -> dict[str, Callable[[Place], object]]:
    """Ways in which adding fails that have the key in hand."""
    key = private_pem(LEAF.key).hex()
    under = LEAF.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSPHRASE)).hex()
    cert, rest = certificate_of(LEAF).hex(), {"ca": None, "name": None, "replace": False}

    def adding(*files: str, passphrase: str = "", **more: object) -> Callable[[Place], object]:
        given = {"pattern": "*.acme.com", "files": [["file", one] for one in files], "passphrase": passphrase}
        return lambda place: place.do("credential.add", **{**given, **rest, **more})

    return {
        "not a pair": adding(certificate_of(OTHER).hex(), key),
        "alone": adding(key),
        "broken": adding(cert, key[:-90]),
        "not in hex": adding(cert, key[:-1]),
        "as a certificate": adding(key, ca=["ca.pem", key]),
        "as a name": adding(cert, key, name=private_pem(LEAF.key).decode()),
        "as an argument": adding(cert, key, **{"key": key}),
        "wrong passphrase": adding(cert, under, passphrase=b"wrong".hex()),
        "passphrase not in hex": adding(cert, under, passphrase=PASSPHRASE.decode()),
    }


@pytest.mark.parametrize("mistake", mistakes())
def test_no_mistake_tells_of_the_key(place: Place, caplog: pytest.LogCaptureFixture, mistake: str) -> None:
    """Neither the error nor its trace nor the log."""
    caplog.set_level(logging.DEBUG)
    with pytest.raises(Exception, match=r".") as caught:
        mistakes()[mistake](place)
    formatted = logging.Formatter().formatException((type(caught.value), caught.value, caught.value.__traceback__))
    said = (str(caught.value) + repr(caught.value) + formatted + caplog.text).encode()
    assert [needle for needle in spellings() if needle in said] == []


def test_in_a_security_module(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What opens them never leaves the token: no file, and nothing without the token."""
    with softhsm.token(tmp_path / "hsm") as token:
        for name, value in {**token.environment, "PIN": os.fsdecode(token.pin)}.items():
            monkeypatch.setenv(name, value)
        keys = f"{{custody: pkcs11, module: '{token.module}', token: '{token.label}', pin: 'env:PIN'}}"
        before = place.text
        place.text += f"authority: {{keys: {keys}}}\n"
        add(place)
        assert opened(place).chain == (LEAF.der,)
        assert not key_file(place).exists()
        place.text = before
        assert refused(place).code is Code.STATE_KEY_MISSING
