"""Many recordings at once come to what each alone would come to: same events, numbers, leaves, and same refusals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.bulk import Foreseen, Recording
from domain.exchange import EPOCH
from domain.ledger import Ledger
from domain.recorder import texts
from domain.refusals import CommandIdReused, OccurredAtRequired, Refusal, SealedFromOutside, TimeGoesBack
from domain.settling import Before, Moved, Outcome, Proposal, Written
from domain.terms import Applicant, ApplicantKind, Number, Sealed, Shred
from tests.conftest import City
from tests.test_ledger import AGENT, NoteSlip, RuleSet, SetRule, SlipNoted, SlipOpened, SlipSigned, cid, do, door

START = datetime(2019, 4, 1, 9, tzinfo=UTC)


def slip(name: str, turn: int, *facts: Any, days: int = 0, **more: Any) -> Recording:
    """Return one commit of an old slip, some days after the first."""
    at = START + timedelta(days=days)
    return Recording(facts, stream=f"slip:{name}", actor=AGENT, command_id=f"{name}:{turn}", occurred_at=at, **more)


def somebody(phone: str) -> Applicant:
    return Applicant(kind=ApplicantKind.PERSON, phone=phone)


def whole(name: str, **fields: Any) -> list[Recording]:
    """Return an old slip that was opened, noted on and signed."""
    return [
        slip(name, 0, SlipOpened(title=name, **fields), Number("slip", "CD")),
        slip(name, 1, SlipNoted(words=f"答复 {name}"), days=1),
        slip(name, 2, SlipSigned(under="1999"), days=2),
    ]


async def brought(ledger: Ledger, recordings: Sequence[Recording]) -> list[Outcome]:
    """Record all, none of which may be refused or known."""
    foreseen = await ledger.foresee(recordings)
    proposals = [one.proposal for one in foreseen if isinstance(one, Foreseen) and one.proposal is not None]
    assert len(proposals) == len(recordings), foreseen
    return await ledger.submit_all(proposals)


async def test_what_is_foreseen_is_what_is_written_and_read_again(city: City):
    many = [one for n in range(40) for one in whole(f"s{n}", words="门前路灯坏了")]
    async with door(city) as ledger:
        foreseen = await ledger.foresee(many)
        assert (await ledger.head())[0] == 0, "nothing is written by foreseeing"
        outcomes = await ledger.submit_all(
            [one.proposal for one in foreseen if isinstance(one, Foreseen) and one.proposal]
        )
        assert all(isinstance(one, Written) for one in outcomes)
        for n in range(40):
            supposed = [e for one in foreseen[3 * n : 3 * n + 3] if isinstance(one, Foreseen) for e in one.entries]
            history = await ledger.history(f"slip:s{n}")
            assert [(e.event, e.version, e.at) for e in supposed] == [(e.event, e.version, e.at) for e in history]
            assert history[0].numbered("slip") == f"CD2019-{n + 1:06d}", "numbers are given in the order of recordings"
        assert await ledger.verify_all() == []


async def test_in_bulk_and_one_by_one_come_to_the_same(city: City, other_city: City):
    many = [one for n in range(10) for one in whole(f"s{n}", applicant=somebody(f"1380000000{n % 3}"))]
    told: list[list[tuple[Any, ...]]] = []
    for number, one_city in enumerate((city, other_city)):
        async with door(one_city) as ledger:
            if number == 0:
                assert all(isinstance(one, Written) for one in await brought(ledger, many))
            else:
                for one in many:
                    await ledger.record(
                        one.facts,
                        stream=one.stream,
                        actor=one.actor,
                        command_id=one.command_id,
                        occurred_at=one.occurred_at,
                    )
            entries = await ledger.read(0, 1000)
            told.append(
                [(e.position, e.stream, e.version, type(e.event), e.at, e.numbers, e.command_id) for e in entries]
            )
            subjects = [
                e.event.applicant.subject for e in entries if isinstance(e.event, SlipOpened) and e.event.applicant
            ]
            assert len(set(subjects)) == 3, "one number is one subject, also within one bulk"
            assert subjects[0] == subjects[3]
            keys = [row[0] for row in await ledger.rows("read_keys", _texts(entries))]
            assert len(keys) == len(set(keys)) == 20, "identity and texts, each case its own"
    assert told[0] == told[1]


def _texts(entries: Sequence[Any]) -> Any:
    return texts(dict.fromkeys(entry.stream for entry in entries))


async def test_what_is_there_is_told_as_it_is_and_not_written_again(city: City):
    async with door(city) as ledger:
        await brought(ledger, whole("a"))
        before = await ledger.head()
        again = await ledger.foresee([*whole("a"), *whole("b")])
        assert [one.proposal is None for one in again if isinstance(one, Foreseen)] == [True] * 3 + [False] * 3
        assert [e.version for one in again[:3] if isinstance(one, Foreseen) for e in one.entries] == [1, 2, 3]
        assert await ledger.head() == before


async def test_a_refused_one_ends_its_stream_and_no_other(city: City):
    back = slip("b", 2, SlipNoted(), days=-1)
    sealed = slip("c", 0, SlipOpened(title="c", words=Sealed(key="k", box="b")))
    nothing = Recording([], stream="slip:d", actor=AGENT, command_id="d", occurred_at=[])
    many = [*whole("a"), *whole("b")[:2], back, slip("b", 3, SlipNoted(), days=3), sealed, nothing, *whole("e")]
    async with door(city) as ledger:
        told = await ledger.foresee(many)
        refused = [type(one) for one in told if isinstance(one, Refusal)]
        assert refused == [TimeGoesBack, TimeGoesBack, SealedFromOutside, OccurredAtRequired]
        outcomes = await ledger.submit_all([one.proposal for one in told if isinstance(one, Foreseen) and one.proposal])
        assert len(outcomes) == len(many) - 4
        assert await ledger.verify_all() == []


async def test_another_content_under_a_known_id_is_refused(city: City):
    async with door(city) as ledger:
        await brought(ledger, whole("a"))
        (told,) = await ledger.foresee([slip("a", 0, SlipOpened(title="another"), Number("slip", "CD"))])
        assert isinstance(told, CommandIdReused)


async def test_what_moved_between_foreseeing_and_writing_is_told_so_and_harms_no_other(city: City):
    async with door(city) as one, door(city) as two:
        foreseen = await one.foresee([*whole("a"), *whole("b")])
        proposals = [f.proposal for f in foreseen if isinstance(f, Foreseen) and f.proposal]
        await brought(two, [slip("b", 7, SlipOpened(title="faster"))])
        outcomes = await one.submit_all(proposals)
        assert [type(o) for o in outcomes] == [Written] * 3 + [Moved] * 3
        again = await one.submit_all(proposals[:3])
        assert [type(o) for o in again] == [Before] * 3
        assert await one.verify_all() == []


async def test_a_change_of_law_meanwhile_is_told_as_moved(city: City):
    async with door(city) as ledger:
        foreseen = await ledger.foresee(whole("a"))
        await do(ledger, "institution", SetRule(name="new"))
        outcomes = await ledger.submit_all([f.proposal for f in foreseen if isinstance(f, Foreseen) and f.proposal])
        assert all(isinstance(o, Moved) for o in outcomes)
        assert all(isinstance(o, Written) for o in await brought(ledger, whole("a")))
        assert isinstance((await ledger.history("institution"))[0].event, RuleSet)


@pytest.mark.parametrize("by_another", [False, True])
async def test_a_subject_erased_since_is_not_brought_back_by_what_was_foreseen(city: City, by_another: bool):
    first = slip("a", 0, SlipOpened(title="a", applicant=somebody("13800000001")))
    second = slip("b", 0, SlipOpened(title="b", applicant=somebody("13800000001")))
    async with door(city) as one, door(city) as two:
        await brought(one, [first])
        subject = (await one.history("slip:a"))[0].event.applicant.subject
        foreseen = await one.foresee([second])
        erasing = Proposal(
            command_id=cid(),
            digest=bytes(32),
            stream="slip:a",
            now=EPOCH,
            actor='{"role":"agent","user":"a1"}',
            origin="live",
            steps=[Shred(subject=subject)],
        )
        assert isinstance(await (two if by_another else one).submit(erasing), Written)
        outcomes = await one.submit_all([f.proposal for f in foreseen if isinstance(f, Foreseen) and f.proposal])
        assert isinstance(outcomes[0], Moved)


@pytest.mark.parametrize("count", [0, 1])
async def test_nothing_and_one_are_bulks_too(city: City, count: int):
    async with door(city) as ledger:
        assert len(await brought(ledger, whole("a")[:count])) == count
        assert await do(ledger, "slip:a", NoteSlip()) if count else True
