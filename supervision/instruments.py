"""文书 (8.13). What the office sends on paper, each made from the events that stand at its position in the ledger.

A paper is about one event: what came later changes nothing of it. Folded are the entries up to that event, under the
law as it was recorded by then; so it prints the same whenever it is printed. It shows no applicant's name or number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from domain import institution
from domain.clocks import Clock, clocks
from domain.explanation import limit_words
from domain.fields import term
from domain.law import Law
from domain.matters import affairs, inquiries, notices
from domain.matters.matter import CircularKind
from domain.order import fold
from domain.refusals import Erased, Refusal
from domain.state import Notice, WorkOrder
from domain.steps import coordinating, dispatch, extending, oversight, recourse, registration, triage
from domain.terms import (
    SHANGHAI,
    Citation,
    ClockName,
    Entry,
    Limit,
    Mark,
    NoticeKind,
    Private,
    Role,
    Sealed,
    UnitId,
    Word,
)
from domain.wording import citation_words, day_words, instant_words

MASK = "（内容密封，经授权开启后可见）"
ERASED = "（已依法销毁）"


class NotAnInstrument(Refusal):
    """这一事件不出具文书。Nothing is printed for this event: ask which of the record's events have a paper."""

    basis = "DOMAIN 8.13"


class InstrumentKind(Word):
    """文书种类 (8.13). Its word is the journal that numbers it."""

    DISPATCH_SLIP = "dispatch_slip", "交办单"
    URGING = "urging", "催办单"
    SUPERVISION = "supervision", "督办通知书"
    SPECIAL_REPORT = "special_report", "督办专报"
    CIRCULAR = "circular", "通报"
    NON_ACCEPTANCE = "non_acceptance", "不予受理告知书"
    EXTENSION_SLIP = "extension_slip", "延期告知书"
    INSTRUCTION_REQUEST = "instruction_request", "呈批单"
    MINUTES = "minutes", "会议纪要"
    REFERRAL = "referral", "移送函"
    ANSWER_LETTER = "answer_letter", "答复函"


SIGNS: Mapping[InstrumentKind, str] = {
    InstrumentKind.DISPATCH_SLIP: "交办",
    InstrumentKind.URGING: "催办",
    InstrumentKind.SUPERVISION: "督办",
    InstrumentKind.SPECIAL_REPORT: "督专报",
    InstrumentKind.CIRCULAR: "通报",
    InstrumentKind.NON_ACCEPTANCE: "不受告",
    InstrumentKind.EXTENSION_SLIP: "延告",
    InstrumentKind.INSTRUCTION_REQUEST: "呈批",
    InstrumentKind.MINUTES: "纪要",
    InstrumentKind.REFERRAL: "移送",
    InstrumentKind.ANSWER_LETTER: "答复",
}
"""代字. What stands before the year in a paper's number."""

RED = frozenset({InstrumentKind.CIRCULAR, InstrumentKind.SPECIAL_REPORT})
"""Papers under a red head: those that a leader signs."""


class Section(msgspec.Struct, frozen=True):
    """A part of the text under its heading."""

    heading: str
    paragraphs: tuple[str, ...]


class Paper(msgspec.Struct, frozen=True, kw_only=True):
    """One paper, ready to be set."""

    kind: InstrumentKind
    title: str
    stream: str
    version: int
    position: int
    at: datetime
    leaf: str = ""
    number: str = ""
    register: str = ""  # the same number as lists and searches show it
    masked: bool = False
    units: frozenset[UnitId] = frozenset()  # whom it is for: what stands on it is theirs to read
    to: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    lines: tuple[tuple[str, str], ...] = ()
    sections: tuple[Section, ...] = ()
    article: str = ""
    quote: str = ""
    reply_by: str = ""
    issuer: str = ""
    city: str = ""
    signed: str = ""
    red: bool = False
    assumed: bool = False  # 推演: the case runs under an assumed pack, so that nobody is bound by it (8.15)


class Shown(NamedTuple):
    """A sealed field that a paper shows."""

    entry: Entry
    path: str
    sealed: Sealed

    @property
    def name(self) -> str:
        """Its name among what is opened for one paper."""
        return f"{self.entry.version}:{self.path}"


