"""What must hold after every deed, whoever did it: the promises of DOMAIN 4.1, 6.1, 8.3 and 8.4 to a case.

A promise looks at one accepted deed: the town before, the deed, the answer, the town after; it raises AssertionError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from domain import guards, order
from domain.clocks import HANDLING, WINDOWS, clocks
from domain.explanation import explain
from domain.sealing import Unsealed
from domain.state import Episode, WorkOrder
from domain.steps import (
    answering,
    classifying,
    closing,
    correcting,
    evaluation,
    extending,
    filing,
    recourse,
    returning,
    revisiting,
    triage,
)
from domain.steps.correcting import CorrectionRecorded
from domain.steps.linking import Unmerge
from domain.steps.oversight import (
    ServeNotice,
    SpecialReportApproved,
    SupervisionReplyAccepted,
    SupervisionReplyRejected,
)
from domain.terms import (
    AssignmentRole,
    ClockName,
    ClosureKind,
    Confidentiality,
    DemandType,
    Fact,
    OrderState,
    Role,
    To,
)
from tests.properties.path import complained_of
from tests.properties.town import Answer, Deed, Town

ORGANIZERS = (Role.ORG_HANDLER, Role.ORG_APPROVER, Role.MGMT_UNIT)


def facts(deed: Deed, answer: Answer) -> list[Fact]:
    """Return the events written to the stream that the deed was addressed to."""
    return [step for step in answer.steps if isinstance(step, Fact)]


def _case(town: Town, deed: Deed) -> WorkOrder | None:
    state = town.states.get(deed.stream)
    return state if isinstance(state, WorkOrder) else None


# --- the ledger --------------------------------------------------------------------------------------------------


def answered_alike(before: Town, deed: Deed, answer: Answer, after: Town) -> None:
    """The same question has the same answer, at once and up to the fence (6.1.1)."""
    again = before.decide(deed.stream, deed.actor, deed.act)
    assert list(again.steps) == list(answer.steps), "decided twice, differently"
    if deed.stream == "institution":
        return  # what is said without a day is valid from today
    if answer.fence is None or answer.fence > before.now:
        later = before.now + timedelta(days=400) if answer.fence is None else answer.fence
        span = later - before.now
        for share in (0.5, 1):
            when = before.now + span * share
            law = before.law.next_change(before.now)
            if law is not None and when >= law:
                continue  # the door keeps a decision inside the law's next change
            then = before.decide(deed.stream, deed.actor, deed.act, when=when)
            assert list(then.steps) == list(answer.steps), (
                f"decided otherwise at {when}, before its fence {answer.fence}"
            )


def written_well(before: Town, deed: Deed, answer: Answer, after: Town) -> None:
    """Roles are kept, texts are sealed, and only streams that were read, or are new, are written."""
    assert deed.actor.role in deed.act.roles, "accepted though the role may not"
    assert answer.steps, "accepted, and nothing happened"
    reads = getattr(deed.act, "reads", tuple)()
    for step in answer.steps:
        if isinstance(step, To):
            assert step.stream in reads or step.stream not in before.streams, f"{step.stream} was not read"
        event = step.event if isinstance(step, To) else step
        if isinstance(event, Fact):
            assert not Unsealed(event).paths, f"plain text in {type(event).__name__}: {Unsealed(event).paths}"


def told_again(before: Town, deed: Deed, answer: Answer, after: Town) -> None:
    """Folding the whole history gives what folding step by step gave (6.1.1)."""
    if deed.stream == "institution":
        return
    for stream, entries in after.streams.items():
        if stream.startswith("order:") and len(entries) != len(before.streams.get(stream, ())):
            assert order.fold(entries) == after.states[stream], "folded otherwise from the beginning"


# --- clocks ------------------------------------------------------------------------------------------------------

_WRITTEN_BY_OTHERS = frozenset({ClockName.EXTERNAL, ClockName.INSTRUCTION, ClockName.CITIZEN_REPLY})
"""Their due instants come from elsewhere and may have passed: another platform's, a leader's, the child's own (R-29)."""


