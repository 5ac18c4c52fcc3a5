"""核查. What each kind of event must find before it: the rules that no clock shows, asked again of what is recorded.

A live command meets these rules before anything is written (`domain.steps`). What other systems recorded is taken in
with its shape checked and no rule asked; so each check here looks at the order as it stood and at the event that
followed. What the source does not say, or a mapping set in its place, is held against nobody (8.15).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple

from domain import guards
from domain.context import Context
from domain.law import Law
from domain.policy import Options, Rules
from domain.state import Assignment, WorkOrder, effective, has, pending
from domain.steps import (
    answering,
    classifying,
    closing,
    correcting,
    dispatch,
    evaluation,
    extending,
    filing,
    handling,
    linking,
    oversight,
    registration,
    returning,
    revisiting,
    triage,
)
from domain.terms import (
    SHANGHAI,
    AssignmentRole,
    ClockName,
    ClosureKind,
    Confidentiality,
    DemandType,
    DispatchType,
    Entry,
    EvaluationSource,
    Fact,
    Informing,
    NoticeKind,
    OrderState,
    Outcome,
    Participant,
    Reasonableness,
    RedoGround,
    RefusalReason,
    Resolution,
    ReturnGround,
    RevisitMethod,
    Role,
    Substance,
    UnitId,
    UnitKind,
)
from domain.units import day_of, day_start


class Broke(NamedTuple):
    """A rule that an event broke. `about` is the state the order was in, where the order of the steps is meant."""

    code: str
    entry: Entry
    unit: UnitId
    about: OrderState | None = None
    also: tuple[int, ...] = ()  # positions of other evidence


class Looked:
    """One case while its history is gone through: what was broken, and what only its clocks can tell afterwards."""

    __slots__ = ("broke", "later", "law")

    def __init__(self, law: Law) -> None:
        self.law = law
        self.broke: list[Broke] = []
        self.later: list[
            tuple[Entry, int]
        ] = []  # events to hold against a clock, with the ordinal of what they are about

    def __call__(self, order: WorkOrder | None, entry: Entry) -> None:
        """Look at an event that is about to be folded on an order."""
        kind: type[Fact] = type(entry.event)
        looked = _LOOKED.get(kind)
        if looked is None or (order is None and kind not in _FROM_NOTHING):
            return
        allowed, check = looked
        if allowed is not None and order is not None and order.state not in allowed:
            self.say("wrong-state", entry, about=order.state)  # what else is wrong with it is said beside that
        if check is not None:
            check(self, order, entry.event, entry)

    def say(
        self, code: str, entry: Entry, unit: UnitId = "", *, about: OrderState | None = None, also: tuple[int, ...] = ()
    ) -> None:
        """Note a broken rule."""
        self.broke.append(Broke(code, entry, unit, about, also))

    def rules(self, order: WorkOrder) -> Rules:
        """Return the pack that binds the order."""
        return self.law.rules(order.policy)

    def options(self, order: WorkOrder) -> Options:
        """Return its options."""
        return self.law.rules(order.policy).options


def context(case: Looked, order: WorkOrder, entry: Entry) -> Context:
    """Return what the domain's own questions ask with."""
    return Context(actor=entry.actor, now=entry.at, law=case.law, stream=order.stream)


def _second_person(case: Looked, order: WorkOrder, entry: Entry, about: str, subject: int | None = None) -> None:
    """Note a two-person act that nobody proposed, or that its proposer decided (8.12)."""
    proposal = pending(order, about, subject)
    if proposal is None:
        case.say("no-such-proposal", entry)
    else:
        _another(case, entry, proposal.by, proposal.proposed.position)


def _another(case: Looked, entry: Entry, by: str, position: int, unit: UnitId = "") -> None:
    """Note that one person did both halves; a program that brought both over is no person."""
    if by and by == entry.actor.user and entry.actor.role not in (Role.SYSTEM, Role.CITIZEN):
        case.say("self-approval", entry, unit, also=(position,))


# --- ① registering and turning away -----------------------------------------------------------------------------------


def registered(case: Looked, order: WorkOrder | None, event: registration.OrderRegistered, entry: Entry) -> None:
    """Ask for a contact, for an informant's protection, and for a title that shows nobody."""
    who = event.applicant
    own = event.parent is None  # a part of another demand has that one's applicant
    if own and not event.anonymous and (who is None or not (guards.said(who.phone) or guards.said(who.contact))):
        case.say("registration-incomplete", entry)
    report = event.attributes.demand_type is DemandType.REPORT and not any("demand_type" in d for d in event.derived)
    if report and event.confidentiality is not Confidentiality.INFORMANT:
        case.say("informant-unprotected", entry)
    if registration.has_personal_data(event.title):
        case.say("title-has-personal-data", entry)


