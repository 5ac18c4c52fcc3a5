"""人大代表、政协委员监督. What overseers ask, what they are answered, sent and shown, and what they looked up.

Deputies and members see figures and de-identified timelines; a committee's office may ask for a masked dossier, which
the hotline's management releases. They do not deal with single cases themselves (代表法31).
"""

from __future__ import annotations

from datetime import date
from typing import ClassVar
from uuid import UUID

import msgspec

from domain import guards, refusals
from domain.clocks import Clock
from domain.context import Context
from domain.law import Law
from domain.matters.folding import Folded, kind, mark
from domain.policy import Options
from domain.terms import (
    Act,
    ClockName,
    Code,
    Digest,
    Entry,
    Fact,
    Limit,
    Mark,
    Medium,
    Number,
    Private,
    Role,
    Step,
    Title,
    UserId,
    Word,
)


class InquiryKind(Word):
    """监督事项类别 (8.14)."""

    DEPUTY_SUGGESTION = "deputy_suggestion", "代表建议"
    PROPOSAL = "proposal", "政协提案"
    LETTER = "letter", "调研函"
    INSPECTION = "inspection", "执法检查"
    REVIEW_OPINION = "review_opinion", "审议意见"
    SPECIAL_INQUIRY = "special_inquiry", "专题询问"


class Body(Word):
    """监督主体."""

    NPC = "npc", "人大"
    CPPCC = "cppcc", "政协"


# --- state -------------------------------------------------------------------------------------------------------


class DossierRequest(msgspec.Struct, frozen=True, kw_only=True):
    """调阅脱敏卷宗."""

    no: int
    order: UUID
    by: UserId
    asked: Mark
    decided: Mark | None = None
    released: bool = False


class Inquiry(Folded, frozen=True, kw_only=True):
    """监督事项."""

    matter_kind: InquiryKind | None = None  # None: a stream of look-ups or submissions only
    body: Body | None = None
    difficult: bool = False
    limit: Limit | None = None
    filed: Mark | None = None
    filed_by: UserId = ""
    number: str = ""
    answered: Mark | None = None
    submissions: int = 0
    queries: int = 0
    dossiers: tuple[DossierRequest, ...] = ()


# --- events ------------------------------------------------------------------------------------------------------


class OversightInquiryFiled(Fact, frozen=True, tag="inquiry.oversight_inquiry_filed"):
    """监督询问. A suggestion, proposal, letter or opinion that is to be answered; its number is the commit's."""

    matter_kind: InquiryKind
    body: Body
    title: Title
    text: Private
    difficult: bool = False  # 难度较大: six months instead of three (代表法51)
    limit: Limit | None = None  # written on it
    dated: date | None = None
    reference: Code | None = None  # the overseer's own number
    from_whom: Private | None = None  # the deputy, member or committee
    original: Digest | None = None
    orders: tuple[UUID, ...] = ()


class OversightInquiryAnswered(Fact, frozen=True, tag="inquiry.oversight_inquiry_answered"):
    """答复监督询问. By a letter of reply (答复函), whose number is the commit's."""

    answer: Private
    letter: Digest
    signed_by: Code  # the office that signed
    orders: tuple[UUID, ...] = ()


class OversightSubmissionSent(Fact, frozen=True, tag="inquiry.oversight_submission_sent"):
    """报送. The operation of the hotline and the handling of each department, to the overseers (S2-9)."""

    body: Body
    period_from: date
    period_until: date  # the last day, included
    content_hash: Digest
    cut_off: int  # the ledger's position the figures are true at
    template_version: Code
    recipients: tuple[Code, ...]
    medium: Medium
    report: UUID | None = None


class OversightQueryExecuted(Fact, frozen=True, tag="inquiry.oversight_query_executed"):
    """监督查询. What an overseer looked up; figures below the small cell were suppressed before."""

    body: Body
    query: Code
    cut_off: int
    rows: int
    suppressed: int  # cells left out
    filters: dict[str, str] = {}


class MaskedDossierRequested(Fact, frozen=True, tag="inquiry.masked_dossier_requested"):
    """申请调阅脱敏卷宗. By a committee's office."""

    body: Body
    order: UUID
    purpose: Private


