"""Questions about what is wrong with cases: of the whole city a stretch at a time, and of one case."""

from __future__ import annotations

import re
from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from api import views
from api.access import Data, Grade, Viewer, need, units_asked
from api.asking import Answer, Ask, listing, next_page
from api.figuring import CSV, wants_table
from api.problems import QueryUnfit
from api.reading import known, lister
from api.writing import sighted, stream_named
from domain.law import Law
from domain.refusals import UnknownUnit
from projections.answers import at_length
from supervision import sheet
from supervision.audit import CASES, Part, Question, page_of, units_of
from supervision.catalogue import KINDS, Family, Severity
from supervision.findings import Finding, findings

CASES_LOOKED_AT = 200
MOST_CASES = 1000
"""Cases that one answer looks at: some tenths of a second, however few of them have anything."""

_STREAM = re.compile(re.escape(CASES) + r"[0-9a-f-]{36}")


def _question(ask: Ask, who: Viewer, law: Law) -> Question:
    unit, now = units_asked(who, ask.query("unit")), ask.house.now()
    if unit and law.unit(unit) is None and not who.of_unit:
        raise UnknownUnit(unit, unit=unit)
    codes = ask.queries("kind")
    for code in codes:
        if code not in KINDS:
            raise QueryUnfit(f"kind: {code}", field="kind")
    since, until = ask.instant("from"), ask.instant("to")
    if since is not None and until is not None and since >= until:
        raise QueryUnfit("from < to", field="to")
    return Question(
        now=now,
        units=None if unit is None else units_of(law, unit, now),
        since=since,
        until=until,
        codes=frozenset(codes),
        families=frozenset(map(str, ask.words("family", Family))),
        severities=frozenset(map(str, ask.words("severity", Severity))),
    )


async def city_findings(ask: Ask) -> Answer:
    """Return what is wrong with the next so many cases; of a unit its own and those of units below it."""
    who = lister(ask)
    graded = need(Data.NOTICES, who)
    size = ask.number("cases", CASES_LOOKED_AT, most=MOST_CASES) or 0
    held = ask.cursor(tuple[str])
    after = held[0] if held is not None else ""
    if size < 1 or (after and not _STREAM.fullmatch(after)):
        raise QueryUnfit(f"cases: 1 … {MOST_CASES}" if size < 1 else "cursor", field="cases" if size < 1 else "cursor")
    ask.paced()
    position, law, task = await ask.city.shown.of_all_cases()
    question = _question(ask, who, law)
    part: Part = await at_length(partial(page_of, task, law, question, after, size))
    found = await known(ask, part.findings, _order_of)
    cursor = next_page(part.last) if part.last else ""
    if wants_table(ask):
        return _as_csv(found, law, position, cursor, graded)
    answer = listing(ask, "findings", [_shown(finding, graded) for finding in found], position, cursor)
    told = {"seen_at": question.now.isoformat(), "cases": part.cases}
    return answer._replace(body={**answer.body, **told})


def _order_of(finding: Finding) -> UUID:
    return finding.order


async def order_findings(ask: Ask) -> Answer:
    """Return what is wrong with one order; to a unit what is said of it and of those below it."""
    graded = need(Data.NOTICES, ask.who)
    name = ask.path("record")
    look = await ask.city.ledger.look(await stream_named(ask, "order", name))
    case = views.case_of(look.entries, name)
    await sighted(ask, case, name)
    found = findings(look.entries, look.law, look.now)
    own = [f for f in found if not ask.who.of_unit or f.unit in ask.who.below]
    body = {
        "findings": [_shown(finding, graded) for finding in own],
        "position": look.position,
        "seen_at": look.now.isoformat(),
    }
    return Answer(body, headers={"Ledger-Position": str(look.position)})


def _shown(finding: Finding, graded: Grade) -> dict[str, Any]:
    """Return a finding as its reader sees it: to whom the case is masked, without its number and what units stated."""
    said: dict[str, Any] = msgspec.to_builtins(finding)
    if graded is Grade.MASKED:
        said = {**said, "number": "", "statements": []}
    return said


def _as_csv(found: list[Finding], law: Law, position: int, cursor: str, graded: Grade) -> Answer:
    if graded is Grade.MASKED:
        found = [msgspec.structs.replace(finding, number="", statements=()) for finding in found]
    headers = {"Ledger-Position": str(position), "Content-Disposition": 'attachment; filename="findings.csv"'}
    headers |= {"Huiyin-Next": cursor} if cursor else {}
    return Answer((sheet.heading() + sheet.lines(found, law)).encode(), headers=headers, media_type=CSV)
