"""政策. Dated versions of a city's rules as data: limits, classes, options, consequences, each with its citation.

A pack is read from TOML (`load_pack`), completed by its parents (`complete`), and published into the ledger with its
whole content. `Rules` is the pack made ready for use: limits by class and clock, options by name. Nothing here reads
a file: text goes in, structs come out, and what does not hold together is refused with its place (`PolicyError`).
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from functools import cache, lru_cache
from itertools import pairwise, product
from typing import Any, Final, Literal, NamedTuple, TypeVar, cast, get_type_hints

import msgspec

from domain.calendar import DEFAULT, Kernel
from domain.terms import (
    Attributes,
    Citation,
    ClockName,
    ClosureKind,
    DemandType,
    Limit,
    LimitUnit,
    NoticeKind,
    PolicyDomain,
    PolicyRef,
    Reading,
    RefusalReason,
    Scale,
    Start,
    Stop,
    Struct,
    Urgency,
)
from domain.terms import Complexity as ComplexityOf


class LimitSource(StrEnum):
    """Where a clock's figure comes from."""

    FIGURE = "figure"  # the rule text states it, by class
    REQUIRED = "required"  # no figure in the text: the dispatch must bring it
    WRITTEN = "written"  # written on the instrument itself: notice, promise, whistle, instruction
    RELATIVE = "relative"  # derived from another due: the lead's, the merged child's own
    MEASURED = "measured"  # the text gives no figure: the time is measured, nothing falls due


class When(Struct, frozen=True):
    """A predicate over the attributes of a demand: every stated line must hold; an empty one holds always."""

    urgency: tuple[Urgency, ...] = ()
    complexity: tuple[ComplexityOf, ...] = ()
    scale: tuple[Scale, ...] = ()
    demand_type: tuple[DemandType, ...] = ()
    domain: tuple[PolicyDomain, ...] = ()
    tags: tuple[str, ...] = ()  # any of them

    def holds(self, a: Attributes) -> bool:
        """Tell whether a demand with attributes `a` is meant."""
        return (
            (not self.urgency or a.urgency in self.urgency)
            and (not self.complexity or a.complexity in self.complexity)
            and (not self.scale or a.scale in self.scale)
            and (not self.demand_type or a.demand_type in self.demand_type)
            and (not self.domain or a.domain in self.domain)
            and (not self.tags or any(tag in self.tags for tag in a.tags))
        )


class ClassRule(Struct, frozen=True):
    """类别. One class of a pack; the first rule that holds names the class."""

    name: str
    title: str  # 中文
    basis: Citation
    when: When = When()
    by_the_clock: bool = False  # an hour class: treat it by the hour


class ClockRule(Struct, frozen=True):
    """时限规则. One clock of a pack, in the words of `terms`."""

    name: ClockName
    title: str
    starts: Start
    stops: Stop
    basis: Citation
    source: LimitSource = LimitSource.FIGURE
    limit: dict[str, Limit] = {}  # by class; `@hours` = every by-the-clock class; `*` = every other
    peak: dict[str, Limit] = {}  # by class, for orders registered inside a declared peak
    tolerance: Limit | None = None  # of `immediately`
    bases: dict[str, Citation] = {}  # the words one figure rests on, by class or `class@peak`; else `basis`
    classes: tuple[str, ...] = ()  # the only classes it runs for; empty: all
    optional: tuple[str, ...] = ()  # classes that need no figure: without a written limit the time is measured
    extendable: bool = False
    hotline: bool = False  # the hotline centre's own duty


class Does(StrEnum):
    """What a consequence does."""

    REMIND = "remind"  # 催办
    SUPERVISE = "supervise"  # 系统督办
    WRITTEN_NOTICE = "written_notice"  # 书面督办
    CIRCULAR = "circular"  # 通报
    DEEM = "deem"  # 视为基本满意
    DEEM_NOT_HANDLED = "deem_not_handled"  # 视为未按规定办理
    OVERDUE_ITEM = "overdue_item"  # 超期办理件
    CLOSE = "close"  # 自动办结
    FILE = "file"  # 自动归档
    REFER = "refer"  # 移送问责
    MEASURE = "measure"  # only measured


class Consequence(Struct, frozen=True):
    """后果. What the rule text attaches to a clock, to any clock (None), or to a finding (`hit`)."""

    does: Does
    basis: Citation
    clock: ClockName | None = None
    on: Literal["due", "breach", "hit", "expiry", "ignored"] = "breach"
    classes: tuple[str, ...] = ()


class RetentionRule(Struct, frozen=True):
    """归档范围与保管期限. How a closed case is kept (8.13); the first rule that holds decides."""

    keep: Literal["dossier", "register_line", "not_filed"]
    period: Literal["Y", "D30", "D10", ""]  # 永久, 30年, 10年
    basis: Citation
    closure: tuple[str, ...] = ()  # closure kinds meant; empty: all
    instruction: bool = False  # only cases with a leadership instruction


class Option(Struct, frozen=True):
    """选项. A decision left open by the rule texts (R-nn, A-nn), taken, with its ground."""

    name: str
    value: Any
    basis: Citation


class Guard(Struct, frozen=True):
    """约束. A refusal that this rule text itself demands, with the words it rests on."""

    refusal: str  # code in kebab-case
    basis: Citation


class Without(Struct, frozen=True):
    """不适用. A clock this rule text leaves out on purpose: no parent fills it in."""

    clock: ClockName
    basis: Citation


class Acceptance(Struct, frozen=True):
    """不予受理目录. A ground of non-acceptance that this rule text lists."""

    reason: RefusalReason
    basis: Citation


