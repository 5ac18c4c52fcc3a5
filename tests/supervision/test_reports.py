"""报告: the same for ever at one position, nothing of few for those outside, and a quarter's submission by one command."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from uuid import UUID

import pytest

from domain.matters.publications import ReportKind
from domain.refusals import UnknownOrder
from domain.terms import Confidentiality, Sealed
from domain.units import day_start
from projections.answers import Projections
from projections.figures import Figure
from scripts import embedded
from supervision import assessment, charts, reports, sheets
from supervision.instruments import instruments, paper
from supervision.reports import FORMS, Chart, Part, PeriodUnfit, Share, Table, quarter, shown, suppressed
from tests.test_cases import CASES, Town, founded, imported, opened
from tests.test_cli import CHECKOUT, Deployment, deploy, dispatched, registered, town_lines, write_script

YEAR = (date(2025, 1, 1), date(2025, 12, 31))


@pytest.fixture(scope="module")
def town(postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Town:
    """The walk through the fourth text: notices, returns, redo, emergencies, a circular."""

    script = tmp_path_factory.mktemp("town") / "s4.jsonl"
    script.write_bytes((CASES / "s4.jsonl").read_bytes())
    return _town(postgres, "s4", script)


def _town(postgres: embedded.Database, text: str, script: Path) -> Town:
    async def make() -> Town:
        return await imported(await founded(postgres, text), script, script.with_suffix(".rejects"))

    return asyncio.run(make())


async def test_every_kind_of_report_states_what_it_is_of_and_comes_out_the_same_again(town: Town):
    async with opened(town.city) as ledger, Projections(town.city.database.app, town.city.name) as p:
        await p.follow_until()
        head, _ = await ledger.head()
        cut_off = head - 40
        for kind in ReportKind:
            period = (date(2025, 7, 16), date(2025, 7, 16)) if kind is ReportKind.DAILY_DUTY else YEAR
            made = await reports.made(p, kind, *period, cut_off=cut_off)
            html = sheets.report(made)
            assert made.title in html
            for said in (f"{cut_off}", made.template, made.content_hash, "统计口径", FORMS[kind].privacy.zh):
                assert said in html, (kind, said)
            assert made.csv().startswith(b"\xef\xbb\xbf")
            again = await reports.made(p, kind, *period, cut_off=cut_off)
            assert (again, sheets.report(again), again.csv()) == (made, html, made.csv())
        now = await reports.made(p, ReportKind.BRIEFING, *YEAR, cut_off=head)
        then = await reports.made(p, ReportKind.BRIEFING, *YEAR, cut_off=cut_off)
        assert now.content_hash != then.content_hash


async def test_what_a_report_counts_is_what_the_cases_say(town: Town):
    async with opened(town.city) as ledger, Projections(town.city.database.app, town.city.name) as p:
        await p.follow_until()
        head, _ = await ledger.head()
        made = await reports.made(p, ReportKind.BRIEFING, *YEAR, cut_off=head)
    orders = list(town.orders.values())
    told = {(part.heading, table.caption): table for part in made.parts for table in part.tables}
    channels = {row[0]: row[1] for row in told["受理情况", "按渠道"].rows}
    assert sum(int(shown(n)) for n in channels.values()) == len(orders)
    for channel in {order.demand.channel for order in orders}:
        assert channels[channel.zh] == sum(order.demand.channel is channel for order in orders)
    notices = {row[0]: row[1] for row in told["督办情况", "督办文书"].rows}
    assert sum(int(shown(n)) for n in notices.values()) == sum(len(o.oversight.notices) for o in orders)
    closed = sum(int(shown(row[1])) for row in told["办理结果", "办结方式"].rows)
    assert closed == sum(len(order.filing.closures) for order in orders)


async def test_no_person_is_in_any_report(town: Town):
    sealed: list[str] = []
    async with opened(town.city) as ledger, Projections(town.city.database.app, town.city.name) as p:
        await p.follow_until()
        head, _ = await ledger.head()
        for order in town.orders.values():
            applicant = order.demand.applicant
            if applicant is not None and isinstance(applicant.name, Sealed):
                sealed.append(applicant.name.box)
        texts = [
            sheets.report(await reports.made(p, kind, *YEAR, cut_off=head))
            for kind in ReportKind
            if kind != "daily_duty"
        ]
    assert sealed
    for text in texts:
        assert not any(box in text for box in sealed)
        assert "Sealed" not in text


def _part(made: reports.Report, heading: str) -> Part:
    return next(part for part in made.parts if part.heading == heading)


async def test_a_circular_tells_every_unit_what_it_was_given_and_what_became_of_it(town: Town):
    async with opened(town.city) as ledger, Projections(town.city.database.app, town.city.name) as p:
        await p.follow_until()
        made = await reports.made(p, ReportKind.PERIODIC_CIRCULAR, *YEAR, cut_off=(await ledger.head())[0])
        law = await ledger.law()
    (table,) = _part(made, "各单位办件情况").tables
    assert _part(made, "考核申诉").tables, "a unit won an appeal against a figure of this year"
    told = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    end = max(entry.at for entry in town.entries)
    given: dict[str, int] = {}
    for order in town.orders.values():
        for episode in order.episodes:
            if not (episode.reopened or episode.derived):
                given[episode.lead] = given.get(episode.lead, 0) + 1
    assert {law.unit_name(unit, end): number for unit, number in given.items()} == {
        name: row["派单"] for name, row in told.items() if row["派单"]
    }
    assert table.columns[1:6] == ("派单", "逾期", "退单", "重办", "督办")


async def test_an_assessment_says_its_weights_and_what_appeals_changed(town: Town):
    async with opened(town.city) as ledger, Projections(town.city.database.app, town.city.name) as p:
        await p.follow_until()
        made = await reports.made(p, ReportKind.ASSESSMENT, *YEAR, cut_off=(await ledger.head())[0])
    assert "不计综合得分" in _part(made, "综合得分").words[0]
    appeals = [appeal for order in town.orders.values() for appeal in order.oversight.appeals]
    assert appeals
    listed, *_ = _part(made, "考核申诉").tables
    results = {None: "审理中", True: "成立", False: "不成立"}
    assert sorted(str(row[5]) for row in listed.rows) == sorted(results[appeal.upheld] for appeal in appeals)


@pytest.mark.parametrize("kind", [ReportKind.ASSESSMENT, ReportKind.PERIODIC_CIRCULAR])
async def test_an_upheld_appeal_is_printed_with_its_ground_and_the_figures_before_and_after(
    town: Town, kind: ReportKind
):
    async with opened(town.city) as ledger, Projections(town.city.database.app, town.city.name) as p:
        await p.follow_until()
        made = await reports.made(p, kind, *YEAR, cut_off=(await ledger.head())[0])
        held = (await p.indicators(day_start(YEAR[0]), day_start(date(2026, 1, 1)), by="unit", assumed=False)).rows
    (won,) = [one for order in town.orders.values() for one in order.oversight.appeals if one.upheld]
    listed, about, changed = _part(made, "考核申诉").tables
    (row,) = [row for row in listed.rows if row[5] == "成立"]
    assert row[2:4] == ("按时办结率 I10", "不可抗力")
    assert row[6] == won.exclusion
    (month,) = about.rows
    above, below = (int(n) for n in str(month[1]).split("/"))
    assert month[3] == f"{above}/{below - 1}", "July's figure, with the order and without it"
    now = next(f for f in held if (f.part, f.code) == (won.unit, "I10"))
    rows = {str(row[0]): row[1:] for row in changed.rows}
    (unit,) = [row for name, row in rows.items() if name.endswith("按时办结率") and not name.startswith("全市")]
    assert unit[0] == f"{now.above}/{(now.below or 0) + 1}"
    assert unit[2] == f"{now.above}/{now.below}"
    assert (unit[4], rows["全市 按时办结率"][4]) == (1, 1)
    assert any("剔除前后" in said for said in made.method)


def test_a_city_scores_its_units_by_weights_of_its_own_pack_and_never_without_printing_them(
    postgres: embedded.Database, tmp_path: Path
):
    pack = (CHECKOUT / "domain" / "policies" / "s0-chuanyu.toml").read_text(encoding="utf-8")
    weighed = tmp_path / "weighed.toml"
    weighed.write_text(f"{pack}\n{WEIGHTS}", encoding="utf-8")
    office = deploy(postgres, tmp_path)
    office.ok("init", "town", "--policy", str(weighed), "--name", "某市", "--code", "MS")
    lines = [
        line
        for name, unit in (("a", "DQ-CG"), ("b", "DQ-CG"), ("c", "DQ"))
        for line in (
            registered(name, "2025-03-03T09:00:00+08:00"),
            dispatched(name, "2025-03-03T11:00:00+08:00", lead=unit),
        )
    ]
    office.ok("import", str(write_script(tmp_path / "t.jsonl", *town_lines(), *lines)), "--city", "town")
    words = ("report", "assessment", "--from", "2025-03-01", "--to", "2025-03-31", "--city", "town")
    for suffix in ("html", "csv"):
        office.ok(*words, "--out", str(tmp_path / f"a.{suffix}"))
    said = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "考评办法第五条" in said, "what the weights rest on"
    assert "I99（无此按单位统计的指标，不计分）" in said
    rows = [line.split(",") for line in (tmp_path / "a.csv").read_text(encoding="utf-8-sig").splitlines()]
    told = {(row[-4], row[-3], row[-2]): row[-1] for row in rows if row[-5] == "综合得分"}
    assert told["权重", "派单准确率", "权重"] == "60"
    assert told["权重", "按时办结率", "权重"] == "40"
    points = {unit: value for (table, unit, column), value in told.items() if (table, column) == ("各单位得分", "得分")}
    assert sorted(points.values()) == ["60.00", "60.00"], "every dispatch was right and none was answered"
    assert {name.partition(" ")[0] for name in points} == {"1."}, "equal points are one place"
    for row in rows:
        if row[-5] == "综合得分" and row[-4] == "各单位得分":
            assert row[-2] in ("得分", "I5", "I10", "I99"), "each rate stands beside its weight"


WEIGHTS = """
[[option]]
name = "assessment_weights"
basis = { article = "考评办法第五条" }
[option.value]
I5 = 60
I10 = 40
I99 = 5
"""


def _rate(part: str, code: str, above: int, below: int) -> Figure:
    return Figure(code, code, part, above, below)


def test_a_score_is_the_weighted_rates_of_what_there_is_and_the_weights_are_shown_with_it():
    figures = [_rate("A", "I10", 9, 10), _rate("A", "I12b", 1, 4), _rate("A", "I9b", 0, 0), _rate("B", "I10", 1, 1)]
    weights = {"I10": 40, "I9b": 60, "I12b": -8}
    found = assessment.scores(weights, [*figures, _rate("C", "I9b", 0, 0)])
    assert [(one.unit, assessment.points_words(one.points)) for one in found] == [
        ("B", "100.00"),
        ("A", "85.00"),  # 36 of 40, less 2 for a quarter of returns
        ("C", "—"),
    ]
    assert "不计分" in assessment.title_of("I99")
    assert "不是比率" in assessment.title_of("I25")


async def test_what_overseers_asked_before_is_followed_up_in_what_is_submitted(
    postgres: embedded.Database, tmp_path: Path
):
    script = tmp_path / "s2.jsonl"
    script.write_bytes((CASES / "s2.jsonl").read_bytes())
    town = await asyncio.to_thread(_town, postgres, "s2", script)
    async with opened(town.city) as ledger, Projections(town.city.database.app, town.city.name) as p:
        await p.follow_until()
        spring = (date(2021, 4, 1), date(2021, 6, 30))
        made = await reports.made(p, ReportKind.SUBMISSION, *spring, cut_off=(await ledger.head())[0])
    asked = [inquiry for inquiry in town.inquiries if inquiry.filed is not None]
    assert asked
    (table,) = _part(made, "代表、委员意见办理").tables
    assert len(table.rows) == len(asked)
    for inquiry in asked:
        row = next(row for row in table.rows if str(row[0]).startswith(inquiry.number))
        assert ("答复" in str(row[4])) is (inquiry.answered is not None)


async def test_a_special_report_names_its_cases_and_nobody_in_them(town: Town):
    named = [order for order in town.orders.values() if order.episodes][:3]
    async with opened(town.city) as ledger, Projections(town.city.database.app, town.city.name) as p:
        await p.follow_until()
        head, _ = await ledger.head()
        ids = [order.id for order in named]
        made = await reports.made(p, ReportKind.SPECIAL_INFO, *YEAR, cut_off=head, orders=ids)
        assert made.orders == tuple(ids)
        with pytest.raises(reports.NoCaseNamed):
            await reports.made(p, ReportKind.BRIEFING, *YEAR, cut_off=head, orders=ids)
        with pytest.raises(UnknownOrder):
            await reports.made(p, ReportKind.DUTY_SPECIAL, *YEAR, cut_off=head, orders=[UUID(int=7)])
    listed, *steps = _part(made, "涉及工单").tables
    assert [row[0] for row in listed.rows] == [order.number for order in named]
    for order, row in zip(named, listed.rows, strict=True):
        hidden = order.confidentiality is Confidentiality.INFORMANT
        assert (row[1] == reports.PROTECTED) is hidden
    assert len(steps) == sum(order.confidentiality is not Confidentiality.INFORMANT for order in named)
    assert any("派单" in str(row[1]) for row in steps[0].rows)


async def test_what_is_counted_under_an_assumed_pack_says_so_on_every_page(town: Town):
    async with opened(town.city) as ledger, Projections(town.city.database.app, town.city.name) as p:
        await p.follow_until()
        head, _ = await ledger.head()
        tried = await reports.made(p, ReportKind.BRIEFING, *YEAR, cut_off=head, assumed=True)
        earnest = await reports.made(p, ReportKind.BRIEFING, *YEAR, cut_off=head)
    assert "推演" in tried.title
    assert "@top-center" in sheets.report(tried)
    assert "推演" in tried.csv().decode("utf-8-sig").splitlines()[1]
    assert "推演" not in sheets.report(earnest)
    assert tried.content_hash != earnest.content_hash


def _table(*rows: tuple[reports.Cell, ...]) -> Table:
    return Table(caption="t", columns=("项", "件数", "占比"), rows=rows)


def test_a_number_of_few_is_left_out_with_what_would_tell_it():
    part = Part(
        heading="h",
        tables=(
            _table(("甲", 40, Share("80%", 40, 50)), ("乙", 7, Share("14%", 7, 50)), ("丙", 3, Share("6%", 3, 50))),
        ),
        charts=(Chart(caption="c", shape="bars", labels=("甲", "丙"), series=(("件", (40, 3)),)),),
    )
    (table,) = suppressed(part, 5).tables
    assert table.rows == (("甲", 40, Share("80%", 40, 50)), ("乙", "*", "*"), ("丙", "<5", "*"))
    assert suppressed(part, 5).charts == ()
    assert suppressed(part, 1) == part


def test_two_numbers_of_few_hide_each_other_and_none_at_all_is_no_secret():
    part = Part(heading="h", tables=(_table(("甲", 40, "-"), ("乙", 3, "-"), ("丙", 4, "-"), ("丁", 0, "-")),))
    (table,) = suppressed(part, 5).tables
    assert [row[1] for row in table.rows] == [40, "<5", "<5", 0]
    part = Part(heading="h", tables=(_table(("甲", 40, "-"), ("乙", 9, "-"), *((f"{n}", 1, "-") for n in range(5))),))
    (table,) = suppressed(part, 5).tables
    assert [row[1] for row in table.rows] == [40, "*", *["<5"] * 5]  # of five together each would have one


@pytest.mark.parametrize(
    ("said", "days"),
    [
        ("2026Q1", ("2026-01-01", "2026-03-31")),
        ("2026q3", ("2026-07-01", "2026-09-30")),
        ("2026Q4", ("2026-10-01", "2026-12-31")),
    ],
)
def test_a_quarter_is_its_first_and_last_day(said: str, days: tuple[str, str]):
    assert tuple(f"{day}" for day in quarter(said)) == days


@pytest.mark.parametrize("said", ["2026", "2026Q5", "26Q1", "Q1", "2026Q", "2026Q11", "0000Q1", "9999Q4"])
def test_what_is_no_quarter_is_refused(said: str):
    with pytest.raises(PeriodUnfit):
        quarter(said)


def test_a_chart_is_the_same_in_every_process_and_escapes_its_letters():
    words = "from supervision import charts; print(charts.bars(['甲<b>', '乙'], [3, 40]), charts.lines(['1', '2'], [('x', [1, 2])]))"
    said = [
        subprocess.run(
            [sys.executable, "-c", words],
            capture_output=True,
            check=True,
            cwd=CHECKOUT,
            env={"PYTHONPATH": f"{CHECKOUT}", "PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin", "PYTHONUTF8": "1"},
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1]
    drawn = charts.bars(["甲<b>", "乙"], [3, 40])
    assert "甲&lt;b&gt;" in drawn
    assert "<script" not in drawn
    assert 'id="figure' not in drawn


# --- at the terminal -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def office(postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    deployed = deploy(postgres, tmp_path_factory.mktemp("reports"))
    deployed.ok("init", "town", "--policy", "S0", "--name", "某市", "--code", "MS")
    script = write_script(
        tmp_path_factory.mktemp("script") / "town.jsonl",
        *town_lines(),
        registered("a", "2025-03-03T09:00:00+08:00", title="路灯不亮", place="东区河滨街道"),
        registered("b", "2025-03-03T10:00:00+08:00", title="水管漏水"),
        dispatched("b", "2025-03-03T11:00:00+08:00"),
    )
    deployed.ok("import", str(script), "--city", "town")
    return deployed


WHO = ("--as", "manager/hotline_manager@HOTLINE", "--prepared-by", "li")


def test_a_quarters_submission_is_made_recorded_and_written_by_one_command(office: Deployment, tmp_path: Path):
    first = json.loads(
        office.ok("submission", "2025Q1", *WHO, "--folder", str(tmp_path / "a"), "--city", "town", "--json").out
    )
    names = sorted(Path(file).name for file in first["files"])
    assert names == [f"submission-2025Q1.{suffix}" for suffix in ("csv", "html", "pdf", "sha256")]
    assert first["number"]
    office.ok("import", str(_later(tmp_path)), "--city", "town")  # what comes later changes nothing of it
    again = json.loads(
        office.ok("submission", "2025Q1", *WHO, "--folder", str(tmp_path / "b"), "--city", "town", "--json").out
    )
    sent = _sent(office)
    office.ok("submission", "2025q1", *WHO, "--folder", str(tmp_path / "c"), "--city", "town")
    assert _sent(office) == sent > 0, "the same quarter, however it is written, is sent once"
    assert {k: v for k, v in again.items() if k != "files"} == {k: v for k, v in first.items() if k != "files"}
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    sums = (tmp_path / "a" / "submission-2025Q1.sha256").read_text()
    checked = subprocess.run(["sha256sum", "-c"], input=sums, text=True, cwd=tmp_path / "a", check=False)
    assert checked.returncode == 0
    as_published = json.loads(
        office.ok("report", "submission", "--from", "2025-01-01", "--to", "2025-03-31", "--city", "town", "--json").out
    )
    assert (as_published["content_hash"], as_published["number"]) == (first["content_hash"], first["number"])


def test_what_overseers_are_told_of_a_quarter_is_shown_at_the_terminal(office: Deployment, tmp_path: Path):
    refused = office.refused("oversight", "2025Q4", "--city", "town")
    assert "period-not-closed" in refused
    office.ok("submission", "2025Q1", *WHO, "--folder", str(tmp_path), "--city", "town")
    listed = json.loads(office.ok("oversight", "--city", "town", "--json").out)
    assert [one["period"] for one in listed] == ["2025Q1"]
    told = json.loads(office.ok("oversight", "2025Q1", "--city", "town", "--json").out)
    assert (told["cut_off"], {sheet["count"] for sheet in told["sheets"]}) == (listed[0]["cut_off"], {None})
    shown = office.ok("oversight", "2025q1", "--by", "unit", "--measure", "due", "--city", "town").out
    assert "办理到期" in shown
    assert "不能单列" in shown


def test_a_quarter_without_cases_is_submitted_all_the_same(office: Deployment, tmp_path: Path):
    made = json.loads(
        office.ok("submission", "2024Q2", *WHO, "--folder", str(tmp_path), "--city", "town", "--json").out
    )
    assert made["number"]
    assert (tmp_path / "submission-2024Q2.pdf").read_bytes().startswith(b"%PDF")
    page = (tmp_path / "submission-2024Q2.html").read_text(encoding="utf-8")
    assert "—" in page
    assert "100.00%" not in page


def _sent(office: Deployment) -> int:
    return json.loads(office.ok("status", "--city", "town", "--json").out)["position"]


def _later(folder: Path) -> Path:
    return write_script(folder / "later.jsonl", registered("c", "2025-03-05T09:00:00+08:00", title="井盖松动"))


def test_a_report_is_published_by_somebody_other_than_who_prepared_it_and_only_once(office: Deployment, tmp_path: Path):
    words = (
        "report",
        "daily_duty",
        "--from",
        "2025-03-03",
        "--city",
        "town",
        "--out",
        str(tmp_path / "d.html"),
        "--publish",
    )
    same = office.refused(*words, "--as", "li/hotline_manager@HOTLINE", "--prepared-by", "li", "--recipient", "市领导")
    assert "self-approval" in same
    assert "needs" in office.refused(*words) or "须有" in office.refused(*words)
    done = office.ok(*words, *WHO, "--recipient", "市领导")
    assert "№" in done.out
    assert "值班日报" in (tmp_path / "d.html").read_text(encoding="utf-8")


def test_a_report_of_a_period_that_is_none_is_refused(office: Deployment):
    assert "period-unfit" in office.refused(
        "report", "briefing", "--from", "2025-03-09", "--to", "2025-03-03", "--city", "town"
    )
    assert "period-unfit" in office.refused(
        "report", "daily_duty", "--from", "2025-03-01", "--to", "2025-03-03", "--city", "town"
    )
    assert "period-unfit" in office.refused("report", "briefing", "--from", "9999-12-31", "--city", "town")
    assert "cut-off-ahead" in office.refused(
        "report", "briefing", "--from", "2025-03-03", "--cut-off", "999999", "--city", "town"
    )
    assert "period-unfit" in office.refused("submission", "2025Q9", *WHO, "--city", "town")


# --- what a mapping presumed ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def brought_over(postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Messages of a mailbox whose file says nothing of any dispatch, run under a pack by assumption."""
    deployed = deploy(postgres, tmp_path_factory.mktemp("mail"))
    deployed.ok("init", "mail", "--policy", "S0", "--name", "某市", "--code", "MX")
    lines = ["留言编号,留言用户,留言主题,留言时间,留言详情,答复意见,答复时间"]
    for n, district in enumerate(("A3区", "A3区", "J5县")):
        lines.append(f"{n},u,{district}路灯不亮,2019/11/0{n + 4} 09:00:00,三天不亮,已修复,2019/11/1{n} 10:00:00")
    table = tmp_path_factory.mktemp("table") / "mail.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    deployed.ok("import", str(table), "--mapping", "mailbox_replies", "--assume-policy", "S0", "--city", "mail")
    return deployed