def not_accepted(case: Looked, order: WorkOrder, event: triage.NotAccepted, entry: Entry) -> None:
    """Ask whether the caller was told why, on what basis, and whose matter it is (S0-11…13)."""
    secret = event.reason is RefusalReason.STATE_SECRET
    if secret and event.words is not None:
        case.say("secret-takes-no-words", entry)
    if not secret and not guards.said(event.words):
        case.say("refusal-not-explained", entry)
    if event.reason is RefusalReason.OTHER_LAW and not event.basis.article:
        case.say("refusal-basis-missing", entry)
    if event.unit_determinable and not event.informed_unit:
        case.say("competent-unit-not-named", entry)
    if event.reason in triage.REVIEWED and entry.actor.role not in (Role.QC_REVIEWER, Role.SYSTEM):
        case.say("refusal-needs-review", entry)
    if event.reason is RefusalReason.NOT_IDENTIFIABLE:
        until = order.supplement_by
        if not order.supplement or until is None or day_of(entry.at) <= until:
            case.say("supplement-not-overdue", entry)
    if event.informed_at > entry.at:
        case.say("instant-ahead", entry)


def direct_answered(case: Looked, order: WorkOrder, event: triage.DirectAnswered, entry: Entry) -> None:
    """Ask what a direct answer rests on (S0-17)."""
    if not event.knowledge_ref and event.basis is None:
        case.say("answer-basis-missing", entry)


def merged(case: Looked, order: WorkOrder, event: linking.OrdersMerged, entry: Entry) -> None:
    """Ask whether an informant's order was merged."""
    if order.confidentiality is Confidentiality.INFORMANT:
        case.say("informant-never-merged", entry)


# --- ② dispatching and returning --------------------------------------------------------------------------------------


def _not_accused(case: Looked, order: WorkOrder, entry: Entry, units: Iterable[UnitId]) -> None:
    if order.demand.accused:
        asked = context(case, order, entry)
        for unit in units:
            if unit and guards.accused(order, asked, unit):
                case.say("accused-unit", entry, unit)


def dispatched(case: Looked, order: WorkOrder, event: dispatch.OrderDispatched, entry: Entry) -> None:
    """Ask what a dispatch must rest on; of one that a mapping set, only who got the order."""
    _not_accused(case, order, entry, itertools.chain((event.lead,), (co.unit for co in event.co), event.supervising))
    if event.derived:
        return
    rules = case.law.rules(event.policy or order.policy)
    options = rules.options
    _limited(case, rules, event, entry)
    hot = options.instruction_for_hot_issues and "hot_issue" in event.attributes.tags
    if (hot or event.kind is DispatchType.INSTRUCTION or event.instruction is not None) and (
        event.instruction not in {i.no for i in order.oversight.instructions if i.recorded is not None}
    ):
        case.say("instruction-missing", entry)
    if event.kind is DispatchType.TERRITORIAL and not order.oversight.meetings:
        unit = case.law.unit(event.lead) if event.lead else None
        version = unit.version(entry.at) if unit is not None else None
        district = version is not None and version.kind is UnitKind.DISTRICT_GOVERNMENT
        if not (options.territorial_to_district and district):
            case.say("meeting-missing", entry)
    several = max(order.demand.involved_units, len(event.co) + 1) >= options.lead_from
    if (several and event.kind is DispatchType.ORDINARY and event.lead) or not (event.lead or event.co):
        case.say("lead-missing", entry)
    if event.reply_required is False and not options.reply_optional:
        case.say("reply-not-optional", entry)
    _as_ruled(case, order, event, entry)


def _limited(case: Looked, rules: Rules, event: dispatch.OrderDispatched, entry: Entry) -> None:
    """Ask for the limit that no text gives, and whether a written one is too long (R-09, S2-T4)."""
    of_class = rules.class_of(event.attributes)
    written, longest = event.limits.get(ClockName.HANDLE), rules.options.max_total
    if of_class is not None and event.reply_required is not False and rules.needs_limit(of_class):
        covered = not event.lead and all(co.limit is not None for co in event.co)
        if written is None and not covered and rules.limit(ClockName.HANDLE, of_class) is None:
            case.say("limit-required", entry)
    if written is not None and longest is not None:
        calendar = case.law.calendar(entry.at)
        if calendar.due(entry.at, written, rules.kernel).at > calendar.due(entry.at, longest, rules.kernel).at:
            case.say("limit-too-long", entry)


