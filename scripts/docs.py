"""Writes the pages that are generated from the code: docs/commands.md and docs/glossary.md.

python -m scripts.docs          writes them
python -m scripts.docs --check  says whether they are as the code has them (exit code 1 if not)
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_type_hints

import msgspec

from domain import refusals, terms
from domain.kinds import KINDS
from domain.refusals import Refusal
from domain.terms import Act, Fact

DOCS = Path(__file__).resolve().parents[1] / "docs"
_MEMBER = re.compile(r'^    [A-Z0-9_]+ = "([a-z0-9_]+)"\s+(?:#\s*noqa[^#\u4e00-\u9fff]*)?#?\s*(.*)$')


def sentence(kind: type) -> str:
    """Return a docstring in one line."""
    return " ".join((inspect.getdoc(kind) or "").split())


def _tag(kind: type[Fact | Act]) -> str:
    return str(kind.__struct_config__.tag)


def _names(kind: type[Fact | Act]) -> str:
    hints = get_type_hints(kind)
    shown: list[str] = []
    for field in msgspec.structs.fields(kind):
        sealed = "Sealed" in str(hints[field.name])
        shown.append(
            f"{'**' if field.required else ''}{field.name}{'**' if field.required else ''}{'▒' if sealed else ''}"
        )
    return ", ".join(shown)


def commands_page() -> str:
    """Return docs/commands.md: every command and event of every kind of stream, and every refusal."""
    lines = [
        "# Commands, events and refusals",
        "",
        "Generated from the code by `python -m scripts.docs`; do not edit. **Bold** fields are required, ▒ is sealed.",
        "",
    ]
    for kind in KINDS:
        lines += [
            f"## Stream `{kind.name}`",
            "",
            "| command | who may ask | what it asks | fields |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| `{_tag(c)}` | {', '.join(sorted(c.roles))} | {_cell(sentence(c))} | {_names(c)} |"
            for c in sorted(kind.commands, key=_tag)
        ]
        lines += ["", "| event | what happened | fields |", "|---|---|---|"]
        lines += [f"| `{_tag(e)}` | {_cell(sentence(e))} | {_names(e)} |" for e in sorted(kind.events, key=_tag)]
        lines.append("")
    lines += ["## Refusals", "", "| code | what the caller reads | basis |", "|---|---|---|"]
    for refusal in sorted(_refusals(), key=lambda r: r.code()):
        lines.append(f"| `{refusal.code()}` | {_cell(sentence(refusal))} | {_cell(refusal.basis)} |")
    return "\n".join(lines) + "\n"


def _refusals() -> Iterator[type[Refusal]]:
    for found in vars(refusals).values():
        if isinstance(found, type) and issubclass(found, Refusal) and found is not Refusal:
            yield found


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def glossary_page() -> str:
    """Return docs/glossary.md: the words of the code with their official Chinese terms."""
    lines = [
        "# Glossary 术语",
        "",
        "Generated from the code by `python -m scripts.docs`; do not edit.",
        "",
        "## Words 词",
        "",
    ]
    source = inspect.getsource(terms)
    tree = ast.parse(source)
    rows = source.splitlines()
    for node in tree.body:
        if not isinstance(node, ast.ClassDef) or not any(getattr(b, "id", "") == "StrEnum" for b in node.bases):
            continue
        title = (ast.get_docstring(node) or "").split("\n")[0]
        lines += [f"### {node.name}", "", title, "", "| word | 中文 |", "|---|---|"]
        for row in rows[node.lineno : node.end_lineno]:
            if found := _MEMBER.match(row):
                lines.append(f"| `{found[1]}` | {_cell(found[2])} |")
        lines.append("")
    lines += ["## Events 事件", "", "| event | 中文 |", "|---|---|"]
    for kind in KINDS:
        for event in sorted(kind.events, key=_tag):
            lines.append(f"| `{_tag(event)}` | {_cell(sentence(event).split('.')[0])} |")
    return "\n".join(lines) + "\n"


PAGES = {"commands.md": commands_page, "glossary.md": glossary_page}


def main() -> None:
    """Write the pages, or with --check say whether they are as they should be."""
    stale = [name for name, page in PAGES.items() if _read(DOCS / name) != page()]
    if "--check" in sys.argv:
        for name in stale:
            print(f"docs/{name} is not as the code has it: run python -m scripts.docs", file=sys.stderr)
        sys.exit(bool(stale))
    for name in stale:
        (DOCS / name).write_text(PAGES[name](), encoding="utf-8")
        print(f"wrote docs/{name}")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    main()
