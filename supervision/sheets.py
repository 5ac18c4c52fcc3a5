"""排版. Documents from templates: every text escaped, nothing drawn from outside, the same bytes for the same content.

What a document was set with is named in it: the version of its template and the digest of all templates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from domain.wording import day_words, instant_words
from supervision import charts
from supervision.dutybook import Book
from supervision.instruments import Paper
from supervision.reports import Chart, Report, Table, packs, shown

TEMPLATES = Path(__file__).with_name("templates")

INSTRUMENT = "instrument/2"
"""The version of the template of instruments: raised whenever it says something else, or elsewhere."""


DUTY_BOOK = "dutybook/1"
"""The version of the template of the duty record book."""


ENQUIRY = "enquiry/1"
"""The version of the template of what an applicant is told."""


FINDINGS = "findings/2"
"""The version of the template of what an audit found."""


@cache
def _templates() -> Environment:
    loader = FileSystemLoader(TEMPLATES, encoding="utf-8")
    made = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "day": day_words,
        "instant": instant_words,
        "chinese": chinese_number,
        "packs": packs,
        "drawn": drawn,
        "shown": shown,
        "width": width,
        "wordy": wordy,
    }
    return made


def chinese_number(number: int) -> str:
    """Return a number up to 99 as headings have it: 一, 十, 十二, 二十."""
    tens, ones = divmod(number, 10)
    digits = " 一二三四五六七八九"
    return ((digits[tens] if tens > 1 else "") + "十" if tens else "") + digits[ones].strip()


def drawn(chart: Chart) -> str:
    """Return a chart as SVG; its letters were escaped when it was drawn."""
    if chart.shape == "bars":
        return charts.bars(chart.labels, chart.series[0][1], unit=chart.unit)
    return charts.lines(chart.labels, chart.series)


def width(table: Table, column: int) -> str:
    """Return the share of a column in a table's width, in per cent: by its longest cell; a heading may break."""
    weights: list[int] = []
    for n, heading in enumerate(table.columns):
        longest = max((_cells(str(shown(row[n]))) for row in table.rows), default=1)
        weights.append(min(max(longest + 2, -(-_cells(heading) // 2) + 2, 6), 34))
    return f"{100 * weights[column] / sum(weights):.2f}"


def wordy(table: Table) -> bool:
    """Tell whether a table says words beside its first column, which may break."""
    return any(isinstance(cell, str) and _cells(cell) > 13 for row in table.rows for cell in row[1:])


def _cells(text: str) -> int:
    return sum(1 if letter.isascii() else 2 for letter in text)


@cache
def templates_digest() -> str:
    """Return the digest of all templates, as a document names it."""
    digest = hashlib.sha256()
    for path in sorted(TEMPLATES.iterdir()):
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode() + content)
    return f"sha256:{digest.hexdigest()}"


def set_in(template: str, version: str, **said: Any) -> str:
    """Return a document: what is said, in a template."""
    return _templates().get_template(template).render(template=version, templates_digest=templates_digest(), **said)


def report(made: Report) -> str:
    """Return a report as HTML that shows and prints by itself."""
    return set_in("report.html", made.template, report=made)


def duty_book(book: Book) -> str:
    """Return the duty record book as HTML that shows and prints by itself."""
    return set_in("dutybook.html", DUTY_BOOK, book=book)


def enquiry(told: Mapping[str, Any]) -> str:
    """Return what an applicant is told of an order as HTML: `order`, `extensions`, `answer`, `issuer`, `at`, `position`, `link`."""
    return set_in("enquiry.html", ENQUIRY, **told)


def findings(told: Mapping[str, Any]) -> str:
    """Return what an audit found as HTML: `title`, `issuer`, `assumed`, `at`, `position`, `cases`, `total`, `shown`, `tables`."""
    return set_in("findings.html", FINDINGS, **told)


def instrument(paper: Paper) -> str:
    """Return an instrument as HTML that shows and prints by itself."""
    return set_in("instrument.html", INSTRUMENT, paper=paper)


def instrument_body(paper: Paper) -> str:
    """Return an instrument as HTML to be set among others, by `instrument_style`."""
    body = set_in("paper.html", INSTRUMENT, paper=paper)
    return f'<div class="red">{body}</div>' if paper.red else body


def instrument_style() -> str:
    """Return the rules that instruments are set by, for whoever sets them among others."""
    return (TEMPLATES / "instrument.css").read_text(encoding="utf-8")
