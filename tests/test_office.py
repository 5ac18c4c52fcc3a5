"""What an office asks at the terminal: duties, units, indicators, words."""

from __future__ import annotations

from pathlib import Path

import pytest

from projections.figures import INDICATORS
from projections.indicators import family
from scripts import embedded
from supervision.telephony import TELEPHONY
from tests.test_cli import CHECKOUT, Deployment, deploy, dispatched, registered, town_lines, write_script

PERIOD = ("--from", "2025-03-01", "--to", "2025-03-31")


@pytest.fixture(scope="module")
def office(postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """A town with two orders: one waits for its dispatch, one lies with an organizer."""
    town = deploy(postgres, tmp_path_factory.mktemp("office"))
    town.ok("init", "town", "--policy", "S0", "--name", "某市", "--code", "MS")
    script: Path = write_script(
        tmp_path_factory.mktemp("script") / "town.jsonl",
        *town_lines(),
        registered("a", "2025-03-03T09:00:00+08:00", title="路灯不亮", place="东区河滨街道"),
        registered("b", "2025-03-03T10:00:00+08:00", title="水管漏水"),
        dispatched("b", "2025-03-03T11:00:00+08:00"),
    )
    town.ok("import", str(script), "--city", "town")
    return town


def test_duties_of_the_hotline_and_of_a_unit(office: Deployment):
    own = office.ok("duties", "--city", "town", "--json").data
    assert [(row["command"], row["title"]) for row in own["rows"]] == [("dispatch", "路灯不亮")]
    units = office.ok("duties", "DQ-CG", "--city", "town", "--json").data
    assert [(row["command"], row["clock"]) for row in units["rows"]] == [
        ("transfer", "transfer"),
        ("reply", "handle"),
        ("sign", ""),
    ]
    shown = office.ok("duties", "DQ-CG", "--city", "town", "--at", "2025-06-01", COLUMNS="150").out
    assert "答复(办结答复)" in shown
    assert "超期 late" in shown
    narrow = office.ok("duties", "DQ-CG", "--city", "town", COLUMNS="80").out
    assert "无时限 no time given" in narrow
    only = office.ok("duties", "DQ-CG", "--role", "org_approver", "--city", "town", "--json").data
    assert {row["command"] for row in only["rows"]} == {"reply", "transfer"}


def test_a_unit_without_duties_and_one_that_is_none(office: Deployment):
    assert "没有待办 nothing to do" in office.ok("duties", "XL-CG", "--city", "town").out
    assert "没有此单位 no such unit: 'NOBODY'" in office.refused("duties", "NOBODY", "--city", "town")


def test_words_are_found_in_titles_and_places(office: Deployment):
    assert [row["title"] for row in office.ok("find", "河滨", "--city", "town", "--json").data["rows"]] == ["路灯不亮"]
    assert "水管漏水" in office.ok("find", "漏水", "--city", "town").out
    assert "没有找到 nothing found" in office.ok("find", "噪声", "--city", "town").out


def test_units_show_what_lies_on_their_desks(office: Deployment):
    units = {row["unit"]: row for row in office.ok("units", "--city", "town", "--json").data["rows"]}
    assert (units["DQ-CG"]["orders"], units["DQ-CG"]["open"], units["DQ-CG"]["duties"]) == (1, 1, 3)
    assert "DQ-CG" in office.ok("units", "--city", "town").out


def test_indicators_of_a_month_with_what_stands_above_and_below(office: Deployment):
    told = office.ok("indicators", *PERIOD, "--city", "town", "--json").data
    codes = {figure["code"] for figure in told["figures"]}
    assert codes == {*(indicator.code for indicator in INDICATORS), *TELEPHONY}
    numbers = [int(family(figure["code"])[1:]) for figure in told["figures"]]
    assert numbers == sorted(numbers), "in the order of 5.2"
    rates = {figure["code"]: (figure["above"], figure["below"]) for figure in told["figures"]}
    assert rates["I3"] == (0, 2)
    assert rates["I10"] == (0, 1), "b fell due in March and was never answered"
    shown = office.ok("indicators", *PERIOD, "--city", "town").out
    assert "I10 按时办结率" in shown
    assert "0.00%" in shown
    assert "—" in shown, "a rate with nothing below its line has no value"
    parts = office.ok("indicators", *PERIOD, "--by", "unit", "--only", "I10", "--city", "town", "--json").data
    assert [(f["part"], f["below"]) for f in parts["figures"] if f["below"]] == [("DQ-CG", 1)]
    by_type = office.ok("indicators", *PERIOD, "--by", "type", "--only", "I3", "--city", "town").out
    assert "咨询" in by_type


def test_an_unknown_indicator_and_a_period_that_ends_before_it_begins(office: Deployment):
    assert "no such indicator: I99" in office.refused("indicators", *PERIOD, "--only", "I99", "--city", "town", code=2)
    backwards = ("--from", "2025-03-31", "--to", "2025-03-01")
    assert "期末早于期初" in office.refused("indicators", *backwards, "--city", "town", code=2)


def test_orders_as_they_were_at_an_instant(office: Deployment):
    then = office.ok("list", "--as-of", "2025-03-03 10:30", "--city", "town", "--json").data
    assert [(row["title"], row["state"]) for row in then["rows"]] == [
        ("路灯不亮", "registered"),
        ("水管漏水", "registered"),
    ]
    assert office.ok("list", "--as-of", "2025-03-03 09:30", "--city", "town", "--json").data["rows"][1:] == []
    assert "没有符合条件" in office.ok("list", "--as-of", "2025-01-01", "--city", "town").out
    assert "--as-of" in office.refused("list", "--by-due", "--as-of", "2025-03-03", "--city", "town", code=2)
    assert "不是时间" in office.refused("list", "--as-of", "9999-12-31T23:59-12:00", "--city", "town")
    both = ("list", "--at", "2025-03-03", "--as-of", "2025-03-03", "--city", "town")
    assert "lateness is judged at that instant" in office.refused(*both, code=2)


def test_a_candidate_rule_is_tried_on_past_cases(office: Deployment):
    told = office.ok("whatif", "--policy", "S1", "--parent", "SC-2025", "--city", "town", "--json").data
    assert told["tried"]["cases"] == 2
    handle = next(o for o in told["tried"]["outcomes"] if o["clock"] == "handle")
    assert (handle["unit"], handle["duties"], handle["late"], handle["would_be_late"]) == ("DQ-CG", 1, 1, 1)
    shown = office.ok("whatif", "--policy", "S1", "--parent", "SC-2025", "--city", "town", "--by", "unit").out
    assert "DQ-CG" in shown
    assert "未写入 nothing was written" in shown
    empty = office.ok("whatif", "--promised", "50", "--from", "2020-01-01", "--to", "2020-12-31", "--city", "town").out
    assert "该期间没有工单" in empty
    assert "name a candidate" in office.refused("whatif", "--city", "town", code=2)


def test_a_candidate_that_gives_no_time_is_not_taken_for_one_that_is_kept(office: Deployment):
    assert "不等于按时" in office.ok("whatif", "--policy", "S1", "--city", "town").out
    assert "不等于按时" not in office.ok("whatif", "--policy", "S0", "--city", "town").out
    assert "叠加规则" in office.refused("whatif", "--policy", "CONSUMER-COMPLAINT", "--city", "town")


def test_a_last_day_that_is_named_with_an_hour_is_that_day(office: Deployment):
    for until, cases in (("2025-03-02 23:59", 0), ("2025-03-03 00:00", 2), ("2025-03-03 12:00", 2)):
        period = ("--from", "2025-01-01", "--to", until, "--city", "town", "--json")
        assert office.ok("whatif", "--policy", "S0", *period).data["tried"]["cases"] == cases


def test_a_candidate_calendar_is_read_from_a_file(office: Deployment):
    year = str(CHECKOUT / "domain" / "calendars" / "2025.toml")
    told = office.ok("whatif", "--calendar", year, "--city", "town", "--json").data
    assert [o["newly_late"] for o in told["tried"]["outcomes"]] == [0] * len(told["tried"]["outcomes"])


def test_a_period_that_ends_beyond_all_time_is_refused(office: Deployment):
    far = ("--from", "2025-01-01", "--to", "9999-12-31", "--city", "town")
    assert "日期过远" in office.refused("indicators", *far)
    office.refused("list", "--limit", "99999999999999999999", "--city", "town", code=2)


def test_what_is_nested_too_deeply_is_refused_before_it_is_read(office: Deployment):
    deep = '{"words": ' + "[" * 20_000 + "]" * 20_000 + "}"
    said = office.refused("do", "new", "register", "--json-fields", deep, "--as", "a/agent@HOTLINE", "--city", "town")
    assert "嵌套过深 nested too deeply" in said
