"""What is settled about the authority, as values: its hierarchy, its keys and where it publishes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from handclasp.app.endpoints import Listen
from handclasp.pki.constraints import NameConstraints
from handclasp.pki.keys import KeyType


@dataclass(frozen=True, slots=True)
class KeysSettings:
    """Who keeps the authority's keys. ``passphrase`` and ``pin`` say where a secret is found, never the secret:
    ``prompt``, ``env:NAME``, ``file:PATH`` or ``keyring:SERVICE``."""

    custody: Literal["files", "pkcs11"] = "files"
    passphrase: str | None = None
    module: str | None = None
    token: str | None = None
    pin: str | None = None


@dataclass(frozen=True, slots=True)
class AuthoritySettings:
    """The hierarchy that is made on first use, and where revocation lists and OCSP are published.

    ``url`` is what certificates say (``http://pki.example.org``); ``listen`` is where this process serves it.
    """

    separate: bool = False
    root_key: KeyType = KeyType.EC_P384
    issuing_key: KeyType = KeyType.EC_P256
    constraints: NameConstraints | None = None
    listen: Listen | None = None
    url: str | None = None
    crl_shards: int = 1
    keys: KeysSettings = field(default_factory=KeysSettings)
