"""The generated pages say what the code says, and the README's commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts import docs
from scripts.huiyin import huiyin

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", sorted(docs.PAGES))
def test_a_generated_page_is_as_the_code_has_it(name: str) -> None:
    assert (docs.DOCS / name).read_text(encoding="utf-8") == docs.PAGES[name](), "run: python -m scripts.docs"


@pytest.mark.parametrize("page", ["README.md", "README.zh.md", "docs/operating.md"])
def test_every_command_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:scripts/run|huiyin) ([a-z]+)\b", text))
    assert named, "the page names no command: the pattern is wrong"
    assert named <= set(huiyin.commands)


@pytest.mark.parametrize("page", ["README.md", "README.zh.md", "ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text(encoding="utf-8")):
        assert (ROOT / target).exists(), target
