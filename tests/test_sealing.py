"""Sealed fields: nothing personal lies in the open, one person is one subject until erased, informants are nobody's."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from domain import sealing
from domain.context import StreamKind
from domain.ledger import Ledger
from domain.refusals import (
    CodeExpected,
    Erased,
    NothingForTwo,
    SealedElsewhere,
    SealedFromOutside,
    TwoPersonsNeeded,
    TwoPersonsNotAppointed,
    UnknownStream,
    WrongKey,
)
from domain.sealing import Consent, Keyring, plain_number
from domain.terms import (
    Act,
    Actor,
    Applicant,
    ApplicantKind,
    Attachment,
    Confidentiality,
    Fact,
    Origin,
    Private,
    Role,
    Sealed,
    Shred,
    Struct,
)
from tests.conftest import City, as_superuser, new_city
from tests.test_ledger import AGENT, BurnSlip, NoteSlip, OpenSlip, cid, do, opened
from tests.test_ledger import KINDS as SLIP_KINDS

VIEWER = Actor(user="qc1", role=Role.QC_REVIEWER, unit="hotline")
ZHANG = Applicant(kind=ApplicantKind.PERSON, name="张三", phone="138 0013 8000")


# --- a world with everything that can be private ------------------------------------------------------------------


class Part(Struct, frozen=True):
    words: Private
    plain: str = ""


class Everything(Struct, frozen=True):
    applicant: Applicant | None = None
    content: Private = ""
    parts: tuple[Part, ...] = ()
    notes: tuple[Private, ...] = ()
    by_name: dict[str, Private] = {}
    either: Part | int | None = None
    files: tuple[Attachment, ...] = ()
    confidentiality: Confidentiality = Confidentiality.NORMAL
    unit: str = "B1"


class FileOpened(Fact, frozen=True, tag="file.opened"):
    all: Everything
    subject: UUID | None = None


class FileMarked(Fact, frozen=True, tag="file.marked"):
    confidentiality: Confidentiality


class SubjectErased(Fact, frozen=True, tag="subject.erased"):
    pass


class OpenFile(Act, frozen=True, tag="open_file"):
    creates: ClassVar[str] = "file"
    all: Everything
    confidentiality: Confidentiality = Confidentiality.NORMAL


class MarkFile(Act, frozen=True, tag="mark_file"):
    confidentiality: Confidentiality
    words: Private | None = None


class Erase(Act, frozen=True, tag="erase"):
    pass


class Leak(Act, frozen=True, tag="leak"):
    pass


def decide_file(state: Any, act: Act, context: Any) -> list[Any]:
    match act:
        case OpenFile(all=everything):
            return [FileOpened(all=everything, subject=context.subject)]
        case MarkFile(confidentiality=marked):
            return [FileMarked(confidentiality=marked)]
        case Leak():
            return [FileOpened(all=Everything(content="a rule wrote this in plain"))]
        case _:
            raise AssertionError


FILE = StreamKind(
    name="file",
    events=(FileOpened, FileMarked),
    commands=(OpenFile, MarkFile, Leak),
    evolve=lambda state, entry: entry.event,
    decide=decide_file,
)
SUBJECT = StreamKind(
    name="subject",
    events=(SubjectErased,),
    commands=(Erase,),
    evolve=lambda state, entry: entry.event,
    decide=lambda state, act, context: [
        SubjectErased(),
        Shred(subject=UUID(context.stream.removeprefix("subject:"))),
    ],
)
KINDS = (*SLIP_KINDS, FILE, SUBJECT)


@contextlib.asynccontextmanager
async def door(city: City) -> AsyncIterator[Ledger]:
    async with await Ledger.open(
        city.database.app, city.name, kinds=KINDS, keyring=city.keyring, entropy=secrets.token_bytes
    ) as ledger:
        yield ledger


async def filed(ledger: Ledger, **fields: Any) -> Any:
    said = fields.pop("confidentiality", Confidentiality.NORMAL)
    act = OpenFile(all=Everything(**fields), confidentiality=said)
    return await ledger.execute(act, actor=AGENT, command_id=cid())


async def read(ledger: Ledger, stream: str, **fields: Any) -> dict[str, Any]:
    consents = fields.pop("consents", ())
    return await ledger.open_sealed(
        fields, stream=stream, viewer=VIEWER, purpose="quality_check", command_id=cid(), consents=consents
    )


def everything_stored(city: City) -> str:
    """All that lies in the city's schema, as one text."""
    tables = ("events", "commits", "keys", "subjects", "head", "ledger")
    rows = [row for t in tables for row in as_superuser(city, f"SELECT row_to_json(t)::text FROM {{}}.{t} AS t")]
    return "\n".join(str(row[0]) for row in rows)


