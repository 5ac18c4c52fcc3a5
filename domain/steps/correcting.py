"""⑤ 更正、公开与销毁. What may be done to a record that nobody may alter: correct beside it, release a summary, erase."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Literal

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
from domain.steps.filing import mark, on_file, retention, second_person
from domain.terms import (
    SHANGHAI,
    Act,
    Attachment,
    Citation,
    ClosureKind,
    Code,
    Entry,
    Fact,
    Private,
    Role,
    Shred,
    Step,
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
    """公开摘要供监督. Release a de-identified summary that somebody else wrote (8.10)."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.HOTLINE_MANAGER, Role.SUPERVISOR, Role.QC_REVIEWER})
    summary: Private
    author: UserId


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

_OF_A_UNIT = frozenset({Role.ORG_HANDLER, Role.ORG_APPROVER, Role.MGMT_UNIT})


def _took_part(order: WorkOrder, context: Context) -> bool:
    """Tell whether the actor's side wrote to this case: the hotline's staff do, a unit if it ever held it."""
    if context.actor.role not in _OF_A_UNIT:
        return True
    context.until(context.law.next_unit_change(context.now))
    units = {a.unit for e in order.episodes for a in e.assignments}
    units |= {n.unit for n in order.oversight.notices}
    own = context.actor.unit
    if context.actor.role is Role.MGMT_UNIT:
        return any(context.law.is_within(unit, own, context.now) for unit in units)
    return own in units or own in {context.law.successor(unit, context.now) for unit in units}


def propose_correction(order: WorkOrder, command: ProposeCorrection, context: Context) -> list[Step]:
    """Say what an entry should have said; sealed files too, as an appended note."""
    if not 1 <= command.version <= order.version:
        raise refusals.UnknownVersion(f"version: {command.version}")
    if not _took_part(order, context):
        raise refusals.NotYourUnit(f"unit: {context.actor.unit or '-'}")
    text = command.new_text is not None or command.old_text is not None
    if text and (command.old or command.new):
        raise refusals.CorrectionUnreadable
    if command.old == command.new and not text:
        raise refusals.NothingChanged
    if command.field == "at":
        _instant(command.new, context)
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


def _instant(written: str, context: Context) -> None:
    """Refuse a corrected instant that cannot be read, names no zone, or has not come yet."""
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        raise refusals.CorrectionUnreadable(written) from None
    if at.tzinfo is None or not context.passed(at):
        raise refusals.CorrectionUnreadable(written)


def approve_correction(order: WorkOrder, command: ApproveCorrection, context: Context) -> list[Step]:
    """Record the correction as it was proposed."""
    asked = second_person(order, context, "correction", command.correction).content
    assert isinstance(asked, CorrectionProposed)  # its fold puts nothing else there
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
    """Release a summary somebody else wrote."""
    guards.another_person(context, command.author)
    return [TextReleasedForOversight(summary=command.summary, author=command.author)]


def retention_runs(order: WorkOrder, context: Context) -> bool:
    """Tell whether the case must still be kept: from the year after its closure, for the years of its period."""
    filing = order.filing
    if filing.filed is None:
        rule = retention(order, context.law, filing.kind or ClosureKind.NOT_ACCEPTED)
        return rule is None or rule.keep != "not_filed"
    if filing.keep == "not_filed":
        return False
    if not filing.period.startswith("D"):
        return True
    closed_at = (filing.closed or filing.filed).at.astimezone(SHANGHAI)
    years = int(filing.period.removeprefix("D"))
    return not context.passed(datetime(closed_at.year + 1 + years, 1, 1, tzinfo=SHANGHAI))


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
