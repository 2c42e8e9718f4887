"""The keepers of keys keep the contract of the KeyCustody port."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from handclasp.authority.ports import KeyCustody
from handclasp.pki.keys import ML_DSA, KeyType
from handclasp.pki.pkcs8 import Encryption
from handclasp.store.keyfiles import KeyFiles
from handclasp.store.pkcs11keys import Pkcs11Keys
from handclasp.testing import softhsm
from handclasp.testing.custody_contract import CustodyContract


def quick(passphrase: bytes) -> Encryption:
    """As key files are encrypted, but cheap to try."""
    return Encryption(passphrase, os.urandom(16), os.urandom(16), n=16, r=1, p=1)


class TestKeyFiles(CustodyContract):
    """Files that are not encrypted."""

    @contextmanager
    def open(self, directory: Path, secret: bytes | None = None) -> Iterator[KeyCustody]:
        yield KeyFiles(directory / "ca")


class TestEncryptedKeyFiles(CustodyContract):
    """Files under a passphrase."""

    secret = b"correct horse battery staple"

    @contextmanager
    def open(self, directory: Path, secret: bytes | None = None) -> Iterator[KeyCustody]:
        yield KeyFiles(directory / "ca", lambda: secret or self.secret, encryption=quick)


class TestPkcs11Keys(CustodyContract):
    """A token of SoftHSM2."""

    kinds = tuple(kind for kind in KeyType if kind not in ML_DSA)
    secret = b"hsm-pin-4711"
    token: softhsm.Token

    @pytest.fixture(autouse=True)
    def _token(self, tmp_path: Path) -> Iterator[None]:
        with softhsm.token(tmp_path / "hsm") as self.token:
            yield

    @contextmanager
    def open(self, directory: Path, secret: bytes | None = None) -> Iterator[KeyCustody]:
        custody = Pkcs11Keys(self.token.module, self.token.label, lambda: secret or self.secret)
        try:
            yield custody
        finally:
            custody.close()
