"""说法. How instants, deadlines, citations and the fields of an event are said in Chinese, wherever people read them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Any, cast

import msgspec

from domain import fields
from domain.calendar import DayKind, DayStep, show_due
from domain.explanation import limit_words
from domain.terms import SHANGHAI, Citation, Fact, Limit, Reading, Sealed, Word

_WEEKDAYS = "一二三四五六日"
_ENGLISH = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_DAY_WORDS = {
    DayKind.WEEKEND: "周末",
    DayKind.HOLIDAY: "放假",
    DayKind.PRESUMED_WEEKEND: "推定周末",
    DayKind.PRESUMED_HOLIDAY: "推定放假",
    DayKind.START: "起算当日不计",
    DayKind.MONTHS: "对应日",
    DayKind.CLOCK: "连续计时",
    DayKind.WRITTEN: "指定期限",
}


def show_instant(instant: datetime | None) -> str:
    """Show an instant in Shanghai's time to the second; milliseconds only where they matter."""
    if instant is None:
        return "—"
    local = instant.astimezone(SHANGHAI)
    millis = f".{local.microsecond // 1000:03d}" if local.microsecond >= 1000 else ""
    return f"{local:%Y-%m-%d %H:%M:%S}{millis}"


def show_end(due: datetime | None) -> str:
    """Show when something falls due as offices write it: `2025-03-11 24:00 (周二)`."""
    return weekday(show_due(due)) if due is not None else "—"


def weekday(shown: str) -> str:
    """Return what was said with its days of the week in Chinese."""
    return re.sub(r"\((\w{3})\)", lambda found: f"(周{_WEEKDAYS[_ENGLISH.index(found[1])]})", shown)


