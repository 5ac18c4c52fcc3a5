"""The API's document as a page for people: Chinese first, and nothing in it comes from anywhere else."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from api import problems
from api.openapi import VERSION, document
from api.operations import Tag
from domain import fields
from domain.terms import Role, Word

_STYLE = """
:root{--ink:#1d2330;--soft:#667085;--line:#e3e7ee;--wash:#f6f8fb;--get:#0b6e4f;--post:#9a4a00;--lead:#8c1d18}
*{box-sizing:border-box}html{scroll-padding-top:1rem}
body{margin:0;color:var(--ink);background:#fff;font:15px/1.6 "Noto Sans CJK SC","Noto Sans SC","PingFang SC","Microsoft YaHei",
system-ui,sans-serif}
code,pre,kbd{font:12.5px/1.5 ui-monospace,"Noto Sans Mono CJK SC",Menlo,Consolas,monospace}
nav{position:fixed;inset:0 auto 0 0;width:17rem;overflow:auto;padding:1.2rem;background:var(--wash);border-right:1px solid
var(--line)}
nav b{font-size:1.15rem}nav a{display:flex;justify-content:space-between;padding:.25rem .5rem;border-radius:.4rem;color:inherit;
text-decoration:none}nav a:hover{background:#e9edf4}nav i{font-style:normal;color:var(--soft)}
.for{display:flex;flex-wrap:wrap;gap:.3rem;margin-bottom:.8rem}button{font:inherit;font-size:.82rem;border:1px solid #cfd6e1;
background:#fff;border-radius:1rem;padding:.05rem .6rem;cursor:pointer}button.on{background:var(--lead);color:#fff}
button.on .en{color:#fff}nav input{width:100%;margin:.9rem 0;padding:.45rem .6rem;border:1px solid #cfd6e1;border-radius:.4rem;font:inherit}
main{margin-left:17rem;padding:1.6rem 2.4rem 6rem;max-width:72rem}
h1{margin:.2rem 0 .4rem;font-size:1.7rem}h2{margin:2.6rem 0 .8rem;font-size:1.25rem;border-bottom:2px solid var(--lead);
padding-bottom:.3rem}h3{margin:1.1rem 0 .3rem;font-size:.9rem;color:var(--soft);font-weight:600}
.en{color:var(--soft);font-weight:400;font-size:.88em}
details{border:1px solid var(--line);border-radius:.5rem;margin:.35rem 0}details[open]{box-shadow:0 1px 8px #1d233014}
summary{display:grid;grid-template-columns:3.4rem minmax(0,1fr) auto;gap:.7rem;align-items:baseline;padding:.5rem .8rem;
cursor:pointer;list-style:none}summary::-webkit-details-marker{display:none}summary:hover{background:var(--wash)}
summary code{color:var(--soft);overflow-wrap:anywhere;text-align:right}
.m{font:600 12px ui-monospace,monospace;color:#fff;border-radius:.3rem;padding:.1rem 0;text-align:center}
.get{background:var(--get)}.post{background:var(--post)}
.in{padding:.2rem 1rem 1rem;border-top:1px solid var(--line)}
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.25rem .7rem .25rem 0;border-bottom:1px
solid var(--line)}th{font-weight:600;color:var(--soft);font-size:.85rem}td:first-child{white-space:nowrap}td:nth-child(2){min-width:6rem}
pre{background:#1d2330;color:#e8ecf4;padding:.8rem 1rem;border-radius:.5rem;overflow:auto;max-height:26rem;margin:.2rem 0}
.t{display:inline-block;background:#eef1f7;border-radius:.3rem;padding:0 .45rem;margin:.12rem .25rem .12rem 0;font-size:.86rem}
.n{color:var(--lead);font-weight:600}.s{color:#7a5a00}li{margin:.1rem 0}ul{margin:.2rem 0;padding-left:1.2rem}
@media(max-width:60rem){nav{position:static;width:auto;border:0}nav>a{display:none}main{margin:0;padding:1rem}
summary{grid-template-columns:3.4rem 1fr}summary code{grid-column:2;text-align:left}}
"""

_SCRIPT = """
const box=document.querySelector('input'),all=[...document.querySelectorAll('details[data-words]')],
who=[...document.querySelectorAll('button')];
const sift=()=>{const words=box.value.toLowerCase().split(/\\s+/).filter(Boolean),
of=who.filter(b=>b.classList.contains('on')).map(b=>b.dataset.for);
for(const one of all)one.hidden=!words.every(w=>one.dataset.words.includes(w))||
!(of.length===0||of.some(t=>one.dataset.for.split('|').includes(t)));
for(const part of document.querySelectorAll('section'))part.hidden=!part.querySelector('details:not([hidden])')};
box.addEventListener('input',sift);
for(const b of who)b.addEventListener('click',()=>{b.classList.toggle('on');sift()});
const show=()=>{const one=document.getElementById(decodeURIComponent(location.hash.slice(1)));
if(one&&one.tagName==='DETAILS'){one.open=true;one.scrollIntoView()}};
addEventListener('hashchange',show);show();
"""

_SAID = """
<p>每个答复以 <code>Ledger-Position</code> 说明其真实到哪个位置; 列表可用 <code>min_position</code> 等到某一位置。写入须带
<code>Idempotency-Key</code> (同一标识只执行一次), 可带 <code>If-Match</code> (预期版本, 已变动则 412), 触及个人信息或更正的须带
<code>Huiyin-Reason</code> 理由代码; <code>?validate=true</code> 只试不写。密封字段 (▒) 写入时为文字, 读出时为
<code>{"sealed": true}</code>, 须另行开启, 先记录谁、为何。</p>
<p>不同意的请求得到 <code>application/problem+json</code>: <code>type</code> 为 <code>urn:huiyin:refusal:代码</code>,
<code>title_zh</code> 为中文说明, <code>article</code> 为依据, <code>field</code> 为所涉字段。</p>
"""


def _e(text: object) -> str:
    return html.escape(str(text))


def _two(text: str) -> str:
    """Return words of which the Chinese come first, the English smaller."""
    zh, _, en = text.partition(" ")
    return f"{_e(zh)} <span class=en>{_e(en)}</span>" if en and not zh.isascii() else _e(text)


@cache
def page() -> str:
    """Return the document as a page."""
    chapters: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, methods in document()["paths"].items():
        for method, one in methods.items():
            chapters.setdefault(one["x-chapter"], []).append((path, method, one))
    links = [f'<a href="#{_e(name)}"><span>{_e(name)}</span><i>{len(of)}</i></a>' for name, of in chapters.items()]
    for_whom = "".join(f'<button data-for="{_e(tag)}">{_tag(tag)}</button>' for tag in Tag)
    parts = [
        '<!doctype html><html lang="zh-CN"><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>回音 接口文档 · Huiyin API</title><style>{_STYLE}</style>",
        f'<nav><b>回音 接口</b> <span class=en>{VERSION}</span><input type="search" placeholder="查找 名称、地址、角色…"',
        f' aria-label="查找"><div class=for>{for_whom}</div>{"".join(links)}<p class=en><a href="/openapi.json">openapi.json (3.1)</a></p></nav><main>',
        f"<h1>回音 接口文档</h1><p class=en>{_e(document()['info']['description'])}</p>{_SAID}",
        _headers(),
    ]
    for name, of in chapters.items():
        parts.append(f'<section><h2 id="{_e(name)}">{_e(name)}</h2>')
        parts += [_shown(path, method, one) for path, method, one in of]
        parts.append("</section>")
    return "\n".join(parts) + f"\n</main><script>{_SCRIPT}</script></html>\n"


def _tag(tag: Tag) -> str:
    en, _, zh = tag.partition(" ")
    return f"{_e(zh)} <span class=en>{_e(en)}</span>"


def _headers() -> str:
    told = document()["components"]["parameters"].values()
    rows = (f"<tr><td><code>{_e(p['name'])}</code><td>{_two(p['description'])}" for p in told if p["in"] == "header")
    return f"<h3>请求头 headers</h3><table>{''.join(rows)}</table>"


def _shown(path: str, method: str, one: dict[str, Any]) -> str:
    """Return one operation, folded up."""
    where = path.removeprefix("/v1/{city}") or "/"
    roles = [Role(role) for role in one.get("x-roles", ())]
    found = " ".join((one["summary"], where, *(f"{role} {role.zh}" for role in roles))).lower()
    parts = [
        f'<details id="{_e(one["operationId"])}" data-words="{_e(found)}" data-for="{_e("|".join(one["tags"]))}"><summary>',
        f'<span class="m {method}">{method.upper()}</span><span>{_two(one["summary"])}</span><code>{_e(where)}</code>',
        "</summary><div class=in>",
    ]
    if said := one.get("description"):
        parts.append(f"<p>{_two(said)}</p>")
    if roles:
        tags = "".join(f"<span class=t>{_e(role.zh)} <code>{role}</code></span>" for role in roles)
        parts.append(f"<h3>谁可以 who may</h3>{tags}")
    if one.get("x-needs-reason"):
        parts.append("<p class=n>须以 Huiyin-Reason 写明理由代码。</p>")
    parts += _parameters(one)
    parts += _body(one)
    parts += [f"<h3>例 example</h3><pre>{_e(_curl(path, method, one))}</pre>", *_refusals(one), "</div></details>"]
    return "".join(parts)


def _parameters(one: dict[str, Any]) -> Iterator[str]:
    asked = [p for p in one["parameters"] if p.get("in") in ("path", "query")]
    if asked:
        rows = "".join(
            f"<tr><td><code>{_e(p['name'])}</code>{_needed(p['required'])}<td>{_two(p['description'])}"
            f"<td>{_kind(p['schema'])}"
            for p in asked
        )
        yield f"<h3>参数 parameters</h3><table>{rows}</table>"


_SEALED = ' <span class=s title="密封 sealed">▒</span>'


def _needed(needed: bool) -> str:
    return ' <span class=n title="必填 required">*</span>' if needed else ""


def _body(one: dict[str, Any]) -> Iterator[str]:
    """Yield the fields of a body, those that must be said first."""
    taken = one.get("requestBody", {}).get("content", {})
    files = [media for media, content in taken.items() if content["schema"].get("format") == "binary"]
    if files:
        types = " ".join(f"<code>{_e(media)}</code>" for media in files)
        yield f"<h3>内容 body</h3><p>文件本身，须为以下类型之一 the file itself, of one of these types: {types}</p>"
        return
    for media, content in taken.items():
        schema = _resolved(content["schema"])
        must = schema.get("required", ())
        known = sorted(schema.get("properties", {}).items(), key=lambda item: item[0] not in must)
        rows = "".join(
            f"<tr><td><code>{_e(name)}</code>{_needed(name in must)}<td>{_e(_term(name))}"
            f"{_SEALED if field.get('x-sealed') else ''}<td>{_kind(field)}"
            for name, field in known
        )
        yield f"<h3>内容 body <code>{_e(media)}</code></h3>"
        yield f"<table><tr><th>字段<th>名称<th>类型{rows}</table>" if rows else "<p>无须内容 <code>{}</code></p>"


def _term(name: str) -> str:
    return fields.TERMS.get(name, "")


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return document()["components"]["schemas"].get(name, schema)


_TYPES = {"string": "文字", "integer": "整数", "number": "数", "boolean": "是否", "object": "对象", "null": ""}
_FORMATS = {"date": "日期 YYYY-MM-DD", "date-time": "时刻 ISO 8601", "uuid": "标识 UUID"}


_WORDS = {kind.__name__: {word.value: word.zh for word in kind} for kind in Word.__subclasses__()}


def _kind(schema: dict[str, Any], depth: int = 0) -> str:
    """Return what may stand in a field."""
    whole = _resolved(schema)
    if "anyOf" in whole:
        return " / ".join(filter(None, (_kind(arm, depth) for arm in whole["anyOf"])))
    if "enum" in whole:
        of = _WORDS.get(whole.get("title", ""), {})
        words = "".join(
            f"<span class=t>{_e(of.get(word, ''))} <code>{_e(word)}</code></span>" for word in whole["enum"]
        )
        return words if depth == 0 else f"{len(whole['enum'])} 词"
    if whole.get("type") == "array":
        return f"列表: {_kind(whole.get('items', {}), depth)}"
    if whole.get("properties"):
        if depth:
            return "对象"
        inner = (
            f"<li><code>{_e(n)}</code> {_e(_term(n))} {_kind(s, depth + 1)}" for n, s in whole["properties"].items()
        )
        return f"<details><summary><span></span>对象 {len(whole['properties'])} 项</summary><ul>{''.join(inner)}</ul></details>"
    if "const" in whole:
        return f"<code>{_e(json.dumps(whole['const']))}</code>"
    said = _FORMATS.get(whole.get("format", ""), _TYPES.get(str(whole.get("type")), ""))
    longest = whole.get("maxLength")
    return said + (f" ≤ {longest}" if longest and "format" not in whole else "")


def _curl(path: str, method: str, one: dict[str, Any]) -> str:
    """Return the example as somebody may type it."""
    told = {p["name"]: p.get("example") for p in one["parameters"] if p.get("in") in ("path", "query")}
    for p in one["parameters"]:
        if p.get("in") == "path":
            path = path.replace(f"{{{p['name']}}}", str(p["example"]))
    must = [p["name"] for p in one["parameters"] if p.get("in") == "query" and p["required"]]
    query = "&".join(f"{name}={told[name]}" for name in must)
    where = path.replace("{city}", "$CITY") + (f"?{query}" if query else "")
    said = [f'curl "$HUIYIN{where}"' + ("" if one.get("security") == [] else ' -H "Authorization: Bearer $TOKEN"')]
    if method == "post":
        said[0] += " -X POST"
    if "x-roles" in one:
        said.append('  -H "Idempotency-Key: $(uuidgen)"')
    if one.get("x-needs-reason"):
        said.append('  -H "Huiyin-Reason: request"')
    for media, content in one.get("requestBody", {}).get("content", {}).items():
        if "example" not in content:  # a file, of whichever of the types
            said += [f'  -H "Content-Type: {media}"', "  --data-binary @FILE"]
            break
        body = json.dumps(content["example"], ensure_ascii=False, indent=None if "ndjson" in media else 1)
        said += [f'  -H "Content-Type: {media}"', f"  --data-binary '{body}'"]
    return " \\\n".join(said)


def _refusals(one: dict[str, Any]) -> Iterator[str]:
    told = [_BY_CODE[code] for code in one.get("x-refusals", ()) if code in _BY_CODE]
    if told:
        rows = (
            f"<tr><td>{problems.status_of(kind)} <code>{kind.code()}</code><td>{_e(problems.sentences(kind)[0])}"
            f"<span class=en>{_e(kind.basis)}</span>"
            for kind in told
        )
        yield f"<h3>可能的拒绝 refusals</h3><table>{''.join(rows)}</table>"


_BY_CODE = {kind.code(): kind for kind in problems.known()}