class Options(Struct, frozen=True):
    """Every option a pack may set, with the default that holds where it is silent (DOMAIN 2.10, 8)."""

    # K7, K8, K12, K14
    roll_natural_days: bool = False
    day_end: str = "24:00"
    day_mode: Literal["day_end", "rolling"] = "day_end"
    bind_policy_at: Literal["registration", "dispatch"] = "registration"
    # dispatch
    peak_basis: Literal["registration", "any_overlap"] = "registration"
    peak_classes: tuple[str, ...] = ()  # classes that a peak lengthens
    lead_from: int = 2  # as many departments need a lead
    territorial_to_district: bool = False  # S4-10: the district's government is target enough
    instruction_for_hot_issues: bool = False  # S2-22
    first_accepting_leads: bool = True
    co_lead_days: int = 1  # A-08, working days before the lead's due
    co_lead_share: int = 50  # A-08, per cent of the lead's limit in hour classes
    accused_may_handle: bool = True  # 8.14, ordinary complaints
    accused_may_judge: bool = False
    # returning
    return_needs_signature: bool = False
    return_needs_suggestion: bool = False  # S1-19
    return_scope: Literal["per_episode_chain", "per_order"] = "per_episode_chain"
    late_return: Literal["consent", "overdue_item", "measured"] = "measured"
    return_from_dispatched: bool = False
    ruled_final: bool = True
    # extending
    extension: Literal["parent_unit", "hotline_manager", "own_approver", "none"] = "none"
    extension_unit: Literal["working_days", "natural_days"] = "working_days"
    extension_decision: Literal["may_follow_due", "before_due"] = "may_follow_due"  # R-13, T48
    extension_cap: Limit | None = None  # in total from the start
    extension_max_days: int | None = None  # one extension at most
    extension_max_count: int | None = None
    extension_alert_from: int = 2
    extension_needs_legal_basis: bool = False  # S4-T12
    extension_tells_hotline: bool = False
    # replying
    handle_stop: Literal["reply_and_informed", "reply_to_hotline"] = "reply_and_informed"
    reply_optional: bool = False  # S2-25: a transfer may ask for no reply
    reply_review: Literal["none", "sample", "all"] = "sample"  # 8.3
    reply_two_persons: bool = False  # 8.10 requireTwo
    attempts: int = 3
    attempt_days: int = 2  # A-05, on so many days, at different hours
    sent_back_due: Literal["original", "correction"] = "original"  # 8.9
    streak: int | None = None
    redo_needs_limit: bool = False  # S2-30
    max_total: Limit | None = None  # S2-T4: a limit written on a dispatch is no longer than this
    # evaluating
    deem: bool = False  # S1-33
    deem_requires_informed: bool = True
    close_after: bool = False
    solicit: bool = False  # S1-30: the organizer asks for an evaluation
    revisit_consent: bool = True  # S4-41
    revisit_refusal_final: bool = True  # S4-42
    revisit_opens: Literal["handle_due", "reply"] = "reply"
    revisit_sampling: Literal["all", "sample"] = "sample"
    revisit_questions: tuple[str, ...] = ()  # S1-31
    headline: Literal["ledger", "revisit"] = "ledger"  # 8.9
    noted_exempt: bool = False  # 8.9
    redo_revisit: bool = True  # S1-36
    # emergencies
    emergency_recipients: tuple[str, ...] = ()  # 8.14: who must have been told before closure
    emergency_classes: tuple[str, ...] = ()
    emergency_handover_closes: bool = True  # 8.14
    progress_reminder: Limit | None = None
    # supervision
    notice_reply: dict[str, Limit] = {}  # A-09, by notice kind; `system@hours` for hour classes
    notice_reply_required: tuple[ClockName, ...] = (ClockName.HANDLE, ClockName.PROGRESS, ClockName.SUPV_REPLY)
    notice_limit_mandatory: tuple[str, ...] = ("written", "special", "onsite", "special_report_down", "instruction")
    oversight_reply: dict[str, Limit] = {}  # 8.14, by matter kind; `kind@difficult` for difficult ones
    remind_before: tuple[str, ...] = ("3 working_days", "1 working_days", "due day 09:00")  # 8.14
    remind_from: int = 7  # days: limits at least as long are reminded by `remind_before`, others by A-10
    ladder: tuple[str, ...] = ("reminder", "system", "written", "special", "circular")
    repeated: int = 3
    repeated_within_days: int = 30
    circulating: int = 2
    # service quality
    service_ratings_per_call: int = 1
    valid_complaints_per_10000: int | None = None  # S4-39
    connect_rate_percent: int | None = None  # S1-3
    # statistics and filing
    assessment_period: Literal["month", "quarter", "year"] = "month"  # 8.14
    unreasonable_effect: tuple[str, ...] = ("noted_closure", "standing_reply")  # 8.11
    hang_account: bool = False  # 8.14 挂账
    small_cell: int = 5
    backfill_hours: int = 24
    auto_file: bool = False  # S1-33


OPTION_NAMES = frozenset(Options.__struct_fields__)


class Pack(Struct, frozen=True):
    """政策包. One version of a city's rules, complete and citable; the ledger stores it whole."""

    id: str
    version: str
    title: str
    display_name: str
    basis: tuple[Citation, ...]
    effective_from: date | None = None  # None: the source does not say; the city states it (8.14)
    effective_until: date | None = None  # the last day it holds
    overlay: bool = False  # applies beside every city's pack to what its classes name
    base: bool = False  # only fills the gaps of others; no order is ever bound to it
    parents: tuple[str, ...] = ()  # packs whose content filled the gaps
    classes: tuple[ClassRule, ...] = ()
    clocks: tuple[ClockRule, ...] = ()
    without: tuple[Without, ...] = ()
    options: tuple[Option, ...] = ()
    guards: tuple[Guard, ...] = ()
    consequences: tuple[Consequence, ...] = ()
    refusals: tuple[Acceptance, ...] = ()
    retention: tuple[RetentionRule, ...] = ()
    domains: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # what a reader of the pack must know: gaps, doubts, provenance


def digest(pack: Pack) -> str:
    """Return the digest that names this content: `sha256:` and hex, over its canonical JSON."""
    return "sha256:" + hashlib.sha256(msgspec.json.encode(pack, order="deterministic")).hexdigest()


def ref(pack: Pack) -> PolicyRef:
    """Return the reference that orders carry."""
    return PolicyRef(pack=pack.id, digest=digest(pack))


