"""The authorities' own verbs: a root alone, requests and their signing, what is imported, passphrases."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.app import control
from handclasp.app.settings import Settings, load
from handclasp.app.state import StateDirectory
from handclasp.findings import Code, InvalidSetting, Refused
from handclasp.pki import pkcs8
from handclasp.pki.keys import KeyType, generate, private_pem
from handclasp.pki.pem import load_chain
from handclasp.pki.pkcs8 import Encryption
from handclasp.testing.requests import a_request

if TYPE_CHECKING:
    from tests.app.conftest import Place

ROOT: dict[str, Any] = {
    "trust_domain": "example.org",
    "key_type": "ec-p256",
    "seconds": None,
    "path_length": None,
    "unencrypted": True,
}


class Machine:
    """A machine with a state directory and no settings, or with those that were written."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.file = directory / "handclasp.yaml"
        self.state = StateDirectory(directory / "state")

    def settings(self) -> Settings:
        return load(self.file)

    def do(self, operation: str, **arguments: object) -> dict[str, Any]:
        return asyncio.run(control.perform(self.state, self.settings, operation, **arguments))

    def refused(self, operation: str, **arguments: object) -> Refused:
        with pytest.raises(Refused) as caught:
            self.do(operation, **arguments)
        return caught.value

    def root(self, **more: object) -> str:
        return str(self.do("ca.root", **ROOT | more)["certificate"])

    def csr(self, role: str = "issuing", trust_domain: str = "example.org") -> str:
        return str(self.do("ca.csr", role=role, trust_domain=trust_domain)["csr"])

    def sign(self, csr: str, **more: object) -> str:
        return str(self.do("ca.sign", **{"csr": csr, "seconds": None, "path_length": None} | more)["chain"])

    def states(self) -> dict[str, str]:
        return {one["name"]: one["state"] for one in self.do("ca.show")["authorities"]}


@pytest.fixture
def offline(place: Place, tmp_path: Path) -> Machine:
    """Where the root is to be."""
    return Machine(tmp_path / "offline")


@pytest.fixture
def online(place: Place, tmp_path: Path) -> Machine:
    """Where the issuing authority is to be."""
    return Machine(tmp_path / "online")


def key_file(state: StateDirectory, name: str) -> bytes:
    """What is in the file of a key."""
    return (state.authority_keys / f"{name}.key").read_bytes()


# A root alone


@pytest.mark.parametrize(
    ("more", "path_length", "days"),
    [({}, None, 3650), ({"seconds": 400 * 86400.0, "path_length": 1}, 1, 400)],
    ids=["as it is", "as asked"],
)
def test_a_root_is_as_it_was_asked_for(offline: Machine, more: dict[str, Any], path_length: int, days: int) -> None:
    """Its lifetime and path length, and nothing below it."""
    (root,) = load_chain(offline.root(**more).encode())
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(
        ca=True, path_length=path_length
    )
    assert (root.not_valid_after_utc - root.not_valid_before_utc).days == days
    assert offline.states() == {"root": "active"}


def test_a_root_made_twice_is_made_once(offline: Machine) -> None:
    """The same certificate again."""
    assert offline.root() == offline.root()