class MaskedDossierReleased(Fact, frozen=True, tag="inquiry.masked_dossier_released"):
    """同意调阅脱敏卷宗. The copy is numbered (利用件); the number is the commit's."""

    request: int
    digest: Digest
    receiver: Code


class MaskedDossierRefused(Fact, frozen=True, tag="inquiry.masked_dossier_refused"):
    """不同意调阅."""

    request: int
    words: Private


# --- folding -----------------------------------------------------------------------------------------------------


def _inquiry(inquiry: Inquiry | None, entry: Entry) -> Inquiry:
    return inquiry if inquiry is not None else Inquiry(stream=entry.stream)


def on_inquiry_filed(inquiry: Inquiry | None, event: OversightInquiryFiled, entry: Entry) -> Inquiry:
    """Fold the question."""
    return msgspec.structs.replace(
        _inquiry(inquiry, entry),
        matter_kind=event.matter_kind,
        body=event.body,
        difficult=event.difficult,
        limit=event.limit,
        filed=mark(entry),
        filed_by=entry.actor.user,
        number=entry.numbered("inquiry"),
    )


def on_inquiry_answered(inquiry: Inquiry, event: OversightInquiryAnswered, entry: Entry) -> Inquiry:
    """Fold the answer."""
    return msgspec.structs.replace(inquiry, answered=mark(entry))


def on_submission_sent(inquiry: Inquiry | None, event: OversightSubmissionSent, entry: Entry) -> Inquiry:
    """Fold the submission."""
    inquiry = _inquiry(inquiry, entry)
    return msgspec.structs.replace(inquiry, body=inquiry.body or event.body, submissions=inquiry.submissions + 1)


def on_query_executed(inquiry: Inquiry | None, event: OversightQueryExecuted, entry: Entry) -> Inquiry:
    """Fold the look-up."""
    inquiry = _inquiry(inquiry, entry)
    return msgspec.structs.replace(inquiry, body=inquiry.body or event.body, queries=inquiry.queries + 1)


def on_dossier_requested(inquiry: Inquiry | None, event: MaskedDossierRequested, entry: Entry) -> Inquiry:
    """Fold the request."""
    inquiry = _inquiry(inquiry, entry)
    asked = DossierRequest(no=len(inquiry.dossiers) + 1, order=event.order, by=entry.actor.user, asked=mark(entry))
    return msgspec.structs.replace(inquiry, body=inquiry.body or event.body, dossiers=(*inquiry.dossiers, asked))


def _decided(inquiry: Inquiry, no: int, entry: Entry, *, released: bool) -> Inquiry:
    dossiers = tuple(
        msgspec.structs.replace(d, decided=mark(entry), released=released) if d.no == no else d
        for d in inquiry.dossiers
    )
    return msgspec.structs.replace(inquiry, dossiers=dossiers)


def on_dossier_released(inquiry: Inquiry, event: MaskedDossierReleased, entry: Entry) -> Inquiry:
    """Fold the release."""
    return _decided(inquiry, event.request, entry, released=True)


def on_dossier_refused(inquiry: Inquiry, event: MaskedDossierRefused, entry: Entry) -> Inquiry:
    """Fold the refusal."""
    return _decided(inquiry, event.request, entry, released=False)


# --- the clock ---------------------------------------------------------------------------------------------------


def reply_limit(options: Options, inquiry: Inquiry) -> Limit | None:
    """Return the time to answer: written on it, else the pack's for its kind, longer for difficult ones (代表法51)."""
    if inquiry.limit is not None or inquiry.matter_kind is None:
        return inquiry.limit
    figures, name = options.oversight_reply, inquiry.matter_kind.value
    difficult = figures.get(f"{name}@difficult") if inquiry.difficult else None
    return difficult or figures.get(name)


