"""What a request asks for, and what of it each profile grants."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from handclasp.findings import Code, Refused
from handclasp.pki.names import Names
from handclasp.pki.profile import CLIENT, ISSUING, OCSP_SIGNER, SERVER, WORKLOAD, NameRules, Profile
from handclasp.pki.spiffe import SpiffeID
from handclasp.pki.wishes import Wishes, check_names, granted

ID = "spiffe://example.org/checkout"
CHECKOUT = SpiffeID.parse(ID)
ADDRESS = ip_address("192.0.2.1")


@pytest.mark.parametrize(
    ("profile", "wishes", "names"),
    [
        pytest.param(CLIENT, Wishes(spiffe=(ID,)), Names(CHECKOUT), id="an identity"),
        pytest.param(
            CLIENT, Wishes(spiffe=(ID,), common_name="checkout"), Names(CHECKOUT), id="a common name of the identity"
        ),
        pytest.param(SERVER, Wishes(common_name="A.example"), Names(None, ("a.example",)), id="a common name alone"),
        pytest.param(
            SERVER,
            Wishes(dns=("B.example", "b.example", "a.example"), common_name="a.example"),
            Names(None, ("b.example", "a.example")),
            id="names in capitals, and twice",
        ),
        pytest.param(
            SERVER, Wishes(ips=(ADDRESS, ADDRESS), common_name="192.0.2.1"), Names(None, (), (ADDRESS,)), id="addresses"
        ),
        pytest.param(
            WORKLOAD,
            Wishes(spiffe=(ID,), usages=(ExtendedKeyUsageOID.CLIENT_AUTH,)),
            Names(CHECKOUT),
            id="one of its usages",
        ),
        pytest.param(ISSUING, Wishes(common_name="any CA", is_ca=True), Names(), id="an authority"),
        pytest.param(OCSP_SIGNER, Wishes(common_name="OCSP"), Names(), id="an OCSP signer"),
    ],
)
def test_what_the_profile_allows_is_granted(profile: Profile, wishes: Wishes, names: Names) -> None:
    """All that was asked for, as a certificate carries it."""
    assert granted(profile, wishes) == names


JOBS = replace(CLIENT, name="jobs", names=NameRules(spiffe=("jobs/*",)))


@pytest.mark.parametrize(
    ("profile", "wishes", "code", "why"),
    [
        pytest.param(
            CLIENT,
            Wishes(spiffe=(ID,), is_ca=True),
            Code.REQUEST_EXTENSION_NOT_ALLOWED,
            "it asks for an authority's certificate (basic constraints or key usage), and the profile client makes no "
            "authorities",
            id="an authority",
        ),
        pytest.param(
            CLIENT,
            Wishes(spiffe=(ID,), usages=(ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)),
            Code.REQUEST_EXTENSION_NOT_ALLOWED,
            "it asks for the extended key usage 1.3.6.1.5.5.7.3.1, and the profile client has the extended key usages "
            "1.3.6.1.5.5.7.3.2",
            id="another usage",
        ),
        pytest.param(
            ISSUING,
            Wishes(usages=(ExtendedKeyUsageOID.SERVER_AUTH,)),
            Code.REQUEST_EXTENSION_NOT_ALLOWED,
            "it asks for the extended key usage 1.3.6.1.5.5.7.3.1, and the profile issuing has no extended key usage",
            id="a usage of an authority",
        ),
        pytest.param(
            CLIENT,
            Wishes(spiffe=(ID,), extensions=("1.3.6.1.5.5.7.1.24",)),
            Code.REQUEST_EXTENSION_NOT_ALLOWED,
            "it asks for the extension 1.3.6.1.5.5.7.1.24, and the profile client does not give it on request",
            id="another extension",
        ),
        pytest.param(
            CLIENT,
            Wishes(spiffe=(ID,), others=("RFC822Name a@example.org",)),
            Code.REQUEST_NAME_NOT_ALLOWED,
            "it asks for RFC822Name a@example.org, and no certificate of the profile client has such names",
            id="a mailbox",
        ),
        pytest.param(
            CLIENT,
            Wishes(spiffe=(ID, "spiffe://example.org/admin")),
            Code.REQUEST_NAME_NOT_ALLOWED,
            "it asks for spiffe://example.org/checkout, spiffe://example.org/admin, and a certificate has at most one "
            "SPIFFE ID",
            id="two identities",
        ),
        pytest.param(
            CLIENT,
            Wishes(spiffe=("https://example.org/",)),
            Code.REQUEST_NAME_NOT_ALLOWED,
            "it asks for a name that is none: 'https://example.org/' does not begin with spiffe://, and there can be "
            "spiffe://<trust domain>/<path>, as in spiffe://example.org/checkout",
            id="another URI",
        ),
        pytest.param(
            CLIENT,
            Wishes(spiffe=(ID,), common_name="John's laptop"),
            Code.REQUEST_NAME_NOT_ALLOWED,
            'it asks for a name that is none: "John\'s laptop" has the label "john\'s laptop"; labels are letters, '
            "digits and inner hyphens, and there can be a DNS name, as in api.example.org, or with a wildcard as its "
            "first label, as in *.example.org",
            id="a common name that is no name",
        ),
        pytest.param(
            CLIENT,
            Wishes(),
            Code.REQUEST_NAME_NOT_ALLOWED,
            "the certificate has no SPIFFE ID, and the profile client needs one",
            id="nothing",
        ),
        pytest.param(
            CLIENT,
            Wishes(spiffe=(ID,), ips=(ADDRESS,)),
            Code.REQUEST_NAME_NOT_ALLOWED,
            "the certificate would name 192.0.2.1, and the profile client allows no IP addresses",
            id="an address",
        ),
        pytest.param(
            JOBS,
            Wishes(spiffe=(ID,)),
            Code.REQUEST_NAME_NOT_ALLOWED,
            "by the name rules of the profile jobs: spiffe://example.org/checkout is none of the SPIFFE IDs it allows "
            "(jobs/*)",
            id="against the name rules",
        ),
    ],
)
def test_what_it_does_not_allow_is_refused_with_the_rule(
    profile: Profile, wishes: Wishes, code: Code, why: str
) -> None:
    """Nothing is dropped in silence."""
    with pytest.raises(Refused) as caught:
        granted(profile, wishes)
    assert (caught.value.code, caught.value.why) == (code, why)


def test_names_that_an_operator_gives_are_held_to_the_same_rules() -> None:
    """check_names() is what prepare() asks, whoever chose the names."""
    check_names(JOBS, Names(SpiffeID.parse("spiffe://example.org/jobs/nightly")))
    with pytest.raises(Refused) as caught:
        check_names(JOBS, Names(CHECKOUT))
    assert caught.value.code is Code.REQUEST_NAME_NOT_ALLOWED
