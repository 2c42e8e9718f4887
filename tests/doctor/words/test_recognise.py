"""What is said of messages and logs."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.doctor.words.real_texts import texts

from handclasp.doctor.diagnosis import Severity
from handclasp.doctor.words.recognise import LINE, MANY, PRODUCTS, examine, recognise
from handclasp.findings import Code

AT = datetime(2026, 11, 21, 14, tzinfo=UTC)
TEXTS = texts()


@pytest.mark.parametrize(("product", "code", "text"), TEXTS, ids=[f"{p}-{i}" for i, (p, _, _) in enumerate(TEXTS)])
def test_a_real_text_is_read_as_its_product_and_first_code(product: str, code: str, text: str) -> None:
    """Each text of the table has the product that wrote it, and the likeliest cause first."""
    assert [(one.product, str(one.code)) for one in recognise(text)] == [(product, code)]


def test_the_table_is_large_enough() -> None:
    """At least 150 texts, of every product that has rules."""
    assert len(TEXTS) >= 150
    assert {product for product, _, _ in TEXTS} == {product for product, _ in PRODUCTS}


def test_alert_48_names_every_cause() -> None:
    """The eight causes of alert 48 are candidates, the likeliest first."""
    codes = [str(one.code) for one in recognise("curl: (35) tlsv1 alert unknown ca, SSL alert number 48")[0].candidates]
    assert codes[:5] == [
        "CLIENT_CERT_UNKNOWN_CA",
        "CLIENT_CHAIN_INCOMPLETE",
        "CLIENT_CERT_CA_NAME_COLLISION",
        "CLIENT_CERT_SELF_SIGNED",
        "CLIENT_CHAIN_TOO_DEEP",
    ]


@pytest.mark.parametrize("number", [20, 21])
def test_verify_codes_20_and_21_are_one_family(number: int) -> None:
    """nginx's 20 and 21 have the same causes in the same order."""
    line = f"client SSL certificate verify error: ({number}:x) while reading client request headers"
    assert [str(one.code) for one in recognise(line)[0].candidates] == [
        "CLIENT_CERT_UNKNOWN_CA",
        "CLIENT_CHAIN_INCOMPLETE",
        "CLIENT_CERT_CA_NAME_COLLISION",
    ]


def test_an_expired_certificate_without_context_is_either_sides() -> None:
    """Nothing tells whose: the server's first, the client's among the candidates."""
    codes = [one.code for one in recognise("certificate has expired")[0].candidates]
    assert codes[0] is Code.SERVER_CERT_EXPIRED
    assert Code.CLIENT_CERT_EXPIRED in codes


def test_unknown_words_are_said_to_be_unknown() -> None:
    """No rule knows the text: UNKNOWN, no findings, and what would help."""
    diagnosis = examine("the cat sat on the mat", AT, "message")
    assert (diagnosis.code, diagnosis.findings, diagnosis.exit_code) == (Code.UNKNOWN, (), 1)
    assert diagnosis.decider


def test_equal_lines_of_a_log_are_one_finding() -> None:
    """The most frequent is the verdict; each kind is one finding with its count and first line."""
    log = "\n".join(["x509: certificate signed by unknown authority", *["remote error: tls: expired certificate"] * 3])
    diagnosis = examine(log, AT, "log")
    assert [(one.code, one.where, one.facts["times"]) for one in diagnosis.findings] == [
        (Code.CLIENT_CERT_EXPIRED, "line 2", "3"),
        (Code.SERVER_CERT_UNKNOWN_CA, "line 1", "1"),
    ]
    assert diagnosis.code is Code.CLIENT_CERT_EXPIRED


def test_a_telling_line_goes_before_a_vague_one() -> None:
    """A line that many causes end in does not hide the one that names the cause."""
    log = "socket hang up\nsocket hang up\n[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca (_ssl.c:1006)"
    diagnosis = examine(log, AT, "log")
    assert [(one.code, one.severity) for one in diagnosis.findings] == [
        (Code.CLIENT_CERT_UNKNOWN_CA, Severity.ERROR),
        (Code.NET_CLOSED_DURING_HANDSHAKE, Severity.WARNING),
    ]


@pytest.mark.parametrize(
    "secret",
    [
        "Authorization: Bearer abc.def.hunter2",
        "password=hunter2",
        "Cookie: s=hunter2",
        "https://u:hunter2@h/?token=hunter2",
    ],
)
def test_no_secret_is_echoed(secret: str) -> None:
    """Whatever stands behind the known part of a line, nothing that looks like a secret comes out."""
    for start in ("curl: (35) x ", "SSL_do_handshake() failed ", "[SSL: FOO] ", "write EPROTO ", "TLS_error: "):
        assert "hunter2" not in json.dumps(examine(start + secret, AT, "message").as_json())


def test_colours_and_control_characters_are_removed() -> None:
    """What a terminal would obey does not reach the report."""
    (one,) = recognise("\x1b[31mcurl: (35) \x07sslv3 alert\x00 bad certificate\x1b[0m")
    assert one.text.isprintable()


def test_a_log_of_one_kind_is_bounded() -> None:
    """No more than the first 10,000 lines are kept."""
    assert len(recognise("remote error: tls: bad certificate\n" * (MANY + 5))) == MANY


def test_ten_megabytes_are_read_in_time() -> None:
    """A megabyte takes about a second on a busy machine, whatever its lines."""
    line = "2026/11/21 [info] client SSL certificate verify error: (10:certificate has expired) while reading client\n"
    start = time.process_time()
    examine(line * (1_000_000 // len(line)), AT, "log")
    assert time.process_time() - start < 5


@given(st.text(max_size=300))
def test_no_text_makes_it_raise(text: str) -> None:
    """Any text has a diagnosis that can be written as JSON."""
    assert json.dumps(examine(text, AT, "message").as_json())


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(TEXTS), st.sampled_from(["x", " ", "a ", "SSL ", "alert ", '" ', ": ", "https://", "("]))
def test_a_long_line_takes_time_that_is_linear(row: tuple[str, str, str], filler: str) -> None:
    """The longest line, of anything that a rule may begin with, is read in well under a second."""
    for unit in (row[2][:20], row[2], filler):
        line = (unit * (LINE // max(len(unit), 1) + 1))[:LINE]
        start = time.process_time()
        recognise(line)
        assert time.process_time() - start < 2
