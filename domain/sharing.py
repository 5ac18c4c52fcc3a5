"""共享协议. What another department's system is told of a city's ledger, under which purpose and article (S3-7, S3-9).

One agreement a consumer; a later one takes the place of an earlier. It names the types of events and, of their
fields, those that may go along: codes, units, places, times and figures. What names a person never does (8.10).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import ClassVar, Final

import msgspec

from domain.refusals import (
    AgreementWithoutBasis,
    DayHasPassed,
    EventTypesMissing,
    FieldNotShareable,
    NoAgreementInForce,
    UnknownUnit,
)
from domain.terms import Act, Citation, Code, Entry, Fact, Role, UnitId, UserId
from domain.units import Units, day_of, day_start

_SHAREABLE: Final = """
title category channel attributes place district happened_at since involved_units external_ref external_due
promised_due legal_basis hotline_source sub_centre kind lead lead_parent limits limit due clock clock_key of_class
policy previous parent master child children round episode assignment unit units from_unit by_unit supervising
responsible_unit suggested_unit co_opinions missing_co informed_unit outcome resolution verified substance resolved
facts_clear rating ratings attitude extension days late excusable return_no escalation dispute reply notice notices
special_report follow_up whistle instruction correction effective_at informed_at planned_at arrived_at published_at
implement_by follow_up_by region platform reference taken recipient service medium staged settled ground article
circular period_from period_until cut_off content_hash from_at until scope
"""

SHAREABLE: Final = frozenset(_SHAREABLE.split())
"""Fields that may go along; what is not in this list says who somebody is, or may."""


# --- events ------------------------------------------------------------------------------------------------------


class ShareAgreementPublished(Fact, frozen=True, tag="institution.share_agreement_published"):
    """共享协议公布. Takes the place of an earlier agreement with the same consumer."""

    agreement: int
    consumer: UserId  # the account of the consumer's system
    consumer_name: Code
    purpose: Code
    basis: Citation
    event_types: tuple[Code, ...]
    until: date  # the last day, included
    shared_fields: tuple[Code, ...] = ()  # empty: only that it happened, to which record, when, by which unit
    units: tuple[UnitId, ...] = ()  # only what these units and those below them have; empty: all


class ShareAgreementEnded(Fact, frozen=True, tag="institution.share_agreement_ended"):
    """共享协议终止. From now on the consumer is told nothing."""

    agreement: int
    consumer: UserId
    reason: Code


SharingEvent = ShareAgreementPublished | ShareAgreementEnded


# --- commands ----------------------------------------------------------------------------------------------------


class PublishShareAgreement(Act, frozen=True, tag="publish_share_agreement"):
    """公布共享协议."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.HOTLINE_MANAGER})

    consumer: UserId
    consumer_name: Code
    purpose: Code
    basis: Citation
    event_types: tuple[Code, ...]
    until: date
    shared_fields: tuple[Code, ...] = ()
    units: tuple[UnitId, ...] = ()


class EndShareAgreement(Act, frozen=True, tag="end_share_agreement"):
    """终止共享协议. A supervisor may, too: whoever watches over the data must be able to stop them."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.HOTLINE_MANAGER, Role.SUPERVISOR})

    consumer: UserId
    reason: Code


SharingCommand = PublishShareAgreement | EndShareAgreement


# --- what holds --------------------------------------------------------------------------------------------------


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """共享协议. As it was published, from which position on it is told of by itself, and when it ended."""

    number: int
    consumer: UserId
    name: str
    purpose: str
    basis: Citation
    event_types: frozenset[str]
    shared_fields: frozenset[str]
    units: tuple[UnitId, ...]
    from_at: datetime
    position: int  # of its publication
    until: date
    ended: datetime | None = None

    @property
    def end(self) -> datetime:
        """The first instant at which it no longer holds."""
        end = day_start(self.until + timedelta(days=1))
        return end if self.ended is None else min(end, self.ended)

    def in_force(self, at: datetime) -> bool:
        """Tell whether it holds at an instant."""
        return self.from_at <= at < self.end


def evolve(agreements: Mapping[str, Agreement], event: SharingEvent, entry: Entry) -> dict[str, Agreement]:
    """Return the agreements by consumer after one more event."""
    if isinstance(event, ShareAgreementPublished):
        new = Agreement(
            number=event.agreement,
            consumer=event.consumer,
            name=event.consumer_name,
            purpose=event.purpose,
            basis=event.basis,
            event_types=frozenset(event.event_types),
            shared_fields=frozenset(event.shared_fields),
            units=event.units,
            from_at=entry.at,
            position=entry.position,
            until=event.until,
        )
        return {**agreements, event.consumer: new}
    held = agreements.get(event.consumer)
    if held is None or held.number != event.agreement:
        return dict(agreements)
    return {**agreements, event.consumer: msgspec.structs.replace(held, ended=entry.at)}


# --- deciding ----------------------------------------------------------------------------------------------------


def publish(
    agreements: Mapping[str, Agreement], act: PublishShareAgreement, units: Units, now: datetime
) -> ShareAgreementPublished:
    """Publish an agreement; that its types are of events that may be told is asked where every kind is known."""
    if not act.event_types:
        raise EventTypesMissing
    if not act.basis.text.strip() or not act.basis.article.strip():
        raise AgreementWithoutBasis
    for field in act.shared_fields:
        if field not in SHAREABLE:
            raise FieldNotShareable(field, name=field)
    for unit in act.units:
        if units.get(unit) is None:
            raise UnknownUnit(unit, unit=unit)
    if act.until < day_of(now):
        raise DayHasPassed(f"{act.until}", field="until")
    return ShareAgreementPublished(
        agreement=max((held.number for held in agreements.values()), default=0) + 1,
        consumer=act.consumer,
        consumer_name=act.consumer_name,
        purpose=act.purpose,
        basis=act.basis,
        event_types=act.event_types,
        until=act.until,
        shared_fields=act.shared_fields,
        units=act.units,
    )


def end(agreements: Mapping[str, Agreement], act: EndShareAgreement, now: datetime) -> ShareAgreementEnded:
    """End an agreement at once."""
    held = agreements.get(act.consumer)
    if held is None or not held.in_force(now):
        raise NoAgreementInForce(act.consumer, consumer=act.consumer)
    return ShareAgreementEnded(agreement=held.number, consumer=act.consumer, reason=act.reason)
