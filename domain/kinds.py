"""Every kind of stream that a city's ledger folds: orders, the institution, and what is about neither or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from domain import guards, institution, order
from domain.context import Context, StreamKind
from domain.matters import affairs, batches, calls, inquiries, publications, subjects
from domain.refusals import EventNotShareable, RoleNotAllowed
from domain.sharing import PublishShareAgreement
from domain.terms import Act, Step


def _decide(law: Any, act: Act, context: Context) -> Sequence[Step]:
    if context.actor.role not in act.roles:
        raise RoleNotAllowed(f"{context.actor.role}; 可由 allowed: {', '.join(sorted(act.roles))}")
    guards.countable(act)
    if isinstance(act, PublishShareAgreement):
        for name in act.event_types:
            if name not in TOLD:
                raise EventNotShareable(name, name=name)
    return institution.decide(law, act, context.actor, context.now)  # type: ignore[arg-type]  its own commands only


INSTITUTION = StreamKind(
    name=institution.STREAM,
    events=institution.EVENTS,
    commands=institution.COMMANDS,
    evolve=institution.evolve,
    decide=_decide,
)

KINDS: tuple[StreamKind, ...] = (
    order.KIND,
    INSTITUTION,
    affairs.KIND,
    calls.KIND,
    inquiries.KIND,
    publications.KIND,
    subjects.KIND,
    batches.KIND,
)

COMMANDS: tuple[type[Act], ...] = tuple(command for kind in KINDS for command in kind.commands)
"""Every command that anybody may give, of whatever stream."""

TOLD: frozenset[str] = frozenset(
    str(event.__struct_config__.tag)
    for kind in KINDS
    if kind.name not in ("call", "subject", "batch")
    for event in kind.events
    if event is not publications.DataPushed  # or every push would be pushed
)
"""Events that others may be told of. Who called, whose data were erased, which files went and who looked at what are nobody
else's."""
