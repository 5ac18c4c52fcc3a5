"""⑤ 更正、公开与销毁. What may be done to a record that nobody may alter: correct beside it, release a summary, erase."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Literal, cast, get_args
from uuid import UUID

import msgspec

from domain import guards, refusals
from domain.context import Context
from domain.state import (
    Correction,
    WorkOrder,
    pending,
    propose,
    settle,
)
from domain.steps.filing import mark, on_file, retention, retention_ends, second_person
from domain.terms import (
    SHANGHAI,
    Act,
    Attachment,
    Citation,
    ClosureKind,
    Code,
    Digest,
    Entry,
    Fact,
    Private,
    Role,
    Sealed,
    Shred,
    Step,
    UnitId,
    UserId,
)

Keep = Literal["dossier", "register_line", "not_filed"]
"""归档范围: 一事一卷, a line of the yearly register, or not filed (8.13)."""

Retention = Literal["Y", "D30", "D10", ""]
"""保管期限: 永久, 30年, 10年; empty where nothing is filed."""


# --- events ----------------------------------------------------------------------------------------------------------


class CorrectionProposed(Fact, frozen=True, tag="order.correction_proposed"):
    """提请更正. The side that recorded an event says what it should have said; nothing is altered.

    `field` names a field of the event, or `at`, its instant. Codes, figures and instants stand in `old` and `new` as
    they are stored; personal data and free text in `old_text` and `new_text`.
    """

    version: int
    field: Code
    basis: Private
    old: str = ""
    new: str = ""
    old_text: Private | None = None
    new_text: Private | None = None
    evidence: tuple[Attachment, ...] = ()


class CorrectionRecorded(Fact, frozen=True, tag="order.correction_recorded"):
    """更正. A supervisor approved; both values stay visible for ever."""

    correction: int
    version: int
    field: Code
    basis: Private
    old: str = ""
    new: str = ""
    old_text: Private | None = None
    new_text: Private | None = None


class CorrectionRejected(Fact, frozen=True, tag="order.correction_rejected"):
    """不同意更正."""

    correction: int
    words: Private


class TextReleasedForOversight(Fact, frozen=True, tag="order.text_released_for_oversight"):
    """公开摘要供监督. Deputies and members may read this summary, which somebody other than its author released."""

    summary: Private
    author: UserId
    version: int | None = None  # the entry whose text it shows


class PersonalDataErasureProposed(Fact, frozen=True, tag="order.personal_data_erasure_proposed"):
    """提请销毁个人信息. Asked for by the applicant, or because the purpose is gone (个保法47)."""

    ground: Code
    basis: Citation
    words: Private | None = None


class PersonalDataErased(Fact, frozen=True, tag="order.personal_data_erased"):
    """个人信息销毁. The case's keys were destroyed in this commit; what was sealed is unreadable, the proof remains."""

    ground: Code
    basis: Citation


class PersonalDataErasureRejected(Fact, frozen=True, tag="order.personal_data_erasure_rejected"):
    """不同意销毁个人信息."""

    words: Private


class PersonalDataRestricted(Fact, frozen=True, tag="order.personal_data_restricted"):
    """限制处理个人信息. Kept because its retention runs, stored and nothing else (个保法47 II)."""

    basis: Citation
    words: Private | None = None


# --- applying --------------------------------------------------------------------------------------------------------


def corrected(history: Sequence[Entry]) -> list[Entry]:
    """Return the history with each correction applied to the entry it names; the correction itself stays in it.

    The field `at` stands for the instant of the entry; any other names a field of the event. A value that does not
    fit the field's type, or that no clock could count, leaves the entry as it was: what was recorded is never lost to
    a mistake in its correction. What was corrected before stays as it is then: of a history cut off at an instant,
    the corrections left in it are not all there were.
    """
    by_version = {entry.version: entry for entry in history}
    done = {entry.version for entry in history if entry.corrected}
    for entry in history:
        event = entry.event
        if not isinstance(event, CorrectionRecorded) or event.version not in by_version or event.version in done:
            continue
        if event.new_text is not None:
            continue  # a sealed text: both words stay visible beside each other, and no rule reads either
        by_version[event.version] = _correct(by_version[event.version], event.field, event.new)
    return [by_version[entry.version] for entry in history]