class Texts:
    """Reads what is sealed where it was opened, and notes what a paper shows of it."""

    def __init__(self, opened: Mapping[str, str | Erased] | None = None) -> None:
        self._opened = opened
        self.shown: dict[str, Shown] = {}

    def __call__(self, entry: Entry, path: str, value: Private | None) -> str:
        """Return a field's text, or what stands in its place; nothing where nothing was said."""
        if not isinstance(value, Sealed):
            return value or ""
        said = Shown(entry, path, value)
        self.shown[said.name] = said
        found = self._opened.get(said.name) if self._opened is not None else MASK
        return ERASED if found is None or isinstance(found, Erased) else found

    @property
    def masked(self) -> bool:
        """Tell whether something is left out."""
        return self._opened is None and bool(self.shown)


class At(NamedTuple):
    """Where a paper stands: its event, what the record held up to it, and the law as recorded by then."""

    entry: Entry
    before: Sequence[Entry]  # up to the event, which is the last one
    law: Law
    text: Texts

    @property
    def order(self) -> WorkOrder:
        """The case as it stood with the event."""
        found = fold(self.before)
        if found is None:
            raise NotAnInstrument(self.entry.stream)
        return found

    def name(self, unit: UnitId) -> str:
        """Return what a unit was called; the hotline's own for none."""
        return self.law.unit_name(unit or self.law.hotline_unit, self.entry.at)

    def names(self, units: Sequence[UnitId]) -> tuple[str, ...]:
        """Return what units were called."""
        return tuple(self.name(unit) for unit in units)

    def own(self, path: str, value: Private | None) -> str:
        """Return the text of a field of the event itself."""
        return self.text(self.entry, path, value)


Write = Callable[[At, Any], dict[str, Any]]


# --- which events have one ---------------------------------------------------------------------------------------

_OF_NOTICE: Mapping[NoticeKind, InstrumentKind] = {
    NoticeKind.REMINDER: InstrumentKind.URGING,
    NoticeKind.SPECIAL_REPORT_DOWN: InstrumentKind.SPECIAL_REPORT,
}


def kind_of(entry: Entry, entries: Sequence[Entry]) -> InstrumentKind | None:
    """Return which paper an event is printed as; None for none."""
    event = entry.event
    if isinstance(event, oversight.SupervisionNoticeIssued):
        return _OF_NOTICE.get(event.kind, InstrumentKind.SUPERVISION)
    if isinstance(event, oversight.SupervisionReplyRejected):
        issued = _issued(entries, event.notice)
        return None if issued is None else kind_of(issued, entries)
    found = _WRITERS.get(type(event))
    return None if found is None else found[0]


def instruments(entries: Sequence[Entry]) -> Iterator[tuple[Entry, InstrumentKind]]:
    """Yield the events of a record that have a paper, with its kind."""
    for entry in entries:
        kind = kind_of(entry, entries)
        if kind is not None:
            yield entry, kind


def paper(
    entries: Sequence[Entry],
    version: int,
    laws: Sequence[Entry],
    *,
    leaf: str = "",
    opened: Mapping[str, str | Erased] | None = None,
) -> tuple[Paper, tuple[Shown, ...]]:
    """Return the paper of one event, and the sealed fields that it shows.

    `entries` are the record's, `laws` the institution's; what either holds after the event is left out. `opened` has the
    texts by `Shown.name`; without it they stay sealed. Raises NotAnInstrument.
    """
    before = [entry for entry in entries if entry.version <= version]
    kind = kind_of(before[-1], before) if before and before[-1].version == version else None
    if kind is None:
        raise NotAnInstrument(f"version: {version}")
    entry = before[-1]
    law: Law | None = None
    for one in laws:
        if one.position < entry.position:
            law = institution.evolve(law, one)
    assert law is not None, "nothing happens before a city is founded"
    at = At(entry, before, law, Texts(opened))
    written = _WRITERS[type(entry.event)][1](at, entry.event)
    number, register = _number(entry, kind, before)
    told: dict[str, Any] = {
        "title": kind.zh,
        "issuer": at.name(""),
        **written,
        "kind": kind,
        "stream": entry.stream,
        "version": entry.version,
        "position": entry.position,
        "at": entry.at.astimezone(SHANGHAI),
        "leaf": leaf,
        "number": number,
        "register": register,
        "red": kind in RED,
        "assumed": entry.stream.startswith("order:") and at.order.assumed_policy,
        "city": law.city_name,
        "masked": at.text.masked,
    }
    return Paper(**told), tuple(at.text.shown.values())


