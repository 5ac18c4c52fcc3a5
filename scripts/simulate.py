"""A seeded simulation of a city's hotline: units, people and a month of cases, as the lines of a case script.

Everybody and everything in it is invented; the same seed gives the same lines. Used by the demo where no real file is
at hand, by trials and by benchmarks.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from domain.terms import SHANGHAI

Line = dict[str, Any]

HOTLINE = "HOTLINE"
DISTRICTS = {"DQ": "东渠区", "XL": "西岭区", "NH": "南湖区"}
BUREAUS = {"ZJ": "住建局", "CG": "城管局", "SW": "水务局"}
DEPARTMENTS = {"SZJ": "市住建局", "SJT": "市交通局", "SSC": "市市场监管局"}

MATTERS = (
    ("路灯不亮", "市政设施/照明", "help", "public_services"),
    ("小区停水", "供水", "help", "public_services"),
    ("占道经营扰民", "城市管理/占道", "complaint", "social_management"),
    ("夜间施工噪声", "环境保护/噪声", "complaint", "environment"),
    ("咨询公积金提取", "住房保障/公积金", "consult", "public_services"),
    ("咨询落户手续", "户政", "consult", "public_services"),
    ("建议增设公交站", "公共交通", "suggestion", "public_services"),
    ("商家拒不退款", "市场监管/消费", "complaint", "market_supervision"),
    ("道路坑洼积水", "市政设施/道路", "help", "public_services"),
    ("物业收费不公示", "物业管理", "complaint", "social_management"),
)
SURNAMES = "甲乙丙丁戊己庚辛壬癸"


class Town(NamedTuple):
    """Who handles what: first-level units with the bureaus below them."""

    first: tuple[str, ...]
    bureaus: dict[str, tuple[str, ...]]  # of the districts; a department handles itself


def town() -> Town:
    """Return the simulated city's units."""
    return Town((*DISTRICTS, *DEPARTMENTS), {d: tuple(f"{d}-{b}" for b in BUREAUS) for d in DISTRICTS})


def person(role: str, unit: str) -> Line:
    """Return the official who acts in a role for a unit."""
    return {"user": f"{unit.lower()}-{role.replace('_', '-')}", "role": role, "unit": unit}


def founding(start: datetime) -> Iterator[Line]:
    """Yield the lines that register units and grant roles."""
    at = start.isoformat()
    admin = {"user": "admin", "role": "admin", "unit": HOTLINE}

    def line(command: Line) -> Line:
        return {"stream": "institution", "at": at, "by": admin, "command": command}

    for code, name in DISTRICTS.items():
        yield line(_unit(code, f"{name}人民政府", "first", "district_government", HOTLINE))
        for short, bureau in BUREAUS.items():
            yield line(_unit(f"{code}-{short}", f"{name}{bureau}", "second", "department", code))
    for code, name in DEPARTMENTS.items():
        yield line(_unit(code, name, "first", "department", HOTLINE))
    for role in ("agent", "dispatcher", "qc_reviewer", "revisitor", "supervisor", "archivist", "hotline_manager"):
        yield line(_grant(role, HOTLINE))
    made = town()
    for unit in (*made.first, *(b for below in made.bureaus.values() for b in below)):
        for role in ("org_handler", "org_approver", "mgmt_unit"):
            yield line(_grant(role, unit))


def _unit(code: str, name: str, level: str, kind: str, parent: str) -> Line:
    return {"type": "register_unit", "unit": code, "name": name, "level": level, "kind": kind, "parent": parent}


def _grant(role: str, unit: str) -> Line:
    return {"type": "grant_role", "user": person(role, unit)["user"], "role": role, "unit": unit}


class Case:
    """One simulated case: its clock moves on as lines are added; nothing is added beyond the horizon."""

    def __init__(self, label: str, at: datetime, until: datetime, chance: random.Random) -> None:
        self.label = label
        self.at = at
        self.until = until
        self.chance = chance
        self.lines: list[Line] = []

    def later(self, hours: float) -> None:
        """Let about so many hours pass."""
        self.at += timedelta(seconds=round(self.chance.expovariate(1 / (hours * 3600))) + 60)

    def add(self, by: Line, command: Line) -> None:
        """Add a line at the present moment, if the horizon has not passed."""
        if self.at < self.until:
            self.lines.append(
                {"order": self.label, "at": self.at.isoformat(timespec="seconds"), "by": by, "command": command}
            )


