"""Reports over HTTP: who has one made, who reads what was published, and as what."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from domain.matters.publications import ReportKind, report_stream
from domain.terms import SHANGHAI, Role
from scripts import wiring
from supervision import reports
from tests.api.conftest import Served, dispatched

LAST_YEAR = wiring.process_now().astimezone(SHANGHAI).date() - timedelta(days=400)
PERIOD = {"from": f"{LAST_YEAR}", "to": f"{LAST_YEAR + timedelta(days=30)}"}


def test_a_report_is_made_as_html_pdf_and_csv_and_is_the_same_at_its_position(served: Served):
    dispatched(served)
    manager = served.as_(Role.HOTLINE_MANAGER)
    today = f"{wiring.process_now().astimezone(SHANGHAI):%Y-%m-%d}"
    query = {"from": today, "to": today}
    first = manager.get("/reports/daily_duty", **query)
    assert first.status == 200, first
    position = first.headers["ledger-position"]
    assert first.headers["content-hash"] in first.body.decode()
    dispatched(served)
    again = manager.get("/reports/daily_duty", **query, cut_off=position)
    assert again.body == first.body
    assert manager.get("/reports/daily_duty", **query).headers["content-hash"] != first.headers["content-hash"]
    quiet = {"from": "2025-01-06", "to": "2025-01-06"}  # a day without demands in letters that no font has
    pdf = manager.get("/reports/daily_duty", **quiet, cut_off=position, format="pdf")
    assert (pdf.headers["content-type"], pdf.body[:8]) == ("application/pdf", b"%PDF-1.7")
    csv = manager.get("/reports/daily_duty", **query, cut_off=position, format="csv")
    asked = f"/reports/daily_duty?{urlencode({**query, 'cut_off': position})}"
    accepted = manager.patiently(lambda: manager._reply(manager.raw("GET", asked, Accept="text/csv")))
    assert (accepted.body, accepted.headers["content-type"]) == (csv.body, csv.headers["content-type"])
    assert csv.body.startswith(b"\xef\xbb\xbf")
    assert csv.headers["content-type"].startswith("text/csv")
    assert "张三丰" not in first.body.decode() + csv.body.decode()


def test_who_may_not_have_one_made_reads_those_that_were_published_for_them(served: Served):
    manager, deputy = served.as_(Role.HOTLINE_MANAGER), served.as_(Role.OVERSEER_NPC)
    assert deputy.get("/reports/submission", **PERIOD).status == 403
    assert deputy.get("/reports/submission", **PERIOD, cut_off=5).status == 403
    made = manager.get("/reports/submission", **PERIOD)
    published = _publish(served, "submission", made)
    assert published.status == 201, published
    read = deputy.get("/reports/submission", **PERIOD)
    assert (read.status, read.body) == (200, made.body)
    assert read.headers["content-hash"] == made.headers["content-hash"]
    listed = deputy.get("/reports", kind="submission").body["reports"]
    mine = next(row for row in listed if row["content_hash"] == made.headers["content-hash"])
    assert mine["cut_off"] == int(made.headers["ledger-position"])
    assert mine["privacy_class"] == "overseers"
    briefing = manager.get("/reports/briefing", **PERIOD)
    assert _publish(served, "briefing", briefing, privacy="government").status == 201
    assert deputy.get("/reports/briefing", **PERIOD).status == 403
    assert not [row for row in deputy.get("/reports").body["reports"] if row["report"] == "briefing"]
    assert served.as_(Role.ORG_HANDLER, "D").get("/reports/briefing", **PERIOD).status == 200


def test_who_does_not_read_a_report_does_not_read_of_its_publication_either(served: Served):
    manager = served.as_(Role.HOTLINE_MANAGER)
    made = manager.get("/reports/assessment", **PERIOD)
    assert _publish(served, "assessment", made, privacy="leaders").status == 201
    path = f"/publications/{_stream('assessment')}"
    for tail in ("", "/history"):
        assert served.as_(Role.LEADER).get(path + tail).status == 200
        for role, unit in ((Role.ORG_HANDLER, "D"), (Role.OVERSEER_NPC, "HOTLINE"), (Role.AGENT, "HOTLINE")):
            reply = served.as_(role, unit).get(path + tail)
            assert (reply.status, reply.body["code"]) == (404, "unknown-stream"), role
    assert not [
        r for r in served.as_(Role.ORG_HANDLER, "D").get("/reports").body["reports"] if r["report"] == "assessment"
    ]


def _publish(served: Served, kind: str, made: Any, privacy: str = "overseers") -> Any:
    body = {
        "report": kind,
        "title": "运行情况报告",
        "period_from": PERIOD["from"],
        "period_until": PERIOD["to"],
        "cut_off": int(made.headers["ledger-position"]),
        "template_version": reports.TEMPLATE,
        "content_hash": made.headers["content-hash"],
        "prepared_by": "li",
        "recipients": ["人大"],
        "privacy_class": privacy,
    }
    stream = _stream(kind)
    return served.as_(Role.HOTLINE_MANAGER).post(f"/publications/{stream}/publish_report", body)


def _stream(kind: str) -> str:
    first, last = (date.fromisoformat(PERIOD[name]) for name in ("from", "to"))
    return report_stream(ReportKind(kind), first, last).partition(":")[2]


def test_the_duty_book_is_for_the_duty_room(served: Served):
    agent, today = served.as_(Role.AGENT), f"{wiring.process_now().astimezone(SHANGHAI):%Y-%m-%d}"
    book = agent.get("/duty_book", day=today)
    assert (book.status, "值班记录簿" in book.body.decode()) == (200, True)
    assert agent.get("/duty_book", day=today, format="pdf").body[:8] == b"%PDF-1.7"
    assert agent.get("/duty_book").status == 400
    assert served.as_(Role.ORG_HANDLER, "D").get("/duty_book", day=today).status == 403


def test_what_is_no_period_and_no_kind_is_refused(served: Served):
    manager = served.as_(Role.HOTLINE_MANAGER)
    assert manager.get("/reports/briefing").status == 400
    assert manager.get("/reports/novel", **PERIOD).status == 400
    assert manager.get("/reports/briefing", **{"from": "2025-02-01", "to": "2025-01-01"}).status == 400
    assert manager.get("/reports/briefing", **{"from": "2020-01-01", "to": "2025-01-01"}).status == 400
    unfit = manager.get("/reports/daily_duty", **PERIOD)
    assert (unfit.status, unfit.body["code"]) == (422, "period-unfit")
    ahead = manager.get("/reports/briefing", **PERIOD, cut_off=10**12)
    assert ahead.body["code"] == "cut-off-ahead"
