"""The authorities themselves: shown, made in a ceremony, imported. Each verb is one operation of ``control``."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.app import ambient
from handclasp.app.passphrase import VARIABLE, reader
from handclasp.app.vault import Vault
from handclasp.authority import ceremony, crl
from handclasp.authority.hierarchy import establish_root
from handclasp.authority.lineage import TRUSTED, active, certificate_of, signing_authority
from handclasp.authority.records import AuthorityRecord, Role
from handclasp.findings import Code, InvalidSetting, Refused
from handclasp.pki import containers, pem
from handclasp.pki.keys import KeyType, PrivateKey, key_type
from handclasp.pki.names import rfc4514
from handclasp.pki.profile import PROFILES
from handclasp.store.keyfiles import KeyFiles

Json = dict[str, object]

_ROOT_LIST = timedelta(days=365)


async def show(vault: Vault) -> Json:
    """Every authority there ever was, and the profiles there are."""
    own = PROFILES if vault.settings is None else vault.settings.profiles
    return {
        "authorities": [await facts(vault, record) for record in await vault.ledger.authorities()],
        "profiles": [name for name, profile in own.items() if not (profile.is_ca or profile.ocsp_no_check)],
    }


async def bundle(vault: Vault) -> Json:
    """The roots that callers trust, in PEM."""
    records = [one for one in await vault.ledger.authorities() if one.role is Role.ROOT and one.state in TRUSTED]
    if not records:
        raise Refused(
            Code.AUTHORITY_UNKNOWN,
            "There is no trust bundle yet",
            f"no root is known in {vault.state.path}",
            "Make the authority: handclasp up, or handclasp ca install.",
        )
    return {"bundle": pem.pem(*(certificate_of(one, one.certificates[0]) for one in records)).decode()}


async def root(
    vault: Vault,
    *,
    trust_domain: str | None,
    key_type: str,
    seconds: float | None,
    path_length: int | None,
    unencrypted: bool,
) -> Json:
    """A root and nothing below it, its key encrypted unless that is declined."""
    custody = vault.custody
    if isinstance(custody, KeyFiles) and not custody.encrypts and not unencrypted:
        if not sys.stdin.isatty():
            raise Refused(
                Code.KEY_PASSPHRASE_MISSING,
                "The root was not made",
                "its key is to be encrypted, and there is no passphrase and no terminal to ask for one at",
                f"Set {VARIABLE}; or, if the key will be protected otherwise, use --unencrypted.",
            )
        custody = KeyFiles(vault.state.authority_keys, reader("prompt", "new passphrase of the root", confirm=True))
    made = await establish_root(
        vault.ledger,
        custody,
        await vault.trust_domain(trust_domain),
        plan=replace(
            vault.plan,
            **_given(root_key=_key_type(key_type), root_lifetime=_span(seconds), root_path_length=path_length),
        ),
        now=ambient.now(),
        serial=ambient.new_serial,
    )
    return {**_told(made.certificate), "certificate": pem.pem(made.certificate).decode(), "key": custody.where("root")}


async def csr(vault: Vault, *, role: str, trust_domain: str | None) -> Json:
    """A key of an issuing authority, and a request for the root's keeper."""
    asked = await ceremony.request(
        vault.ledger,
        vault.custody,
        await vault.trust_domain(trust_domain),
        Role(role),
        plan=vault.plan,
        now=ambient.now(),
    )
    return {"name": asked.name, "csr": asked.csr.decode(), "key": vault.custody.where(asked.name)}


async def sign(vault: Vault, *, csr: str, seconds: float | None, path_length: int | None) -> Json:
    """The chain of a request, signed by the root that is here."""
    trust_domain = await vault.trust_domain()
    if not any(one.role is Role.ROOT for one in await vault.ledger.authorities()):
        raise _no_root(vault, "The request cannot be signed")
    chain = await ceremony.sign(
        vault.ledger,
        vault.custody,
        trust_domain,
        csr.encode("latin-1"),
        plan=replace(vault.plan, **_given(issuing_lifetime=_span(seconds), issuing_path_length=path_length)),
        now=ambient.now(),
        serial=ambient.new_serial,
    )
    return {**_told(chain[0]), "chain": pem.pem(*chain).decode()}


async def sign_list(vault: Vault, *, seconds: float | None) -> Json:
    """The revocation list of the root whose key is here, for a year if nothing else is asked."""
    record = active(await vault.ledger.authorities(), Role.ROOT)
    if record is None:
        raise _no_root(vault, "The revocation list cannot be signed")
    signed = await crl.current_crl(
        vault, signing_authority(record), now=ambient.now(), lifetime=_span(seconds) or _ROOT_LIST
    )
    return {
        "crl": signed.public_bytes(Encoding.PEM).decode(),
        "next_update": None if signed.next_update_utc is None else signed.next_update_utc.isoformat(timespec="seconds"),
    }


