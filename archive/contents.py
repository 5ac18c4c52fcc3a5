"""卷内文件. The history of a case as an archivist files it: papers with their answers together, each sheet under its name.

Pure. Every event of a case has its place in `_PLACES`; what is printed as a paper of its own is handed in.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from archive.material import Material
from domain import fields
from domain.attachments import named_in
from domain.order import fold
from domain.state import WorkOrder
from domain.steps import (
    answering,
    classifying,
    closing,
    coordinating,
    correcting,
    dispatch,
    disposing,
    evaluation,
    extending,
    filing,
    handling,
    linking,
    oversight,
    recourse,
    registration,
    returning,
    revisiting,
    triage,
)
from domain.terms import (
    SHANGHAI,
    Applicant,
    Attachment,
    Attributes,
    Citation,
    CitedText,
    Entry,
    Fact,
    Origin,
    Role,
    Sealed,
)
from domain.wording import Teller, citation_words, event_title, said, show_instant

_LONG = 22
"""Characters from which a text has a line of its own on a sheet."""


class Line(NamedTuple):
    """A line of a sheet: one wide field, or two short ones side by side."""

    label: str
    text: str
    label2: str = ""
    text2: str = ""

    @property
    def wide(self) -> bool:
        """Tell whether the field has the line for itself."""
        return not self.label2

    @property
    def paragraphs(self) -> list[str]:
        """The text by its own lines."""
        return self.text.split("\n")


class Record(NamedTuple):
    """An event on a sheet."""

    version: int
    position: int
    title: str
    at: str
    by: str
    lines: tuple[Line, ...]
    corrected: tuple[str, ...]

    @property
    def short(self) -> bool:
        """Tell whether it is to stay on one page."""
        return sum(len(line.text) + len(line.text2) for line in self.lines) < 800


class Paper(NamedTuple):
    """A paper of its own, as whoever sends it sets it: its body as HTML, its number, and whom it is by."""

    title: str
    number: str
    issuer: str
    html: str


class Item(NamedTuple):
    """件. One line of the catalogue: papers first, then the sheet of what belongs to them."""

    key: str
    title: str
    number: str
    responsible: str
    day: str  # 20250304
    papers: tuple[Paper, ...]
    records: tuple[Record, ...]
    note: str = ""


class Moment(NamedTuple):
    """A line of the timeline."""

    version: int
    position: int
    at: str
    title: str
    by: str
    details: str
    leaf: str
    numbers: str
    origin: str


# --- where an event belongs --------------------------------------------------------------------------------------


class Place(NamedTuple):
    """Under which key an event lies, and what the sheet is called."""

    key: str
    title: str


_Where = Callable[[Any, WorkOrder | None], Place]


def _at(key: str, title: str) -> _Where:
    place = Place(key, title)
    return lambda _event, _order: place


def _ordinal(title: str, number: int) -> str:
    return title if number <= 1 else f"{title}（第{number}次）"


def _episode(order: WorkOrder | None) -> int:
    return len(order.episodes) if order is not None else 0


def _dispatched(_event: Fact, order: WorkOrder | None) -> Place:
    no = _episode(order) + 1
    return Place(f"episode {no}", _ordinal("交办单及签收转派记录", no))


def _in_episode(_event: Fact, order: WorkOrder | None) -> Place:
    no = _episode(order)
    return Place(f"episode {no}", _ordinal("交办单及签收转派记录", no))


def _return_asked(_event: Fact, order: WorkOrder | None) -> Place:
    return _return(order, 1 + _returns(order))


def _return_about(event: Any, order: WorkOrder | None) -> Place:
    return _return(order, event.return_no)


def _returns(order: WorkOrder | None) -> int:
    return len(order.episodes[-1].returns) if order is not None and order.episodes else 0


def _return(order: WorkOrder | None, no: int) -> Place:
    earlier = sum(len(e.returns) for e in order.episodes[:-1]) if order is not None else 0
    return Place(f"return {_episode(order)}.{no}", _ordinal("退单申请及审定意见", earlier + no))


def _escalated(_event: Fact, order: WorkOrder | None) -> Place:
    return Place(f"escalation {_episode(order)}", "逐级上报及意见")


def _dispute_raised(_event: Fact, order: WorkOrder | None) -> Place:
    no = 1 + (len(order.episodes[-1].disputes) if order is not None and order.episodes else 0)
    return _dispute(order, no)


def _dispute_ruled(event: returning.DisputeRuled, order: WorkOrder | None) -> Place:
    return _dispute(order, event.dispute)


def _dispute_again(_event: Fact, order: WorkOrder | None) -> Place:
    return _dispute(order, len(order.episodes[-1].disputes) if order is not None and order.episodes else 1)


def _dispute(order: WorkOrder | None, no: int) -> Place:
    return Place(f"dispute {_episode(order)}.{no}", _ordinal("派单异议及裁定", no))


def _extension_asked(_event: Fact, order: WorkOrder | None) -> Place:
    return _extension(order, 1 + (len(order.episodes[-1].extensions) if order is not None and order.episodes else 0))


def _extension_about(event: Any, order: WorkOrder | None) -> Place:
    return _extension(order, event.extension)


def _extension(order: WorkOrder | None, no: int) -> Place:
    return Place(f"extension {_episode(order)}.{no}", _ordinal("延期申请、审批及告知", no))


def _replied(_event: Fact, order: WorkOrder | None) -> Place:
    return _reply(1 + (len(order.replies) if order is not None else 0))


def _reply_about(event: Any, order: WorkOrder | None) -> Place:
    return _reply(event.reply or (len(order.replies) if order is not None else 1) or 1)


def _reply(no: int) -> Place:
    return Place(f"reply {no}", _ordinal("办理答复及审核意见", no))


def _round(title: str, key: str) -> _Where:
    def where(event: Any, _order: WorkOrder | None) -> Place:
        return Place(f"{key} {event.round}", title if event.round <= 1 else f"{title}（第{event.round}轮）")

    return where


def _noticed(_event: Fact, order: WorkOrder | None) -> Place:
    return _notice(1 + (len(order.oversight.notices) if order is not None else 0))


def _notice_about(event: Any, _order: WorkOrder | None) -> Place:
    return _notice(event.notice)


def _notice(no: int) -> Place:
    return Place(f"notice {no}", f"督办文书及回复（督办{no}）")


def _instruction_new(event: Any, order: WorkOrder | None) -> Place:
    asked = getattr(event, "request", None)
    no = asked or 1 + (len(order.oversight.instructions) if order is not None else 0)
    return Place(f"instruction {no}", _ordinal("呈批、批示及办结报告", no))


def _instruction_about(event: recourse.InstructionReported, _order: WorkOrder | None) -> Place:
    return Place(f"instruction {event.instruction}", _ordinal("呈批、批示及办结报告", event.instruction))


def _appeal_filed(_event: Fact, order: WorkOrder | None) -> Place:
    no = 1 + (len(order.oversight.appeals) if order is not None else 0)
    return Place(f"appeal {no}", _ordinal("考核申诉及裁定", no))


def _appeal_decided(event: recourse.AppealDecided, _order: WorkOrder | None) -> Place:
    return Place(f"appeal {event.appeal}", _ordinal("考核申诉及裁定", event.appeal))


_REGISTRATION = _at("registration", "诉求登记表")
_SUPPLEMENT = _at("supplement", "补充信息与分类记录")
_LINKS = _at("links", "重复、并单与拆单记录")
_DESK = _at("desk", "受理处置记录")
_NOT_ACCEPTED = _at("refusal", "不予受理审核及告知")
_ASKED = _at("asked", "诉求人查询与催单记录")
_CONTACTS = _at("contacts", "联系诉求人记录")
_PROGRESS = _at("progress", "初步响应与进度反馈")
_SITE = _at("site", "现场核实记录")
_INFORMED = _at("informed", "告知诉求人凭证")
_CO = _at("co", "协办意见")
_WHISTLE = _at("whistle", "吹哨报到记录")
_PROMISE = _at("promise", "后续承诺及兑现")
_JUDGED = _at("judged", "诉求合理性与不计满意率认定")
_CLOSURE = _at("closure", "办结记录")
_SPECIAL = _at("special", "督办专报拟稿与签批")
_MEETING = _at("meeting", "会议纪要及落实情况")
_REFERRAL = _at("referral", "移送问责")
_STATED = _at("stated", "问题说明")
_CORRECTED = _at("corrected", "更正记录")
_PERSONAL = _at("personal", "个人信息与公开处理记录")
_FILING = _at("filing", "归档与利用记录")
_PUSHED = _at("pushed", "数据推送记录")

_PLACES: Mapping[type[Fact], _Where] = {
    registration.OrderRegistered: _REGISTRATION,
    registration.SecretStubRegistered: _REGISTRATION,
    registration.SupplementRequested: _SUPPLEMENT,
    registration.OrderSupplemented: _SUPPLEMENT,
    classifying.OrderClassified: _SUPPLEMENT,
    classifying.OrderReclassified: _SUPPLEMENT,
    classifying.ConfidentialitySet: _SUPPLEMENT,
    classifying.ConfidentialityLiftProposed: _SUPPLEMENT,
    classifying.ConfidentialityLifted: _SUPPLEMENT,
    classifying.ConfidentialityLiftRejected: _SUPPLEMENT,
    registration.OrderSplit: _LINKS,
    linking.DuplicateLinked: _LINKS,
    linking.OrdersMerged: _LINKS,
    linking.ChildMerged: _LINKS,
    linking.OrderUnmerged: _LINKS,
    linking.ChildUnmerged: _LINKS,
    linking.ApplicantInquired: _ASKED,
    linking.ApplicantUrged: _ASKED,
    linking.ExternalPushRecorded: _PUSHED,
    triage.RefusalProposed: _NOT_ACCEPTED,
    triage.RefusalRejected: _NOT_ACCEPTED,
    triage.NotAccepted: _NOT_ACCEPTED,
    triage.DirectAnswered: _DESK,
    triage.ThreeWayCallHeld: _DESK,
    triage.CallTransferred: _DESK,
    triage.CallerReferred: _DESK,
    triage.ReferralFollowedUp: _DESK,
    triage.EmergencyHandedOver: _DESK,
    triage.EmergencyNotified: _DESK,
    triage.IncidentVerified: _DESK,
    triage.CrossRegionTransferred: _DESK,
    triage.TransferReceiptRecorded: _DESK,
    triage.OrderWithdrawn: _DESK,
    dispatch.OrderDispatched: _dispatched,
    dispatch.DispatchRecalled: _in_episode,
    dispatch.AssignmentTransferred: _in_episode,
    handling.AssignmentSigned: _in_episode,
    handling.HandlerAssigned: _in_episode,
    coordinating.CoOrganizerAdded: _in_episode,
    coordinating.CoOrganizerRemoved: _in_episode,
    coordinating.ExpediteAssigned: _in_episode,
    returning.ReturnEscalated: _escalated,
    returning.ReturnEscalationAccepted: _escalated,
    returning.ReturnEscalationRejected: _escalated,
    returning.ReturnRequested: _return_asked,
    returning.CoObjectionRaised: _return_asked,
    returning.ReturnWithdrawn: _return_about,
    returning.LateReturnConsented: _return_about,
    returning.ReturnApproved: _return_about,
    returning.ReturnRejected: _return_about,
    returning.DisputeRaised: _dispute_raised,
    returning.DisputeRuled: _dispute_ruled,
    returning.RulingReopened: _dispute_again,
    coordinating.CoordinationMeetingHeld: _MEETING,
    coordinating.DecisionCarriedOut: _MEETING,
    coordinating.WhistleBlown: _WHISTLE,
    coordinating.WhistleResponded: _WHISTLE,
    extending.ExtensionRequested: _extension_asked,
    extending.ExtensionApproved: _extension_about,
    extending.ExtensionRejected: _extension_about,
    extending.ExtensionInformed: _extension_about,
    handling.ApplicantContacted: _CONTACTS,
    handling.InitialResponseSubmitted: _PROGRESS,
    handling.ProgressReported: _PROGRESS,
    handling.SiteVisited: _SITE,
    handling.SiteArrived: _SITE,
    handling.SiteVerified: _SITE,
    answering.CoOpinionSubmitted: _CO,
    answering.ReplySubmitted: _replied,
    answering.ApplicantInformed: _INFORMED,
    answering.ExplanationRecorded: _reply_about,
    answering.FollowUpCommitted: _PROMISE,
    answering.FollowUpDone: _PROMISE,
    answering.FollowUpRejected: _PROMISE,
    evaluation.ReplyReviewed: _reply_about,
    evaluation.ReplySubstanceJudged: _reply_about,
    evaluation.DeemedNotHandled: _reply_about,
    evaluation.EvaluationRecorded: _round("满意度评价记录", "evaluation"),
    evaluation.LateEvaluationRecorded: _round("满意度评价记录", "evaluation"),
    evaluation.EvaluationDeemed: _round("满意度评价记录", "evaluation"),
    evaluation.RedoOrdered: _round("重办通知", "redo"),
    evaluation.SatisfactionExemptProposed: _JUDGED,
    evaluation.SatisfactionExemptSet: _JUDGED,
    evaluation.SatisfactionExemptRejected: _JUDGED,
    evaluation.ReasonablenessProposed: _JUDGED,
    evaluation.ReasonablenessJudged: _JUDGED,
    revisiting.RevisitSampled: _round("回访记录", "revisit"),
    revisiting.RevisitScheduled: _round("回访记录", "revisit"),
    revisiting.RevisitConsentRecorded: _round("回访记录", "revisit"),
    revisiting.RevisitRefused: _round("回访记录", "revisit"),
    revisiting.RevisitUnreachable: _round("回访记录", "revisit"),
    revisiting.RevisitCompleted: _round("回访记录", "revisit"),
    closing.NotedClosureProposed: _CLOSURE,
    closing.NotedClosureRejected: _CLOSURE,
    closing.TerminationProposed: _CLOSURE,
    closing.TerminationRejected: _CLOSURE,
    closing.OrderReopened: _CLOSURE,
    filing.OrderClosed: _CLOSURE,
    filing.OrderArchived: _FILING,
    filing.DossierRendered: _FILING,
    filing.UseCopyIssued: _FILING,
    filing.ArchivePackageSealed: _FILING,
    filing.ArchiveTransferred: _FILING,
    disposing.FileAppraised: _FILING,
    disposing.FileDisposed: _FILING,
    correcting.CorrectionProposed: _CORRECTED,
    correcting.CorrectionRecorded: _CORRECTED,
    correcting.CorrectionRejected: _CORRECTED,
    correcting.TextReleasedForOversight: _PERSONAL,
    correcting.PersonalDataErasureProposed: _PERSONAL,
    correcting.PersonalDataErased: _PERSONAL,
    correcting.PersonalDataErasureRejected: _PERSONAL,
    correcting.PersonalDataRestricted: _PERSONAL,
    oversight.SupervisionNoticeIssued: _noticed,
    oversight.SupervisionNoticeServed: _notice_about,
    oversight.SupervisionReplySubmitted: _notice_about,
    oversight.SupervisionReplyAccepted: _notice_about,
    oversight.SupervisionReplyRejected: _notice_about,
    oversight.SupervisionEscalated: _notice_about,
    oversight.SupervisionNoticeWithdrawn: _notice_about,
    oversight.SupervisionClosed: _notice_about,
    oversight.SpecialReportDrafted: _SPECIAL,
    oversight.SpecialReportApproved: _SPECIAL,
    oversight.SpecialReportRejected: _SPECIAL,
    recourse.LeadershipInstructionRequested: _instruction_new,
    recourse.LeadershipInstructionRecorded: _instruction_new,
    recourse.InstructionReported: _instruction_about,
    recourse.AccountabilityReferred: _REFERRAL,
    recourse.AppealFiled: _appeal_filed,
    recourse.AppealDecided: _appeal_decided,
    recourse.FindingStated: _STATED,
}
"""Where each event of a case lies in its file."""

PLACED = frozenset(_PLACES)


# --- the items of a file -----------------------------------------------------------------------------------------


def items(material: Material, papers: Mapping[int, Paper]) -> list[Item]:
    """Return what lies in a file, in the order in which it began; `papers` by the versions of their events."""
    found: dict[str, tuple[Place, list[Entry]]] = {}
    recorded = {entry.version: entry for entry in material.entries}

    def watch(order: WorkOrder | None, entry: Entry) -> None:
        if not material.shows(entry.version):
            return
        place = _PLACES[type(entry.event)](entry.event, order)
        as_recorded = recorded[entry.version]  # the fold is shown it corrected; a sheet says both, side by side
        found.setdefault(place.key, (place, []))[1].append(as_recorded)

    fold(material.entries, watch)
    return [_item(material, place, entries, papers) for place, entries in found.values()]


def _item(material: Material, place: Place, entries: Sequence[Entry], papers: Mapping[int, Paper]) -> Item:
    own = tuple(papers[entry.version] for entry in entries if entry.version in papers)
    rest = [entry for entry in entries if entry.version not in papers]
    first = entries[0]
    return Item(
        key=place.key.replace(" ", "-").replace(".", "-"),
        title=place.title if not (own and not rest) else own[0].title,
        number="；".join(paper.number for paper in own if paper.number),
        responsible=own[0].issuer if own else _whose(material, first),
        day=f"{first.at.astimezone(SHANGHAI):%Y%m%d}",
        papers=own,
        records=tuple(_record(material, entry) for entry in rest),
    )


def _whose(material: Material, entry: Entry) -> str:
    """Return who is responsible for a document: the unit, or the applicant."""
    if entry.actor.role is Role.CITIZEN:
        return Role.CITIZEN.zh
    law, unit = material.law, entry.actor.unit
    if entry.actor.role is Role.SYSTEM:  # of what another system told, whoever did it there
        unit = getattr(entry.event, "unit", "") or ""
    return law.unit_name(unit or law.hotline_unit, entry.at)


def by_words(material: Material, entry: Entry) -> str:
    """Say who acted, and for which unit."""
    actor = entry.actor
    if actor.role is Role.SYSTEM:
        return "系统"
    if actor.role is Role.CITIZEN:
        return Role.CITIZEN.zh
    unit = material.law.unit_name(actor.unit, entry.at) if actor.unit else ""
    return f"{unit} {actor.role.zh} {actor.user}".strip()


def teller(material: Material, entry: Entry) -> Teller:
    """Return what says the fields of an event: sealed ones as this edition shows them, units by the names of the day."""
    law = material.law

    def name(unit: str) -> str:
        return law.unit_name(unit, entry.at) if unit else "热线"

    return Teller(material.text, name)


def _record(material: Material, entry: Entry) -> Record:
    corrected = [
        f"第{c.no}次更正（{show_instant(c.recorded.at)}）：{field_words(c.field)}　{_was(material, c.old, c.old_text)} → "
        f"{_was(material, c.new, c.new_text)}"
        for c in material.order.corrections
        if c.version == entry.version
    ]
    return Record(
        version=entry.version,
        position=entry.position,
        title=event_title(entry.event),
        at=show_instant(entry.at) + _origin(entry),
        by=by_words(material, entry),
        lines=tuple(_paired(_fields(material, entry))),
        corrected=tuple(corrected),
    )


def field_words(path: str) -> str:
    """Return a field's path in the words of officials: `applicant.name` is 诉求人·姓名."""
    return "·".join(fields.term(part) for part in path.split("."))


