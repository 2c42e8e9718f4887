"""What every KeyCustody must do, as a suite: subclass it in a test module and say how to open one.

    class TestKeyFiles(CustodyContract):
        def open(self, directory, secret=None): ...

The same suite runs on files and on tokens, so that no caller needs to know where the keys are.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import traceback
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from handclasp.authority.ports import KeyCustody
from handclasp.findings import Code, Refused
from handclasp.pki.keys import KeyType, PrivateKey, generate, key_type, spki_sha256, verify

TBS = b"to be signed"


Scenario = Callable[[KeyCustody], Awaitable[None]]


@cache
def elsewhere(kind: KeyType) -> PrivateKey:
    """A key that was made elsewhere; one of each kind is enough, since large ones take their time."""
    return generate(kind)


def secrets_of(key: PrivateKey) -> tuple[bytes, ...]:
    """What must be found nowhere: the secret number or seed, raw and in the encodings in which it could be lying about.

    A part from the middle, so that it is found whatever stands around it.
    """
    if isinstance(key, ec.EllipticCurvePrivateKey):
        raw = key.private_numbers().private_value.to_bytes((key.key_size + 7) // 8, "big")
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        raw = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    elif isinstance(key, rsa.RSAPrivateKey):
        raw = key.private_numbers().p.to_bytes(key.key_size // 16, "big")
    else:
        raw = key.private_bytes_raw()
    part = raw[2:-2]
    encoded = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).splitlines()
    texts = [base64.b64encode(part[skip:])[:-4] for skip in range(3)]
    return part, part.hex().encode(), part.hex().upper().encode(), *texts, encoded[len(encoded) // 2]


class CustodyContract:
    """One test, one behaviour."""

    kinds: tuple[KeyType, ...] = tuple(KeyType)
    """The kinds of keys that it makes; of any other it says so."""

    secret: bytes | None = None
    """The passphrase or PIN that opens it; None if there is none, and the keys lie in clear."""

    def open(self, directory: Path, secret: bytes | None = None) -> AbstractContextManager[KeyCustody]:
        """The custody of this directory: new, or as an earlier one left it. With another secret, if one is given."""
        raise NotImplementedError

    def play(self, directory: Path, *scenarios: Scenario) -> None:
        """Run each on a custody that is opened anew for it, as after a restart."""

        async def scene(scenario: Scenario, custody: KeyCustody) -> None:
            await scenario(custody)

        for scenario in scenarios:
            with self.open(directory) as custody:
                asyncio.run(scene(scenario, custody))

    @pytest.mark.parametrize("kind", list(KeyType), ids=str)
    def test_a_key_signs_and_survives(self, tmp_path: Path, kind: KeyType) -> None:
        """A key of each kind is made once: created again, also after a restart, it is the same, and it signs. A kind
        that the custody does not have is refused with AUTHORITY_UNUSABLE."""
        keys: list[str] = []

        async def use(custody: KeyCustody) -> None:
            if kind not in self.kinds:
                with pytest.raises(Refused) as caught:
                    await custody.create("issuing", kind)
                assert (caught.value.code, await custody.available("issuing")) == (Code.AUTHORITY_UNUSABLE, False)
                return
            for _ in range(2):
                public = await custody.create("issuing", kind)
                verify(public, await custody.sign("issuing", TBS), TBS)
                assert key_type(public) is kind
                keys.append(spki_sha256(public))
            found = await custody.public_key("issuing")
            assert found is not None
            keys.append(spki_sha256(found))

        self.play(tmp_path, use, use)
        assert len(set(keys)) == (1 if kind in self.kinds else 0)

    @pytest.mark.parametrize("name", ["root", "issuing-2"])
    def test_the_kind_is_decided_once(self, tmp_path: Path, name: str) -> None:
        """A key that is there is returned as it is, also if another kind is asked for now."""

        async def use(custody: KeyCustody) -> None:
            first = await custody.create(name, KeyType.EC_P384)
            assert spki_sha256(await custody.create(name, KeyType.EC_P256)) == spki_sha256(first)

        self.play(tmp_path, use)

    def test_a_large_list_is_signed(self, tmp_path: Path) -> None:
        """What is signed may be megabytes, as a revocation list."""
        large = bytes(range(256)) * (4 << 12)

        async def use(custody: KeyCustody) -> None:
            for name, kind in (("issuing", KeyType.EC_P256), ("issuing-2", KeyType.RSA_2048)):
                public = await custody.create(name, kind)
                verify(public, await custody.sign(name, large), large)

        self.play(tmp_path, use)

    def test_a_missing_key(self, tmp_path: Path) -> None:
        """Not available, no public half, signing is Refused(STATE_KEY_MISSING), before and after others are made."""

        async def use(custody: KeyCustody) -> None:
            for _ in range(2):
                assert not await custody.available("issuing")
                assert await custody.public_key("issuing") is None
                with pytest.raises(Refused) as caught:
                    await custody.sign("issuing", TBS)
                assert caught.value.code is Code.STATE_KEY_MISSING
                await custody.create("issuing-2", KeyType.EC_P256)
            assert await custody.available("issuing-2")

        self.play(tmp_path, use)

    @pytest.mark.parametrize("kind", list(KeyType), ids=str)
    def test_a_key_is_taken_over(self, tmp_path: Path, kind: KeyType) -> None:
        """A key that was made elsewhere signs here, taken twice or once; a kind it does not have is refused."""
        key = elsewhere(kind)

        async def use(custody: KeyCustody) -> None:
            if kind not in self.kinds:
                with pytest.raises(Refused) as caught:
                    await custody.take("root", key)
                assert caught.value.code is Code.AUTHORITY_UNUSABLE
                return
            public = await custody.take("root", key)
            assert spki_sha256(public) == spki_sha256(key.public_key())
            verify(key.public_key(), await custody.sign("root", TBS), TBS)

        self.play(tmp_path, use, use)

    def test_a_name_is_taken_once(self, tmp_path: Path) -> None:
        """Another key under a name that has one is Refused(STATE_FILE_EXISTS), and changes nothing."""

        async def use(custody: KeyCustody) -> None:
            first = await custody.create("issuing", KeyType.EC_P256)
            with pytest.raises(Refused) as caught:
                await custody.take("issuing", generate(KeyType.EC_P256))
            assert caught.value.code is Code.STATE_FILE_EXISTS
            verify(first, await custody.sign("issuing", TBS), TBS)

        self.play(tmp_path, use)

    def test_many_at_once(self, tmp_path: Path) -> None:
        """Eight that create the same key get the same; thirty-two signatures at once are all good."""

        async def use(custody: KeyCustody) -> None:
            made = await asyncio.gather(*(custody.create("issuing", KeyType.EC_P256) for _ in range(8)))
            assert len({spki_sha256(public) for public in made}) == 1
            texts = [b"%d" % number for number in range(32)]
            signatures = await asyncio.gather(*(custody.sign("issuing", text) for text in texts))
            for text, signature in zip(texts, signatures, strict=True):
                verify(made[0], signature, text)

        self.play(tmp_path, use)

    def test_the_loop_is_not_held_up(self, tmp_path: Path) -> None:
        """While a key is made and opened, whatever that takes, everything else of the process goes on."""
        stood: list[float] = []
        took: list[float] = []

        async def watch() -> None:
            loop = asyncio.get_running_loop()
            while True:
                before = loop.time()
                await asyncio.sleep(0.005)
                stood.append(loop.time() - before)

        async def use(custody: KeyCustody) -> None:
            watching = asyncio.create_task(watch())
            loop = asyncio.get_running_loop()
            before = loop.time()
            await custody.create("root", KeyType.RSA_3072)
            await custody.sign("root", TBS)
            took.append(loop.time() - before)
            await asyncio.sleep(0.02)
            watching.cancel()

        self.play(tmp_path, use)
        # A machine that is busy stands for a while, too.
        assert max(stood) < max(0.25, took[0] / 2)

    def test_another_secret_opens_nothing(self, tmp_path: Path) -> None:
        """With another passphrase or PIN nothing is read, signed or made: Refused(KEY_PASSPHRASE_WRONG)."""
        if self.secret is None:
            return

        async def make(custody: KeyCustody) -> None:
            await custody.create("issuing", KeyType.EC_P256)

        self.play(tmp_path, make)
        with self.open(tmp_path, b"something else") as custody:
            calls: list[Callable[[], Awaitable[object]]] = [
                lambda: custody.sign("issuing", TBS),
                lambda: custody.available("issuing"),
                lambda: custody.create("issuing", KeyType.EC_P256),
            ]
            for call in calls:
                assert asyncio.run(_refused(call)).code is Code.KEY_PASSPHRASE_WRONG

    @pytest.mark.parametrize("kind", list(KeyType), ids=str)
    def test_no_secret_is_told_or_lies_about(
        self, tmp_path: Path, kind: KeyType, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Neither key nor passphrase is in a repr, a traceback, the log or (unless the keys are kept in clear) in any
        file below the directory."""
        if kind not in self.kinds:
            return
        caplog.set_level(logging.DEBUG)
        key = elsewhere(kind)
        told: list[str] = []

        async def use(custody: KeyCustody) -> None:
            await custody.take("root", key)
            await custody.sign("root", TBS)
            told.extend((repr(custody), str(custody), custody.where("root")))
            told.append(_whole(await _refused(lambda: custody.sign("issuing", TBS))))

        self.play(tmp_path, use)
        if self.secret is not None:
            with self.open(tmp_path, b"something else") as custody:
                refused = asyncio.run(_refused(lambda: custody.sign("root", TBS)))
                told.extend((_whole(refused), repr(custody)))
                assert "something else" not in "".join(told)
        secrets = secrets_of(key) + ((self.secret,) if self.secret else ())
        said = "\n".join((*told, caplog.text)).encode()
        assert [secret for secret in secrets if secret in said] == []
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        leaking = [p.name for p in files if any(secret in p.read_bytes() for secret in secrets)]
        # Where the keys are kept in clear they are found, so what is looked for is what would be there.
        assert leaking == ([] if self.secret is not None else ["root.key"])

    def test_nobody_else_can_read_a_file(self, tmp_path: Path) -> None:
        """Every file below the directory is its owner's alone."""

        async def use(custody: KeyCustody) -> None:
            await custody.create("root", KeyType.EC_P384)
            await custody.create("issuing", KeyType.EC_P256)

        self.play(tmp_path, use)
        assert [p.name for p in tmp_path.rglob("*.key") if p.stat().st_mode & 0o077] == []


async def _refused(call: Callable[[], Awaitable[object]]) -> Refused:
    with pytest.raises(Refused) as caught:
        await call()
    return caught.value


def _whole(refused: Refused) -> str:
    """All that a person, a log or a crash report could get to see of it."""
    return "\n".join((*traceback.format_exception(refused), repr(refused), refused.what, refused.why, refused.fix))
