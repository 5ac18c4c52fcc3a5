"""公布与报送. Reports as published, with the position their figures are true at; data pushed, counts taken in, verifications.

A report of a period has a stream whose id follows from its kind and period (`report_stream`): a published month is
closed, and what is corrected later appears as an adjustment in the next report (8.14).
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, ClassVar
from uuid import UUID

import msgspec

from domain import guards, refusals
from domain.context import Context
from domain.matters.folding import Folded, derived, here, kind, mark
from domain.terms import Act, Code, Digest, Entry, Fact, Mark, Number, PolicyRef, Private, Role, Step, UserId, Word

Count = Annotated[int, msgspec.Meta(ge=0)]


class ReportKind(Word):
    """报告种类 (DOMAIN 5.3)."""

    DAILY_DUTY = "daily_duty", "值班日报"
    DUTY_SPECIAL = "duty_special", "值班专报"
    SPECIAL_INFO = "special_info", "信息专报"
    BRIEFING = "briefing", "工作简报"
    PERIODIC_CIRCULAR = "periodic_circular", "情况通报"
    FEATURE_DATA = "feature_data", "特征数据展示"
    ASSESSMENT = "assessment", "考评报告"
    SUBMISSION = "submission", "向人大、政协报送"
    PUBLIC = "public", "向社会公布"


ON_EVENT = frozenset({ReportKind.DUTY_SPECIAL, ReportKind.SPECIAL_INFO, ReportKind.FEATURE_DATA})
"""Reports that an event or a demand for them brings about; the others are each of a period, once."""


class PrivacyClass(Word):
    """公开属性. Who may read the report."""

    PUBLIC = "public", "主动公开"
    OVERSEERS = "overseers", "报送人大、政协"
    GOVERNMENT = "government", "政府内部"
    LEADERS = "leaders", "报领导"


# --- state -------------------------------------------------------------------------------------------------------


class Publication(Folded, frozen=True, kw_only=True):
    """公布与报送."""

    report: ReportKind | None = None
    published: Mark | None = None
    number: str = ""
    content_hash: str = ""
    privacy: PrivacyClass | None = None
    approver: UserId = ""
    pushed_to: int = 0  # the last position a consumer has taken
    pushes: int = 0
    verified_to: int = 0
    intervals: tuple[tuple[datetime, datetime], ...] = ()  # of telephony counts taken in


def report_stream(report: ReportKind, period_from: date, period_until: date, scope: str = "") -> str:
    """Return the stream of a periodic report; the scope tells a district's or unit's report from the city's."""
    return derived("publication", report.value, period_from, period_until, scope)


def push_stream(consumer: str, day: date) -> str:
    """Return the stream of what was pushed to a consumer on a day."""
    return derived("publication", "push", consumer, day)


def telephony_stream(source: str, day: date) -> str:
    """Return the stream of the telephony counts of a day."""
    return derived("publication", "telephony", source, day)


# --- events ------------------------------------------------------------------------------------------------------


class ReportPublished(Fact, frozen=True, tag="publication.report_published"):
    """报告公布. The same kind, period, cut-off and template give the same content again; its number is the commit's."""

    report: ReportKind
    title: Code
    period_from: date
    period_until: date  # the last day, included
    cut_off: int  # the ledger's position the figures are true at
    template_version: Code
    content_hash: Digest
    approver: UserId
    prepared_by: UserId
    recipients: tuple[Code, ...]
    privacy_class: PrivacyClass
    policies: tuple[PolicyRef, ...] = ()  # the packs its figures were counted under
    scope: Code | None = None  # of a district or unit; None: the city
    adjusts: tuple[UUID, ...] = ()  # earlier reports whose figures it adjusts
    orders: tuple[UUID, ...] = ()  # cases a special report is about
    asks_instruction: bool = False  # 请示: a leader is asked for an instruction
    summary: Private | None = None


class DataPushed(Fact, frozen=True, tag="publication.data_pushed"):
    """数据推送. What went to a department or platform, from one position to another (S3-9)."""

    consumer: Code
    day: date
    from_position: int
    to_position: int
    events: Count
    digest: Digest
    receipt: Code | None = None
    failure: Code | None = None