class PolicyError(ValueError):
    """政策文件不合格。The policy file does not load."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where
        self.what = what


Plan = Mapping[ClockName, tuple[ClockRule, Limit | None]]
"""The clocks of one class, each with its figure; None where the figure comes from elsewhere or there is none."""


class Rules:
    """A pack made ready for use. Immutable to callers; made once a digest by `rules`."""

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        self.ref = ref(pack)
        self.options = options_of(pack)
        self.bases: Mapping[str, Citation] = {o.name: o.basis for o in pack.options}
        self.guards: Mapping[str, Citation] = {g.refusal: g.basis for g in pack.guards}
        self.refusals: Mapping[RefusalReason, Citation] = {r.reason: r.basis for r in pack.refusals}
        self.kernel = kernel_of(self.options)
        self.clocks: Mapping[ClockName, ClockRule] = {c.name: c for c in pack.clocks}
        self.classes: Mapping[str, ClassRule] = {c.name: c for c in pack.classes}
        self._class_of: dict[Attributes, ClassRule] = {}
        self._plans: dict[str, Plan] = {}
        self._limits: dict[tuple[ClockName, str, bool], Limit | None] = {}

    def class_of(self, attributes: Attributes) -> ClassRule | None:
        """Return the first class whose predicate holds; None where an overlay does not apply."""
        found = self._class_of.get(attributes)
        if found is None:
            found = next((c for c in self.pack.classes if c.when.holds(attributes)), None)
            if found is None:
                return None
            if len(self._class_of) > 10_000:  # tags are free: bound what an unusual city could make us remember
                self._class_of.clear()
            self._class_of[attributes] = found
        return found

    def limit(self, clock: ClockName, of_class: ClassRule, *, peak: bool = False) -> Limit | None:
        """Return the figure of `clock` for a class: its own, else `@hours` of an hour class, else `*`."""
        key = (clock, of_class.name, peak)
        try:
            return self._limits[key]
        except KeyError:
            pass
        rule = self.clocks.get(clock)
        found: Limit | None = None
        if rule is not None and (not rule.classes or of_class.name in rule.classes):
            tables = (rule.peak, rule.limit) if peak else (rule.limit,)
            found = next((f for t in tables if (f := _figure(t, of_class)) is not None), None)
            if found is not None and rule.tolerance is not None and found.amount == 0 and found.until is None:
                found = rule.tolerance  # immediately, within the tolerance that makes it measurable
        self._limits[key] = found
        return found

    def plan(self, of_class: ClassRule) -> Plan:
        """Return every clock that runs for a class, with its figure outside a peak; the same object each time."""
        found = self._plans.get(of_class.name)
        if found is None:
            names = (name for name in self.clocks if self.runs(name, of_class) is not None)
            found = {name: (self.clocks[name], self.limit(name, of_class)) for name in names}
            self._plans[of_class.name] = found
        return found

    def runs(self, clock: ClockName, of_class: ClassRule) -> ClockRule | None:
        """Return the rule of `clock` if this pack has it for this class."""
        rule = self.clocks.get(clock)
        if rule is None or (rule.classes and of_class.name not in rule.classes):
            return None
        return rule

    def basis(self, clock: ClockName, of_class: ClassRule, *, peak: bool = False) -> Citation | None:
        """Return the words that the figure of `clock` for a class rests on, else those of the clock."""
        rule = self.runs(clock, of_class)
        if rule is None:
            return None
        keys = _keys(of_class)
        names = (*(f"{k}@peak" for k in keys), *keys) if peak else keys
        return next((rule.bases[n] for n in names if n in rule.bases), rule.basis)

    def needs_limit(self, of_class: ClassRule) -> bool:
        """Tell whether a dispatch must bring the handling limit of a class because no text gives one (R-09)."""
        rule = self.runs(ClockName.HANDLE, of_class)
        return rule is not None and rule.source is LimitSource.REQUIRED and of_class.name not in rule.optional


def _keys(of_class: ClassRule) -> tuple[str, ...]:
    """Return the keys under which a table may hold a figure for a class, the most particular first."""
    return (of_class.name, "@hours", "*") if of_class.by_the_clock else (of_class.name, "*")


def _figure(table: Mapping[str, Limit], of_class: ClassRule) -> Limit | None:
    return next((table[key] for key in _keys(of_class) if key in table), None)


def options_of(pack: Pack) -> Options:
    """Return the pack's options, defaults where it is silent. Raises PolicyError on an unknown name or value."""
    try:
        return msgspec.convert({o.name: o.value for o in pack.options}, Options)
    except msgspec.ValidationError as error:
        raise PolicyError(pack.id, f"option: {error}") from error


def kernel_of(options: Options) -> Kernel:
    """Return how the calendar is to count for these options."""
    closing = None
    if options.day_end != "24:00":
        closing = datetime.strptime(options.day_end, "%H:%M").time()  # noqa: DTZ007  a time of day, not an instant
    kernel = Kernel(roll_natural_days=options.roll_natural_days, day_end=closing, mode=options.day_mode)
    return DEFAULT if kernel == DEFAULT else kernel  # the calendar is quickest with the very object it knows


@lru_cache(maxsize=256)
def _rules(content: bytes) -> Rules:
    return Rules(msgspec.json.decode(content, type=Pack))


def rules(pack: Pack) -> Rules:
    """Return the pack ready for use, the same object for the same content."""
    return _rules(msgspec.json.encode(pack, order="deterministic"))


# --- which words go together -------------------------------------------------------------------------------------


class Words(NamedTuple):
    """What a clock may start and stop with, and where its figure may come from."""

    starts: frozenset[Start]
    stops: frozenset[Stop]
    sources: frozenset[LimitSource]


def _words(starts: Iterable[Start], stops: Iterable[Stop], *sources: LimitSource) -> Words:
    return Words(frozenset(starts), frozenset(stops), frozenset(sources))


_STATED = (LimitSource.FIGURE, LimitSource.MEASURED)
_ANSWERED = (Start.REPLY_AND_INFORMED, Start.REPLY_ACCEPTED)

CLOCK_WORDS: Final[Mapping[ClockName, Words]] = {
    ClockName.DISPATCH: _words({Start.REGISTRATION}, {Stop.DISPATCHED}, *_STATED),
    ClockName.SIGN: _words({Start.ASSIGNMENT, Start.DISPATCH}, {Stop.SIGNED}, *_STATED),
    ClockName.TRANSFER: _words({Start.DISPATCH}, {Stop.TRANSFERRED}, *_STATED),
    ClockName.RETURN: _words({Start.DISPATCH, Start.FIRST_SIGNATURE}, {Stop.RETURNED}, *_STATED),
    ClockName.RETURN_REVIEW: _words({Start.RETURN_REQUESTED}, {Stop.RETURN_DECIDED}, *_STATED),
    ClockName.INIT_RESPONSE: _words({Start.DISPATCH}, {Stop.INITIAL_RESPONSE}, *_STATED),
    ClockName.PROGRESS: _words({Start.DISPATCH}, {Stop.PROGRESS}, *_STATED),
    ClockName.HANDLE: _words(
        {Start.DISPATCH}, {Stop.REPLY_AND_INFORMED, Stop.REPLY_TO_HOTLINE}, LimitSource.REQUIRED, *_STATED
    ),
    ClockName.STATUTORY: _words({Start.DISPATCH}, {Stop.INFORMED, Stop.REPLY_AND_INFORMED}, *_STATED),
    ClockName.EXTERNAL: _words({Start.REGISTRATION}, {Stop.FIRST_REPLY}, LimitSource.WRITTEN),
    ClockName.CO_REPLY: _words({Start.CO_ADDED}, {Stop.CO_OPINION}, LimitSource.RELATIVE, *_STATED),
    ClockName.EXTENSION_DECISION: _words({Start.EXTENSION_REQUESTED}, {Stop.EXTENSION_DECIDED}, *_STATED),
    ClockName.INFORM_EXTENSION: _words({Start.EXTENSION_APPROVED}, {Stop.EXTENSION_INFORMED}, *_STATED),
    ClockName.CORRECTION: _words({Start.REPLY_SENT_BACK}, {Stop.CORRECTED}, *_STATED),
    ClockName.EVAL_WINDOW: _words(_ANSWERED, {Stop.EVALUATED}, *_STATED),
    ClockName.CLOSE_AFTER: _words(_ANSWERED, {Stop.CLOSED}, *_STATED),
    ClockName.REVISIT: _words({Start.HANDLE_DUE, *_ANSWERED}, {Stop.REVISITED}, *_STATED),
    ClockName.CITIZEN_REPLY: _words({Start.MERGED}, {Stop.CITIZEN_TOLD}, LimitSource.RELATIVE, *_STATED),
    ClockName.FOLLOW_UP: _words({Start.PROMISE}, {Stop.KEPT}, LimitSource.WRITTEN),
    ClockName.SUPV_REPLY: _words({Start.NOTICE_SERVED}, {Stop.NOTICE_REPLIED}, LimitSource.WRITTEN),
    ClockName.ARRIVE_SITE: _words({Start.NOTICE_SERVED}, {Stop.SITE_ARRIVED}, LimitSource.WRITTEN),
    ClockName.SITE_RECORD: _words({Start.SITE_ARRIVED}, {Stop.SITE_RECORDED}, *_STATED),
    ClockName.WHISTLE: _words({Start.WHISTLE_BLOWN}, {Stop.WHISTLE_ANSWERED}, LimitSource.WRITTEN, *_STATED),
    ClockName.INSTRUCTION: _words({Start.INSTRUCTION_RECORDED}, {Stop.REPORTED_BACK}, LimitSource.WRITTEN),
    ClockName.OVERSIGHT_REPLY: _words({Start.INQUIRY_FILED}, {Stop.INQUIRY_ANSWERED}, LimitSource.WRITTEN),
    ClockName.SEAL: _words({Start.FILED}, {Stop.SEALED}, *_STATED),
    ClockName.APPEAL: _words({Start.FIGURE_PUBLISHED}, {Stop.APPEALED}, *_STATED),
    ClockName.APPEAL_DECISION: _words({Start.APPEAL_FILED}, {Stop.APPEAL_DECIDED}, *_STATED),
}
"""The complete list of clocks (8.4): the starts and stops that make sense for each."""