def show_span(span: timedelta) -> str:
    """Show how long: `2天3小时`, `41小时`, `15分钟`, down to milliseconds."""
    millis = round(span / timedelta(milliseconds=1))
    if abs(millis) < 60_000:
        return f"{millis / 1000:g}秒"
    hours, minute = divmod(millis // 60_000, 60)
    if hours >= 48:
        days, hours = divmod(hours, 24)
        return f"{days}天{hours}小时" if hours else f"{days}天"
    return f"{hours}小时{minute}分" if hours and minute else (f"{hours}小时" if hours else f"{minute}分钟")


def event_title(event: Fact | type[Fact]) -> str:
    """Return the event's official term: the first words of its docstring."""
    kind = event if isinstance(event, type) else type(event)
    first = (kind.__doc__ or kind.__name__).strip().split("\n")[0]
    return first.split(".")[0].split("。")[0].strip()


def show_citation(citation: Citation) -> str:
    """Show where a rule stands: 《text》 article (source)."""
    source = f" ({citation.source})" if citation.source else ""
    note = f" · {citation.note}" if citation.note else ""
    return f"《{citation.text}》{citation.article}{source}{note}"


def said(record: msgspec.Struct) -> dict[str, Any]:
    """Return the fields that say something: not those left at "not said"."""
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(record):
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        value = getattr(record, field.name)
        if field.required or value != default:
            found[field.name] = value
    return found


UNITS = frozenset(
    {"accused", "by_unit", "co_opinions", "copies", "departments", "designates", "from_unit", "from_units", "lead",
     "lead_parent", "missing_co", "others", "parent", "responsible", "responsible_unit", "stratum", "suggested_unit",
     "supervising", "to_units", "unit", "units"}
)  # fmt: skip
"""The fields that hold units by their codes."""

HIDDEN = "▒▒▒"


def _hidden(_: Sealed) -> str:
    return HIDDEN


def _as_coded(unit: str) -> str:
    return unit


class Teller:
    """Says what stands in records: what is sealed as `opened` tells it, units by the names that `unit` gives."""

    def __init__(self, opened: Callable[[Sealed], str] = _hidden, unit: Callable[[str], str] = _as_coded) -> None:
        self._opened = opened
        self._unit = unit

    def fields(self, record: msgspec.Struct) -> Iterator[tuple[str, str, str]]:
        """Yield the fields of a record that say something: name, Chinese term, what they say."""
        for name, value in said(record).items():
            yield name, fields.term(name), self.value(name, value)

    def value(self, field: str, value: Any) -> str:
        """Say what a field holds."""
        if field in fields.VALUES:
            return fields.VALUES[field].get(value, str(value))
        if field in UNITS:
            many = cast("Iterable[Any]", value) if isinstance(value, list | tuple | frozenset) else (value,)
            if all(isinstance(one, str) and not isinstance(one, Word) for one in many):
                return "、".join(map(self._unit, many))
        return self._plain(value)

    def _plain(self, value: Any) -> str:
        if isinstance(value, Sealed):
            return self._opened(value)
        if isinstance(value, msgspec.Struct):
            return self._record(said(value))
        if isinstance(value, dict):
            return self._record(cast("dict[Any, Any]", value))
        if isinstance(value, list | tuple | frozenset):
            return "、".join(self._plain(v) for v in cast("Iterable[Any]", value))
        if isinstance(value, bool):
            return "是" if value else "否"
        if isinstance(value, Word):
            return value.zh
        return show_instant(value) if isinstance(value, datetime) else str(value)

    def _record(self, value: dict[Any, Any]) -> str:
        """Say a record within a record as people write it: a sealed field, a citation, a limit, a pack."""
        names = set(value)
        if names == {"key", "box"}:
            return HIDDEN
        if names == {"pack", "digest"}:
            return str(value["pack"])
        if {"id", "version", "clocks"} <= names:  # a policy, whole
            return f"{value['id']} {value['version']} 《{value.get('title', '')}》"
        if {"year", "known_from", "basis"} <= names:  # a year's calendar, whole
            return f"{value['year']}年第{value.get('version', 1)}版"
        if "text" in names and names <= {"text", "article", "source", "quote", "reading", "note"}:
            return f"《{value['text']}》{value.get('article', '')}"
        if names and names <= {"amount", "unit", "until"}:
            return limit_words(Limit(**value)).split(" ")[0] if "until" not in names else show_instant(value["until"])
        shown = ((_name(name), self.value(f"{name}", v)) for name, v in value.items())
        return "{" + " · ".join(f"{name} {told}" for name, told in shown) + "}"


def _name(field: str) -> str:
    return field.zh if isinstance(field, Word) else fields.term(field)


def event_details(event: Fact) -> str:
    """Say an event's fields in one line, by their Chinese terms; sealed ones as ▒▒▒."""
    return " · ".join(f"{term}: {told}" for _, term, told in Teller().fields(event))


def day_steps(steps: Iterable[DayStep]) -> str:
    """Show counted and skipped days in one line: `03-04(二)起算当日不计 · 03-05(三)=1 · 03-08–09 周末 …`."""
    shown: list[str] = []
    skipped: list[DayStep] = []

    def flush() -> None:
        if not skipped:
            return
        first, last = skipped[0], skipped[-1]
        words = " ".join(
            dict.fromkeys(s.reason.holiday or _DAY_WORDS.get(s.reason.kind, str(s.reason.kind)) for s in skipped)
        )
        span = f"{first.day:%m-%d}" if first is last else f"{first.day:%m-%d}–{last.day:%m-%d}"
        shown.append(f"{span} {words}")
        skipped.clear()

    for step in steps:
        if step.number == 0 and step.reason.kind is not DayKind.START:
            skipped.append(step)
            continue
        flush()
        day = f"{step.day:%m-%d}({_WEEKDAYS[step.day.weekday()]})"
        if step.reason.kind is DayKind.START:
            shown.append(f"{day}{_DAY_WORDS[DayKind.START]}")
        elif step.reason.kind is DayKind.MAKEUP:
            shown.append(f"{day}={step.number} 调休上班")
        elif step.reason.kind in (DayKind.CLOCK, DayKind.WRITTEN):
            shown.append(_DAY_WORDS[step.reason.kind])
        else:
            shown.append(f"{day}={step.number}")
    flush()
    return " · ".join(shown)


def day_words(day: date) -> str:
    """Say a day as papers do: `2026年11月21日`."""
    return f"{day.year}年{day.month}月{day.day}日"


def instant_words(instant: datetime) -> str:
    """Say an instant as papers do; midnight is 24时 of the day that ends with it (K5)."""
    local = instant.astimezone(SHANGHAI)
    if (local.hour, local.minute, local.second, local.microsecond) == (0, 0, 0, 0):
        return f"{day_words(date.fromordinal(local.toordinal() - 1))}24时"
    seconds = f"{local.second}秒" if local.second else ""
    return f"{day_words(local.date())}{local.hour}时{local.minute:02}分{seconds}"


def citation_words(citation: Citation | None) -> str:
    """Say where a rule stands; a figure that no text gives is the city's own parameter."""
    if citation is None:
        return ""
    if citation.reading is Reading.ASSUMED:
        return f"本市参数与裁量登记 {citation.article}".strip()
    source = f"（{citation.source}）" if citation.source else ""
    return f"《{citation.text}》{source}{citation.article}"
