"""The holder's side of a grant: makes the key where it will be used, asks for the certificate, writes the files."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from handclasp.app.hardening import no_core_dumps
from handclasp.app.state import CHAIN, KEY, unwritable, write_identity
from handclasp.findings import Code, InvalidSetting, Refused
from handclasp.pki import keys, pem, pkcs12, request
from handclasp.pki.spiffe import SpiffeID
from handclasp.store import files

P12 = "identity.p12"


class Perform(Protocol):
    """A way to have an operation done: over the control socket, or in this process."""

    def __call__(self, operation: str, **arguments: object) -> Awaitable[dict[str, Any]]:
        """Do it and return its result."""


@dataclass(frozen=True, slots=True)
class Granted:
    """What was granted and where its files are. ``facts`` are those of the operation, without the certificates."""

    directory: Path
    facts: dict[str, Any]


async def grant(
    perform: Perform,
    identity: SpiffeID,
    directory: Path,
    *,
    dns: tuple[str, ...] = (),
    seconds: float | None = None,
    passphrase: bytes | None = None,
    key_type: keys.KeyType = keys.KeyType.EC_P256,
) -> Granted:
    """A new key and certificate for an identity, written to a directory. With a passphrase, also as PKCS#12.

    Files that are there already are replaced only if their certificate is revoked or expired, or never was.
    """
    await _may_write(perform, identity, directory)
    no_core_dumps()
    key = keys.generate(key_type)
    csr = request.create(key, identity)
    facts = await perform("client.add", name=identity.path, csr=csr.decode(), dns=list(dns), seconds=seconds)
    chain, bundle = facts.pop("chain").encode(), facts.pop("bundle").encode()
    write_identity(directory, key=keys.private_pem(key), chain=chain, bundle=bundle)
    if passphrase is not None:
        _write_p12(directory, identity, key, chain + bundle, passphrase)
    return Granted(directory, facts)


async def renew(
    perform: Perform,
    identity: SpiffeID,
    directory: Path,
    *,
    seconds: float | None = None,
    passphrase: bytes | None = None,
) -> Granted:
    """A new certificate for the key in a directory; the key stays, so that one file changes and nothing can be torn."""
    no_core_dumps()
    try:
        key = keys.load_private((directory / KEY).read_bytes())
    except OSError as error:
        raise Refused(
            Code.STATE_KEY_MISSING,
            f"The key of {identity.path} cannot be read",
            f"{directory / KEY}: {error.strerror}",
            "Renew where the key is, and name its directory with --out; or make a new one: handclasp client add.",
        ) from None
    csr = request.create(key, identity)
    facts = await perform("client.renew", name=identity.path, csr=csr.decode(), seconds=seconds)
    chain, bundle = facts.pop("chain").encode(), facts.pop("bundle").encode()
    write_identity(directory, key=None, chain=chain, bundle=bundle)
    if passphrase is not None:
        _write_p12(directory, identity, key, chain + bundle, passphrase)
    return Granted(directory, facts)


async def _may_write(perform: Perform, identity: SpiffeID, directory: Path) -> None:
    try:
        chain = (directory / CHAIN).read_bytes()
        if not (directory / KEY).exists():
            return
    except FileNotFoundError:
        return
    except OSError as error:
        raise unwritable(directory, error) from None
    try:
        fingerprint = pem.load_chain(chain)[0].fingerprint(SHA256()).hex()
    except (ValueError, x509.InvalidVersion):
        return  # no certificate: nothing that could be lost but the key beside it, which fits none
    try:
        known = await perform("cert.show", which=fingerprint)  # of whomever: a key of another is not lost either
    except Refused as refused:
        if refused.code is not Code.CERTIFICATE_UNKNOWN:
            raise
        return
    if known["state"] in ("issued", "held") and not known["expired"]:
        raise Refused(
            Code.STATE_FILE_EXISTS,
            f"{identity.path} has its files already",
            f"{directory} holds a certificate that is valid",
            f"For another copy: handclasp client add {identity.path} --out DIR. "
            f"For a longer life: handclasp client renew {identity.path}.",
        )


def _write_p12(directory: Path, identity: SpiffeID, key: keys.PrivateKey, chain: bytes, passphrase: bytes) -> None:
    data = pkcs12.encode(identity.path, key, pem.load_chain(chain), passphrase)
    try:
        files.write(directory / P12, data, 0o600)
    except OSError as error:
        raise unwritable(directory, error) from None


def new_key(kind: str) -> tuple[bytes, bytes]:
    """A new private key in PEM, unencrypted, and a request by it without any names. Raises InvalidSetting."""
    no_core_dumps()
    key = keys.generate(key_type_named(kind))
    return keys.private_pem(key), request.create_for(key, x509.Name([]))


def key_type_named(text: str) -> keys.KeyType:
    """The kind of key that a person names. Raises InvalidSetting."""
    try:
        return keys.KeyType(text)
    except ValueError:
        raise InvalidSetting("--key-type", f"{text!r} is no kind of key", ", ".join(keys.KeyType)) from None
