"""The recipes in ``deploy/`` agree with each other and with the app, and the documents say what was measured."""

import re
import tomllib
from typing import Any

import pytest
import yaml

from benchmarks import documents
from tests.conftest import ROOT

DEPLOY = ROOT / "deploy"
CONTAINER = (DEPLOY / "Containerfile").read_text()
BALANCER = (DEPLOY / "haproxy.cfg").read_text()
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
UNITS = {"Mi": 2**20, "Gi": 2**30}


def kubernetes() -> dict[str, Any]:
    """The manifests by their kind."""
    listed = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())["resources"]
    files = {path.name for path in (DEPLOY / "kubernetes").glob("*.yaml")}
    assert set(listed) == files - {"kustomization.yaml"}
    found = [yaml.safe_load((DEPLOY / "kubernetes" / name).read_text()) for name in listed]
    return {manifest["kind"]: manifest for manifest in found}


MANIFESTS = kubernetes()
POD = MANIFESTS["Deployment"]["spec"]["template"]["spec"]
APP = POD["containers"][0]


def size(text: str) -> int:
    return int(text[:-2]) * UNITS[text[-2:]]


def cores(text: str) -> float:
    return int(text[:-1]) / 1000 if text.endswith("m") else float(text)


def test_one_readiness_address():
    probes = {APP[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}
    said = {*probes, *re.findall(r"LAB_READY[= ](/\S+)", CONTAINER + BALANCER)}
    said |= {service["environment"]["LAB_READY"] for service in COMPOSE["services"].values()}
    said |= {entry["value"] for entry in APP["env"] if entry["name"] == "LAB_READY"}
    assert len(said) == 1
    assert "os.environ['LAB_READY']" in CONTAINER
    assert 'uri "${LAB_READY}"' in BALANCER


def test_one_port():
    port = re.search(r"--server\.port=(\d+)", CONTAINER)[1]
    assert re.search(r"^EXPOSE (\d+)", CONTAINER, re.MULTILINE)[1] == port
    assert f"127.0.0.1:{port}'" in CONTAINER
    assert APP["ports"] == [{"name": "http", "containerPort": int(port)}]
    assert COMPOSE["services"]["door"]["environment"]["LAB_APP"] == f"app:{port}"
    assert f"presetenv LAB_APP app:{port}" in BALANCER
    assert MANIFESTS["Service"]["spec"]["ports"][0]["targetPort"] == "http"


def test_every_selector_finds_the_pods():
    labels = MANIFESTS["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert MANIFESTS["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert MANIFESTS["Service"]["spec"]["selector"] == labels
    assert MANIFESTS["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert POD["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"] == labels
    assert MANIFESTS["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == "attention-lab"
    backend = MANIFESTS["Ingress"]["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": MANIFESTS["Service"]["metadata"]["name"], "port": {"name": "http"}}
    assert {manifest["metadata"]["name"] for manifest in MANIFESTS.values()} == {"attention-lab"}
    assert "replicas" not in MANIFESTS["Deployment"]["spec"], "the autoscaler's number would be overwritten"


def test_one_cookie_binds_a_visitor():
    name = re.search(r"^ {4}cookie (\w+) insert .*\bhttponly\b", BALANCER, re.MULTILINE)[1]
    notes = MANIFESTS["Ingress"]["metadata"]["annotations"]
    assert notes["nginx.ingress.kubernetes.io/affinity"] == "cookie"
    assert notes["nginx.ingress.kubernetes.io/session-cookie-name"] == notes["haproxy.org/cookie-persistence"] == name


def test_limits_hold_what_was_measured():
    measured = documents.kept()["app"]
    server = max(measured["memory_pages"], *(one["memory_after"] for one in measured["classes"]))
    most = (server + measured["fair"]["memory"]) * 2**20
    limits, requests = APP["resources"]["limits"], APP["resources"]["requests"]
    assert most < size(limits["memory"])
    assert size(requests["memory"]) <= size(limits["memory"])
    assert cores(requests["cpu"]) <= cores(limits["cpu"])
    compose = COMPOSE["services"]["app"]["deploy"]["resources"]["limits"]
    assert size(compose["memory"] + "i") == size(limits["memory"])
    assert float(compose["cpus"]) == cores(limits["cpu"])
    scaler = MANIFESTS["HorizontalPodAutoscaler"]["spec"]
    assert 2 <= scaler["minReplicas"] < scaler["maxReplicas"]


def test_no_root_and_nothing_written_but_in_tmp():
    user = int(re.search(r"^USER (\d+):\d+$", CONTAINER, re.MULTILINE)[1])
    assert user == POD["securityContext"]["runAsUser"] != 0
    assert POD["securityContext"]["runAsNonRoot"]
    assert APP["securityContext"]["readOnlyRootFilesystem"]
    assert APP["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert [mount["mountPath"] for mount in APP["volumeMounts"]] == ["/tmp"]
    for service in COMPOSE["services"].values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
    assert COMPOSE["services"]["app"]["tmpfs"][0].startswith("/tmp:")
    assert {"HOME=/tmp", "ATTENTION_LAB_HOME=/tmp/attention-lab"} <= set(CONTAINER.replace("ENV ", "").split())


def test_it_ends_when_it_is_told_to():
    command = re.findall(r"^CMD (\[.*\])$", CONTAINER, re.MULTILINE)[0]
    assert yaml.safe_load(command)[:4] == ["python", "-m", "streamlit", "run"], "no shell between the signal and Python"
    pause = int(APP["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pause + 20 <= POD["terminationGracePeriodSeconds"]


def test_the_image_gets_all_that_the_app_reads():
    copied = set(re.findall(r"^COPY (?!--)(\S+) ", CONTAINER, re.MULTILINE))
    assert copied == {".streamlit", "app", "assets", "models", "pages", "requirements.txt"}
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert let_through == copied
    assert all((ROOT / name).exists() for name in copied)


def test_the_servers_guards_are_on():
    server = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["server"]
    assert server["enableXsrfProtection"]
    assert server["enableCORS"]
    recipes = CONTAINER + BALANCER + str(COMPOSE) + str(MANIFESTS)
    assert not re.search(r"enable(CORS|XsrfProtection)\W+false", recipes, re.IGNORECASE)
    assert not re.search(r"password|cookieSecret|api_?key", recipes, re.IGNORECASE)


def test_the_hosted_demo_has_the_same_pins():
    def lines(path: str) -> list[str]:
        return [line for line in (ROOT / path).read_text().splitlines() if line and not line.startswith("#")]

    index = "--extra-index-url https://download.pytorch.org/whl/cpu"
    assert lines("app/requirements.txt") == [index, *lines("requirements.txt")]
    assert index.split()[1] in CONTAINER


@pytest.mark.parametrize("name", documents.PARTS)
def test_a_document_says_what_was_measured(name):
    path, make = documents.PARTS[name]
    assert documents.between(path.read_text(), name) == make(documents.kept())


def test_a_core_holds_what_its_processor_time_allows():
    result = documents.kept()
    page = next(iter(result["app"]["pages"]))
    result["app"]["pages"] = {page: result["app"]["pages"][page] | {"cpu": 0.02}, "idle": {"cpu": float("nan")}}
    rows = [line.split("|")[1:-1] for line in documents.capacity(result).splitlines() if line.startswith(f"| {page}")]
    assert [cell.strip() for cell in rows[0]] == [page, "20", "70", "350"]
    assert "| idle" not in documents.capacity(result)


def test_filling_leaves_the_rest_of_a_document_alone():
    text = f"before\n{documents.BEGIN.format('x')}\nold\n{documents.END}\nafter"
    new = documents.filled(text, "x", "new")
    assert documents.between(new, "x") == "new"
    assert documents.filled(new, "x", "new") == new
    assert new.startswith("before\n")
    assert new.endswith("\nafter")
    with pytest.raises(ValueError, match="substring"):
        documents.filled("nothing", "x", "new")
