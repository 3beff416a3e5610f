"""checkov's checks of Azure resources, on evaluated deployments: it cannot evaluate modules itself."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.infra.conftest import INFRA

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.infra.conftest import Deployment


@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"vnetEnabled": True, "sampleAlert": True, "durableEngine": "DurableTaskScheduler"},
        {"hostingPlan": "Premium"},
    ],
    ids=["defaults", "everything", "Premium"],
)
def test_checkov_finds_nothing(
    evaluate: Callable[..., Deployment], switches: dict[str, object], tmp_path: Path
) -> None:
    template = tmp_path / "deployment.json"
    schema = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
    resources = evaluate(**switches).resources
    template.write_text(
        json.dumps({"$schema": schema, "contentVersion": "1.0.0.0", "resources": resources}, indent=1), encoding="utf-8"
    )

    done = subprocess.run(
        [
            os.environ["CHECKOV"],
            "--config-file",
            str(INFRA / "checkov.yaml"),
            "--file",
            str(template),
            "--output",
            "json",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    report = json.loads(done.stdout)
    failed = [
        (check["check_id"], check["check_name"], check["resource"]) for check in report["results"]["failed_checks"]
    ]
    assert failed == []
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 0
    assert done.returncode == 0, done.stderr