def test_a_root_without_a_passphrase_is_not_made(offline: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody can be asked for one and none is declined: KEY_PASSPHRASE_MISSING, and no key is there."""
    refused = offline.refused("ca.root", **ROOT | {"unencrypted": False})
    assert refused.code is Code.KEY_PASSPHRASE_MISSING
    assert "--unencrypted" in refused.fix
    assert list(offline.state.path.glob("ca/*")) == []


def test_a_root_with_a_passphrase_is_encrypted(offline: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the environment, where no settings say otherwise."""
    monkeypatch.setenv("HANDCLASP_CA_PASSPHRASE", "correct horse")
    offline.root(unencrypted=False)
    assert pkcs8.is_encrypted(key_file(offline.state, "root"))


def test_a_kind_of_key_that_is_none(offline: Machine) -> None:
    """With those that there are."""
    with pytest.raises(InvalidSetting) as caught:
        offline.do("ca.root", **ROOT | {"key_type": "dsa"})
    assert (caught.value.path, caught.value.allowed) == ("--key-type", ", ".join(KeyType))


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("ca.root", ROOT | {"trust_domain": "other.org"}),
        ("ca.csr", {"role": "issuing", "trust_domain": "other.org"}),
    ],
    ids=["root", "csr"],
)
def test_a_directory_has_one_trust_domain(offline: Machine, operation: str, arguments: dict[str, Any]) -> None:
    """CONFIG_CONFLICT names both."""
    offline.root()
    refused = offline.refused(operation, **arguments)
    assert refused.code is Code.CONFIG_CONFLICT
    assert "other.org" in refused.what
    assert "example.org" in refused.why


@pytest.mark.parametrize("operation", ["ca.root", "ca.csr"])
def test_without_a_trust_domain_nothing_is_made(offline: Machine, operation: str) -> None:
    """CONFIG_MISSING says how to give it."""
    arguments = ROOT if operation == "ca.root" else {"role": "issuing"}
    refused = offline.refused(operation, **arguments | {"trust_domain": None})
    assert (refused.code, refused.fix) == (Code.CONFIG_MISSING, "Give it with --trust-domain, as in example.org.")


# Signing and installing


def test_the_ceremony(offline: Machine, online: Machine) -> None:
    """Requested, signed, installed: each step again gives the same, and the lifetime is what was asked."""
    offline.root()
    csr = online.csr()
    chain = offline.sign(csr, seconds=100 * 86400.0)
    assert online.states() == {"issuing": "requested"}
    assert load_chain(offline.sign(csr).encode())[0] == load_chain(chain.encode())[0]
    installed = [online.do("ca.install", chain=chain) for _ in range(2)]
    assert installed[0] == installed[1]
    assert online.states() == {"issuing": "active", "root": "active"}
    leaf, root = load_chain(chain.encode())
    leaf.verify_directly_issued_by(root)
    assert (leaf.not_valid_after_utc - leaf.not_valid_before_utc).days == 100
    assert online.do("ca.bundle")["bundle"] == root.public_bytes(Encoding.PEM).decode()


