"""Revocation in the path verifier: what lists say, which lists count, and who may sign them (RFC 5280 §6.3)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from handclasp.findings import Code
from handclasp.pki.chain import Purpose, Revocation, Rules, Trust, Verdict, examine
from handclasp.testing.chains import AT, Holder, key_usage, make, make_crl

R = x509.ReasonFlags
URL = x509.UniformResourceIdentifier


def point(
    *urls: str, issuer: Holder | None = None, reasons: Sequence[R] | None = None
) -> tuple[x509.CRLDistributionPoints, bool]:
    """A distribution point extension, not critical."""
    by = None if issuer is None else [x509.DirectoryName(issuer.certificate.subject)]
    found = None if reasons is None else frozenset(reasons)
    return x509.CRLDistributionPoints(
        [x509.DistributionPoint([URL(url) for url in urls] or None, None, found, by)]
    ), False


def scope(*urls: str, **different: Any) -> tuple[x509.IssuingDistributionPoint, bool]:
    """An issuing distribution point, critical."""
    usual: dict[str, Any] = {
        "full_name": [URL(url) for url in urls] or None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**usual | different), True


A, B = "http://crl.example.org/a.crl", "http://crl.example.org/b.crl"
ROOT = make("root", authority=True)
ISSUING = make("issuing", ROOT, authority=True)
LEAF = make("leaf", ISSUING, names=[x509.DNSName("api.example.org")])
SHARDED = make("sharded", ISSUING, add=[point(A)])
EMPTY = make_crl(ISSUING)


def ask(
    leaf: Holder,
    *crls: x509.CertificateRevocationList,
    mode: Revocation = Revocation.REQUIRED,
    rules: Rules = Rules.PROFILE,
    sent: Sequence[Holder] = (ISSUING,),
) -> Verdict:
    trust = Trust.of([ROOT.der], crls=[make_crl(ROOT), *crls])
    sources = [one.der for one in sent]
    return examine(leaf.der, sources, trust, at=AT, purpose=Purpose.CLIENT, revocation=mode, rules=rules)


def told(verdict: Verdict) -> list[tuple[Code, str]]:
    return [(found.code, found.facts["position"]) for found in verdict.findings]


REVOKED = [(Code.CHAIN_REVOKED, "0")]
INVALID = [(Code.CHAIN_CRL_INVALID, "0")]
MISSING = [(Code.CHAIN_CRL_MISSING, "0")]


def test_a_revoked_certificate_is_said_with_reason_and_time() -> None:
    """The finding has what the entry has."""
    (finding,) = ask(LEAF, make_crl(ISSUING, [(LEAF.certificate, R.superseded)])).findings
    assert (finding.code, finding.what) == (
        Code.CHAIN_REVOKED,
        "it was revoked on 2026-06-01 11:00:00 UTC (superseded)",
    )
    assert (finding.facts["reason"], finding.facts["since"]) == ("superseded", "2026-06-01T11:00:00+00:00")


def test_a_good_list_for_each_certificate_is_enough() -> None:
    """Nothing is found, and one fresh list makes up for a bad one beside it."""
    assert told(ask(LEAF, EMPTY)) == []
    assert told(ask(LEAF, make_crl(ISSUING, ends=AT - timedelta(minutes=5)), EMPTY)) == []


@pytest.mark.parametrize("mode", [Revocation.GIVEN, Revocation.REQUIRED])
def test_what_is_wrong_with_a_list_is_said(mode: Revocation) -> None:
    """Out of date, not yet in date, forged, without number: none of them proves anything."""
    assert told(ask(LEAF, make_crl(ISSUING, ends=AT - timedelta(minutes=5)), mode=mode)) == [
        (Code.CHAIN_CRL_EXPIRED, "0")
    ]
    assert told(ask(LEAF, make_crl(ISSUING, begins=AT + timedelta(minutes=5)), mode=mode)) == INVALID
    assert told(ask(LEAF, make_crl(ISSUING, number=None), mode=mode)) == INVALID
    assert told(ask(LEAF, make_crl(ISSUING, number=None), mode=mode, rules=Rules.PATH)) == []
    unknown = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)
    assert told(ask(LEAF, make_crl(ISSUING, add=[unknown]), mode=mode)) == INVALID
    assert told(ask(LEAF, make_crl(ISSUING, [SHARDED.certificate], entry=[unknown]), mode=mode)) == INVALID


def test_missing_lists_count_only_where_they_are_required() -> None:
    """GIVEN heeds what there is; IGNORE heeds nothing."""
    revoked = make_crl(ISSUING, [LEAF.certificate])
    assert told(ask(LEAF)) == MISSING
    assert told(ask(LEAF, mode=Revocation.GIVEN)) == []
    assert told(ask(LEAF, revoked, mode=Revocation.GIVEN)) == REVOKED
    assert told(ask(LEAF, revoked, mode=Revocation.IGNORE)) == []


def test_a_list_of_the_same_name_by_another_key_is_no_list() -> None:
    """After a rollover both keys have lists: GIVEN leaves the other key's alone, REQUIRED wants the right one."""
    old = make("issuing", ROOT, authority=True)
    stale = make_crl(old, [LEAF.certificate])
    assert told(ask(LEAF, stale, mode=Revocation.GIVEN)) == []
    assert told(ask(LEAF, stale)) == INVALID
    assert told(ask(LEAF, stale, EMPTY)) == []


def test_an_intermediate_can_be_revoked() -> None:
    """Each certificate of the path is looked at but the anchor."""
    root = make_crl(ROOT, [ISSUING.certificate])
    trust = Trust.of([ROOT.der], crls=[root, EMPTY])
    assert told(examine(LEAF.der, [ISSUING.der], trust, at=AT, purpose=Purpose.CLIENT)) == [(Code.CHAIN_REVOKED, "1")]


