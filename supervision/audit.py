"""核查全市. Every case read from its events by ranges of ids, folded and audited, in one process or in several.

No table says what broke a rule, so every case is read, as a table made again reads it (`projections.filling`): what is
in memory is a range or two, whatever the number of cases. Nothing is written. An audit up to a position, asked with the
same instant, comes out the same for ever.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing
from datetime import datetime
from typing import Any, NamedTuple

import psycopg

from domain.kinds import KINDS
from domain.law import Law
from domain.policy import Pack
from domain.stored import Codec
from domain.terms import UnitId
from projections import filling
from projections.case import ORDERS
from projections.filling import Ranges, Task
from supervision.findings import Finding, findings, law_assuming

CASES, AFTER_CASES = filling.span_of(ORDERS)


class Question(NamedTuple):
    """What is asked for. A finding is of a period [since, until) by the instant it counts at: its due instant, or when
    a rule was broken. `units` are all that are meant, those below and the predecessors among them; empty text: the
    hotline centre."""

    now: datetime
    units: frozenset[UnitId] | None = None
    since: datetime | None = None
    until: datetime | None = None
    codes: frozenset[str] = frozenset()
    families: frozenset[str] = frozenset()
    severities: frozenset[str] = frozenset()
    assume: Pack | None = None

    def wants(self, finding: Finding) -> bool:
        """Tell whether a finding is among what is asked for."""
        return (
            (self.units is None or finding.unit in self.units)
            and (self.since is None or finding.counts_at >= self.since)
            and (self.until is None or finding.counts_at < self.until)
            and (not self.codes or finding.code in self.codes)
            and (not self.families or finding.family in self.families)
            and (not self.severities or finding.severity in self.severities)
        )


class Part(NamedTuple):
    """What a range of cases came to. `last` is the stream it ended with; empty where it was the last range."""

    cases: int
    events: int
    findings: tuple[Finding, ...]
    last: str = ""


def units_of(law: Law, unit: UnitId, now: datetime) -> frozenset[UnitId]:
    """Return a unit, those below it, and those whose duties they have taken over; the hotline's own unit is itself."""
    if unit in ("", law.hotline_unit):
        return frozenset({""})
    known = [u for u in law.units.by_id if law.is_within(u, unit, now)]
    below = {unit, *known}
    return frozenset(below | {u for u in law.units.by_id if law.successor(u, now) in below})


def audited(task: Task, law: Law, question: Question, jobs: int = 1, size: int = filling.RANGE) -> Iterator[Part]:
    """Yield what each range of cases came to, in the order of ids. Raises Poison and what the database answered."""
    with closing(Ranges(task, size)) as ranges:
        if jobs <= 1:
            with closing(filling.connect(task.dsn)) as reading:
                auditor = _Auditor(task, law, reading, question)
                for span in ranges:
                    with _uncollected():
                        part = auditor.look(*span)
                    yield part
            return
        context = multiprocessing.get_context("spawn")  # a forked child would share our sessions
        with ProcessPoolExecutor(jobs, context, initializer=_begin, initargs=(task, question)) as pool:
            waiting: deque[Future[Part]] = deque()
            try:
                for span in ranges:
                    waiting.append(pool.submit(_look, *span))
                    if len(waiting) > 2 * jobs:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                ranges.stop()
                for future in waiting:
                    future.cancel()


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Look for no garbage meanwhile: what is folded refers to nothing that refers back."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class _Auditor:
    """Whoever reads ranges of cases and audits them: a session, the law, and what is asked."""

    def __init__(self, task: Task, law: Law, reading: psycopg.Connection[Any], question: Question) -> None:
        self._task = task
        self._reading = reading
        self._question = question
        self._codec = Codec(KINDS)
        self._law, self._assumed = law, None
        if question.assume is not None:
            self._law, self._assumed = law_assuming(law, question.assume)

    def look(self, first: str, last: str) -> Part:
        """Return what a range came to."""
        question, cases, events = self._question, 0, 0
        found: list[Finding] = []
        for entries in filling.histories(self._task, self._codec, self._reading, first, last):
            cases += 1
            events += len(entries)
            found += filter(question.wants, findings(entries, self._law, question.now, assumed=self._assumed))
        return Part(cases, events, tuple(found), "" if last == AFTER_CASES else last)


_here: list[_Auditor] = []  # of a process that audits: made once, when it begins


def _begin(task: Task, question: Question) -> None:
    reading = filling.connect(task.dsn)
    law = filling.law_of(task, Codec(KINDS), reading)
    _here.append(_Auditor(task, law, reading, question))
    gc.freeze()
    gc.disable()  # what is folded refers to nothing that refers back


def _look(first: str, last: str) -> Part:
    return _here[0].look(first, last)


def page_of(task: Task, law: Law, question: Question, after: str, size: int) -> Part:
    """Return what the next so many cases after a stream came to: work that is bounded by their number."""
    with closing(filling.connect(task.dsn)) as reading:
        said = {"first": after or CASES, "last": AFTER_CASES, "size": size}
        found = reading.execute(task.statements["range_end"].encode(), said).fetchone()
        last = AFTER_CASES if found is None else found[0]
        return _Auditor(task, law, reading, question).look(after or CASES, last)