def _was(material: Material, plain: str, text: Sealed | str | None) -> str:
    return material.text(text) if isinstance(text, Sealed) else text or plain


def _origin(entry: Entry) -> str:
    return "" if entry.origin is Origin.LIVE else f"（{entry.origin.zh}）"


def _paired(told: Iterator[tuple[str, str]]) -> Iterator[Line]:
    """Yield lines: short fields two by two, a long one for itself."""
    held: tuple[str, str] | None = None
    for label, text in told:
        if len(text) > _LONG or "\n" in text:
            if held is not None:
                yield Line(*held)
                held = None
            yield Line(label, text)
        elif held is None:
            held = (label, text)
        else:
            yield Line(*held, label, text)
            held = None
    if held is not None:
        yield Line(*held)


def _fields(material: Material, entry: Entry) -> Iterator[tuple[str, str]]:
    if registered := entry.numbered("order"):
        yield "工单编号", registered
    yield from _of(teller(material, entry), entry.event)


def _of(tell: Teller, record: msgspec.Struct) -> Iterator[tuple[str, str]]:
    """Yield what a record says, records within it in lines of their own."""
    for name, label, text in tell.fields(record):
        value = getattr(record, name)
        match value:
            case Attributes() | Applicant():
                yield from _of(tell, value)
            case CitedText():
                for inner, told in _of(tell, value):
                    yield f"{label}·{inner}", told
            case tuple() | list() if value and all(isinstance(one, Attachment) for one in value):
                for no, one in enumerate(value, 1):
                    yield f"{label}{no}", attachment_words(tell, one)
            case tuple() | list() if value and all(isinstance(one, msgspec.Struct) for one in value):
                for no, one in enumerate(value, 1):
                    yield f"{label}{no}", "；".join(f"{inner}：{told}" for inner, told in _of(tell, one))
            case Attachment():
                yield label, attachment_words(tell, value)
            case Citation():
                yield label, citation_words(value)
            case tuple() if name == "derived" and value:
                yield label, f"{'、'.join(map(field_words, value[1:]))}（按映射 {value[0]}）"
            case str() if name == "field":
                yield label, field_words(value)
            case _ if name in ("subject", "assignment"):
                continue
            case _:
                yield label, _bare(text)