def clocks_readable(before: Town, deed: Deed, answer: Answer, after: Town) -> None:
    """Every clock can be read and explained; nothing falls due before it starts; the last step is the due instant."""
    for case in after.orders.values():
        seen: set[tuple[ClockName, str]] = set()
        for clock in clocks(case, after.law):
            assert (clock.name, clock.key) not in seen, f"two clocks {clock.name} {clock.key}"
            seen.add((clock.name, clock.key))
            told = explain(clock, after.law)
            clock.status(after.now)
            if clock.due is None:
                continue
            last = (told.moves[-1].steps if told.moves else told.steps)[-1].ends
            assert last == clock.due, f"{clock.name} {clock.key} explained to end {last}, but due {clock.due}"
            if clock.name not in _WRITTEN_BY_OTHERS:
                assert clock.due >= clock.start.at, f"{clock.name} {clock.key} due before it starts"


def handling_over(before: Town, deed: Deed, answer: Answer, after: Town) -> None:
    """A case that has ended has no running clock of handling (8.4)."""
    for case in after.orders.values():
        if case.is_open and case.state is not OrderState.MERGED:
            continue
        for clock in clocks(case, after.law):
            if case.filing.closed is not None and clock.start.at >= case.filing.closed.at:
                continue  # a unit called to the spot about a closed case
            merged = case.state is OrderState.MERGED and clock.name not in _OF_HANDLING
            assert not clock.running or clock.name not in HANDLING or merged, f"{clock.name} {clock.key} runs on"


_OF_HANDLING = frozenset(
    {ClockName.HANDLE, ClockName.SIGN, ClockName.DISPATCH, ClockName.PROGRESS, ClockName.INIT_RESPONSE}
)

_NEVER_MOVES_HANDLE = frozenset(
    {
        "Transfer",
        "Supplement",
        "RequestSupplement",
        "RaiseDispute",
        "HoldMeeting",
        "IssueNotice",
        "ServeNotice",
        "ReplyNotice",
        "AcceptNoticeReply",
        "RejectNoticeReply",
        "EscalateNotice",
        "WithdrawNotice",
        "CloseNotice",
        "EscalateReturn",
        "AcceptEscalation",
        "RejectEscalation",
        "RequestReturn",
        "WithdrawReturn",
        "ConsentLateReturn",
        "ObjectCo",
        "AddCo",
        "RemoveCo",
        "Expedite",
        "Whistle",
        "RespondWhistle",
        "Sign",
        "AssignHandler",
        "Contact",
        "Progress",
        "InitialResponse",
        "RequestExtension",
        "Urge",
        "Inquire",
    }
)


def never_reset(before: Town, deed: Deed, answer: Answer, after: Town) -> None:
    """Transfer, supplement, dispute, meeting and notice never change HANDLE (6.1.4); nothing changes its start."""
    was, now = _case(before, deed), _case(after, deed)
    if was is None or now is None:
        return
    held = {c.key: c for c in clocks(was, before.law) if c.name is ClockName.HANDLE}
    for clock in clocks(now, after.law):
        old = held.get(clock.key) if clock.name is ClockName.HANDLE else None
        if old is None or _corrected(answer):
            continue
        assert clock.start == old.start, f"HANDLE {clock.key} starts anew"
        if type(deed.act).__name__ in _NEVER_MOVES_HANDLE:
            assert clock.due == old.due, f"HANDLE {clock.key} moved from {old.due} to {clock.due}"


def _corrected(answer: Answer) -> bool:
    return any(isinstance(step, CorrectionRecorded) for step in answer.steps)


def nobody_late_afterwards(before: Town, deed: Deed, answer: Answer, after: Town) -> None:
    """A change of class makes nobody late who was not: a running due is not moved behind the change (R-35)."""
    was, now = _case(before, deed), _case(after, deed)
    if was is None or now is None or len(now.changes) == len(was.changes):
        return
    held = {(c.name, c.key): c for c in clocks(was, before.law)}
    for clock in clocks(now, after.law):
        old = held.get((clock.name, clock.key))
        if old is None or not old.running or old.due is None or clock.due is None:
            continue
        assert clock.due >= min(old.due, after.now), f"{clock.name} {clock.key} due {clock.due}, late at {after.now}"
        if not now.changes[-1].lengthens:
            assert clock.due <= old.due, f"{clock.name} {clock.key} got longer: {old.due} to {clock.due}"


