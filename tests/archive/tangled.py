"""The most tangled case that an office could have: the lines of a script, on top of the town that one rule text walks.

Two returns, a meeting, a dispute, an extension, three replies, a redo, notices with replies, an instruction, a co-organizer, a
correction, long texts, files, rare characters, and addresses planted wherever somebody may write. Everybody is invented.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.test_cases import CASES

Line = dict[str, Any]

RARE = "𠮷䶮"
"""Letters of names that many fonts lack."""

PLANTED = "file:///etc/passwd http://127.0.0.1:9/x <img src='http://127.0.0.1:9/y'>"
"""What nobody who reads a text may fetch for whoever wrote it."""

_LONG = (
    "来电人反映：河滨街与青云街交界处的七号路，自六月上旬起垃圾堆积无人清运，两条街道的环卫人员均称不属于本辖区。"
    "天热以来气味很大，临街的三十余户居民不敢开窗，路口的幼儿园也受到影响。来电人曾三次向社区反映，社区答复需由街道协调；"
    "向街道反映，两街道互相推诿。来电人要求：一是立即清运现有垃圾；二是明确该路段由谁负责日常保洁；三是公布责任单位和联系电话。\n"
    "来电人补充：雨天污水漫到人行道，老人滑倒过一次，已就医，病历可以提供。附近商户愿意作证。"
)
_REPORT = (
    "接单后，我单位会同河滨街道、青云街道于当日赶赴现场。经核对《东溪区街道界线图》，界石位于道路中线，两侧分属两街道。"
    "现场堆积生活垃圾约六立方米、建筑垃圾约三立方米。我单位当即调派清运车两台、人员十二名，于次日凌晨全部清理完毕并冲洗消杀。"
    "关于日常保洁，经会商确定：以道路中线为界，北侧由河滨街道负责，南侧由青云街道负责，我单位每周巡查一次。"
)


def _by(user: str, role: str, unit: str = "HOTLINE") -> Line:
    return {"user": user, "role": role, "unit": unit}


AGENT, DISPATCHER, MANAGER = _by("agent", "agent"), _by("dispatcher", "dispatcher"), _by("manager", "hotline_manager")
REVIEWER, REVISITOR = _by("qc-reviewer", "qc_reviewer"), _by("revisitor", "revisitor")
SUPERVISOR, LEADER = _by("supervisor", "supervisor"), _by("leader", "leader")
HANDLER, APPROVER = _by("dx-cg-handler", "org_handler", "DX-CG"), _by("dx-cg-approver", "org_approver", "DX-CG")
SECOND = _by("dx-cg-approver-2", "org_approver", "DX-CG")
CO = _by("dx-hb-handler", "org_handler", "DX-HB")


def _file(letter: str, kind: str, size: int, name: str) -> Line:
    return {"digest": f"sha256:{letter * 64}", "media_type": kind, "size": size, "name": name}


def _after() -> list[tuple[str, Line, Line]]:
    """What comes after the walked part: when, by whom, what."""
    photos = [_file(c, "image/jpeg", 482_113 + n, f"现场照片{n + 1}（{RARE}）.jpg") for n, c in enumerate("abc")]
    return [
        ("07-23 11:10", MANAGER, {"type": "add_co", "unit": "DX-HB", "duty": "提供北侧保洁安排。", "asked_by_lead": True}),
        ("07-23 11:15", MANAGER, {"type": "close_notice", "notice": 2, "words": "责任已划分。"}),
        ("07-23 11:20", CO, {"type": "sign"}),
        ("07-23 11:30", SUPERVISOR, {"type": "request_instruction", "leader": "区长", "summary": _LONG, "proposal": "拟请分管副区长协调。"}),
        ("07-23 14:00", LEADER, {"type": "record_instruction", "giver": "区长", "request": 1, "unit": "DX-CG",
            "text": {"dated": "2025-07-23", "number": "区长批〔2025〕31号", "words": f"请城管委限期办结，{RARE}路口一并整治。"},
            "limit": {"amount": 5, "unit": "working_days"}}),
        ("07-23 15:00", APPROVER, {"type": "request_extension", "days": 5, "reason": _REPORT,
            "legal_basis": {"text": "北京市接诉即办工作条例", "article": "第十五条"}}),
        ("07-23 16:00", SECOND, {"type": "decide_extension", "extension": 1, "approve": True}),
        ("07-23 16:30", HANDLER, {"type": "inform_extension", "extension": 1, "medium": "phone", "progress": "垃圾已清运，正在划分日常保洁责任。"}),
        ("07-24 09:00", HANDLER, {"type": "contact", "medium": "phone", "reached": False, "words": "无人接听。"}),
        ("07-24 15:00", HANDLER, {"type": "contact", "medium": "phone", "reached": True, "words": PLANTED,
            "recording": _file("d", "audio/wav", 3_120_044, "通话录音.wav")}),
        ("07-24 16:00", HANDLER, {"type": "visit_site", "place": "七号路", "findings": _REPORT, "people": f"龚{RARE}、{RARE}某", "evidence": photos}),
        ("07-25 09:00", AGENT, {"type": "urge", "words": "诉求人催问何时公布责任单位。"}),
        ("07-25 10:00", HANDLER, {"type": "progress", "report": _REPORT}),
        ("07-25 11:00", CO, {"type": "co_opinion", "opinion": "北侧已纳入每日两次保洁，责任人已公示。"}),
        ("07-25 15:00", HANDLER, {"type": "inform_applicant", "about": "result", "medium": "phone", "words": "已告知清运结果。"}),
        ("07-25 15:10", APPROVER, {"type": "reply", "outcome": "partial", "public_answer": _REPORT, "handling_report": _LONG + _REPORT,
            "verified": "true", "drafted_by": "dx-cg-handler", "evidence": photos[:1]}),
        ("07-25 17:00", REVIEWER, {"type": "review_reply", "reply": 1, "accept": False, "requirements": "责任单位联系电话未公布，请补正。"}),
        ("07-26 10:00", HANDLER, {"type": "inform_applicant", "about": "result", "medium": "phone"}),
        ("07-26 10:10", APPROVER, {"type": "reply", "outcome": "resolved", "public_answer": _REPORT, "verified": "true", "drafted_by": "dx-cg-handler"}),
        ("07-26 11:00", REVIEWER, {"type": "review_reply", "reply": 2, "accept": True, "opinion": "可以。"}),
        ("07-28 10:00", APPROVER, {"type": "report_instruction", "instruction": 1, "report": _REPORT}),
        ("07-28 14:00", REVISITOR, {"type": "record_revisit_consent", "medium": "phone"}),
        ("07-28 14:05", REVISITOR, {"type": "complete_revisit", "method": "phone", "script_version": "HF-2025", "contacted": True,
            "informed": True, "resolution": "unresolved", "ratings": {"result": "dissatisfied", "attitude": "satisfied"}, "words": "南侧又有堆放。"}),
        ("07-29 09:00", MANAGER, {"type": "order_redo", "ground": "reasonable_dissatisfaction", "requirements": "落实南侧保洁并公布电话。",
            "limit": {"amount": 5, "unit": "natural_days"}}),
        ("07-29 09:30", DISPATCHER, {"type": "dispatch", "kind": "ordinary", "lead": "DX-CG", "basis": "duty"}),
        ("07-29 10:00", HANDLER, {"type": "sign"}),
        ("07-30 10:00", HANDLER, {"type": "explain", "points": "南侧堆放系夜间偷倒，已加装监控。", "legal_basis": {"text": "市容环境卫生条例", "article": "第三十四条"}}),
        ("07-31 10:00", HANDLER, {"type": "inform_applicant", "about": "result", "medium": "phone"}),
        ("07-31 10:10", APPROVER, {"type": "reply", "outcome": "resolved", "public_answer": f"南侧已落实，联系人{RARE}某。", "verified": "true", "drafted_by": "dx-cg-handler"}),
        ("07-31 15:00", REVIEWER, {"type": "review_reply", "reply": 3, "accept": True, "opinion": "同意。"}),
        ("08-01 14:00", REVISITOR, {"type": "record_revisit_consent", "medium": "phone"}),
        ("08-01 14:05", REVISITOR, {"type": "complete_revisit", "method": "phone", "script_version": "HF-2025", "contacted": True,
            "informed": True, "resolution": "resolved", "ratings": {"result": "satisfied"}}),
        ("08-01 15:00", AGENT, {"type": "propose_correction", "version": 1, "field": "category", "old": "环境卫生/垃圾", "new": "环境卫生/清运", "basis": "类别选错。"}),
        ("08-01 15:30", SUPERVISOR, {"type": "approve_correction", "correction": 1}),
        ("08-04 10:00", REVIEWER, {"type": "close", "kind": "satisfied"}),
        ("08-04 17:00", _by("archivist", "archivist"), {"type": "archive", "verified_to": "@head"}),
    ]  # fmt: skip


def script(path: Path) -> Path:
    """Write the town of the rule text and the tangled case as a script, and return where."""
    lines = [
        json.loads(row) for row in (CASES / "s4.jsonl").read_text(encoding="utf-8").splitlines() if row.startswith("{")
    ]
    kept = [line for line in lines if line.get("stream") == "institution"]
    case = [line for line in lines if line.get("order") == "H" and line["at"] <= "2025-07-23 11:01"]
    case = [line for line in case if line["command"]["type"] != "escalate_notice"]
    for line in case:
        line["order"] = "T"
        if line["command"]["type"] == "register":
            line["command"] |= {"content": f"{_LONG}\n{PLANTED}", "call_id": "S4-T", "address": f"七号路{RARE}巷3号"}
            line["command"]["applicant"]["name"] = f"{RARE}某"
    for when, by, command in _after():
        line = {"order": "T", "at": f"2025-{when}", "by": by, "command": command}
        if "correction" in command["type"]:
            line["reason"] = "typing_error"
        case.append(line)
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in (*kept, *case)), encoding="utf-8")
    return path
