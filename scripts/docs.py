"""Writes what is generated from the code: docs/commands.md, docs/glossary.md, docs/api.md, docs/indicators.md and
api/commands.json.

python -m scripts.docs          writes them
python -m scripts.docs --check  says whether they are as the code has them (exit code 1 if not)
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import msgspec

from api import access, openapi, problems
from api.commands import SERVED
from api.operations import Tag
from domain import guards, institution, refusals, terms
from domain.kinds import KINDS
from domain.refusals import Refusal
from domain.terms import Act, Fact
from supervision import indicators

DOCS = Path(__file__).resolve().parents[1] / "docs"
_MEMBER = re.compile(r'^    [A-Z0-9_]+ = "([a-z0-9_]+)", "([^"]+)"(?:\s+#\s*noqa: \S+)?(?:\s+# (.*))?$')


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


class Reach:
    """What a command's rule may ask and make, read from its source: states it is allowed from, events it writes."""

    def __init__(self, rule: Callable[..., object]) -> None:
        self.states: list[str] = []
        self.events: list[str] = []
        self._seen: set[Callable[..., object]] = set()
        self._follow(rule)

    def _follow(self, function: Callable[..., object]) -> None:
        if function in self._seen or not getattr(function, "__module__", "").startswith("domain."):
            return
        self._seen.add(function)
        names = inspect.getmodule(function).__dict__
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
            if isinstance(node, ast.Call):
                self._call(node, names)

    def _call(self, node: ast.Call, names: Mapping[str, Any]) -> None:
        called = _resolve(node.func, names)
        if called is guards.in_state:
            for argument in node.args[1:]:
                value = _resolve(argument.value if isinstance(argument, ast.Starred) else argument, names)
                states = value if isinstance(value, tuple) else (value,)
                self.states += [str(state) for state in states if state is not None and str(state) not in self.states]
        elif isinstance(called, type) and issubclass(called, Fact):
            if _tag(called) not in self.events:
                self.events.append(_tag(called))
        elif inspect.isfunction(called) and not called.__module__.startswith(("domain.guards", "domain.clocks")):
            self._follow(called)