class TelephonyStatsImported(Fact, frozen=True, tag="publication.telephony_stats_imported"):
    """话务统计. The telephone system's counts of an interval; the ledger takes no call itself."""

    source: Code
    from_at: datetime
    until: datetime
    queued: Count  # calls entering the human queue
    answered: Count  # by a human
    answered_in_15s: Count
    abandoned: Count
    abandoned_in_5s: Count = 0
    abandoned_after_15s: Count = 0
    self_service: Count = 0
    rated: Count = 0
    file: Digest | None = None
    replaces: bool = False  # the telephone system corrected itself


class ChainVerified(Fact, frozen=True, tag="publication.chain_verified"):
    """校验. The leaves of the ledger were made again and compared with the tree's heads."""

    from_position: int
    to_position: int
    root: Digest
    intact: bool
    method: Code  # the program and version that verified
    findings: Private | None = None


# --- folding -----------------------------------------------------------------------------------------------------


def _publication(publication: Publication | None, entry: Entry) -> Publication:
    return publication if publication is not None else Publication(stream=entry.stream)


def on_report_published(publication: Publication | None, event: ReportPublished, entry: Entry) -> Publication:
    """Fold the report."""
    return msgspec.structs.replace(
        _publication(publication, entry),
        report=event.report,
        published=mark(entry),
        number=entry.numbered(event.report),
        content_hash=event.content_hash,
        privacy=event.privacy_class,
        approver=event.approver,
    )


def on_push_recorded(publication: Publication | None, event: DataPushed, entry: Entry) -> Publication:
    """Fold the push; a failed one moves nothing."""
    publication = _publication(publication, entry)
    reached = publication.pushed_to if event.failure else max(publication.pushed_to, event.to_position)
    return msgspec.structs.replace(publication, pushed_to=reached, pushes=publication.pushes + 1)


def on_telephony_imported(publication: Publication | None, event: TelephonyStatsImported, entry: Entry) -> Publication:
    """Fold the interval."""
    publication = _publication(publication, entry)
    interval = (event.from_at, event.until)
    known = tuple(i for i in publication.intervals if i != interval)
    return msgspec.structs.replace(publication, intervals=(*known, interval))


def on_chain_verified(publication: Publication | None, event: ChainVerified, entry: Entry) -> Publication:
    """Fold the verification."""
    return msgspec.structs.replace(_publication(publication, entry), verified_to=event.to_position)


# --- commands ----------------------------------------------------------------------------------------------------


class PublishReport(Act, frozen=True, tag="publish_report"):
    """公布报告. Approved by somebody other than who prepared it."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.HOTLINE_MANAGER, Role.COORDINATOR})
    creates: ClassVar[str] = "publication"
    report: ReportKind
    title: Code
    period_from: date
    period_until: date
    cut_off: int
    template_version: Code
    content_hash: Digest
    prepared_by: UserId
    recipients: tuple[Code, ...]
    privacy_class: PrivacyClass
    policies: tuple[PolicyRef, ...] = ()
    scope: Code | None = None
    adjusts: tuple[UUID, ...] = ()
    orders: tuple[UUID, ...] = ()
    asks_instruction: bool = False
    summary: Private | None = None


class RecordPush(Act, frozen=True, tag="record_push"):
    """登记数据推送."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.SYSTEM})
    consumer: Code
    day: date
    from_position: int
    to_position: int
    events: Count
    digest: Digest
    receipt: Code | None = None
    failure: Code | None = None


class ImportTelephonyStats(Act, frozen=True, tag="import_telephony_stats"):
    """导入话务统计."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.SYSTEM, Role.HOTLINE_MANAGER, Role.SUPERVISOR})
    source: Code
    day: date
    from_at: datetime
    until: datetime
    queued: Count
    answered: Count
    answered_in_15s: Count
    abandoned: Count
    abandoned_in_5s: Count = 0
    abandoned_after_15s: Count = 0
    self_service: Count = 0
    rated: Count = 0
    file: Digest | None = None
    replaces: bool = False


class RecordVerification(Act, frozen=True, tag="record_verification"):
    """登记校验. By whoever ran it: an auditor's finding is written down whatever it says."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.AUDITOR, Role.ARCHIVIST, Role.SYSTEM})
    creates: ClassVar[str] = "publication"
    from_position: int
    to_position: int
    root: Digest
    intact: bool
    method: Code
    findings: Private | None = None


