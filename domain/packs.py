"""政策文件. How a pack is read from TOML and held together: which words go with which clock, and where one fails."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from itertools import pairwise, product
from typing import Any, Final, NamedTuple, TypeVar, cast, get_type_hints

import msgspec

from domain import refusals
from domain.policy import (
    Acceptance,
    ClassRule,
    ClockRule,
    Consequence,
    Guard,
    LimitSource,
    Option,
    Options,
    Pack,
    PolicyError,
    RetentionRule,
    Without,
    figure_of,
    options_of,
)
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
    Reading,
    Scale,
    Start,
    Stop,
    Struct,
    Urgency,
)
from domain.terms import Complexity as ComplexityOf

REFUSALS: Final = frozenset(
    one.code() for one in vars(refusals).values() if isinstance(one, type) and issubclass(one, refusals.Refusal)
)
"""The codes of every way a command is refused: what a pack's guard may cite words for."""

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
CLASS_OPTIONS: Final = ("peak_classes", "emergency_classes")  # options whose value names classes
EXTENSION_RULE: Final = frozenset(  # comes from one text as a whole
    f"extension{part}"
    for part in ("", "_unit", "_cap", "_max_days", "_max_count", "_needs_legal_basis", "_tells_hotline")
)
OPTION_OF: Final = {  # options that say something of one clock, and come with it
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


def reached(classes: Sequence[ClassRule]) -> tuple[frozenset[str], Attributes | None]:
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
    held, homeless = reached(pack.classes)
    for number, rule in enumerate(pack.classes, 1):
        at = _place(where, "class", number, rule.name)
        if re.fullmatch(r"[a-z][a-z0-9_]*(/[a-z][a-z0-9_]*)*", rule.name) is None:
            raise PolicyError(f"{at}: name", "lower case, digits and underscores only")
        if rule.name not in held:
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
        and figure_of(rule.limit, c) is None
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
        if row.refusal not in REFUSALS:
            raise PolicyError(_place(where, "guard", number, row.refusal, "refusal"), "no refusal has this code")
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
    for name in CLASS_OPTIONS:
        for one in sorted(set(getattr(options, name)) - classes):
            yield name, f"the pack has no class {one}"
    for option in pack.options:
        if isinstance(option.value, int) and option.value < 0:
            yield option.name, f"{option.value}: less than nothing"
    for code, weight in options.assessment_weights.items():
        if not weight:
            yield "assessment_weights", f"{code}: a weight of nothing"
    if options.partly_resolved_percent is not None and options.partly_resolved_percent > 100:
        yield "partly_resolved_percent", f"{options.partly_resolved_percent}: more than resolved"
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
    if cap is not None and cap.unit is not LimitUnit(options.extension_unit):
        yield "extension_cap", f"in {cap.unit}, though extensions are counted in {options.extension_unit}"
    if options.max_total is not None and options.max_total.unit not in _DAYS:
        yield "max_total", "a limit written on a dispatch is bounded in days"
    if options.extension == "none" and (cap or options.extension_max_days or options.extension_max_count):
        yield "extension", "bounds of an extension that nobody may give"
    handle = clocks.get(ClockName.HANDLE)
    if handle is not None and handle.stops is not Stop(options.handle_stop):
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