def _resolve(node: ast.expr, names: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        return getattr(_resolve(node.value, names), node.attr, None)
    return None


def _rules() -> dict[type[Act], Callable[..., object]]:
    found: dict[type[Act], Callable[..., object]] = {}
    for module in list(sys.modules.values()):
        if module.__name__.startswith("domain."):
            found |= getattr(module, "DECIDES", {})
    for kind in KINDS:  # beside the orders, tables lie in what was made of them
        told = inspect.getclosurevars(kind.decide).nonlocals
        found |= {**told.get("opens", {}), **told.get("decides", {})}
    return found


def commands_page() -> str:
    """Return docs/commands.md: every command and event of every kind of stream, and every refusal."""
    lines = [
        "# Commands, events and refusals",
        "",
        "Generated from the code by `python -m scripts.docs`; do not edit. **Bold** fields are required, ▒ is sealed;",
        "`from` lists the states a rule names (any: it asks otherwise), `events` what it may write.",
        "",
    ]
    rules = _rules()
    for kind in KINDS:
        lines += [
            f"## Stream `{kind.name}`",
            "",
            "| command | who may ask | what it asks | fields |",
            "|---|---|---|---|",
        ]
        for c in sorted(kind.commands, key=_tag):
            reach = Reach(rules[c]) if c in rules else None
            states = ", ".join(reach.states) if reach else ""
            events = ", ".join(f"`{e.partition('.')[2]}`" for e in reach.events) if reach else ""
            roles = ", ".join(sorted(c.roles))
            cells = (f"`{_tag(c)}`", roles, states or "any", _cell(sentence(c)), events, _names(c))
            lines.append(f"| {' | '.join(cells)} |")
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
        if not isinstance(node, ast.ClassDef) or not any(getattr(b, "id", "") == "Word" for b in node.bases):
            continue
        title = (ast.get_docstring(node) or "").split("\n")[0]
        lines += [f"### {node.name}", "", title, "", "| word | 中文 | |", "|---|---|---|"]
        for row in rows[node.lineno : node.end_lineno]:
            if found := _MEMBER.match(row):
                lines.append(f"| `{found[1]}` | {found[2]} | {_cell(found[3] or '')} |")
        lines.append("")
    lines += ["## Events 事件", "", "| event | 中文 |", "|---|---|"]
    for kind in KINDS:
        for event in sorted(kind.events, key=_tag):
            lines.append(f"| `{_tag(event)}` | {_cell(sentence(event).split('.')[0])} |")
    return "\n".join(lines) + "\n"


# --- the API -----------------------------------------------------------------------------------------------------


class Faults:
    """The refusals that a rule may give, read from its source and from all that it asks.

    Of a rule that decides several commands, only the case of the one asked about counts.
    """

    def __init__(self, act: type[Act], rule: Callable[..., object]) -> None:
        self.codes: set[str] = set()
        self._act = act
        self._seen: set[object] = set()
        self._follow(rule)

    def _follow(self, function: Any) -> None:
        if function in self._seen or not getattr(function, "__module__", "").startswith("domain."):
            return
        self._seen.add(function)
        names = inspect.getmodule(function).__dict__
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        for node in ast.walk(_for_only(tree, self._act, names)):
            if not isinstance(node, ast.Name | ast.Attribute):
                continue
            found = _resolve(node, names)
            if isinstance(found, type) and issubclass(found, Refusal) and found is not Refusal:
                self.codes.add(found.code())
            elif inspect.isfunction(found):
                self._follow(found)


def _for_only(tree: ast.AST, act: type[Act], names: Mapping[str, Any]) -> ast.AST:
    """Return a tree of which, where it tells commands apart, the case of one of them is left."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Call) and len(node.test.args) == 2:
            kind = _resolve(node.test.args[1], names)
            if isinstance(kind, type) and issubclass(kind, Act) and kind is not act:
                node.body = [ast.Pass()]
        if not isinstance(node, ast.Match):
            continue
        of = [
            {_resolve(p.cls, names) for p in ast.walk(one.pattern) if isinstance(p, ast.MatchClass)}
            for one in node.cases
        ]
        if any(isinstance(kind, type) and issubclass(kind, Act) for kinds in of for kind in kinds):
            node.cases = [one for one, kinds in zip(node.cases, of, strict=True) if act in kinds] or node.cases[-1:]
    return tree


def examples() -> dict[str, Example]:
    """Return of every command the first body that a case script carries out: the texts first, then what they leave."""
    found: dict[str, Example] = {}
    for name in ("s0", "s1", "s2", "s3", "s4", "rest"):
        content = (DOCS.parent / "scripts" / "cases" / f"{name}.jsonl").read_bytes()
        for number, row in enumerate(content.splitlines(), 1):
            if row.strip() and not row.startswith(b"//"):
                command = msgspec.json.decode(row)["command"]
                body = {name: exemplary(value) for name, value in command.items() if name != "type"}
                found.setdefault(command["type"], Example(name, number, body))
    return found


class Example(NamedTuple):
    """A command's body, and which line of which case script carries it out."""

    script: str
    line: int
    body: dict[str, Any]


def spoken_page() -> str:
    """Return api/commands.json: of every command a body that a case script carries out, and its refusals."""
    rules, told, said = _rules(), {}, examples()
    for act in sorted(SERVED, key=_tag):
        rule = rules.get(act, institution.decide)
        told[_tag(act)] = {"example": said[_tag(act)].body, "refusals": sorted(Faults(act, rule).codes)}
    return msgspec.json.format(msgspec.json.encode(told), indent=1).decode() + "\n"


def exemplary(value: Any) -> Any:
    """Return a value as anybody may send it: a script's labels stand for ids that it made itself."""
    if isinstance(value, str) and value.startswith("@"):
        return 1 if value == "@head" else "00000000-0000-7000-8000-000000000000"
    if isinstance(value, dict):
        return {name: exemplary(one) for name, one in value.items()}
    return [exemplary(one) for one in value] if isinstance(value, list) else value


def api_page() -> str:
    """Return docs/api.md: every operation by whom it is for, and who sees what."""
    document = openapi.document()
    lines = [
        "# The API",
        "",
        "Generated from the code by `python -m scripts.docs`; do not edit. The same, with every field, is served as",
        "`/openapi.json` and shown at `/docs`. Paths begin with `/v1/CITY`.",
        "",
    ]
    for tag in Tag:
        lines += [f"## {tag}", "", "| operation | what it does | roles | parameters |", "|---|---|---|---|"]
        for path, method, one in openapi.listed(tag):
            asked = ", ".join(
                p["name"] for p in one["parameters"] if p.get("in") == "query" and p["name"] != "validate"
            )
            roles = ", ".join(one.get("x-roles", ()))
            where = path.removeprefix("/v1/{city}") or "/"
            lines.append(f"| `{method.upper()} {where}` | {_cell(one['summary'])} | {roles} | {asked} |")
        lines.append("")
    lines += ["## Headers", "", "| header | meaning |", "|---|---|"]
    for one in document["components"]["parameters"].values():
        if one["in"] == "header":
            lines.append(f"| `{one['name']}` | {_cell(one['description'])} |")
    columns = list(next(iter(access.MATRIX.values())))
    lines += ["", "## Who sees what", "", "Whatever a line does not allow is denied.", ""]
    lines += [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    lines += [f"| {data} | {' | '.join(grades[c] for c in columns)} |" for data, grades in access.MATRIX.items()]
    lines += ["", "## Refusals by status", "", "| status | codes |", "|---|---|"]
    by_status: dict[int, list[str]] = {}
    for refusal in problems.known():
        by_status.setdefault(problems.status_of(refusal), []).append(refusal.code())
    lines += [f"| {status} | {', '.join(sorted(codes))} |" for status, codes in sorted(by_status.items())]
    return "\n".join(lines) + "\n"


def indicators_page() -> str:
    """Return docs/indicators.md: how every indicator is counted (统计口径)."""
    lines = [
        "# 统计口径 The indicators",
        "",
        "Generated from the code by `python -m scripts.docs`; do not edit. The same is `huiyin indicators --definitions` and",
        "`GET /indicators/definitions`.",
        "",
        *(f"- {rule}" for rule in indicators.RULES),
        "",
        "| 指标 | 名称 | 公式 | formula | 归属 attribution | 剔除 left out | 依据 source |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in indicators.definitions():
        cells = (one.code, f"{one.title} {one.english}", one.formula, one.meaning, one.attribution, one.exclusions)
        lines.append(f"| {' | '.join(map(_cell, (*cells, one.source)))} |")
    return "\n".join(lines) + "\n"


PAGES = {
    "indicators.md": indicators_page,
    "commands.md": commands_page,
    "glossary.md": glossary_page,
    "../api/commands.json": spoken_page,
    "api.md": api_page,
}


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