EXTENDABLE: Final = frozenset({ClockName.HANDLE})
"""Clocks that a permission may lengthen; every other due stands (2.3-2.7: "none")."""

WILDCARDS: Final = ("*", "@hours")
_CLASS_OPTIONS: Final = ("peak_classes", "emergency_classes")  # options whose value names classes
_EXTENSION_RULE: Final = frozenset(  # comes from one text as a whole
    f"extension{part}"
    for part in ("", "_unit", "_cap", "_max_days", "_max_count", "_needs_legal_basis", "_tells_hotline")
)
_OPTION_OF: Final = {  # options that say something of one clock, and come with it
    "peak_classes": ClockName.DISPATCH,
    "handle_stop": ClockName.HANDLE,
    "deem": ClockName.EVAL_WINDOW,
    "close_after": ClockName.CLOSE_AFTER,
}
_DAYS: Final = (LimitUnit.NATURAL_DAYS, LimitUnit.WORKING_DAYS, LimitUnit.MONTHS)


# --- reading -----------------------------------------------------------------------------------------------------

ASSUMPTION: Final = Citation(
    text="Huiyin 参数与裁量登记表 register of assumptions and decisions",
    source="docs/decisions/0004-policy-packs.md",
    reading=Reading.ASSUMED,
)
"""What `of = "assumption"` cites: the ground of every A-nn and R-nn that a pack takes over."""

_S = TypeVar("_S", bound=Struct)
_ROWS: Final[tuple[tuple[str, str, type[Struct], str], ...]] = (  # table, field of Pack, its row, what names a row
    ("class", "classes", ClassRule, "name"),
    ("clock", "clocks", ClockRule, "name"),
    ("without", "without", Without, "clock"),
    ("option", "options", Option, "name"),
    ("guard", "guards", Guard, "refusal"),
    ("consequence", "consequences", Consequence, "clock"),
    ("refusal", "refusals", Acceptance, "reason"),
    ("retention", "retention", RetentionRule, "keep"),
)
_TABLE_OF: Final = {field: (table, naming) for table, field, _, naming in _ROWS}
_LIMIT: Final = re.compile(r"^(\d{1,4}) (minutes|hours|natural_days|working_days|months)$")
_HEADS: Final = ("id", "version", "title", "display_name", "effective_from", "effective_until", "overlay", "base")
_Table = dict[str, Any]


def parse_limit(text: object, where: str) -> Limit:
    """Read `5 working_days`, `15 minutes` … or `immediately` (no time at all; the clock's tolerance makes it
    measurable, A-01). Raises PolicyError."""
    if text == "immediately":
        return Limit(amount=0, unit=LimitUnit.MINUTES)
    found = _LIMIT.match(text) if isinstance(text, str) else None
    if found is None:
        units = ", ".join(LimitUnit)
        raise PolicyError(where, f"{text!r} is not a limit: write an amount and one of {units}; or immediately")
    if not (amount := int(found[1])):
        raise PolicyError(where, f"{text!r}: a limit of nothing; write immediately, with a tolerance, if that is meant")
    return Limit(amount=amount, unit=LimitUnit(found[2]))


def load_pack(text: str, where: str) -> Pack:
    """Read one pack from TOML. `where` names the file in errors.

    Raises PolicyError with file, table, number and name of the row, field, and what is wrong with it.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(where, f"not TOML: {error}") from error
    return _read(raw, where)


def _read(raw: _Table, where: str) -> Pack:
    unknown = [key for key in raw if key not in ("pack", "text", *(table for table, *_ in _ROWS))]
    if unknown:
        raise PolicyError(f"{where}: {unknown[0]}", "no such table")
    texts = _texts(raw.get("text"), where)
    head = _head(raw.get("pack"), where)
    rows: dict[str, tuple[Struct, ...]] = {
        field: tuple(
            _row(row, of, _place(where, table, number, row.get(naming)), texts)
            for number, row in enumerate(_tables(raw.get(table, []), f"{where}: [[{table}]]"), 1)
        )
        for table, field, of, naming in _ROWS
    }
    used = tuple(text for key, text in texts.items() if key != "assumption")
    pack = _convert({**head, "basis": used, **rows}, Pack, f"{where}: [pack]")
    check(pack, where)
    return pack


def _place(where: str, table: str, number: int, name: object = None, field: str = "") -> str:
    return f"{where}: [[{table}]] #{number}{f' {name}' if name else ''}{f': {field}' if field else ''}"


def _convert(value: object, of: type[_S], where: str) -> _S:
    try:
        return msgspec.convert(value, of)
    except msgspec.ValidationError as error:
        raise PolicyError(where, str(error).replace("`$.", "`")) from error


def _tables(value: object, where: str) -> list[_Table]:
    rows = cast(list[object], value) if isinstance(value, list) else None
    if rows is None or not all(isinstance(row, dict) for row in rows):
        raise PolicyError(where, "written as one table; double brackets make a list of rows")
    return cast(list[_Table], rows)


def _head(value: object, where: str) -> _Table:
    if not isinstance(value, dict):
        raise PolicyError(where, "no [pack] table: id, version, title and validity are missing")
    head = dict(cast(_Table, value))
    at = f"{where}: [pack]"
    for key in head:
        if key not in (*_HEADS, "notes", "domains"):
            raise PolicyError(f"{at}: {key}", "no such field")
    for key in ("id", "version", "title"):
        if not str(head.get(key, "")).strip():
            raise PolicyError(f"{at}: {key}", "missing")
    head.setdefault("display_name", head["title"])
    start = head.pop("effective_from", None)
    if isinstance(start, date) and not isinstance(start, datetime):
        head["effective_from"] = start
    elif start != ("always" if head.get("base") else "unknown"):
        raise PolicyError(
            f"{at}: effective_from",
            f"{start!r}: write a date, or unknown where the source does not say; always is for base packs",
        )
    return head


def _texts(value: object, where: str) -> dict[str, Citation]:
    """Read the instruments a pack cites, by key; the first is the pack's own and what `of` means when unsaid."""
    texts: dict[str, Citation] = {}
    for number, row in enumerate(_tables(value or [], f"{where}: [[text]]"), 1):
        at = _place(where, "text", number, row.get("key"))
        key = row.get("key", "")
        if not isinstance(key, str) or not key or key in texts or key == "assumption":
            raise PolicyError(f"{at}: key", "missing, or used twice")
        texts[key] = _convert({k: v for k, v in row.items() if k != "key"}, Citation, at)
        if not texts[key].text.strip():
            raise PolicyError(f"{at}: text", "an instrument without a title")
    if not texts:
        raise PolicyError(f"{where}: [[text]]", "missing basis: a pack names the instruments it rests on")
    return {**texts, "assumption": ASSUMPTION}


