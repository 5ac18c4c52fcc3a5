"""What an order is now: `WorkOrder` and its parts, immutable, folded from events and never stored.

Parts are named by ordinals that begin at 1 (episode 2, reply 3, notice 1). A `Mark` says when something happened and
which position of the ledger says so.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TypeVar
from uuid import UUID

import msgspec

from domain.terms import (
    AppealGround,
    Applicant,
    AssignmentRole,
    AssignmentState,
    Attributes,
    Channel,
    ClockName,
    ClosureKind,
    Confidentiality,
    Dimension,
    DispatchType,
    Entry,
    EvaluationSource,
    Fact,
    Limit,
    Mark,
    NoticeGround,
    NoticeKind,
    NoticeState,
    OrderState,
    Outcome,
    PolicyRef,
    Private,
    Rating,
    Resolution,
    ReturnGround,
    Role,
    UnitId,
    UserId,
)


class Part(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The base of every part of a case."""


class Wait(Part, frozen=True):
    """待派单期间. A time in which the order waited for the hotline to dispatch or otherwise dispose of it."""

    since: Mark
    cause: str  # registration, return, redo, ruling, reopening, split, unmerge
    until: Mark | None = None
    by: str = ""  # what ended it: dispatched, direct, transferred, refused, merged …
    recalled: tuple[Mark, ...] = ()  # a recalled dispatch re-opens it with its original due (8.4)
    cancelled: bool = False  # ended by withdrawal or closure: excluded, not stopped


class Assignment(Part, frozen=True):
    """承办. One unit's part in an episode."""

    no: int
    unit: UnitId
    role: AssignmentRole
    given: Mark
    state: AssignmentState = AssignmentState.PENDING_SIGN
    transferred_from: int | None = None  # the assignment it was passed on from
    since: Mark | None = None  # when the duty began that it was passed on with; None: when it was given
    signed: Mark | None = None
    signed_by: UserId = ""
    implied: bool = False  # signed by its first act, in packs without a signing clock (8.3)
    handler: UserId = ""
    limit: Limit | None = None  # a co-organizer's own limit
    opinion: Mark | None = None  # 协办意见
    objection: int | None = None  # the return that carries a co-organizer's objection
    ended: Mark | None = None
    acted: bool = False  # did anything but sign


class Return(Part, frozen=True):
    """退单申请."""

    no: int
    assignment: int
    unit: UnitId
    by: UserId
    ground: ReturnGround
    requested: Mark
    late: bool = False
    excusable: bool = False  # late only as a second request, with new facts (T22)
    co: bool = False  # a co-organizer's objection, decided like a return
    consent: Mark | None = None  # 上级同意逾期退单
    decided: Mark | None = None
    approved: bool = False
    withdrawn: Mark | None = None

    @property
    def pending(self) -> bool:
        """Tell whether the hotline still has to decide."""
        return self.decided is None and self.withdrawn is None


class Escalation(Part, frozen=True):
    """逐级上报. A unit asks its parent to take the assignment back."""

    no: int
    assignment: int
    unit: UnitId
    to: UnitId
    by: UserId
    raised: Mark
    decided: Mark | None = None
    accepted: bool = False


class Extension(Part, frozen=True):
    """延期."""

    no: int
    unit: UnitId
    by: UserId
    days: int
    requested: Mark
    decided: Mark | None = None
    approved: bool = False
    decided_by: UserId = ""
    informed: Mark | None = None
    ended: Mark | None = None  # a reply ends a pending request
    slip: str = ""  # 延期告知编号

    @property
    def pending(self) -> bool:
        """Tell whether it still has to be decided."""
        return self.decided is None and self.ended is None


class Dispute(Part, frozen=True):
    """派单异议."""

    no: int
    unit: UnitId
    by: UserId
    raised: Mark
    ruled: Mark | None = None
    ruled_unit: UnitId = ""


class Contact(Part, frozen=True):
    """联系诉求人. One attempt to reach the applicant (A-05)."""

    at: Mark
    reached: bool
    unit: UnitId


