"""补缺. How a city's pack takes from its parents what its own text leaves open, and nothing else (R-09, DESIGN 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from domain.packs import CLASS_OPTIONS, EXTENDABLE, EXTENSION_RULE, OPTION_OF, WILDCARDS, check, reached
from domain.policy import (
    Acceptance,
    ClassRule,
    ClockRule,
    Guard,
    LimitSource,
    Option,
    Pack,
    PolicyError,
    When,
    digest,
    figure_of,
    keys_of,
)
from domain.terms import (
    Citation,
    ClockName,
    Limit,
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
        raise PolicyError(child.id, "基础规则只补足其他规则 a base pack only fills others")
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
    held, _ = reached([rule for rule, *_ in made])
    kept = [one for one in made if one[0].name in held]
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
            key = next((k for k in keys_of(wholes[part.name]) if k in old), None) if part.name in wholes else None
            if key is None:
                continue
            if next((k for k in keys_of(part) if k in new), None) != key:
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
    asked = [c for c in classes if _asks(asking, c) and figure_of(given.limit, c) is not None]
    limit: dict[str, Limit] = {}
    bases: dict[str, Citation] = {}
    for one in asked:
        key = next(k for k in keys_of(one) if k in given.limit)
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
        said |= EXTENSION_RULE
    said |= {name for name, clock in OPTION_OF.items() if clock in has}
    return (
        *(_spread_option(option, mine) for option in child.options),
        *(
            _spread_option(option, theirs)
            for option in parent.options
            if option.name not in said and (option.name not in CLASS_OPTIONS or set(option.value) <= set(theirs))
        ),
    )


def _spread_option(option: Option, spread: Spread) -> Option:
    if option.name not in CLASS_OPTIONS:
        return option
    return msgspec.structs.replace(option, value=list(_names(tuple(option.value), spread)))
