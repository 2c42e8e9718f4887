"""Keys in a token: what the contract does not say, against SoftHSM2."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pkcs11
import pytest
from pkcs11 import Attribute, ObjectClass

from handclasp.findings import Code, Refused
from handclasp.pki.keys import KeyType, spki_sha256, verify
from handclasp.store.pkcs11keys import Pkcs11Keys
from handclasp.testing import softhsm

TBS = b"to be signed"


@pytest.fixture
def token(tmp_path: Path) -> Iterator[softhsm.Token]:
    with softhsm.token(tmp_path / "hsm") as made:
        yield made


@pytest.fixture
def keys(token: softhsm.Token) -> Iterator[Pkcs11Keys]:
    made = Pkcs11Keys(token.module, token.label, lambda: token.pin)
    yield made
    made.close()


def refused(keys: Pkcs11Keys) -> Refused:
    with pytest.raises(Refused) as caught:
        asyncio.run(keys.sign("issuing", TBS))
    return caught.value


@pytest.mark.parametrize("kind", [KeyType.EC_P256, KeyType.RSA_2048, KeyType.ED25519], ids=str)
def test_the_private_key_cannot_leave(token: softhsm.Token, keys: Pkcs11Keys, kind: KeyType) -> None:
    """It is sensitive, was never extractable, was made in the token, and signs: nothing else."""
    asyncio.run(keys.create("issuing", kind))
    session = pkcs11.lib(str(token.module)).get_token(token_label=token.label).open()
    (private,) = session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: "handclasp-issuing"})
    yes = (
        Attribute.SENSITIVE,
        Attribute.ALWAYS_SENSITIVE,
        Attribute.NEVER_EXTRACTABLE,
        Attribute.LOCAL,
        Attribute.SIGN,
    )
    no = (Attribute.EXTRACTABLE, Attribute.DECRYPT, Attribute.UNWRAP, Attribute.DERIVE)
    assert ([private[name] for name in yes], [private[name] for name in no]) == ([True] * 5, [False] * 4)
    secret = Attribute.PRIVATE_EXPONENT if kind is KeyType.RSA_2048 else Attribute.VALUE
    with pytest.raises(pkcs11.AttributeSensitive):
        private[secret]
    session.close()


def test_another_process_finds_the_key(token: softhsm.Token, keys: Pkcs11Keys) -> None:
    """What this process made, pkcs11-tool of OpenSC lists."""
    asyncio.run(keys.create("root", KeyType.EC_P384))
    listed = subprocess.run(
        [
            "pkcs11-tool",
            "--module",
            str(token.module),
            "--token-label",
            token.label,
            "--list-objects",
            "--type",
            "pubkey",
        ],
        env={**token.environment, "PATH": "/usr/bin"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "handclasp-root" in listed


def test_a_lost_session_is_opened_again(token: softhsm.Token, keys: Pkcs11Keys) -> None:
    """Whether the session ended, or the whole library did: the next signature is made all the same."""
    public = asyncio.run(keys.create("issuing", KeyType.EC_P256))
    library = pkcs11.lib(str(token.module))
    for lose in (library.reinitialize, library.finalize, lambda: None):
        lose()
        verify(public, asyncio.run(keys.sign("issuing", TBS)), TBS)


def test_two_at_once(token: softhsm.Token, keys: Pkcs11Keys) -> None:
    """Two users of a token in one process, and one that logs out: the other goes on."""
    public = asyncio.run(keys.create("issuing", KeyType.EC_P256))
    other = Pkcs11Keys(token.module, token.label, lambda: token.pin)
    assert spki_sha256(asyncio.run(other.create("issuing", KeyType.EC_P256))) == spki_sha256(public)
    other.close()
    assert asyncio.run(keys.available("issuing"))
    assert spki_sha256(asyncio.run(keys.create("issuing", KeyType.EC_P256))) == spki_sha256(public)
    verify(public, asyncio.run(keys.sign("issuing", TBS)), TBS)


def test_a_token_that_went_away(token: softhsm.Token, keys: Pkcs11Keys) -> None:
    """Refused(HSM_UNAVAILABLE) while it is away, and good again when it is back."""
    public = asyncio.run(keys.create("issuing", KeyType.EC_P256))
    tokens = token.directory / "tokens"
    tokens.rename(token.directory / "away")
    tokens.mkdir()
    pkcs11.lib(str(token.module)).reinitialize()
    found = refused(keys)
    assert (found.code, found.why) == (Code.HSM_UNAVAILABLE, "there is no token of that label")
    tokens.rmdir()
    (token.directory / "away").rename(tokens)
    verify(public, asyncio.run(keys.sign("issuing", TBS)), TBS)


def test_a_wrong_pin_is_tried_once(token: softhsm.Token, keys: Pkcs11Keys) -> None:
    """A wrong PIN is said to be wrong every time and given to the token once; a right one then opens it."""
    asyncio.run(keys.create("issuing", KeyType.EC_P256))
    keys.close()
    pins = [b"wrong-1", b"wrong-1", token.pin]
    other = Pkcs11Keys(token.module, token.label, lambda: pins.pop(0))
    first, second = refused(other), refused(other)
    assert [first.code, second.code] == [Code.KEY_PASSPHRASE_WRONG] * 2
    assert (first.why, second.why) == ("the token does not take it", "it was wrong before, and was not tried again")
    assert asyncio.run(other.available("issuing"))
    other.close()


@pytest.mark.parametrize("pin", [b"", b"\xff\xfe", b"x" * 300], ids=["empty", "no-text", "long"])
def test_what_can_be_no_pin(token: softhsm.Token, pin: bytes) -> None:
    """Refused(KEY_PASSPHRASE_WRONG)."""
    other = Pkcs11Keys(token.module, token.label, lambda: pin)
    assert refused(other).code is Code.KEY_PASSPHRASE_WRONG
    other.close()


@pytest.mark.parametrize(
    ("module", "label", "why"),
    [
        ("", "elsewhere", "there is no token of that label"),
        ("/nowhere/lib.so", "handclasp", "OS exception while loading /nowhere/lib.so: "),
        (sys.executable, "handclasp", "OS exception while loading "),
    ],
    ids=["no-token", "no-module", "no-library"],
)
def test_what_cannot_be_opened(token: softhsm.Token, module: str, label: str, why: str) -> None:
    """Refused(HSM_UNAVAILABLE), with the module's path and the reason."""
    other = Pkcs11Keys(Path(module) if module else token.module, label, lambda: token.pin)
    found = refused(other)
    assert (found.code, found.why[: len(why)]) == (Code.HSM_UNAVAILABLE, why)
    assert (module or str(token.module)) in found.what
    other.close()