def keys(city: City) -> list[tuple[Any, ...]]:
    return as_superuser(city, "SELECT stream, holder, wrap FROM {}.keys WHERE stream <> '' ORDER BY stream, holder")


# --- nothing in the open -----------------------------------------------------------------------------------------

FULL = {
    "applicant": ZHANG,
    "content": "幸福路12号井盖丢失",
    "parts": (Part(words="第一部分"), Part(words="第二部分", plain="shown")),
    "notes": ("备注一", "备注二"),
    "by_name": {"k": "值"},
    "either": Part(words="其一"),
    "files": (Attachment(digest="sha256:" + "0" * 64, size=1, media_type="image/jpeg", name="我家门口.jpg"),),
}
SECRETS = ("张三", "138 0013", "13800138000", "幸福路", "第一", "第二", "备注", "值", "其一", "我家")


async def test_every_private_field_wherever_it_lies_is_sealed_and_opens_again(city: City):
    async with door(city) as ledger:
        receipt = await filed(ledger, **FULL)
        held = receipt.events[0].event.all
        texts = await read(
            ledger,
            receipt.stream,
            name=held.applicant.name,
            phone=held.applicant.phone,
            content=held.content,
            first=held.parts[0].words,
            second=held.parts[1].words,
            note=held.notes[1],
            by_name=held.by_name["k"],
            either=held.either.words,
            file=held.files[0].name,
        )
        assert texts == {
            "name": "张三",
            "phone": "138 0013 8000",
            "content": "幸福路12号井盖丢失",
            "first": "第一部分",
            "second": "第二部分",
            "note": "备注二",
            "by_name": "值",
            "either": "其一",
            "file": "我家门口.jpg",
        }
        assert (held.unit, held.parts[1].plain) == ("B1", "shown")
        assert not any(secret in everything_stored(city) for secret in SECRETS)


async def test_opening_is_in_the_access_journal_before_the_text_is_seen(city: City):
    async with door(city) as ledger:
        receipt = await filed(ledger, content="幸福路")
        sealed = receipt.events[0].event.all.content
        await ledger.open_sealed(
            {"content": sealed},
            stream=receipt.stream,
            viewer=VIEWER,
            purpose="complaint",
            command_id="look1",
            words="家属来电",
        )
        [entry] = [e for e in await ledger.read(0, 100) if e.stream.startswith("access:")]
        assert (entry.actor, entry.event.purpose, entry.event.stream) == (VIEWER, "complaint", receipt.stream)
        assert entry.event.fields == ("all.content",)
        assert isinstance(entry.event.words, Sealed)


async def test_the_access_journal_cannot_be_made_to_say_another_case_field_or_purpose(city: City):
    async with door(city) as ledger:
        one, two = (
            await filed(ledger, content="甲", applicant=ZHANG),
            await filed(ledger, content="乙", applicant=ZHANG),
        )
        held = two.events[0].event.all
        before = await ledger.head()
        for stream in (one.stream, f"file:{UUID(int=1)}"):
            with pytest.raises(SealedElsewhere):
                await read(ledger, stream, content=held.content)
        with pytest.raises(SealedElsewhere):
            await read(ledger, one.stream, mine=one.events[0].event.all.content, other=held.applicant.name)
        with pytest.raises(UnknownStream):
            await read(ledger, "张三 13900001111", content=held.content)
        said = {"stream": two.stream, "viewer": VIEWER, "command_id": cid()}
        for purpose in ("", "张三投诉", "a b"):
            with pytest.raises(CodeExpected):
                await ledger.open_sealed({"content": held.content}, purpose=purpose, **said)
        assert await ledger.head() == before
        assert await read(ledger, two.stream, 张三=held.applicant.name) == {"张三": "张三"}
        [entry] = [e for e in await ledger.read(0, 100) if e.stream.startswith("access:")]
        assert (entry.event.stream, entry.event.fields) == (two.stream, ("all.applicant.name",))