def _as_ruled(case: Looked, order: WorkOrder, event: dispatch.OrderDispatched, entry: Entry) -> None:
    last = order.episode
    if last is None or last.ended_as != "ruled":
        return
    ruled = next((d for d in reversed(last.disputes) if d.ruled is not None), None)
    if ruled is None or not ruled.ruled_unit:
        return
    heir = case.law.successor(ruled.ruled_unit, entry.at)
    able = case.law.active(heir, entry.at) and not guards.accused(order, context(case, order, entry), heir)
    if event.lead not in (heir, ruled.ruled_unit) and able:  # at the very instant of a succession either is right
        case.say("ruled-elsewhere", entry, also=(ruled.ruled.position,) if ruled.ruled else ())


_BEFORE: Final = timedelta(milliseconds=1)


def transferred(case: Looked, order: WorkOrder, event: dispatch.AssignmentTransferred, entry: Entry) -> None:
    """Ask whether the order was passed down, and not to whom it is about."""
    _not_accused(case, order, entry, (event.unit,))
    law, holder = case.law, case.law.successor(event.from_unit, entry.at)
    known = law.unit(event.unit) is not None and law.unit(holder) is not None
    if not known:
        return
    # A change of units is valid from the beginning of its day: what came earlier that day was asked of the eve's law.
    eve = day_start(day_of(entry.at)) - _BEFORE
    if event.unit == holder or not any(law.is_within(event.unit, holder, at) for at in (entry.at, eve)):
        case.say("not-a-descendant", entry, event.from_unit)


def signed(case: Looked, order: WorkOrder, event: handling.AssignmentSigned, entry: Entry) -> None:
    """Ask whether it was signed for before."""
    held = _held(order, event.assignment)
    if held is not None and held.signed is not None:
        case.say("already-signed", entry, event.unit, also=(held.signed.position,))


def _held(order: WorkOrder, no: int) -> Assignment | None:
    episode = order.running
    return episode.assignment(no) if episode is not None and has(episode.assignments, no) else None


def _unsigned(case: Looked, order: WorkOrder, no: int) -> bool:
    """Tell whether an assignment should have been signed for and was not; a mapped dispatch says nothing of it."""
    held = _held(order, no)
    if held is None or held.signed is not None or order.episodes[-1].derived:
        return False
    rules = case.rules(order)
    of_class = rules.class_of(order.attributes)
    return of_class is not None and rules.runs(ClockName.SIGN, of_class) is not None


def return_requested(case: Looked, order: WorkOrder, event: returning.ReturnRequested, entry: Entry) -> None:
    """Ask whether the order could still be returned, by that unit, and what it proposes."""
    episode, options = order.running, case.options(order)
    if episode is None:
        return
    replied = next((r.submitted for r in order.replies if r.episode == episode.no), None)
    if replied is not None:
        case.say("return-after-reply", entry, event.unit, also=(replied.position,))
    if episode.ruled_final and options.ruled_final:
        since = episode.ruled or episode.begun
        case.say("ruled-final", entry, event.unit, also=(since.position,))
    held = _held(order, event.assignment)
    if held is not None and held.transferred_from is not None:
        case.say("escalate-first", entry, event.unit)
    if held is not None and held.signed is None and not episode.derived and options.return_needs_signature:
        case.say("not-signed", entry, event.unit)
    match event.ground:
        case ReturnGround.NOT_OUR_DUTY:
            enough = event.suggested_unit is not None
        case ReturnGround.OUT_OF_SCOPE:
            enough = event.suggested_disposal is not None
        case ReturnGround.DUPLICATE:
            enough = event.duplicate_of is not None
        case ReturnGround.RULED_ELSEWHERE:
            any_said = (event.suggested_unit, event.suggested_disposal, event.duplicate_of) != (None, None, None)
            enough = any_said or not options.return_needs_suggestion
    if not enough:
        case.say("suggestion-missing", entry, event.unit)


def return_approved(case: Looked, order: WorkOrder, event: returning.ReturnApproved, entry: Entry) -> None:
    """Ask for the consent to a late return, and for two persons."""
    episode = order.running
    if episode is None or not has(episode.returns, event.return_no):
        return
    asked = episode.returns[event.return_no - 1]
    consent = case.options(order).late_return == "consent"
    if consent and asked.late and not asked.co and asked.consent is None and event.dispute is None:
        case.say("late-return-needs-consent", entry, also=(asked.requested.position,))
    _another(case, entry, asked.by, asked.requested.position)


def return_rejected(case: Looked, order: WorkOrder, event: returning.ReturnRejected, entry: Entry) -> None:
    """Ask for two persons."""
    episode = order.running
    if episode is not None and has(episode.returns, event.return_no):
        asked = episode.returns[event.return_no - 1]
        _another(case, entry, asked.by, asked.requested.position)


