"""文书: every kind printed from the walked rule texts, the same again afterwards, and nothing sealed without a reason."""

from __future__ import annotations

import asyncio
import io
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pikepdf
import pytest

from archive.pdf import Printer
from domain import journals
from domain.institution import PolicyPackPublished
from domain.ledger import Ledger
from domain.matters.notices import UnitNoticeIssued
from domain.refusals import Erased
from domain.steps.oversight import SpecialReportDrafted, SupervisionNoticeIssued
from domain.terms import Actor, Entry, Role
from domain.wording import instant_words
from scripts import embedded
from supervision import instruments as papers
from supervision import register, sheets
from supervision.instruments import MASK, InstrumentKind, NotAnInstrument, Shown, instruments, paper
from tests.given import at
from tests.test_cases import CASES, Town, founded, imported, opened

WALKED = ("s0", "s1", "s2", "s4", "rest")
READER = Actor(user="reader", role=Role.HOTLINE_MANAGER, unit="HOTLINE")


async def _town(postgres: embedded.Database, text: str, rejects: Path) -> Town:
    city = await founded(postgres, "s0" if text == "rest" else text)
    return await imported(city, CASES / f"{text}.jsonl", rejects / "rejects.jsonl")


@pytest.fixture(scope="module")
def towns(postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Town]:
    """Cities into which the scripts of the rule texts were imported."""
    folder = tmp_path_factory.mktemp("towns")
    return {text: asyncio.run(_town(postgres, text, folder)) for text in WALKED}


def records(town: Town) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in town.entries:
        if not journals.is_journal(entry.stream):
            found.setdefault(entry.stream, []).append(entry)
    return found


def opener(ledger: Ledger, key: str) -> register.Opener:
    async def opened_for(shown: Sequence[Shown]) -> Mapping[str, str | Erased]:
        fields = {one.name: one.sealed for one in shown}
        return await ledger.open_sealed(
            fields, stream=shown[0].entry.stream, viewer=READER, purpose="printing", command_id=key
        )

    return opened_for


def test_every_event_that_has_a_paper_is_printed_somewhere_with_its_own_running_number(towns: dict[str, Town]):
    events: set[type] = set()
    kinds: set[InstrumentKind] = set()
    for text, town in towns.items():
        found = records(town)
        numbers: list[tuple[InstrumentKind, str]] = []
        for entries in found.values():
            for entry, kind in instruments(entries):
                made, _ = paper(entries, entry.version, found["institution"])
                html = sheets.instrument(made)
                assert made.number, (text, entry.event)
                assert f"{made.at.year}〕" in made.number
                assert f"位置 {entry.position}" in html
                assert made.to, (text, kind)
                assert made.sections, (text, kind)
                numbers.append((kind, made.number))
                events.add(type(entry.event))
                kinds.add(kind)
        assert len(numbers) == len(set(numbers)), "no number stands on two papers"
    assert kinds == set(InstrumentKind)
    assert events == papers.PRINTED


def test_a_paper_is_about_its_event_and_nothing_that_came_later(towns: dict[str, Town]):
    for town in towns.values():
        found = records(town)
        for entries in found.values():
            for entry, _ in instruments(entries):
                now, _ = paper(entries, entry.version, found["institution"])
                laws = [one for one in found["institution"] if one.position < entry.position]
                then, _ = paper([one for one in entries if one.version <= entry.version], entry.version, laws)
                assert sheets.instrument(now) == sheets.instrument(then)


def test_without_a_reason_nothing_sealed_is_on_paper_and_no_identity_ever_is(towns: dict[str, Town]):
    seen = 0
    for town in towns.values():
        found = records(town)
        for entries in found.values():
            for entry, _ in instruments(entries):
                made, shown = paper(entries, entry.version, found["institution"])
                html = sheets.instrument(made)
                assert made.masked is bool(shown)
                assert bool(shown) == (MASK in html)
                assert ("密封版" in html) is made.masked
                assert not any(re.match("applicant|caller|address|accused_persons", one.path) for one in shown)
                seen += len(shown)
    assert seen > 50


async def test_a_full_edition_is_opened_once_the_journal_says_who_looked_and_why(towns: dict[str, Town]):
    town = towns["s4"]
    found = records(town)
    stream, entry = next(
        (stream, entry)
        for stream, entries in found.items()
        for entry, kind in instruments(entries)
        if kind is InstrumentKind.SPECIAL_REPORT
    )
    async with opened(town.city) as ledger:
        day = journals.access_of(await ledger.now())
        before = len(await ledger.history(day))
        made = await register.read(ledger, stream, entry.version, opener(ledger, "full"))
        logged = (await ledger.history(day))[before:]
        assert [one.event.purpose for one in logged] == ["printing"]
        assert logged[0].event.stream == stream
        html = sheets.instrument(made)
        assert "涵洞权属未登记" in html  # the draft's facts, which a leader approved
        assert MASK not in html
        assert "领导 zf-leader" in html
        assert 'class="red"' in html
        witnessed = await ledger.witnesses(entry.position - 1, entry.position)
        assert f"叶值 sha256:{witnessed[0].event.leaf.hex()}" in html
        with pytest.raises(NotAnInstrument):
            await register.read(ledger, stream, 1)
        with pytest.raises(NotAnInstrument):
            await register.read(ledger, stream, 999)