async def test_a_rule_that_writes_private_text_in_plain_is_stopped_before_anything_is_stored(city: City):
    async with door(city) as ledger:
        receipt = await filed(ledger)
        with pytest.raises(TypeError, match=r"all\.content"):
            await do(ledger, receipt.stream, Leak())
        assert (await ledger.head())[0] == 1


async def test_a_sealed_field_moved_to_another_case_or_field_does_not_open(city: City):
    async with door(city) as ledger:
        one, two = await filed(ledger, content="甲", notes=("乙",)), await filed(ledger, content="丙")
        held = one.events[0].event.all
        path, _, box = held.content.box.rpartition(":")
        assert path == "all.content"
        with pytest.raises(WrongKey):
            await read(ledger, one.stream, x=Sealed(key=held.content.key, box=f"all.notes.0:{box}"))
        with pytest.raises(WrongKey):
            await read(ledger, two.stream, x=Sealed(key=two.events[0].event.all.content.key, box=held.content.box))
        with pytest.raises(WrongKey):
            await read(ledger, one.stream, x=Sealed(key=held.content.key, box="not base64!"))


async def test_what_is_recorded_by_import_is_sealed_too(city: City):
    async with door(city) as ledger:
        receipt = await ledger.record(
            [FileOpened(all=Everything(**FULL))],
            stream="file:old",
            actor=AGENT,
            command_id=cid(),
            occurred_at=datetime(2024, 1, 1, tzinfo=UTC),
            origin=Origin.IMPORT,
        )
        assert (await read(ledger, "file:old", x=receipt.events[0].event.all.content))["x"] == FULL["content"]
        assert not any(secret in everything_stored(city) for secret in SECRETS)


def test_a_struct_without_private_fields_is_handed_on_as_it_is():
    survey = sealing.Survey(SubjectErased())
    assert not survey.private
    one = Everything()
    assert sealing.rewrite(one, survey) == one


# --- subjects ----------------------------------------------------------------------------------------------------


def subject_of(receipt: Any) -> UUID:
    held = receipt.events[0].event.all.applicant
    assert held.subject == receipt.events[0].event.subject or receipt.events[0].event.subject is None
    return held.subject


@pytest.mark.parametrize("written", ["13800138000", "+86 138-0013-8000", "0086 13800138000", "138 0013 8000"])
async def test_the_same_number_however_written_is_the_same_subject(city: City, written: str):
    async with door(city) as ledger:
        first = await filed(ledger, applicant=ZHANG)
        again = await filed(ledger, applicant=msgspec.structs.replace(ZHANG, name="张先生", phone=written))
        other = await filed(ledger, applicant=msgspec.structs.replace(ZHANG, phone="13900139000"))
        assert subject_of(first) == subject_of(again) != subject_of(other)


@pytest.mark.parametrize(
    ("written", "plain"),
    [("028-8123 4567", "02881234567"), ("+1 212 555 0100", "12125550100"), ("8612345", "8612345"), ("内线", "内线")],
)
def test_a_number_is_found_by_its_digits(written: str, plain: str):
    assert plain_number(written) == plain


async def test_one_number_at_many_windows_at_once_is_one_subject(city: City):
    async with door(city) as one, door(city) as two:
        receipts = await asyncio.gather(*(filed((one, two)[i % 2], applicant=ZHANG) for i in range(30)))
        assert len({subject_of(r) for r in receipts}) == 1


