"""What a city would do next with a case, so that it comes to its end: the lawful path out of every state (6.1.5).

`next_moves` yields what might be done, the most natural first; whoever follows it takes the first that is not refused.
It knows two kinds of applicants, who can be reached and who cannot, and two ways out of a waiting order: handled by a
unit, or answered by the hotline itself. The people it names are third persons, who took no part before.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from domain import guards
from domain.clocks import clock_of
from domain.policy import Rules
from domain.refusals import Refusal
from domain.state import Notice, WorkOrder, effective
from domain.steps import filing
from domain.steps.answering import CompleteFollowUp, Explain, InformApplicant, Reply
from domain.steps.closing import Close, CloseMerged
from domain.steps.correcting import RejectCorrection
from domain.steps.dispatch import Dispatch, RecallDispatch
from domain.steps.evaluation import OrderRedo, ReviewReply
from domain.steps.filing import Archive, RecordDossier, Seal
from domain.steps.handling import ArriveSite, Contact, Sign, VerifySite
from domain.steps.linking import Unmerge
from domain.steps.oversight import (
    AcceptNoticeReply,
    CloseNotice,
    ReplyNotice,
    ServeNotice,
    WithdrawNotice,
)
from domain.steps.recourse import DecideAppeal, RecordInstruction, ReportInstruction
from domain.steps.returning import DecideReturn, RuleDispute
from domain.steps.revisiting import CompleteRevisit, RecordUnreachable
from domain.steps.triage import AnswerDirectly, NotifyEmergency
from domain.terms import (
    Act,
    Actor,
    AssignmentRole,
    CitedText,
    ClockName,
    ClosureKind,
    Dimension,
    DispatchType,
    EmergencyRecipient,
    InformAbout,
    Limit,
    LimitUnit,
    Medium,
    NoticeKind,
    NoticeWithdrawal,
    OrderState,
    Outcome,
    Rating,
    RedoGround,
    Resolution,
    RevisitMethod,
    Role,
)
from tests.given import BASIS, PROOF, SYSTEM
from tests.properties.aims import UNITS
from tests.properties.town import Deed, Town, person

DIGEST = "sha256:" + "1" * 64
FIVE_DAYS = Limit(amount=5, unit=LimitUnit.WORKING_DAYS)
ONE_HOUR = Limit(amount=1, unit=LimitUnit.HOURS)
ENDED = (OrderState.CLOSED, OrderState.ARCHIVED, OrderState.NOT_ACCEPTED)


class Way(NamedTuple):
    """How a case is brought to its end."""

    reachable: bool = True  # the applicant answers the phone
    by_unit: bool = True  # a waiting order is handled by a unit, not answered by the hotline


REACHED = Way()


class Move(NamedTuple):
    """Somebody might do this, at once or from an instant on."""

    actor: Actor
    act: Act
    after: datetime | None = None


def who(role: Role, unit: str = "H") -> Actor:
    """Somebody who had no part in the case so far."""
    return person(role, unit, 3)


MANAGER, REVIEWER, SUPERVISOR = who(Role.HOTLINE_MANAGER), who(Role.QC_REVIEWER), who(Role.SUPERVISOR)
AGENT, ARCHIVIST = who(Role.AGENT), who(Role.ARCHIVIST)


def rules_of(town: Town, order: WorkOrder) -> Rules:
    return town.law.rules(order.policy)


def next_moves(town: Town, stream: str, way: Way = REACHED) -> Iterator[Move]:
    """Yield what might be done next about an order, until it is sealed."""
    order = town.order(stream)
    if order.state in guards.UNDISPATCHED:
        yield from _undispatched(town, order, way)
    elif order.state in guards.HANDLED:
        yield from handled(town, order, way)
    elif order.state in guards.ANSWERED:
        yield from _answered(town, order, way)
    elif order.state is OrderState.MERGED:
        yield from _merged(town, order, way)
    else:
        yield from _ended(town, order, way)


# --- waiting for the hotline -------------------------------------------------------------------------------------


def _emergency(town: Town, order: WorkOrder) -> Iterator[Move]:
    for recipient in filing.emergency_untold(order, town.law):
        yield Move(AGENT, NotifyEmergency(recipient=EmergencyRecipient(recipient), medium=Medium.PHONE))


def able(town: Town, order: WorkOrder) -> list[str]:
    """Return the units that may handle the order."""
    law, now = town.law, town.now
    return [unit for unit in UNITS if law.active(unit, now) and not complained_of(town, order, unit)]


def dispatches(town: Town, order: WorkOrder) -> Iterator[Move]:
    """Yield what dispatches the order: to a unit that was ruled to handle it, or to any other."""
    instructed = [i.no for i in order.oversight.instructions if i.recorded is not None]
    hot = rules_of(town, order).options.instruction_for_hot_issues and "hot_issue" in order.attributes.tags
    if hot and not instructed:
        text = CitedText(dated=town.now.date(), digest=DIGEST)
        yield Move(who(Role.LEADER, "G"), RecordInstruction(giver="市政府", text=text))
    episode = order.episode
    ruled = [town.law.successor(d.ruled_unit, town.now) for d in episode.disputes if d.ruled] if episode else []
    for unit in (*ruled, *able(town, order)):
        for limits in ({}, {ClockName.HANDLE: FIVE_DAYS}):
            act = Dispatch(
                kind=DispatchType.DESIGNATED,
                lead=unit,
                limits=limits,
                instruction=instructed[-1] if instructed else None,
            )
            yield Move(MANAGER, act)


def _undispatched(town: Town, order: WorkOrder, way: Way) -> Iterator[Move]:
    yield from _emergency(town, order)
    if way.by_unit and able(town, order):
        yield from dispatches(town, order)
        return
    yield Move(
        AGENT, AnswerDirectly(answer="请向窗口办理", medium=Medium.PHONE, acknowledged=True, knowledge_ref="K-1")
    )


# --- being handled -----------------------------------------------------------------------------------------------


def lead_now(town: Town, order: WorkOrder) -> str:
    """Return the unit that acts for the lead now: itself, or its heir; empty where the hotline leads."""
    return town.law.successor(order.lead, town.now) if order.lead else ""


def informing(town: Town, order: WorkOrder, way: Way) -> Iterator[Move]:
    """Yield how the applicant comes to know the result: told, tried three times on three days, or by the query code."""
    if order.demand.anonymous and order.state in guards.ANSWERED:
        yield Move(AGENT, InformApplicant(about=InformAbout.RESULT, medium=Medium.WEB))
        return
    lead = lead_now(town, order)
    teller = who(Role.ORG_HANDLER, lead) if lead else AGENT
    if way.reachable:
        yield Move(teller, InformApplicant(about=InformAbout.RESULT, medium=Medium.PHONE))
        yield Move(AGENT, InformApplicant(about=InformAbout.RESULT, medium=Medium.PHONE))
        return
    tries = sum(not c.reached for e in order.episodes if e.round == order.round for c in e.contacts)
    wait = town.now + timedelta(hours=25) if tries else None
    yield Move(teller, Contact(medium=Medium.PHONE, reached=False), wait)
    yield Move(AGENT, InformApplicant(about=InformAbout.RESULT, medium=Medium.PHONE, reached=False), wait)


def replies(town: Town, order: WorkOrder) -> Iterator[Move]:
    """Yield the reply, by whoever leads."""
    episode, lead = order.episode, lead_now(town, order)
    assert episode is not None
    missing = tuple(a.unit for a in episode.assignments if a.role is AssignmentRole.CO and a.opinion is None)
    answer = Reply(
        outcome=Outcome.RESOLVED,
        public_answer="已修好",
        publish=order.demand.anonymous,
        missing_co=missing,
        drafted_by=f"{lead.lower()}-handler",
    )
    yield Move(who(Role.ORG_APPROVER, lead) if lead else MANAGER, answer)


def disputes(town: Town, order: WorkOrder) -> Iterator[Move]:
    """Yield rulings: that the unit which has the order keeps it."""
    episode = order.episode
    for dispute in episode.disputes if episode is not None else ():
        if dispute.ruled is None and episode is not None:
            for unit in dict.fromkeys((lead_now(town, order) or episode.lead, *able(town, order))):
                if unit:
                    ruling = RuleDispute(dispute=dispute.no, unit=unit, basis=BASIS, reason="职责法定")
                    yield Move(MANAGER, ruling)


def handled(town: Town, order: WorkOrder, way: Way) -> Iterator[Move]:
    """Yield what brings an order that a unit holds to its reply."""
    episode, lead = order.episode, lead_now(town, order)
    assert episode is not None
    yield from _emergency(town, order)
    yield from disputes(town, order)
    for asked in episode.returns:
        if asked.pending and not asked.co:
            yield Move(MANAGER, DecideReturn(return_no=asked.no, approve=False, reason="属本单位职责"))
    if not episode.reply_required:
        closer = judging(town, order)
        closer = MANAGER if closer == REVIEWER else closer
        yield Move(closer, Close(kind=ClosureKind.COMPLETED, follow_up_result="已办"))
    if complained_of(town, order, lead):
        yield Move(MANAGER, RecallDispatch(reason="被举报单位"))
    leading = episode.leading
    if leading is not None and leading.signed is None:
        yield Move(who(Role.ORG_HANDLER, lead), Sign())
    yield from replies(town, order)
    yield from informing(town, order, way)


def complained_of(town: Town, order: WorkOrder, unit: str) -> bool:
    """Tell whether the unit is one complained of, below one, or its heir; below the hotline stands everybody."""
    law, now = town.law, town.now
    return any(
        unit == heir or (heir != "H" and law.is_within(unit, heir, now))
        for against in order.demand.accused
        for heir in law.heirs(against, now)
    )


# --- answered ----------------------------------------------------------------------------------------------------


def judging(town: Town, order: WorkOrder) -> Actor:
    """Return who judges a reply: a reviewer; where the hotline is complained of, a government office that is not."""
    if not complained_of(town, order, "H") or rules_of(town, order).options.accused_may_judge:
        return REVIEWER
    return who(Role.COORDINATOR, next(iter(able(town, order)), "G"))


def _answered(town: Town, order: WorkOrder, way: Way) -> Iterator[Move]:
    reply = filing.reply_now(order)
    if reply is None:
        return
    judge = judging(town, order)
    yield from _emergency(town, order)
    yield from disputes(town, order)
    kinds = {
        Outcome.UNRESOLVED: ClosureKind.UNRESOLVED_FOLLOW_UP,
        Outcome.UNSOLVABLE: ClosureKind.UNSOLVABLE_EXPLAINED,
    }
    for kind in dict.fromkeys(
        (kinds.get(reply.outcome or Outcome.RESOLVED, ClosureKind.CONFORMING), ClosureKind.CONFORMING)
    ):
        yield Move(judge, Close(kind=kind, article=BASIS))
    yield Move(judge, Close(kind=ClosureKind.UNREACHABLE))
    if reply.accepted is None:
        yield Move(judge, ReviewReply(reply=reply.no, accept=True, identity_checked=True))
    if not filing.explained(order):
        lead = lead_now(town, order)
        yield Move(who(Role.ORG_HANDLER, lead) if lead else MANAGER, Explain(points="政策所限"))
        if complained_of(town, order, lead):  # it may say no more: another unit does it again
            for limit in (FIVE_DAYS, ONE_HOUR, None):
                again = OrderRedo(ground=RedoGround.NOT_DONE, requirements="由其他单位核实", limit=limit)
                yield Move(MANAGER if judge == REVIEWER else judge, again)
    if order.round > 1 and (order.revisit is None or order.revisit.over is None):
        yield from visits(town, order, way)
    yield from informing(town, order, way)


def visits(town: Town, order: WorkOrder, way: Way) -> Iterator[Move]:
    """Yield how a return visit comes to its end."""
    if order.demand.anonymous:
        return
    attempts = tuple(town.now - timedelta(hours=h) for h in (51, 26, 1))
    visit = CompleteRevisit(
        method=RevisitMethod.FACE,
        script_version="1",
        contacted=True,
        informed=True,
        consistent=True,
        attitude=Rating.SATISFIED,
        resolution=Resolution.RESOLVED,
        ratings={Dimension.RESULT: Rating.SATISFIED} if effective(order) is None else {},
    )
    for unit in ("H", "G", *UNITS):  # nobody visits for a unit that handled, or is complained of, or is no more
        yield Move(who(Role.REVISITOR, unit), visit if way.reachable else RecordUnreachable(attempts=attempts))


def _merged(town: Town, order: WorkOrder, way: Way) -> Iterator[Move]:
    merge = order.links.merge
    if merge is None:
        return
    yield Move(SYSTEM, CloseMerged(master=merge.master))
    if way.reachable and merge.told is None:
        told = InformApplicant(about=InformAbout.RESULT, medium=Medium.PHONE, master=merge.master)
        master = town.states.get(f"order:{merge.master}")
        if isinstance(master, WorkOrder) and not master.is_open:
            yield Move(AGENT, told)
    yield Move(MANAGER, Unmerge(master=merge.master, reason="分别办理"))


# --- ended: filed and sealed -------------------------------------------------------------------------------------


def _ended(town: Town, order: WorkOrder, way: Way) -> Iterator[Move]:
    yield from duties(town, order, way)
    if order.state is not OrderState.ARCHIVED:
        yield Move(ARCHIVIST, Archive(verified_to=town.position))
        keep = Archive(verified_to=town.position, keep="dossier", period="D10", basis=BASIS)
        yield Move(ARCHIVIST, keep)
        if order.episodes:
            yield from informing(town, order, way)  # a file says how the applicant came to know
        return
    due = clock_of(order, town.law, ClockName.SEAL)
    after = due.due + timedelta(seconds=1) if due is not None and due.due is not None else None
    copies = order.filing.record_copies
    if order.filing.keep == "dossier" and not copies:
        dossier = RecordDossier(
            digest=DIGEST, template_version="1", fonts=(), upto=order.version, pages=3, edition="full"
        )
        yield Move(ARCHIVIST, dossier)
    yield Move(ARCHIVIST, Seal(verified_to=town.position, dossier=copies[-1] if copies else None), after)


def duties(town: Town, order: WorkOrder, way: Way) -> Iterator[Move]:
    """Yield what settles the duties that keep a closed order from being filed."""
    seen = order.oversight
    for promise in order.follow_ups:
        if promise.done is None:
            unit = town.law.successor(promise.unit, town.now)
            role = Role.HOTLINE_MANAGER if unit == town.law.hotline_unit else Role.ORG_HANDLER
            yield Move(who(role, unit), CompleteFollowUp(follow_up=promise.no, result="已兑现", evidence=(PROOF,)))
    for given in seen.instructions:
        if given.recorded is not None and given.reported is None:
            yield Move(MANAGER, ReportInstruction(instruction=given.no, report="已办结"))
    for notice in seen.notices:
        if notice.open:
            yield from notices(town, notice)
    for appeal in seen.appeals:
        if appeal.decided is None:
            yield Move(SUPERVISOR, DecideAppeal(appeal=appeal.no, upheld=False, words="维持"))
    for asked in order.proposals:
        if asked.about == "correction" and asked.decided is None and asked.subject is not None:
            yield Move(SUPERVISOR, RejectCorrection(correction=asked.subject, words="无误"))
    yield from _emergency(town, order)
    merge = order.links.merge
    if merge is not None and merge.undone is None and merge.told is None and way.reachable:
        yield Move(AGENT, InformApplicant(about=InformAbout.RESULT, medium=Medium.PHONE, master=merge.master))


def notices(town: Town, notice: Notice) -> Iterator[Move]:
    """Yield what settles a notice: served, obeyed, answered, accepted, struck off."""
    unit = town.law.successor(notice.unit, town.now)
    hotline = unit == town.law.hotline_unit
    if notice.kind is NoticeKind.REMINDER and notice.served is None:
        yield Move(SUPERVISOR, ServeNotice(notice=notice.no, medium=Medium.WRITTEN))
    handler = SUPERVISOR if hotline else who(Role.ORG_HANDLER, unit)
    if notice.kind is NoticeKind.ONSITE and notice.arrived is None:
        yield Move(handler, ArriveSite(notice=notice.no, place="现场"))
    if notice.kind is NoticeKind.ONSITE and notice.arrived is not None and notice.site_recorded is None:
        site = VerifySite(notice=notice.no, findings="属实", responsible=(notice.unit,), division="由其负责")
        yield Move(handler, site)
    if notice.replied is None:
        late = (town.now + timedelta(days=5)).date()
        answer = ReplyNotice(notice=notice.no, cause="人手不足", new_date=late)
        yield Move(MANAGER if hotline else who(Role.ORG_APPROVER, unit), answer)
    if notice.replied is not None and notice.accepted is None:
        yield Move(SUPERVISOR, AcceptNoticeReply(notice=notice.no))
    yield Move(SUPERVISOR, CloseNotice(notice=notice.no))
    withdrawn = WithdrawNotice(notice=notice.no, reason=NoticeWithdrawal.ISSUED_IN_ERROR, words="误发")
    yield Move(SUPERVISOR, withdrawn)


# --- following the path ------------------------------------------------------------------------------------------


class DeadEnd(AssertionError):
    """No lawful command leads on."""


def one_step(town: Town, stream: str, way: Way) -> tuple[Town, Deed] | None:
    """Return the town after the first move that is not refused; None where all are."""
    for move in next_moves(town, stream, way):
        deed = Deed(max(town.now, move.after or town.now), stream, move.actor, move.act)
        try:
            return town.does(deed), deed
        except Refusal:
            continue
    return None


def to_the_end(town: Town, stream: str, way: Way = REACHED, *, most: int = 40) -> list[Deed]:
    """Return the deeds that close, file and seal an order. Raises DeadEnd."""
    done: list[Deed] = []
    while town.order(stream).filing.sealed is None:
        order = town.order(stream)
        if order.state is OrderState.MERGED and order.links.merge is not None:
            master = f"order:{order.links.merge.master}"
            if (
                master in town.states
                and town.order(master).is_open
                and town.order(master).state is not OrderState.MERGED
            ):
                town, more = _close(town, master, way)
                done += more
        step = one_step(town, stream, way) if len(done) < most else None
        if step is None:
            kept = "\n".join(repr(deed) for deed in done)
            raise DeadEnd(f"{order.state} {order.filing.kind} {way}, after\n{kept}")
        town = step[0]
        done.append(step[1])
    return done


def _close(town: Town, stream: str, way: Way) -> tuple[Town, list[Deed]]:
    done: list[Deed] = []
    while town.order(stream).is_open and len(done) < 40:
        step = one_step(town, stream, way)
        if step is None:
            raise DeadEnd(f"master {town.order(stream).state}")
        town = step[0]
        done.append(step[1])
    return town, done