async def install_list(vault: Vault, *, data: str) -> Json:
    """A root's revocation list that was signed where its key is."""
    found = containers.read(bytes.fromhex(data)).crls
    if len(found) != 1:
        raise Refused(
            Code.FILE_UNRECOGNIZED,
            "The revocation list was not installed",
            f"there are {len(found)} revocation lists in the file",
            "Give the one that handclasp ca crl made.",
        )
    return await facts(vault, await crl.install(vault.ledger, found[0], now=ambient.now()))


def _no_root(vault: Vault, what: str) -> Refused:
    return Refused(
        Code.AUTHORITY_UNKNOWN,
        what,
        f"there is no root in {vault.state.path}",
        "Make one here: handclasp ca root; or name the directory that has it with --dir.",
    )


async def renew_root(vault: Vault) -> Json:
    """A new root by the one that is here, with all that the online machine needs of it."""
    chain = await ceremony.renew_root(
        vault.ledger,
        vault.custody,
        await vault.trust_domain(),
        plan=vault.plan,
        now=ambient.now(),
        serial=ambient.new_serial,
    )
    return {**_told(chain[0]), "chain": pem.pem(*chain).decode()}


async def install(vault: Vault, *, chain: str) -> Json:
    """The certificate of an authority that was requested here, or a new root with all that belongs to it."""
    certificates = pem.load_chain(chain.encode("latin-1"))
    record = await ceremony.install(vault.ledger, await vault.trust_domain(), certificates, now=ambient.now())
    return await facts(vault, record)


async def take(vault: Vault, *, files: list[str], passphrase: str, role: str | None, trust_domain: str | None) -> Json:
    """An authority that exists elsewhere: certificate, key, and those above it, in any files."""
    secret = bytes.fromhex(passphrase) or None
    found = [containers.read(bytes.fromhex(file), secret) for file in files]
    keys = [one.key for contents in found for one in contents.keys]
    if len(keys) > 1:
        raise Refused(
            Code.AUTHORITY_UNUSABLE,
            "The authority was not taken over",
            f"there are {len(keys)} private keys in what was given",
            "Give the key of one authority.",
        )
    if None in keys:
        raise Refused(
            Code.FILE_PASSPHRASE_MISSING,
            "The authority was not taken over",
            "its key is encrypted, and no passphrase was given",
            "Give it with --password-file, - for standard input.",
        )
    record = await ceremony.import_authority(
        vault.ledger,
        vault.custody,
        await vault.trust_domain(trust_domain),
        tuple(one.certificate for contents in found for one in contents.certificates),
        cast("PrivateKey", keys[0]) if keys else None,  # ceremony refuses kinds that are not in use
        role=None if role is None else Role(role),
        now=ambient.now(),
    )
    return await facts(vault, record)


async def passphrase(vault: Vault, *, new: str) -> Json:
    """Put the key files under a new passphrase (hex), or under none if it is empty."""
    if not isinstance(vault.custody, KeyFiles):
        raise Refused(
            Code.CONFIG_CONFLICT,
            "The keys have no passphrase here",
            "they are in a hardware security module",
            "Change its PIN with the module's own tools.",
        )
    secret = bytes.fromhex(new)
    names = await vault.custody.reencrypt((lambda: secret) if secret else None)
    return {"keys": list(names)}


async def facts(vault: Vault, record: AuthorityRecord) -> Json:
    """One authority, as people and programs are told of it."""
    certificate = certificate_of(record, record.certificates[0]) if record.certificates else None
    return {
        "name": record.name,
        "role": record.role.value,
        "state": record.state.value,
        "key_id": record.key_id,
        "key": vault.custody.where(record.name),
        "key_online": await _is_online(vault, record.name),
        "key_in_file": isinstance(vault.custody, KeyFiles),
        "parent": record.parent,
        **_told(certificate),
    }


async def _is_online(vault: Vault, name: str) -> bool:
    """Whether the key is here, be it under a passphrase that nobody has given."""
    try:
        return await vault.custody.available(name)
    except Refused as refused:
        if refused.code is Code.HSM_UNAVAILABLE:
            return False
        if refused.code not in (Code.KEY_PASSPHRASE_MISSING, Code.KEY_PASSPHRASE_WRONG):
            raise
        return True


def _told(certificate: x509.Certificate | None) -> Json:
    if certificate is None:
        return {"subject": None, "key_type": None, "not_after": None, "days_left": None}
    return {
        "subject": rfc4514(certificate.subject),
        "key_type": key_type(certificate.public_key()).value,
        "not_after": certificate.not_valid_after_utc.isoformat(timespec="seconds"),
        "days_left": round((certificate.not_valid_after_utc - ambient.now()) / timedelta(days=1), 1),
    }


def _key_type(text: str) -> KeyType:
    try:
        return KeyType(text)
    except ValueError:
        raise InvalidSetting("--key-type", f"{text!r} is no kind of key", ", ".join(KeyType)) from None


def _given(**values: Any) -> dict[str, Any]:
    """Those that were given: the rest stays as the plan has it."""
    return {name: value for name, value in values.items() if value is not None}


def _span(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
