"""handclasp.yaml: the authority, profiles of one's own, and the database."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_network

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage

from handclasp.app.authority_settings import AuthoritySettings, KeysSettings
from handclasp.app.endpoints import LISTEN, Listen
from handclasp.app.settings import Settings, parse
from handclasp.pki.constraints import NameConstraints
from handclasp.pki.keys import KeyType
from handclasp.pki.profile import CLIENT, PROFILES, WORKLOAD, NameRules, Presence
from handclasp.testing.settings_files import Told, a_file, a_service, problems

KEY_TYPES = " or ".join(KeyType)
SECRET_PLACES = "prompt, env:NAME, file:PATH or keyring:SERVICE"


def settled(rest: str) -> Settings:
    """What is read where this follows the services."""
    return parse(a_file(a_service(), rest=rest), "handclasp.yaml")


def told(rest: str) -> list[Told]:
    """What is wrong with it, the lines counted from its own first one."""
    return [
        (line - 6, column, path, why, allowed)
        for line, column, path, why, allowed in problems(a_file(a_service(), rest=rest))
    ]


def test_nothing_said_is_the_default() -> None:
    """One authority for both, keys in files, nothing published, a database of its own, and the built-in profiles."""
    read = settled("")
    assert (read.authority, read.database, dict(read.profiles)) == (AuthoritySettings(), None, dict(PROFILES))


def test_everything_said_is_read() -> None:
    """Each setting of the authority has its effect."""
    read = settled("""\
authority:
  issuing: separate
  root_key: ml-dsa-87
  issuing_key: rsa-3072
  name_constraints:
    dns: [example.org]
    ips: [10.0.0.0/8, 'fd00::/8']
    uris: [other.example.org]
    emails: [example.org]
  publish: {listen: '127.0.0.1:8480', url: 'http://pki.example.org/x'}
  crl_shards: 16
  keys: {custody: pkcs11, module: /usr/lib/hsm.so, token: ours, pin: 'env:PIN'}
database: postgresql://handclasp@db.example.org:5433/handclasp
""")
    assert read.authority == AuthoritySettings(
        separate=True,
        root_key=KeyType.ML_DSA_87,
        issuing_key=KeyType.RSA_3072,
        constraints=NameConstraints(
            dns=("example.org",),
            ips=(ip_network("10.0.0.0/8"), ip_network("fd00::/8")),
            uris=("example.org", "other.example.org"),
            emails=("example.org",),
        ),
        listen=Listen("127.0.0.1", 8480),
        url="http://pki.example.org/x",
        crl_shards=16,
        keys=KeysSettings("pkcs11", module="/usr/lib/hsm.so", token="ours", pin="env:PIN"),
    )
    assert read.database == "postgresql://handclasp@db.example.org:5433/handclasp"


def test_constraints_always_permit_the_trust_domain() -> None:
    """SPIFFE IDs are URIs: without it, no caller could have a certificate."""
    constraints = settled("authority: {name_constraints: {dns: [example.org]}}\n").authority.constraints
    assert constraints == NameConstraints(dns=("example.org",), uris=("example.org",))


@pytest.mark.parametrize("place", ["prompt", "env:CA_SECRET", "file:/run/secrets/ca", "keyring:handclasp"])
def test_a_passphrase_may_be_in_several_places(place: str) -> None:
    """The settings say where."""
    assert settled(f"authority: {{keys: {{passphrase: '{place}'}}}}\n").authority.keys.passphrase == place


def test_a_profile_is_a_built_in_one_with_changes() -> None:
    """What is not said is that of the one that it extends."""
    read = settled("""\