# --- ③ handling -------------------------------------------------------------------------------------------------------


def extension_requested(case: Looked, order: WorkOrder, event: extending.ExtensionRequested, entry: Entry) -> None:
    """Ask whether the rules know extensions; its time is held against the clock afterwards."""
    options = case.options(order)
    if options.extension == "none":
        case.say("no-extension-rule", entry, event.unit)
    if options.extension_needs_legal_basis and event.legal_basis is None:
        case.say("legal-basis-missing", entry, event.unit)
    if order.episodes:
        case.later.append((entry, len(order.episodes[-1].extensions) + 1))


def extension_approved(case: Looked, order: WorkOrder, event: extending.ExtensionApproved, entry: Entry) -> None:
    """Ask for two persons, and whether count and days are within what the rules allow."""
    if not order.episodes:
        return
    options, extensions = case.options(order), order.episodes[-1].extensions
    if has(extensions, event.extension):
        asked = extensions[event.extension - 1]
        _another(case, entry, asked.by, asked.requested.position, event.unit)
    elif options.extension == "none":
        case.say("no-extension-rule", entry, event.unit)
    often = (
        options.extension_max_count is not None and sum(x.approved for x in extensions) >= options.extension_max_count
    )
    if often or (options.extension_max_days is not None and event.days > options.extension_max_days):
        case.say("extension-over-cap", entry, event.unit)
    case.later.append((entry, min(event.extension, len(extensions) + 1)))


def replied(case: Looked, order: WorkOrder, event: answering.ReplySubmitted, entry: Entry) -> None:
    """Ask who answered, whether the applicant knew, and whether all was said that the rules want."""
    episode = order.running
    if episode is None:
        return
    if episode.lead and event.unit != episode.lead and event.unit != case.law.successor(episode.lead, entry.at):
        case.say("not-your-unit", entry, event.unit)
    if _unsigned(case, order, event.assignment):
        case.say("not-signed", entry, event.unit)
    asked = next((r for r in episode.returns if r.pending and not r.co), None)
    if asked is not None:
        case.say("return-pending", entry, event.unit, also=(asked.requested.position,))
    silent = [
        a.unit for a in episode.assignments if a.role is AssignmentRole.CO and a.ended is None and a.opinion is None
    ]
    if silent and set(silent) - set(event.missing_co):
        case.say("co-opinion-missing", entry, event.unit)
    _outcome_said(case, event, entry)
    _told(case, order, event, entry)
    signer = entry.actor.user
    if case.options(order).reply_two_persons and event.drafted_by and event.drafted_by == signer:
        case.say("two-hands-needed", entry, event.unit)


def _outcome_said(case: Looked, event: answering.ReplySubmitted, entry: Entry) -> None:
    """Ask for what an unresolved or unsolvable outcome must say (S4-27, S4-28)."""
    if event.outcome is Outcome.UNRESOLVED and not (
        guards.said(event.reason)
        and guards.said(event.next_measures)
        and event.implement_by is not None
        and event.responsible_unit
    ):
        case.say("unresolved-fields-missing", entry, event.unit)
    if event.outcome is Outcome.UNSOLVABLE and (
        not guards.said(event.reason)
        or event.research is None
        or (event.research and not guards.said(event.research_measures))
    ):
        case.say("unsolvable-fields-missing", entry, event.unit)
    if event.implement_by is not None and event.implement_by < day_of(entry.at):
        case.say("promise-in-past", entry, event.unit)


def _told(case: Looked, order: WorkOrder, event: answering.ReplySubmitted, entry: Entry) -> None:
    """Ask how the applicant counts as told of the result (R-31, A-05)."""
    if case.options(order).handle_stop == "reply_to_hotline":
        return
    known = order.episodes[-1].informed_result is not None
    match event.informing:
        case Informing.TRIED:
            if not filing.tried(order, case.law):
                case.say("attempts-missing", entry, event.unit)
            return
        case Informing.PUBLISHED:
            known = known or order.demand.anonymous
        case Informing.TOLD | Informing.BY_HOTLINE:
            pass
        case None:
            known = known or event.published
    if not known:
        case.say("informing-missing", entry, event.unit)


# --- ④ evaluating -----------------------------------------------------------------------------------------------------


def reviewed(case: Looked, order: WorkOrder, event: evaluation.ReplyReviewed, entry: Entry) -> None:
    """Ask who reviewed, what is wanted, and whether the informant is safe; when, is held against the clock."""
    if not has(order.replies, event.reply):
        return
    if guards.handled(order, entry.actor.user) and entry.actor.role is not Role.SYSTEM:
        case.say("reviewer-handled", entry)
    if event.accepted:
        if order.confidentiality is Confidentiality.INFORMANT and not event.identity_checked:
            case.say("identity-not-checked", entry)
        return
    if not guards.said(event.requirements):
        case.say("requirements-missing", entry)
    case.later.append((entry, event.reply))