def _bare(text: str) -> str:
    """Return what is said of a record within a record without its braces."""
    return text[1:-1] if text.startswith("{") and text.endswith("}") else text


def attachment_words(tell: Teller, one: Attachment) -> str:
    """Say which file it is: its name, kind, size and the beginning of its digest."""
    name = tell.value("name", one.name) if one.name is not None else "（未命名）"
    return f"{name}，{one.media_type}，{one.size:,} 字节，{one.digest[:19]}…"


# --- what is listed ----------------------------------------------------------------------------------------------


class Kept(NamedTuple):
    """A file that the case names: where it is named, what it is, its digest."""

    version: int
    event: str
    at: str
    field: str
    name: str
    media_type: str
    size: str
    digest: str


def kept_files(material: Material) -> list[Kept]:
    """Return the recordings and attachments that the case names, in the order of its events."""
    found: list[Kept] = []
    for entry in material.entries:
        tell = teller(material, entry)
        for path, one in named_in(entry):
            label = "录音" if path.startswith("recording") else "附件"
            name = tell.value("name", one.name) if one.name is not None else "（未命名）"
            found.append(
                Kept(
                    entry.version,
                    event_title(entry.event),
                    show_instant(entry.at),
                    label,
                    name,
                    one.media_type,
                    f"{one.size:,}",
                    one.digest,
                )
            )
    return found


