"""What stops each running clock, by its owner, in every state in which it runs (8.3).

`DUTIES` has a row for every clock that is somebody's duty: given the town, the case and the clock, it yields chains of
moves. A chain begins with what the owner may lawfully do before (sign, inform, take a return back) and ends with what
stops the clock. `stoppable` tries them, all at one instant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from domain import guards
from domain.clocks import Clock, clocks
from domain.refusals import Refusal
from domain.state import Episode, WorkOrder
from domain.steps.answering import CompleteFollowUp, CoOpinion, InformApplicant
from domain.steps.coordinating import RespondWhistle
from domain.steps.extending import DecideExtension, InformExtension
from domain.steps.handling import ArriveSite, InitialResponse, Progress, Sign, VerifySite
from domain.steps.linking import Unmerge
from domain.steps.oversight import ReplyNotice
from domain.steps.recourse import DecideAppeal, ReportInstruction
from domain.steps.returning import DecideReturn, EscalateReturn, RequestReturn, SuggestedDisposal, WithdrawReturn
from domain.terms import (
    Actor,
    ClockName,
    InformAbout,
    Medium,
    OrderState,
    RefusalReason,
    ReturnGround,
    Role,
)
from tests.given import BASIS, PROOF
from tests.properties.path import (
    AGENT,
    MANAGER,
    SUPERVISOR,
    Move,
    Way,
    able,
    complained_of,
    dispatches,
    informing,
    next_moves,
    replies,
    who,
)
from tests.properties.town import Town
from tests.properties.twists import deciding

Chain = list[Move]
Row = Callable[[Town, WorkOrder, Clock], Iterator[Chain]]


def _heir(town: Town, clock: Clock) -> str:
    """Return the unit that bears the duty now."""
    return town.law.successor(clock.unit, town.now) if clock.unit else town.law.hotline_unit


def _handler(town: Town, clock: Clock) -> Actor:
    return who(Role.ORG_HANDLER, _heir(town, clock))


def _approver(town: Town, clock: Clock) -> Actor:
    return who(Role.ORG_APPROVER, _heir(town, clock))


def _episode(order: WorkOrder, clock: Clock) -> Episode:
    return order.episodes[int(clock.key[1:].partition(".")[0]) - 1]


def _ordinal(clock: Clock) -> int:
    return int("".join(c for c in clock.key.rpartition(".")[2] if c.isdigit()))


def _first(town: Town, clock: Clock) -> Chain:
    """What a unit does before it acts, if it has to: sign for what it was given, and for what it took over (8.11)."""
    return [Move(_handler(town, clock), Sign())] * 3


# --- a row a clock -----------------------------------------------------------------------------------------------


def dispatch(town: Town, order: WorkOrder, clock: Clock) -> Iterator[Chain]:
    for move in dispatches(town, order):
        yield [move]
    yield [*dispatches(town, order)]  # first what it needs: the instruction of a leader
    yield from answer(town, order, clock)


def answer(town: Town, order: WorkOrder, clock: Clock) -> Iterator[Chain]:
    yield [*next_moves(town, order.stream, Way(by_unit=False))]


def sign(town: Town, order: WorkOrder, clock: Clock) -> Iterator[Chain]:
    yield _first(town, clock)


def transfer(town: Town, order: WorkOrder, clock: Clock) -> Iterator[Chain]:
    yield [Move(_handler(town, clock), Sign(own_handling=True))]
    yield [*_first(town, clock), Move(_handler(town, clock), Progress(report="已到现场"))]


def give_back(town: Town, order: WorkOrder, clock: Clock) -> Iterator[Chain]:
    unit = next((unit for unit in able(town, order) if unit != _heir(town, clock)), None)
    act = RequestReturn(ground=ReturnGround.NOT_OUR_DUTY, reason="无职责", basis=BASIS, suggested_unit=unit)
    yield [*_first(town, clock), Move(_approver(town, clock), act)]
    court = SuggestedDisposal(reason=RefusalReason.LITIGATION, turn_to="法院")  # nobody's duty
    act = RequestReturn(ground=ReturnGround.OUT_OF_SCOPE, reason="已起诉", basis=BASIS, suggested_disposal=court)
    yield [*_first(town, clock), Move(_approver(town, clock), act)]
    yield [*_first(town, clock), Move(_approver(town, clock), EscalateReturn(reason="无职责"))]


def review(town: Town, order: WorkOrder, clock: Clock) -> Iterator[Chain]:
    yield [Move(MANAGER, DecideReturn(return_no=_ordinal(clock), approve=False, reason="属职责"))]


def respond(town: Town, order: WorkOrder, clock: Clock) -> Iterator[Chain]:
    yield [Move(_handler(town, clock), InitialResponse(response="已派人"))]
    yield [*_first(town, clock), Move(_handler(town, clock), InitialResponse(response="已派人"))]


def progress(town: Town, order: WorkOrder, clock: Clock) -> Iterator[Chain]:
    yield [*_first(town, clock), Move(_handler(town, clock), Progress(report="施工中"))]


def reply(town: Town, order: WorkOrder, clock: Clock) -> Iterator[Chain]:
    """Sign, take a pending return back, tell the applicant, reply."""
    if order.running is None:
        return
    back = Move(_approver(town, clock), WithdrawReturn())
    told = list(informing(town, order, Way()))
    yield [*_first(town, clock), back, *told, *replies(town, order)]


def external(town: Town, order: WorkOrder, clock: Clock) -> Iterator[Chain]:
    yield from answer(town, order, clock) if order.state in guards.UNDISPATCHED else reply(town, order, clock)


def inform(town: Town, order: WorkOrder, clock: Clock) -> Iterator[Chain]:
    told = InformApplicant(about=InformAbout.ACCEPTANCE, medium=Medium.PHONE)
    yield [*_first(town, clock), Move(_handler(town, clock), told)]
    yield [Move(AGENT, told)]


def tell_merged(town: Town, order: WorkOrder, clock: Clock) -> Iterator[Chain]:
    if order.links.merge is not None:
        told = InformApplicant(about=InformAbout.RESULT, medium=Medium.PHONE, master=order.links.merge.master)
        yield [Move(AGENT, told)]
        yield [Move(MANAGER, Unmerge(master=order.links.merge.master, reason="主单没有结果"))]


def opinion(town: Town, order: WorkOrder, clock: Clock) -> Iterator[Chain]:
    yield [*_first(town, clock), Move(_handler(town, clock), CoOpinion(opinion="本单位部分已办结"))]


def decide(town: Town, order: WorkOrder, clock: Clock) -> Iterator[Chain]:
    unit = _heir(town, clock)
    for actor, act in deciding(town, order, _ordinal(clock)):
        if actor.unit == unit:
            yield [Move(actor, act)]
    for approve in (True, False):
        act = DecideExtension(extension=_ordinal(clock), approve=approve, reason="已核")
        yield [Move(Actor(user="other", role=Role.ORG_APPROVER, unit=unit), act)]
        yield [Move(who(Role.MGMT_UNIT, unit), act)]


def tell_extension(town: Town, order: WorkOrder, clock: Clock) -> Iterator[Chain]:
    act = InformExtension(extension=_ordinal(clock), medium=Medium.PHONE, progress="施工中")
    yield [*_first(town, clock), Move(_handler(town, clock), act)]


def keep(town: Town, order: WorkOrder, clock: Clock) -> Iterator[Chain]:
    act = CompleteFollowUp(follow_up=_ordinal(clock), result="已兑现", evidence=(PROOF,))
    hotline = _heir(town, clock) == town.law.hotline_unit
    yield [Move(MANAGER if hotline else _handler(town, clock), act)]


def answer_notice(town: Town, order: WorkOrder, clock: Clock) -> Iterator[Chain]:
    act = ReplyNotice(notice=int(clock.key[1:].partition(".")[0]), cause="人手", new_date=town.now.date())
    hotline = _heir(town, clock) == town.law.hotline_unit
    yield [Move(MANAGER if hotline else _approver(town, clock), act)]


def arrive(town: Town, order: WorkOrder, clock: Clock) -> Iterator[Chain]:
    yield [Move(_handler(town, clock), ArriveSite(notice=_ordinal(clock), place="现场"))]


def record_site(town: Town, order: WorkOrder, clock: Clock) -> Iterator[Chain]:
    site = VerifySite(notice=_ordinal(clock), findings="属实", responsible=(clock.unit,), division="由其负责")
    yield [Move(_handler(town, clock), site)]


def come(town: Town, order: WorkOrder, clock: Clock) -> Iterator[Chain]:
    yield [Move(_handler(town, clock), RespondWhistle(whistle=_ordinal(clock), result="已到"))]


def report_back(town: Town, order: WorkOrder, clock: Clock) -> Iterator[Chain]:
    owner = _approver(town, clock) if clock.unit else MANAGER
    yield [Move(owner, ReportInstruction(instruction=_ordinal(clock), report="已办结"))]


def decide_appeal(town: Town, order: WorkOrder, clock: Clock) -> Iterator[Chain]:
    yield [Move(SUPERVISOR, DecideAppeal(appeal=_ordinal(clock), upheld=False, words="维持"))]


DUTIES: Mapping[ClockName, Row] = {
    ClockName.DISPATCH: dispatch,
    ClockName.SIGN: sign,
    ClockName.TRANSFER: transfer,
    ClockName.RETURN: give_back,
    ClockName.RETURN_REVIEW: review,
    ClockName.INIT_RESPONSE: respond,
    ClockName.PROGRESS: progress,
    ClockName.HANDLE: reply,
    ClockName.STATUTORY: inform,
    ClockName.EXTERNAL: external,
    ClockName.CO_REPLY: opinion,
    ClockName.EXTENSION_DECISION: decide,
    ClockName.INFORM_EXTENSION: tell_extension,
    ClockName.CORRECTION: reply,
    ClockName.CITIZEN_REPLY: tell_merged,
    ClockName.FOLLOW_UP: keep,
    ClockName.SUPV_REPLY: answer_notice,
    ClockName.ARRIVE_SITE: arrive,
    ClockName.SITE_RECORD: record_site,
    ClockName.WHISTLE: come,
    ClockName.INSTRUCTION: report_back,
    ClockName.APPEAL_DECISION: decide_appeal,
}
"""A row for every duty. Windows (EVAL_WINDOW, CLOSE_AFTER, SEAL, APPEAL, REVISIT) are nobody's: they open a right."""