def late_stays_late(before: Town, deed: Deed, answer: Answer, after: Town) -> None:
    """No duty is forgotten or begins anew, and what was late stays so, whatever ends or cancels it (8.7).

    Only consent to more time makes it good (R-13), and a correction's own limit where the city counts so (8.9).
    """
    if deed.stream == "institution" or _corrected(answer):
        return
    for stream, was in before.orders.items():
        if after.orders[stream] is was:
            continue
        now = {(c.name, c.key): c for c in clocks(after.orders[stream], after.law)}
        longer = before.law.rules(was.policy).options.sent_back_due == "correction"
        good = isinstance(deed.act, extending.DecideExtension) or (
            longer and isinstance(deed.act, evaluation.ReviewReply)
        )
        for clock in clocks(was, before.law):
            if clock.name in WINDOWS or clock.name is ClockName.RETURN:
                continue  # a right, not a duty
            found = now.get((clock.name, clock.key))
            assert found is not None, f"{clock.name} {clock.key} is gone"
            if isinstance(deed.act, ServeNotice) and deed.act.undelivered is not None:
                continue  # what never arrived told nobody: the time begins with the service that did
            assert found.start == clock.start, f"{clock.name} {clock.key} starts anew"
            kept = good or not clock.breached(before.now) or found.breached(after.now)
            assert kept, f"{clock.name} {clock.key} was late and is no more"


_FINAL = frozenset(
    {
        ClockName.SIGN,
        ClockName.RETURN_REVIEW,
        ClockName.CO_REPLY,
        ClockName.STATUTORY,
        ClockName.EXTENSION_DECISION,
        ClockName.INFORM_EXTENSION,
        ClockName.SUPV_REPLY,
        ClockName.ARRIVE_SITE,
        ClockName.SITE_RECORD,
        ClockName.WHISTLE,
        ClockName.INSTRUCTION,
        ClockName.APPEAL_DECISION,
    }
)
"""Clocks that nothing opens again, as a reply sent back does HANDLE, a promise not kept FOLLOW_UP, a recall DISPATCH."""


def an_end_is_final(before: Town, deed: Deed, answer: Answer, after: Town) -> None:
    """What ended a clock stays what ended it: what is done afterwards makes nobody late, and nobody else's duty of it."""
    if deed.stream == "institution" or _corrected(answer) or isinstance(deed.act, Unmerge):
        return  # to undo a merge is to go on as if there had been none
    for stream, was in before.orders.items():
        if after.orders[stream] is was:
            continue
        now = {(c.name, c.key): c for c in clocks(after.orders[stream], after.law)}
        for clock in clocks(was, before.law):
            found = now.get((clock.name, clock.key))
            if clock.running or clock.name not in _FINAL or found is None:
                continue
            said = (clock.stop, clock.cancel, clock.due, clock.unit)
            assert (found.stop, found.cancel, found.due, found.unit) == said, (
                f"{clock.name} {clock.key} ended otherwise: {said} {found}"
            )


# --- separation of duties ----------------------------------------------------------------------------------------


def nobody_alone(before: Town, deed: Deed, answer: Answer, after: Town) -> None:
    """What takes two persons is never done by one (4.1, 8.12)."""
    case, user = _case(before, deed), deed.actor.user
    if case is None or deed.actor.role is Role.SYSTEM:
        return
    for event in facts(deed, answer):
        first = _first_person(case, event)
        assert user not in first, f"{type(event).__name__} by {user}, who did the first half"


def _first_person(case: WorkOrder, event: Fact) -> set[str]:
    """Return who did the earlier half of what an event decides."""
    episode = case.episode
    match event:
        case extending.ExtensionApproved() | extending.ExtensionRejected() if episode is not None:
            return {episode.extensions[event.extension - 1].by}
        case returning.ReturnApproved() | returning.ReturnRejected() if episode is not None:
            return {episode.returns[event.return_no - 1].by}
        case returning.LateReturnConsented() if episode is not None:
            return {episode.returns[event.return_no - 1].by}
        case returning.ReturnEscalationAccepted() | returning.ReturnEscalationRejected() if episode is not None:
            return {episode.escalations[event.escalation - 1].by}
        case returning.DisputeRuled() if episode is not None:
            return {episode.disputes[event.dispute - 1].by}
        case SupervisionReplyAccepted() | SupervisionReplyRejected():
            return {case.oversight.notices[event.notice - 1].replied_by}
        case answering.FollowUpRejected():
            return {case.follow_ups[event.follow_up - 1].done_by}
        case recourse.AppealDecided():
            appeal = case.oversight.appeals[event.appeal - 1]
            return {appeal.issuer, appeal.filed_by}
        case correcting.TextReleasedForOversight():
            return {event.author}
        case _:
            return _proposer(case, event)