class Shown(NamedTuple):
    """图. A picture as it stands on its page: its bytes as an address, what is said below it and instead of it."""

    no: int
    address: str
    name: str
    event: str
    at: str
    digest: str
    how: str  # as given, or made smaller
    why: str  # it is not printed

    @property
    def alt(self) -> str:
        """What somebody hears who does not see it."""
        return f"图{self.no}：{self.name}，{self.event}，{self.at}"


def pictures(material: Material) -> list[Shown]:
    """Return the pictures of the case that this file prints, in the order of its events, and those that it does not."""
    kept = {one.digest: one for one in reversed(kept_files(material))}
    found: list[Shown] = []
    for no, one in enumerate(material.told.pictures, 1):
        of = kept.get(one.digest)
        if of is None:  # a file that says other than its events
            continue
        address = ""
        if one.file:
            kind = "jpeg" if one.file.endswith(".jpg") else "png"
            address = f"data:image/{kind};base64," + base64.b64encode(material.pictures[one.file]).decode("ascii")
        how = "原件" if one.original else f"缩印，原件 {of.size} 字节"
        found.append(Shown(no, address, of.name, f"{of.event}（第{of.version}项）", of.at, of.digest, how, one.why))
    return found


def timeline(material: Material) -> list[Moment]:
    """Return every event that is shown in a line: what happened, when, by whom, and the leaf that proves it."""
    every = zip(material.entries, material.leaves, strict=True)
    return [_moment(material, entry, leaf) for entry, leaf in every if material.shows(entry.version)]


