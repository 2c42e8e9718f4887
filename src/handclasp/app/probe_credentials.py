"""The client certificates of `handclasp probe`: out of the store, or out of files that a person names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.app import ambient, convert, credential_files, credential_source, credentials
from handclasp.app.control import SettingsSource
from handclasp.app.probing import CredentialOf
from handclasp.app.state import StateDirectory
from handclasp.findings import Code, Refused
from handclasp.probe.credentials import Credential, Pattern
from handclasp.probe.target import Target

AUTO = "auto"


@contextmanager
def stored(name: str, state: StateDirectory, load: SettingsSource) -> Iterator[CredentialOf]:
    """The credential of that name for every endpoint, or with ``auto`` the one of the endpoint's pattern."""
    with credential_source.opened(state, load) as source:

        async def credential_of(target: Target) -> Credential | None:
            if name == AUTO:
                return None if source is None else await source.find(target.name, target.port)
            if source is None:
                raise credentials.unknown(name)
            return await source.named(name)

        yield credential_of


def from_files(
    cert: Path, key: Path | None, passphrase: bytes | None, ask: Callable[[str], bytes | None]
) -> Credential:
    """A credential out of files. Refused, as for one that is added to the store."""
    files = [(str(one), convert.load(str(one))) for one in (cert, key) if one is not None]
    try:
        pair = credential_files.pair(files, passphrase, now=ambient.now())
    except Refused as refused:
        if refused.code is Code.CREDENTIAL_UNUSABLE:
            fix = "Give the certificate with --cert and its key with --key, or a PKCS#12 that has both with --cert."
            raise Refused(refused.code, f"{cert} cannot be shown", refused.why, fix) from None
        if refused.code is not Code.FILE_PASSPHRASE_MISSING or (answer := ask(str(key or cert))) is None:
            raise
        pair = credential_files.pair(files, answer, now=ambient.now())
    leaf = pair.chain[0]
    return Credential(
        name=str(cert),
        pattern=Pattern.parse("localhost"),  # shown to whom it is named for, whatever its pattern
        chain=tuple(one.public_bytes(Encoding.DER) for one in pair.chain),
        not_after=leaf.not_valid_after_utc,
        key=pair.key,
    )
