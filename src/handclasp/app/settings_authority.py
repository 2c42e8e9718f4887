"""What ``handclasp.yaml`` may say of the authority: its hierarchy, its keys, where it publishes, and its profiles."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from types import MappingProxyType
from typing import Annotated, Final, Literal

from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID
from pydantic import Field

from handclasp.app import passphrase
from handclasp.app.authority_settings import AuthoritySettings, KeysSettings
from handclasp.app.duration import PATTERN, parse_duration
from handclasp.app.endpoints import LISTEN, IPNetwork, Listen
from handclasp.app.settings_fields import Model, Several, Text, choice
from handclasp.authority.records import EXTERNAL
from handclasp.findings import InvalidSetting
from handclasp.pki import profile
from handclasp.pki.constraints import NameConstraints
from handclasp.pki.keys import KeyType
from handclasp.pki.profile import NameRules, Profile

_PROFILE_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
_PROFILE_ALLOWED: Final = "1 to 40 of: lower-case letters, digits and dashes, and no name that is taken"
_URL: Final = re.compile(r"http://[A-Za-z0-9.\-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~\-]+)*")
_URL_ALLOWED: Final = "an address of plain HTTP without a slash at its end, as in http://pki.example.org"
_WHERE: Final = "prompt, env:NAME, file:PATH or keyring:SERVICE"
_KEY_TYPES: Final = ", ".join(KeyType)
_AUTHORITY_KEYS: Final = tuple(KeyType)
_USAGES: Final[Mapping[str, ObjectIdentifier]] = MappingProxyType(
    {"client": ExtendedKeyUsageOID.CLIENT_AUTH, "server": ExtendedKeyUsageOID.SERVER_AUTH}
)
_BASES: Final = ("client", "server", "workload")
_DURATION = {"type": "string", "pattern": f"^{PATTERN}$"}


def _key_type(text: str) -> KeyType:
    return KeyType(choice(*_AUTHORITY_KEYS)(text))


def _url(text: str) -> str:
    if not _URL.fullmatch(text):
        raise InvalidSetting("", f"{text!r} is no such address", _URL_ALLOWED)
    return text


def _secret(text: str) -> str:
    passphrase.parse(text)
    return text


def _network(text: str) -> IPNetwork:
    try:
        return ip_network(text)
    except ValueError as error:
        raise InvalidSetting("", f"{text!r} is no network: {error}", "a network, as in 10.0.0.0/8") from None


def _shards(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise InvalidSetting("", f"{text!r} is no such number", "1 to 1024")
    return int(text)


def _profile_name(text: str) -> str:
    if not _PROFILE_NAME.fullmatch(text) or text in {*profile.PROFILES, EXTERNAL}:
        raise InvalidSetting("", f"{text!r} cannot be the name of a profile", _PROFILE_ALLOWED)
    return text


def _text(text: str) -> str:
    if not text or "\0" in text:
        raise InvalidSetting("", "it is empty", "some text")
    return text


def _one(check: Callable[[tuple[str, ...]], object]) -> Callable[[str], str]:
    """Text that is held by itself to what several of it are held to, so that a mistake is told at its place."""

    def parse(text: str) -> str:
        check((text,))
        return text

    return parse


class ConstraintsModel(Model):
    """The names that the issuing authorities may certify. With any of these, every kind not named is forbidden."""

    dns: Annotated[
        list[Annotated[str, Text(_one(lambda some: NameConstraints(dns=some)), "a domain")]],
        Several(list, "a list of domains"),
    ] = Field(
        default_factory=list,
        description="Domains: the name itself and all below it.",
        examples=[["example.org"]],
    )
    ips: Annotated[
        list[Annotated[IPNetwork, Text(_network, "a network, as in 10.0.0.0/8")]], Several(list, "a list of networks")
    ] = Field(default_factory=list, description="Networks of IP addresses.", examples=[["10.0.0.0/8", "fd00::/8"]])
    uris: Annotated[
        list[Annotated[str, Text(_one(lambda some: NameConstraints(uris=some)), "a host")]],
        Several(list, "a list of hosts"),
    ] = Field(
        default_factory=list,
        description="Hosts of URIs. The trust domain is always among them: SPIFFE IDs are URIs.",
        examples=[["example.org"]],
    )
    emails: Annotated[
        list[Annotated[str, Text(_one(lambda some: NameConstraints(emails=some)), "a mailbox or domain")]],
        Several(list, "a list of mailboxes and domains"),
    ] = Field(default_factory=list, description="Mailboxes or domains of mail.", examples=[["example.org"]])


class KeysModel(Model):
    """Who keeps the authority's private keys."""

    custody: Annotated[
        Literal["files", "pkcs11"],
        Text(choice("files", "pkcs11"), "files or pkcs11", {"enum": ["files", "pkcs11"]}),
    ] = Field(
        default="files",
        description="files: in the state directory. pkcs11: in a hardware security module.",
        examples=["files"],
    )
    passphrase: Annotated[str | None, Text(_secret, _WHERE)] = Field(
        default=None,
        description="Where the passphrase of the key files is found: prompt, env:NAME, file:PATH or keyring:SERVICE. "
        "Without it, HANDCLASP_CA_PASSPHRASE in the environment; without that, the files are not encrypted.",
        examples=["env:HANDCLASP_CA_PASSPHRASE", "file:/run/secrets/handclasp", "keyring:handclasp"],
    )
    module: Annotated[str | None, Text(_text, "the path of a PKCS#11 library")] = Field(
        default=None,
        description="The PKCS#11 library of the module.",
        examples=["/usr/lib/softhsm/libsofthsm2.so"],
    )
    token: Annotated[str | None, Text(_text, "the label of a token")] = Field(
        default=None, description="The label of the token in the module.", examples=["handclasp"]
    )
    pin: Annotated[str | None, Text(_secret, _WHERE)] = Field(
        default=None,
        description="Where the PIN of the token is found, as for passphrase.",
        examples=["env:HANDCLASP_HSM_PIN"],
    )