def _moment(material: Material, entry: Entry, leaf: bytes) -> Moment:
    tell = teller(material, entry)
    open_fields = (name for name, value in said(entry.event).items() if not isinstance(value, Sealed | Applicant))
    told = [f"{label}：{text}" for label, text in _short(tell, entry.event, frozenset(open_fields))]
    numbers = dict.fromkeys(
        entry.numbered(journal.partition("/")[0], nth)
        for journal, given in entry.numbers.items()
        for nth in range(1, 1 + len(given))
    )
    return Moment(
        version=entry.version,
        position=entry.position,
        at=show_instant(entry.at),
        title=event_title(entry.event),
        by=by_words(material, entry),
        details="；".join(told),
        leaf=leaf.hex()[:12],
        origin=_origin(entry),
        numbers="、".join(numbers),
    )


def _short(tell: Teller, record: msgspec.Struct, names: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield what is said in few words, for a line of the timeline; texts stand on the sheets."""
    for name, label, text in tell.fields(record):
        value = getattr(record, name)
        if name in names and name not in _ELSEWHERE and not isinstance(value, msgspec.Struct) and len(text) <= 40:
            yield label, field_words(text) if name == "field" else _bare(text)


_ELSEWHERE = frozenset({"evidence", "attachments", "policy", "fonts", "digest", "derived", "assignment"})


def span(entries: Sequence[Entry]) -> tuple[datetime, datetime]:
    """Return when the first and the last event of a case happened."""
    instants = [entry.at.astimezone(SHANGHAI) for entry in entries]
    return min(instants), max(instants)