def _row(row: _Table, of: type[_S], at: str, texts: Mapping[str, Citation]) -> _S:
    """Make one row: citations complete, limits read, then the words checked by their types."""
    row = dict(row)
    row["basis"] = _citation(row.get("basis"), f"{at}: basis", texts)
    if of is ClockRule:
        for field in ("limit", "peak"):
            if field in row:
                row[field] = _limits(row[field], f"{at}: {field}")
        if "tolerance" in row:
            row["tolerance"] = parse_limit(row["tolerance"], f"{at}: tolerance")
        if "bases" in row:
            bases = _entries(row["bases"], f"{at}: bases")
            row["bases"] = {key: _citation(one, f"{at}: bases.{key}", texts) for key, one in bases.items()}
    elif of is Option:
        row["value"] = _value(row.get("name"), row.get("value"), f"{at}: value")
    return _convert(row, of, at)


def _entries(value: object, where: str) -> _Table:
    if not isinstance(value, dict):
        raise PolicyError(where, f"{value!r}: a table is wanted, one entry a class")
    return cast(_Table, value)


def _limits(value: object, where: str) -> dict[str, Limit]:
    """Read a table of limits by class; one limit alone is meant for every class."""
    if isinstance(value, str):
        return {"*": parse_limit(value, where)}
    return {key: parse_limit(one, f"{where}.{key}") for key, one in _entries(value, where).items()}


def _citation(value: object, where: str, texts: Mapping[str, Citation]) -> Citation:
    if not isinstance(value, dict) or not value:
        raise PolicyError(where, "missing basis: say where this comes from")
    row = dict(cast(_Table, value))
    key = row.pop("of", next(iter(texts)))
    if not isinstance(key, str) or key not in texts:
        raise PolicyError(f"{where}.of", f"{key!r}: no [[text]] has this key")
    text = texts[key]
    if "text" in row or not any(str(row.get(field, "")).strip() for field in ("article", "quote", "note")):
        raise PolicyError(where, "missing basis: name the article, the words or the decision, in a text named by `of`")
    # What the text says of itself (its note) stays with the text; how it is known holds for each of its articles.
    inherited = {"text": text.text, "source": text.source, "reading": text.reading}
    return _convert({**inherited, **row}, Citation, where)


def _value(name: object, value: object, where: str) -> object:
    """Return an option's value as the ledger stores it; limits are written in words like everywhere else."""
    if value is None:
        raise PolicyError(where, "missing")
    kind = _option_types().get(str(name))
    if kind is None:
        raise PolicyError(where.removesuffix(": value") + ": name", f"{name!r}: no such option")
    if kind == Limit | None:
        return msgspec.to_builtins(parse_limit(value, where))
    if kind == dict[str, Limit]:
        entries = _entries(value, where)
        return {key: msgspec.to_builtins(parse_limit(one, f"{where}.{key}")) for key, one in entries.items()}
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise PolicyError(where, f"{value!r}: {error}") from error
    return value


@cache
def _option_types() -> Mapping[str, Any]:
    return get_type_hints(Options)


# --- what holds together -----------------------------------------------------------------------------------------


def check(pack: Pack, where: str) -> None:
    """Refuse a pack that does not hold together. Raises PolicyError naming table, number, row and field."""
    if not (pack.clocks or pack.options or pack.refusals):
        raise PolicyError(where, "an empty pack: it rules nothing")
    if pack.effective_from and pack.effective_until and pack.effective_until < pack.effective_from:
        raise PolicyError(f"{where}: [pack]: effective_until", "lies before effective_from")
    if pack.base and pack.overlay:
        raise PolicyError(f"{where}: [pack]: base", "a base fills gaps, an overlay applies beside: not both")
    for field, (_, naming) in _TABLE_OF.items():
        if field not in ("consequences", "retention"):
            _no_twins(getattr(pack, field), field, naming, where)
    _check_classes(pack, where)
    hours = pack.base or bool(pack.parents) or any(c.by_the_clock for c in pack.classes)
    for number, rule in enumerate(pack.clocks, 1):
        _check_clock(rule, pack.classes, _place(where, "clock", number, rule.name), hours=hours)
    _check_rows(pack, where)
    _check_options(pack, where)


def _no_twins(rows: Sequence[Struct], field: str, naming: str, where: str) -> None:
    seen: set[str] = set()
    for number, row in enumerate(rows, 1):
        name = str(getattr(row, naming))
        if name in seen:
            raise PolicyError(_place(where, _TABLE_OF[field][0], number, name), "stands here twice")
        seen.add(name)


def demands(tags: Iterable[str] = ()) -> Iterator[Attributes]:
    """Yield every combination of attributes that a class can ask about, untagged and with each of `tags`."""
    kinds = tuple(product(DemandType, Urgency, ComplexityOf, Scale, PolicyDomain))
    for carried in ((), *((tag,) for tag in tags)):
        for demand, urgency, complexity, scale, domain in kinds:
            yield Attributes(
                demand_type=demand,
                urgency=urgency,
                complexity=complexity,
                scale=scale,
                domain=domain,
                tags=carried,
            )