NOVEMBER = ("--from", "2019-11-01", "--to", "2019-11-30", "--assumed", "--city", "mail")


@pytest.mark.parametrize("kind", ["periodic_circular", "briefing"])
def test_dispatches_that_the_source_does_not_tell_of_stand_apart_and_say_so(
    brought_over: Deployment, tmp_path: Path, kind: str
):
    brought_over.ok("report", kind, *NOVEMBER, "--out", str(tmp_path / "r.html"))
    brought_over.ok("report", kind, *NOVEMBER, "--out", str(tmp_path / "r.csv"))
    said = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "派单0件次（另有来源未载、推定的派单3件次）" in said
    assert "推定派单3件次单独列示，不计入派单件次" in said
    rows = [line.split(",") for line in (tmp_path / "r.csv").read_text(encoding="utf-8-sig").splitlines()]
    told = {(row[-3], row[-2]): row[-1] for row in rows if row[-4] == "各单位"}
    assert (told["A3区", "派单"], told["A3区", "推定派单"], told["J5县", "推定派单"]) == ("0", "2", "1")


def test_a_paper_about_a_case_under_an_assumed_pack_says_so_and_what_was_presumed(
    brought_over: Deployment, town: Town, tmp_path: Path
):
    for file in ("a.html", "b.html"):
        brought_over.ok("instrument", "0", "2", "--to", str(tmp_path / file), "--city", "mail")
    said = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert said == (tmp_path / "b.html").read_text(encoding="utf-8")
    assert "@top-center" in said
    assert "推演：本件工单按假定适用的政策计算" in said
    assert "派单时间: 来源未载" in said
    assert "按映射 mailbox_replies 推定" in said
    for stream in sorted({entry.stream for entry in town.entries if entry.stream.startswith("order:")}):
        entries = [entry for entry in town.entries if entry.stream == stream]
        for entry, _ in instruments(entries):
            made, _ = paper(entries, entry.version, [e for e in town.entries if e.stream == "institution"])
            assert "推演" not in sheets.instrument(made)