# --- deciding ----------------------------------------------------------------------------------------------------


def publish_report(publication: Publication | None, command: PublishReport, context: Context) -> list[Step]:
    """Publish a report once for its period; a later figure is an adjustment in the next one."""
    if command.report not in ON_EVENT:
        period = (command.period_from, command.period_until)
        here(context, report_stream(command.report, *period, command.scope or ""))
        if not guards.day_over(context, command.period_until):
            raise refusals.PeriodNotOver(f"{command.period_until}")
    if command.period_until < command.period_from:
        raise refusals.IntervalEmpty
    if publication is not None and publication.published is not None:
        raise refusals.AlreadyPublished(publication.number)
    if command.cut_off > context.position > 0:
        raise refusals.CutOffAhead(f"cut_off: {command.cut_off}")
    if not command.recipients:
        raise refusals.RecipientsMissing
    guards.another_person(context, command.prepared_by)
    told = {name: getattr(command, name) for name in PublishReport.__struct_fields__}
    return [ReportPublished(approver=context.actor.user, **told), Number(command.report)]


def record_push(publication: Publication | None, command: RecordPush, context: Context) -> list[Step]:
    """Record what was pushed, or that pushing it failed."""
    here(context, push_stream(command.consumer, command.day))
    if command.to_position < command.from_position:
        raise refusals.IntervalEmpty
    if command.to_position > context.position > 0:
        raise refusals.CutOffAhead(f"to_position: {command.to_position}")
    told = {name: getattr(command, name) for name in DataPushed.__struct_fields__}
    return [DataPushed(**told)]


def import_telephony(publication: Publication | None, command: ImportTelephonyStats, context: Context) -> list[Step]:
    """Take in the counts of an interval once, if they agree with themselves."""
    here(context, telephony_stream(command.source, command.day))
    if command.until <= command.from_at:
        raise refusals.IntervalEmpty
    guards.not_ahead(context, command.until)
    agree = (
        command.answered + command.abandoned <= command.queued
        and command.answered_in_15s <= command.answered
        and command.abandoned_in_5s + command.abandoned_after_15s <= command.abandoned
        and command.rated <= command.answered
    )
    if not agree:
        raise refusals.CountsDisagree
    known = publication.intervals if publication is not None else ()
    interval = (command.from_at, command.until)
    if not command.replaces and interval in known:
        raise refusals.AlreadyImported(f"{command.from_at.isoformat()}")
    if any(f < command.until and command.from_at < u for f, u in known if (f, u) != interval):
        raise refusals.IntervalsOverlap
    told = {name: getattr(command, name) for name in TelephonyStatsImported.__struct_fields__}
    return [TelephonyStatsImported(**told)]


def record_verification(publication: Publication | None, command: RecordVerification, context: Context) -> list[Step]:
    """Record what a verification found; a broken chain with what is broken."""
    if not 1 <= command.from_position <= command.to_position:
        raise refusals.IntervalEmpty
    if command.to_position > context.position > 0:
        raise refusals.CutOffAhead(f"to_position: {command.to_position}")
    if not command.intact and not guards.said(command.findings):
        raise refusals.ReasonMissing("findings")
    told = {name: getattr(command, name) for name in ChainVerified.__struct_fields__}
    return [ChainVerified(**told)]


KIND = kind(
    "publication",
    births={
        ReportPublished: on_report_published,
        DataPushed: on_push_recorded,
        TelephonyStatsImported: on_telephony_imported,
        ChainVerified: on_chain_verified,
    },
    evolves={},
    opens={
        PublishReport: publish_report,
        RecordPush: record_push,
        ImportTelephonyStats: import_telephony,
        RecordVerification: record_verification,
    },
    decides={},
)
