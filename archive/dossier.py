"""卷宗. One case as one file: cover, catalogue, papers and sheets, timeline, deadlines, proof, notes form.

Pure: what it is made of (`archive.material`) and the papers that others set come in, HTML goes out. The same material gives
the same HTML, for ever; the renderer makes the same bytes of it.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import segno
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from archive import contents, sealedpart
from archive.contents import Paper
from archive.material import APART, EVENTS, Material
from domain.clocks import Clock, clocks
from domain.explanation import STATUS_WORDS, Explanation, cause_words, explain
from domain.fields import VALUES
from domain.terms import SHANGHAI
from domain.wording import (
    citation_words,
    day_steps,
    event_title,
    instant_words,
    show_end,
    show_instant,
    show_span,
)

TEMPLATES = Path(__file__).with_name("templates")

TEMPLATE = "dossier/2"
"""The version of the template: raised whenever it says something else, or elsewhere."""

EDITIONS = {
    "full": "归档件（全文）",
    "texts": "利用件（身份信息密封）",
    "masked": "利用件（密封内容不显示）",
    "sealed": "密封件（未开启）",
    "identity": "密封件（已开启）",
}


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


@cache
def templates_digest() -> str:
    """Return the digest of the templates that a dossier is set with."""
    digest = hashlib.sha256()
    for path in sorted(TEMPLATES.glob("dossier.*")):
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode() + content)
    return f"sha256:{digest.hexdigest()}"


class Cover(NamedTuple):
    """卷宗封面 and 归档章: what stands on the first page."""

    fonds: str
    fonds_code: str
    category: str
    title: str
    first: str
    last: str
    period: str
    reference: str
    file_number: str
    number: str
    old_number: str
    units: str
    secrecy: str
    state: str
    year: str
    piece: str
    section: str
    edition: str
    policy: str
    volume: str


class Deadline(NamedTuple):
    """A clock with its explanation, ready to be set."""

    title: str
    name: str
    unit: str
    lines: tuple[tuple[str, str], ...]
    verdict: str
    late: bool


def document(material: Material, papers: Mapping[int, Paper], paper_style: str) -> str:
    """Return a dossier as HTML that prints by itself; `papers` by version, `paper_style` their style sheet."""
    if material.told.edition in APART:
        return _apart(material)
    found = contents.items(material, papers)
    cover = _cover(material)
    explained = [(clock, explain(clock, material.law)) for clock in clocks(material.order, material.law)]
    notices = dict.fromkeys(citation_words(notice) for _, told in explained for notice in told.calendars)
    return (
        _templates()
        .get_template("dossier.html")
        .render(
            template=material.told.template,
            templates_digest=material.told.templates,
            issuer=material.law.unit_name(material.law.hotline_unit, material.now),
            created=material.now.astimezone(SHANGHAI).isoformat(timespec="seconds"),
            cover=cover,
            copy=material.told.copy,
            copied=instant_words(material.told.copy.at) if material.told.copy is not None else "",
            purpose=material.told.copy.purpose if material.told.copy is not None else "",
            items=found,
            closes=material.closes,
            papers_style=paper_style,
            files=contents.kept_files(material),
            pictures=contents.pictures(material),
            timeline=contents.timeline(material),
            deadlines=[_deadline(material, clock, told) for clock, told in explained],
            calendars=list(notices),
            proof=_proof(material),
            qr=_qr(material),
            note=_note(material),
            sealed_part=material.told.sealed_part,
            sealed_number=sealedpart.number(material),
        )
    )


def _apart(material: Material) -> str:
    """Return a sealed part as HTML: who an informant is, closed or opened."""
    told, is_open = material.told, material.told.edition == "identity"
    return (
        _templates()
        .get_template("dossier.sealed.html")
        .render(
            template=told.template,
            templates_digest=told.templates,
            issuer=material.law.unit_name(material.law.hotline_unit, material.now),
            created=material.now.astimezone(SHANGHAI).isoformat(timespec="seconds"),
            cover=_cover(material),
            number=sealedpart.number(material),
            opened=is_open,
            persons=told.opened_by if is_open else sealedpart.keepers(material),
            sealed_part=told.sealed_part,
            hidden=sealedpart.hidden(material),
            proof=_proof(material),
            qr=_qr(material),
        )
    )


# --- cover -------------------------------------------------------------------------------------------------------


def _cover(material: Material) -> Cover:
    order, law, fonds = material.order, material.law, material.told.fonds
    filing = order.filing
    first, last = contents.span(material.entries)
    year, _, rest = filing.file_number.partition("-")
    names = dict.fromkeys(law.unit_name(e.lead, e.begun.at) for e in order.episodes if e.lead)
    kind = f"·{filing.kind.zh}" if filing.kind is not None else ""
    return Cover(
        fonds=fonds.name or law.unit_name(law.hotline_unit, material.now),
        fonds_code=fonds.code,
        category="政务服务便民热线工单",
        title=f"［关于“{order.demand.title}”的热线办理卷］",
        first=f"{first:%Y%m%d}",
        last=f"{last:%Y%m%d}",
        period=VALUES["period"].get(filing.period, ""),
        reference=fonds.reference(filing.file_number),
        file_number=filing.file_number,
        number=order.number,
        old_number=order.demand.old_number,
        units="、".join(names) or "热线自办",
        secrecy=order.confidentiality.zh,
        state=f"{order.state.zh}{kind}",
        year=year,
        piece=rest.rpartition("-")[2],
        section=fonds.section,
        edition=EDITIONS[material.told.edition],
        policy=f"{order.policy.pack}{'（推定适用，仅供推演）' if order.assumed_policy else ''}",
        volume=f"第 {material.told.volume} 卷 · 共 {material.told.volumes} 卷" if material.told.volumes > 1 else "",
    )


def _note(material: Material) -> tuple[tuple[str, str], ...]:
    """Return the lines of the notes form: what an archivist should know of this file."""
    order, entries = material.order, material.entries
    said: list[str] = []
    told = material.told
    if told.volumes > 1:
        said.append(f"本案分 {told.volumes} 卷，本卷载第 {told.first} 至 {told.last} 项事件；全部事件原文各卷均附。")
    origins = dict.fromkeys(entry.origin.zh for entry in entries if entry.origin.value != "live")
    if origins:
        said.append(f"部分事件系{'、'.join(origins)}，时间以所载为准。")
    if order.demand.derived:
        mapping, *names = order.demand.derived
        said.append(f"原系统未载明、按映射 {mapping} 推得的字段：{'、'.join(map(contents.field_words, names))}。")
    if order.assumed_policy:
        said.append("本件按推定适用的政策计算时限。")
    if order.corrections:
        said.append(f"更正 {len(order.corrections)} 处，更正前后均保留，见更正记录。")
    if order.filing.earlier_numbers:
        said.append(f"曾用档号：{'、'.join(order.filing.earlier_numbers)}。")
    if order.links.previous is not None:
        said.append("本件另有前单，见诉求登记表。")
    if material.told.two_persons:
        part = f"（{sealedpart.number(material)}，摘要 {told.sealed_part}）" if told.sealed_part else ""
        said.append(f"举报人身份信息另行密封{part}，须两名指定人员共同开启，不在本卷之内。")
    if not order.filing.filed:
        said.append("本件尚未归档。")
    filed = next((e for e in reversed(entries) if event_title(e.event) == "归档"), None)
    return (
        ("本卷情况说明", "".join(said) or "本卷由台账事件生成，文件齐全，无缺漏、无更正。"),
        ("立卷人", contents.by_words(material, filed) if filed is not None else ""),
        ("立卷时间", instant_words(filed.at) if filed is not None else ""),
    )


# --- deadlines ---------------------------------------------------------------------------------------------------


def _deadline(material: Material, clock: Clock, told: Explanation) -> Deadline:
    now = material.now
    late = clock.late_by(now)
    verdict = STATUS_WORDS[clock.status(now)][0] + (f" {show_span(late)}" if late is not None else "")
    unit = material.law.unit_name(told.unit, clock.start.at) if told.unit else "热线"
    return Deadline(told.title, clock.key, unit, tuple(_explained(told)), verdict, late is not None)


_UNCOUNTED = ("连续计时", "指定期限")
"""What is said of the days of a limit that counts none."""


def _explained(told: Explanation) -> list[tuple[str, str]]:
    lines = [("依据", citation_words(told.article))]
    began = cause_words(told.began).partition(" ")[0] if told.began else told.starts.zh
    where = f"（位置 {told.start.position}）" if told.start.position else ""
    lines.append(("起算", f"{show_instant(told.start.at)} {began}{where}"))
    limit = told.limit_words.partition(" ")[0] if told.limit is not None and told.limit.until is None else ""
    if told.limit is not None and told.limit.until is not None:
        limit = f"至 {show_end(told.limit.until)}"
    lines.append(("时限", (limit or "未规定") + ("（派单或文书载明）" if told.written else "")))
    if told.steps and not (days := day_steps(told.steps)).endswith(_UNCOUNTED):
        lines.append(("计日", days))
    for move in told.moves:
        days = day_steps(move.steps)
        why = f"{show_instant(move.at.at)} {move.why.zh}（位置 {move.at.position}）→ {show_end(move.after)}"
        lines.append(("变动", f"{why}；{days}" if days else why))
    if told.due is not None:
        marks = ("（暂定：该年日历未公布）" if told.provisional else "") + (
            "（系统中断期间）" if told.during_outage else ""
        )
        lines.append(("到期", show_end(told.due) + marks))
    if told.stop is not None:
        ended = cause_words(told.ended).partition(" ")[0] if told.ended else told.stops.zh
        lines.append(("停止", f"{show_instant(told.stop.at)} {ended}（位置 {told.stop.position}）"))
    if told.cancel is not None:
        cause = cause_words(told.cancelled_by).partition(" ")[0]
        lines.append(("取消", f"{show_instant(told.cancel.at)} {cause}（位置 {told.cancel.position}）"))
    return [(label, text) for label, text in lines if text]


# --- proof -------------------------------------------------------------------------------------------------------


class Proven(NamedTuple):
    """What the proof page says."""

    ledger: str
    hash: str
    stream: str
    events: int
    position: int
    recorded_at: str
    leaf: str
    head: int
    root: str
    signers: tuple[str, ...]
    files: tuple[tuple[str, str, str], ...]
    policies: tuple[str, ...]


def _proof(material: Material) -> Proven:
    case, head = material.case, material.proof.note.checkpoint
    last = case.events[-1]
    files = tuple(
        (one.name, f"{len(one.content):,}", hashlib.sha256(one.content).hexdigest())
        for one in material.files
        if one.name != "dossier.json"
    )
    pack = material.law.rules(material.order.policy).pack
    return Proven(
        ledger=case.ledger,
        hash=case.hash.upper().replace("SHA256", "SHA-256"),
        stream=case.stream,
        events=len(case.events),
        position=last.position,
        recorded_at=show_instant(datetime.fromisoformat(last.recorded_at)),
        leaf=material.leaves[-1].hex(),
        head=head.size,
        root=head.root.hex(),
        signers=tuple(_signer(one.name, one.said, head.origin) for one in material.proof.note.signatures),
        files=files,
        policies=(f"《{pack.title}》 {pack.id} {pack.version}，{material.order.policy.digest}",),
    )


def _signer(name: str, said: bytes, origin: str) -> str:
    if name == origin:
        return f"{name}（台账自身）"
    at = datetime.fromtimestamp(int.from_bytes(said[:8], "big"), UTC) if len(said) == 72 else None
    return f"{name}（见证人，{show_instant(at)}）" if at is not None else name


def _qr(material: Material) -> str:
    """Return the QR code of the cover as an address that carries its own picture: record, position, leaf, digest."""
    last = material.case.events[-1]
    events = next(one.content for one in material.files if one.name == EVENTS)
    said = "\n".join(
        (
            material.proof.note.checkpoint.origin,
            f"{material.order.number} {material.case.stream} v{last.version}",
            f"position {last.position}",
            f"leaf {material.leaves[-1].hex()}",
            f"events sha256:{hashlib.sha256(events).hexdigest()}",
        )
    )
    out = io.BytesIO()
    code: Any = segno.make(said, error="m", micro=False)
    code.save(out, kind="svg", border=0, scale=1, xmldecl=False, svgns=True, omitsize=False, nl=False)
    return "data:image/svg+xml;base64," + base64.b64encode(out.getvalue()).decode("ascii")