def _number(entry: Entry, kind: InstrumentKind, entries: Sequence[Entry]) -> tuple[str, str]:
    """Return a paper's number as it is printed, and as it is listed; another system's paper has none of ours."""
    nth = sum(e.command_id == entry.command_id and kind_of(e, entries) is kind for e in entries)
    listed = entry.numbered(kind, nth)
    series, _, number = listed.rpartition("-")
    if not listed or not number.isdecimal():
        return "", listed
    return f"{series[:-4]}{SIGNS[kind]}〔{series[-4:]}〕{int(number)}号", listed


# --- words -------------------------------------------------------------------------------------------------------


def within(limit: Limit) -> str:
    """Say a limit that begins with the service."""
    if limit.until is not None:
        return f"{instant_words(limit.until)}前"
    return f"自送达之日起{limit_words(limit).partition(' ')[0]}内"


def _lines(*rows: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((label, text) for label, text in rows if text)


def _sections(*parts: tuple[str, str]) -> tuple[Section, ...]:
    return tuple(Section(heading, tuple(text.split("\n"))) for heading, text in parts if text)


def _by(entry: Entry) -> str:
    return "系统自动签发" if entry.actor.role is Role.SYSTEM else f"{entry.actor.role.zh} {entry.actor.user}"


def _about(order: WorkOrder) -> tuple[tuple[str, str], ...]:
    kind = f"{order.attributes.demand_type.zh}·{order.demand.category}"
    said = _lines(("工单编号", order.number), ("诉求标题", order.demand.title), ("诉求类别", kind))
    return (*said, *_lines(("登记推定", presumed(order.demand.derived))))


def presumed(derived: Sequence[str]) -> str:
    """Say what the source of a row lacks and a mapping set (8.15): first its name, then a field or words each."""
    if not derived:
        return ""
    words = (
        term(one.rpartition(".")[2]) if one.replace(".", "").replace("_", "").isascii() else one for one in derived[1:]
    )
    return f"{'；'.join(dict.fromkeys(words))}（来源未载，按映射 {derived[0]} 推定）"


def _event_at(at: At, position: int) -> Entry | None:
    return next((entry for entry in at.before if entry.position == position), None)


# --- 交办单 ------------------------------------------------------------------------------------------------------


def _dispatch_slip(at: At, event: dispatch.OrderDispatched) -> dict[str, Any]:
    order, episode = at.order, len(at.order.episodes)
    found = {c.key: c for c in clocks(order, at.law) if c.name is ClockName.HANDLE}
    handle = found.get(f"e{episode}")
    content = [at.text(e, "content", e.event.content) for e in at.before if isinstance(e.event, _TELLING)]
    co = [f"{at.name(part.unit)}{_duty(at.own(f'co.{n}.duty', part.duty))}" for n, part in enumerate(event.co)]
    limits = "；".join(f"{name.zh}：{limit_words(limit).partition(' ')[0]}" for name, limit in event.limits.items())
    urgency = f"{order.attributes.urgency.zh}·{order.attributes.complexity.zh}"
    reply_by = instant_words(handle.due) + "前" if handle is not None and handle.due is not None else ""
    if event.reply_required is False:
        reply_by = "不要求答复"
    return {
        "units": frozenset((event.lead, *(part.unit for part in event.co), *event.supervising)),
        "to": (at.name(event.lead),),
        "copies": at.names([part.unit for part in event.co] + list(event.supervising)),
        "lines": (
            *_about(order),
            *_lines(
                ("紧急程度", urgency),
                ("发生地点", order.demand.place),
                ("转办类型", event.kind.zh + (f"（第{episode}次派单）" if episode > 1 else "")),
                ("派单依据", event.basis.zh if event.basis is not None else ""),
                ("协办分工", "；".join(co)),
                ("载明时限", limits),
                ("派单推定", presumed(event.derived)),
            ),
        ),
        "sections": _sections(
            ("诉求内容", "\n".join(text for text in content if text)),
            ("交办意见", at.own("note", event.note) or "请按职责办理，在期限内答复诉求人并反馈办理结果。"),
        ),
        "reply_by": reply_by,
        **_article(handle.rule.basis if handle is not None else None),
    }


_TELLING = (registration.OrderRegistered, registration.OrderSupplemented)


def _duty(text: str) -> str:
    return f"（{text}）" if text else ""


def _article(citation: Citation | None) -> dict[str, str]:
    quote = citation.quote if citation is not None else ""
    chinese = any(
        "一" <= letter <= "鿿" for letter in quote
    )  # of a text known in translation only, no words are quoted
    return {"article": citation_words(citation), "quote": quote if chinese else ""}


# --- 催办单, 督办通知书, 督办专报 --------------------------------------------------------------------------------


def _issued(entries: Sequence[Entry], no: int) -> Entry | None:
    found = [entry for entry in entries if isinstance(entry.event, oversight.SupervisionNoticeIssued)]
    return found[no - 1] if 0 < no <= len(found) else None


def _notice(at: At, event: oversight.SupervisionNoticeIssued) -> dict[str, Any]:
    order = at.order
    notice, found = order.oversight.notices[-1], clocks(order, at.law)
    about = next((c for c in found if c.name is event.clock and c.key == event.clock_key), None)
    facts, demand, signed = _said(at, event)
    reply = next((c for c in found if c.name is ClockName.SUPV_REPLY and c.key == f"n{notice.no}.{notice.turn}"), None)
    article = event.article
    if article is None:
        article = next((c.rule.basis for c in (about, reply) if c is not None), None)
    return {
        "title": _title(event.kind),
        "units": frozenset((event.unit, *event.copies)),
        "to": (at.name(event.unit),),
        "copies": at.names(event.copies),
        "lines": (
            *_about(order),
            *_lines(
                ("督办方式", event.kind.zh if event.kind is not NoticeKind.REMINDER else ""),
                ("督办事由", event.ground.zh),
                ("到场地点", event.place or ""),
                ("参加人员", "、".join(one.zh for one in event.participants)),
                ("上一文书", _earlier(order, event.follows)),
            ),
        ),
        "sections": _sections(
            ("有关事实", facts or _state_of(about, at)),
            ("办理要求", demand or _DEMANDS.get(event.kind, "请按要求办理，并书面回复。")),
            ("新闻通稿口径", at.own("press_summary", event.press_summary)),
        ),
        "reply_by": _reply_by(notice, reply, about),
        "signed": signed,
        **_article(article),
    }


_DEMANDS: Mapping[NoticeKind, str] = {
    NoticeKind.REMINDER: "请抓紧办理，在期限内完成。",
    NoticeKind.SYSTEM: "请立即办理，书面说明逾期原因，并明确新的完成日期。",
    NoticeKind.ONSITE: "请按时到场，核实情况，划清责任。",
    NoticeKind.MEETING: "请落实会商议定事项，按期反馈。",
}


def _title(kind: NoticeKind) -> str:
    return _OF_NOTICE.get(kind, InstrumentKind.SUPERVISION).zh


def _earlier(order: WorkOrder, no: int | None) -> str:
    if no is None or not 0 < no <= len(order.oversight.notices):
        return ""
    before = order.oversight.notices[no - 1]
    return f"{before.kind.zh}（{instant_words(before.issued.at)}）未按要求办理"


def _state_of(clock: Clock | None, at: At) -> str:
    """Say how the duty stands that a notice is about, where whoever issued it left it to the ledger."""
    if clock is None or clock.due is None:
        return ""
    now, begun = at.entry.at, instant_words(clock.start.at)
    said = f"本件「{clock.rule.title}」自{begun}起算，应于{instant_words(clock.due)}前完成"
    late = clock.late_by(now)
    if late is None:
        return f"{said}，期限将至。" if clock.running else f"{said}。"
    hours = int(late.total_seconds() // 3600)
    lasted = f"{hours // 24}天{hours % 24}小时" if hours >= 24 else f"{hours}小时" if hours else "不足1小时"
    return f"{said}，截至{instant_words(now)}已逾期{lasted}。"


def _reply_by(notice: Notice, reply: Clock | None, about: Clock | None) -> str:
    if notice.arrive_by is not None:
        return f"{instant_words(notice.arrive_by)}前到场"
    if reply is not None and reply.due is not None:
        return f"{instant_words(reply.due)}前书面回复"
    if notice.limit is not None:
        return f"{within(notice.limit)}书面回复"
    if about is not None and about.due is not None and about.due > notice.issued.at:
        return f"{instant_words(about.due)}前完成，不另行要求书面回复"
    return "以办理为准，不另行要求书面回复"


def _said(at: At, event: oversight.SupervisionNoticeIssued) -> tuple[str, str, str]:
    """Return facts, demand and signature; of a special report from its draft and the leader's approval.

    Under a leader's name stand the words that the leader approved, whatever was said when it was issued.
    """
    no = event.special_report or 0
    drafts = [e for e in at.before if isinstance(e.event, oversight.SpecialReportDrafted)]
    approved = next(
        (e for e in at.before if isinstance(e.event, oversight.SpecialReportApproved) and e.event.special_report == no),
        None,
    )
    if approved is None or not 0 < no <= len(drafts):
        return at.own("facts", event.facts), at.own("demand", event.demand), _by(at.entry)
    draft = drafts[no - 1]
    facts, demand = (at.text(draft, name, getattr(draft.event, name)) for name in ("facts", "demand"))
    return facts, demand, _by(approved)


def _notice_again(at: At, event: oversight.SupervisionReplyRejected) -> dict[str, Any]:
    order = at.order
    issued = _issued(at.before, event.notice)
    assert issued is not None
    notice = order.oversight.notices[event.notice - 1]
    found = clocks(order, at.law)
    reply = next((c for c in found if c.name is ClockName.SUPV_REPLY and c.key == f"n{notice.no}.{notice.turn}"), None)
    return {
        "title": _title(notice.kind),
        "units": frozenset((notice.unit, *issued.event.copies)),
        "to": (at.name(notice.unit),),
        "copies": at.names(issued.event.copies),
        "lines": (
            *_about(order),
            *_lines(
                ("督办方式", f"{notice.kind.zh}（第{notice.turn}次）"),
                ("督办事由", notice.ground.zh),
                ("前次文书", f"{instant_words(issued.at)}签发，回复经审核退回"),
            ),
        ),
        "sections": _sections(
            ("有关事实", at.text(issued, "facts", issued.event.facts)),
            ("退回意见及要求", at.own("requirements", event.requirements)),
        ),
        "reply_by": _reply_by(notice, reply, None),
        "signed": _by(at.entry),
        **_article(issued.event.article or (reply.rule.basis if reply is not None else None)),
    }


def _unit_notice(at: At, event: notices.UnitNoticeIssued) -> dict[str, Any]:
    reply_by = f"{instant_words(event.arrive_by)}前到场" if event.arrive_by is not None else ""
    if not reply_by and event.limit is not None:
        reply_by = _counted(at, event.limit, served=event.served_by_system)
    return {
        "units": frozenset((event.unit, *event.copies)),
        "to": (at.name(event.unit),),
        "copies": at.names(event.copies),
        "lines": _lines(
            ("督办方式", event.kind.zh),
            ("督办事由", event.ground.zh),
            ("涉及工单", f"{len(event.orders)}件" if event.orders else ""),
            ("到场地点", event.place or ""),
            ("参加人员", "、".join(one.zh for one in event.participants)),
        ),
        "sections": _sections(
            ("有关事实", at.own("facts", event.facts)),
            ("办理要求", at.own("demand", event.demand)),
            ("新闻通稿口径", at.own("press_summary", event.press_summary)),
        ),
        "reply_by": reply_by,
        "signed": _by(at.entry),
        **_article(event.article),
    }


def _counted(at: At, limit: Limit, *, served: bool) -> str:
    if not served or limit.until is not None:
        return f"{within(limit)}书面回复"
    due = notices.counted_from(Mark(at.entry.at, at.entry.position), limit, None, at.law)
    assert due is not None
    return f"{instant_words(due.at)}前书面回复"


def _unit_notice_again(at: At, event: notices.UnitNoticeRejected) -> dict[str, Any]:
    issued = next(e for e in at.before if isinstance(e.event, notices.UnitNoticeIssued))
    turn = 1 + sum(isinstance(e.event, notices.UnitNoticeRejected) for e in at.before)
    return {
        "units": frozenset((issued.event.unit, *issued.event.copies)),
        "to": (at.name(issued.event.unit),),
        "copies": at.names(issued.event.copies),
        "lines": _lines(
            ("督办方式", f"{issued.event.kind.zh}（第{turn}次）"),
            ("督办事由", issued.event.ground.zh),
            ("前次文书", f"{instant_words(issued.at)}签发，整改报告经审核退回"),
        ),
        "sections": _sections(
            ("有关事实", at.text(issued, "facts", issued.event.facts)),
            ("退回意见及要求", at.own("requirements", event.requirements)),
        ),
        "reply_by": _counted(at, event.limit, served=event.served_by_system),
        "signed": _by(at.entry),
        **_article(issued.event.article),
    }


# --- 通报 --------------------------------------------------------------------------------------------------------


def _circular(at: At, event: affairs.CircularPublished) -> dict[str, Any]:
    drafted = next(e for e in at.before if isinstance(e.event, affairs.CircularDrafted))
    approved = next((e for e in at.before if isinstance(e.event, affairs.CircularApproved)), None)
    draft: affairs.CircularDrafted = drafted.event
    criticism = draft.circular is CircularKind.CRITICISM
    period = ""
    if draft.period_from is not None and draft.period_until is not None:
        period = f"{day_words(draft.period_from)}至{day_words(draft.period_until)}"
    rectify = f"请于{day_words(draft.rectify_by)}前报送整改说明。" if draft.rectify_by is not None else ""
    return {
        "title": draft.title,
        "units": frozenset(draft.units),
        "to": event.recipients,
        "lines": _lines(
            ("通报种类", draft.circular.zh),
            ("被通报单位", "、".join(at.names(draft.units)) if criticism else ""),
            ("统计期间", period),
            ("通报事由", draft.ground.zh if draft.ground is not None else ""),
            ("涉及工单", f"{len(draft.orders)}件" if draft.orders else ""),
        ),
        "sections": _sections(
            ("基本情况" if criticism else "有关情况", at.text(drafted, "facts", draft.facts)), ("工作要求", rectify)
        ),
        "reply_by": f"{day_words(draft.rectify_by)}前" if draft.rectify_by is not None else "",
        "signed": _by(approved) if approved is not None else "",
        **_article(draft.article),
    }


# --- 不予受理, 延期 ----------------------------------------------------------------------------------------------


def _told_elsewhere(unit: str, contact: str) -> str:
    if not unit:
        return ""
    return f"该事项请向{unit}反映" + (f"，联系方式：{contact}。" if contact else "。")


def _not_accepted(at: At, event: triage.NotAccepted) -> dict[str, Any]:
    order = at.order
    facts = (
        f"您于{instant_words(order.registered.at)}反映的「{order.demand.title}」，经审核属于“{event.reason.zh}”情形，"
    )
    return {
        "to": ("诉求人",),
        "lines": _lines(
            ("工单编号", order.number),
            ("诉求标题", order.demand.title),
            ("不予受理情形", event.reason.zh),
            ("告知方式", f"{event.medium.zh}，{instant_words(event.informed_at)}"),
        ),
        "sections": _sections(
            ("告知事项", f"{facts}按照下列规定不予受理。"),
            ("说明", at.own("words", event.words)),
            ("救济与指引", _told_elsewhere(event.informed_unit, event.informed_contact)),
        ),
        **_article(event.basis),
    }


def _secret_stub(at: At, event: registration.SecretStubRegistered) -> dict[str, Any]:
    said = (
        "您反映的内容可能涉及国家秘密，热线依法不予受理，也未记录其内容。请勿通过电话、网络等非保密渠道反映涉密事项。"
    )
    return {
        "to": ("诉求人",),
        "lines": _lines(
            ("登记编号", at.entry.numbered("order")),
            ("不予受理情形", "国家秘密"),
            ("告知时间", instant_words(event.informed_at)),
        ),
        "sections": _sections(("告知事项", said), ("救济与指引", _told_elsewhere(event.informed_unit, ""))),
        **_article(event.basis),
    }


def _extension(at: At, event: extending.ExtensionInformed) -> dict[str, Any]:
    order = at.order
    episode = order.episodes[-1]
    extension = episode.extensions[event.extension - 1]
    asked = _event_at(at, extension.requested.position)
    decided = _event_at(at, extension.decided.position) if extension.decided is not None else None
    handle = next((c for c in clocks(order, at.law) if c.name is ClockName.HANDLE and c.key == f"e{episode.no}"), None)
    move = handle.moves[-1] if handle is not None and handle.moves else None
    reason = at.text(asked, "reason", asked.event.reason) if asked is not None else ""
    basis = getattr(decided.event, "basis", None) if decided is not None else None
    if basis is None and handle is not None:
        telling = handle.rules.clocks.get(ClockName.INFORM_EXTENSION)
        basis = telling.basis if telling is not None else handle.rule.basis
    return {
        "to": ("诉求人",),
        "lines": _lines(
            ("工单编号", order.number),
            ("诉求标题", order.demand.title),
            ("办理单位", at.name(event.unit)),
            ("原办理期限", instant_words(move.before) if move is not None else ""),
            ("延期后期限", instant_words(move.after) if move is not None else ""),
            ("告知方式", event.medium.zh),
        ),
        "sections": _sections(("延期理由", reason), ("目前进展", at.own("progress", event.progress))),
        "reply_by": f"{instant_words(handle.due)}前答复" if handle is not None and handle.due is not None else "",
        "issuer": at.name(event.unit),
        **_article(basis),
    }


# --- 呈批单, 会议纪要, 移送函, 答复函 ----------------------------------------------------------------------------


def _instruction_request(at: At, event: recourse.LeadershipInstructionRequested) -> dict[str, Any]:
    return {
        "to": (event.leader,),
        "lines": (*_about(at.order), *_lines(("呈报单位", at.name("")))),
        "sections": (
            *_sections(
                ("情况摘要", at.own("summary", event.summary)), ("拟办意见", at.own("proposal", event.proposal))
            ),
            Section("领导批示", ("", "", "")),
        ),
        "signed": _by(at.entry),
    }


def _minutes(at: At, event: coordinating.CoordinationMeetingHeld) -> dict[str, Any]:
    held = event.held_at or at.entry.at
    decided = [
        f"{n}. {at.name(d.unit)}：{at.own(f'decisions.{n - 1}.what', d.what)}"
        + (f"（{day_words(d.by)}前完成）" if d.by is not None else "")
        for n, d in enumerate(event.decisions, 1)
    ]
    named = f"指定{at.name(event.designates)}为主办单位。" if event.designates is not None else ""
    minutes = event.minutes
    return {
        "units": frozenset(event.units),
        "to": at.names(event.units),
        "lines": (
            *_about(at.order),
            *_lines(
                ("会议时间", instant_words(held)),
                ("会议地点", event.place),
                ("参加人员", at.own("participants", event.participants)),
                ("原件", " ".join(part for part in (minutes.number, minutes.digest or "") if part)),
            ),
        ),
        "sections": _sections(
            ("会议记录", at.own("minutes.words", minutes.words) or "见会议原件。"),
            ("议定事项", "\n".join([*decided, named]).strip()),
        ),
        "signed": _by(at.entry),
    }


def _meeting(at: At, event: affairs.MeetingHeld) -> dict[str, Any]:
    decided = [
        f"{n}. {at.name(d.unit)}：{at.own(f'decisions.{n - 1}.what', d.what)}"
        + (f"（{day_words(d.by)}前完成）" if d.by is not None else "")
        for n, d in enumerate(event.decisions, 1)
    ]
    return {
        "units": frozenset(event.participants),
        "to": at.names(event.participants),
        "lines": _lines(
            ("会议议题", event.title),
            ("会议时间", instant_words(event.held_at)),
            ("涉及工单", f"{len(event.orders)}件" if event.orders else ""),
            ("原件摘要", event.minutes),
        ),
        "sections": _sections(("会议记录", at.own("summary", event.summary)), ("议定事项", "\n".join(decided))),
        "signed": _by(at.entry),
    }


def _referral(at: At, event: recourse.AccountabilityReferred) -> dict[str, Any]:
    order = at.order
    named = [order.oversight.notices[no - 1] for no in event.notices if 0 < no <= len(order.oversight.notices)]
    earlier = "；".join(f"{n.kind.zh}（{instant_words(n.issued.at)}）" for n in named)
    return {
        "to": (event.to,),
        "lines": (
            *_about(order),
            *_lines(
                ("被移送单位", at.name(event.unit)),
                ("移送事由", event.ground.zh),
                ("此前督办", earlier),
                ("证据材料摘要", event.bundle),
                ("附件", f"{len(event.evidence)}件" if event.evidence else ""),
            ),
        ),
        "sections": _sections(("主要事实", at.own("facts", event.facts)), ("移送意见", _REFER)),
        "signed": _by(at.entry),
    }


_REFER = "现将有关证据材料随函移送，请依规依纪依法处理，并函告处理结果。"


def _unit_referral(at: At, event: affairs.UnitReferred) -> dict[str, Any]:
    return {
        "to": (event.to,),
        "lines": _lines(
            ("被移送单位", at.name(event.unit)),
            ("移送事由", event.ground.zh),
            ("涉及工单", f"{len(event.orders)}件" if event.orders else ""),
            ("此前通报督办", f"{len(event.matters)}件" if event.matters else ""),
            ("证据材料摘要", event.bundle),
        ),
        "sections": _sections(("主要事实", at.own("facts", event.facts)), ("移送意见", _REFER)),
        "signed": _by(at.entry),
    }


def _answer(at: At, event: inquiries.OversightInquiryAnswered) -> dict[str, Any]:
    filed = next(e for e in at.before if isinstance(e.event, inquiries.OversightInquiryFiled))
    asked: inquiries.OversightInquiryFiled = filed.event
    return {
        "title": f"关于“{asked.title}”的答复函",
        "to": (at.text(filed, "from_whom", asked.from_whom) or asked.body.zh,),
        "lines": _lines(
            ("事项类别", asked.matter_kind.zh),
            ("来文编号", asked.reference or ""),
            ("收文编号", filed.numbered("inquiry")),
            ("收到日期", day_words(filed.at.astimezone(SHANGHAI).date())),
        ),
        "sections": _sections(("答复意见", at.own("answer", event.answer))),
        "issuer": event.signed_by,
    }


_WRITERS: Mapping[type, tuple[InstrumentKind, Write]] = {
    dispatch.OrderDispatched: (InstrumentKind.DISPATCH_SLIP, _dispatch_slip),
    oversight.SupervisionNoticeIssued: (InstrumentKind.SUPERVISION, _notice),
    oversight.SupervisionReplyRejected: (InstrumentKind.SUPERVISION, _notice_again),
    notices.UnitNoticeIssued: (InstrumentKind.SUPERVISION, _unit_notice),
    notices.UnitNoticeRejected: (InstrumentKind.SUPERVISION, _unit_notice_again),
    affairs.CircularPublished: (InstrumentKind.CIRCULAR, _circular),
    triage.NotAccepted: (InstrumentKind.NON_ACCEPTANCE, _not_accepted),
    registration.SecretStubRegistered: (InstrumentKind.NON_ACCEPTANCE, _secret_stub),
    extending.ExtensionInformed: (InstrumentKind.EXTENSION_SLIP, _extension),
    recourse.LeadershipInstructionRequested: (InstrumentKind.INSTRUCTION_REQUEST, _instruction_request),
    coordinating.CoordinationMeetingHeld: (InstrumentKind.MINUTES, _minutes),
    affairs.MeetingHeld: (InstrumentKind.MINUTES, _meeting),
    recourse.AccountabilityReferred: (InstrumentKind.REFERRAL, _referral),
    affairs.UnitReferred: (InstrumentKind.REFERRAL, _unit_referral),
    inquiries.OversightInquiryAnswered: (InstrumentKind.ANSWER_LETTER, _answer),
}

PRINTED = frozenset(_WRITERS)
"""The events that are printed."""