def test_two_tokens_of_one_label(token: softhsm.Token, tmp_path: Path) -> None:
    """Which one is meant nobody can say: Refused(HSM_UNAVAILABLE)."""
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", token.label, "--pin", "1234", "--so-pin", "12345678"],
        env={**token.environment, "PATH": "/usr/bin"},
        check=True,
        capture_output=True,
    )
    pkcs11.lib(str(token.module)).reinitialize()
    other = Pkcs11Keys(token.module, token.label, lambda: token.pin)
    found = refused(other)
    assert (found.code, found.why) == (Code.HSM_UNAVAILABLE, "there is more than one token of that label")
    other.close()


def test_half_a_key_is_not_made_whole(token: softhsm.Token, keys: Pkcs11Keys) -> None:
    """Where the private half or the public one is missing, no second pair is made beside it."""
    asyncio.run(keys.create("issuing", KeyType.EC_P256))
    asyncio.run(keys.create("root", KeyType.EC_P256))
    keys.close()
    session = (
        pkcs11.lib(str(token.module)).get_token(token_label=token.label).open(rw=True, user_pin=token.pin.decode())
    )
    for class_, label in ((ObjectClass.PRIVATE_KEY, "handclasp-issuing"), (ObjectClass.PUBLIC_KEY, "handclasp-root")):
        for found in session.get_objects({Attribute.CLASS: class_, Attribute.LABEL: label}):
            found.destroy()
    session.close()
    other = Pkcs11Keys(token.module, token.label, lambda: token.pin)
    codes = []
    for name in ("issuing", "root"):
        with pytest.raises(Refused) as caught:
            asyncio.run(other.create(name, KeyType.EC_P256))
        codes.append(caught.value.code)
    assert codes == [Code.HSM_UNAVAILABLE, Code.STATE_DAMAGED]
    other.close()


def test_where_a_key_is(token: softhsm.Token, keys: Pkcs11Keys) -> None:
    """The token and the label, as a person finds them."""
    assert keys.where("root") == "token handclasp, label handclasp-root"
    assert repr(keys) == f"Pkcs11Keys('{token.module}', 'handclasp')"