def test_shards_cover_the_certificates_that_point_to_them() -> None:
    """§6.3.3 (b): a list with a distribution point is for the certificates with that point."""
    mine, other = make_crl(ISSUING, add=[scope(A)]), make_crl(ISSUING, [SHARDED.certificate], add=[scope(B)])
    assert told(ask(SHARDED, mine, other)) == []
    assert told(ask(SHARDED, other)) == INVALID
    assert told(ask(SHARDED, other, mode=Revocation.GIVEN)) == []
    assert told(ask(SHARDED, make_crl(ISSUING, [SHARDED.certificate], add=[scope(A)]))) == REVOKED
    assert told(ask(LEAF, mine)) == INVALID
    assert told(ask(SHARDED, EMPTY)) == []


def test_lists_for_authorities_or_holders_only() -> None:
    """The scopes onlyContainsUserCerts, onlyContainsCACerts and onlyContainsAttributeCerts."""
    assert told(ask(LEAF, make_crl(ISSUING, add=[scope(only_contains_user_certs=True)]))) == []
    assert told(ask(LEAF, make_crl(ISSUING, add=[scope(only_contains_ca_certs=True)]))) == INVALID
    assert told(ask(LEAF, make_crl(ISSUING, add=[scope(only_contains_attribute_certs=True)]))) == INVALID


def test_lists_for_some_reasons_must_cover_all_together() -> None:
    """A list for key compromise alone does not say that nothing else happened."""
    compromise = frozenset({R.key_compromise, R.ca_compromise, R.aa_compromise})
    rest = frozenset(R) - compromise - {R.unspecified, R.remove_from_crl}
    some = make_crl(ISSUING, add=[scope(only_some_reasons=compromise)])
    others = make_crl(ISSUING, add=[scope(only_some_reasons=rest)])
    assert told(ask(LEAF, some)) == MISSING
    assert told(ask(LEAF, some, others)) == []
    assert told(ask(LEAF, some, make_crl(ISSUING, [LEAF.certificate], add=[scope(only_some_reasons=rest)]))) == REVOKED


def test_delta_lists_change_their_base() -> None:
    """§5.2.4: newly revoked, released from hold, and not for another base."""
    hold, free = make_crl(ISSUING, [(LEAF.certificate, R.certificate_hold)], number=5), make_crl(ISSUING, number=5)

    def delta(base: int, number: int, *entries: Any) -> x509.CertificateRevocationList:
        return make_crl(ISSUING, entries, number=number, add=[(x509.DeltaCRLIndicator(base), True)])

    assert told(ask(LEAF, hold)) == REVOKED
    assert told(ask(LEAF, hold, delta(5, 6, (LEAF.certificate, R.remove_from_crl)))) == []
    assert told(ask(LEAF, free, delta(5, 6, LEAF.certificate))) == REVOKED
    assert told(ask(LEAF, free, delta(6, 7, LEAF.certificate))) == []
    assert told(ask(LEAF, free, delta(3, 4, LEAF.certificate))) == []
    assert told(ask(LEAF, hold, delta(5, 7), delta(5, 6, (LEAF.certificate, R.remove_from_crl)))) == REVOKED
    assert told(ask(LEAF, delta(5, 6))) == MISSING


def test_an_indirect_list_names_the_issuer_of_each_entry() -> None:
    """§5.2.5, §5.3.3: another authority signs, the certificate points to it, entries say whose they are."""
    signer = make("signer", ROOT, usage=key_usage("crl_sign", "digital_signature"), without=[x509.ExtendedKeyUsage])
    leaf = make("indirect", ISSUING, add=[point(A, issuer=signer)])
    mine = (x509.CertificateIssuer([x509.DirectoryName(ISSUING.certificate.subject)]), True)
    listed = make_crl(signer, [leaf.certificate], add=[scope(A, indirect_crl=True)], entry=[mine])
    foreign = make_crl(signer, [leaf.certificate], add=[scope(A, indirect_crl=True)])
    direct = make_crl(signer, [leaf.certificate], add=[scope(A)])
    sent = (ISSUING, signer)
    assert told(ask(leaf, listed, sent=sent)) == REVOKED
    assert told(ask(leaf, foreign, sent=sent)) == []
    assert told(ask(leaf, direct, sent=sent)) == INVALID
    assert told(ask(leaf, foreign)) == INVALID


def test_a_signer_of_lists_must_be_valid_itself() -> None:
    """A key of the same name that may sign lists, but expired, revoked or from elsewhere, proves nothing."""
    usual: dict[str, Any] = {"usage": key_usage("crl_sign"), "without": [x509.ExtendedKeyUsage]}
    for signer, good in (
        (make("issuing", ROOT, **usual), True),
        (make("issuing", ROOT, **usual, ends=AT - timedelta(days=1)), False),
        (make("issuing", make("root", authority=True), **usual), False),
        (make("issuing", ROOT, usage=key_usage("digital_signature"), without=[x509.ExtendedKeyUsage]), False),
    ):
        crl = make_crl(ISSUING, key=signer.key)
        assert told(ask(LEAF, crl, sent=(ISSUING, signer))) == ([] if good else INVALID)
    signer = make("issuing", ROOT, **usual)
    trust = Trust.of([ROOT.der], crls=[make_crl(ROOT, [signer.certificate]), make_crl(ISSUING, key=signer.key)])
    verdict = examine(
        LEAF.der, [ISSUING.der, signer.der], trust, at=AT, purpose=Purpose.CLIENT, revocation=Revocation.REQUIRED
    )
    assert told(verdict) == INVALID