class PublishModel(Model):
    """Where revocation lists, the authorities' certificates and OCSP are published, over plain HTTP."""

    listen: Annotated[Listen | None, Text(Listen.parse, LISTEN)] = Field(
        default=None,
        description="Where this process serves them: the port, or ADDRESS:PORT. Without it, nothing is served.",
        examples=[8480, "127.0.0.1:8480"],
    )
    url: Annotated[str | None, Text(_url, _URL_ALLOWED)] = Field(
        default=None,
        description="The address that goes into certificates, for whoever checks them. "
        "It must lead to listen, and stay the same for years.",
        examples=["http://pki.example.org"],
    )


class AuthorityModel(Model):
    """The certificate authority. The hierarchy is made on first use; the rest can be changed."""

    issuing: Annotated[
        Literal["together", "separate"],
        Text(choice("together", "separate"), "together or separate", {"enum": ["together", "separate"]}),
    ] = Field(
        default="together",
        description="separate: one issuing authority for clients and another for servers. First use only.",
        examples=["together"],
    )
    root_key: Annotated[KeyType, Text(_key_type, _KEY_TYPES, {"enum": list(_AUTHORITY_KEYS)})] = Field(
        default=KeyType.EC_P384, description="The kind of the root's key.", examples=["ec-p384"]
    )
    issuing_key: Annotated[KeyType, Text(_key_type, _KEY_TYPES, {"enum": list(_AUTHORITY_KEYS)})] = Field(
        default=KeyType.EC_P256, description="The kind of the issuing authorities' keys.", examples=["ec-p256"]
    )
    name_constraints: ConstraintsModel = Field(
        default_factory=ConstraintsModel,
        description="The names that the issuing authorities may certify; without any, all. "
        "Some TLS libraries refuse constraints on URIs that they do not understand.",
    )
    publish: PublishModel = Field(
        default_factory=PublishModel, description="Where revocation lists and OCSP are published."
    )
    crl_shards: Annotated[int, Text(_shards, "1 to 1024", {"type": "integer", "minimum": 1, "maximum": 1024})] = Field(
        default=1,
        description="Into how many revocation lists an issuing authority's certificates are spread. "
        "Certificates keep the list that they were made for.",
        examples=[1, 16],
    )
    keys: KeysModel = Field(default_factory=KeysModel, description="Where the private keys are kept.")


class NamesModel(Model):
    """The names that a profile allows, by pattern; a kind that is left out is not limited further."""

    spiffe: Annotated[
        list[Annotated[str, Text(_one(lambda some: NameRules(spiffe=some)), "a pattern")]],
        Several(list, "a list of patterns"),
    ] = Field(
        default_factory=list,
        description="Paths of SPIFFE IDs. * is one segment, ** any number.",
        examples=[["partners/*", "batch/**"]],
    )
    dns: Annotated[
        list[Annotated[str, Text(_one(lambda some: NameRules(dns=some)), "a pattern")]],
        Several(list, "a list of patterns"),
    ] = Field(
        default_factory=list, description="DNS names. * is one label, ** any number.", examples=[["*.example.org"]]
    )
    ips: Annotated[
        list[Annotated[IPNetwork, Text(_network, "a network, as in 10.0.0.0/8")]], Several(list, "a list of networks")
    ] = Field(default_factory=list, description="Networks of IP addresses.", examples=[["10.0.0.0/8"]])


