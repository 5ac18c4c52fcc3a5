"""通话. One call to the hotline: its line in the duty record book, its rating, complaints about its service.

The id follows from the telephone system's own (`call_stream`), so a call is logged and rated once, whoever reports it.
The duty book (值班记录簿) is the gap-free list of all calls, also those that became no order.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

import msgspec

from domain import guards, refusals
from domain.context import Context
from domain.matters.folding import Folded, derived, here, kind, mark
from domain.state import WorkOrder
from domain.terms import (
    Act,
    Applicant,
    Attachment,
    Code,
    Confidentiality,
    Entry,
    Fact,
    Mark,
    Number,
    Private,
    Role,
    Step,
    UserId,
    Word,
)


class CallDisposition(Word):
    """来电处理 (8.13)."""

    ORDER = "order", "形成工单"
    INQUIRY = "inquiry", "咨询"  # answered without an order
    SILENT = "silent", "无声"
    WRONG = "wrong", "误拨"
    ABUSIVE = "abusive", "骚扰"


Score = Annotated[int, msgspec.Meta(ge=1, le=5)]
"""好差评: 5 非常满意 … 1 非常不满意 (I21 counts 4 and 5)."""


# --- state -------------------------------------------------------------------------------------------------------


class ServiceComplaint(msgspec.Struct, frozen=True, kw_only=True):
    """服务质量投诉."""

    no: int
    filed: Mark
    filed_by: UserId
    about: UserId = ""  # the agent complained of
    verified: Mark | None = None
    valid: bool | None = None


class Call(Folded, frozen=True, kw_only=True):
    """通话."""

    call_id: str
    logged: Mark | None = None
    number: str = ""  # in the duty record book
    agent: UserId = ""
    disposition: CallDisposition | None = None
    order: UUID | None = None
    ratings: tuple[tuple[Mark, int], ...] = ()
    complaints: tuple[ServiceComplaint, ...] = ()


def call_stream(call_id: str) -> str:
    """Return the stream of a call by the telephone system's id."""
    return derived("call", call_id)


# --- events ------------------------------------------------------------------------------------------------------


class CallLogged(Fact, frozen=True, tag="call.call_logged"):
    """来电登记. A line of the duty record book; its number is the commit's."""

    call_id: Code
    disposition: CallDisposition
    started_at: datetime
    agent: UserId
    ended_at: datetime | None = None
    line: Code | None = None  # the number that was dialled (双号并行)
    shift: Code | None = None
    caller: Applicant | None = None
    content: Private | None = None
    disposal: Private | None = None
    order: UUID | None = None
    recording: Attachment | None = None
    sub_centre: Code = ""  # which one answered, by the name under which it reports its counts


class ServiceRated(Fact, frozen=True, tag="call.service_rated"):
    """热线服务好差评. Given by the caller at the prompt before hanging up, or by a message after."""

    call_id: Code
    score: Score
    via: Code  # ivr, sms, app


class ServiceComplaintFiled(Fact, frozen=True, tag="call.service_complaint_filed"):
    """服务质量投诉. About how the hotline served, not about the demand."""

    call_id: Code
    words: Private
    about: UserId = ""
    order: UUID | None = None


class ServiceComplaintVerified(Fact, frozen=True, tag="call.service_complaint_verified"):
    """投诉有效认定."""

    complaint: int
    valid: bool
    finding: Private


# --- folding -----------------------------------------------------------------------------------------------------


def _call(call: Call | None, call_id: str, entry: Entry) -> Call:
    return call if call is not None else Call(stream=entry.stream, call_id=call_id)


def on_call_logged(call: Call | None, event: CallLogged, entry: Entry) -> Call:
    """Fold the line in the duty book."""
    return msgspec.structs.replace(
        _call(call, event.call_id, entry),
        logged=mark(entry),
        number=entry.numbered("calls"),
        agent=event.agent,
        disposition=event.disposition,
        order=event.order,
    )


def on_service_rated(call: Call | None, event: ServiceRated, entry: Entry) -> Call:
    """Fold the rating; it may come before the call is logged."""
    call = _call(call, event.call_id, entry)
    return msgspec.structs.replace(call, ratings=(*call.ratings, (mark(entry), event.score)))


def on_service_complaint_filed(call: Call | None, event: ServiceComplaintFiled, entry: Entry) -> Call:
    """Fold the complaint."""
    call = _call(call, event.call_id, entry)
    filed = ServiceComplaint(
        no=len(call.complaints) + 1, filed=mark(entry), filed_by=entry.actor.user, about=event.about
    )
    return msgspec.structs.replace(call, complaints=(*call.complaints, filed))