def _reached(classes: Sequence[ClassRule]) -> tuple[frozenset[str], Attributes | None]:
    """Return the classes that some demand falls into, and a demand that falls into none."""
    names: set[str] = set()
    homeless: Attributes | None = None
    for demand in demands(sorted({tag for c in classes for tag in c.when.tags})):
        found = next((c.name for c in classes if c.when.holds(demand)), None)
        if found is not None:
            names.add(found)
        elif homeless is None:
            homeless = demand
    return frozenset(names), homeless


def _check_classes(pack: Pack, where: str) -> None:
    if pack.base:
        if pack.classes:
            raise PolicyError(_place(where, "class", 1, pack.classes[0].name), "a base pack has no classes")
        return
    if not pack.classes:
        raise PolicyError(f"{where}: [[class]]", "a pack without classes: no demand would be meant")
    reached, homeless = _reached(pack.classes)
    for number, rule in enumerate(pack.classes, 1):
        at = _place(where, "class", number, rule.name)
        if re.fullmatch(r"[a-z][a-z0-9_]*(/[a-z][a-z0-9_]*)*", rule.name) is None:
            raise PolicyError(f"{at}: name", "lower case, digits and underscores only")
        if rule.name not in reached:
            raise PolicyError(f"{at}: when", "no demand ever falls into it: an earlier class takes them all")
    if homeless is not None and not pack.overlay:
        words = ", ".join(str(v) for v in msgspec.to_builtins(homeless).values() if v)
        raise PolicyError(f"{where}: [[class]]", f"no class takes this demand: {words}")


def _check_clock(rule: ClockRule, classes: Sequence[ClassRule], at: str, *, hours: bool) -> None:
    words = CLOCK_WORDS[rule.name]
    for field, word, allowed in (
        ("starts", rule.starts, words.starts),
        ("stops", rule.stops, words.stops),
        ("source", rule.source, words.sources),
    ):
        if word not in allowed:
            raise PolicyError(f"{at}: {field}", f"{word} does not go with {rule.name}: {', '.join(sorted(allowed))}")
    if rule.extendable and rule.name not in EXTENDABLE:
        raise PolicyError(f"{at}: extendable", f"no text lets anybody extend {rule.name}")
    known = {c.name for c in classes}
    if not hours and ("@hours" in rule.limit or "@hours" in rule.peak):
        raise PolicyError(f"{at}: limit.@hours", "the pack has no class by the clock")
    for field, names in (
        ("limit", [k for k in rule.limit if k not in WILDCARDS]),
        ("peak", [k for k in rule.peak if k not in WILDCARDS]),
        ("classes", rule.classes),
        ("optional", rule.optional),
    ):
        for name in names:
            if name not in known:
                raise PolicyError(f"{at}: {field}.{name}", "the pack has no such class")
    for key in rule.bases:
        if not (key in rule.limit or (key.endswith("@peak") and key.removesuffix("@peak") in rule.peak)):
            raise PolicyError(f"{at}: bases.{key}", "cites a figure that is not there")
    _check_figures(rule, classes, at)


def _check_figures(rule: ClockRule, classes: Sequence[ClassRule], at: str) -> None:
    """Check that a clock has the figures its source promises, and that each figure can be meant."""
    if rule.source is not LimitSource.FIGURE:
        if rule.limit or rule.peak or rule.tolerance:
            raise PolicyError(f"{at}: limit", f"a figure, though its source is {rule.source}")
        return
    if not rule.limit:
        raise PolicyError(f"{at}: limit", "no figure: state one, or say where it comes from (source)")
    lacking = [
        c.name
        for c in classes
        if (not rule.classes or c.name in rule.classes)
        and c.name not in rule.optional
        and _figure(rule.limit, c) is None
    ]
    if lacking or (not classes and "*" not in rule.limit):
        raise PolicyError(f"{at}: limit", f"no figure for class {', '.join(lacking) or '*'}")
    for field, table in (("limit", rule.limit), ("peak", rule.peak)):
        for name, limit in table.items():
            if limit.unit is LimitUnit.MONTHS:
                raise PolicyError(f"{at}: {field}.{name}", "months are no measure for a case")
            if not limit.amount and rule.tolerance is None:
                raise PolicyError(f"{at}: {field}.{name}", "immediately cannot be measured without a tolerance")
            usual = rule.limit.get(name)
            if field == "peak" and (usual is None or limit.unit is not usual.unit or limit.amount <= usual.amount):
                raise PolicyError(f"{at}: peak.{name}", "a peak lengthens a limit that the class has, in its unit")
    if rule.tolerance is not None:
        if not rule.tolerance.in_hours:
            raise PolicyError(f"{at}: tolerance", "a tolerance of immediately is minutes or hours")
        if all(limit.amount for limit in rule.limit.values()):
            raise PolicyError(f"{at}: tolerance", "nothing here is due immediately")


def _check_rows(pack: Pack, where: str) -> None:
    """Check what points at clocks and classes, and the order of the retention table."""
    clocks = {c.name for c in pack.clocks}
    classes = {c.name for c in pack.classes}
    for number, row in enumerate(pack.consequences, 1):
        at = _place(where, "consequence", number, row.clock or row.on)
        if row.clock is not None and row.clock not in clocks:
            raise PolicyError(f"{at}: clock", "the pack has no such clock")
        for name in row.classes:
            if name not in classes:
                raise PolicyError(f"{at}: classes.{name}", "the pack has no such class")
    for number, row in enumerate(pack.without, 1):
        if row.clock in clocks:
            raise PolicyError(_place(where, "without", number, row.clock), "left out, and yet among the clocks")
    for number, row in enumerate(pack.guards, 1):
        if re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", row.refusal) is None:
            raise PolicyError(_place(where, "guard", number, row.refusal, "refusal"), "a code in kebab-case is wanted")
    for number, row in enumerate(pack.retention, 1):
        at = _place(where, "retention", number, row.keep)
        unknown = [kind for kind in row.closure if kind not in set(ClosureKind)]
        if unknown:
            raise PolicyError(f"{at}: closure.{unknown[0]}", "no such way of closing")
        if (row.keep == "not_filed") == bool(row.period):
            raise PolicyError(f"{at}: period", "what is filed has a period, what is not filed has none")
        last = number == len(pack.retention)
        if not last and not row.closure and not row.instruction:
            raise PolicyError(at, "takes every case: the rules after it never decide")


def _check_options(pack: Pack, where: str) -> None:
    options = options_of(pack)
    places = {o.name: _place(where, "option", n, o.name, "value") for n, o in enumerate(pack.options, 1)}
    for name, what in _option_faults(options, pack):
        raise PolicyError(places.get(name, f"{where}: [[option]] {name}"), what)