async def test_each_case_has_a_key_of_its_own_and_later_texts_use_the_applicants(city: City):
    async with door(city) as ledger:
        one = (await opened(ledger, applicant=ZHANG, words="甲")).stream
        two = (await opened(ledger, applicant=ZHANG, words="乙")).stream
        three = (await opened(ledger, words="丙")).stream
        for slip in (one, two, three):
            await do(ledger, slip, NoteSlip(words="后记"))
        subject = str((await ledger.history(one))[0].event.applicant.subject)
        expected = [(slip, holder, "master") for slip in (one, two) for holder in (subject, f"{subject}:texts")]
        assert keys(city) == sorted([*expected, (three, "", "master")])


async def test_an_erased_subject_is_unreadable_everywhere_and_the_number_is_somebody_new(city: City):
    async with door(city) as ledger:
        one, two = await filed(ledger, applicant=ZHANG, content="甲"), await filed(ledger, applicant=ZHANG)
        keeps = await filed(ledger, content="丙")
        subject = subject_of(one)
        await ledger.execute(Erase(), stream=f"subject:{subject}", actor=AGENT, command_id=cid())
        for receipt in (one, two):
            held = receipt.events[0].event.all
            texts = await read(ledger, receipt.stream, name=held.applicant.name, phone=held.applicant.phone)
            assert all(isinstance(text, Erased) for text in texts.values())
        assert isinstance((await read(ledger, one.stream, x=one.events[0].event.all.content))["x"], Erased)
        assert (await read(ledger, keeps.stream, x=keeps.events[0].event.all.content))["x"] == "丙"
        assert subject_of(await filed(ledger, applicant=ZHANG)) != subject
        assert await ledger.verify_all() == []
        [shred] = [e for e in await ledger.read(0, 100) if e.stream == "shreds:all"]
        assert shred.event.subject == subject


async def test_the_keys_of_a_case_go_in_the_commit_that_says_so(city: City):
    async with door(city) as ledger:
        burnt, kept = await opened(ledger, applicant=ZHANG, words="机密"), await opened(ledger, applicant=ZHANG)
        await do(ledger, burnt.stream, BurnSlip())
        assert [stream for stream, _, _ in keys(city)] == [kept.stream]
        assert isinstance((await read(ledger, burnt.stream, x=burnt.events[0].event.words))["x"], Erased)
        later = await do(ledger, burnt.stream, NoteSlip(words="新的"))  # a new key, not the old one
        assert (await read(ledger, burnt.stream, x=later.events[0].event.words))["x"] == "新的"


async def test_sealing_that_met_an_erasure_is_done_again(city: City):
    async with door(city) as one, door(city) as two:
        subject = subject_of(await filed(one, applicant=ZHANG))
        erasing = one.execute(Erase(), stream=f"subject:{subject}", actor=AGENT, command_id=cid())
        receipts = await asyncio.gather(erasing, *(filed(two, applicant=ZHANG) for _ in range(20)))
        at = receipts[0].first_position
        for receipt in receipts[1:]:
            assert (subject_of(receipt) == subject) == (receipt.first_position < at)
        assert len({subject_of(r) for r in receipts[1:] if r.first_position > at}) <= 1


# --- informants --------------------------------------------------------------------------------------------------


class Two:
    """The two who hold the informants' key between them."""

    def __init__(self) -> None:
        self.li, self.wang = (X25519PrivateKey.generate() for _ in range(2))
        self.public = {"li": self.li.public_key().public_bytes_raw(), "wang": self.wang.public_key().public_bytes_raw()}

    def both(self) -> list[Consent]:
        return [Consent("li", self.li.private_bytes_raw()), Consent("wang", self.wang.private_bytes_raw())]


@pytest.fixture
def two() -> Two:
    return Two()


@pytest.fixture
def city_of_two(postgres: Any, two: Two) -> City:
    """A fresh ledger whose informants' key is held by two persons."""
    return new_city(postgres, keyring=Keyring(secrets.token_bytes(32), two.public))


