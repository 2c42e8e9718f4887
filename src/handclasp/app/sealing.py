"""Keys at rest in the database: sealed with AES-256-GCM (NIST SP 800-38D), by a key that the database does not have.

That key is made of a signature, which only the authority's custody can give: HKDF (RFC 5869) over what the key
``credentials`` signs of a fixed text, by an algorithm that signs the same each time (Ed25519, RFC 8032 §5.1.6; on a
token RSA PKCS#1, RFC 8017 §8.2). So it is kept as the authority's keys are: ``ca/credentials.key``, 0600, under their
passphrase if they have one, changed with it by ``handclasp ca passphrase``; in a backup with keys, and in none without;
or in a hardware security module. Nothing else is ever signed with it.

Where several state directories share a PostgreSQL, each needs this file, as it needs those of the authority: made by
the first that adds a credential, and copied to the others.

What is sealed is one octet of version, 8 that name the sealing key, a nonce of 12, and the ciphertext with its tag.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from handclasp.authority.ports import KeyCustody
from handclasp.findings import Code, Refused
from handclasp.pki.keys import KeyType
from handclasp.store.credentials import StoredCredential
from handclasp.store.keyfiles import KeyFiles

KEY = "credentials"
"""The name of the key in the custody."""

_SIGNED = b"handclasp: the key that seals credentials, 1"
_VERSION = b"\x01"
_ID, _NONCE, _TAG = 8, 12, 16  # octets


class Sealing:
    """Seals the keys of credentials, and opens them. ``custody`` keeps what it takes."""

    def __init__(self, custody: KeyCustody) -> None:
        self._custody = custody
        self._derived: dict[bytes, AESGCM] = {}

    def __repr__(self) -> str:
        return f"Sealing({self._custody!r})"

    async def prepare(self, *, first: bool) -> None:
        """See that there is a key to seal with; ``first`` says that nothing was ever sealed, so that one may be made.

        Refused: STATE_KEY_MISSING; what the custody refuses; AUTHORITY_UNUSABLE for a token that signs differently
        each time.
        """
        if await self._custody.public_key(KEY) is None:
            if not first:
                raise self._missing("The credential cannot be kept")
            files = isinstance(self._custody, KeyFiles)
            await self._custody.create(KEY, KeyType.ED25519 if files else KeyType.RSA_3072)
        if await self._custody.sign(KEY, _SIGNED) != await self._custody.sign(KEY, _SIGNED):
            raise Refused(
                Code.AUTHORITY_UNUSABLE,
                "The credential cannot be kept",
                f"the key {self._custody.where(KEY)} signs differently each time, so nothing could be opened again",
                "Use a module whose keys sign by RSA PKCS#1.",
            )

    async def seal(self, key: bytes, of: StoredCredential) -> StoredCredential:
        """The credential with this private key (PKCS#8 DER) sealed in it, bound to all that it says. Refused as by
        ``prepare``, which comes before."""
        name, cipher = await self._current("The credential cannot be kept")
        nonce = secrets.token_bytes(_NONCE)
        sealed = _VERSION + name + nonce + cipher.encrypt(nonce, key, bound(of))
        return _with(of, sealed)

    async def open(self, stored: StoredCredential) -> bytes:
        """The private key, PKCS#8 DER. Refused: STATE_DAMAGED if what is stored was changed, or sealed with another
        key than the one here; STATE_KEY_MISSING; what the custody refuses."""
        what = f"The credential {stored.name} cannot be opened"
        sealed = stored.sealed or b""
        if len(sealed) < 1 + _ID + _NONCE + _TAG or sealed[:1] != _VERSION:
            raise _damaged(what, "its key is missing or was sealed in a way that is not known here")
        name, nonce = sealed[1 : 1 + _ID], sealed[1 + _ID : 1 + _ID + _NONCE]
        cipher = self._derived.get(name)
        if cipher is None:
            own, cipher = await self._current(what)
            if own != name:
                where = self._custody.where(KEY)
                raise _damaged(
                    what,
                    f"its key was sealed with another key than {where}",
                    f"Put the right one there, from a backup or from the machine that added it; or add it again: "
                    f"handclasp credential add {stored.pattern} --replace.",
                )
        try:
            return cipher.decrypt(nonce, sealed[1 + _ID + _NONCE :], bound(stored))
        except InvalidTag:
            raise _damaged(
                what, "somebody has changed its name, pattern, certificates or key in the database"
            ) from None

    async def _current(self, what: str) -> tuple[bytes, AESGCM]:
        """The name of the key that is here, and its cipher."""
        try:
            secret = await self._custody.sign(KEY, _SIGNED)
        except Refused as refused:
            if refused.code is not Code.STATE_KEY_MISSING:
                raise
            raise self._missing(what) from None
        name = HKDF(SHA256(), _ID, None, b"handclasp credentials name").derive(secret)
        cipher = AESGCM(HKDF(SHA256(), 32, None, b"handclasp credentials key").derive(secret))
        self._derived[name] = cipher
        return name, cipher

    def _missing(self, what: str) -> Refused:
        return Refused(
            Code.STATE_KEY_MISSING,
            what,
            f"what opens the credentials was made elsewhere, and there is no {self._custody.where(KEY)}",
            "Copy it there, from the machine that has it or from a backup with keys; "
            "or remove the credentials, and add them again.",
        )


def bound(stored: StoredCredential) -> bytes:
    """What the seal covers beside the key: whoever can write to the database must not be able to give a key another
    host, another certificate, or authorities that would vouch for another server."""
    parts = (
        stored.name.encode(),
        stored.pattern.encode(),
        (stored.identity or "").encode(),
        stored.chain,
        stored.ca or b"",
    )
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def _with(of: StoredCredential, sealed: bytes) -> StoredCredential:
    return StoredCredential(of.name, of.pattern, of.chain, sealed, of.ca, of.identity, of.created_at, of.not_after)


def _damaged(
    what: str, why: str, fix: str = "Restore the database from a backup, or add the credential again."
) -> Refused:
    return Refused(Code.STATE_DAMAGED, what, why, fix)
