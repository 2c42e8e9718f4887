"""Metrics of monitors, as values and as text; a real Prometheus' parser reads the text."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from math import inf, nan

import pytest

from handclasp.findings import Code, Finding
from handclasp.monitor.definition import Kind as What
from handclasp.monitor.definition import State
from handclasp.monitor.lateness import Statistics
from handclasp.monitor.outputs import prometheus
from handclasp.monitor.outputs.exposition import (
    LONGEST,
    OPENMETRICS,
    TEXT,
    Family,
    Histogram,
    Kind,
    Sample,
    gauge,
    media_type,
    render,
)
from handclasp.monitor.outputs.prometheus import MOST_CERTIFICATES, OwnCredential
from handclasp.monitor.ports import Standing
from handclasp.monitor.results import CheckResult
from handclasp.testing.watching import AT, a_certificate, a_monitor, a_result

HOSTILE = ('a"b', "a\\", "a\nb", 'x"} 1\nup 1\n#', "\u202eevil", "\x00\x1b[31m", "ü", "\ud800", "y" * 5000)


def a_standing(result: CheckResult | None, state: State = State.OK, **monitor: object) -> Standing:
    """How the monitor m stands after this result."""
    return Standing(a_monitor(**monitor), state, AT, result, AT)  # type: ignore[arg-type]  # fields of Monitor


def values(families: list[Family]) -> dict[str, dict[str, float | Histogram]]:
    """By name of the family, by its labels without the monitor's name."""
    return {
        family.name: {
            ",".join(f"{name}={value}" for name, value in labels if name != "monitor"): value
            for labels, value in family.samples
        }
        for family in families
        if family.samples
    }


def test_each_kind_has_its_text() -> None:
    """Suffixes and types as the text format has them."""
    families = [
        gauge("g", "A gauge\nof \\ two lines", ((), 1.5)),
        Family("c", Kind.COUNTER, "A counter.", [Sample((("a", "b"),), 3)]),
        Family("i", Kind.INFO, "Facts.", [Sample((("a", "b"),), 1)]),
        Family("h", Kind.HISTOGRAM, "Times.", [Sample((), Histogram((0.5, 1.0), (1, 2, 3), 7.5))]),
        gauge("none", "Without samples."),
    ]
    histogram = 'h_bucket{le="0.5"} 1\nh_bucket{le="1.0"} 3\nh_bucket{le="+Inf"} 6\nh_sum 7.5\nh_count 6\n'
    assert render(families).decode() == (
        "# HELP g A gauge\\nof \\\\ two lines\n# TYPE g gauge\ng 1.5\n"
        '# HELP c_total A counter.\n# TYPE c_total counter\nc_total{a="b"} 3\n'
        '# HELP i_info Facts.\n# TYPE i_info gauge\ni_info{a="b"} 1\n'
        f"# HELP h Times.\n# TYPE h histogram\n{histogram}"
    )
    assert render(families, OPENMETRICS).decode() == (
        "# HELP g A gauge\\nof \\\\ two lines\n# TYPE g gauge\ng 1.5\n"
        '# HELP c A counter.\n# TYPE c counter\nc_total{a="b"} 3\n'
        '# HELP i Facts.\n# TYPE i info\ni_info{a="b"} 1\n'
        f"# HELP h Times.\n# TYPE h histogram\n{histogram}# EOF\n"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "1"), (0.1, "0.1"), (1797848444.0, "1797848444"), (inf, "+Inf"), (-inf, "-Inf"), (nan, "NaN")],
)
def test_a_value_is_written_exactly(value: float, text: str) -> None:
    """Timestamps lose nothing."""
    assert render([gauge("g", "G.", ((), value))]).splitlines()[-1].decode() == f"g {text}"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", OPENMETRICS),
        ("text/plain; version=0.0.4", TEXT),
    ],
)
def test_openmetrics_is_for_those_who_ask(accept: str, kind: str) -> None:
    """Everybody else gets the text format."""
    assert media_type(accept) == kind


def test_prometheus_reads_what_strangers_wrote() -> None:
    """promtool finds no fault in metrics with hostile labels, and no line of theirs is one of ours."""
    certificates = tuple(
        a_certificate(subject=text, place=f"{number}{text}", role="extra") for number, text in enumerate(HOSTILE)
    )
    standing = a_standing(a_result(certificates=certificates), labels=(("team", HOSTILE[3]),), target=HOSTILE[3])
    families = [
        *prometheus.of_standings([standing]),
        *prometheus.of_credentials([OwnCredential("c", "*.a.test", AT)]),
        *prometheus.of_worker(Statistics(), "w"),
        *prometheus.of_outputs({"jsonl": 1}),
    ]
    text = render(families)
    told = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (told.returncode, told.stdout, told.stderr) == (0, b"", b"")
    ends = b"handclasp_certificate_not_after_timestamp_seconds{"
    assert sum(line.startswith(ends) for line in text.splitlines()) == len(HOSTILE)
    assert max(map(len, text.splitlines())) < 8 * LONGEST


