"""问题清单. What is wrong with one case, by its own pack: duties done late, rules broken, and what a person must judge.

`findings(entries, law, now)` derives all of it from the events and the law, and nothing of it is stored: a correction,
a calendar or an outage that changes a due instant changes what is found. Each finding has a name of its own in its case
(`late-handle:e1`, `reply-missing:v7`), which stays the same however often it is found, so that what the unit states
about it can be attached to it as an event (`FindingStated`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from domain.clocks import Clock, Why, clocks
from domain.duties import title_of
from domain.explanation import article_of
from domain.law import Law, Publication
from domain.order import fold
from domain.policy import Pack, Rules, ref
from domain.refusals import Refusal
from domain.state import Episode, FindingStatement, Return, WorkOrder, effective
from domain.steps.dispatch import OrderDispatched
from domain.steps.evaluation import EvaluationDeemed, EvaluationRecorded, ReplyReviewed
from domain.steps.extending import ExtensionApproved, ExtensionRequested
from domain.steps.filing import ArchivePackageSealed, explained
from domain.steps.recourse import StateFinding
from domain.steps.registration import OrderRegistered, SecretStubRegistered
from domain.stored import tag
from domain.terms import Citation, ClockName, Entry, EvaluationSource, Fact, Mark, PolicyRef, UnitId, Word
from projections.indicators import counted_at
from supervision.catalogue import KINDS, LATE, OVERDUE_ITEM, Family, Kind, Severity, rule_of
from supervision.checks import Looked


class Exemption(Word):
    """标记. What must be said beside a finding; none of them takes it away."""

    RUNNING = "running", "至今未完成"
    PROVISIONAL = "provisional", "到期暂定(日历未公布)"
    DURING_OUTAGE = "during_outage", "系统中断期间到期"
    CANCELLED = "cancelled", "取消前已超期"
    DERIVED = "derived", "起算为推定(来源未载)"
    BACKFILLED = "backfilled", "补录"
    IMPORTED = "imported", "导入的历史"
    ASSUMED = "assumed", "假定适用的规则, 不公布"
    APPEAL_UPHELD = "appeal_upheld", "考核申诉成立"


class Evidence(msgspec.Struct, frozen=True):
    """证据. An event by which the finding can be seen: its version in the case, its position in the ledger."""

    version: int
    position: int


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """问题. Something wrong with a case. `at` is the instant it counts at: a due instant, or when a rule was broken."""

    id: str  # in its case: code and key
    order: UUID
    number: str
    code: str
    title: str
    family: Family
    severity: Severity
    unit: UnitId  # whose it is; empty: the hotline centre's
    at: datetime
    rule: Citation
    pack: str
    clock: ClockName | None = None
    key: str = ""
    due: datetime | None = None
    done: datetime | None = None  # None: not yet, or nothing that is done late
    late_seconds: int | None = None
    evidence: tuple[Evidence, ...] = ()
    marks: tuple[Exemption, ...] = ()
    text: str = ""
    text_en: str = ""
    statements: tuple[FindingStatement, ...] = ()

    @property
    def counts_at(self) -> datetime:
        """The instant that a period is asked about: as indicators count a due instant, so that both name one month."""
        return self.at if self.due is None else counted_at(self.at)


def findings(
    entries: Sequence[Entry], law: Law, now: datetime, *, assumed: PolicyRef | None = None
) -> tuple[Finding, ...]:
    """Return what is wrong with one case as seen at `now`, in the order of the instants it counts at; pure.

    `assumed` names a pack of the law that the case is judged under in the place of its own (`law_assuming`, 8.15).
    """
    history = [_under(entry, assumed) for entry in entries] if assumed is not None else entries
    looked = Looked(law)
    order = fold(history, looked)
    if order is None:
        return ()
    found = clocks(order, law)
    case = _Case(order, law, entries, found)
    made = [
        *(_late(case, clock, now) for clock in found if clock.breached(now)),
        *(case.broke(b.code, b.entry, b.unit, b.also, state=b.about) for b in looked.broke),
        *(_against_clocks(case, looked.later) if looked.later else ()),
        *_to_be_judged(case),
    ]
    return tuple(sorted(made, key=lambda finding: (finding.at, finding.id))) if made else ()


def law_assuming(law: Law, pack: Pack) -> tuple[Law, PolicyRef]:
    """Return the law with a pack that binds nobody, and its reference: to judge history outside its validity (8.15)."""
    name = ref(pack)
    held = law.policies.with_publication(Publication(ref=name, pack=pack, first=None, last=None, assumed=True), None)
    return msgspec.structs.replace(law, policies=held), name


def _under(entry: Entry, policy: PolicyRef) -> Entry:
    """Return an entry as it would stand had its case been bound to another pack."""
    event: Fact = entry.event
    match event:
        case OrderRegistered():
            changed: Fact = msgspec.structs.replace(event, policy=policy, assumed_policy=True)
        case SecretStubRegistered():
            changed = msgspec.structs.replace(event, policy=policy)
        case OrderDispatched() if event.policy is not None:
            changed = msgspec.structs.replace(event, policy=None)
        case _:
            return entry
    return msgspec.structs.replace(entry, event=changed)


class UnknownFinding(Refusal):
    """本单位没有此项问题，请按问题清单所列编号填写。Nothing of that name was found about your unit: name it as the list does."""

    field = "finding"


def refuse_unfound(command: StateFinding, unit: UnitId, entries: Sequence[Entry], law: Law, now: datetime) -> None:
    """Refuse what a unit states about what nobody found, or found of another unit. Raises UnknownFinding.

    The domain cannot know what an audit finds; so every door asks here before it hands such a command on.
    """
    named = (one.unit for one in findings(entries, law, now) if one.id == command.finding)
    if not any(unit and law.successor(whose, now) == unit for whose in named):
        raise UnknownFinding(command.finding)


# --- putting a finding together ---------------------------------------------------------------------------------------


class _Case:
    """One order with what every finding about it says alike."""

    __slots__ = ("clocks", "entries", "law", "order", "rules", "versions")

    def __init__(self, order: WorkOrder, law: Law, entries: Sequence[Entry], found: Sequence[Clock]) -> None:
        self.order = order
        self.law = law
        self.entries = entries
        self.clocks = found
        self.rules: Rules = law.rules(order.policy)
        self.versions: Mapping[int, int] | None = None

    def clock(self, name: ClockName, key: str) -> Clock | None:
        """Return one of its clocks."""
        return next((c for c in self.clocks if c.name is name and c.key == key), None)

    def evidence(self, positions: Iterable[int]) -> tuple[Evidence, ...]:
        """Return the events at these positions, in their order."""
        if self.versions is None:
            self.versions = {entry.position: entry.version for entry in self.entries}
        return tuple(Evidence(self.versions[p], p) for p in sorted(set(positions)) if p in self.versions)

    def marks(self, unit: UnitId) -> list[Exemption]:
        """Return what must be said beside every finding of the case."""
        order = self.order
        said = [Exemption.ASSUMED] if order.assumed_policy else []
        said += [Exemption.IMPORTED] if order.imported else []
        said += [Exemption.BACKFILLED] if order.backfilled else []
        if any(a.upheld and a.unit == unit for a in order.oversight.appeals):
            said.append(Exemption.APPEAL_UPHELD)
        return said

    def made(
        self,
        kind: Kind,
        key: str,
        unit: UnitId,
        at: datetime,
        positions: Iterable[int],
        *,
        done: datetime | None = None,
        text: tuple[str, str] | None = None,
    ) -> Finding:
        """Return a finding about this case, that of no clock."""
        name = f"{kind.code}:{key}"
        text_zh, text_en = text or (kind.says_zh, kind.says_en)
        return Finding(
            id=name,
            order=self.order.id,
            number=self.order.number,
            code=kind.code,
            title=kind.zh,
            family=kind.family,
            severity=kind.severity,
            unit="" if unit == self.law.hotline_unit else unit,
            at=at,
            rule=rule_of(kind, self.rules),
            pack=self.rules.pack.id,
            done=done,
            evidence=self.evidence(positions),
            marks=tuple(self.marks(unit)),
            text=text_zh,
            text_en=text_en,
            statements=tuple(s for s in self.order.oversight.statements if s.finding == name),
        )

    def broke(
        self, code: str, entry: Entry, unit: UnitId = "", also: tuple[int, ...] = (), *, state: object = None
    ) -> Finding:
        """Return the finding that an event broke a rule."""
        kind, event = KINDS[code], type(entry.event)
        what = {"what": title_of(event), "tag": tag(event)}
        if isinstance(state, Word):
            what |= {"state": state.zh, "state_en": str(state)}
        text = kind.says_zh.format(**what), kind.says_en.format(**what)
        return self.made(kind, f"v{entry.version}", unit, entry.at, (entry.position, *also), done=entry.at, text=text)


# --- clocks -----------------------------------------------------------------------------------------------------------


def _late(case: _Case, clock: Clock, now: datetime) -> Finding:
    """Return the finding that a duty was done late, or is late and not done."""
    assert clock.due is not None
    overdue_item = clock.name is ClockName.RETURN and clock.rules.options.late_return == "overdue_item"
    kind = OVERDUE_ITEM if overdue_item else LATE[clock.name]
    end = clock.stop or clock.cancel
    late = clock.late_by(now) or timedelta()
    marks = case.marks(clock.unit)
    marks += [Exemption.RUNNING] if end is None else []
    marks += [Exemption.CANCELLED] if clock.cancel is not None and clock.stop is None else []
    marks += [Exemption.PROVISIONAL] if clock.provisional else []
    marks += [Exemption.DURING_OUTAGE] if clock.during_outage else []
    if _derived(case.order, clock):
        marks.append(Exemption.DERIVED)
    positions = (clock.start.position, *(m.at.position for m in clock.moves), *((end.position,) if end else ()))
    made = case.made(kind, clock.key, clock.unit, clock.due, positions, done=None if end is None else end.at)
    return msgspec.structs.replace(
        made,
        clock=clock.name,
        key=clock.key,
        due=clock.due,
        late_seconds=max(1, round(late.total_seconds())),
        marks=tuple(marks),
        rule=made.rule if overdue_item else article_of(clock),
        pack=clock.rules.pack.id,
    )


def _derived(order: WorkOrder, clock: Clock) -> bool:
    """Tell whether a clock counts from a dispatch, or by a class, that a mapping set because the source lacks it."""
    if any("attributes" in field for field in order.demand.derived):
        return True
    return any(e.derived and e.begun == clock.start for e in order.episodes)


def _due_then(clock: Clock, position: int) -> datetime | None:
    """Return when a clock fell due as it stood before an event: what moved it since is left out."""
    return next((m.before for m in clock.moves if m.at.position >= position), clock.due)


def _against_clocks(case: _Case, later: Sequence[tuple[Entry, int]]) -> Iterator[Finding]:
    """Yield the rules that an event broke by the time at which it came."""
    for entry, about in later:
        match entry.event:
            case ExtensionRequested() | ExtensionApproved():
                yield from _extension(case, entry, about)
            case EvaluationDeemed():
                window = case.clock(ClockName.EVAL_WINDOW, f"r{about}")
                due = None if window is None else _without_outages(window)
                if due is not None and entry.at <= due:
                    yield case.broke("window-open", entry)
            case EvaluationRecorded():
                window = case.clock(ClockName.EVAL_WINDOW, f"r{about}")
                if window is not None and window.due is not None and entry.at > window.due:
                    yield case.broke("evaluated-late", entry)
            case ReplyReviewed():
                for name in (ClockName.EVAL_WINDOW, ClockName.CLOSE_AFTER):
                    window = case.clock(name, f"r{about}")
                    if window is not None and window.due is not None and entry.at > window.due:
                        yield case.broke("review-window-over", entry)
                        break
            case ArchivePackageSealed():
                seal = next((c for c in case.clocks if c.name is ClockName.SEAL), None)
                if seal is not None and seal.due is not None and entry.at <= seal.due:
                    yield case.broke("not-yet-due", entry)
            case _:
                raise AssertionError(type(entry.event))


def _without_outages(window: Clock) -> datetime | None:
    """Return the end of a window but for outages: one declared afterwards makes nobody's act too early."""
    return next((m.before for m in window.moves if m.why is Why.OUTAGE), window.due)