def _correct(entry: Entry, field: str, new: str) -> Entry:
    try:
        return _said_anew(entry, field, new)
    except (ValueError, msgspec.ValidationError, refusals.Refusal):
        return entry


def _said_anew(entry: Entry, field: str, new: str) -> Entry:
    """Return the entry with one field said anew. Raises what does not fit."""
    if field == "at":
        at = datetime.fromisoformat(new)
        guards.datable(at)
        return msgspec.structs.replace(entry, corrected_at=at.astimezone(SHANGHAI), corrected=True)
    kind: type[Fact] = type(cast(Fact, entry.event))
    plain = msgspec.to_builtins(entry.event)
    plain[field] = new
    event = msgspec.convert(plain, kind, strict=False)
    guards.countable(event)
    return msgspec.structs.replace(entry, event=event, corrected=True)


# --- folding ---------------------------------------------------------------------------------------------------------


def on_correction_proposed(order: WorkOrder, event: CorrectionProposed, entry: Entry) -> WorkOrder:
    """Fold the proposal; its ordinal names the correction."""
    no = sum(p.about == "correction" for p in order.proposals) + 1
    return propose(order, entry, "correction", no, event)


def on_correction_recorded(order: WorkOrder, event: CorrectionRecorded, entry: Entry) -> WorkOrder:
    """Fold both values; applying them to what they correct is done where the history is read."""
    order = settle(order, entry, "correction", approved=True, subject=event.correction)
    made = Correction(
        no=len(order.corrections) + 1,
        version=event.version,
        field=event.field,
        old=event.old,
        new=event.new,
        old_text=event.old_text,
        new_text=event.new_text,
        recorded=mark(entry),
    )
    return msgspec.structs.replace(order, corrections=(*order.corrections, made))


def on_correction_rejected(order: WorkOrder, event: CorrectionRejected, entry: Entry) -> WorkOrder:
    """Fold the decision."""
    return settle(order, entry, "correction", approved=False, subject=event.correction)


def on_text_released(order: WorkOrder, event: TextReleasedForOversight, entry: Entry) -> WorkOrder:
    """Fold the release."""
    return on_file(order, text_released=True)


def on_erasure_proposed(order: WorkOrder, event: PersonalDataErasureProposed, entry: Entry) -> WorkOrder:
    """Fold the proposal."""
    return propose(order, entry, "erasure", content=event)


def on_erased(order: WorkOrder, event: PersonalDataErased, entry: Entry) -> WorkOrder:
    """Fold the erasure."""
    return on_file(settle(order, entry, "erasure", approved=True), erased=mark(entry))


def on_erasure_rejected(order: WorkOrder, event: PersonalDataErasureRejected, entry: Entry) -> WorkOrder:
    """Fold the decision."""
    return settle(order, entry, "erasure", approved=False)


def on_restricted(order: WorkOrder, event: PersonalDataRestricted, entry: Entry) -> WorkOrder:
    """Fold the restriction; a request to erase has its answer by it."""
    return on_file(settle(order, entry, "erasure", approved=False), restricted=True)


EVOLVES: Mapping[type[Fact], Callable[[WorkOrder, Any, Entry], WorkOrder]] = {
    CorrectionProposed: on_correction_proposed,
    CorrectionRecorded: on_correction_recorded,
    CorrectionRejected: on_correction_rejected,
    TextReleasedForOversight: on_text_released,
    PersonalDataErasureProposed: on_erasure_proposed,
    PersonalDataErased: on_erased,
    PersonalDataErasureRejected: on_erasure_rejected,
    PersonalDataRestricted: on_restricted,
}


# --- commands --------------------------------------------------------------------------------------------------------