class ProfileModel(Model):
    """A kind of certificate of your own, made from a built-in one."""

    extends: Annotated[
        Literal["client", "server", "workload"],
        Text(choice(*_BASES), " or ".join(_BASES), {"enum": list(_BASES)}),
    ] = Field(default="client", description="The built-in profile that it begins with.", examples=["client"])
    lifetime: Annotated[timedelta | None, Text(parse_duration, "a duration, as in 90d", _DURATION)] = Field(
        default=None, description="How long its certificates are valid, where nothing is asked.", examples=["30d"]
    )
    max_lifetime: Annotated[timedelta | None, Text(parse_duration, "a duration, as in 90d", _DURATION)] = Field(
        default=None, description="The longest that may be asked for.", examples=["90d"]
    )
    key_types: Annotated[
        list[Annotated[KeyType, Text(_key_type, _KEY_TYPES, {"enum": list(_AUTHORITY_KEYS)})]],
        Several(list, f"a list of: {_KEY_TYPES}"),
    ] = Field(
        default_factory=list,
        description="The kinds of keys that are certified. ML-DSA only where it is named here.",
        examples=[["ec-p256", "ml-dsa-65"]],
    )
    usages: Annotated[
        list[Annotated[str, Text(choice(*_USAGES), "client or server", {"enum": list(_USAGES)})]],
        Several(list, "a list of client and server"),
    ] = Field(
        default_factory=list,
        description="What its certificates are for: client, server, or both.",
        examples=[["client", "server"]],
    )
    names: NamesModel = Field(default_factory=NamesModel, description="The names that it allows.")
    approval: Annotated[
        Literal["none", "required"],
        Text(choice("none", "required"), "none or required", {"enum": ["none", "required"]}),
    ] = Field(
        default="none",
        description="required: a request is kept until somebody approves it (handclasp cert approve).",
        examples=["required"],
    )


PROFILE_NAME: Final = Text(_profile_name, _PROFILE_ALLOWED)
PROFILE_NAME_PATTERN: Final = f"^{_PROFILE_NAME.pattern}$"


def authority_settings(model: AuthorityModel, trust_domain: str) -> AuthoritySettings:
    """The values of the models. Raises InvalidSetting for what does not go together, by the path below authority."""
    keys = KeysSettings(**model.keys.model_dump())
    if keys.custody == "pkcs11" and (keys.module is None or keys.token is None or keys.pin is None):
        raise InvalidSetting("keys", "module, token or pin is missing", "all three with custody: pkcs11")
    if keys.custody == "files" and (keys.module or keys.token or keys.pin):
        raise InvalidSetting("keys", "module, token and pin belong to a module", "custody: pkcs11 beside them")
    if keys.custody == "pkcs11" and keys.passphrase is not None:
        raise InvalidSetting("keys.passphrase", "a module has a PIN and no passphrase", "pin, where custody is pkcs11")
    if model.publish.listen is not None and model.publish.url is None:
        raise InvalidSetting("publish", "url is missing", "the address under which listen is reached by others")
    return AuthoritySettings(
        separate=model.issuing == "separate",
        root_key=model.root_key,
        issuing_key=model.issuing_key,
        constraints=_constraints(model.name_constraints, trust_domain),
        listen=model.publish.listen,
        url=model.publish.url,
        crl_shards=model.crl_shards,
        keys=keys,
    )


def _constraints(model: ConstraintsModel, trust_domain: str) -> NameConstraints | None:
    if not (model.dns or model.ips or model.uris or model.emails):
        return None
    return NameConstraints(
        dns=tuple(model.dns),
        ips=tuple(model.ips),
        uris=tuple(dict.fromkeys((trust_domain, *model.uris))),
        emails=tuple(model.emails),
    )


def profile_settings(name: str, model: ProfileModel) -> Profile:
    """The profile that the model describes. Raises InvalidSetting, by the path below the profile's name."""
    base = profile.PROFILES[model.extends]
    longest = model.max_lifetime or max(base.max_lifetime, model.lifetime or base.lifetime)
    lifetime = model.lifetime or min(base.lifetime, longest)
    if not base.min_lifetime <= lifetime <= longest <= base.max_lifetime:
        raise InvalidSetting(
            "lifetime" if model.lifetime else "max_lifetime",
            "the lifetimes do not go together",
            f"at least {base.min_lifetime.seconds}s, lifetime at most max_lifetime, that at most "
            f"{base.max_lifetime.days}d",
        )
    if model.names.ips and not base.ip_addresses:
        raise InvalidSetting(
            "names.ips", f"certificates that extend {base.name} have no IP addresses", "ips with extends: server"
        )
    names = NameRules(
        spiffe=tuple(model.names.spiffe) or None,
        dns=tuple(model.names.dns) or None,
        ips=tuple(model.names.ips) or None,
    )
    return replace(
        base,
        name=name,
        lifetime=lifetime,
        max_lifetime=longest,
        key_types=frozenset(model.key_types) or base.key_types,
        extended_key_usages=tuple(_USAGES[usage] for usage in dict.fromkeys(model.usages)) or base.extended_key_usages,
        names=names,
        approval=model.approval == "required",
    )