def case(number: int, at: datetime, until: datetime, chance: random.Random) -> list[Line]:
    """Return the lines of one case."""
    one = Case(f"S{number}", at, until, chance)
    title, category, kind, domain = chance.choice(MATTERS)
    surname = chance.choice(SURNAMES)
    district = chance.choice(tuple(DISTRICTS))
    agent = person("agent", HOTLINE)
    one.add(
        agent,
        {
            "type": "register",
            "title": title,
            "category": category,
            "channel": chance.choice(("phone", "phone", "phone", "web", "app")),
            "attributes": {"demand_type": kind, "domain": domain, **_nature(chance)},
            "content": f"{title}, 请有关部门核实处理。(模拟 {number})",
            "applicant": {"kind": "person", "name": f"{surname}某", "phone": f"000-{chance.randrange(10**7):07d}"},
            "district": DISTRICTS[district],
            "place": f"{DISTRICTS[district]}{chance.randrange(1, 60)}号路",
            "duplicates_seen": [],
        },
    )
    fate = chance.random()
    if fate < 0.18:
        one.later(0.1)
        one.add(
            agent,
            {
                "type": "answer_directly",
                "answer": "已按知识库答复。",
                "medium": "phone",
                "acknowledged": True,
                "knowledge_ref": f"KB-{chance.randrange(1000):04d}",
            },
        )
        return one.lines
    if fate < 0.22:
        one.later(0.1)
        one.add(agent, _refusal(one.at))
        return one.lines
    _handled(one, district)
    return one.lines


def _nature(chance: random.Random) -> Line:
    drawn = chance.random()
    return {
        "urgency": "livelihood" if drawn < 0.06 else "general",
        "complexity": "complex" if drawn > 0.93 else "ordinary",
        "scale": "mass" if drawn < 0.02 else "single",
        "tags": [],
    }


def _refusal(at: datetime) -> Line:
    return {
        "type": "refuse",
        "reason": "litigation",
        "informed_at": at.isoformat(),
        "medium": "phone",
        "basis": {"text": "不予受理事项", "article": "S0-7"},
        "words": "已进入诉讼程序, 请向人民法院反映。",
        "unit_determinable": True,
        "informed_unit": "人民法院",
        "informed_contact": "诉讼服务窗口",
    }


def _handled(one: Case, district: str) -> None:
    chance = one.chance
    lead = chance.choice((district, district, *DEPARTMENTS))
    below = town().bureaus.get(lead, ())
    one.later(1.5)
    one.add(person("dispatcher", HOTLINE), {"type": "dispatch", "kind": "ordinary", "lead": lead, "basis": "duty"})
    if below:
        one.later(8)
        bureau = chance.choice(below)
        one.add(person("org_approver", lead), {"type": "transfer", "unit": bureau})
        lead = bureau
    one.later(6)
    one.add(person("org_handler", lead), {"type": "sign"})
    if chance.random() < 0.06 and not below:
        one.later(10)
        one.add(
            person("org_approver", lead),
            {
                "type": "request_return",
                "ground": "not_our_duty",
                "reason": "不属本单位职责。",
                "basis": {"text": "部门职责清单", "article": "第三条"},
                "suggested_unit": district,
            },
        )
        one.later(6)
        one.add(person("dispatcher", HOTLINE), {"type": "decide_return", "return_no": 1, "approve": True})
        one.later(2)
        lead = f"{district}-CG"
        one.add(
            person("dispatcher", HOTLINE), {"type": "dispatch", "kind": "ordinary", "lead": lead, "basis": "territory"}
        )
        one.later(5)
        one.add(person("org_handler", lead), {"type": "sign"})
    one.later(10)
    handler = person("org_handler", lead)
    one.add(handler, {"type": "contact", "medium": "phone", "reached": True})
    one.later(40)
    one.add(handler, {"type": "visit_site", "place": "现场", "findings": "情况属实。"})
    one.later(70)
    one.add(handler, {"type": "inform_applicant", "about": "result", "medium": "phone"})
    one.later(1)
    one.add(person("org_approver", lead), _reply(chance, handler["user"]))
    _after_reply(one)