def _option_faults(options: Options, pack: Pack) -> Iterator[tuple[str, str]]:
    """Yield each option that cannot stand beside the rest of the pack, and why."""
    classes = {c.name for c in pack.classes}
    clocks = {c.name: c for c in pack.clocks}
    for name in _CLASS_OPTIONS:
        for one in sorted(set(getattr(options, name)) - classes):
            yield name, f"the pack has no class {one}"
    for option in pack.options:
        if isinstance(option.value, int) and option.value < 0:
            yield option.name, f"{option.value}: less than nothing"
    kinds = set(NoticeKind)
    for name in ("ladder", "notice_limit_mandatory", "notice_reply"):
        for word in getattr(options, name):
            if word.removesuffix("@hours") not in kinds:
                yield name, f"{word!r}: no such kind of notice"
    if re.fullmatch(r"24:00|([01]\d|2[0-3]):[0-5]\d", options.day_end) is None:
        yield "day_end", f"{options.day_end!r}: a time of day is wanted"
    for text in options.remind_before:
        if _LIMIT.match(text) is None and re.fullmatch(r"due day ([01]\d|2[0-3]):[0-5]\d", text) is None:
            yield "remind_before", f"{text!r}: write a limit, or due day and a time of day"
    cap = options.extension_cap
    if cap is not None and cap.unit != options.extension_unit:
        yield "extension_cap", f"in {cap.unit}, though extensions are counted in {options.extension_unit}"
    if options.max_total is not None and options.max_total.unit not in _DAYS:
        yield "max_total", "a limit written on a dispatch is bounded in days"
    if options.extension == "none" and (cap or options.extension_max_days or options.extension_max_count):
        yield "extension", "bounds of an extension that nobody may give"
    handle = clocks.get(ClockName.HANDLE)
    if handle is not None and handle.stops != options.handle_stop:
        yield "handle_stop", f"{options.handle_stop}, though the clock handle stops at {handle.stops}"
    if options.extension != "none" and handle is not None and not handle.extendable:
        yield "extension", "the clock handle is not extendable"
    for name, clock in (("deem", ClockName.EVAL_WINDOW), ("close_after", ClockName.CLOSE_AFTER)):
        if getattr(options, name) != (clock in clocks):
            yield name, f"set without the clock {clock}, or the clock without it"
    dispatch = clocks.get(ClockName.DISPATCH)
    if set(options.peak_classes) != set(dispatch.peak if dispatch else ()):
        yield "peak_classes", "not the classes to which the clock dispatch gives a figure for peaks"


def check_set(packs: Iterable[Pack]) -> None:
    """Refuse versions of one pack that hold at the same time. Raises PolicyError naming both.

    A version that begins at an unknown date may always have held: two such versions need their dates stated.
    """
    by_id: dict[str, list[Pack]] = {}
    for pack in packs:
        by_id.setdefault(pack.id, []).append(pack)
    for name, versions in by_id.items():
        versions.sort(key=lambda p: (p.effective_from or date.min, p.effective_until or date.max))
        for earlier, later in pairwise(versions):
            until = earlier.effective_until
            if until is None or later.effective_from is None or later.effective_from <= until:
                ends = f"until {until}" if until else "without end"
                starts = later.effective_from or "an unknown date"
                raise PolicyError(
                    name, f"version {earlier.version} holds {ends}, version {later.version} from {starts}: they overlap"
                )


# --- filling the gaps --------------------------------------------------------------------------------------------

Spread = Mapping[str, tuple[str, ...]]
"""The finer classes that a class was split into; a class that is not named here stayed as it was."""


def complete(child: Pack, *parents: Pack) -> Pack:
    """Return `child` with its gaps filled from `parents`, the first one first; a complete pack of its own.

    A gap is: a clock the child neither has nor leaves out on purpose, the figure of a clock whose source is `required`,
    the extension rule (whole: approver, unit and bounds), any other option, guard, refusal reason, consequence or
    retention rule it does not state. What the child states stands, and so does an option of a clock that is its own.
    Figures that a parent gives by its own classes split the child's classes (`ordinary` under a parent with `consult`
    becomes `ordinary/consult`), so that a demand still has one class and every table one key. Id, version and validity
    stay the child's; `parents` says which contents filled it. Raises PolicyError.
    """
    for pack in (child, *parents):
        if pack.overlay:
            raise PolicyError(pack.id, "an overlay applies beside other packs: it neither fills nor is filled")
    if child.base:
        raise PolicyError(child.id, "a base pack only fills others")
    found = child
    for parent in parents:
        found = _fill(found, parent)
    check(found, f"{child.id} {child.version}")
    return found


def _fill(child: Pack, parent: Pack) -> Pack:
    has = frozenset(c.name for c in child.clocks) | {w.clock for w in child.without}
    taken = [c for c in parent.clocks if c.name not in has]
    figures = {
        c.name: c
        for c in parent.clocks
        if c.source is LimitSource.FIGURE
        and any(o.name is c.name and o.source is LimitSource.REQUIRED for o in child.clocks)
    }
    finer, mine, theirs = _split(child, parent, taken, figures)
    options = _fill_options(child, parent, has, mine, theirs)
    extended = any(o.name == "extension" and o.value != "none" for o in options)
    clocks: list[ClockRule] = []
    for rule in child.clocks:
        spread = _spread(rule, child.classes, mine, finer)
        given = figures.get(rule.name)
        if given is not None:
            spread = _give(spread, _spread(given, parent.classes, theirs, finer), finer)
        if extended and rule.name in EXTENDABLE:
            spread = msgspec.structs.replace(spread, extendable=True)
        clocks.append(spread)
    clocks.extend(
        _spread(rule, parent.classes, theirs, finer) if _by_class(rule) else rule
        for rule in taken
        if _meant(rule.classes, theirs)
    )
    there = {c.name for c in clocks}
    said = {(c.clock, c.on) for c in child.consequences}
    decided = any(not r.closure and not r.instruction for r in child.retention)
    return msgspec.structs.replace(
        child,
        classes=finer,
        clocks=tuple(clocks),
        without=(*child.without, *(w for w in parent.without if w.clock not in has)),
        options=options,
        guards=_union(child.guards, parent.guards, "refusal"),
        refusals=_union(child.refusals, parent.refusals, "reason"),
        consequences=(
            *(msgspec.structs.replace(c, classes=_names(c.classes, mine)) for c in child.consequences),
            *(
                msgspec.structs.replace(c, classes=_names(c.classes, theirs))
                for c in parent.consequences
                if (c.clock, c.on) not in said and (c.clock is None or c.clock in there) and _meant(c.classes, theirs)
            ),
        ),
        retention=child.retention if decided else (*child.retention, *parent.retention),
        domains=child.domains or parent.domains,
        basis=(*child.basis, *(b for b in parent.basis if b not in child.basis)),
        notes=(*child.notes, *(f"{parent.id}: {note}" for note in parent.notes)),
        parents=(*child.parents, f"{parent.id} {parent.version} {digest(parent)}"),
    )