_RECORDERS = frozenset(Role) - {
    Role.CITIZEN,
    Role.SYSTEM,
    Role.ADMIN,
    Role.AUDITOR,
    Role.OVERSEER_NPC,
    Role.OVERSEER_CPPCC,
    Role.DISCIPLINE,
}
"""Roles that write to a case, and so may find that something was written wrongly."""


class ProposeCorrection(Act, frozen=True, tag="propose_correction"):
    """提请更正. By the side that recorded the event; the value as stored, sealed fields in the text pair."""

    roles: ClassVar[frozenset[Role]] = _RECORDERS
    version: int
    field: Code
    basis: Private
    old: str = ""
    new: str = ""
    old_text: Private | None = None
    new_text: Private | None = None
    evidence: tuple[Attachment, ...] = ()


class ApproveCorrection(Act, frozen=True, tag="approve_correction"):
    """同意更正."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.SUPERVISOR})
    correction: int


class RejectCorrection(Act, frozen=True, tag="reject_correction"):
    """不同意更正."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.SUPERVISOR})
    correction: int
    words: Private


class ReleaseTextForOversight(Act, frozen=True, tag="release_text_for_oversight"):
    """公开摘要供监督. Release a de-identified summary of a text that somebody else wrote (8.10).

    `version` names the entry whose text it is: its actor is the author.
    """

    roles: ClassVar[frozenset[Role]] = frozenset({Role.HOTLINE_MANAGER, Role.SUPERVISOR, Role.QC_REVIEWER})
    summary: Private
    version: int


class ProposeErasure(Act, frozen=True, tag="propose_erasure"):
    """提请销毁个人信息."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.AGENT, Role.HOTLINE_MANAGER, Role.ARCHIVIST, Role.SYSTEM})
    ground: Code
    basis: Citation
    words: Private | None = None


class ApproveErasure(Act, frozen=True, tag="approve_erasure"):
    """同意销毁个人信息. Destroys the keys of the case in the same commit."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.HOTLINE_MANAGER, Role.SUPERVISOR})


class RejectErasure(Act, frozen=True, tag="reject_erasure"):
    """不同意销毁个人信息."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.HOTLINE_MANAGER, Role.SUPERVISOR})
    words: Private


class RestrictPersonalData(Act, frozen=True, tag="restrict_personal_data"):
    """限制处理个人信息. What is left to do while the retention period runs."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.HOTLINE_MANAGER, Role.SUPERVISOR})
    basis: Citation
    words: Private | None = None


# --- deciding --------------------------------------------------------------------------------------------------------

_STRUCTURE = frozenset(
    """accepted accepts_reply after_due anonymous assumed_policy author by_unit clock clock_key confidentiality days
    due edition effective_at field file_number from_unit handler identity_checked implied indicator issuer keep kind
    late lead lead_parent lengthens new of_class old owner own_handling parent peak period published rating
    reply_required responsible_unit since source stays stratum substance to unit upheld""".split()  # noqa: SIM905
)
"""Fields that say whose a case is, what law and limit it has, or what was decided: other acts change those."""

_COUNTS = frozenset({"involved_units", "seconds"})
"""Figures that were counted; every other number is the ordinal of a part."""


def _named(context: Context, version: int) -> tuple[Entry | None, Entry, Entry | None]:
    """Return the entry that is named, as it reads now, between its neighbours. Raises UnknownVersion."""
    entries = corrected(context.history)
    for place, entry in enumerate(entries):
        if entry.version == version:
            after = entries[place + 1] if place + 1 < len(entries) else None
            return (entries[place - 1] if place else None), entry, after
    raise refusals.UnknownVersion(f"version: {version}")


def _own_side(entry: Entry, context: Context) -> None:
    """Refuse whoever is not of the side that recorded the entry: its actor's unit or an heir. Raises NotYourUnit."""
    law, now = context.law, context.now
    context.until(law.next_unit_change(now))
    side = entry.actor.unit or law.hotline_unit  # what the timer, an applicant or an import said is the hotline's
    if context.actor.user != entry.actor.user and context.actor.unit not in law.heirs(side, now):
        raise refusals.NotYourUnit(f"由记录方提出 by the side that recorded it: {side}", unit=side)


