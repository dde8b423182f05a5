"""The documentation is true where a machine can tell: links, commands, options, imports and paths exist."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml

from geoseg.cli.main import app
from geoseg.training.recipe import Augmentation, Recipe

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/**/*.md")])
CONFIGS = sorted(ROOT.glob("configs/**/*.yaml"))


def page_id(path):
    return str(path.relative_to(ROOT))


def anchors(path):
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def without_blocks(text):
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


def commands(text):
    """Every ``geoseg ...`` line of the fenced blocks, continued lines joined, remarks cut off."""
    blocks = re.findall(r"^```\n(.*?)^```", text, flags=re.M | re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    found = []
    for line in lines:
        for part in re.split(r"&&|;", line.split("# ")[0] if not line.startswith("#") else ""):
            match = re.match(r"\s*(?:\w+=\S+ )*geoseg (.+)$", part)
            if match:
                found.append(match[1])
    return found


def options_of(words):
    """The words after the verb, and the option names that the verb has."""
    command = typer.main.get_command(app)
    while hasattr(command, "commands") and words and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    assert not hasattr(command, "commands") or words[:1] == ["--help"], f"no verb {words[:1]}"
    names = {"--help"}
    for parameter in command.params:
        names |= {*parameter.opts, *parameter.secondary_opts}
    return words, names


def check_command(text):
    words, names = options_of(shlex.split(text.replace("...", "")))
    used = [word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    assert [word for word in used if word not in names] == [], text


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page):
    text = without_blocks(page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target} does not exist"
        assert not anchor or anchor in anchors(file), f"{target}: no such heading"


@pytest.mark.parametrize("page", [page for page in PAGES if "geoseg " in page.read_text(encoding="utf-8")], ids=page_id)
def test_commands_have_verbs_and_options_that_exist(page):
    for command in commands(page.read_text(encoding="utf-8")):
        check_command(command)


@pytest.mark.parametrize("config", CONFIGS, ids=page_id)
def test_commands_in_configurations_exist(config):
    comments = "\n".join(re.findall(r"^#\s{2,}(.*)$", config.read_text(encoding="utf-8"), flags=re.M))
    found = commands(f"```\n{comments}\n```")
    assert found, "a configuration says which command reads it"
    for command in found:
        check_command(command)


def test_commands_are_found_and_faults_told():
    text = "```\ngeoseg catalog add a -o b --sensor s1   # a remark --with-dashes\ngeoseg doctor\n```\n"
    assert commands(text) == ["catalog add a -o b --sensor s1   ", "doctor"]
    with pytest.raises(AssertionError):
        check_command("map --no-such-option")
    with pytest.raises(AssertionError):
        check_command("mpa --bbox 1,2,3,4")


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_names_in_python_blocks_import(page):
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.M | re.S):
        for module, names in re.findall(r"^from (geoseg[\w.]*) import (.+)$", block, flags=re.M):
            for name in names.split(","):
                assert hasattr(importlib.import_module(module), name.strip()), f"{module} has no {name}"


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=page_id)
def test_paths_of_the_repository_exist(page):
    """A path such as geoseg/training/recipe.py in backquotes is a file or folder of this repository."""
    text = without_blocks(page.read_text(encoding="utf-8"))
    for path in re.findall(r"`((?:geoseg|tests|configs|data_catalog|docs|benchmarks)/[\w./-]*)`", text):
        assert (ROOT / path).exists(), f"{path} does not exist"


def test_every_key_of_the_recipe_is_documented():
    text = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"`(\w+)`", text.split("## Recipe")[1].split("##")[0]))
    assert {*Recipe.model_fields, *Augmentation.model_fields} <= rows


def test_the_configurations_of_the_documentation_are_yaml():
    for page in PAGES:
        for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.M | re.S):
            assert isinstance(yaml.safe_load(block), dict)
