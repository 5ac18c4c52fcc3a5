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