def test_a_monitor_that_is_well() -> None:
    """Everything that its result says has a metric."""
    result = a_result(
        certificates=(a_certificate(),),
        facts={
            "target": "a.test:443",
            "tls_version": "1.3",
            "cipher": "C",
            "group": "x25519",
            "status": 200,
            "client_certificate": "required",
        },
        seconds=0.02,
        trusted=True,
        crl_next_update=AT + timedelta(days=1),
    )
    at = AT.timestamp()
    end = "target=a.test:443,role=leaf,place=chain[0],subject=CN=a.test,serial=01"
    fingerprint = result.certificates[0].fingerprint
    assert values(prometheus.of_standings([a_standing(result, labels=(("team", "pay"),))])) == {
        "handclasp_monitor": {"kind=tls,target=a.test:443,label_team=pay": 1},
        "handclasp_monitor_state": {"state=ok": 1, "state=pending": 0, "state=warning": 0, "state=critical": 0},
        "handclasp_monitor_since_timestamp_seconds": {"": at},
        "handclasp_monitor_paused": {"": 0},
        "handclasp_monitor_maintenance": {"": 0},
        "handclasp_monitor_code": {"code=OK": 1},
        "handclasp_monitor_last_check_timestamp_seconds": {"": at},
        "handclasp_monitor_last_seen_timestamp_seconds": {"": at},
        "handclasp_monitor_latency_seconds": {"": 0.02},
        "handclasp_monitor_attempts": {"": 1},
        "handclasp_monitor_trusted": {"": 1},
        "handclasp_monitor_http_status": {"": 200},
        "handclasp_monitor_tls": {"version=1.3,cipher=C,group=x25519,alpn=": 1},
        "handclasp_monitor_client_certificate": {"client_certificate=required": 1},
        "handclasp_monitor_certificates": {"": 1},
        "handclasp_monitor_crl_next_update_timestamp_seconds": {"": at + 86400},
        "handclasp_certificate": {f"{end},issuer=CN=CA,fingerprint={fingerprint}": 1},
        "handclasp_certificate_not_after_timestamp_seconds": {end: at + 60 * 86400},
        "handclasp_certificate_not_before_timestamp_seconds": {end: at - 30 * 86400},
    }


def test_what_has_expired_and_does_not_answer_keeps_its_ends() -> None:
    """A handshake that failed takes no metric away, and the age of what is known is told."""
    finding = Finding(Code.NET_CONNECTION_REFUSED, "a.test:443", "nothing listens there")
    result = a_result(
        State.CRITICAL,
        AT + timedelta(days=2),
        certificates=(a_certificate(timedelta(days=1)),),
        findings=(finding,),
        seen_at=AT,
    )
    found = values(prometheus.of_standings([a_standing(result, State.CRITICAL)]))
    ends = found["handclasp_certificate_not_after_timestamp_seconds"]
    assert list(ends.values()) == [AT.timestamp() + 86400]
    assert found["handclasp_monitor_last_seen_timestamp_seconds"] == {"": AT.timestamp()}
    assert found["handclasp_monitor_code"] == {"code=NET_CONNECTION_REFUSED": 1}


def test_a_monitor_that_was_never_checked_is_there() -> None:
    """So that an alert on it has something to look at."""
    found = values(prometheus.of_standings([a_standing(None, State.PENDING)]))
    assert found["handclasp_monitor_state"]["state=pending"] == 1
    assert "handclasp_monitor_code" not in found


def test_of_many_certificates_the_first_to_end_are_told() -> None:
    """A directory of thousands is not thousands of series; the same certificate is not two."""
    many = [a_certificate(timedelta(days=n), place=f"{n}.pem", role="file") for n in range(2000, 0, -1)]
    standing = a_standing(a_result(certificates=(*many, many[-1])), kind=What.FILES, target="/etc/tls")
    found = values(prometheus.of_standings([standing]))
    ends = sorted(found["handclasp_certificate_not_after_timestamp_seconds"].values())  # type: ignore[type-var]  # no histograms
    assert ends == [AT.timestamp() + n * 86400 for n in range(1, MOST_CERTIFICATES + 1)]
    assert found["handclasp_monitor_certificates"] == {"": 2001}


def test_lateness_is_a_histogram() -> None:
    """Each check once, under the bound that it was not above."""
    statistics = Statistics(checks=2, attempts=3)
    for late in (0.07, 400.0):
        statistics.begun(timedelta(seconds=late))
    lines = render(prometheus.of_worker(statistics, "w")).decode().splitlines()
    assert 'handclasp_worker_checks_total{worker="w"} 2' in lines
    assert 'handclasp_worker_lateness_seconds_bucket{worker="w",le="0.05"} 0' in lines
    assert 'handclasp_worker_lateness_seconds_bucket{worker="w",le="0.1"} 1' in lines
    assert 'handclasp_worker_lateness_seconds_bucket{worker="w",le="300.0"} 1' in lines
    assert 'handclasp_worker_lateness_seconds_bucket{worker="w",le="+Inf"} 2' in lines
