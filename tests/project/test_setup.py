"""What the project promises about itself: dependencies declared, versions held, one way to install."""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def declared():
    requirements = [
        *PROJECT["dependencies"],
        *(each for extra in PROJECT["optional-dependencies"].values() for each in extra),
    ]
    named = [re.match(r"([A-Za-z0-9._-]+)(?:\[(.*?)\])?", requirement).groups() for requirement in requirements]
    return {canonical(name) for base, extras in named for name in (base, *(extras or "").split(",")) if name}


def imported():
    names = {}
    for path in (ROOT / "geoseg").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found = [node.module]
            else:
                continue
            names.update({name.split(".")[0]: path for name in found})
    return {name: path for name, path in names.items() if name not in sys.stdlib_module_names and name != "geoseg"}


def test_everything_that_is_imported_is_declared():
    providers = metadata.packages_distributions()
    known = declared()
    for name, path in imported().items():
        assert {canonical(each) for each in providers[name]} & known, (
            f"{path} imports {name}, which pyproject does not declare"
        )


def test_constraints_hold_names_and_versions_and_nothing_else():
    lines = (ROOT / "constraints.txt").read_text().split("\n")[:-1]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.+!]*", line) for line in lines)
    held = {canonical(line.split("==")[0]) for line in lines}
    own = {"geoseg", *PROJECT["optional-dependencies"], "cli"}
    assert not declared() - held - own, "declared, and held to no version"


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_containers_install_as_ci_does(name):
    """`python3.11 -m venv`, then pip with the same flags and constraints, like the Makefile that CI runs."""
    text = (ROOT / "docker" / f"{name}.Dockerfile").read_text()
    make = (ROOT / "Makefile").read_text()
    flags = re.search(r"^PIP\s+= \$\(BIN\)/python (-m pip install .*)$", make, re.MULTILINE)[1]
    image = re.search(r"&& /opt/geoseg/bin/python (-m pip install .*)\n", text)[1]
    extras = ",".join(name for name in PROJECT["optional-dependencies"] if name not in ("test", "lint", "dev"))
    assert image.replace(" --no-cache-dir", "") == f"{flags} '.[{extras}]'"
    assert "$(PYTHON) -m venv $(VENV)" in make
    assert "python3.11 -m venv /opt/geoseg" in text
    assert len(re.findall(r"^FROM ", text, re.MULTILINE)) == 2
    assert re.search(r"^USER (?!root)\w+$", text, re.MULTILINE)
    volumes = json.loads(re.search(r"^VOLUME (.*)$", text, re.MULTILINE)[1])
    made = re.search(r"^USER \w+\nWORKDIR (\S+)\n(?:#.*\n)?RUN mkdir (.*)$", text, re.MULTILINE)
    assert volumes == [f"{made[1]}/{name}" for name in made[2].split()], "a volume that its user cannot write"
    assert 'ENTRYPOINT ["geoseg"]' in text
    copied = {word for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE) for word in line.split()[:-1]}
    assert all((ROOT / each).exists() for each in copied)
    assert {"pyproject.toml", "constraints.txt", "geoseg", "data_catalog", "configs"} <= copied


def test_compose_has_a_mapper_and_a_cluster():
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
    assert set(compose["services"]) == {"mapper", "scheduler", "worker"}
    for service in compose["services"].values():
        assert (ROOT / "docker" / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        assert all(value is None for value in service["environment"].values()), "a credential is written down"


def test_ci_runs_what_a_person_runs():
    script = (ROOT / ".ci" / "run").read_text()
    assert "set -euo pipefail" in script
    assert re.findall(r"^(?:\w+=\S+ )*make (\w+)$", script, re.MULTILINE) == ["check", "test"]
    assert "GEOSEG_REQUIRE_TEST_DATA=1 make test" in script, "CI skips nothing"
