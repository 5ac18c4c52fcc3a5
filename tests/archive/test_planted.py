"""What somebody plants in a text: letters on a page, and never an address that anything follows."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any, cast

import msgspec
import pikepdf
import pytest

from archive import contents, dossier
from archive.contents import Item
from archive.fonds import Fonds
from archive.material import Material, UseCopy
from archive.pdf import Printer
from domain import order
from domain.terms import Actor, Entry, Fact, Role, Sealed
from scripts import dossiers
from tests import samples
from tests.archive import profile
from tests.archive.filed import ARCHIVIST, FONDS, Office, within

PLANTED = (
    "</style></td></table><img src=file:///etc/passwd><link rel=attachment href=file:///etc/hostname>"
    "<base href=http://127.0.0.1:9/><style>@import url(http://127.0.0.1:9/a.css);*{background:url(file:///b)}</style>"
    '<svg onload=x()><image href="http://127.0.0.1:9/c"/></svg><a href=javascript:x()>{{ 7*7 }}{% x %}</a>"\'>&#60;'
)
"""All that a page might follow, run or be broken out of by."""

SEEN = "{{7*7}}{%x%}"
"""A part of it that no line of the page can look like."""


class Planting(Material, frozen=True, kw_only=True, dict=True):
    """Material in which every sealed text says what was planted."""

    def text(self, sealed: Sealed) -> str:
        """Return what was planted."""
        return PLANTED


def planted(kind: type[Fact]) -> Fact:
    """Return a sample of an event in which every text that takes it says what was planted."""
    said = msgspec.to_builtins(samples.sample(kind))
    for holder, key in list(leaves(said)):
        before, holder[key] = holder[key], PLANTED
        try:
            msgspec.convert(said, kind)
        except msgspec.ValidationError:
            holder[key] = before
    return msgspec.convert(said, kind)


def leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield where the texts of a value stand; not its tag, nor what is sealed."""
    every = list(value.items() if isinstance(value, dict) else enumerate(value))
    if isinstance(value, dict) and set(value) == {"key", "box"}:
        return
    for key, one in every:
        if isinstance(one, str) and key != "type":
            yield value, key
        elif isinstance(one, dict | list):
            yield from leaves(one)


class Reading(HTMLParser):
    """Reads pages as a renderer does: elements, addresses, styles, and the words between."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.addresses: list[str] = []
        self.others: set[str] = set()
        self.styles: list[str] = []
        self.words: list[str] = []
        self._in = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self._in = tag
        for name, value in attrs:
            if name in ("src", "href", "data", "action", "xlink:href", "poster", "srcset"):
                self.addresses.append(value or "")
            elif name == "style":
                self.styles.append(value or "")
            else:
                self.others.add(name)

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        (self.styles if self._in == "style" else self.words).append(data)


@pytest.fixture(scope="module")
def case(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Material:
    """Material of a plain case, as it is before anything is planted."""

    async def work(there: Office) -> Material:
        stream = await there.closed(1)
        async with Printer() as printer:
            gatherer = dossiers.Gatherer(there.ledger, there.log, FONDS, await printer.faces())
            keys = await there.ledger.hand_out_keys(stream, viewer=ARCHIVIST, purpose="filing", command_id="planted")
            return await gatherer.gather(stream, "full", keys=keys)

    return within(postgres, tmp_path_factory.mktemp("planted"), work)


def pages_of(case: Material, kinds: list[type[Fact]], monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the pages of a file that has one of each of these events, planted in wherever somebody may write."""
    at = datetime(2025, 3, 4, 1, 0, tzinfo=UTC)
    copy = UseCopy(number=PLANTED, purpose=PLANTED, receiver=PLANTED, at=at)
    told = msgspec.structs.replace(case.told, copy=copy, fonds=Fonds(name=PLANTED, code="X043", archives=PLANTED))
    made = Planting(told=told, case=case.case, law_events=case.law_events, keys=case.keys)
    by = Actor(user="agent", role=Role.AGENT, unit="HOTLINE")
    entries = [
        Entry(event=planted(kind), stream=case.case.stream, version=n, position=n, recorded_at=at, actor=by)
        for n, kind in enumerate(kinds, 1)
    ]
    demand = msgspec.structs.replace(case.order.demand, title=PLANTED, old_number=PLANTED)
    order_ = msgspec.structs.replace(case.order, demand=demand)
    held: dict[str, Any] = cast("dict[str, Any]", made.__dict__)
    held |= {"order": order_, "entries": entries, "leaves": [bytes(32)] * len(entries)}

    def items(material: Material, _: Any) -> list[Item]:
        records = tuple(contents._record(material, entry) for entry in entries)
        return [Item("registration", PLANTED, PLANTED, PLANTED, "20250304", (), records, PLANTED)]

    monkeypatch.setattr(contents, "items", items)
    return dossier.document(made, {}, "")


def test_what_is_planted_in_any_text_of_any_event_stays_words(case: Material, monkeypatch: pytest.MonkeyPatch):
    plain, found = Reading(), Reading()
    plain.feed(dossier.document(case, {}, ""))
    kinds = sorted(order.EVENTS, key=samples.tag)
    found.feed(pages_of(case, kinds, monkeypatch))
    assert found.elements <= plain.elements
    assert found.others <= plain.others
    assert {one.partition(",")[0].partition("-")[0][:1] for one in found.addresses} <= {"#", "d"}
    assert all(one.startswith(("#", "data:image/")) for one in found.addresses)
    for style in found.styles:
        assert not any(word in style for word in ("@import", "url(", "127.0.0.1", "file:"))
    said = "".join("".join(found.words).split())
    wordy = [kind for kind in kinds if PLANTED in repr(planted(kind)) or "Sealed(" in repr(samples.sample(kind))]
    assert len(wordy) > 90
    assert said.count(SEEN) > len(wordy), "it is there to be read"


async def test_a_page_full_of_it_reaches_nothing_and_leads_nowhere(case: Material, monkeypatch: pytest.MonkeyPatch):
    kinds = sorted(order.EVENTS, key=samples.tag)[::12]
    html = pages_of(case, kinds, monkeypatch)
    async with Printer() as printer:
        content = await printer.pdf(html, case.files)
    profile.fit(content)
    assert SEEN in "".join(profile.pages(content))
    with pikepdf.open(io.BytesIO(content)) as pdf:
        assert sorted(pdf.attachments) == sorted(one.name for one in case.files)
        actions = {
            str(one.S) for one in pdf.objects if isinstance(one, pikepdf.Dictionary) and one.get("/Type") == "/Action"
        }
        assert not [one for one in pdf.objects if isinstance(one, pikepdf.Dictionary) and "/URI" in one]
        assert not [one for one in pdf.objects if isinstance(one, pikepdf.Dictionary) and "/JS" in one]
    assert actions <= {"/GoTo"}
    assert b"root:" not in content
