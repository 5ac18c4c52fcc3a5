"""问题清单表. Findings as a table that a spreadsheet opens: CSV in UTF-8 with BOM, a line each, headings in Chinese."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import datetime

from domain.law import Law
from domain.terms import SHANGHAI, Citation
from supervision.findings import Finding
from supervision.indicators import BOM

HEADINGS = (
    "问题编号",
    "工单号",
    "工单标识",
    "问题",
    "大类",
    "轻重",
    "责任单位",
    "单位名称",
    "计入时刻",
    "时限",
    "到期",
    "完成",
    "超期秒数",
    "依据",
    "政策包",
    "证据(版本@位置)",
    "标记",
    "说明",
    "explanation",
    "单位已说明(版本)",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def heading() -> str:
    """Return the first line, with the mark that tells a spreadsheet how the file is written."""
    return BOM + _line(HEADINGS)


def lines(found: Iterable[Finding], law: Law) -> str:
    """Return findings as lines."""
    return "".join(_line(_cells(finding, law)) for finding in found)


def cited(rule: Citation) -> str:
    """Return a citation in few words."""
    return " ".join(part for part in (rule.text, rule.article) if part)


def _cells(finding: Finding, law: Law) -> tuple[object, ...]:
    unit = finding.unit or law.hotline_unit
    return (
        finding.id,
        finding.number,
        finding.order,
        finding.title,
        finding.family.zh,
        finding.severity.zh,
        unit,
        law.unit_name(unit, finding.at),
        _instant(finding.at),
        "" if finding.clock is None else finding.clock.zh,
        _instant(finding.due),
        _instant(finding.done),
        "" if finding.late_seconds is None else finding.late_seconds,
        cited(finding.rule),
        finding.pack,
        " ".join(f"{e.version}@{e.position}" for e in finding.evidence),
        "; ".join(mark.zh for mark in finding.marks),
        finding.text,
        finding.text_en,
        " ".join(f"{s.unit}({s.version})" for s in finding.statements),
    )


def _instant(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(SHANGHAI).isoformat(sep=" ", timespec="seconds")[:19]


def _line(cells: Iterable[object]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow([_plain(str(cell)) for cell in cells])
    return out.getvalue()


def _plain(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