def substance_judged(case: Looked, order: WorkOrder, event: evaluation.ReplySubstanceJudged, entry: Entry) -> None:
    """Ask what justifies that nothing changed; note what was judged."""
    if not has(order.replies, event.reply):
        return
    reply = order.replies[event.reply - 1]
    if event.substance is Substance.JUSTIFIED and event.basis is None:
        case.say("legal-basis-missing", entry)
    if event.substance is Substance.UNCHANGED:
        case.say("reply-unchanged", entry, reply.unit, also=(reply.submitted.position,))


def not_handled(case: Looked, order: WorkOrder, event: evaluation.DeemedNotHandled, entry: Entry) -> None:
    """Note what was deemed."""
    case.say("not-handled", entry, event.unit)


def evaluated(case: Looked, order: WorkOrder, event: evaluation.EvaluationRecorded, entry: Entry) -> None:
    """Ask whether it may count: once a source, in time, and by whom the rules let ask."""
    source = event.source
    before = order.quality.evaluations
    same = next((e for e in before if e.source is source and (e.round, e.reply) == (event.round, event.reply)), None)
    if same is not None and not same.voided:
        case.say("already-rated", entry, also=(same.at.position,))
    if source is EvaluationSource.REVISIT:
        visit = next((v for v in order.quality.revisits if v.round == event.round), None)
        if visit is None or visit.completed is None:
            case.say("revisit-not-done", entry)
    elif order.state in guards.ENDED:
        case.say("evaluated-late", entry)
    else:
        case.later.append((entry, event.reply))
    if source is EvaluationSource.ORGANIZER_SOLICITED and not case.options(order).solicit:
        case.say("soliciting-not-allowed", entry, entry.actor.unit)
    if not any(dimension == "result" for dimension in event.ratings):
        case.say("rating-missing", entry)


def deemed(case: Looked, order: WorkOrder, event: evaluation.EvaluationDeemed, entry: Entry) -> None:
    """Ask whether the applicant may be deemed satisfied: by rule, informed, without an evaluation of their own."""
    options = case.options(order)
    if not options.deem or order.demand.anonymous:
        case.say("no-deeming", entry)
        return
    reply = order.replies[event.reply - 1] if has(order.replies, event.reply) else None
    if reply is None or (options.deem_requires_informed and reply.informed is None):
        case.say("result-not-told", entry)
        return
    counts = effective(order)
    if counts is not None:
        case.say("already-evaluated", entry, also=(counts.at.position,))
    case.later.append((entry, event.reply))


def redo_ordered(case: Looked, order: WorkOrder, event: evaluation.RedoOrdered, entry: Entry) -> None:
    """Ask for the limit, and for the dissatisfaction that a redo rests on."""
    if order.filing.sealed is not None:
        case.say("order-sealed", entry)
    if event.limit is None and case.options(order).redo_needs_limit:
        case.say("limit-required", entry)
    if event.ground is RedoGround.REASONABLE_DISSATISFACTION:
        said = [e for e in order.quality.evaluations if e.round == order.round and not e.voided]
        if not any(e.result.negative or e.resolution is Resolution.UNRESOLVED for e in said):
            case.say("no-dissatisfaction", entry)
        elif order.quality.reasonable == Reasonableness.UNREASONABLE.value:
            case.say("judged-unreasonable", entry)


# --- return visits ----------------------------------------------------------------------------------------------------


def _visitable(case: Looked, order: WorkOrder, event: Any, entry: Entry) -> None:
    """Ask whether the applicant may be visited at all."""
    if order.demand.anonymous:
        case.say("anonymous-applicant", entry)
    visit = next((v for v in order.quality.revisits if v.round == event.round), None)
    if visit is not None and visit.refused is not None and case.options(order).revisit_refusal_final:
        case.say("revisit-refused-final", entry, also=(visit.refused.position,))


def visit_completed(case: Looked, order: WorkOrder, event: revisiting.RevisitCompleted, entry: Entry) -> None:
    """Ask for consent, for every question, and for a visitor who had no part in it."""
    _visitable(case, order, event, entry)
    options = case.options(order)
    visit = next((v for v in order.quality.revisits if v.round == event.round), None)
    by_phone = event.method is RevisitMethod.PHONE and options.revisit_consent
    if by_phone and (visit is None or visit.consented is None):
        case.say("consent-missing", entry)
    if any(getattr(event, name, None) is None for name in options.revisit_questions):
        case.say("revisit-questions-missing", entry)
    units = {
        a.unit
        for e in order.episodes
        if e.round == event.round
        for a in e.assignments
        if a.role is not AssignmentRole.SUPERVISING
    }
    if entry.actor.unit and entry.actor.role is not Role.SYSTEM and entry.actor.unit in units:
        case.say("revisitor-from-handling-unit", entry, entry.actor.unit)
    elif guards.handled(order, entry.actor.user) and entry.actor.role is not Role.SYSTEM:
        case.say("reviewer-handled", entry)