def _reply(chance: random.Random, drafted_by: str) -> Line:
    return {
        "type": "reply",
        "outcome": "resolved" if chance.random() < 0.8 else "explained",
        "public_answer": "您反映的问题已处理, 感谢您的监督。(模拟)",
        "handling_report": "已现场核实并处置。(模拟)",
        "verified": "true",
        "drafted_by": drafted_by,
    }


def _after_reply(one: Case) -> None:
    chance = one.chance
    if chance.random() < 0.5:
        one.later(20)
        one.add(person("qc_reviewer", HOTLINE), {"type": "review_reply", "reply": 1, "accept": True})
    if chance.random() < 0.55:
        one.later(24)
        rating = chance.choices(("very_satisfied", "satisfied", "basically_satisfied"), (4, 4, 2))[0]
        citizen = {"user": "citizen", "role": "citizen"}
        one.add(citizen, {"type": "evaluate", "ratings": {"result": rating}, "medium": "sms"})
        one.later(10)
        one.add(person("qc_reviewer", HOTLINE), {"type": "close", "kind": "satisfied"})


# --- what befalls cases besides ----------------------------------------------------------------------------------


def eventful(number: int, at: datetime, until: datetime, chance: random.Random) -> list[Line]:
    """Return the lines of a case that more befalls: co-organizers, extensions, returns, visits, redo, promises, mergers.

    Nobody asks whether a rule allows it: what one refuses did not happen. `@S7` stands for the id of case S7.
    """
    one = Case(f"S{number}", at, until, chance)
    title, category, kind, domain = chance.choice(MATTERS)
    district = chance.choice(tuple(DISTRICTS))
    agent, dispatcher = person("agent", HOTLINE), person("dispatcher", HOTLINE)
    nature = {**_nature(chance), "scale": "single"}
    demand: Line = {
        "type": "register",
        "title": title,
        "category": category,
        "channel": "web",
        "attributes": {"demand_type": kind, "domain": domain, **nature},
        "content": f"{title}, 请有关部门核实处理。(模拟 {number})",
        "district": DISTRICTS[district],
        "place": f"{DISTRICTS[district]}{chance.randrange(1, 60)}号路",
        "duplicates_seen": [],
    }
    if chance.random() < 0.06:
        demand["anonymous"] = True
    else:
        demand["applicant"] = {"kind": "person", "name": "某某", "phone": f"000-{chance.randrange(10**7):07d}"}
    one.add(agent, demand)
    if chance.random() < 0.08:
        one.later(1)
        one.add(
            agent,
            {
                "type": "answer_directly",
                "answer": "已答复。",
                "medium": "phone",
                "acknowledged": True,
                "knowledge_ref": "KB-1",
            },
        )
    if number > 5 and chance.random() < 0.08:
        one.later(1)
        one.add(
            agent,
            {
                "type": "link_duplicate",
                "original": f"@S{number - 3}",
                "new_facts": chance.random() < 0.5,
                "told": "phone",
            },
        )
    if number > 5 and chance.random() < 0.06:
        one.later(30)
        one.add(dispatcher, {"type": "merge", "master": f"@S{number - 4}"})
    if chance.random() < 0.1:
        one.add(
            agent,
            {
                "type": "propose_correction",
                "version": 1,
                "field": "district",
                "basis": "误记",
                "old": DISTRICTS[district],
                "new": chance.choice(tuple(DISTRICTS.values())),
            },
        )
        one.later(2)
        one.add(person("supervisor", HOTLINE), {"type": "approve_correction", "correction": 1})
    for turn in range(3):
        if not _turn(one, district, turn):
            break
    return one.lines