def _extension(case: _Case, entry: Entry, no: int) -> Iterator[Finding]:
    """Yield what is wrong with when an extension was asked for or granted, and with how far it reaches."""
    episode = next((e for e in reversed(case.order.episodes) if e.begun.position <= entry.position), None)
    handle = case.clock(ClockName.HANDLE, f"e{episode.no}") if episode is not None else None
    if episode is None or handle is None or handle.due is None:
        return
    unit = entry.event.unit
    due, options = _due_then(handle, entry.position), case.rules.options
    asked = next((x for x in episode.extensions if x.no == no), None)
    granted = isinstance(entry.event, ExtensionApproved)
    alone = granted and (asked is None or asked.requested.position == entry.position)  # its request is not on record
    if (not granted or alone or options.extension_decision == "before_due") and due is not None and entry.at > due:
        yield case.broke("extension-after-due", entry, unit, (handle.start.position,))
    move = next((m for m in handle.moves if m.at.position == entry.position and m.why is Why.EXTENSION), None)
    if granted and move is not None and options.extension_cap is not None:
        calendar = case.law.calendar(entry.at)
        if move.after > calendar.due(handle.start.at, options.extension_cap, case.rules.kernel).at:
            yield case.broke("extension-over-cap", entry, unit, (handle.start.position,))


