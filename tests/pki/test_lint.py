"""The linter: every rule finds what breaks it, and nothing makes the linter fail."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from tests.pki.lint_cases import CASES, Change
from tests.pki.lint_drafts import Draft, access, authority, cn, good, point

from handclasp.findings import Code
from handclasp.pki.lint import READABLE, RULES, lint
from handclasp.pki.profile import CLIENT, ISSUING, ROOT

if TYPE_CHECKING:
    from tests.pki.conftest import Family


@pytest.fixture(scope="session")
def draft(family: Family) -> Draft:
    return good(family)


def test_the_good_certificate_is_clean(draft: Draft) -> None:
    """What the bad certificates were made of breaks no rule."""
    assert lint(draft.build(), draft.profile, draft.issuer) == ()


@pytest.mark.parametrize(
    ("rule", "change", "what"),
    [pytest.param(rule, change, what, id=f"{rule}: {name}") for rule, name, change, what in CASES],
)
def test_each_rule_finds_what_breaks_it(draft: Draft, rule: str, change: Change, what: str) -> None:
    """The finding names the rule, and carries the code that the catalogue explains."""
    bad = change(draft)
    findings = lint(bad.build(), bad.profile, bad.issuer, bad.key_meant())
    assert (rule, what) in [(finding.where, finding.what) for finding in findings]
    assert {finding.code for finding in findings} == {Code.REQUEST_LINT}


def test_every_rule_has_a_certificate_that_breaks_it() -> None:
    """A rule that nothing breaks would not be known to work."""
    assert {case[0] for case in CASES} == {rule.name for rule in (*RULES, READABLE)}


def test_a_broken_rule_is_named_with_its_section(draft: Draft) -> None:
    """One thing wrong gives one finding, with the section that it breaks."""
    bad = replace(draft, subject=cn("admin"))
    (finding,) = lint(bad.build(), CLIENT, draft.issuer)
    assert finding.facts == {"rule": "common-name", "section": "RFC 9525 §2"}


def test_a_root_points_at_nobody_above_it(family: Family) -> None:
    """No list revokes a root, and nobody issued it."""
    published = [
        x509.CRLDistributionPoints([point("http://a.example/x.crl")]),
        access(x509.oid.AuthorityInformationAccessOID.OCSP, "http://a.example/"),
    ]
    values = [*(e.value for e in family.root.extensions), *published]
    critical = (x509.BasicConstraints, x509.KeyUsage)
    key = family.root_key.public_key()
    draft = Draft(
        issuer=family.root,
        issuer_name=family.root.subject,
        subject=family.root.subject,
        public_key=key,  # type: ignore[arg-type]
        hash=SHA384(),
        extensions={type(v): (isinstance(v, critical), v) for v in values},
        profile=ROOT,
    )
    assert [finding.what for finding in lint(draft.build(), ROOT, None)] == [
        "it is self-signed and has a CRL distribution point: no list can revoke it",
        "it is self-signed and has authority information access: there is nobody above it",
    ]


def test_an_authority_needs_a_subject(family: Family, draft: Draft) -> None:
    """RFC 5280 §4.1.2.6: the subject of an authority is never empty."""
    bad = authority(draft, ISSUING, subject=x509.Name([]))
    whats = [finding.what for finding in lint(bad.build(), ISSUING, family.issuing)]
    assert "it has no subject, and nothing else says whose it is" in whats


def test_an_authority_with_a_common_name_needs_no_alternative_name(family: Family) -> None:
    """The common name of an authority is its name, not a caller's identity."""
    assert lint(family.issuing, ISSUING, family.root) == ()


# Bytes changed at random hit fields (serial numbers, curves) that cryptography reads with a warning.
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@given(data=st.data())
def test_the_linter_never_fails(family: Family, data: st.DataObject) -> None:
    """Whatever certificate can be read at all is linted without an error."""
    whole = family.client.public_bytes(Encoding.DER)
    at = data.draw(st.integers(0, len(whole) - 1))
    value = data.draw(st.integers(0, 255))
    try:
        certificate = x509.load_der_x509_certificate(whole[:at] + bytes([value]) + whole[at + 1 :])
    except (ValueError, x509.InvalidVersion):
        return
    assert isinstance(lint(certificate, CLIENT, family.issuing), tuple)