_DECIDED: dict[type[Fact], str] = {
    classifying.ConfidentialityLifted: "lift_confidentiality",
    classifying.ConfidentialityLiftRejected: "lift_confidentiality",
    triage.RefusalRejected: "refusal",
    CorrectionRecorded: "correction",
    correcting.CorrectionRejected: "correction",
    correcting.PersonalDataErased: "erasure",
    correcting.PersonalDataErasureRejected: "erasure",
    evaluation.SatisfactionExemptRejected: "satisfaction_exempt",
    evaluation.ReasonablenessJudged: "reasonableness",
    closing.NotedClosureRejected: "noted_closure",
    closing.TerminationRejected: "termination",
    SpecialReportApproved: "special_report",
}


def _proposer(case: WorkOrder, event: Fact) -> set[str]:
    about = _DECIDED.get(type(event), "")
    match event:
        case filing.OrderClosed(kind=ClosureKind.NOTED):
            about = "noted_closure"
        case filing.OrderClosed(kind=ClosureKind.TERMINATED):
            about = "termination"
        case evaluation.SatisfactionExemptSet(late=True):
            about = "satisfaction_exempt"
        case triage.NotAccepted() if event.reason in triage.REVIEWED:
            about = "refusal"
        case _:
            pass
    waiting = [p for p in case.proposals if p.about == about and p.decided is None]
    subject = getattr(event, "correction", None) or getattr(event, "special_report", None)
    if about in ("correction", "special_report"):
        waiting = [p for p in waiting if p.subject == subject]
    needed = about and not isinstance(event, triage.NotAccepted)
    assert waiting or not needed, f"{type(event).__name__} decides what nobody proposed"
    return {p.by for p in waiting[-1:]}


def judged_by_others(before: Town, deed: Deed, answer: Answer, after: Town) -> None:
    """Nobody judges what they handled, and nobody visits for a unit that handled (4.1)."""
    case, actor = _case(before, deed), deed.actor
    if case is None:
        return
    worked = {user for user, role in case.signers if role in ORGANIZERS} | {
        user for r in case.replies for user in (r.approved_by, r.drafted_by) if user
    }
    units = {a.unit for e in case.episodes if e.round == case.round for a in e.assignments}
    units = {before.law.successor(u, before.now) for u in units}
    for event in facts(deed, answer):
        if isinstance(event, _JUDGEMENTS) or _is_judged_closure(event, actor.role):
            assert actor.user not in worked, f"{type(event).__name__} by {actor.user}, who handled the case"
        if isinstance(event, filing.OrderClosed) and event.kind is ClosureKind.NOTED:
            assert actor.role is Role.HOTLINE_MANAGER, f"noted closure by {actor.role}"
        visits = isinstance(event, _VISITS) or (
            isinstance(event, evaluation.EvaluationRecorded) and actor.role is Role.REVISITOR
        )
        if visits and actor.role is Role.REVISITOR:
            assert actor.unit not in units, f"{type(event).__name__} from {actor.unit}, which handled"


_JUDGEMENTS = (evaluation.ReplyReviewed, evaluation.ReplySubstanceJudged, evaluation.ReasonablenessJudged)
_VISITS = (
    revisiting.RevisitSampled,
    revisiting.RevisitScheduled,
    revisiting.RevisitConsentRecorded,
    revisiting.RevisitRefused,
    revisiting.RevisitUnreachable,
    revisiting.RevisitCompleted,
)


def _is_judged_closure(event: Fact, role: Role) -> bool:
    if role is Role.SYSTEM or not isinstance(event, filing.OrderClosed):
        return False
    return event.kind in (ClosureKind.NOTED, ClosureKind.TERMINATED) or event.kind in closing._BY_JUDGEMENT


def accused_keep_out(before: Town, deed: Deed, answer: Answer, after: Town) -> None:
    """A unit complained of never acts on a report or an informant's case (3.3, T87), nor does one below it."""
    case, actor = _case(before, deed), deed.actor
    if case is None or actor.role not in ORGANIZERS:
        return
    report = case.attributes.demand_type is DemandType.REPORT or case.confidentiality is Confidentiality.INFORMANT
    if not report or type(deed.act).__name__ in _ABOUT_ITSELF:
        return
    barred = complained_of(before, case, actor.unit)
    assert not barred, f"{type(deed.act).__name__} by {actor.unit}, complained of as {case.demand.accused}"