# --- what no clock shows ----------------------------------------------------------------------------------------------

_AN_HOUR: Final = timedelta(hours=1)


def _to_be_judged(case: _Case) -> Iterator[Finding]:
    """Yield what a person has to look at: no rule is broken by it alone."""
    order, options = case.order, case.rules.options
    returns: list[Return] = []
    for episode in order.episodes:
        if len(episode.contacts) > 1:
            yield from _attempts(case, episode)
        if episode.extensions:
            approved = [x for x in episode.extensions if x.approved]
            for x in approved[max(0, options.extension_alert_from - 1) :]:
                yield _seen(case, "extended-again", x.decided, x.unit, f"e{episode.no}.x{x.no}")
        if episode.returns:
            returns += [r for r in episode.returns if r.approved and not r.co and r.decided is not None]
    if len(returns) >= options.circulating:
        key = f"b{options.circulating}"
        last = returns[options.circulating - 1]
        yield _seen(case, "circulating", last.decided, "", key, [r.decided.position for r in returns if r.decided])
    if order.replies:
        yield from _replies(case)


def _seen(case: _Case, code: str, mark: Mark | None, unit: UnitId, key: str, also: Sequence[int] = ()) -> Finding:
    assert mark is not None
    return case.made(KINDS[code], key, unit, mark.at, (mark.position, *also))


