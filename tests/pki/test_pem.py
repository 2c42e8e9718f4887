"""Certificates and keys in files: PEM, DER and PKCS#12."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12
from hypothesis import given
from hypothesis import strategies as st

from handclasp.findings import InvalidSetting
from handclasp.pki import pem, pkcs12

if TYPE_CHECKING:
    from tests.pki.conftest import Family


def test_a_chain_survives_its_file(family: Family) -> None:
    """load_chain() gives back the certificates in the order in which pem() wrote them."""
    chain = (family.client, family.issuing)
    assert pem.load_chain(pem.pem(*chain)) == chain


def test_a_file_without_certificate_is_refused() -> None:
    """An empty bundle would verify nobody, so it is none."""
    with pytest.raises(InvalidSetting) as caught:
        pem.load_chain(b"# no certificates here\n")
    assert caught.value.why == "there is no certificate in it"


# Bytes changed at random hit fields (serial numbers, curves) that cryptography reads with a warning.
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@given(data=st.data())
def test_any_bytes_are_a_chain_or_an_invalid_setting(family: Family, data: st.DataObject) -> None:
    """load_chain() raises nothing but InvalidSetting, also for files with some bytes changed."""
    whole = pem.pem(family.client, family.issuing)
    at = data.draw(st.integers(0, len(whole) - 1))
    splice = data.draw(st.one_of(st.none(), st.binary(max_size=6)))
    given_bytes = data.draw(st.binary()) if splice is None else whole[:at] + splice + whole[at + 2 :]
    try:
        pem.load_chain(given_bytes)
    except InvalidSetting as error:
        assert error.why


def test_a_pkcs12_file_holds_key_and_chain(family: Family) -> None:
    """What encode() wrote opens with the passphrase, under the friendly name."""
    data = pkcs12.encode("checkout", family.leaf_key, (family.client, family.issuing), b"correct horse")
    found = load_pkcs12(data, b"correct horse")
    assert found.cert is not None
    assert (found.cert.certificate, found.cert.friendly_name) == (family.client, b"checkout")
    assert [other.certificate for other in found.additional_certs] == [family.issuing]
    with pytest.raises(ValueError, match="password"):
        load_pkcs12(data, b"wrong")


def test_a_pkcs12_file_needs_a_passphrase(family: Family) -> None:
    """Without a passphrase the key would lie open."""
    with pytest.raises(InvalidSetting) as caught:
        pkcs12.encode("checkout", family.leaf_key, (family.client,), b"")
    assert caught.value.why == "the passphrase of a PKCS#12 file is empty"


def test_a_pkcs12_file_holds_no_strangers_certificate(family: Family) -> None:
    """The first certificate must be the key's: such a file would open and never work."""
    with pytest.raises(ValueError, match="does not belong to the key"):
        pkcs12.encode("checkout", family.issuing_key, (family.client,), b"secret")