class Episode(Part, frozen=True):
    """派单轮次. From one dispatch by the hotline (or reopening) to its end; the clocks of handling belong to it."""

    no: int
    round: int
    type: DispatchType
    begun: Mark
    by: UserId
    attributes: Attributes  # as they were at dispatch
    lead: UnitId = ""  # the unit that leads now; empty: the hotline itself leads (S2-23)
    lead_parent: UnitId = ""  # its next-higher unit as it was
    reply_required: bool = True
    limits: dict[ClockName, Limit] = {}  # written on the dispatch or the redo (S2-T4, S2-T6)
    slip: str = ""  # 交办单编号
    instruction: int | None = None
    ruled_final: bool = False
    reopened: bool = False  # begun by reopening, not by dispatch
    derived: bool = False  # a mapping set it because the source lacks it: it says nothing of dispatch or signing (8.15)
    assignments: tuple[Assignment, ...] = ()
    returns: tuple[Return, ...] = ()
    escalations: tuple[Escalation, ...] = ()
    extensions: tuple[Extension, ...] = ()
    disputes: tuple[Dispute, ...] = ()
    first_signed: Mark | None = None
    passed_on: Mark | None = None  # first transfer, own handling or return: what TRANSFER waits for
    taken_up: Mark | None = None  # of these, first transfer or own handling: what is left if the return is withdrawn
    ruled: Mark | None = None
    freed: Mark | None = None  # its ruling or designation was reopened: it may be returned from then on
    initial_response: Mark | None = None
    later_responses: tuple[Mark, ...] = ()  # a class raised since waits for one of its own
    progress: tuple[Mark, ...] = ()
    contacts: tuple[Contact, ...] = ()
    informed_acceptance: Mark | None = None  # told of acceptance or result, for the statutory clock
    informed_result: Mark | None = None  # told of the result, before or after the reply
    ended: Mark | None = None
    ended_as: str = ""  # returned, recalled, ruled, redo, closed, withdrawn, merged

    @property
    def led_by_hotline(self) -> bool:
        """Tell whether the hotline itself leads."""
        return not self.lead

    def assignment(self, no: int) -> Assignment:
        """Return the assignment with this ordinal."""
        return self.assignments[no - 1]

    def holder(self, unit: UnitId) -> Assignment | None:
        """Return the open assignment of `unit`, the lead's before a co-organizer's."""
        held = [a for a in self.assignments if a.unit == unit and a.ended is None]
        return min(held, key=lambda a: a.role is not AssignmentRole.LEAD, default=None)

    @property
    def leading(self) -> Assignment | None:
        """Return the open lead assignment."""
        return next((a for a in self.assignments if a.role is AssignmentRole.LEAD and a.ended is None), None)


class Reply(Part, frozen=True):
    """答复."""

    no: int
    round: int
    episode: int
    unit: UnitId
    submitted: Mark
    outcome: Outcome | None  # None: not said
    approved_by: UserId = ""
    drafted_by: UserId = ""
    counted_informed: Mark | None = None  # informing that counts for HANDLE: told, tried or published
    informed: Mark | None = None  # the applicant really was told the result
    reviewed: Mark | None = None
    accepted: bool | None = None
    accepted_again: Mark | None = None  # a reviewer's own acceptance: CLOSE_AFTER starts again (8.3)
    accepted_by: UserId = ""
    substance: str = ""  # changed, unchanged, justified
    policy_fit: bool | None = None
    hindrance: str = ""  # of what kind the reason is, where it is unresolved or unsolvable; empty: not said

    @property
    def sent_back(self) -> bool:
        """Tell whether the reviewer sent it back for correction."""
        return self.accepted is False


class FollowUp(Part, frozen=True):
    """后续承诺 (S4-27)."""

    no: int
    reply: int
    unit: UnitId
    promised: Mark
    implement_by: date
    done: Mark | None = None
    done_by: UserId = ""
    rejected: tuple[Mark, ...] = ()  # the hotline did not accept what was called done: the clock runs on


class Evaluation(Part, frozen=True):
    """评价. Belongs to (round, reply); sending the reply back voids it (8.9)."""

    no: int
    round: int
    reply: int
    source: EvaluationSource
    ratings: dict[Dimension, Rating]
    at: Mark
    late: bool = False
    voided: bool = False
    resolved: bool | None = None
    resolution: Resolution | None = None  # as the applicant said it

    @property
    def result(self) -> Rating:
        """Return the rating of the result: what I9 counts."""
        return self.ratings.get(Dimension.RESULT, Rating.NOT_RATED)