_R = TypeVar("_R", Guard, Acceptance)


def _union(mine: tuple[_R, ...], theirs: tuple[_R, ...], naming: str) -> tuple[_R, ...]:
    said = {getattr(row, naming) for row in mine}
    return (*mine, *(row for row in theirs if getattr(row, naming) not in said))


def _names(classes: tuple[str, ...], spread: Spread) -> tuple[str, ...]:
    return tuple(name for one in classes for name in spread.get(one, (one,)))


def _meant(classes: tuple[str, ...], theirs: Spread) -> bool:
    """Tell whether a parent's row that names classes still means somebody (no name means everybody)."""
    return not classes or bool(set(_names(classes, theirs)) - (set(classes) - set(theirs)))


def _by_class(rule: ClockRule) -> bool:
    return bool(rule.classes or rule.optional or set(rule.limit) - set(WILDCARDS))


def _split(
    child: Pack, parent: Pack, taken: Sequence[ClockRule], figures: Mapping[ClockName, ClockRule]
) -> tuple[tuple[ClassRule, ...], Spread, Spread]:
    """Split the child's classes by the parent's, as far as the parent's figures need it.

    Returns the classes, in the order that names the child's first class and then the parent's first class that hold;
    what each class of the child became; what each class of the parent became.
    """
    if any(_by_class(rule) for rule in taken):
        affected = {c.name for c in child.classes}
    elif any(_by_class(rule) for rule in figures.values()):
        asking = [rule for rule in child.clocks if rule.name in figures]
        affected = {c.name for c in child.classes for rule in asking if _asks(rule, c)}
    else:
        return child.classes, {}, {}
    made: list[tuple[ClassRule, str, str]] = []
    for mine in child.classes:
        if mine.name not in affected:
            made.append((mine, mine.name, ""))
            continue
        for theirs in parent.classes:
            when = _both(mine.when, theirs.when, f"{child.id}: {mine.name} with {parent.id}: {theirs.name}")
            if when is not None:
                made.append((_finer(mine, theirs, when), mine.name, theirs.name))
    reached, _ = _reached([rule for rule, *_ in made])
    kept = [one for one in made if one[0].name in reached]
    return (
        tuple(rule for rule, *_ in kept),
        {name: tuple(rule.name for rule, own, _ in kept if own == name) for name in affected},
        {c.name: tuple(rule.name for rule, _, other in kept if other == c.name) for c in parent.classes},
    )


def _asks(rule: ClockRule, of_class: ClassRule) -> bool:
    return of_class.name not in rule.optional and (not rule.classes or of_class.name in rule.classes)


def _finer(mine: ClassRule, theirs: ClassRule, when: When) -> ClassRule:
    more = f"{theirs.title}: {theirs.basis.text} {theirs.basis.article}".strip()
    note = f"{mine.basis.note}; {more}" if mine.basis.note else more
    return ClassRule(
        name=f"{mine.name}/{theirs.name}",
        title=f"{mine.title}·{theirs.title}",
        basis=msgspec.structs.replace(mine.basis, note=note),
        when=when,
        by_the_clock=mine.by_the_clock or theirs.by_the_clock,
    )


def _both(mine: When, theirs: When, where: str) -> When | None:
    """Return the predicate of both together, None if nothing can meet it. Raises PolicyError for two sets of tags."""
    if mine.tags and theirs.tags:
        raise PolicyError(where, "both ask for tags: one class cannot ask for one of each")
    lines: dict[str, Any] = {"tags": mine.tags or theirs.tags}
    for field in ("urgency", "complexity", "scale", "demand_type", "domain"):
        a: tuple[Any, ...] = getattr(mine, field)
        b: tuple[Any, ...] = getattr(theirs, field)
        if a and b and not set(a) & set(b):
            return None
        lines[field] = tuple(word for word in a if word in b) if a and b else a or b
    return When(**lines)


def _spread(rule: ClockRule, classes: Sequence[ClassRule], spread: Spread, finer: Sequence[ClassRule]) -> ClockRule:
    """Return `rule`, written for `classes`, in the words of the finer ones: each part has its whole's figure."""
    if not spread:
        return rule
    wholes = {part: whole for whole in classes for part in spread.get(whole.name, (whole.name,))}
    limit: dict[str, Limit] = {}
    peak: dict[str, Limit] = {}
    bases: dict[str, Citation] = {}
    for suffix, old, new in (("", rule.limit, limit), ("@peak", rule.peak, peak)):
        if len(wholes) == len(finer):
            new.update({key: old[key] for key in WILDCARDS if key in old})
        for part in finer:
            key = next((k for k in _keys(wholes[part.name]) if k in old), None) if part.name in wholes else None
            if key is None:
                continue
            if next((k for k in _keys(part) if k in new), None) != key:
                new[part.name] = old[key]
            at = part.name if part.name in new else key
            if key + suffix in rule.bases:
                bases[at + suffix] = rule.bases[key + suffix]
    return msgspec.structs.replace(
        rule,
        limit=limit,
        peak=peak,
        bases=bases,
        classes=_names(rule.classes, spread),
        optional=_names(rule.optional, spread),
    )


def _give(asking: ClockRule, given: ClockRule, classes: Sequence[ClassRule]) -> ClockRule:
    """Return the child's clock with the parent's figures: when it starts and stops stays the child's word."""
    asked = [c for c in classes if _asks(asking, c) and _figure(given.limit, c) is not None]
    limit: dict[str, Limit] = {}
    bases: dict[str, Citation] = {}
    for one in asked:
        key = next(k for k in _keys(one) if k in given.limit)
        limit[one.name] = given.limit[key]
        bases[one.name] = given.bases.get(key, given.basis)
    return msgspec.structs.replace(
        asking,
        source=LimitSource.FIGURE,
        limit=limit,
        bases=bases,
        tolerance=given.tolerance,
        extendable=asking.extendable or given.extendable,
    )


def _fill_options(
    child: Pack, parent: Pack, has: frozenset[ClockName], mine: Spread, theirs: Spread
) -> tuple[Option, ...]:
    said = {o.name for o in child.options}
    if "extension" in said:
        said |= _EXTENSION_RULE
    said |= {name for name, clock in _OPTION_OF.items() if clock in has}
    return (
        *(_spread_option(option, mine) for option in child.options),
        *(
            _spread_option(option, theirs)
            for option in parent.options
            if option.name not in said and (option.name not in _CLASS_OPTIONS or set(option.value) <= set(theirs))
        ),
    )


def _spread_option(option: Option, spread: Spread) -> Option:
    if option.name not in _CLASS_OPTIONS:
        return option
    return msgspec.structs.replace(option, value=list(_names(tuple(option.value), spread)))