def test_what_is_settled_on_the_root_s_machine_goes_into_what_it_signs(offline: Machine, online: Machine) -> None:
    """The keeper of the root decides what an authority may certify, and not the request."""
    offline.root()
    offline.file.write_text("""\
trust_domain: example.org
services: {a: {listen: 1, hosts: [a.test], upstream: 'http://a'}}
authority: {name_constraints: {dns: [example.org]}}
""")
    (issuing, _) = load_chain(offline.sign(online.csr()).encode())
    constraints = issuing.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert x509.DNSName("example.org") in (constraints.value.permitted_subtrees or [])


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("ca.sign", {"csr": a_request(), "seconds": None, "path_length": None}),
        ("ca.csr", {"role": "issuing", "trust_domain": None}),
        ("ca.renew-root", {}),
        ("ca.crl", {"seconds": None}),
        ("ca.root", ROOT),
        ("ca.passphrase", {"new": ""}),
        ("backup", {"file": "b.tar", "settings": "", "passphrase": None}),
        ("audit.checkpoint", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_nothing_is_made_while_the_settings_have_a_mistake(
    offline: Machine, operation: str, arguments: dict[str, Any]
) -> None:
    """They may say what an authority may sign, and where keys are: read as if they said nothing, it would be made by
    other rules than theirs."""
    offline.root()
    before = sorted(path.name for path in offline.state.authority_keys.iterdir())
    offline.file.write_text("trust_domain: example.org\nauthority: {name_constraints: {dns: [example.org]}}\n")
    with pytest.raises(Exception, match="services is missing"):
        offline.do(operation, **arguments)
    assert sorted(path.name for path in offline.state.authority_keys.iterdir()) == before


def test_what_is_urgent_is_done_all_the_same(place: Place) -> None:
    """A mistake in the settings does not keep a caller in."""
    place.do("client.add", name="alice", csr=a_request(), dns=[], seconds=None)
    place.text = "trust_domain: example.org\n"
    revoked = place.do("client.revoke", name="alice", reason="unspecified")["revoked"]
    assert [one["identity"] for one in revoked] == ["spiffe://example.org/alice"]
    assert place.do("ca.show")["authorities"]


@pytest.mark.parametrize(
    ("csr", "code"),
    [
        ("hello", Code.REQUEST_MALFORMED),
        (a_request(), Code.AUTHORITY_UNUSABLE),
        (a_request(x509.DNSName("a"), common_name="example.org issuing CA 00000000"), Code.AUTHORITY_UNUSABLE),
    ],
    ids=["text", "a caller's", "a name alone"],
)
def test_a_request_of_another_kind_is_not_signed(offline: Machine, csr: str, code: Code) -> None:
    """The root signs for authorities of its trust domain, and for nobody else."""
    offline.root()
    assert offline.refused("ca.sign", csr=csr, seconds=None, path_length=None).code is code


def test_a_request_for_another_trust_domain_is_not_signed(offline: Machine, online: Machine) -> None:
    """AUTHORITY_UNUSABLE."""
    offline.root()
    refused = offline.refused("ca.sign", csr=online.csr(trust_domain="other.org"), seconds=None, path_length=None)
    assert refused.code is Code.AUTHORITY_UNUSABLE


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [("ca.sign", {"csr": "", "seconds": None, "path_length": None}), ("ca.crl", {"seconds": None})],
    ids=["sign", "crl"],
)
def test_without_a_root_nothing_is_signed(online: Machine, operation: str, arguments: dict[str, Any]) -> None:
    """AUTHORITY_UNKNOWN says where to make one, and none is made."""
    arguments = arguments | {"csr": online.csr()} if "csr" in arguments else (online.csr(), arguments)[1]
    assert online.refused(operation, **arguments).code is Code.AUTHORITY_UNKNOWN
    assert online.states() == {"issuing": "requested"}


def test_without_the_root_s_key_nothing_is_signed(offline: Machine, online: Machine) -> None:
    """STATE_KEY_MISSING names the file."""
    offline.root()
    (offline.state.authority_keys / "root.key").unlink()
    refused = offline.refused("ca.sign", csr=online.csr(), seconds=None, path_length=None)
    assert refused.code is Code.STATE_KEY_MISSING
    assert "root.key" in f"{refused.why} {refused.fix}"


def test_a_chain_for_nobody_is_not_installed(offline: Machine, online: Machine) -> None:
    """That of another request; and the one that waits goes on waiting."""
    root = offline.root()
    online.csr()
    assert online.refused("ca.install", chain=root).code is Code.AUTHORITY_UNUSABLE
    for nothing in ("", "hello"):
        with pytest.raises(InvalidSetting, match="no certificate"):
            online.do("ca.install", chain=nothing)
    assert online.states() == {"issuing": "requested"}


def test_nothing_is_issued_while_the_authority_waits(online: Machine) -> None:
    """STATE_KEY_MISSING or AUTHORITY: it says how to go on, and makes no authority of its own."""
    online.csr()
    online.file.write_text(
        "trust_domain: example.org\nservices: {a: {listen: 1, hosts: [a.test], upstream: 'http://a'}}\n"
    )
    refused = online.refused("client.add", name="alice", csr=a_request(), dns=[], seconds=None)
    assert "handclasp ca install" in f"{refused.why} {refused.fix}"
    assert online.states() == {"issuing": "requested"}