class Revisit(Part, frozen=True):
    """回访 of one round."""

    round: int
    sampled: Mark | None = None
    scheduled: Mark | None = None
    consented: Mark | None = None
    refused: Mark | None = None
    unreachable: Mark | None = None
    completed: Mark | None = None
    resolution: Resolution | None = None  # as the applicant said it at the visit
    contacted: bool | None = None  # whether the unit had been in touch, as the applicant said it (I7)

    @property
    def over(self) -> Mark | None:
        """Return the mark that ended it: completed, refused or unreachable."""
        return self.completed or self.refused or self.unreachable


class Notice(Part, frozen=True):
    """督办文书 about this order. `turn` counts how often it was issued: a rejected reply issues it again."""

    no: int
    kind: NoticeKind
    ground: NoticeGround
    unit: UnitId
    issued: Mark
    issued_by: UserId
    clock: ClockName | None = None
    clock_key: str = ""
    episode: int | None = None
    state: NoticeState = NoticeState.ISSUED
    turn: int = 1
    limit: Limit | None = None  # the reply limit written on it
    arrive_by: datetime | None = None
    served: Mark | None = None
    by_system: bool = False  # its service was the sending itself
    replied: Mark | None = None
    replied_by: UserId = ""
    accepted: Mark | None = None
    arrived: Mark | None = None
    site_recorded: Mark | None = None
    closed: Mark | None = None  # closed, withdrawn or escalated
    number: str = ""  # 文号 of the newest issue
    reminder: str = ""  # which reminder of its clock it is (8.14)
    instruction: int | None = None
    special_report: int | None = None  # the approved draft it was issued from
    escalated_to: int | None = None
    earlier: tuple[tuple[Mark | None, Mark | None, Limit | None], ...] = ()  # served, replied, limit of earlier turns

    @property
    def open(self) -> bool:
        """Tell whether something still has to happen about it."""
        return self.closed is None


class Instruction(Part, frozen=True):
    """批示."""

    no: int
    requested: Mark | None = None
    requested_by: UserId = ""
    recorded: Mark | None = None
    unit: UnitId = ""  # who must report back
    limit: Limit | None = None
    number: str = ""  # of the 呈批单
    reported: Mark | None = None


class Whistle(Part, frozen=True):
    """吹哨. One department called to the street (S4-20)."""

    no: int
    by_unit: UnitId
    unit: UnitId
    blown: Mark
    arrive_by: datetime
    episode: int
    answered: Mark | None = None


class Appeal(Part, frozen=True):
    """考核申诉 (8.11)."""

    no: int
    unit: UnitId
    indicator: str
    published_at: datetime
    filed: Mark
    filed_by: UserId
    issuer: UserId = ""  # who approved the figure
    ground: AppealGround | None = None
    report: UUID | None = None
    late: bool = False  # filed after its time
    decided: Mark | None = None
    upheld: bool | None = None
    exclusion: str = ""  # what an upheld appeal leaves out


class Proposal(Part, frozen=True):
    """两人复核事项 (8.12): proposed by one person, decided by another."""

    no: int
    about: str  # noted_closure, termination, correction, reasonableness, special_report, lift_confidentiality, …
    by: UserId
    unit: UnitId
    proposed: Mark
    subject: int | None = None  # the ordinal it is about, where it has one
    decided: Mark | None = None
    approved: bool = False
    content: Fact | None = None  # what was proposed, where the decision repeats it


class Referral(Part, frozen=True):
    """跟踪件. A caller was told where to go; the hotline looks whether it helped (S2-20)."""

    no: int
    unit: str
    referred: Mark
    follow_up_by: date | None = None
    followed_up: Mark | None = None
    settled: bool = False


class ClassChange(Part, frozen=True):
    """变更分类 (R-33, R-35)."""

    at: Mark
    before: Attributes
    after: Attributes
    lengthens: bool = False  # the hotline approved that running limits get longer