async def test_an_informant_is_opened_by_the_two_together_and_by_nobody_else(city_of_two: City, two: Two):
    async with door(city_of_two) as ledger:
        receipt = await filed(ledger, applicant=ZHANG, content="举报", confidentiality=Confidentiality.INFORMANT)
        held = receipt.events[0].event.all
        for consents in ((), two.both()[:1], two.both()[1:]):
            with pytest.raises(TwoPersonsNeeded):
                await read(ledger, receipt.stream, name=held.applicant.name, consents=consents)
        forged = [two.both()[0], Consent("wang", secrets.token_bytes(32))]
        with pytest.raises(WrongKey):
            await read(ledger, receipt.stream, name=held.applicant.name, consents=forged)
        opened_ = await read(ledger, receipt.stream, name=held.applicant.name, consents=two.both())
        assert opened_ == {"name": "张三"}
        assert await read(ledger, receipt.stream, content=held.content) == {"content": "举报"}
        looks = [e.event.together for e in await ledger.read(0, 100) if e.stream.startswith("access:")]
        assert looks == [(), ("li",), ("wang",), ("li", "wang"), ("li", "wang"), ()]


async def test_an_informants_keys_leave_the_house_closed_or_by_the_two_together(city_of_two: City, two: Two):
    async with door(city_of_two) as ledger:
        receipt = await filed(ledger, applicant=ZHANG, content="举报", confidentiality=Confidentiality.INFORMANT)
        asked = {"viewer": AGENT, "purpose": "archive_transfer"}
        (closed,) = await ledger.closed_for_two(receipt.stream, command_id=cid(), **asked)
        assert closed.wrap == "li,wang"
        for consents in ((), two.both()[:1]):
            with pytest.raises(TwoPersonsNeeded):
                await ledger.open_by_two(receipt.stream, command_id=cid(), consents=consents, **asked)
        keys = await ledger.open_by_two(receipt.stream, command_id=cid(), consents=two.both(), **asked)
        name = receipt.events[0].event.all.applicant.name
        assert sealing.opened(name, receipt.stream, keys[closed.id]) == "张三"
        looks = [e.event for e in await ledger.read(0, 100) if e.stream.startswith("access:")]
        said = [(look.fields, look.together) for look in looks]
        assert said == [(("sealed_part",), ()), *((("identity",), one) for one in ((), ("li",), ("li", "wang")))]
        plain = await filed(ledger, applicant=ZHANG, content="咨询")
        with pytest.raises(NothingForTwo):
            await ledger.closed_for_two(plain.stream, command_id=cid(), **asked)
        with pytest.raises(NothingForTwo):
            await ledger.open_by_two(plain.stream, command_id=cid(), consents=two.both(), **asked)


async def test_an_informant_has_no_row_and_is_never_found_again(city_of_two: City):
    async with door(city_of_two) as ledger:
        said = {"applicant": ZHANG, "confidentiality": Confidentiality.INFORMANT}
        one, again = await filed(ledger, **said), await filed(ledger, **said)
        known = await filed(ledger, applicant=ZHANG)
        assert len({subject_of(r) for r in (one, again, known)}) == 3
        assert as_superuser(city_of_two, "SELECT subject FROM {}.subjects") == [(subject_of(known),)]


async def test_a_case_that_becomes_an_informants_comes_under_two_persons_in_that_commit(city_of_two: City, two: Two):
    async with door(city_of_two) as ledger:
        receipt = await filed(ledger, applicant=ZHANG, content="举报某单位")
        held, subject = receipt.events[0].event.all, str(subject_of(receipt))
        marked = MarkFile(confidentiality=Confidentiality.INFORMANT, words="依申请")
        await do(ledger, receipt.stream, marked)
        assert (receipt.stream, subject, "li,wang") in keys(city_of_two)
        with pytest.raises(TwoPersonsNeeded):
            await read(ledger, receipt.stream, name=held.applicant.name)
        assert (await read(ledger, receipt.stream, name=held.applicant.name, consents=two.both()))["name"] == "张三"
        assert as_superuser(city_of_two, "SELECT count(*) FROM {}.subjects") == [(0,)]
        assert await read(ledger, receipt.stream, content=held.content) == {"content": "举报某单位"}  # handlers read on
        later = await filed(ledger, applicant=ZHANG)
        assert str(subject_of(later)) != subject  # no later case says who it was