def unreachable(case: Looked, order: WorkOrder, event: revisiting.RevisitUnreachable, entry: Entry) -> None:
    """Ask how often, on how many days and at which hours the applicant was tried (A-05)."""
    _visitable(case, order, event, entry)
    options, tries = case.options(order), {at.astimezone(SHANGHAI) for at in event.attempts}
    days, hours = {at.date() for at in tries}, {at.hour for at in tries}
    if len(tries) < options.attempts or len(days) < options.attempt_days or len(hours) < 2:
        case.say("attempts-missing", entry)


# --- ⑤ closing and filing ---------------------------------------------------------------------------------------------

_OF_NOBODY = frozenset({ClosureKind.WITHDRAWN, ClosureKind.NOT_ACCEPTED})
_BEFORE_HANDLING = frozenset({ClosureKind.DIRECT, ClosureKind.TRANSFERRED})


def closed(case: Looked, order: WorkOrder, event: filing.OrderClosed, entry: Entry) -> None:
    """Ask whether this way of closing is borne by what happened."""
    kind = event.kind
    if kind in _OF_NOBODY:
        return
    if kind is ClosureKind.MERGED:
        merge = order.links.merge
        if merge is not None and merge.undone is None and merge.told is None and event.master is not None:
            case.say("result-not-told", entry)
        return
    if filing.emergency_untold(order, case.law):
        case.say("emergency-not-told", entry)
    if kind in _BEFORE_HANDLING:
        return
    _open_ends(case, order, event, entry)
    if kind is ClosureKind.TERMINATED:
        _second_person(case, order, entry, "termination")
        if event.told is None:
            case.say("result-not-told", entry)
        return
    reply = filing.reply_now(order)
    if reply is not None:
        _borne(case, order, event, entry)
    elif order.episode is None or order.episode.reply_required:
        case.say("reply-missing", entry, order.lead)
    elif event.follow_up_result is None:
        case.say("follow-up-result-missing", entry)


def _open_ends(case: Looked, order: WorkOrder, event: filing.OrderClosed, entry: Entry) -> None:
    """Ask what no way of closing a handled order may pass over (`filing.closable`)."""
    episode, reply = order.episode, filing.reply_now(order)
    terminating = event.kind is ClosureKind.TERMINATED
    raised = next((d.raised for d in episode.disputes if d.ruled is None), None) if episode is not None else None
    if raised is not None:
        case.say("dispute-open", entry, also=(raised.position,))
    if reply is not None and reply.policy_fit is False and not filing.explained(order):
        case.say("explanation-missing", entry, reply.unit, also=(reply.submitted.position,))
    visit = order.revisit
    visited = (visit is not None and visit.over is not None) or (order.demand.anonymous and filing.told(order))
    redone = order.round >= 2 and not (terminating and reply is None)
    if redone and case.options(order).redo_revisit and not visited:
        case.say("revisit-missing", entry)
    if terminating:
        return
    unread = reply is not None and reply.accepted is None
    if unread and order.confidentiality is Confidentiality.INFORMANT:
        case.say("identity-not-checked", entry)