_ABOUT_ITSELF = frozenset(
    {"ReplyNotice", "ArriveSite", "VerifySite", "FileAppeal", "ReportInstruction", "CompleteFollowUp"}
)
"""What a unit owes as the one complained of, and what it may say in its own defence."""


# --- replying, closing, sealing ----------------------------------------------------------------------------------


def answers_rest_on_something(before: Town, deed: Deed, answer: Answer, after: Town) -> None:
    """No reply by a unit that holds nothing; no closure without reply, explanation or refusal reason (6.1.5)."""
    was, now = _case(before, deed), _case(after, deed)
    if was is None or now is None:
        return
    for event in facts(deed, answer):
        if isinstance(event, answering.ReplySubmitted):
            _held(before, was.running, deed, event)
        if isinstance(event, filing.OrderClosed):
            _closed_on(was, now, event, facts(deed, answer))
        if isinstance(event, triage.NotAccepted):
            assert now.filing.refusal, "refused for no reason"
            assert event.words is not None or event.reason == "state_secret", "refused without a word"


def _held(town: Town, episode: Episode | None, deed: Deed, event: answering.ReplySubmitted) -> None:
    assert episode is not None, "a reply to what nobody holds"
    if event.assignment == 0:
        assert episode.led_by_hotline, "the hotline replies for a unit"
        return
    held = episode.assignment(event.assignment)
    assert held.ended is None, "a reply by a unit that no longer holds the order"
    assert deed.actor.unit in (held.unit, town.law.successor(held.unit, town.now)), "a reply by another unit"


def _closed_on(was: WorkOrder, now: WorkOrder, event: filing.OrderClosed, all_of_it: Sequence[Fact]) -> None:
    kind, told = event.kind, {type(one) for one in all_of_it}
    if kind in filing._REPLIED_KINDS:
        episode = was.episode
        unasked = episode is not None and not episode.reply_required and event.follow_up_result is not None
        assert filing.reply_now(now) is not None or unasked, f"{kind} without a reply"
        untold = filing.reply_now(now) is None or unasked
        assert untold or filing.reply_now(now).accepted is not False, f"{kind} on a reply sent back"  # type: ignore[union-attr]
    match kind:
        case ClosureKind.DIRECT:
            assert triage.DirectAnswered in told, "closed as answered, and nothing answered"
        case ClosureKind.NOTED | ClosureKind.UNSOLVABLE_EXPLAINED:
            assert filing.explained(now), f"{kind} unexplained"
        case ClosureKind.TERMINATED:
            assert event.told is not None, "terminated, and nobody told"
        case ClosureKind.SATISFIED:
            counts = evaluation.effective(was)
            assert counts is not None, "satisfied, says nobody"
            assert counts.result.positive, f"satisfied, though {counts.result}"
        case ClosureKind.UNRESOLVED_FOLLOW_UP:
            assert now.follow_ups, "unresolved without a promise"
        case _:
            pass


SEALED_TAKES = frozenset(
    {
        "RecordDossier",  # copies for use
        "TransferArchive",
        "AppraiseFile",
        "DisposeFile",
        "ProposeCorrection",  # corrections are appended
        "ApproveCorrection",
        "RejectCorrection",
        "ReleaseTextForOversight",
        "ReferAccountability",
        "ProposeErasure",
        "ApproveErasure",
        "RejectErasure",
        "RestrictPersonalData",
        "IssueUseCopy",
        "FileAppeal",  # a figure may be published after the sealing
        "DecideAppeal",
    }
)
"""What a sealed file still takes: nothing of the case itself, only what is done with its record."""


def sealed_is_closed(before: Town, deed: Deed, answer: Answer, after: Town) -> None:
    """A sealed file takes no more events of the case (A-17)."""
    for stream, case in before.orders.items():
        grown = len(after.streams[stream]) - len(before.streams[stream])
        if case.filing.sealed is None or not grown:
            continue
        assert stream == deed.stream, f"{type(deed.act).__name__} writes to another file that is sealed"
        assert type(deed.act).__name__ in SEALED_TAKES, f"{type(deed.act).__name__} on a sealed file"


