"""Share agreements: how long they hold, what takes their place, and that no field that may go along is personal."""

from __future__ import annotations

import typing
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from domain import kinds, sharing
from domain.refusals import AgreementWithoutBasis, NoAgreementInForce
from domain.sharing import Agreement, EndShareAgreement, PublishShareAgreement, ShareAgreementPublished
from domain.terms import SHANGHAI, Actor, Citation, Entry, Fact, Role, Sealed
from domain.units import Units

NOON = datetime(2026, 3, 2, 12, tzinfo=SHANGHAI)
MANAGER = Actor(user="manager", role=Role.HOTLINE_MANAGER)
PUBLISH = PublishShareAgreement(
    consumer="ep",
    consumer_name="生态环境局",
    purpose="联动",
    basis=Citation(text="国办发〔2020〕53号", article="信息共享规则"),
    event_types=("order.order_dispatched",),
    until=date(2026, 3, 31),
)


def entered(event: Fact, at: datetime, position: int = 7) -> Entry:
    return Entry(event=event, stream="institution", version=position, position=position, recorded_at=at, actor=MANAGER)


def agreed(act: PublishShareAgreement = PUBLISH, held: dict[str, Agreement] | None = None, at: datetime = NOON):
    event = sharing.publish(held or {}, act, Units(), at)
    return sharing.evolve(held or {}, event, entered(event, at))


def test_an_agreement_holds_from_its_publication_to_the_end_of_its_last_day():
    held = agreed()["ep"]
    assert not held.in_force(NOON - timedelta(milliseconds=1))
    assert held.in_force(NOON)
    assert held.in_force(datetime(2026, 3, 31, 23, 59, 59, tzinfo=SHANGHAI))
    assert not held.in_force(datetime(2026, 4, 1, tzinfo=SHANGHAI))


def test_a_later_agreement_takes_the_place_of_an_earlier_one_with_a_number_of_its_own():
    first = agreed()
    later = msgspec.structs.replace(PUBLISH, shared_fields=("lead",))
    both = agreed(later, agreed(msgspec.structs.replace(PUBLISH, consumer="other"), first))
    assert (both["ep"].number, both["other"].number) == (3, 2)
    assert both["ep"].shared_fields == {"lead"}


def test_an_ended_agreement_holds_no_longer_and_ends_once():
    held = agreed()
    event = sharing.end(held, EndShareAgreement(consumer="ep", reason="停用"), NOON + timedelta(hours=1))
    ended = sharing.evolve(held, event, entered(event, NOON + timedelta(hours=1)))
    assert ended["ep"].in_force(NOON + timedelta(minutes=59))
    assert not ended["ep"].in_force(NOON + timedelta(hours=1))
    with pytest.raises(NoAgreementInForce):
        sharing.end(ended, EndShareAgreement(consumer="ep", reason="停用"), NOON + timedelta(hours=2))


def test_an_end_that_names_an_agreement_replaced_since_ends_nothing():
    held = agreed(PUBLISH, agreed())
    stale = sharing.ShareAgreementEnded(agreement=1, consumer="ep", reason="停用")
    assert sharing.evolve(held, stale, entered(stale, NOON))["ep"].ended is None


@pytest.mark.parametrize("basis", [Citation(text=" ", article="三"), Citation(text="国办发〔2020〕53号", article=" ")])
def test_sharing_rests_on_a_text_and_an_article(basis: Citation):
    with pytest.raises(AgreementWithoutBasis):
        agreed(msgspec.structs.replace(PUBLISH, basis=basis))


def _holds_sealed(kind: Any) -> bool:
    """Tell whether nothing but a sealed text can stand in a field."""
    arms = [arm for arm in typing.get_args(kind) if arm is not type(None)] or [kind]
    return Sealed in arms


def test_what_may_go_along_is_in_some_event_and_is_a_person_s_in_none():
    told: dict[str, list[Any]] = {}
    for kind in kinds.KINDS:
        for event in kind.events:
            for name, hint in typing.get_type_hints(event).items():
                if name in event.__struct_fields__ and str(event.__struct_config__.tag) in kinds.TOLD:
                    told.setdefault(name, []).append(hint)
    assert set(told) >= sharing.SHAREABLE
    assert not {name for name in sharing.SHAREABLE if all(_holds_sealed(hint) for hint in told[name])}
    people = (
        "applicant caller agent handler approver drafted_by signed_by user author issuer call_id accused people old new"
    )
    assert not sharing.SHAREABLE & set(people.split())


def test_who_called_and_who_looked_at_what_is_told_to_nobody():
    outside = {"access.logged", "call.call_logged", "publication.data_pushed", "numbers.given"}
    assert not outside & kinds.TOLD
    assert "order.order_registered" in kinds.TOLD
    assert str(ShareAgreementPublished.__struct_config__.tag) in kinds.TOLD
