"""Each indicator of 5.2 and 8.9 by small cases: what moves it, what counts and misses, and what must not touch it.

`(above, below)` are of one case alone, told as another system recorded it, under one pack. (0, 0) is no value.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from domain import institution
from domain.law import Law
from domain.steps.answering import CoOpinionSubmitted, FollowUpDone
from domain.steps.dispatch import AssignmentTransferred, CoPart, DispatchRecalled
from domain.steps.evaluation import (
    DeemedNotHandled,
    EvaluationDeemed,
    LateEvaluationRecorded,
    ReasonablenessJudged,
    ReasonablenessProposed,
    RedoOrdered,
    ReplyReviewed,
    SatisfactionExemptSet,
)
from domain.steps.extending import ExtensionRejected
from domain.steps.handling import AssignmentSigned
from domain.steps.linking import DuplicateLinked, OrdersMerged
from domain.steps.oversight import SupervisionReplySubmitted
from domain.steps.recourse import AppealDecided, AppealFiled
from domain.steps.returning import CoObjectionRaised, ReturnApproved, ReturnRejected
from domain.steps.revisiting import RevisitRefused, RevisitSampled, RevisitUnreachable
from domain.steps.triage import DirectAnswered, OrderWithdrawn
from domain.terms import (
    AppealGround,
    ClosureKind,
    Dimension,
    EvaluationSource,
    ExemptCategory,
    Limit,
    LimitUnit,
    Medium,
    NoticeKind,
    Rating,
    Reasonableness,
    RedoGround,
    Resolution,
    ReturnGround,
)
from projections import figures, past
from projections.figures import BY_CODE, Figure, Shape
from tests.given import BASIS, PROOF, at
from tests.properties.town import law_under
from tests.supervision.test_findings import (
    ACCEPTED,
    AGAIN,
    ANSWERED,
    PROMISED,
    S0,
    S1,
    S2,
    S4,
    SENT,
    SIGNED,
    THREE_TIMES,
    TOLD,
    UNRESOLVED,
    WORKED,
    Said,
    answer,
    asked_again,
    closing,
    granted,
    notice,
    rated,
    registered,
    returned,
    sent,
    tried,
    visited,
)
from tests.supervision.test_findings import history as recorded

YEAR = (at("2025-06-01 00:00"), at("2025-12-01 00:00"))
NEVER = (0, 0)
DUE, LATE = "2025-07-08 00:00", "2025-07-08 00:00:00.001"  # S0, help: 15 working days from 16 June


class Row(NamedTuple):
    """What one case comes to in one figure. `options` change those of the pack; `outage` lies over its due instant."""

    code: str
    why: str
    told: Sequence[Said]
    comes_to: tuple[int, int | None]
    pack: str = S0
    about: dict[str, Any] = {}
    options: tuple[tuple[str, Any], ...] = ()
    start: str = "2025-06-16 08:00"
    period: tuple[datetime, datetime] = YEAR
    outage: bool = False
    assumed: bool = True


def _law(row: Row) -> Law:
    law = law_under(row.pack, row.options)
    if not row.outage:
        return law
    declared = institution.OutageDeclared(
        proposal=1,
        scope=institution.OutageScope.ALL,
        from_at=at("2025-07-07 12:00"),
        until=at("2025-07-08 12:00"),
        basis=BASIS,
    )
    (entry,) = recorded([("2010-01-02 00:00", declared)])
    return institution.evolve(law, entry)


def figure(row: Row) -> Figure:
    """Return the figure that one case comes to by itself."""
    law = _law(row)
    said = registered(row.pack, **{"policy": law.policy_at(at(row.start)), **row.about})
    facts = past.facts([recorded([said, *row.told], row.start)], law, *row.period)
    tallies = figures.counted(facts, figures.Asked(*row.period, assumed=row.assumed))
    (found,) = [f for f in figures.figures([("", tallies.get("", figures.Tally()))]) if f.code == row.code]
    return found


# ── what happens ────────────────────────────────────────────────────────────────────────────────────────────────────

DIRECT: tuple[Said, ...] = (DirectAnswered(answer="可以", medium=Medium.PHONE), closing(ClosureKind.DIRECT))
WITHDREW, GONE = OrderWithdrawn(medium=Medium.PHONE), closing(ClosureKind.WITHDRAWN)
WITHDRAWN: tuple[Said, ...] = (WITHDREW, GONE)
MERGED = OrdersMerged(master=UUID(int=7))
LINKED = DuplicateLinked(original=UUID(int=7), told=Medium.PHONE)
EXEMPT = SatisfactionExemptSet(category=ExemptCategory.MEDIATION, article=BASIS)
REDO = RedoOrdered(round=2, ground=RedoGround.NOT_DONE, requirements="重做")
REDO_AGAIN = RedoOrdered(round=3, ground=RedoGround.NOT_DONE, requirements="重做")
APPROVED = ReturnApproved(return_no=1)
REJECTED = ReturnRejected(return_no=1, reason="属本单位")
SATISFIED, BY_VISIT = rated(), rated(source=EvaluationSource.REVISIT)
CLOSED = closing(ClosureKind.COMPLETED)
DEEMED = EvaluationDeemed(round=1, reply=1, rating=Rating.BASICALLY_SATISFIED, effective_at=at("2025-07-01 00:00"))
SENT_BACK = ReplyReviewed(reply=1, accepted=False, requirements="补正")
SAMPLED = RevisitSampled(round=1, seed="s", frame="sha256:" + "0" * 64, frame_size=1)
REFUSED = RevisitRefused(round=1, medium=Medium.PHONE)
AWAY = RevisitUnreachable(round=1, attempts=(at("2025-07-01 09:00"),))
WITH_CO = sent(co=(CoPart(unit="S"),))
CO_SIGNED = AssignmentSigned(assignment=2, unit="S")
OPINION = CoOpinionSubmitted(assignment=2, unit="S", opinion="已配合")
FIVE = Limit(amount=5, unit=LimitUnit.WORKING_DAYS)
NOTICE = notice(NoticeKind.WRITTEN, limit=FIVE, served_by_system=True)
LATER = LateEvaluationRecorded(
    round=1, reply=1, source=EvaluationSource.CITIZEN_SELF, ratings={Dimension.RESULT: Rating.SATISFIED}
)
LATE_VISIT = LateEvaluationRecorded(
    round=1, reply=1, source=EvaluationSource.REVISIT, ratings={Dimension.RESULT: Rating.SATISFIED}
)
UNREASONABLE: tuple[Said, ...] = (
    ReasonablenessProposed(round=1, unit="B", words="无依据", evidence=(PROOF,)),
    ReasonablenessJudged(proposal=1, finding=Reasonableness.UNREASONABLE, article=BASIS),
)
EXCLUDED = (("unreasonable_effect", ("excluded",)),)
HALF = (("partly_resolved_percent", 50),)
NAMELESS = {"anonymous": True, "applicant": None}
LATE_REPLY: tuple[Said, ...] = (*WORKED, TOLD, (LATE, answer()))


def appealed(indicator: str, *, upheld: bool = True, published: str = "2025-11-01 09:00") -> tuple[Said, ...]:
    filed = AppealFiled(
        unit="B",
        indicator=indicator,
        ground=AppealGround.OUTAGE,
        published_at=at(published),
        issuer="x",
        words="x",
    )
    return ("2025-11-02 09:00", filed), AppealDecided(appeal=1, upheld=upheld, words="x", exclusion=indicator)


def dimension(one: Dimension, rating: Rating = Rating.SATISFIED) -> Said:
    return rated(ratings={Dimension.RESULT: Rating.SATISFIED, one: rating})


# ── the table ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _at_the_desk() -> list[Row]:
    return [
        Row("I3", "answered directly", DIRECT, (1, 1)),
        Row("I3", "dispatched instead", [SENT], (0, 1)),
        Row("I3", "registered in another period", DIRECT, NEVER, start="2025-05-30 08:00"),
        Row("I4", "dispatched within a day", [SENT], (1, 1), pack=S4),
        Row("I4", "dispatched a day and a minute later", [("2025-06-17 08:11", SENT)], (0, 1), pack=S4),
        Row("I4", "withdrawn while there was time", WITHDRAWN, NEVER, pack=S4),
        Row("I4", "withdrawn when it was late: K15", [("2025-06-18 09:00", WITHDREW), GONE], (0, 1), pack=S4),
        Row("I4", "presumed by a mapping", [sent(derived=("派单时间",))], NEVER, pack=S4),
        Row("I4", "no limit in this text", [SENT], NEVER),
        Row("I5", "to the right unit", [SENT], (1, 1)),
        Row("I5", "returned for want of duty", [*WORKED, returned(), APPROVED], (0, 1)),
        Row("I5", "returned as out of scope", [*WORKED, returned(ReturnGround.OUT_OF_SCOPE), APPROVED], (1, 1)),
        Row("I5", "the return rejected", [*WORKED, returned(), REJECTED], (1, 1)),
        Row("I5", "presumed by a mapping", [sent(derived=("派单时间",))], NEVER),
        Row("I6", "signed within a day", WORKED, (1, 1), pack=S4),
        Row("I6", "signed later", [SENT, ("2025-06-17 08:21", SIGNED)], (0, 1), pack=S4),
        Row("I6", "the co-organizer's signing is its own", [WITH_CO, SIGNED, CO_SIGNED], (1, 1), pack=S4),
        Row("I6", "recalled while there was time", [SENT, DispatchRecalled(reason="误派")], NEVER, pack=S4),
        Row("I22", "linked to an earlier one", [LINKED], (1, 1)),
        Row("I22", "by itself", [SENT], (0, 1)),
        Row("I22", "registered in another period", [LINKED], NEVER, start="2025-05-30 08:00"),
        Row("I22", "merged is not repeated", [SENT, MERGED], (0, 1)),
    ]


def _in_time() -> list[Row]:
    return [
        Row("I10", "answered and told in time", ANSWERED, (1, 1)),
        Row("I10", "at the due instant", [*WORKED, TOLD, (DUE, answer())], (1, 1)),
        Row("I10", "a millisecond later", LATE_REPLY, (0, 1)),
        Row("I10", "never", WORKED, (0, 1)),
        Row("I10", "exempt from satisfaction, not from time", [*LATE_REPLY, EXEMPT], (0, 1)),
        Row("I10", "withdrawn while there was time", [*WORKED, *WITHDRAWN], NEVER),
        Row(
            "I10",
            "withdrawn when it was late: K15",
            [*WORKED, ("2025-07-09 09:00", WITHDREW), GONE],
            (0, 1),
        ),
        Row("I10", "returned while there was time", [*WORKED, returned(), APPROVED], NEVER),
        Row("I10", "follows a master that was late: K15", [*WORKED, ("2025-07-09 09:00", MERGED)], (0, 1)),
        Row("I10", "follows a master in time: R-29", [*WORKED, MERGED], NEVER),
        Row(
            "I10",
            "due in a year without a calendar",
            WORKED,
            NEVER,
            start="2031-12-20 09:00",
            period=(at("2031-01-01 00:00"), at("2033-01-01 00:00")),
        ),
        Row("I10", "given more time", [*WORKED, asked_again(), granted(), TOLD, (LATE, answer())], (1, 1)),
        Row(
            "I10",
            "an undecided extension keeps it open until the time to decide is over",
            [*WORKED, ("2025-07-07 17:00", asked_again())],
            NEVER,
            period=(YEAR[0], at("2025-07-08 12:00")),
        ),
        Row("I10", "and then it is late", [*WORKED, ("2025-07-07 17:00", asked_again())], (0, 1)),
        Row("I10", "sent back, and answered again in time", AGAIN, (1, 1)),
        Row("I10", "sent back: the first reply does not count", [*ANSWERED, SENT_BACK], (0, 1)),
        Row("I10", "late inside an outage counts", LATE_REPLY, (0, 1), outage=True),
        Row("I10", "until the supervisor upholds the appeal", [*LATE_REPLY, *appealed("I10")], NEVER, outage=True),
        Row("I10", "an appeal not upheld", [*LATE_REPLY, *appealed("I10", upheld=False)], (0, 1)),
        Row("I10", "an appeal against another figure", [*LATE_REPLY, *appealed("I9a")], (0, 1)),
        Row(
            "I10", "an appeal against an earlier month", [*LATE_REPLY, *appealed("I10", published="2025-07-01")], (0, 1)
        ),
        Row("I10", "an appeal by its name", [*LATE_REPLY, *appealed("按时办结率")], NEVER),
        Row("I10", "24:00 belongs to the month it ends", ANSWERED, (1, 1), period=(YEAR[0], at(DUE))),
        Row("I10", "under an assumed pack", ANSWERED, NEVER, about={"assumed_policy": True}, assumed=False),
        Row("I11", "late", LATE_REPLY, (1, 1)),
        Row("I11", "in time", ANSWERED, (0, 1)),
        Row("I11", "returned in time: it is over", [*WORKED, returned(), APPROVED], NEVER),
        Row(
            "I11",
            "returned too late, where the text calls it overdue",
            [
                *WORKED,
                ("2025-06-30 09:00", returned(late=True)),
                APPROVED,
            ],
            (1, 1),
            pack=S1,
        ),
        Row("I11s", "late by an hour", [*WORKED, TOLD, ("2025-07-08 01:00", answer())], (3600, 1)),
        Row("I11s", "late and not answered: nobody knows how long", WORKED, NEVER),
        Row("I11s", "in time", ANSWERED, NEVER),
        Row("I14", "passed on the next working day", [SENT, ("2025-06-17 17:00", PASSED_ON)], (1, 1)),
        Row("I14", "passed on later", [SENT, ("2025-06-18 09:00", PASSED_ON)], (0, 1)),
        Row("I14", "no such limit in this text", [SENT, PASSED_ON], NEVER, pack=S2),
        Row("I26", "an opinion in time", [WITH_CO, SIGNED, CO_SIGNED, OPINION], (1, 1)),
        Row("I26", "an opinion too late", [WITH_CO, SIGNED, CO_SIGNED, ("2025-07-08 09:00", OPINION)], (0, 1)),
        Row("I26", "no co-organizer", WORKED, NEVER),
    ]


PASSED_ON = AssignmentTransferred(assignment=1, from_unit="B", unit="S")


def _response() -> list[Row]:
    return [
        Row("I7", "reached", [*WORKED, tried("2025-06-17 10:00", reached=True)], (1, 1)),
        Row("I7", "tried three times on two days", [*WORKED, *THREE_TIMES], (1, 1)),
        Row("I7", "tried twice", [*WORKED, *THREE_TIMES[:2]], (0, 1)),
        Row("I7", "reached after the time", [*WORKED, tried("2025-07-09 10:00", reached=True)], (0, 1)),
        Row("I7", "anonymous", [*WORKED, tried("2025-06-17 10:00", reached=True)], NEVER, about=NAMELESS),
        Row("I7s", "said to have been contacted", [*ANSWERED, visited(contacted=True)], (1, 1)),
        Row("I7s", "said not to", [*ANSWERED, visited(contacted=False)], (0, 1)),
        Row("I7s", "not asked", [*ANSWERED, visited(resolution=Resolution.RESOLVED)], NEVER),
    ]


def _resolution() -> list[Row]:
    done, part, not_done = (
        [*ANSWERED, visited(resolution=r)] for r in (Resolution.RESOLVED, Resolution.PARTIAL, Resolution.UNRESOLVED)
    )
    return [
        Row("I8", "resolved", done, (1, 1)),
        Row("I8", "partly counts nothing (A-12)", part, (0, 1)),
        Row("I8", "not resolved", not_done, (0, 1)),
        Row("I8", "a visit refused", [*ANSWERED, REFUSED], NEVER),
        Row("I8", "exempt", [*done, EXEMPT], NEVER),
        Row("I8", "unreasonable, where the pack leaves it out", [*done, *UNREASONABLE], NEVER, options=EXCLUDED),
        Row("I8", "unreasonable, where it does not", [*done, *UNREASONABLE], (1, 1)),
        Row("I8", "partly counts nothing there even where a pack weighs it", part, (0, 1), options=HALF),
        Row("I8w", "resolved counts in full", done, (100, 100), options=HALF),
        Row("I8w", "partly counts what the pack says", part, (50, 100), options=HALF),
        Row("I8w", "not resolved counts nothing", not_done, (0, 100), options=HALF),
        Row("I8w", "exempt", [*part, EXEMPT], NEVER, options=HALF),
        Row("I8w", "no pack says what partly counts", part, NEVER),
        Row("I8l", "the reply says resolved", ANSWERED, (1, 1)),
        Row("I8l", "the reply says not", [*WORKED, TOLD, answer(**UNRESOLVED)], (0, 1)),
        Row("I8l", "exempt", [*ANSWERED, EXEMPT], NEVER),
        Row("I8l", "the last reply of the round counts", [*ANSWERED, SENT_BACK, TOLD, answer(**UNRESOLVED)], (0, 1)),
        Row("I8l", "answered without a result", [*WORKED, TOLD, answer(outcome=None)], NEVER),
    ]


def _satisfaction() -> list[Row]:
    told: list[Row] = []
    for code in ("I9a", "I9b"):
        told += [
            Row(code, "satisfied", [*ANSWERED, SATISFIED], (1, 1)),
            Row(code, "dissatisfied", [*ANSWERED, rated(Rating.DISSATISFIED)], (0, 1)),
            Row(code, "not rated", [*ANSWERED, rated(Rating.NOT_RATED)], NEVER),
            Row(code, "exempt", [*ANSWERED, EXEMPT, SATISFIED], NEVER),
            Row(code, "a citizen's own late rating", [*ANSWERED, LATER], NEVER),
            Row(code, "the reply sent back: void", [*ANSWERED, SATISFIED, SENT_BACK], NEVER),
            Row(code, "anonymous", [*ANSWERED, SATISFIED], NEVER, about=NAMELESS),
            Row(code, "unreasonable", [*ANSWERED, SATISFIED, *UNREASONABLE], NEVER, options=EXCLUDED),
            Row(code, "an appeal upheld", [*ANSWERED, SATISFIED, *appealed("I9b")], NEVER),
        ]
    return [
        *told,
        Row("I9a", "deemed", [*ANSWERED, DEEMED], (1, 1)),
        Row("I9b", "deemed is left out", [*ANSWERED, DEEMED], NEVER),
        Row("I9b", "a return visit in the place of the deemed one", [*ANSWERED, DEEMED, LATE_VISIT], (1, 1)),
        Row("I9r", "at a return visit", [*ANSWERED, BY_VISIT], (1, 1)),
        Row("I9r", "by the citizen alone", [*ANSWERED, SATISFIED], NEVER),
        Row("I19", "deemed", [*ANSWERED, DEEMED], (1, 1)),
        Row("I19", "deemed, then replaced by a visit: both stay", [*ANSWERED, DEEMED, LATE_VISIT], (1, 1)),
        Row("I19", "rated", [*ANSWERED, SATISFIED], (0, 1)),
        Row("I19", "nobody rated", ANSWERED, NEVER),
        *(
            row
            for code, one in zip(("I9c", "I9d", "I9e", "I9f"), list(Dimension)[1:], strict=True)
            for row in (
                Row(code, "rated well", [*ANSWERED, dimension(one)], (1, 1)),
                Row(code, "rated badly", [*ANSWERED, dimension(one, Rating.DISSATISFIED)], (0, 1)),
                Row(code, "not rated", [*ANSWERED, SATISFIED], NEVER),
                Row(code, "exempt", [*ANSWERED, EXEMPT, dimension(one)], NEVER),
            )
        ),
    ]


def _returns_and_extensions() -> list[Row]:
    by_co = CoObjectionRaised(assignment=2, unit="S", ground=ReturnGround.NOT_OUR_DUTY, reason="x", basis=BASIS)
    in_time = ("2025-06-17 09:00", returned())
    too_late = ("2025-06-30 09:00", returned(late=True))
    presumed = sent(derived=("派单时间",))
    return [
        Row("I12a", "asked for", [*WORKED, in_time], (1, 1)),
        Row("I12a", "not asked for", WORKED, (0, 1)),
        Row("I12a", "a co-organizer's objection", [WITH_CO, SIGNED, CO_SIGNED, by_co], (0, 1)),
        Row("I12a", "of a presumed dispatch", [presumed, in_time], NEVER),
        Row("I12b", "consented to", [*WORKED, in_time, APPROVED], (1, 1)),
        Row("I12b", "of a presumed dispatch", [presumed, in_time, APPROVED], NEVER),
        Row("I12b", "rejected", [*WORKED, in_time, REJECTED], (0, 1)),
        Row("I13", "rejected", [*WORKED, in_time, REJECTED], (1, 1)),
        Row("I13", "late", [*WORKED, too_late], (1, 1)),
        Row("I13", "late and rejected counts once", [*WORKED, too_late, REJECTED], (1, 1)),
        Row("I13", "in time and consented to", [*WORKED, in_time, APPROVED], (0, 1)),
        Row("I13", "none asked for", WORKED, NEVER),
        Row("I15a", "extended", [*WORKED, asked_again(), granted()], (1, 1)),
        Row("I15a", "asked for and rejected", [*WORKED, asked_again(), NOT_GRANTED], (0, 1)),
        Row("I15a", "of a presumed dispatch", [presumed, asked_again(), granted()], NEVER),
        Row("I15b", "approved", [*WORKED, asked_again(), granted()], (1, 1)),
        Row("I15b", "rejected", [*WORKED, asked_again(), NOT_GRANTED], (0, 1)),
        Row("I15b", "not decided", [*WORKED, asked_again()], (0, 1)),
        Row("I15b", "none asked for", WORKED, NEVER),
    ]


NOT_GRANTED = ExtensionRejected(extension=1, unit="D", reason="不予延期")


def _afterwards() -> list[Row]:
    closed = [*ANSWERED, ACCEPTED, CLOSED]
    kept = ("2025-09-02 00:00", FollowUpDone(follow_up=1, unit="B", result="已建成"))
    too_late = ("2025-09-02 00:00:00.001", FollowUpDone(follow_up=1, unit="B", result="已建成"))
    promise: tuple[Said, ...] = (*WORKED, TOLD, answer(**UNRESOLVED), PROMISED)
    replied = SupervisionReplySubmitted(notice=1, cause="人手不足")
    late_notice: tuple[Said, ...] = (*WORKED, ("2025-07-09 09:00", NOTICE))
    silent = answer(informing=None)
    return [
        Row("I16", "ordered again", [*closed, REDO], (1, 1)),
        Row("I16", "ordered again twice is one order", [*closed, REDO, SENT, answer(), REDO_AGAIN], (1, 1)),
        Row("I16", "closed", closed, (0, 1)),
        Row("I16", "exempt", [*closed, EXEMPT, REDO], NEVER),
        Row("I16", "withdrawn", [*WORKED, *WITHDRAWN], NEVER),
        Row("I17", "closed with its first reply", closed, (1, 1)),
        Row("I17", "sent back once, then accepted: one accepted reply", [*AGAIN, CLOSED], (1, 1)),
        Row("I17", "in the second round", [*closed, REDO, SENT, TOLD, answer(), CLOSED], (0, 1)),
        Row("I17", "merged", [*WORKED, MERGED, closing(ClosureKind.MERGED)], NEVER),
        Row("I17", "withdrawn", [*WORKED, *WITHDRAWN], NEVER),
        Row("I18a", "sampled", [*ANSWERED, SAMPLED], (1, 1)),
        Row("I18a", "not sampled", ANSWERED, (0, 1)),
        Row("I18a", "anonymous", [*ANSWERED, SAMPLED], NEVER, about=NAMELESS),
        Row("I18b", "completed", [*ANSWERED, visited()], (1, 1)),
        Row("I18b", "refused", [*ANSWERED, REFUSED], (0, 1)),
        Row("I18b", "only sampled", [*ANSWERED, SAMPLED], NEVER),
        Row("I18c", "refused", [*ANSWERED, REFUSED], (1, 1)),
        Row("I18c", "nobody there is no refusal", [*ANSWERED, AWAY], (0, 1)),
        Row("I18c", "only sampled", [*ANSWERED, SAMPLED], NEVER),
        Row("I23", "replied in time", [*late_notice, ("2025-07-16 23:59", replied)], (1, 1)),
        Row("I23", "replied too late", [*late_notice, ("2025-07-17 09:00", replied)], (0, 1)),
        Row("I23", "a reminder asks for no reply", [*WORKED, notice(NoticeKind.REMINDER)], NEVER),
        Row("I24", "deemed not handled", [*ANSWERED, NOT_HANDLED], (1, None)),
        Row("I24", "handled", ANSWERED, (0, None)),
        Row("I27", "kept on the promised day", [*promise, kept], (1, 1)),
        Row("I27", "a millisecond later", [*promise, too_late], (0, 1)),
        Row("I27", "no promise", ANSWERED, NEVER),
        Row("I28", "told", closed, (1, 1)),
        Row("I28", "closed without telling", [*WORKED, silent, CLOSED], (0, 1)),
        Row("I28", "anonymous", closed, NEVER, about=NAMELESS),
        Row("I28", "cannot be reached", [*WORKED, silent, closing(ClosureKind.UNREACHABLE)], NEVER),
        Row("I29", "accepted at first", [*ANSWERED, ACCEPTED], (1, 1)),
        Row(
            "I29",
            "sent back first",
            [*ANSWERED, SENT_BACK, TOLD, answer(), ReplyReviewed(reply=2, accepted=True)],
            (0, 1),
        ),
        Row("I29", "not reviewed", ANSWERED, NEVER),
    ]


NOT_HANDLED = DeemedNotHandled(unit="B", reply=1, streak=3)


def _lengths() -> list[Row]:
    # Dispatched at 08:10; answered, three facts on, at 08:40; closed at 08:50.
    closed = [*ANSWERED, CLOSED]
    return [
        *(Row(code, "from the dispatch to the reply", closed, (1800, 1)) for code in ("I25", "I25m")),
        *(Row(code, "answered directly: nobody handled it", DIRECT, NEVER) for code in ("I25", "I25m")),
        *(
            Row(code, "from a presumed dispatch", [sent(derived=("派单时间",)), SIGNED, TOLD, answer(), CLOSED], NEVER)
            for code in ("I25", "I25m")
        ),
        *(Row(code, "from registration to the end", closed, (3000, 1)) for code in ("I25a", "I25b")),
        *(Row(code, "still open", ANSWERED, NEVER) for code in ("I25a", "I25b")),
        *(Row(code, "withdrawn", [*WORKED, *WITHDRAWN], NEVER) for code in ("I25a", "I25b")),
    ]


TABLE = [
    *_at_the_desk(),
    *_in_time(),
    *_response(),
    *_resolution(),
    *_satisfaction(),
    *_returns_and_extensions(),
    *_afterwards(),
    *_lengths(),
]


@pytest.mark.parametrize("row", TABLE, ids=[f"{row.code}: {row.why}" for row in TABLE])
def test_a_case_comes_to_what_the_text_says_in_one_figure(row: Row):
    found = figure(row)
    assert (found.above, found.below) == row.comes_to
    assert (found.value is None) is not bool(row.comes_to[1])


def test_every_indicator_has_a_case_that_moves_it_and_one_that_must_not():
    moved = {row.code for row in TABLE if row.comes_to[0]}
    still = {row.code for row in TABLE if not row.comes_to[0]}
    nothing = {row.code for row in TABLE if row.comes_to == NEVER}
    assert moved == still == set(BY_CODE)
    assert nothing == {code for code, one in BY_CODE.items() if one.shape is not Shape.NUMBER}