class Correction(Part, frozen=True):
    """更正. Both values stay visible; `version` names the event it corrects."""

    no: int
    version: int
    field: str
    old: str
    new: str
    recorded: Mark
    old_text: Private | None = None  # of a sealed field
    new_text: Private | None = None


class Merge(Part, frozen=True):
    """并单."""

    master: UUID
    at: Mark
    state_before: OrderState
    undone: Mark | None = None
    told: Mark | None = None  # the child's applicant was told the result


class Demand(Part, frozen=True):
    """诉求. What was registered; text and identity only sealed."""

    title: str
    category: str
    channel: Channel
    attributes: Attributes
    place: str = ""
    district: str = ""
    applicant: Applicant | None = None
    anonymous: bool = False
    content: Private | None = None
    accused: tuple[UnitId, ...] = ()
    accused_persons: Private | None = None
    real_name_with_evidence: bool = False
    external_ref: str = ""
    external_due: datetime | None = None
    promised_due: datetime | None = None
    old_number: str = ""
    derived: tuple[str, ...] = ()  # fields that a mapping set or derived (8.15)
    peak: bool = False
    involved_units: int = 0  # departments that the demand touches


class Links(Part, frozen=True):
    """关联. Other orders this one is tied to."""

    previous: UUID | None = None
    parent: UUID | None = None  # split from
    children: tuple[UUID, ...] = ()  # split into
    merge: Merge | None = None
    earlier_merges: tuple[Merge, ...] = ()  # undone, and merged again since
    merged_children: tuple[UUID, ...] = ()
    duplicate_of: UUID | None = None
    duplicates: tuple[UUID, ...] = ()
    region: str = ""  # transferred to another region (S0-5)
    region_received: Mark | None = None


class Quality(Part, frozen=True):
    """评价与回访."""

    evaluations: tuple[Evaluation, ...] = ()
    revisits: tuple[Revisit, ...] = ()
    streak: int = 0
    streak_unit: UnitId = ""
    not_handled: Mark | None = None  # 视为未按规定办理
    exempt: str = ""  # 不计满意率: the category
    exempt_late: bool = False
    reasonable: str = ""  # reasonable, partly, unreasonable
    explained: tuple[int, ...] = ()  # replies (0: before any) whose reasons were explained to the applicant
    redo: tuple[Mark, ...] = ()
    redo_limit: Limit | None = None  # written on the last redo, for the dispatch that follows it (S2-T6)


class FindingStatement(Part, frozen=True):
    """问题说明. What a unit states about something found in its case; the words are in the event, sealed."""

    finding: str
    unit: UnitId
    stated: Mark
    version: int  # of the event that holds the words


class MeetingDecision(Part, frozen=True):
    """会商决定. What a unit was told to do by a meeting about the case, and whether it reported that it did."""

    no: int
    meeting: int
    unit: UnitId
    told: Mark
    by: date | None = None
    reported: Mark | None = None
    late: bool = False  # as was said when it was reported


class Oversight(Part, frozen=True):
    """督办."""

    notices: tuple[Notice, ...] = ()
    instructions: tuple[Instruction, ...] = ()
    whistles: tuple[Whistle, ...] = ()
    appeals: tuple[Appeal, ...] = ()
    statements: tuple[FindingStatement, ...] = ()  # of units about findings of the audit
    meetings: tuple[Mark, ...] = ()
    decisions: tuple[MeetingDecision, ...] = ()  # of all meetings, one after the other
    expedited: Mark | None = None
    told: frozenset[str] = frozenset()  # emergency recipients already told
    incident_verified: Mark | None = None
    urged: int = 0  # 催单
    inquired: int = 0
    referred: Mark | None = None  # 移送问责