def _turn(one: Case, district: str, turn: int) -> bool:
    """Add a round of handling; tell whether the order is done again."""
    chance, dispatcher = one.chance, person("dispatcher", HOTLINE)
    lead = chance.choice((district, *DEPARTMENTS))
    beside = chance.choice([unit for unit in DEPARTMENTS if unit != lead])
    one.later(chance.choice((1, 12, 30)))
    if co := [{"unit": beside}] if chance.random() < 0.25 else []:
        named = {"type": "dispatch", "kind": "designated", "lead": lead, "basis": "duty", "co": co}
        one.add(person("hotline_manager", HOTLINE), named)
    else:
        one.add(dispatcher, {"type": "dispatch", "kind": "ordinary", "lead": lead, "basis": "duty"})
    if below := town().bureaus.get(lead, ()):
        one.later(chance.choice((5, 30)))
        bureau = chance.choice(below)
        one.add(person("org_approver", lead), {"type": "transfer", "unit": bureau})
        lead = bureau
    one.later(chance.choice((3, 20, 40)))
    one.add(person("org_handler", lead), {"type": "sign", "own_handling": not below})
    approver, handler = person("org_approver", lead), person("org_handler", lead)
    if co:
        one.add(person("org_handler", beside), {"type": "sign"})
        one.later(chance.choice((20, 90)))
        one.add(person("org_handler", beside), {"type": "co_opinion", "opinion": "已核实。"})
    if chance.random() < 0.2:
        one.later(chance.choice((5, 60)))
        asks = {
            "type": "request_return",
            "ground": chance.choice(("not_our_duty", "out_of_scope")),
            "reason": "不属本单位职责。",
        }
        basis = {"text": "部门职责清单", "article": "第三条"}
        elsewhere = {"reason": "outside_area", "turn_to": "所在地热线"}
        one.add(approver, {**asks, "basis": basis, "suggested_unit": district, "suggested_disposal": elsewhere})
        one.later(8)
        if approve := chance.random() < 0.5:
            one.add(dispatcher, {"type": "decide_return", "return_no": 1, "approve": True})
            return turn < 2
        one.add(dispatcher, {"type": "decide_return", "return_no": 1, "approve": approve, "reason": "属其职责。"})
    _worked(one, lead, handler, approver)
    return _judged(one, lead)


def _worked(one: Case, lead: str, handler: Line, approver: Line) -> None:
    chance = one.chance
    one.later(10)
    for reached in chance.choice(([True], [False], [False, True], [])):
        one.later(10)
        one.add(handler, {"type": "contact", "medium": "phone", "reached": reached})
    if chance.random() < 0.25:
        one.later(10)
        asks = {"type": "request_extension", "days": chance.choice((3, 5)), "reason": "情况复杂。"}
        one.add(approver, {**asks, "legal_basis": {"text": "条例", "article": "第十五条"}})
        one.later(chance.choice((5, 60)))
        decided = {"type": "decide_extension", "extension": 1, "approve": chance.random() < 0.7, "reason": "按规定。"}
        parent = lead.partition("-")[0] if "-" in lead else HOTLINE
        other = {**approver, "user": f"{approver['user']}-2"}
        for who in (person("mgmt_unit", parent), person("hotline_manager", HOTLINE), other):
            one.add(who, decided)
    if chance.random() < 0.04:
        one.add(person("agent", HOTLINE), {"type": "withdraw", "identity_checked": True, "medium": "phone"})
    one.later(chance.choice((20, 60, 200, 420)))
    if chance.random() < 0.85:
        one.add(handler, {"type": "inform_applicant", "about": "result", "medium": "phone"})
    one.add(approver, _outcome(one, handler["user"]))
    for _ in range(2):
        one.later(12)
        accept = chance.random() < 0.75
        judged = {"type": "review_reply", "reply": 1, "accept": accept, "requirements": "请补正。"}
        one.add(person("qc_reviewer", HOTLINE), judged)
        one.add(person("qc_reviewer", HOTLINE), {**judged, "reply": 2, "accept": True})
        if accept:
            break
        one.later(20)
        one.add(approver, _outcome(one, handler["user"]))


def _outcome(one: Case, drafted_by: str) -> Line:
    """Return a reply: resolved or not, with what is promised then."""
    reply = {**_reply(one.chance, drafted_by), "publish": True}
    if one.chance.random() < 0.2:
        by = (one.at + timedelta(days=one.chance.randrange(3, 12))).date()
        promised = {"reason": "待施工。", "next_measures": "列入计划。", "implement_by": by.isoformat()}
        return {
            **reply,
            "outcome": "unresolved",
            **promised,
            "responsible_unit": drafted_by.split("-org-", maxsplit=1)[0].upper(),
        }
    return reply