async def test_the_register_of_a_kind_lists_its_papers_by_number_without_gap(towns: dict[str, Town]):
    town = towns["s4"]
    async with opened(town.city) as ledger:

        async def slips(after: tuple[int, int] | None, limit: int) -> register.Page:
            return await register.numbered(
                ledger, InstrumentKind.DISPATCH_SLIP, ["2025", "HY2025"], after=after, limit=limit
            )

        whole = await slips(None, 100)
        assert [row.no for row, _, _ in whole.rows] == list(range(1, len(whole.rows) + 1))
        assert whole.more is None
        first = await slips(None, 3)
        assert first.more == (1, 3)
        rest = await slips(first.more, 100)
        assert [row for row, _, _ in (*first.rows, *rest.rows)] == [row for row, _, _ in whole.rows]
        assert whole.rows[0][0].number == "HY交办〔2025〕1号"
        none = await register.numbered(ledger, InstrumentKind.CIRCULAR, ["1999"], after=None, limit=9)
        assert none.rows == ()


async def test_a_printed_paper_is_one_page_that_says_what_the_office_wants(towns: dict[str, Town], tmp_path: Path):
    town = towns["s4"]
    found = records(town)
    picked = {
        kind: (entries, entry)
        for entries in found.values()
        for entry, kind in instruments(entries)
        if kind in (InstrumentKind.DISPATCH_SLIP, InstrumentKind.CIRCULAR)
    }
    async with Printer() as printer:
        for kind, (entries, entry) in picked.items():
            made, _ = paper(entries, entry.version, found["institution"], leaf="sha256:00")
            html = sheets.instrument(made)
            pdf = await printer.pdf(html)
            assert pdf == await printer.pdf(html)
            with pikepdf.open(io.BytesIO(pdf)) as read:
                assert len(read.pages) == 1
                assert str(read.docinfo.Title) == f"{made.title} {made.number}"
            (tmp_path / f"{kind}.pdf").write_bytes(pdf)
            text = _text(tmp_path / f"{kind}.pdf")
            for said in (made.number, made.title, "印章", made.issuer, f"位置{entry.position}"):
                assert said.replace(" ", "") in text, said


def _text(path: Path) -> str:
    try:
        done = subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, text=True, check=True)
    except FileNotFoundError:
        pytest.skip("pdftotext (poppler-utils) is not installed here")
    return re.sub(r"\s", "", done.stdout)


def test_what_somebody_wrote_is_text_on_paper_and_never_markup(towns: dict[str, Town]):
    found = records(towns["s4"])
    entries, entry = next((entries, e) for entries in found.values() for e, _ in instruments(entries))
    _, shown = paper(entries, entry.version, found["institution"])
    sly = {one.name: "<img src=x><script>alert(1)</script>{{ 7*7 }}" for one in shown}
    made, _ = paper(entries, entry.version, found["institution"], opened=sly)
    html = sheets.instrument(made)
    assert "<script>" not in html
    assert "<img" not in html
    assert "{{ 7*7 }}" in html


def test_under_a_leaders_name_stand_the_words_that_the_leader_approved(towns: dict[str, Town]):
    """The notice says other facts than the draft: the paper shows those of the draft."""
    town = towns["s4"]
    entries, issued = next(
        (entries, entry)
        for entries in records(town).values()
        for entry in entries
        if isinstance(entry.event, SupervisionNoticeIssued) and entry.event.special_report is not None
    )
    draft = next(entry for entry in entries if isinstance(entry.event, SpecialReportDrafted))
    other = msgspec.structs.replace(issued.event, facts=draft.event.demand, demand=draft.event.facts)
    forged = [msgspec.structs.replace(e, event=other) if e is issued else e for e in entries]
    laws = records(town)["institution"]
    _, shown = paper(forged, issued.version, laws)
    names = {f"{draft.version}:{path}": f"批准的{path}" for path in ("facts", "demand")}
    assert {one.name for one in shown} >= set(names)
    assert not [one for one in shown if one.entry.version == issued.version]
    printed, _ = paper(forged, issued.version, laws, opened=names)
    assert {text for one in printed.sections for text in one.paragraphs} >= set(names.values())


def test_a_notice_to_a_unit_is_printed_also_where_no_pack_is_in_force(towns: dict[str, Town]):
    found = [
        (town, entries, entry)
        for town in towns.values()
        for entries in records(town).values()
        for entry in entries
        if isinstance(entry.event, UnitNoticeIssued) and entry.event.served_by_system and entry.event.limit is not None
    ]
    assert found
    for town, entries, entry in found:
        laws = records(town)["institution"]
        without = [law for law in laws if not isinstance(law.event, PolicyPackPublished)]
        printed, _ = paper(entries, entry.version, without)
        assert printed.reply_by == paper(entries, entry.version, laws)[0].reply_by
        assert printed.reply_by.endswith("前书面回复")


def test_midnight_is_the_end_of_the_day_before():
    assert instant_words(at("2025-03-12 00:00")) == "2025年3月11日24时"
    assert instant_words(at("2025-03-12 09:05")) == "2025年3月12日9时05分"