def on_service_complaint_verified(call: Call, event: ServiceComplaintVerified, entry: Entry) -> Call:
    """Fold the finding."""
    complaints = tuple(
        msgspec.structs.replace(c, verified=mark(entry), valid=event.valid) if c.no == event.complaint else c
        for c in call.complaints
    )
    return msgspec.structs.replace(call, complaints=complaints)


# --- commands ----------------------------------------------------------------------------------------------------


class LogCall(Act, frozen=True, tag="log_call"):
    """登记来电. Every call, also the silent, wrong and abusive ones."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.AGENT, Role.SYSTEM})
    call_id: Code
    disposition: CallDisposition
    started_at: datetime
    agent: UserId
    ended_at: datetime | None = None
    line: Code | None = None
    shift: Code | None = None
    caller: Applicant | None = None
    content: Private | None = None
    disposal: Private | None = None
    order: UUID | None = None
    recording: Attachment | None = None
    sub_centre: Code = ""

    def reads(self) -> tuple[str, ...]:
        """Return the order that the call became."""
        return () if self.order is None else (f"order:{self.order}",)


class RateService(Act, frozen=True, tag="rate_service"):
    """评价热线服务. By the caller, or by the voice menu for the caller; once a call."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.CITIZEN, Role.SYSTEM})
    call_id: Code
    score: Score
    via: Code


class FileServiceComplaint(Act, frozen=True, tag="file_service_complaint"):
    """投诉热线服务. Anybody may, through whoever takes it down."""

    roles: ClassVar[frozenset[Role]] = frozenset(Role) - {Role.SYSTEM, Role.ADMIN, Role.AUDITOR}
    call_id: Code
    words: Private
    about: UserId = ""
    order: UUID | None = None


class VerifyServiceComplaint(Act, frozen=True, tag="verify_service_complaint"):
    """认定投诉是否有效. By a reviewer who is not the one complained of."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.QC_REVIEWER})
    complaint: int
    valid: bool
    finding: Private


# --- deciding ----------------------------------------------------------------------------------------------------


def log_call(call: Call | None, command: LogCall, context: Context) -> list[Step]:
    """Enter the call in the duty book, and number it."""
    here(context, call_stream(command.call_id))
    if call is not None and call.logged is not None:
        raise refusals.AlreadyLogged(command.call_id)
    guards.not_ahead(context, command.started_at)
    if command.ended_at is not None and command.ended_at < command.started_at:
        raise refusals.IntervalEmpty
    if command.disposition is CallDisposition.ORDER and command.order is None:
        raise refusals.OrderOfCallMissing
    became: WorkOrder | None = context.other(f"order:{command.order}")
    if command.caller is not None and became is not None and became.confidentiality is Confidentiality.INFORMANT:
        raise refusals.CallerProtected
    told = {name: getattr(command, name) for name in CallLogged.__struct_fields__}
    return [CallLogged(**told), Number("calls")]


def rate_service(call: Call | None, command: RateService, context: Context) -> list[Step]:
    """Record the rating, as many a call as the pack allows: one (S4-38)."""
    here(context, call_stream(command.call_id))
    context.until(context.law.next_policy_change(context.now))
    options = context.law.rules(context.law.policy_at(context.now)).options
    if call is not None and len(call.ratings) >= options.service_ratings_per_call:
        raise refusals.AlreadyRated(command.call_id)
    return [ServiceRated(call_id=command.call_id, score=command.score, via=command.via)]


def file_service_complaint(call: Call | None, command: FileServiceComplaint, context: Context) -> list[Step]:
    """Record the complaint; about whom, where the caller does not know, is the agent of the call."""
    here(context, call_stream(command.call_id))
    about = command.about or (call.agent if call is not None else "")
    return [ServiceComplaintFiled(call_id=command.call_id, words=command.words, about=about, order=command.order)]


def verify_service_complaint(call: Call, command: VerifyServiceComplaint, context: Context) -> list[Step]:
    """Find a complaint valid or not; never about oneself."""
    no = command.complaint
    if not 0 < no <= len(call.complaints):
        raise refusals.NoSuchComplaint(f"complaint: {no}")
    complaint = call.complaints[no - 1]
    if complaint.verified is not None:
        raise refusals.AlreadyJudged(f"complaint: {no}")
    if context.actor.user in (complaint.about, call.agent):
        raise refusals.OwnService
    return [ServiceComplaintVerified(complaint=no, valid=command.valid, finding=command.finding)]


KIND = kind(
    "call",
    births={
        CallLogged: on_call_logged,
        ServiceRated: on_service_rated,
        ServiceComplaintFiled: on_service_complaint_filed,
    },
    evolves={ServiceComplaintVerified: on_service_complaint_verified},
    opens={LogCall: log_call, RateService: rate_service, FileServiceComplaint: file_service_complaint},
    decides={VerifyServiceComplaint: verify_service_complaint},
)