def _form(entry: Entry, command: ProposeCorrection, context: Context) -> None:
    """Refuse a field that the entry lacks or that no correction changes, and a value that it could not have.

    Raises CorrectionFieldUnknown, CorrectionNotAllowed, CorrectionUnreadable, InstantAhead.
    """
    text = command.new_text is not None or command.old_text is not None
    if command.field == "at":
        if text:
            raise refusals.CorrectionUnreadable("at: 非密封字段 not a sealed field")
        guards.not_ahead(context, _instant(command.new))
        return
    types = {field.name: field.type for field in msgspec.structs.fields(cast(type[Fact], type(entry.event)))}
    kind = types.get(command.field)
    if kind is None:
        raise refusals.CorrectionFieldUnknown(command.field)
    sealed = Sealed in get_args(kind)
    if sealed is not text:
        way = "密封字段写入 sealed fields in old_text, new_text" if sealed else "非密封字段 not a sealed field"
        raise refusals.CorrectionUnreadable(f"{command.field}: {way}")
    if sealed:
        if command.new_text is None:
            raise refusals.CorrectionUnreadable(command.field)
        return
    if command.field in _STRUCTURE or (command.field not in _COUNTS and _is_ordinal(kind)):
        raise refusals.CorrectionNotAllowed(command.field)
    try:
        _said_anew(entry, command.field, command.new)
    except (ValueError, msgspec.ValidationError, refusals.Refusal) as error:
        raise refusals.CorrectionUnreadable(f"{command.field}: {error}") from None


def _is_ordinal(kind: Any) -> bool:
    """Tell whether a type is a bare number, an id, or names a unit or a person."""
    members = {kind, *get_args(kind)}
    return bool(members & {int, UUID, UnitId, UserId, Digest})


def _stands(entry: Entry, command: ProposeCorrection | CorrectionProposed) -> bool:
    """Tell whether `old` is what the entry says; a sealed text is never compared."""
    if command.new_text is not None or command.old_text is not None:
        return True
    if command.field == "at":
        try:
            return _instant(command.old) == entry.at
        except refusals.CorrectionUnreadable:
            return False
    value = getattr(entry.event, command.field)
    if value is None:
        return not command.old
    plain = msgspec.to_builtins(value)
    return command.old == (plain if isinstance(plain, str) else msgspec.json.encode(plain).decode())


def _right(command: ProposeCorrection | CorrectionProposed, context: Context) -> None:
    """Refuse a correction of something else than what stands there, or one that turns the history around."""
    before, entry, after = _named(context, command.version)
    if not _stands(entry, command):
        raise refusals.CorrectionOldDiffers(f"{command.field}: {command.old or '-'}")
    if command.field != "at":
        return
    at = _instant(command.new)
    if (before is not None and at < before.at) or (after is not None and at > after.at):
        raise refusals.CorrectionOutOfOrder(at.isoformat())


def propose_correction(order: WorkOrder, command: ProposeCorrection, context: Context) -> list[Step]:
    """Say what an entry should have said; sealed files too, as an appended note, destroyed ones no more."""
    if order.filing.disposed is not None:
        raise refusals.WrongState(f"已销毁 destroyed: {order.filing.file_number}", state=order.state)
    _, entry, _ = _named(context, command.version)
    text = command.new_text is not None or command.old_text is not None
    if text and (command.old or command.new):
        raise refusals.CorrectionUnreadable
    if command.old == command.new and not text:
        raise refusals.NothingChanged
    _form(entry, command, context)
    _own_side(entry, context)
    _right(command, context)
    return [
        CorrectionProposed(
            version=command.version,
            field=command.field,
            basis=command.basis,
            old=command.old,
            new=command.new,
            old_text=command.old_text,
            new_text=command.new_text,
            evidence=command.evidence,
        )
    ]


def _instant(written: str) -> datetime:
    """Return an instant as written. Raises CorrectionUnreadable where it cannot be read or names no zone."""
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        raise refusals.CorrectionUnreadable(written) from None
    if at.tzinfo is None:
        raise refusals.CorrectionUnreadable(written)
    return at


