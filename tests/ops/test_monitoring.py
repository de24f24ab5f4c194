"""The dashboard, the alerts and the documents speak of metrics that there are, and of all of them."""

import json
import re
from pathlib import Path

import pytest
import yaml

from daicho.ops.metrics import FAMILIES

ROOT = Path(__file__).parents[2]
PARTS = ("_bucket", "_count", "_sum")
OTHERS = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes"}
LABELS = {"instance", "job", "le"}


def expressions() -> list[str]:
    """Every PromQL expression of the dashboard and of the alerts."""
    dashboard = json.loads((ROOT / "monitoring/grafana/daicho.json").read_text("utf-8"))
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    variables = [one["definition"] for one in dashboard["templating"]["list"] if "definition" in one]
    groups = yaml.safe_load((ROOT / "monitoring/prometheus/alerts.yml").read_text("utf-8"))["groups"]
    rules = [rule["expr"] for group in groups for rule in group["rules"]]
    assert len(panels) > 30
    assert len(rules) > 10
    return panels + variables + rules


def family_of(name: str) -> str | None:
    """The family that a sample of this name belongs to, if its kind has such samples."""
    if name in FAMILIES:
        return None if FAMILIES[name].kind == "histogram" else name
    found = next((end for end in PARTS if name.endswith(end)), "")
    family = name.removesuffix(found)
    return family if family in FAMILIES and FAMILIES[family].kind == "histogram" else None


@pytest.mark.parametrize("expression", expressions())
def test_expressions_ask_for_what_there_is(expression: str) -> None:
    bare = re.sub(r"\"[^\"]*\"|\[[^\]]*\]", "", expression)
    names = set(re.findall(r"\b(?:daicho|process)_\w+|\bup\b", bare))
    assert names
    families = {name: family_of(name) for name in names - OTHERS}
    assert None not in families.values(), families
    known = {label for family in families.values() for label in FAMILIES[family or ""].labels} | LABELS
    used = set(re.findall(r"(\w+)\s*=~?(?!=)", bare.replace(">=", "").replace("==", "")))
    for grouped in re.findall(r"\bby \(([^)]*)\)", bare):
        used |= {label.strip() for label in grouped.split(",")}
    assert used <= known


@pytest.mark.parametrize("name", ["monitoring.md", "monitoring.ja.md"])
def test_every_metric_is_documented(name: str) -> None:
    document = (ROOT / "docs" / name).read_text("utf-8")
    for metric, family in FAMILIES.items():
        labels = ", ".join(f"`{label}`" for label in family.labels)
        assert f"| `{metric}` | {family.kind} | {labels} | " in document
    alerts = (ROOT / "monitoring/prometheus/alerts.yml").read_text("utf-8")
    assert all(f"`{alert}`" in document for alert in re.findall(r"alert: (\w+)", alerts))
    assert set(re.findall(r"`(daicho_\w+)`", document)) - set(FAMILIES) == set()