profiles:
  partner:
    extends: workload
    lifetime: 30d
    max_lifetime: 60d
    key_types: [ec-p256, ml-dsa-65]
    usages: [client]
    names: {spiffe: [partners/*], dns: ['**.partner.example.org']}
    approval: required
  plain: {}
""").profiles
    partner = read["partner"]
    said: tuple[object, ...] = (
        partner.name,
        partner.lifetime,
        partner.max_lifetime,
        partner.min_lifetime,
        partner.key_types,
        partner.extended_key_usages,
        partner.names,
        partner.approval,
        partner.spiffe_id,
    )
    assert said == (
        "partner",
        timedelta(days=30),
        timedelta(days=60),
        WORKLOAD.min_lifetime,
        frozenset({KeyType.EC_P256, KeyType.ML_DSA_65}),
        (Usage.CLIENT_AUTH,),
        NameRules(spiffe=("partners/*",), dns=("**.partner.example.org",)),
        True,
        Presence.REQUIRED,
    )
    plain = read["plain"]
    assert (plain.name, plain.lifetime, plain.key_types, plain.approval) == (
        "plain",
        CLIENT.lifetime,
        CLIENT.key_types,
        False,
    )


@pytest.mark.parametrize(
    ("lifetimes", "lifetime", "longest"),
    [
        ("lifetime: 30d", timedelta(days=30), timedelta(days=398)),
        ("max_lifetime: 30d", timedelta(days=30), timedelta(days=30)),
        ("max_lifetime: 200d", timedelta(days=90), timedelta(days=200)),
        ("lifetime: 398d", timedelta(days=398), timedelta(days=398)),
    ],
)
def test_one_lifetime_follows_from_the_other(lifetimes: str, lifetime: timedelta, longest: timedelta) -> None:
    """The usual one is never longer than the longest."""
    partner = settled(f"profiles: {{partner: {{{lifetimes}}}}}\n").profiles["partner"]
    assert (partner.lifetime, partner.max_lifetime) == (lifetime, longest)


WRONG: dict[str, tuple[str, Told]] = {
    "authority of nothing": (
        "authority:\n",
        (1, 1, "authority", "nothing stands where a mapping belongs",
         "a mapping with issuing, root_key, issuing_key, name_constraints, publish, crl_shards, keys"),
    ),
    "near key": (
        "authority:\n  issueing: separate\n",
        (2, 3, "authority.issueing", "there is no setting of this name here (did you mean issuing?)",
         "issuing, root_key, issuing_key, name_constraints, publish, crl_shards, keys"),
    ),
    "issuing": (
        "authority: {issuing: both}\n",
        (1, 22, "authority.issuing", "'both' is not one of the choices", "together or separate"),
    ),
    "root key": (
        "authority:\n  root_key: ec-p385\n",
        (2, 13, "authority.root_key", "'ec-p385' is not one of the choices (did you mean ec-p384?)", KEY_TYPES),
    ),
    "shards": (
        "authority: {crl_shards: 0}\n",
        (1, 25, "authority.crl_shards", "'0' is no such number", "1 to 1024"),
    ),
    "shards in words": (
        "authority: {crl_shards: [1]}\n",
        (1, 25, "authority.crl_shards", "a list stands where one value belongs", "1 to 1024"),
    ),
    "constraint with a wildcard": (
        "authority:\n  name_constraints:\n    dns: [example.org, '*.example.org']\n",
        (3, 24, "authority.name_constraints.dns[1]", "'*.example.org' has capitals or a wildcard",
         "a domain, as in example.org, for itself and all names below it"),
    ),
    "constraint on a network with host bits": (
        "authority: {name_constraints: {ips: [10.0.0.1/8]}}\n",
        (1, 38, "authority.name_constraints.ips[0]", "'10.0.0.1/8' is no network: 10.0.0.1/8 has host bits set",
         "a network, as in 10.0.0.0/8"),
    ),
    "constraint on a URI with a scheme": (
        "authority: {name_constraints: {uris: ['https://a']}}\n",
        (1, 39, "authority.name_constraints.uris[0]", "'https://a' is no host in lower case",
         "a host, as in example.org; or .example.org, for every host below it"),
    ),
    "publish without an address": (
        "authority:\n  publish: {listen: 80}\n",
        (2, 12, "authority.publish", "url is missing", "the address under which listen is reached by others"),
    ),
    "publish over TLS": (
        "authority: {publish: {url: 'https://x'}}\n",
        (1, 28, "authority.publish.url", "'https://x' is no such address",
         "an address of plain HTTP without a slash at its end, as in http://pki.example.org"),
    ),
    "publish on no port": (
        "authority: {publish: {listen: x, url: 'http://x'}}\n",
        (1, 31, "authority.publish.listen", "'x' is not a port",
         f"{LISTEN}; ports are 1 to 65535"),
    ),
    "module without its token": (
        "authority:\n  keys: {custody: pkcs11, module: /x}\n",
        (2, 9, "authority.keys", "module, token or pin is missing", "all three with custody: pkcs11"),
    ),
    "token without a module": (
        "authority:\n  keys: {token: ours}\n",
        (2, 9, "authority.keys", "module, token and pin belong to a module", "custody: pkcs11 beside them"),
    ),
    "module with a passphrase": (
        "authority:\n  keys: {custody: pkcs11, module: /x, token: t, pin: 'env:A', passphrase: prompt}\n",
        (2, 75, "authority.keys.passphrase", "a module has a PIN and no passphrase", "pin, where custody is pkcs11"),
    ),
    "custody": (
        "authority: {keys: {custody: file}}\n",
        (1, 29, "authority.keys.custody", "'file' is not one of the choices (did you mean files?)", "files or pkcs11"),
    ),
    "profiles as a list": (
        "profiles: [partner]\n",
        (1, 11, "profiles", "a list stands where a mapping belongs",
         "a mapping of profiles: a name, with extends and what differs below it"),
    ),
    "profile of nothing": (
        "profiles:\n  partner:\n",
        (2, 3, "profiles.partner", "nothing stands where a mapping belongs",
         "a mapping with extends, lifetime, max_lifetime, key_types, usages, names, approval"),
    ),
    "built-in name": (
        "profiles:\n  client: {}\n",
        (2, 3, "profiles.client", "'client' cannot be the name of a profile",
         "1 to 40 of: lower-case letters, digits and dashes, and no name that is taken"),
    ),
    "name with a dot": (
        "profiles:\n  a.b: {}\n",
        (2, 3, "profiles.'a.b'", "'a.b' cannot be the name of a profile",
         "1 to 40 of: lower-case letters, digits and dashes, and no name that is taken"),
    ),
    "extends an authority's": (
        "profiles: {partner: {extends: root}}\n",
        (1, 31, "profiles.partner.extends", "'root' is not one of the choices", "client or server or workload"),
    ),
    "lifetime over the limit": (
        "profiles:\n  partner:\n    lifetime: 399d\n",
        (3, 15, "profiles.partner.lifetime", "the lifetimes do not go together",
         "at least 10s, lifetime at most max_lifetime, that at most 398d"),
    ),
    "lifetime over its own limit": (
        "profiles: {partner: {lifetime: 30d, max_lifetime: 10d}}\n",
        (1, 32, "profiles.partner.lifetime", "the lifetimes do not go together",
         "at least 10s, lifetime at most max_lifetime, that at most 398d"),
    ),
    "limit too short": (
        "profiles: {partner: {max_lifetime: 9s}}\n",
        (1, 36, "profiles.partner.max_lifetime", "the lifetimes do not go together",
         "at least 10s, lifetime at most max_lifetime, that at most 398d"),
    ),
    "key type": (
        "profiles: {partner: {key_types: [ec-p256, dsa]}}\n",
        (1, 43, "profiles.partner.key_types[1]", "'dsa' is not one of the choices", KEY_TYPES),
    ),
    "no usages": (
        "profiles: {partner: {usages: []}}\n",
        (1, 30, "profiles.partner.usages", "it is empty", "a list of client and server"),
    ),
    "usage": (
        "profiles: {partner: {usages: [email]}}\n",
        (1, 31, "profiles.partner.usages[0]", "'email' is not one of the choices", "client or server"),
    ),
    "SPIFFE pattern": (
        "profiles:\n  partner:\n    names: {spiffe: [jobs/*, jobs-*]}\n",
        (3, 30, "profiles.partner.names.spiffe[1]", "'jobs-*' has 'jobs-*', and * cannot be a part of something",
         "spiffe://example.org/jobs/*, or the path alone: jobs/*; * is one segment, ** any number of segments"),
    ),
    "DNS pattern": (
        "profiles: {partner: {names: {dns: [A.example.org]}}}\n",
        (1, 36, "profiles.partner.names.dns[0]", "'A.example.org' has upper-case letters", "the pattern in lower case"),
    ),
    "addresses of callers": (
        "profiles: {partner: {extends: client, names: {ips: [10.0.0.0/8]}}}\n",
        (1, 52, "profiles.partner.names.ips", "certificates that extend client have no IP addresses",
         "ips with extends: server"),
    ),
    "approval": (
        "profiles: {partner: {approval: yes}}\n",
        (1, 32, "profiles.partner.approval", "'yes' is not one of the choices", "none or required"),
    ),
    "another database": (
        "database: mysql://u@h/n\n",
        (1, 11, "database", "'mysql' is no database that is known here", "postgresql://USER@HOST:PORT/NAME"),
    ),
    "a database file": (
        "database: /var/lib/ledger.db\n",
        (1, 11, "database", "'/var/lib/ledger.db' is no database that is known here", "postgresql://USER@HOST:PORT/NAME"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("rest", "expected"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_meant_is_explained(rest: str, expected: Told) -> None:
    """Its place, why, and what is allowed."""
    assert told(rest) == [expected]


@pytest.mark.parametrize(
    "rest",
    [
        "authority: {keys: {passphrase: hunter2}}\n",
        "authority: {keys: {custody: pkcs11, module: /x, token: t, pin: 'hunter2'}}\n",
        "authority: {keys: {passphrase: 'env:hunter2!'}}\n",
        "database: postgresql://handclasp:hunter2@db/handclasp\n",
        "database: postgresql://db/handclasp?user=a&password=hunter2\n",
    ],
    ids=["passphrase", "pin", "no variable", "in the address", "in the query"],
)
def test_a_secret_in_the_settings_is_refused_and_not_repeated(rest: str) -> None:
    """What belongs elsewhere is not read, and is in no message about it: those are shown to anybody."""
    (problem,) = told(rest)
    assert problem[4] in (SECRET_PLACES, "the address without it, and the password in ~/.pgpass")
    assert "hunter2" not in str(problem)


def test_all_problems_are_told_at_once() -> None:
    """Of the authority, every profile and the database, beside those of the services."""
    text = a_file(
        a_service(listen="0"),
        rest="""\
authority: {publish: {listen: 1}, crl_shards: x}
profiles:
  one: {lifetime: 1}
  two: {approval: maybe}
database: x
""",
    )
    assert [(line, path) for line, _, path, _, _ in problems(text)] == [
        (4, "services.a.listen"),
        (7, "authority.crl_shards"),
        (9, "profiles.one.lifetime"),
        (10, "profiles.two.approval"),
        (11, "database"),
    ]