def inquiry_clock(inquiry: Inquiry, law: Law) -> Clock | None:
    """Return OVERSIGHT_REPLY of an inquiry, under the pack in force when it was filed; None where nothing is asked."""
    if inquiry.filed is None or inquiry.matter_kind is None:
        return None
    rules = law.rules(law.policy_at(inquiry.filed.at))
    rule = rules.clocks.get(ClockName.OVERSIGHT_REPLY)
    if rule is None:
        return None
    limit = reply_limit(rules.options, inquiry)
    end = inquiry.answered
    calendar = law.calendar() if end is None else law.calendar(end.at)
    due = calendar.due(inquiry.filed.at, limit, rules.kernel) if limit is not None else None
    return Clock(
        name=ClockName.OVERSIGHT_REPLY,
        key="q1",
        unit="",
        start=inquiry.filed,
        limit=limit,
        due=due.at if due is not None else None,
        rule=rule,
        rules=rules,
        stop=end,
        provisional=due.provisional if due is not None else False,
    )


# --- commands ----------------------------------------------------------------------------------------------------

_OVERSEERS = frozenset({Role.OVERSEER_NPC, Role.OVERSEER_CPPCC})
_RECEIVERS = frozenset({Role.HOTLINE_MANAGER, Role.COORDINATOR})


class FileInquiry(Act, frozen=True, tag="file_inquiry"):
    """提出监督询问. By an overseer, or entered by those who received it on paper."""

    roles: ClassVar[frozenset[Role]] = _OVERSEERS | _RECEIVERS
    creates: ClassVar[str] = "inquiry"
    matter_kind: InquiryKind
    body: Body
    title: Title
    text: Private
    difficult: bool = False
    limit: Limit | None = None
    dated: date | None = None
    reference: Code | None = None
    from_whom: Private | None = None
    original: Digest | None = None
    orders: tuple[UUID, ...] = ()


class AnswerInquiry(Act, frozen=True, tag="answer_inquiry"):
    """答复监督询问."""

    roles: ClassVar[frozenset[Role]] = _RECEIVERS
    answer: Private
    letter: Digest
    signed_by: Code
    orders: tuple[UUID, ...] = ()


class SendSubmission(Act, frozen=True, tag="send_submission"):
    """报送运行情况. Regularly, before sessions, or in answer to an inquiry."""

    roles: ClassVar[frozenset[Role]] = _RECEIVERS
    creates: ClassVar[str] = "inquiry"
    body: Body
    period_from: date
    period_until: date
    content_hash: Digest
    cut_off: int
    template_version: Code
    recipients: tuple[Code, ...]
    medium: Medium
    report: UUID | None = None


class RecordQuery(Act, frozen=True, tag="record_query"):
    """登记监督查询. Written by the door through which an overseer looks."""

    roles: ClassVar[frozenset[Role]] = _OVERSEERS
    creates: ClassVar[str] = "inquiry"
    query: Code
    cut_off: int
    rows: int
    suppressed: int
    filters: dict[str, str] = {}


class RequestMaskedDossier(Act, frozen=True, tag="request_masked_dossier"):
    """申请调阅脱敏卷宗."""

    roles: ClassVar[frozenset[Role]] = _OVERSEERS
    creates: ClassVar[str] = "inquiry"
    order: UUID
    purpose: Private


class ReleaseMaskedDossier(Act, frozen=True, tag="release_masked_dossier"):
    """同意调阅脱敏卷宗."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.HOTLINE_MANAGER})
    request: int
    digest: Digest
    receiver: Code


class RefuseMaskedDossier(Act, frozen=True, tag="refuse_masked_dossier"):
    """不同意调阅脱敏卷宗."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.HOTLINE_MANAGER})
    request: int
    words: Private


# --- deciding ----------------------------------------------------------------------------------------------------


def _own_body(context: Context) -> Body | None:
    return {Role.OVERSEER_NPC: Body.NPC, Role.OVERSEER_CPPCC: Body.CPPCC}.get(context.actor.role)


def _body(inquiry: Inquiry | None, context: Context) -> Body:
    """Return the overseer's body; each keeps to its own matters. Raises RoleNotAllowed."""
    own = _own_body(context)
    if own is None or (inquiry is not None and inquiry.body not in (None, own)):
        raise refusals.RoleNotAllowed(f"{context.actor.role}")
    return own