def _attempts(case: _Case, episode: Episode) -> Iterator[Finding]:
    """Yield that whoever tried to reach the applicant tried within one hour only, and let it rest at that."""
    missed = [c for c in episode.contacts if not c.reached]
    over = episode.ended is not None or any(r.episode == episode.no for r in case.order.replies)
    if len(missed) < 2 or not over or any(c.reached for c in episode.contacts) or episode.informed_result is not None:
        return
    times = [c.at.at for c in missed]
    if max(times) - min(times) < _AN_HOUR:
        also = [c.at.position for c in missed]
        yield _seen(case, "attempts-in-one-hour", missed[-1].at, missed[-1].unit, f"e{episode.no}", also)


def _replies(case: _Case) -> Iterator[Finding]:
    order, options, quality = case.order, case.rules.options, case.order.quality
    if options.streak is not None:
        for before, reply in zip(order.replies, order.replies[1:], strict=False):
            if before.unit == reply.unit and not reply.substance:
                also = (before.submitted.position,)
                yield _seen(case, "reply-unjudged", reply.submitted, reply.unit, f"r{reply.no}", also)
        if quality.streak >= options.streak and quality.not_handled is None:
            reply = order.replies[-1]
            yield _seen(case, "not-handled-unsaid", reply.submitted, "", f"r{reply.no}")
    closed, counts = order.filing.closed, effective(order)
    if closed is not None and counts is not None and counts.result.negative and not explained(order):
        unit = order.replies[-1].unit
        yield _seen(case, "dissatisfied-unexplained", closed, unit, f"d{order.round}", (counts.at.position,))
    deemed = next(
        (e for e in quality.evaluations if e.source is EvaluationSource.DEEMED and e.round == order.round), None
    )
    for said in quality.evaluations if deemed is not None else ():
        if said.round == order.round and said.late and said.result.negative:
            also = (deemed.at.position,) if deemed is not None else ()
            yield _seen(case, "dissatisfied-after-deeming", said.at, "", f"d{order.round}.{said.no}", also)
