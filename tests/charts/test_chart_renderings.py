"""What the chart renders: the same each time, admitted everywhere, understood by the operator."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile

import pytest
import yaml
from tests.charts.rendering import CASES, CHART, GOLDEN, Helm, HelmError, Object, of_kind, pod_specs, variables_of

from backsweep_api.names import LABEL_MANAGED_BY, MANAGED_BY
from backsweep_operator.build import base_job_template, violations
from backsweep_operator.measures import watch_gauges
from backsweep_operator.metrics import OperatorMetrics
from backsweep_operator.model import Release
from backsweep_operator.observe import Seen
from backsweep_operator.queue import AsyncQueue, Backoff
from backsweep_operator.settings import read_settings

METRIC = re.compile(r"backsweep_[a-z_]+")


@pytest.mark.parametrize("case", CASES)
def test_a_rendering_is_the_one_that_was_read(helm: Helm, case: str) -> None:
    golden = (GOLDEN / f"{case}.yaml").read_text(encoding="utf-8")
    assert helm.case(case) == golden, "read the difference, then: python -m tests.charts.rendering"


def test_a_rendering_is_the_same_each_time(helm: Helm) -> None:
    assert helm.case("teams") == helm.case("teams")
    templates = "".join(path.read_text("utf-8") for path in (CHART / "templates").rglob("*") if path.is_file())
    assert re.findall(r"\b(rand\w+|lookup|now|genCA|genSelf\w+|uuidv4|Capabilities|htpasswd|bcrypt)\b", templates) == []


@pytest.mark.parametrize("case", CASES)
def test_lint_finds_nothing(helm: Helm, case: str) -> None:
    said = helm.run(
        "lint", "--strict", "--kube-version=1.34.4", f"--values=tests/charts/values/{case}.yaml", str(CHART)
    )
    assert "0 chart(s) failed" in said


def test_an_older_kubernetes_is_refused(helm: Helm) -> None:
    with pytest.raises(HelmError, match=r"requires kubeVersion: >=1\.32"):
        helm.render(version="1.31.9")
    assert helm.render(version="1.32.0-eks-1234")


@pytest.mark.parametrize("case", CASES)
def test_every_pod_keeps_pod_security_restricted_and_has_a_read_only_root(
    renderings: dict[str, list[Object]], case: str
) -> None:
    specs = pod_specs(renderings[case])
    assert "Deployment backsweep-operator" in specs
    for name, spec in specs.items():
        assert violations(spec) == [], name
        for container in [*spec.get("initContainers", ()), *spec["containers"]]:
            assert container["securityContext"]["readOnlyRootFilesystem"], name
            assert {"requests", "limits"} == set(container["resources"]), name


@pytest.mark.parametrize("case", CASES)
def test_what_runs_for_long_says_when_it_has_started_works_and_is_ready(
    renderings: dict[str, list[Object]], case: str
) -> None:
    for name, spec in pod_specs(renderings[case]).items():
        if name.startswith("Deployment"):
            (container,) = spec["containers"]
            ports = {port["name"] for port in container["ports"]}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                assert container[probe]["httpGet"]["port"] in ports, name


@pytest.mark.parametrize("case", CASES)
def test_a_drain_takes_one_operator_at_a_time(renderings: dict[str, list[Object]], case: str) -> None:
    (budget,) = of_kind(renderings[case], "PodDisruptionBudget")
    (deployment,) = of_kind(renderings[case], "Deployment", "operator")
    assert budget["spec"] == {"maxUnavailable": 1, "selector": deployment["spec"]["selector"]}


@pytest.mark.parametrize("case", CASES)
def test_nothing_of_the_chart_looks_like_a_child_of_a_sweep(renderings: dict[str, list[Object]], case: str) -> None:
    for each in renderings[case]:
        assert each["metadata"]["labels"][LABEL_MANAGED_BY] != MANAGED_BY


def test_the_operator_understands_every_setting_it_is_given(renderings: dict[str, list[Object]]) -> None:
    plain = read_settings(variables_of(renderings["defaults"]), "pod")
    assert plain.watch_namespaces == ("backsweep-system",)
    assert plain.prefect_api_url == "http://backsweep-prefect.backsweep-system.svc:4200/api"
    assert plain.prefect_auth == "user:password"
    assert plain.release == Release("backsweep-pipeline:0.1.0")
    teams = read_settings(variables_of(renderings["teams"]), "pod")
    assert teams.watch_namespaces == ("quant", "risk")
    assert (teams.release.max_concurrent_sweeps, teams.release.user_id) == (100_000, 2_000)
    assert (teams.release.copied_labels, teams.log_level) == ((), "debug")
    elsewhere = read_settings(variables_of(renderings["external"]), "pod")
    assert elsewhere.prefect_api_url == "https://prefect.example:8443/api"
    assert elsewhere.prefect_auth is None


def test_every_number_reaches_the_operator_as_it_was_written(helm: Helm) -> None:
    values = {
        "operator.leaseSeconds": 45,
        "operator.resyncSeconds": 600,
        "operator.orphansSeconds": 240,
        "operator.passes": 8,
        "pods.userId": 2_147_483_647,
        "sweeps.ttlSeconds": 31_536_000,
        "sweeps.pollSeconds": 20,
        "sweeps.statusSeconds": 60,
        "sweeps.retrySeconds": 20,
        "sweeps.longestRetrySeconds": 86_400,
        "sweeps.flow": {"cpu": "2", "memory": "4Gi"},
        "sweeps.rayVersion": "2.61.0",
        "prefect.workPool": "night",
    }
    found = read_settings(variables_of(helm.objects(values)), "pod")
    release = found.release
    assert (found.lease_seconds, found.resync_seconds, found.orphans_seconds, found.passes) == (45, 600, 240, 8)
    assert (release.user_id, release.ttl_seconds, release.longest_retry_seconds) == (2**31 - 1, 31_536_000, 86_400)
    assert (release.poll_seconds, release.status_seconds, release.retry_seconds) == (20, 60, 20)
    assert (release.flow_pod.cpu, release.flow_pod.memory) == ("2", "4Gi")
    assert (release.ray_version, release.work_pool) == ("2.61.0", "night")


@pytest.mark.parametrize(("case", "user"), [("defaults", 1_000), ("teams", 2_000)])
def test_the_workers_job_template_is_the_operators(renderings: dict[str, list[Object]], case: str, user: int) -> None:
    (found,) = of_kind(renderings[case], "ConfigMap", "worker")
    written = json.loads(found["data"]["base-job-template.json"])
    assert written == base_job_template(Release("", user_id=user))


def test_alerts_and_dashboard_ask_for_metrics_that_exist(renderings: dict[str, list[Object]]) -> None:
    metrics = OperatorMetrics()
    watch_gauges(metrics, Seen(), AsyncQueue(lambda: 0.0, Backoff(1.0, 2.0, lambda: 0.0)))
    known = set(re.findall(r"^# TYPE (\S+)", metrics.text(), re.MULTILINE))
    (rule,) = of_kind(renderings["teams"], "PrometheusRule")
    (dashboard,) = of_kind(renderings["teams"], "ConfigMap", "dashboard")
    alerts = [alert for group in rule["spec"]["groups"] for alert in group["rules"]]
    asked = [alert["expr"] for alert in alerts]
    asked += [
        target["expr"] for p in json.loads(dashboard["data"]["backsweep.json"])["panels"] for target in p["targets"]
    ]
    found = {name.removesuffix("_bucket") for text in asked for name in METRIC.findall(text)} - {"backsweep_system"}
    assert found
    assert found <= known, sorted(found - known)
    assert len(alerts) == 7
    assert all('service="backsweep-operator"' in alert["expr"] for alert in alerts)


def test_every_alert_says_how_bad_it_is_what_happened_and_what_to_do(renderings: dict[str, list[Object]]) -> None:
    (rule,) = of_kind(renderings["teams"], "PrometheusRule")
    for alert in rule["spec"]["groups"][0]["rules"]:
        assert alert["labels"]["severity"] in ("critical", "warning"), alert["alert"]
        assert all(alert["annotations"][part].endswith(".") for part in ("summary", "description")), alert["alert"]


def test_the_dashboard_asks_the_prometheus_that_its_reader_chooses(renderings: dict[str, list[Object]]) -> None:
    (found,) = of_kind(renderings["teams"], "ConfigMap", "dashboard")
    dashboard = json.loads(found["data"]["backsweep.json"])
    (source,) = dashboard["templating"]["list"]
    sources = [panel["datasource"] for panel in dashboard["panels"]]
    assert sources == [{"type": source["query"], "uid": f"${{{source['name']}}}"}] * len(sources)
    places = [json.dumps(panel["gridPos"], sort_keys=True) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places)


def test_a_service_monitor_finds_the_operators_port(renderings: dict[str, list[Object]]) -> None:
    (monitor,) = of_kind(renderings["teams"], "ServiceMonitor")
    (service,) = of_kind(renderings["teams"], "Service", "operator")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert [each["port"] for each in monitor["spec"]["endpoints"]] == [
        each["name"] for each in service["spec"]["ports"]
    ]


def test_what_a_release_keeps_when_it_is_removed_is_the_history_alone(renderings: dict[str, list[Object]]) -> None:
    keeping = [each for each in renderings["defaults"] if "keep" in each["metadata"].get("annotations", {}).values()]
    assert [each["kind"] for each in keeping] == ["PersistentVolumeClaim"]


def test_a_work_of_two_servers_on_one_sqlite_file_is_ruled_out(renderings: dict[str, list[Object]]) -> None:
    (server,) = of_kind(renderings["defaults"], "Deployment", "prefect")
    assert (server["spec"]["replicas"], server["spec"]["strategy"]) == (1, {"type": "Recreate"})


def test_golden_renderings_are_valid_yaml() -> None:
    for case in CASES:
        assert all(list(yaml.safe_load_all((GOLDEN / f"{case}.yaml").read_text(encoding="utf-8"))))


def test_prefect_understands_the_settings_of_its_server_and_worker(renderings: dict[str, list[Object]]) -> None:
    given: dict[str, str] = {}
    for part in ("prefect", "worker"):
        (deployment,) = of_kind(renderings["teams"], "Deployment", part)
        for each in deployment["spec"]["template"]["spec"]["containers"][0]["env"]:
            given[each["name"]] = each.get("value", "postgresql+asyncpg://user:password@host:5432/prefect")
    program = (
        "from prefect.settings import get_current_settings\n"
        "s = get_current_settings()\n"
        "v = s.server.services.db_vacuum\n"
        "print(sorted(v.enabled), v.retention_period.days, s.server.ui.api_url, s.worker.query_seconds,\n"
        "      s.client.max_retries, s.api.url, bool(s.server.api.auth_string), bool(s.server.database.connection_url))"
    )
    with tempfile.TemporaryDirectory() as home:
        environment = {**given, "HOME": home, "PREFECT_HOME": home, "PATH": "/usr/bin:/bin"}
        found = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=True
        )
    address = "http://backsweep-prefect.backsweep-system.svc:4200/api"
    expected = f"['events', 'flow_runs'] 7 https://prefect.example/api 5.0 12 {address} True True"
    assert found.stdout.split() == expected.split()


def test_the_chart_sets_everything_that_the_operator_can_be_told(renderings: dict[str, list[Object]]) -> None:
    source = (CHART.parents[1] / "operator" / "backsweep_operator" / "settings.py").read_text(encoding="utf-8")
    read = set(re.findall(r'"((?:BACKSWEEP|PREFECT)_[A-Z_]+)"', source))
    # A store has keys or an account, not both.
    given = set(variables_of(renderings["teams"])) | set(variables_of(renderings["external"]))
    # Who it is and where it listens follow from its pod.
    assert read - given == {"BACKSWEEP_IDENTITY", "BACKSWEEP_LISTEN"}
    assert given - read == {"HOME"}