def file_inquiry(inquiry: Inquiry | None, command: FileInquiry, context: Context) -> list[Step]:
    """Record the question, and number it."""
    if inquiry is not None and inquiry.filed is not None:
        raise refusals.AlreadyFiled(inquiry.number)
    own = _own_body(context)
    if own is not None and command.body is not own:
        raise refusals.RoleNotAllowed(f"{context.actor.role}: {command.body}")
    if command.limit is not None and context.passed(command.limit.until):
        raise refusals.LimitInPast
    told = {name: getattr(command, name) for name in OversightInquiryFiled.__struct_fields__}
    return [OversightInquiryFiled(**told), Number("inquiry")]


def answer_inquiry(inquiry: Inquiry, command: AnswerInquiry, context: Context) -> list[Step]:
    """Answer once; late too."""
    if inquiry.filed is None:
        raise refusals.NothingAsked
    if inquiry.answered is not None:
        raise refusals.AlreadyAnswered(inquiry.number)
    answered = OversightInquiryAnswered(
        answer=command.answer, letter=command.letter, signed_by=command.signed_by, orders=command.orders
    )
    return [answered, Number("answer_letter")]


def _interval(first: date, last: date, context: Context) -> None:
    if last < first:
        raise refusals.IntervalEmpty
    if not guards.day_over(context, last):
        raise refusals.PeriodNotOver(f"{last}")


def send_submission(inquiry: Inquiry | None, command: SendSubmission, context: Context) -> list[Step]:
    """Record what was sent, by its digest and the position its figures are true at."""
    _interval(command.period_from, command.period_until, context)
    if command.cut_off > context.position > 0:
        raise refusals.CutOffAhead(f"cut_off: {command.cut_off}")
    if not command.recipients:
        raise refusals.RecipientsMissing
    told = {name: getattr(command, name) for name in OversightSubmissionSent.__struct_fields__}
    return [OversightSubmissionSent(**told)]


def record_query(inquiry: Inquiry | None, command: RecordQuery, context: Context) -> list[Step]:
    """Record what an overseer looked up."""
    return [
        OversightQueryExecuted(
            body=_body(inquiry, context),
            query=command.query,
            cut_off=command.cut_off,
            rows=command.rows,
            suppressed=command.suppressed,
            filters=command.filters,
        )
    ]


def request_dossier(inquiry: Inquiry | None, command: RequestMaskedDossier, context: Context) -> list[Step]:
    """Ask for one order's masked dossier."""
    return [MaskedDossierRequested(body=_body(inquiry, context), order=command.order, purpose=command.purpose)]


def _request(inquiry: Inquiry, no: int) -> None:
    if not 0 < no <= len(inquiry.dossiers) or inquiry.dossiers[no - 1].decided is not None:
        raise refusals.NoSuchProposal(f"request: {no}")


def release_dossier(inquiry: Inquiry, command: ReleaseMaskedDossier, context: Context) -> list[Step]:
    """Release a numbered copy."""
    _request(inquiry, command.request)
    released = MaskedDossierReleased(request=command.request, digest=command.digest, receiver=command.receiver)
    return [released, Number("use_copy")]


def refuse_dossier(inquiry: Inquiry, command: RefuseMaskedDossier, context: Context) -> list[Step]:
    """Refuse the copy, with the reason."""
    _request(inquiry, command.request)
    return [MaskedDossierRefused(request=command.request, words=command.words)]


KIND = kind(
    "inquiry",
    births={
        OversightInquiryFiled: on_inquiry_filed,
        OversightSubmissionSent: on_submission_sent,
        OversightQueryExecuted: on_query_executed,
        MaskedDossierRequested: on_dossier_requested,
    },
    evolves={
        OversightInquiryAnswered: on_inquiry_answered,
        MaskedDossierReleased: on_dossier_released,
        MaskedDossierRefused: on_dossier_refused,
    },
    opens={
        FileInquiry: file_inquiry,
        SendSubmission: send_submission,
        RecordQuery: record_query,
        RequestMaskedDossier: request_dossier,
    },
    decides={
        AnswerInquiry: answer_inquiry,
        ReleaseMaskedDossier: release_dossier,
        RefuseMaskedDossier: refuse_dossier,
    },
)
