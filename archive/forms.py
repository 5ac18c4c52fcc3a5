"""表单. The forms that go with a packet, set from templates: every text escaped, nothing drawn from outside."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from archive.fonds import Fonds
from archive.fourfold import Property, Report
from archive.items import PERIODS
from archive.packet import SOFTWARE, Plan, Total
from archive.registers import HEADINGS, Line, Register, cell
from domain.terms import SHANGHAI

TEMPLATES: Final = Path(__file__).with_name("templates")

HANDOVER: Final = "handover/1"
"""The version of the template of the hand-over form."""


@cache
def _templates() -> Environment:
    loader = FileSystemLoader(TEMPLATES, encoding="utf-8")
    return Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def handover(plan: Plan, total: Total) -> str:
    """Return the form of a hand-over (电子档案移交与接收登记表) as HTML."""
    at = plan.made_at.astimezone(SHANGHAI)
    return (
        _templates()
        .get_template("handover.html")
        .render(
            plan=plan,
            total=total,
            period=PERIODS[plan.period],
            size=size(total.bytes),
            at=at.isoformat(timespec="seconds"),
            made=f"{at:%Y-%m-%d %H:%M:%S}",
            software=SOFTWARE,
            template=HANDOVER,
        )
    )


REGISTER: Final = "register/1"
"""The version of the template of the yearly register."""


def register(found: Register, city: str, fonds: Fonds, at: datetime) -> str:
    """Return a year's register (年度登记簿) as HTML, landscape, series by series."""
    local = at.astimezone(SHANGHAI)
    groups: dict[tuple[str, str], list[list[str]]] = {}
    for line in found.lines:
        groups.setdefault((line.kind, line.period), []).append([cell(n, getattr(line, n)) for n in _PRINTED])
    return (
        _templates()
        .get_template("register.html")
        .render(
            year=found.year,
            name=fonds.name or city,
            fonds=fonds,
            groups=[(kind, PERIODS[period], rows) for (kind, period), rows in groups.items()],
            headings=[HEADINGS[Line][n] for n in _PRINTED],
            missing=found.missing,
            count=len(found.lines),
            position=found.position,
            at=local.isoformat(timespec="seconds"),
            made=f"{local:%Y-%m-%d %H:%M:%S}",
            software=SOFTWARE,
            template=REGISTER,
        )
    )


_PRINTED: Final = ("number", "order_number", "title", "responsible", "closed", "pages", "ends", "state", "now")

FOURFOLD: Final = "fourfold/1"
"""The version of the template of the report of the four-property check."""


def fourfold(report: Report, fonds_name: str) -> str:
    """Return the report of a four-property check (四性检测报告) as HTML."""
    at = report.made_at.astimezone(SHANGHAI)
    return (
        _templates()
        .get_template("fourfold.html")
        .render(
            report=report,
            properties=list(Property),
            name=fonds_name,
            at=at.isoformat(timespec="seconds"),
            made=f"{at:%Y-%m-%d %H:%M:%S}",
            size=size(report.bytes),
            template=FOURFOLD,
        )
    )


def size(count: int) -> str:
    """Return so many bytes as people read it: `12.3 MB（12,345,678 字节）`."""
    shown, unit = float(count), "B"
    for larger in ("KB", "MB", "GB", "TB"):
        if shown < 1024:
            break
        shown, unit = shown / 1024, larger
    return f"{count} 字节" if unit == "B" else f"{shown:.1f} {unit}（{count:,} 字节）"