def _judged(one: Case, lead: str) -> bool:
    chance, visitor = one.chance, person("revisitor", HOTLINE)
    if chance.random() < 0.05:
        exempt = {
            "type": "exempt_satisfaction",
            "category": "mediation",
            "article": {"text": "调解", "article": "第一条"},
        }
        one.add(person("qc_reviewer", HOTLINE), exempt)
    if chance.random() < 0.4:
        rating = chance.choice(("satisfied", "basically_satisfied", "dissatisfied", "not_rated"))
        one.later(20)
        ratings = {"result": rating, "attitude": chance.choice(("satisfied", "dissatisfied"))}
        one.add({"user": "citizen", "role": "citizen"}, {"type": "evaluate", "ratings": ratings, "medium": "sms"})
    if chance.random() < 0.6:
        one.later(30)
        drawn = {"type": "sample_revisit", "seed": "1", "frame": "sha256:" + "0" * 64, "frame_size": 9}
        one.add(visitor, drawn)
        one.later(20)
        if chance.random() < 0.2:
            one.add(visitor, {"type": "refuse_revisit", "medium": "phone"})
        else:
            one.add(visitor, {"type": "record_revisit_consent", "medium": "phone"})
            _visit(one, visitor)
    if chance.random() < 0.5:
        answered = {"type": "reply_notice", "notice": 1, "cause": "人手不足。", "measures": "已补办。"}
        one.add(person("org_approver", lead), answered)
        one.add(person("org_approver", lead), {**answered, "notice": 2})
    if chance.random() < 0.5:
        one.later(60)
        done = {"type": "complete_follow_up", "follow_up": 1, "result": "已完工。"}
        proof = {"digest": "sha256:" + "1" * 64, "size": 1, "media_type": "image/png", "name": "照片"}
        one.add(person("org_handler", lead), {**done, "evidence": [proof]})
    if chance.random() < 0.2:
        one.later(30)
        redo = {"type": "order_redo", "ground": "not_done", "requirements": "重新办理。"}
        one.add(person("hotline_manager", HOTLINE), {**redo, "limit": {"amount": 3, "unit": "working_days"}})
        return True
    if chance.random() < 0.5:
        one.later(20)
        one.add(person("qc_reviewer", HOTLINE), {"type": "close", "kind": "satisfied"})
        one.add(person("qc_reviewer", HOTLINE), {"type": "close", "kind": "completed"})
    return False


def _visit(one: Case, visitor: Line) -> None:
    chance = one.chance
    one.add(
        visitor,
        {
            "type": "complete_revisit",
            "method": "phone",
            "script_version": "v1",
            "contacted": chance.random() < 0.8,
            "informed": True,
            "consistent": True,
            "attitude": "satisfied",
            "resolution": chance.choice(("resolved", "partial", "unresolved")),
            "ratings": {"result": chance.choice(("very_satisfied", "satisfied", "dissatisfied"))},
        },
    )


def months(seed: int = 12345, *, orders: int = 120, start: datetime, days: int = 60, after: int = 45) -> Iterator[Line]:
    """Yield months in which more befalls cases than in `month`: what figures are held against."""
    chance = random.Random(seed)  # noqa: S311  a simulation, not a secret
    until = start + timedelta(days=days + after)
    yield from founding(start - timedelta(days=1))
    made = town()
    for unit in (*made.first, *(b for below in made.bureaus.values() for b in below)):
        second = {"type": "grant_role", "user": f"{unit.lower()}-org-approver-2", "role": "org_approver", "unit": unit}
        admin = {"user": "admin", "role": "admin", "unit": HOTLINE}
        yield {"stream": "institution", "at": (start - timedelta(days=1)).isoformat(), "by": admin, "command": second}
    for number in range(1, orders + 1):
        at = start + timedelta(days=chance.randrange(days), hours=chance.uniform(0, 23), seconds=chance.randrange(3600))
        yield from eventful(number, at.replace(microsecond=0), until, chance)


# --- a month -----------------------------------------------------------------------------------------------------


def month(
    seed: int = 12345, *, orders: int = 300, start: datetime | None = None, days: int = 30, after: int = 5
) -> Iterator[Line]:
    """Yield a city's month: `orders` cases registered over `days` from `start`, followed until `after` days later."""
    chance = random.Random(seed)  # noqa: S311  a simulation, not a secret
    begin = start or datetime(2025, 9, 1, tzinfo=SHANGHAI)
    until = begin + timedelta(days=days + after)
    yield from founding(begin - timedelta(days=1))
    for number in range(1, orders + 1):
        day = begin + timedelta(days=chance.randrange(days))
        at = day + timedelta(hours=min(23.0, max(0.0, chance.gauss(13, 4))), seconds=chance.randrange(3600))
        yield from case(number, at.replace(microsecond=0), until, chance)
