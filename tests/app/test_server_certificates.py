"""The gateway's own certificates: kept while they fit, made anew when anything about them does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol

import pytest
from cryptography import x509

from handclasp.app.server_certificates import ServerCertificate, server_certificate
from handclasp.app.site import Site
from handclasp.pki import keys, pem


class Place(Protocol):
    text: str

    def with_site(self, scenario: Callable[[Site], object]) -> ServerCertificate: ...


async def _certificate(site: Site) -> ServerCertificate:
    return await server_certificate(site, site.settings.services[0])


def _directory(place: Place) -> Path:
    found: Path = place.state.gateway("orders")  # type: ignore[attr-defined]
    return found


def test_made_and_kept(place: Place) -> None:
    """What is on disk is what is used, and the next start uses it again."""
    made = place.with_site(_certificate)
    directory = _directory(place)
    assert (directory / "chain.pem").read_text() == made.pair.chain
    assert (directory / "key.pem").read_text() == made.pair.key
    assert place.with_site(_certificate) == made


def test_its_names(place: Place) -> None:
    """The service's hosts, by their types, and the reserved identity."""
    leaf, _ = pem.load_chain(place.with_site(_certificate).pair.chain.encode())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["orders.example.org"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("192.0.2.7")]
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [
        "spiffe://example.org/handclasp/gateway/orders"
    ]


def test_renewed_after_two_thirds_of_its_life(place: Place) -> None:
    """Of seven days, after four and two thirds."""
    made = place.with_site(_certificate)
    leaf, _ = pem.load_chain(made.pair.chain.encode())
    issued = leaf.not_valid_before_utc + timedelta(minutes=1)
    assert made.not_after - issued == timedelta(days=7)
    assert made.renew_at - issued == timedelta(days=7) * 2 / 3


def _other_key(directory: Path) -> None:
    (directory / "key.pem").write_bytes(keys.private_pem(keys.generate(keys.KeyType.EC_P256)))


def _without(name: str) -> Callable[[Path], None]:
    return lambda directory: (directory / name).unlink()


def _holding(name: str, content: bytes) -> Callable[[Path], None]:
    def write(directory: Path) -> None:
        (directory / name).write_bytes(content)

    return write


def _leaf_alone(directory: Path) -> None:
    leaf, _ = pem.load_chain((directory / "chain.pem").read_bytes())
    (directory / "chain.pem").write_bytes(pem.pem(leaf))


def _cut(directory: Path) -> None:
    chain = directory / "chain.pem"
    chain.write_bytes(chain.read_bytes()[:-100])


@pytest.mark.parametrize(
    "damage",
    [_other_key, _without("key.pem"), _without("chain.pem"), _holding("key.pem", b""), _holding("chain.pem", b"\xff"),
     _leaf_alone, _cut],
    ids=["torn pair", "no key", "no chain", "empty key", "no PEM", "no issuer", "cut short"],
)  # fmt: skip
def test_what_does_not_fit_is_made_anew(place: Place, damage: Callable[[Path], None]) -> None:
    """A crash between key and chain, or a damaged file: a new pair that fits, whole on disk."""
    made = place.with_site(_certificate)
    damage(_directory(place))
    again = place.with_site(_certificate)
    assert again.pair.chain != made.pair.chain
    leaf, _ = pem.load_chain(again.pair.chain.encode())
    key = keys.load_private(again.pair.key.encode())
    assert keys.spki_sha256(key.public_key()) == keys.spki_sha256(keys.supported(leaf.public_key()))
    assert place.with_site(_certificate) == again


def test_made_anew_for_other_hosts(place: Place) -> None:
    """A changed host list is a new certificate; the same hosts in another order are not."""
    made = place.with_site(_certificate)
    place.text = place.text.replace("[orders.example.org, 192.0.2.7]", "[192.0.2.7, orders.example.org]")
    assert replace(place.with_site(_certificate), hosts=made.hosts) == made
    place.text = place.text.replace("192.0.2.7", "192.0.2.8")
    assert place.with_site(_certificate).pair.chain != made.pair.chain


def test_made_anew_by_another_authority(place: Place, tmp_path: Path) -> None:
    """A certificate of an authority that is gone is not used."""
    made = place.with_site(_certificate)
    state = place.state  # type: ignore[attr-defined]
    state.ledger.unlink()
    for file in state.path.glob("ledger.db*"):
        file.unlink()
    for file in state.authority_keys.iterdir():
        file.unlink()
    assert place.with_site(_certificate).pair.chain != made.pair.chain


def test_its_repr_shows_no_key(place: Place) -> None:
    """Neither the certificate's nor the pair's."""
    assert "PRIVATE" not in repr(place.with_site(_certificate))