def _borne(case: Looked, order: WorkOrder, event: filing.OrderClosed, entry: Entry) -> None:
    """Ask whether reply and evaluation bear this way of closing."""
    reply, counts, kind = filing.reply_now(order), effective(order), event.kind
    assert reply is not None
    also = (reply.submitted.position,)
    unresolved = reply.outcome is Outcome.UNRESOLVED
    if unresolved and kind not in (
        ClosureKind.UNRESOLVED_FOLLOW_UP,
        ClosureKind.UNREACHABLE,
        ClosureKind.NOTED,
    ):
        case.say("unresolved-needs-follow-up", entry, reply.unit, also=also)
    match kind:
        case ClosureKind.SATISFIED:
            if counts is None or not counts.result.positive:
                case.say("not-satisfied", entry, also=also)
            return
        case ClosureKind.CONFORMING:
            if event.article is None:
                case.say("article-missing", entry)
        case ClosureKind.UNRESOLVED_FOLLOW_UP:
            if reply.outcome is not None and not unresolved:
                case.say("outcome-differs", entry, also=also)
            if not any(f.reply == reply.no for f in order.follow_ups):
                case.say("follow-up-missing", entry, reply.unit, also=also)
        case ClosureKind.UNSOLVABLE_EXPLAINED:
            if reply.outcome is not None and reply.outcome is not Outcome.UNSOLVABLE:
                case.say("outcome-differs", entry, also=also)
            if not filing.explained(order) and reply.policy_fit is not False:
                case.say("explanation-missing", entry, reply.unit, also=also)
        case ClosureKind.NOTED:
            _noted(case, order, event, entry)
            return
        case ClosureKind.UNREACHABLE:
            if reply.informed is not None or not filing.tried(order, case.law):
                case.say("attempts-missing", entry, reply.unit, also=also)
            return
        case ClosureKind.COMPLETED:
            visit = order.revisit
            if counts is not None:
                case.say("already-evaluated", entry, also=(counts.at.position,))
            if visit is not None and visit.over is None and not order.demand.anonymous:
                case.say("revisit-pending", entry)
        case _:
            pass
    _heard(case, order, event, entry, also)


def _heard(case: Looked, order: WorkOrder, event: filing.OrderClosed, entry: Entry, also: tuple[int, ...]) -> None:
    """Ask whether the applicant was told the result; a reporter by real name must have been, in person (S2-41)."""
    reply, episode = filing.reply_now(order), order.episode
    must = order.demand.real_name_with_evidence and order.attributes.demand_type is DemandType.REPORT
    in_person = (reply is not None and reply.informed is not None) or (
        episode is not None and episode.round == order.round and episode.informed_result is not None
    )
    known = in_person if must else filing.told(order)
    told_by_window = event.kind is ClosureKind.DEEMED_BASICALLY_SATISFIED and not must  # said where it was deemed
    if not known and not told_by_window and not filing.tried(order, case.law):
        case.say("result-not-told", entry, reply.unit if reply is not None else "", also=also)


def _noted(case: Looked, order: WorkOrder, event: filing.OrderClosed, entry: Entry) -> None:
    """Ask what a closure with a note needs (R-19)."""
    _second_person(case, order, entry, "noted_closure")
    reply, counts = filing.reply_now(order), effective(order)
    if not filing.explained(order) and (reply is None or reply.policy_fit is not False):
        case.say("explanation-missing", entry, reply.unit if reply is not None else "")
    if not event.facts_clear:
        case.say("facts-not-clear", entry)
    if counts is None or not counts.result.negative:
        case.say("not-dissatisfied", entry)


def reopened(case: Looked, order: WorkOrder, event: closing.OrderReopened, entry: Entry) -> None:
    """Ask whether the file was sealed."""
    if order.filing.sealed is not None:
        case.say("order-sealed", entry)


def archived(case: Looked, order: WorkOrder, event: filing.OrderArchived, entry: Entry) -> None:
    """Ask whether the file was complete, but for what its history is said to lack for good."""
    if set(filing.complete(order, case.law)) - set(event.gaps):
        case.say("file-incomplete", entry)


def package_sealed(case: Looked, order: WorkOrder, event: filing.ArchivePackageSealed, entry: Entry) -> None:
    """Ask whether anything was open, and for the record copy; when, is held against the clock."""
    if filing.open_duties(order):
        case.say("file-incomplete", entry)
    if order.filing.keep == "dossier" and event.dossier not in order.filing.record_copies:
        case.say("dossier-missing", entry)
    case.later.append((entry, 0))


# --- 督办, and two persons -------------------------------------------------------------------------------------------


def notice_issued(case: Looked, order: WorkOrder, event: oversight.SupervisionNoticeIssued, entry: Entry) -> None:
    """Ask for the limit, the approval and the instruction that the kind of notice needs (3.6)."""
    kind = event.kind
    if kind is NoticeKind.ONSITE:
        if event.arrive_by is None:
            case.say("limit-required", entry)
        if Participant.MEDIA in event.participants and order.confidentiality is not Confidentiality.NORMAL:
            case.say("media-not-admitted", entry)
    elif event.limit is None and kind in case.options(order).notice_limit_mandatory:
        case.say("limit-required", entry)
    if kind is NoticeKind.INSTRUCTION:
        given, no = order.oversight.instructions, event.instruction or 0
        if not has(given, no) or given[no - 1].recorded is None:
            case.say("instruction-missing", entry)
    if kind is NoticeKind.SPECIAL_REPORT_DOWN:
        drafts = [p for p in order.proposals if p.about == "special_report" and p.approved]
        if not drafts:
            case.say("not-approved", entry)