def approve_correction(order: WorkOrder, command: ApproveCorrection, context: Context) -> list[Step]:
    """Record the correction as it was proposed, if what it corrects still stands as it was then."""
    asked = second_person(order, context, "correction", command.correction).content
    assert isinstance(asked, CorrectionProposed)  # its fold puts nothing else there
    _right(asked, context)
    return [
        CorrectionRecorded(
            correction=command.correction,
            version=asked.version,
            field=asked.field,
            basis=asked.basis,
            old=asked.old,
            new=asked.new,
            old_text=asked.old_text,
            new_text=asked.new_text,
        )
    ]


def reject_correction(order: WorkOrder, command: RejectCorrection, context: Context) -> list[Step]:
    """Leave the entry as it stands."""
    second_person(order, context, "correction", command.correction)
    return [CorrectionRejected(correction=command.correction, words=command.words)]


def release_text(order: WorkOrder, command: ReleaseTextForOversight, context: Context) -> list[Step]:
    """Release a summary of what somebody else wrote, signed or drafted."""
    _, entry, _ = _named(context, command.version)
    author = entry.actor.user
    guards.another_person(context, author, getattr(entry.event, "drafted_by", ""))
    return [TextReleasedForOversight(summary=command.summary, author=author, version=command.version)]


def retention_runs(order: WorkOrder, context: Context) -> bool:
    """Tell whether the case must still be kept: from the year after its closure, for the years of its period."""
    filing = order.filing
    if filing.filed is None:
        rule = retention(order, context.law, filing.kind or ClosureKind.NOT_ACCEPTED)
        return rule is None or rule.keep != "not_filed"
    if filing.keep == "not_filed":
        return False
    ends = retention_ends(order)
    return ends is None or not context.passed(ends)


def _erasable(order: WorkOrder, context: Context) -> None:
    guards.in_state(order, *guards.ENDED)
    if order.filing.erased is not None:
        raise refusals.WrongState("已销毁 erased", state=order.state)
    if retention_runs(order, context):
        raise refusals.RetentionRunning(order.filing.file_number)


def propose_erasure(order: WorkOrder, command: ProposeErasure, context: Context) -> list[Step]:
    """Ask for the destruction of the case's keys."""
    _erasable(order, context)
    if pending(order, "erasure") is not None:
        raise refusals.AlreadyProposed
    return [PersonalDataErasureProposed(ground=command.ground, basis=command.basis, words=command.words)]


def approve_erasure(order: WorkOrder, command: ApproveErasure, context: Context) -> list[Step]:
    """Destroy the case's keys in this commit, and say so."""
    asked = second_person(order, context, "erasure").content
    _erasable(order, context)
    assert isinstance(asked, PersonalDataErasureProposed)  # its fold puts nothing else there
    return [PersonalDataErased(ground=asked.ground, basis=asked.basis), Shred(stream=context.stream)]


def reject_erasure(order: WorkOrder, command: RejectErasure, context: Context) -> list[Step]:
    """Leave the keys where they are."""
    second_person(order, context, "erasure")
    return [PersonalDataErasureRejected(words=command.words)]


def restrict(order: WorkOrder, command: RestrictPersonalData, context: Context) -> list[Step]:
    """Keep the data stored and nothing else."""
    guards.in_state(order, *guards.ENDED)
    if order.filing.restricted or order.filing.erased is not None:
        raise refusals.NothingChanged
    return [PersonalDataRestricted(basis=command.basis, words=command.words)]


DECIDES: Mapping[type[Act], Callable[[WorkOrder, Any, Context], Sequence[Step]]] = {
    ProposeCorrection: propose_correction,
    ApproveCorrection: approve_correction,
    RejectCorrection: reject_correction,
    ReleaseTextForOversight: release_text,
    ProposeErasure: propose_erasure,
    ApproveErasure: approve_erasure,
    RejectErasure: reject_erasure,
    RestrictPersonalData: restrict,
}