# --- trying them -------------------------------------------------------------------------------------------------


_IN_ITS_OWN_CAUSE = frozenset(
    {
        ClockName.SUPV_REPLY,
        ClockName.ARRIVE_SITE,
        ClockName.SITE_RECORD,
        ClockName.INSTRUCTION,
        ClockName.FOLLOW_UP,
    }
)


def owned(town: Town, order: WorkOrder, clock: Clock) -> bool:
    """Tell whether the clock's owner can do anything at all: no unit complained of can, the hotline takes it back."""
    if clock.unit and clock.name not in _IN_ITS_OWN_CAUSE and complained_of(town, order, _heir(town, clock)):
        return False
    if clock.name is ClockName.EXTERNAL:
        return order.state is not OrderState.MERGED  # CITIZEN_REPLY says what is left to do
    if clock.name is ClockName.RETURN:
        return _may_return(order, clock)
    return True


def _may_return(order: WorkOrder, clock: Clock) -> bool:
    """Tell whether the window is of the running episode, whose unit is not final (R-22)."""
    return order.state in (OrderState.DISPATCHED, OrderState.WORKING) and _episode(order, clock).ended is None


def stoppable(town: Town, stream: str, clock: Clock) -> bool:
    """Tell whether some chain of the owner's stops the clock now."""
    order = town.order(stream)
    chains = DUTIES[clock.name](town, order, clock)
    return any(_stopped(_done(town, stream, chain), stream, clock) for chain in chains)


def _done(town: Town, stream: str, chain: Chain) -> Town:
    """Return the town after a chain; what is refused on the way was not needed, or will be missed."""
    for move in chain:
        try:
            town = town.after(stream, move.actor, town.decide(stream, move.actor, move.act).steps)
        except Refusal:
            continue
    return town


def _stopped(town: Town, stream: str, clock: Clock) -> bool:
    now = [c for c in clocks(town.order(stream), town.law) if (c.name, c.key) == (clock.name, clock.key)]
    if clock.name is ClockName.RETURN and any(
        e.decided is None for x in town.order(stream).episodes for e in x.escalations
    ):
        return True  # on its way up, step by step (S0-25)
    return all(not c.running for c in now)