def test_the_root_s_revocation_list_is_published_online(offline: Machine, online: Machine) -> None:
    """Signed where the key is; one of another authority, or none, is not taken."""
    offline.root()
    crl = offline.do("ca.crl", seconds=86400.0)["crl"]
    chain = offline.sign(online.csr())
    assert online.refused("ca.install-crl", data=crl.encode().hex()).code is Code.AUTHORITY_UNUSABLE
    online.do("ca.install", chain=chain)
    assert online.do("ca.install-crl", data=crl.encode().hex())["name"] == "root"
    assert online.refused("ca.install-crl", data=b"hello".hex()).code is Code.FILE_UNRECOGNIZED


# Importing


def importing(*files: bytes, passphrase: bytes = b"", role: str | None = None) -> dict[str, Any]:
    """The arguments of ca.import."""
    return {
        "files": [file.hex() for file in files],
        "passphrase": passphrase.hex(),
        "role": role,
        "trust_domain": "example.org",
    }


def test_a_root_may_come_without_its_key(offline: Machine, online: Machine) -> None:
    """It is trusted, and signs nothing here."""
    root = offline.root()
    told = online.do("ca.import", **importing(root.encode()))
    assert (told["name"], told["state"], told["key_online"]) == ("root", "active", False)


def test_a_root_comes_with_its_key(offline: Machine, online: Machine) -> None:
    """From an encrypted file too, with its passphrase; it signs here from then on."""
    root = offline.root().encode()
    key = pkcs8.load_pem(key_file(offline.state, "root"), None)
    sealed = private_pem(key, Encryption(b"s3cret", b"s" * 16, b"i" * 16))  # type: ignore[arg-type]
    told = online.do("ca.import", **importing(root, sealed, passphrase=b"s3cret"))
    assert (told["state"], told["key_online"]) == ("active", True)
    assert online.do("ca.import", **importing(root, sealed, passphrase=b"s3cret")) == told
    offline.sign(online.csr())


@pytest.mark.parametrize(
    ("passphrase", "code"),
    [(b"wrong", Code.FILE_PASSPHRASE_WRONG), (b"", Code.FILE_PASSPHRASE_MISSING)],
    ids=["wrong", "none"],
)
def test_a_key_that_cannot_be_opened_is_not_imported(
    offline: Machine, online: Machine, passphrase: bytes, code: Code
) -> None:
    """And neither is its certificate."""
    root = offline.root().encode()
    sealed = private_pem(generate(KeyType.EC_P256), Encryption(b"s3cret", b"s" * 16, b"i" * 16))
    assert online.refused("ca.import", **importing(root, sealed, passphrase=passphrase)).code is code
    assert list(online.state.path.glob("ca/*.key")) == []


@pytest.mark.parametrize("case", ["another key", "two keys", "no certificate", "a caller's", "as issuing", "no key"])
def test_what_is_no_authority_is_not_imported(place: Place, offline: Machine, online: Machine, case: str) -> None:
    """AUTHORITY_UNUSABLE says what is wrong; nothing is kept."""
    root = offline.root().encode()
    issuing, _ = load_chain(offline.sign(online.csr()).encode())
    machine = Machine(online.file.parent.parent / "third")
    key = private_pem(generate(KeyType.EC_P256))
    caller = place.issue()["chain"].encode()
    files: dict[str, tuple[Any, ...]] = {
        "another key": (root, key),
        "two keys": (root, key, private_pem(generate(KeyType.EC_P256))),
        "no certificate": (key,),
        "a caller's": (caller, root),
        "as issuing": (root,),
        "no key": (issuing.public_bytes(Encoding.PEM), root),
    }
    role = "issuing" if case == "as issuing" else None
    refused = machine.refused("ca.import", **importing(*files[case], role=role))
    assert refused.code is Code.AUTHORITY_UNUSABLE
    assert machine.states() == {} if machine.state.exists() else True
    assert list(machine.state.path.glob("ca/*.key")) == []