def informants_checked(before: Town, deed: Deed, answer: Answer, after: Town) -> None:
    """A reply in an informant's case is accepted only by somebody who looked for what gives them away (3.5)."""
    was, now = _case(before, deed), _case(after, deed)
    if was is None or now is None or was.confidentiality is not Confidentiality.INFORMANT:
        return
    before_it = {reply.no for reply in was.replies if reply.accepted}
    for reply in now.replies:
        if reply.accepted and reply.no not in before_it:
            checked = isinstance(deed.act, evaluation.ReviewReply) and deed.act.identity_checked
            assert checked, f"reply {reply.no} accepted by {type(deed.act).__name__}, and nobody looked"


# --- the shape of a case -----------------------------------------------------------------------------------------


def state_says_what_is(before: Town, deed: Deed, answer: Answer, after: Town) -> None:
    """The state is what the parts of the case say: who holds it, whether it waits, what was answered, how it ended."""
    for case in after.orders.values():
        if any(isinstance(e.event, CorrectionRecorded) for e in after.streams[case.stream]):
            continue  # what a correction says, it says
        running, waiting = case.running is not None, [w for w in case.waits if w.until is None]
        assert len(waiting) <= 1, f"{case.state}, and waits twice"
        assert bool(waiting) is (case.state in guards.UNDISPATCHED), f"{case.state}, waiting: {waiting}"
        if case.state in (*guards.HANDLED, *guards.ANSWERED):
            assert running, f"{case.state}, and nobody holds it"
            _held_well(case)
        elif case.state is not OrderState.MERGED:
            assert not running, f"{case.state}, and somebody holds it"
        ended = case.state in guards.ENDED
        assert ended is (case.filing.closed is not None), f"{case.state}, closed {case.filing.closed}"
        assert (case.state is OrderState.ARCHIVED) is (case.filing.filed is not None), f"{case.state}, filed"
        follows = case.links.merge is not None and case.links.merge.undone is None
        assert case.state is not OrderState.MERGED or follows, "merged, and follows nobody"
        if case.state in guards.ANSWERED:
            assert filing.reply_now(case) is not None, f"{case.state}, and no reply stands"


def _held_well(case: WorkOrder) -> None:
    episode = case.running
    assert episode is not None
    leads = [a for a in episode.assignments if a.role is AssignmentRole.LEAD and a.ended is None]
    assert len(leads) == (0 if episode.led_by_hotline else 1), f"{len(leads)} leads for {episode.lead or 'the hotline'}"
    assert all(a.unit == episode.lead for a in leads), f"{episode.lead} leads, and {leads[0].unit} holds it"
    asked = any(r.pending and not r.co for r in episode.returns)
    assert asked is (case.state is OrderState.RETURN_REVIEW), f"{case.state}, return pending: {asked}"
    if case.state is OrderState.DISPATCHED:
        assert leads[0].signed is None, "waits for a signature that was given"
    if case.state is OrderState.WORKING and leads:
        assert leads[0].signed is not None, "worked on unsigned"


_PROTECTION = (
    Confidentiality.NORMAL,
    Confidentiality.PRIVACY,
    Confidentiality.TRADE_SECRET,
    Confidentiality.INFORMANT,
)


def nothing_twice(before: Town, deed: Deed, answer: Answer, after: Town) -> None:
    """One open notice about a duty, one evaluation of a source and reply; protection is lowered by two persons only."""
    now = _case(after, deed)
    if now is None:
        return
    notices = [
        (n.kind, n.unit, n.episode, n.clock, n.clock_key, n.ground if n.clock is None else "")
        for n in now.oversight.notices
        if n.open
    ]
    assert len(notices) == len(set(notices)), "two open notices about the same duty"
    ratings = [(e.round, e.reply, e.source) for e in now.quality.evaluations if not e.voided]
    assert len(ratings) == len(set(ratings)), "rated twice"
    was = _case(before, deed)
    if was is not None and _PROTECTION.index(now.confidentiality) < _PROTECTION.index(was.confidentiality):
        lifted = any(isinstance(event, classifying.ConfidentialityLifted) for event in facts(deed, answer))
        assert lifted or _corrected(answer), f"{was.confidentiality} became {now.confidentiality}"


PROMISES: Sequence[Callable[[Town, Deed, Answer, Town], None]] = (
    answered_alike,
    written_well,
    told_again,
    clocks_readable,
    handling_over,
    never_reset,
    nobody_late_afterwards,
    late_stays_late,
    an_end_is_final,
    nobody_alone,
    judged_by_others,
    accused_keep_out,
    answers_rest_on_something,
    sealed_is_closed,
    informants_checked,
    state_says_what_is,
    nothing_twice,
)