class Filing(Part, frozen=True):
    """归档."""

    closed: Mark | None = None
    kind: ClosureKind | None = None
    closed_by: UserId = ""
    filed: Mark | None = None
    closures: tuple[tuple[Mark, ClosureKind], ...] = ()  # every closure, also those that a reopening or redo undid
    held: tuple[Mark, ...] = ()  # from when each of them holds: what ran out of time, from its end (K13)
    reopened: tuple[Mark, ...] = ()
    file_number: str = ""
    earlier_numbers: tuple[str, ...] = ()  # a changed retention gives a new number and keeps the old (8.14)
    keep: str = ""
    period: str = ""
    sealed: Mark | None = None
    moved: Mark | None = None  # 移交
    dossiers: tuple[str, ...] = ()  # digests of rendered dossiers
    record_copies: tuple[str, ...] = ()  # those of the full edition, rendered since the filing (归档件)
    refusal: str = ""  # reason of non-acceptance
    restricted: bool = False
    erased: Mark | None = None
    text_released: bool = False
    appraised: Mark | None = None  # 鉴定: the newest opinion
    opinion: str = ""
    kept_until: date | None = None  # 延长保管: the last day of it
    disposed: Mark | None = None  # 销毁

    @property
    def ends(self) -> tuple[tuple[Mark, ClosureKind], ...]:
        """Every closure, from when it holds: however late the timer recorded it, figures count it then."""
        return tuple((at, kind) for at, (_, kind) in zip(self.held, self.closures, strict=True))

    @property
    def ended(self) -> Mark | None:
        """From when the closure that stands holds; None where none does."""
        return None if self.closed is None else self.held[-1] if self.held else self.closed


