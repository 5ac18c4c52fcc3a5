"""政策. Dated versions of a city's rules as data: limits, classes, options, consequences, each with its citation.

A pack is read from TOML (`load_pack`), completed by its parents (`complete`), and published into the ledger with its
whole content. `Rules` is the pack made ready for use: limits by class and clock, options by name. Nothing here reads
a file: text goes in, structs come out, and what does not hold together is refused with its place (`PolicyError`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Literal

import msgspec

from domain.calendar import DEFAULT, Kernel
from domain.terms import (
    Attributes,
    Citation,
    ClockName,
    DemandType,
    Limit,
    PolicyDomain,
    PolicyRef,
    RefusalReason,
    Scale,
    Start,
    Stop,
    Struct,
    Urgency,
    Word,
)
from domain.terms import Complexity as ComplexityOf


class LimitSource(Word):
    """Where a clock's figure comes from."""

    FIGURE = "figure", "文本规定"  # the rule text states it, by class
    REQUIRED = "required", "须由派单载明"  # no figure in the text: the dispatch must bring it
    WRITTEN = "written", "文书载明"  # written on the instrument itself: notice, promise, whistle, instruction
    TOLERANCE = "tolerance", "立即的容差"  # `immediately`, made measurable: no text states this figure
    RELATIVE = "relative", "依另一时限"  # derived from another due: the lead's, the merged child's own
    MEASURED = "measured", "仅计时"  # the text gives no figure: the time is measured, nothing falls due


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


class Does(Word):
    """What a consequence does."""

    REMIND = "remind", "催办"
    SUPERVISE = "supervise", "系统督办"
    WRITTEN_NOTICE = "written_notice", "书面督办"
    CIRCULAR = "circular", "通报"
    DEEM = "deem", "视为基本满意"
    DEEM_NOT_HANDLED = "deem_not_handled", "视为未按规定办理"
    OVERDUE_ITEM = "overdue_item", "超期办理件"
    CLOSE = "close", "自动办结"
    FILE = "file", "自动归档"
    REFER = "refer", "移送问责"
    MEASURE = "measure", "仅计时"  # only measured


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
    # registration
    registration_requires: tuple[Literal["name", "phone", "organisation", "contact"], ...] = ()  # S2-18
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
    revisit_percent: int | None = None  # of each unit's orders; without it the timer draws no sample by itself
    revisit_questions: tuple[str, ...] = ()  # S1-31
    headline: Literal["ledger", "revisit"] = "ledger"  # 8.9
    noted_exempt: bool = False  # 8.9
    partly_resolved_percent: int | None = None  # what counts of an order that its applicant calls partly resolved
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
    mass: int | None = 5  # callers about one matter, merged into one order
    concentrated: int | None = 20  # S4-35: orders of one category with one unit
    concentrated_within_days: int = 30
    low_evaluation_percent: int | None = 60  # S4-35: fewer satisfied than this, of a unit's evaluations
    low_evaluation_from: int = 10  # evaluations, at least
    # service quality
    service_ratings_per_call: int = 1
    valid_complaints_per_10000: int | None = None  # S4-39
    connect_rate_percent: int | None = None  # S1-3
    # statistics and filing
    assessment_period: Literal["month", "quarter", "year"] = "month"  # 8.14
    assessment_weights: dict[str, int] = {}  # 5.2: points by indicator; fewer than nothing: points that it takes away
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


Ruled = tuple[ClockRule, Limit | None]
"""A clock with its figure; None where the figure comes from elsewhere or there is none."""


class Plan:
    """The clocks that run for one class, outside a peak; those that nearly every case asks for, by attribute."""

    __slots__ = (
        "_ruled",
        "close_after",
        "co_reply",
        "dispatch",
        "eval_window",
        "handle",
        "init_response",
        "progress",
        "returning",
        "revisit",
        "sign",
        "transfer",
    )

    def __init__(self, ruled: Mapping[ClockName, Ruled]) -> None:
        self._ruled = ruled
        self.close_after = ruled.get(ClockName.CLOSE_AFTER)
        self.co_reply = ruled.get(ClockName.CO_REPLY)
        self.dispatch = ruled.get(ClockName.DISPATCH)
        self.eval_window = ruled.get(ClockName.EVAL_WINDOW)
        self.handle = ruled.get(ClockName.HANDLE)
        self.init_response = ruled.get(ClockName.INIT_RESPONSE)
        self.progress = ruled.get(ClockName.PROGRESS)
        self.returning = ruled.get(ClockName.RETURN)
        self.revisit = ruled.get(ClockName.REVISIT)
        self.sign = ruled.get(ClockName.SIGN)
        self.transfer = ruled.get(ClockName.TRANSFER)

    def get(self, clock: ClockName) -> Ruled | None:
        """Return any clock with its figure; None where it does not run for the class."""
        return self._ruled.get(clock)


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
            found = next((f for t in tables if (f := figure_of(t, of_class)) is not None), None)
            if found is not None and rule.tolerance is not None and found.amount == 0 and found.until is None:
                found = rule.tolerance  # immediately, within the tolerance that makes it measurable
        self._limits[key] = found
        return found

    def plan(self, of_class: ClassRule) -> Plan:
        """Return every clock that runs for a class, with its figure outside a peak; the same object each time."""
        found = self._plans.get(of_class.name)
        if found is None:
            names = (name for name in self.clocks if self.runs(name, of_class) is not None)
            found = Plan({name: (self.clocks[name], self.limit(name, of_class)) for name in names})
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
        keys = keys_of(of_class)
        names = (*(f"{k}@peak" for k in keys), *keys) if peak else keys
        return next((rule.bases[n] for n in names if n in rule.bases), rule.basis)

    def needs_limit(self, of_class: ClassRule) -> bool:
        """Tell whether a dispatch must bring the handling limit of a class because no text gives one (R-09)."""
        rule = self.runs(ClockName.HANDLE, of_class)
        return rule is not None and rule.source is LimitSource.REQUIRED and of_class.name not in rule.optional


def keys_of(of_class: ClassRule) -> tuple[str, ...]:
    """Return the keys under which a table may hold a figure for a class, the most particular first."""
    return (of_class.name, "@hours", "*") if of_class.by_the_clock else (of_class.name, "*")


def figure_of(table: Mapping[str, Limit], of_class: ClassRule) -> Limit | None:
    """Return a table's figure for a class, by the most particular key that it holds."""
    return next((table[key] for key in keys_of(of_class) if key in table), None)


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