def report_approved(case: Looked, order: WorkOrder, event: oversight.SpecialReportApproved, entry: Entry) -> None:
    """Ask for two persons."""
    _second_person(case, order, entry, "special_report", event.special_report)


def _two_persons(about: str) -> Callable[[Looked, WorkOrder, Any, Entry], None]:
    def check(case: Looked, order: WorkOrder, event: Any, entry: Entry) -> None:
        _second_person(case, order, entry, about)

    return check


_AFTER_REPLY = frozenset({*guards.ANSWERED, OrderState.CLOSED, OrderState.ARCHIVED})
_HANDLED = frozenset(guards.HANDLED)
_UNDISPATCHED = frozenset(guards.UNDISPATCHED)

STATES: Final[Mapping[type[Fact], frozenset[OrderState]]] = {
    triage.NotAccepted: _UNDISPATCHED,
    triage.DirectAnswered: _UNDISPATCHED,
    triage.ThreeWayCallHeld: _UNDISPATCHED,
    triage.CallTransferred: _UNDISPATCHED,
    triage.CallerReferred: _UNDISPATCHED,
    triage.CrossRegionTransferred: _UNDISPATCHED,
    dispatch.OrderDispatched: _UNDISPATCHED,
    dispatch.DispatchRecalled: _HANDLED | set(guards.ANSWERED),
    dispatch.AssignmentTransferred: _HANDLED,
    handling.AssignmentSigned: _HANDLED | set(guards.ANSWERED),
    handling.InitialResponseSubmitted: _HANDLED,
    handling.ProgressReported: _HANDLED,
    returning.ReturnRequested: frozenset({OrderState.DISPATCHED, OrderState.WORKING}),
    extending.ExtensionRequested: _HANDLED,
    answering.ReplySubmitted: _HANDLED,
    evaluation.ReplyReviewed: frozenset(guards.ANSWERED),
    evaluation.EvaluationDeemed: frozenset(guards.ANSWERED),
    evaluation.RedoOrdered: _AFTER_REPLY,
    closing.OrderReopened: frozenset({OrderState.CLOSED, OrderState.ARCHIVED}),
    filing.OrderClosed: frozenset({*guards.OPEN, OrderState.MERGED}),
    filing.OrderArchived: frozenset(guards.ENDED),
    filing.ArchivePackageSealed: frozenset({OrderState.ARCHIVED}),
}
"""In which states each event may come; of others no state is asked."""

_FROM_NOTHING = (registration.OrderRegistered,)

CHECKS: Final[Mapping[type[Fact], Callable[[Looked, Any, Any, Entry], None]]] = {
    registration.OrderRegistered: registered,
    triage.NotAccepted: not_accepted,
    triage.DirectAnswered: direct_answered,
    linking.OrdersMerged: merged,
    dispatch.OrderDispatched: dispatched,
    dispatch.AssignmentTransferred: transferred,
    handling.AssignmentSigned: signed,
    returning.ReturnRequested: return_requested,
    returning.ReturnApproved: return_approved,
    returning.ReturnRejected: return_rejected,
    extending.ExtensionRequested: extension_requested,
    extending.ExtensionApproved: extension_approved,
    answering.ReplySubmitted: replied,
    evaluation.ReplyReviewed: reviewed,
    evaluation.ReplySubstanceJudged: substance_judged,
    evaluation.DeemedNotHandled: not_handled,
    evaluation.EvaluationRecorded: evaluated,
    evaluation.EvaluationDeemed: deemed,
    evaluation.RedoOrdered: redo_ordered,
    revisiting.RevisitSampled: _visitable,
    revisiting.RevisitScheduled: _visitable,
    revisiting.RevisitConsentRecorded: _visitable,
    revisiting.RevisitUnreachable: unreachable,
    revisiting.RevisitCompleted: visit_completed,
    filing.OrderClosed: closed,
    closing.OrderReopened: reopened,
    filing.OrderArchived: archived,
    filing.ArchivePackageSealed: package_sealed,
    oversight.SupervisionNoticeIssued: notice_issued,
    oversight.SpecialReportApproved: report_approved,
    classifying.ConfidentialityLifted: _two_persons("lift_confidentiality"),
    correcting.PersonalDataErased: _two_persons("erasure"),
    evaluation.ReasonablenessJudged: _two_persons("reasonableness"),
}
"""What is asked when each kind of event is met; of the others nothing can be broken that is still to be seen."""

_LOOKED: Final[
    Mapping[type[Fact], tuple[frozenset[OrderState] | None, Callable[[Looked, Any, Any, Entry], None] | None]]
]
_LOOKED = {kind: (STATES.get(kind), CHECKS.get(kind)) for kind in {*STATES, *CHECKS}}