class WorkOrder(Part, frozen=True):
    """工单. Everything a rule may ask about one case."""

    id: UUID
    stream: str
    version: int
    state: OrderState
    registered: Mark
    registered_by: UserId
    number: str
    policy: PolicyRef
    demand: Demand
    attributes: Attributes
    confidentiality: Confidentiality = Confidentiality.NORMAL
    assumed_policy: bool = False
    backfilled: bool = False
    imported: bool = False
    round: int = 1
    resume: OrderState | None = None  # the state to return to after a supplement or coordination
    supplement: tuple[str, ...] = ()  # what was asked for
    supplement_by: date | None = None
    waits: tuple[Wait, ...] = ()
    changes: tuple[ClassChange, ...] = ()
    episodes: tuple[Episode, ...] = ()
    replies: tuple[Reply, ...] = ()
    follow_ups: tuple[FollowUp, ...] = ()
    referrals: tuple[Referral, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    corrections: tuple[Correction, ...] = ()
    links: Links = Links()
    quality: Quality = Quality()
    oversight: Oversight = Oversight()
    filing: Filing = Filing()
    signers: tuple[tuple[UserId, Role], ...] = ()  # who did what kind of act, for the separation of duties

    @property
    def episode(self) -> Episode | None:
        """Return the newest episode; None before the first dispatch."""
        return self.episodes[-1] if self.episodes else None

    @property
    def running(self) -> Episode | None:
        """Return the episode that still runs."""
        return self.episodes[-1] if self.episodes and self.episodes[-1].ended is None else None

    @property
    def reply(self) -> Reply | None:
        """Return the newest reply."""
        return self.replies[-1] if self.replies else None

    @property
    def lead(self) -> UnitId:
        """Return the unit that leads now; empty while none does."""
        return self.episodes[-1].lead if self.episodes and self.episodes[-1].ended is None else ""

    @property
    def revisit(self) -> Revisit | None:
        """Return the return visit of the present round."""
        return next((v for v in reversed(self.quality.revisits) if v.round == self.round), None)

    @property
    def is_open(self) -> bool:
        """Tell whether the case still has to be closed."""
        return self.filing.closed is None and self.state is not OrderState.NOT_ACCEPTED


# --- changing parts ----------------------------------------------------------------------------------------------


P = TypeVar("P", bound=Part)


def has(parts: tuple[P, ...], no: int) -> bool:
    """Tell whether there is a part of ordinal `no`; imported history may name what it never told of."""
    return 0 < no <= len(parts)


def put(parts: tuple[P, ...], no: int, **changes: object) -> tuple[P, ...]:
    """Return `parts` with the one of ordinal `no` changed."""
    changed = msgspec.structs.replace(parts[no - 1], **changes)
    return (*parts[: no - 1], changed, *parts[no:]) if len(parts) > 1 else (changed,)


def latest_episode(order: WorkOrder, **changes: object) -> WorkOrder:
    """Return the order with its newest episode changed."""
    last = msgspec.structs.replace(order.episodes[-1], **changes)
    return msgspec.structs.replace(order, episodes=(*order.episodes[:-1], last))


def taken_up(episode: Episode, at: Mark) -> dict[str, object]:
    """Return what changes of an episode that is passed on, or handled by the unit that has it (S0-T2)."""
    if episode.passed_on is not None and episode.taken_up is not None:
        return {}
    return {"passed_on": episode.passed_on or at, "taken_up": episode.taken_up or at}


def begin_wait(order: WorkOrder, cause: str, at: Mark) -> WorkOrder:
    """Return the order waiting for the hotline, from a moment on and for a cause."""
    wait = Wait(since=at, cause=cause)
    return msgspec.structs.replace(order, state=OrderState.AWAITING_DISPATCH, waits=(*order.waits, wait))


def waited(order: WorkOrder, by: str, at: Mark) -> tuple[Wait, ...]:
    """Return the order's waiting for the hotline as it is once over; unchanged where it does not wait."""
    return tuple([w if w.until is not None else msgspec.structs.replace(w, until=at, by=by) for w in order.waits])


def end_episode(order: WorkOrder, how: str, state: AssignmentState, at: Mark) -> WorkOrder:
    """Return the order with its running episode ended, and every open assignment in `state`."""
    return msgspec.structs.replace(order, episodes=ended_episodes(order, how, state, at))


def ended_episodes(order: WorkOrder, how: str, state: AssignmentState, at: Mark) -> tuple[Episode, ...]:
    """Return the episodes, the running one ended, and every open assignment of it in `state`."""
    last = order.episode
    if last is None or last.ended is not None:
        return order.episodes
    held = tuple(
        [a if a.ended is not None else msgspec.structs.replace(a, ended=at, state=state) for a in last.assignments]
    )
    waiting = tuple([x if not x.pending else msgspec.structs.replace(x, ended=at) for x in last.extensions])
    over = msgspec.structs.replace(last, ended=at, ended_as=how, assignments=held, extensions=waiting)
    return (*order.episodes[:-1], over)


# --- two-person acts ---------------------------------------------------------------------------------------------


def pending(order: WorkOrder, about: str, subject: int | None = None) -> Proposal | None:
    """Return the newest proposal about a matter that still waits for its second person (8.12)."""
    for proposal in reversed(order.proposals):
        if proposal.about == about and proposal.decided is None and subject in (None, proposal.subject):
            return proposal
    return None


def propose(
    order: WorkOrder, entry: Entry, about: str, subject: int | None = None, content: Fact | None = None
) -> WorkOrder:
    """Return the order with one more proposal waiting."""
    proposal = Proposal(
        no=len(order.proposals) + 1,
        about=about,
        by=entry.actor.user,
        unit=entry.actor.unit,
        proposed=Mark(entry.at, entry.position),
        subject=subject,
        content=content,
    )
    return msgspec.structs.replace(order, proposals=(*order.proposals, proposal))


def settle(order: WorkOrder, entry: Entry, about: str, *, approved: bool, subject: int | None = None) -> WorkOrder:
    """Return the order with the newest waiting proposal decided; unchanged where none waits (imported history)."""
    found = pending(order, about, subject)
    if found is None:
        return order
    decided = put(order.proposals, found.no, decided=Mark(entry.at, entry.position), approved=approved)
    return msgspec.structs.replace(order, proposals=decided)


# --- what counts -------------------------------------------------------------------------------------------------

_PRECEDENCE = {source: place for place, source in enumerate(EvaluationSource)}  # in the order they are declared


def effective(order: WorkOrder, of_round: int | None = None) -> Evaluation | None:
    """Return the one evaluation of a round that counts (R-18, 8.9): by source, then the first; late ones never.

    A return visit replaces a deemed evaluation whenever it happens; `not_rated` has no value and is passed over.
    """
    if not order.quality.evaluations:
        return None
    wanted = order.round if of_round is None else of_round
    counting = [
        e
        for e in order.quality.evaluations
        if e.round == wanted
        and not e.voided
        and (not e.late or e.source is EvaluationSource.REVISIT)
        and e.result is not Rating.NOT_RATED
    ]
    return min(counting, key=lambda e: (_PRECEDENCE[e.source], e.no), default=None)