async def test_marking_one_case_of_a_person_leaves_the_others_theirs(city_of_two: City, two: Two):
    async with door(city_of_two) as ledger:
        first, plain = await filed(ledger, applicant=ZHANG, content="举报"), await filed(ledger, applicant=ZHANG)
        subject = subject_of(plain)
        marked = MarkFile(confidentiality=Confidentiality.INFORMANT)
        outcomes = await asyncio.gather(
            do(ledger, first.stream, marked), *(filed(ledger, applicant=ZHANG) for _ in range(5))
        )
        assert {subject_of(receipt) for receipt in outcomes[1:]} == {subject}
        assert subject_of(await filed(ledger, applicant=ZHANG)) == subject
        name = plain.events[0].event.all.applicant.name
        assert await read(ledger, plain.stream, name=name) == {"name": "张三"}
        with pytest.raises(TwoPersonsNeeded):
            await read(ledger, first.stream, name=first.events[0].event.all.applicant.name)
        for receipt in (plain, *outcomes[1:]):
            await do(ledger, receipt.stream, marked)
        after = subject_of(await filed(ledger, applicant=ZHANG))  # one case was left: it still names them
        assert after == subject


async def test_erasing_an_informant_erases_what_they_said_too(city_of_two: City, two: Two):
    async with door(city_of_two) as ledger:
        said = {"applicant": ZHANG, "content": "举报", "confidentiality": Confidentiality.INFORMANT}
        receipt = await filed(ledger, **said)
        held = receipt.events[0].event.all
        assert {wrap for _, _, wrap in keys(city_of_two)} == {"li,wang", "master"}
        erase = Erase()
        await ledger.execute(erase, stream=f"subject:{subject_of(receipt)}", actor=AGENT, command_id=cid())
        texts = await read(ledger, receipt.stream, name=held.applicant.name, content=held.content)
        assert all(isinstance(text, Erased) for text in texts.values())
        assert keys(city_of_two) == []


async def test_without_two_persons_an_informant_is_not_taken_at_all(city: City):
    async with door(city) as ledger:
        with pytest.raises(TwoPersonsNotAppointed):
            await filed(ledger, applicant=ZHANG, confidentiality=Confidentiality.INFORMANT)
        assert (await ledger.head())[0] == 0
        assert keys(city) == []


@pytest.mark.parametrize("given", [{"master": b"short"}, {"master": bytes(32), "informant": {"li": bytes(32)}}])
def test_a_keyring_of_another_size_is_refused(given: dict[str, Any]):
    with pytest.raises(ValueError, match="32 bytes"):
        Keyring(**given)


def test_a_keyring_never_shows_its_keys():
    key = secrets.token_bytes(32)
    shown = repr(Keyring(key)) + repr(Consent("li", key))
    assert key.hex() not in shown
    assert repr(key) not in shown


async def test_the_request_digest_says_nothing_without_the_ledgers_secret(city: City, other_city: City):
    digests: list[Any] = []
    for one in (city, other_city):
        async with door(one) as ledger:
            await ledger.execute(OpenSlip(title="同一句话"), actor=AGENT, command_id="same")
        digests += as_superuser(one, "SELECT digest FROM {}.commits")
    assert digests[0] != digests[1]


async def test_a_sealed_field_from_outside_is_refused_wherever_it_lies(city: City):
    async with door(city) as ledger:
        for fields in ({"notes": (Sealed(key="k", box="b"),)}, {"either": Part(words=Sealed(key="k", box="b"))}):
            with pytest.raises(SealedFromOutside):
                await filed(ledger, **fields)
