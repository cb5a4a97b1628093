"""What we depend on: each thing for a reason, and none with a known fault as far as that can be learnt."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("pypi", "osv")
"""Where advisories are asked for, in this order."""


def test_every_dependency_has_its_reason() -> None:
    tomllib = pytest.importorskip("tomllib")
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    named = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    reasons = dict(re.findall(r'^  "([^"]+)", +# (\S.{2,})$', text, re.MULTILINE))
    assert len(named) > 10
    assert [one for one in named if one not in reasons] == []


def verdict(report: str) -> tuple[str, list[str]]:
    """Tell what an audit came to: ``clean``, ``faulty`` or ``unknown``, and of which packages it says so.

    Where no advisory can be asked for, the auditor passes over every package, and then reports that it knows
    of no fault.
    """
    try:
        found = json.loads(report)["dependencies"]
    except (ValueError, KeyError):
        return "unknown", []
    passed_over = [one["name"] for one in found if "vulns" not in one and one["name"] != "orchestra-magic"]
    faults = [f"{one['name']} {one['version']}: {fault['id']}" for one in found for fault in one.get("vulns", ())]
    if faults:
        return "faulty", faults
    return ("unknown", passed_over) if passed_over or not any("vulns" in one for one in found) else ("clean", [])


@pytest.mark.parametrize(
    ("packages", "said"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], ("clean", [])),
        ([{"name": "a", "skip_reason": "not found"}], ("unknown", ["a"])),
        ([{"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "not found"}], ("unknown", ["b"])),
        ([{"name": "a", "version": "1", "vulns": [{"id": "X-1"}]}], ("faulty", ["a 1: X-1"])),
        ([{"name": "orchestra-magic", "skip_reason": "editable"}], ("unknown", [])),
    ],
)
def test_what_was_not_audited_is_not_called_clean(packages: list[object], said: tuple[str, list[str]]) -> None:
    assert verdict(json.dumps({"dependencies": packages})) == said
    assert verdict("") == ("unknown", [])


@pytest.mark.slow
def test_nothing_here_has_a_known_fault() -> None:
    """Skipped, with the reason, where no source of advisories can be reached."""
    told = []
    for source in SOURCES:
        command = [sys.executable, "-m", "pip_audit", "--local", "--skip-editable", "-s", source, "-f", "json"]
        done = subprocess.run(
            [*command, "--progress-spinner=off", "--timeout=10"],
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        said, names = verdict(done.stdout)
        assert said != "faulty", names
        if said == "clean":
            return
        told.append(f"{source}: {f'passed over {len(names)} packages' if names else done.stderr.strip()[-120:]}")
    pytest.skip("could not be audited: " + "; ".join(told))
