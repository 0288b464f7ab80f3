"""Metrics as Prometheus reads them."""

from __future__ import annotations

import pytest

from backsweep_operator.metrics import Metrics, OperatorMetrics


def test_counters_gauges_and_histograms_are_written_as_prometheus_reads_them() -> None:
    metrics = Metrics()
    calls = metrics.counter("calls_total", 'Calls, "all"\nof them.', ("api",))
    calls.add("b")
    calls.add('a"\\\n', amount=2)
    metrics.gauge("depth", "Depth.", read=lambda: {(): 2.5})
    seconds = metrics.histogram("seconds", "Seconds.", (0.5, 1.0))
    for value in (0.5, 0.7, 9.0):
        seconds.observe(value)
    assert metrics.text().splitlines() == [
        '# HELP calls_total Calls, "all"\\nof them.',
        "# TYPE calls_total counter",
        'calls_total{api="a\\"\\\\\\n"} 2',
        'calls_total{api="b"} 1',
        "# HELP depth Depth.",
        "# TYPE depth gauge",
        "depth 2.5",
        "# HELP seconds Seconds.",
        "# TYPE seconds histogram",
        'seconds_bucket{le="0.5"} 1',
        'seconds_bucket{le="1"} 2',
        'seconds_bucket{le="+Inf"} 3',
        "seconds_sum 10.2",
        "seconds_count 3",
    ]


def test_prometheus_own_parser_reads_what_the_operator_writes() -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    metrics = OperatorMetrics()
    metrics.calls.add("Kubernetes", "apply RayCluster", "201")
    metrics.call_seconds.observe(0.02, "Kubernetes")
    families = {family.name: family for family in parser.text_string_to_metric_families(metrics.text())}
    assert families["backsweep_api_calls"].samples[0].labels == {
        "api": "Kubernetes",
        "call": "apply RayCluster",
        "code": "201",
    }
    assert all(name.startswith("backsweep_") for name in families)


def test_no_label_is_about_a_sweep() -> None:
    labels = {label for family in OperatorMetrics()._families.values() for label in family.labels}
    assert labels == {"api", "call", "code", "end", "kind"}
