"""The indicators of DOMAIN 5.2 and 8.9 counted by hand from raw events: slow, obvious, and nothing of the program's own.

Each case is walked event by event into plain records; working days come from the library chinesecalendar; limits are the
tables of DOMAIN 2.3 to 2.8, typed in again. Only event classes are shared with what is tested.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from types import SimpleNamespace as Record
from typing import Any

import chinese_calendar

from domain.terms import SHANGHAI, Entry

Counted = dict[tuple[str, str], tuple[int, int | None]]

ALWAYS = {"I3", "I7", "I8", "I9a", "I10", "I11", "I16", "I17", "I18a", "I18c", "I22", "I23", "I25", "I26", "I27", "I29"}
"""What happens in every simulated city."""


# --- days --------------------------------------------------------------------------------------------------------


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=SHANGHAI)


def start_day(at: datetime) -> date:
    return at.astimezone(SHANGHAI).date()


def add(at: datetime, amount: int, unit: str) -> datetime:
    """The end of a limit: the day of the start is not counted, the last one ends at 24:00 (K2, K3, K4)."""
    if unit == "h":
        return at + timedelta(hours=amount)
    day = start_day(at)
    while amount:
        day += timedelta(days=1)
        if unit == "ND" or chinese_calendar.is_workday(day):
            amount -= 1
    return midnight(day + timedelta(days=1))


def extended(due: datetime, days: int, unit: str) -> datetime:
    """More time counts from the old due day (R-11)."""
    last_day = start_day(due - timedelta(milliseconds=1))
    return add(midnight(last_day), days, unit)


def working_day_before(due: datetime) -> datetime:
    """24:00 of the working day before the due day (A-08)."""
    day = start_day(due - timedelta(milliseconds=1)) - timedelta(days=1)
    while not chinese_calendar.is_workday(day):
        day -= timedelta(days=1)
    return midnight(day + timedelta(days=1))


# --- limits ------------------------------------------------------------------------------------------------------


def urgent(case: Record) -> bool:
    return case.attributes.urgency == "livelihood"


def handle_limit(case: Record, policy: str) -> tuple[int, str]:
    kind = case.attributes.demand_type
    if policy == "S0":
        return (5 if kind == "consult" else 15), "WD"
    if policy == "S1":
        return {"consult": 3, "help": 7, "suggestion": 7}.get(kind, 15), "WD"
    if policy == "S2":
        return 7, "WD"
    if urgent(case):
        return 24, "h"
    return (15 if case.attributes.complexity == "complex" else 7), "ND"


def dispatch_limit(case: Record, policy: str) -> tuple[int, str] | None:
    return ((2 if urgent(case) else 24), "h") if policy == "S4" else None


def sign_limit(case: Record, policy: str) -> timedelta | tuple[int, str] | None:
    if policy == "S1":
        return 1, "WD"
    if policy == "S4":
        return timedelta(minutes=30) if urgent(case) else timedelta(hours=24)
    return None


# --- one case, event by event ------------------------------------------------------------------------------------


def cases(entries: Iterable[Entry], policy: str) -> list[Record]:
    """Every case as its own events tell it, corrections applied to what they correct."""
    by_stream: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.stream.startswith(("order:", "matter:")):
            by_stream.setdefault(entry.stream, []).append(entry)
    return [
        walked(own, policy) if stream.startswith("order:") else asked_of_unit(own) for stream, own in by_stream.items()
    ]


def asked_of_unit(entries: list[Entry]) -> Record:
    """A matter that is no order: the notices to a unit in it, one for each time that a reply was asked for."""
    asked: list[Record] = []
    for entry in entries:
        event, at = entry.event, entry.at
        match type(event).__name__:
            case "UnitNoticeIssued" | "UnitNoticeRejected":
                unit = getattr(event, "unit", None) or asked[-1].unit
                served = at if event.served_by_system else None
                asked.append(Record(unit=unit, limit=event.limit, served=served, replied=None, over=None))
            case "UnitNoticeServed":
                asked[-1].served = at
            case "UnitNoticeReplied":
                asked[-1].served, asked[-1].replied = asked[-1].served or at, at
            case "UnitNoticeClosed" | "UnitNoticeWithdrawn" | "UnitNoticeEscalated":
                asked[-1].over = at
            case _:
                pass
    notices = dict(enumerate(asked))
    nothing = Record(demand_type="")
    return Record(order=False, notices=notices, promises=[], appeals=[], attributes=nothing, district="")


def walked(entries: list[Entry], policy: str) -> Record:
    case = Record(
        order=True,
        policy=policy,
        stream=entries[0].stream,
        round=1,
        episodes=[],
        replies=[],
        evaluations=[],
        visits={},
        closures=[],
        waits=[],
        notices={},
        promises=[],
        redo=[],
        appeals=[],
        not_handled=[],
        exempt=False,
        duplicate=False,
        merged=None,
        told_merged=False,
        closed=None,
        anonymous=False,
    )
    moved: dict[int, datetime] = {}
    places: dict[str, str] = {}
    for entry in entries:
        event: Any = entry.event
        if type(event).__name__ == "CorrectionRecorded":
            if event.field == "at":
                moved[event.version] = datetime.fromisoformat(event.new).astimezone(SHANGHAI)
            elif event.version == 1:
                places[event.field] = event.new
    for entry in entries:
        step = globals().get(f"on_{type(entry.event).__name__}")
        if step is not None:
            step(case, entry.event, moved.get(entry.version, entry.at))
    case.district = places.get("district", case.district)
    return case


def on_OrderRegistered(case: Record, event: Any, at: datetime) -> None:  # noqa: N802  an event's own name
    case.registered, case.attributes, case.district = at, event.attributes, event.district
    case.anonymous = event.anonymous
    wait(case, at)


def wait(case: Record, at: datetime) -> None:
    case.waits.append(Record(since=at, stop=None, cancel=None))


def waited(case: Record, at: datetime, *, cancelled: bool = False) -> None:
    for one in case.waits:
        if one.stop is None and one.cancel is None:
            one.cancel, one.stop = (at, None) if cancelled else (None, at)


def now(case: Record) -> Record | None:
    return case.episodes[-1] if case.episodes and case.episodes[-1].ended is None else None


def end(case: Record, at: datetime, how: str) -> None:
    episode = now(case)
    if episode is not None:
        episode.ended, episode.how = at, how
        for one in episode.held:
            one.ended = one.ended or at


def on_DirectAnswered(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    waited(case, at)


def on_NotAccepted(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    waited(case, at)


def on_DuplicateLinked(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    case.duplicate = True


def on_OrdersMerged(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    case.merged = at
    waited(case, at)
    end(case, at, "merged")


def on_OrderDispatched(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    waited(case, at)
    lead = held(event.lead, "lead", at)
    beside = [held(part.unit, "co", at) for part in event.co]
    episode = Record(
        begun=at, to=event.lead, lead=event.lead, round=case.round, held=[lead, *beside], returns=[], extensions=[],
        replies=[], contacts=[], informed=None, ended=None, how="", first_signed=None, passed=None, initial=None,
        limit=event.limits.get("handle"),
    )  # fmt: skip
    case.episodes.append(episode)


def held(unit: str, role: str, at: datetime) -> Record:
    return Record(unit=unit, role=role, given=at, signed=None, ended=None, passed=False, opinion=None)


def on_AssignmentTransferred(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    episode = case.episodes[-1]
    old = episode.held[event.assignment - 1]
    old.ended, old.passed = at, True
    episode.held.append(held(event.unit, old.role, at))
    if old.role == "lead":
        episode.lead, episode.passed = event.unit, episode.passed or at


def on_AssignmentSigned(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    episode = case.episodes[-1]
    one = episode.held[event.assignment - 1]
    one.signed, one.implied = at, event.implied
    if one.role == "lead":
        episode.first_signed = episode.first_signed or at
        if event.own_handling:
            episode.passed = episode.passed or at


def on_CoOpinionSubmitted(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    case.episodes[-1].held[event.assignment - 1].opinion = at


def on_ReturnRequested(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    episode = case.episodes[-1]
    episode.returns.append(Record(at=at, unit=event.unit, ground=event.ground, approved=False, rejected=False))
    episode.passed = episode.passed or at


def on_ReturnApproved(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    case.episodes[-1].returns[event.return_no - 1].approved = True
    end(case, at, "returned")
    wait(case, at)


def on_ReturnRejected(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    case.episodes[-1].returns[event.return_no - 1].rejected = True


def on_ExtensionRequested(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    case.episodes[-1].extensions.append(Record(at=at, unit=event.unit, days=None, decided=None, dead=False))


def on_ExtensionApproved(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    one = case.episodes[-1].extensions[event.extension - 1]
    one.decided, one.days = at, event.days


def on_ExtensionRejected(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    case.episodes[-1].extensions[event.extension - 1].decided = at


def on_ApplicantContacted(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    if now(case) is not None:
        case.episodes[-1].contacts.append((at, event.reached))


def on_ApplicantInformed(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    if event.master is not None:
        case.told_merged = case.told_merged or event.reached
        return
    if event.about == "result" and event.reached and case.episodes:
        case.episodes[-1].informed = case.episodes[-1].informed or at


def on_ReplySubmitted(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    episode = case.episodes[-1]
    for one in episode.extensions:
        one.dead = one.dead or one.decided is None
    told = episode.informed is not None or event.informing is not None
    reply = Record(
        at=at, unit=event.unit, round=case.round, episode=episode, outcome=event.outcome, accepted=None, reviewed=None,
        counts=told, told=episode.informed is not None,
    )  # fmt: skip
    case.replies.append(reply)
    episode.replies.append(reply)


def on_ReplyReviewed(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    reply = case.replies[event.reply - 1]
    reply.accepted, reply.reviewed = event.accepted, at
    if not event.accepted:
        for one in case.evaluations:
            one.void = one.void or one.reply == event.reply


def on_FollowUpCommitted(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    case.promises.append(Record(unit=event.unit, by=event.implement_by, done=None))


def on_FollowUpDone(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    case.promises[event.follow_up - 1].done = at


def visit(case: Record, number: int) -> Record:
    fresh = Record(round=number, sampled=False, refused=None, unreachable=None, completed=None, answers=None)
    return case.visits.setdefault(number, fresh)


def on_RevisitSampled(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    visit(case, event.round).sampled = True


def on_RevisitRefused(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    visit(case, event.round).refused = at


def on_RevisitUnreachable(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    visit(case, event.round).unreachable = at


def on_RevisitCompleted(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    one = visit(case, event.round)
    one.completed, one.answers = at, event


def on_EvaluationRecorded(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    rated(case, event, at, late=False)


def on_LateEvaluationRecorded(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    rated(case, event, at, late=True)


def rated(case: Record, event: Any, at: datetime, *, late: bool) -> None:
    result = {str(k): str(v) for k, v in event.ratings.items()}
    case.evaluations.append(
        Record(
            round=event.round, reply=event.reply, source=str(event.source), ratings=result, at=at, late=late, void=False
        )
    )


def on_EvaluationDeemed(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    case.evaluations.append(
        Record(
            round=event.round,
            reply=event.reply,
            source="deemed",
            ratings={"result": str(event.rating)},
            at=event.effective_at.astimezone(SHANGHAI),
            late=False,
            void=False,
        )
    )


def on_DeemedNotHandled(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    case.not_handled.append((at, event.unit))


def on_SatisfactionExemptSet(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    case.exempt = True


def on_RedoOrdered(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    case.redo.append((at, led(case)))
    end(case, at, "redo")
    case.round, case.closed = event.round, None
    case.redo_limit = event.limit
    wait(case, at)


def on_OrderClosed(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    if event.accepts_reply and case.replies and case.replies[-1].accepted is None:
        case.replies[-1].accepted, case.replies[-1].reviewed = True, at
    closed(case, event.effective_at or at, str(event.kind))


def on_OrderWithdrawn(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    closed(case, at, "withdrawn")


def closed(case: Record, at: datetime, kind: str) -> None:
    unit = led(case)
    waited(case, at, cancelled=True)
    end(case, at, "withdrawn" if kind == "withdrawn" else "closed")
    case.closed = (at, kind, unit)
    case.closures.append((at, kind, unit))


def led(case: Record) -> str:
    return case.episodes[-1].lead if case.episodes else ""


def on_SupervisionNoticeIssued(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    served = at if event.served_by_system else None
    number = len(case.notices) + 1
    case.notices[number] = Record(unit=event.unit, limit=event.limit, served=served, replied=None, over=None)


def on_SupervisionClosed(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    case.notices[event.notice].over = case.notices[event.notice].over or at


def on_SupervisionReplySubmitted(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    case.notices[event.notice].replied = at


on_SupervisionNoticeWithdrawn = on_SupervisionClosed  # noqa: N816  an event's own name
on_SupervisionEscalated = on_SupervisionClosed  # noqa: N816  the same


def on_AppealFiled(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    case.appeals.append(Record(unit=event.unit, about=event.indicator, published=event.published_at, upheld=False))


def on_AppealDecided(case: Record, event: Any, at: datetime) -> None:  # noqa: N802
    case.appeals[event.appeal - 1].upheld = event.upheld


# --- clocks by hand ----------------------------------------------------------------------------------------------


def due_of(case: Record, episode: Record) -> datetime:
    limit = episode.limit
    amount, unit = handle_limit(case, case.policy)
    if limit is not None:
        unit = {"hours": "h", "working_days": "WD", "natural_days": "ND"}[str(limit.unit)]
        amount = limit.amount
    due = add(episode.begun, amount, unit)
    for one in episode.extensions:
        if one.days is not None:
            due = extended(due, one.days, "ND" if case.policy == "S4" else "WD")
    return due


def answered(case: Record, episode: Record) -> datetime | None:
    for reply in episode.replies:
        if reply.accepted is False:
            continue
        if case.policy == "S2":
            return reply.at
        if reply.counts:
            return max(reply.at, episode.informed) if reply.told else reply.at
        if episode.informed is not None:
            return max(reply.at, episode.informed)
    return None


def until_end(stop: datetime | None, over: datetime | None) -> tuple[datetime | None, datetime | None]:
    if stop is not None and over is not None:
        return (stop, None) if stop <= over else (None, over)
    return stop, over


def stays(due: datetime, cancel: datetime | None) -> bool:
    return cancel is None or cancel > due


# --- counting ----------------------------------------------------------------------------------------------------


class Sums:
    """Above and below of every indicator by part; what each order and unit puts in."""

    def __init__(self, since: datetime, until: datetime, by: str) -> None:
        self.since, self.until, self.by = since, until, by
        self.above: dict[tuple[str, str], int] = {}
        self.below: dict[tuple[str, str], int] = {}
        self.orders: dict[tuple[str, str], set[str]] = {}
        self.long: dict[tuple[str, str], list[int]] = {}

    def part(self, case: Record, unit: str) -> str:
        return {"unit": unit, "type": str(case.attributes.demand_type), "area": case.district, "": ""}[self.by]

    def inside(self, at: datetime) -> bool:
        return self.since <= at < self.until

    def due_inside(self, due: datetime) -> bool:
        return self.since < due <= self.until  # 24:00 belongs to the day it ends

    def lost(self, case: Record, code: str, unit: str, at: datetime) -> bool:
        number = "".join(c for c in code[1:] if c.isdigit())
        about = [a for a in case.appeals if a.upheld and a.unit == unit and at < a.published]
        return any("".join(c for c in a.about[1:] if c.isdigit()) == number for a in about)

    def put(self, case: Record, code: str, unit: str, at: datetime, *, hit: bool | None, below: bool = True) -> None:
        if self.lost(case, code, unit, at):
            return
        key = (self.part(case, unit), code)
        if hit:
            self.above[key] = self.above.get(key, 0) + 1
        if below:
            self.below[key] = self.below.get(key, 0) + 1

    def sum(self, case: Record, code: str, unit: str, at: datetime, seconds: int) -> None:
        if not self.lost(case, code, unit, at):
            self.long.setdefault((self.part(case, unit), code), []).append(seconds)


def count(found: Iterable[Record], since: datetime, until: datetime, by: str) -> Counted:
    """Every indicator of a period: {(part, code): (above, below)}."""
    sums = Sums(since, until, by)
    for case in found:
        if not case.order:
            supervising(case, sums)
            continue
        registration(case, sums)
        for number, episode in enumerate(case.episodes):
            if case.merged is None:
                dispatching(case, episode, sums)
            by_limits(case, episode, number, sums)
        waiting(case, sums)
        replying(case, sums)
        if not case.anonymous:
            visiting(case, sums)
            rating(case, sums)
        supervising(case, sums)
        ending(case, sums)
    keys = sums.above.keys() | sums.below.keys()
    counted: Counted = {key: (sums.above.get(key, 0), sums.below.get(key, 0)) for key in keys}
    for (part, code), orders in sums.orders.items():
        if code == "I16":
            counted[part, code] = (len(sums.orders.get((part, "redo"), ())), len(orders))
    for (part, code), seconds in sums.long.items():
        counted |= lengths(part, code, sorted(seconds))
    for key, (above, _) in list(counted.items()):
        if key[1] == "I24":
            counted[key] = (above, None)
    return counted


def lengths(part: str, code: str, seconds: list[int]) -> Counted:
    count = len(seconds)
    found: Counted = {(part, code): (sum(seconds), count)}
    middle = {"I25": "I25m", "I25a": "I25b"}.get(code)
    if middle is not None:
        one, two = seconds[(count - 1) // 2], seconds[count // 2]
        found[part, middle] = (one, 1) if one == two else (one + two, 2)
    return found


def registration(case: Record, sums: Sums) -> None:
    if sums.inside(case.registered):
        direct = any(kind == "direct" for _, kind, _ in case.closures)
        sums.put(case, "I3", "", case.registered, hit=direct)
        sums.put(case, "I22", "", case.registered, hit=case.duplicate)


def dispatching(case: Record, episode: Record, sums: Sums) -> None:
    if sums.inside(episode.begun):
        wrong = any(r.approved and r.ground in ("not_our_duty", "ruled_elsewhere") for r in episode.returns)
        granted = any(x.days is not None for x in episode.extensions)
        for code, hit in (
            ("I5", not wrong),
            ("I12a", bool(episode.returns)),
            ("I12b", any(r.approved for r in episode.returns)),
            ("I15a", granted),
        ):
            sums.put(case, code, episode.to, episode.begun, hit=hit)
    ends = return_due(case, episode)
    for one in episode.returns:
        if sums.inside(one.at):
            late = ends is not None and one.at > ends
            sums.put(case, "I13", one.unit, one.at, hit=one.rejected or late)
    for one in episode.extensions:
        if sums.inside(one.at):
            sums.put(case, "I15b", one.unit, one.at, hit=one.days is not None)


def return_due(case: Record, episode: Record) -> datetime | None:
    if case.policy == "S0":
        return add(episode.begun, 2, "WD")
    if case.policy == "S1" and episode.first_signed is not None:
        return add(episode.first_signed, 2, "WD")
    return None


def by_limits(case: Record, episode: Record, number: int, sums: Sums) -> None:
    signing(case, episode, sums)
    due = due_of(case, episode)
    stop, cancel = until_end(answered(case, episode), episode.ended)
    if episode.how == "closed" and stop is None and answered(case, episode) is not None:
        stop, cancel = answered(case, episode), None
    open_still = stop is None and cancel is None
    pending = [x for x in episode.extensions if x.decided is None and not x.dead]
    if pending and open_still:
        decide = timedelta(hours=1) if case.policy == "S4" and urgent(case) else None
        asked = pending[-1].at
        over = max(due, asked + decide if decide else add(asked, 1, "WD"))
        handled = stays(due, cancel) and sums.due_inside(due) and over < sums.until
    else:
        handled = stays(due, cancel) and sums.due_inside(due)
    late_return = overdue_item(case, episode)
    if handled:
        good = stop is not None and stop <= due
        sums.put(case, "I10", episode.lead, due, hit=good)
        sums.put(case, "I11", episode.lead, due, hit=not good or late_return is not None)
        if stop is not None and not good:
            sums.sum(case, "I11s", episode.lead, due, int((stop - due).total_seconds()))
        if not case.anonymous:
            sums.put(case, "I7", episode.lead, due, hit=responded(case, episode, due))
    elif late_return is not None and not stays(due, cancel) and sums.due_inside(late_return[0]):
        sums.put(case, "I11", late_return[1], late_return[0], hit=True)
    helping(case, episode, due, sums)
    if case.policy == "S0":
        passing_on(case, episode, sums)
    assert number >= 0


def overdue_item(case: Record, episode: Record) -> tuple[datetime, str] | None:
    """Under S1 a return asked for too late makes the order overdue (S1-20)."""
    ends = return_due(case, episode) if case.policy == "S1" else None
    if ends is None or not episode.returns or episode.returns[0].at <= ends:
        return None
    return ends, episode.returns[0].unit


def responded(case: Record, episode: Record, until: datetime) -> bool:
    if episode.informed is not None and episode.informed <= until:
        return True
    tried = [at for at, _ in episode.contacts if at <= until]
    if any(reached and at <= until for at, reached in episode.contacts):
        return True
    for reply in episode.replies:
        told = max(reply.at, episode.informed) if reply.told else reply.at
        at = reply.at if case.policy == "S2" else told if reply.counts else None
        if at is not None and at <= until:
            return True
    return len(tried) >= 3 and len({start_day(at) for at in tried}) >= 2


def signing(case: Record, episode: Record, sums: Sums) -> None:
    limit = sign_limit(case, case.policy)
    for one in episode.held:
        if limit is None or one.role != "lead":
            continue
        due = one.given + limit if isinstance(limit, timedelta) else add(one.given, *limit)
        over = one.ended or episode.ended
        stop, cancel = until_end(
            one.signed or (over if one.passed else None), None if one.passed and one.signed is None else over
        )
        if stays(due, cancel) and sums.due_inside(due):
            sums.put(case, "I6", one.unit, due, hit=stop is not None and stop <= due)


def helping(case: Record, episode: Record, lead_due: datetime, sums: Sums) -> None:
    first_due = lead_due
    if any(x.days is not None for x in episode.extensions):
        plain = Record(**{**vars(episode), "extensions": []})
        first_due = due_of(case, plain)
    for one in episode.held:
        if one.role != "co":
            continue
        if case.policy == "S4" and urgent(case):
            due = episode.begun + (first_due - episode.begun) / 2
        else:
            due = working_day_before(first_due)
        if due <= one.given:
            due = max(first_due, one.given)
        stop, cancel = until_end(one.opinion, one.ended or episode.ended)
        if stays(due, cancel) and sums.due_inside(due):
            sums.put(case, "I26", one.unit, due, hit=stop is not None and stop <= due)


def passing_on(case: Record, episode: Record, sums: Sums) -> None:
    due = add(episode.begun, 1, "WD")
    over = min([at for at in (episode.ended, *(r.at for r in episode.replies)) if at is not None], default=None)
    stop, cancel = (episode.passed, None) if episode.passed is not None else (None, over)
    if stays(due, cancel) and sums.due_inside(due):
        sums.put(case, "I14", episode.to, due, hit=stop is not None and stop <= due)


def waiting(case: Record, sums: Sums) -> None:
    limit = dispatch_limit(case, case.policy)
    for one in case.waits if limit is not None else ():
        due = add(one.since, *limit)  # type: ignore[misc]
        if stays(due, one.cancel) and sums.due_inside(due):
            sums.put(case, "I4", "", due, hit=one.stop is not None and one.stop <= due)


def replying(case: Record, sums: Sums) -> None:
    for number in sorted({reply.round for reply in case.replies}):
        own = [reply for reply in case.replies if reply.round == number]
        first, last = own[0], own[-1]
        if first.reviewed is not None and sums.inside(first.reviewed):
            sums.put(case, "I29", first.unit, first.reviewed, hit=first.accepted)
        if not sums.inside(last.at):
            continue
        if last.outcome is not None and not case.exempt:
            sums.put(case, "I8l", last.unit, last.at, hit=last.outcome == "resolved")
        if not case.anonymous:
            sampled = number in case.visits and case.visits[number].sampled
            sums.put(case, "I18a", last.unit, last.at, hit=sampled)


def unit_of_round(case: Record, number: int) -> str:
    replied = [reply.unit for reply in case.replies if reply.round == number]
    leads = [episode.lead for episode in case.episodes if episode.round == number]
    return (replied or leads or [""])[-1]


def visiting(case: Record, sums: Sums) -> None:
    for number, one in case.visits.items():
        over = one.completed or one.refused or one.unreachable
        if over is None or not sums.inside(over):
            continue
        unit = unit_of_round(case, number)
        sums.put(case, "I18b", unit, over, hit=one.completed is not None)
        sums.put(case, "I18c", unit, over, hit=one.completed is None and one.refused is not None)
        if one.answers is not None and one.answers.resolution is not None and not case.exempt:
            sums.put(case, "I8", unit, over, hit=one.answers.resolution == "resolved")
        if one.answers is not None and one.answers.contacted is not None:
            sums.put(case, "I7s", unit, over, hit=one.answers.contacted)


SOURCES = ("revisit", "citizen_self", "organizer_solicited", "deemed")
GOOD = ("very_satisfied", "satisfied", "basically_satisfied")
BESIDE = {"I9c": "content", "I9d": "attitude", "I9e": "timeliness", "I9f": "hotline_service"}


def rated_unit(case: Record, evaluation: Record) -> str:
    if evaluation.reply:
        return case.replies[evaluation.reply - 1].unit
    return unit_of_round(case, evaluation.round)  # visited after the due day, before any reply


def rating(case: Record, sums: Sums) -> None:
    for number in sorted({e.round for e in case.evaluations}):
        own = [e for e in case.evaluations if e.round == number and not e.void]
        for e in own:
            if e.source == "deemed" and sums.inside(e.at):
                sums.put(case, "I19", rated_unit(case, e), e.at, hit=True, below=False)
        counting = [
            e
            for e in own
            if (not e.late or e.source == "revisit") and e.ratings.get("result", "not_rated") != "not_rated"
        ]
        if not counting:
            continue
        best = min(counting, key=lambda e: SOURCES.index(e.source))
        unit, good = rated_unit(case, best), best.ratings["result"] in GOOD
        if not sums.inside(best.at):
            continue
        sums.put(case, "I19", unit, best.at, hit=False)
        if case.exempt:
            continue
        sums.put(case, "I9a", unit, best.at, hit=good)
        if best.source != "deemed":
            sums.put(case, "I9b", unit, best.at, hit=good)
        if best.source == "revisit":
            sums.put(case, "I9r", unit, best.at, hit=good)
        for code, dimension in BESIDE.items():
            if best.ratings.get(dimension, "not_rated") != "not_rated":
                sums.put(case, code, unit, best.at, hit=best.ratings[dimension] in GOOD)


def supervising(case: Record, sums: Sums) -> None:
    for notice in case.notices.values():
        if notice.limit is None or notice.served is None:
            continue
        unit = {"hours": "h", "working_days": "WD", "natural_days": "ND"}[str(notice.limit.unit)]
        due = add(notice.served, notice.limit.amount, unit)
        stop, cancel = until_end(notice.replied, notice.over)
        if stays(due, cancel) and sums.due_inside(due):
            sums.put(case, "I23", notice.unit, due, hit=stop is not None and stop <= due)
    for promise in case.promises:
        due = midnight(promise.by + timedelta(days=1))
        if sums.inside(midnight(promise.by)):
            sums.put(case, "I27", promise.unit, due, hit=promise.done is not None and promise.done <= due)


def ending(case: Record, sums: Sums) -> None:
    for at, unit in case.not_handled:
        if sums.inside(at):
            sums.put(case, "I24", unit, at, hit=True)
    for at, unit in case.redo:
        done_again(case, sums, at, unit, again=True)
    for at, kind, unit in case.closures:
        if kind not in ("merged", "withdrawn", "not_accepted"):
            done_again(case, sums, at, unit, again=False)
    if case.closed is None or not sums.inside(case.closed[0]):
        return
    at, kind, unit = case.closed
    if not case.anonymous and kind not in ("unreachable", "withdrawn"):
        told = kind in ("direct", "transferred") or any(e.informed is not None for e in case.episodes)
        sums.put(case, "I28", unit, at, hit=told or case.told_merged or (kind == "merged" and case.duplicate))
    if kind in ("merged", "withdrawn", "not_accepted"):
        return
    good = [reply for reply in case.replies if reply.accepted is not False]
    sums.put(case, "I17", unit, at, hit=case.round == 1 and len(good) == 1)
    sums.sum(case, "I25a", unit, at, int((at - case.registered).total_seconds()))
    stops = [(answered(case, e), e) for e in case.episodes]
    done = [(stop, e.begun) for stop, e in stops if stop is not None and stop <= at and until_end(stop, e.ended)[0]]
    if done:
        stop, begun = max(done)
        sums.sum(case, "I25", unit, at, int((stop - begun).total_seconds()))


def done_again(case: Record, sums: Sums, at: datetime, unit: str, *, again: bool) -> None:
    if sums.inside(at) and not case.exempt and not sums.lost(case, "I16", unit, at):
        part = sums.part(case, unit)
        sums.orders.setdefault((part, "I16"), set()).add(case.stream)
        if again:
            sums.orders.setdefault((part, "redo"), set()).add(case.stream)
