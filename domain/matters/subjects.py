"""个人信息主体. One applicant across all their orders, known by a random id: erasing them, or restricting what is kept.

Erasing destroys the keys of the subject in every case, and the row by which their number finds them.
"""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

import msgspec

from domain import guards, refusals
from domain.context import Context
from domain.matters.folding import Folded, id_of, kind, mark
from domain.state import WorkOrder
from domain.steps.correcting import retention_runs
from domain.terms import Act, Citation, Code, Entry, Fact, Mark, Private, Role, Shred, Step, UserId


class Subject(Folded, frozen=True, kw_only=True):
    """个人信息主体."""

    orders: tuple[UUID, ...] = ()  # as listed with the proposal
    ground: str = ""
    basis: Citation | None = None
    proposed: Mark | None = None  # a proposal waits while this stands
    proposed_by: UserId = ""
    erased: Mark | None = None
    restricted: Mark | None = None


def subject_stream(subject: UUID) -> str:
    """Return the stream of a subject."""
    return f"subject:{subject}"


# --- events ------------------------------------------------------------------------------------------------------


class SubjectErasureProposed(Fact, frozen=True, tag="subject.subject_erasure_proposed"):
    """提请销毁个人信息. With every order of the subject, as found at a position of the ledger."""

    ground: Code
    basis: Citation
    orders: tuple[UUID, ...]
    found_at_position: int
    words: Private | None = None


class SubjectErased(Fact, frozen=True, tag="subject.subject_erased"):
    """个人信息销毁. The subject's keys were destroyed in this commit, in every case."""

    ground: Code
    basis: Citation
    orders: tuple[UUID, ...]


class SubjectErasureRejected(Fact, frozen=True, tag="subject.subject_erasure_rejected"):
    """不同意销毁个人信息."""

    words: Private


class SubjectRestricted(Fact, frozen=True, tag="subject.subject_restricted"):
    """限制处理个人信息. Kept while retention runs, stored and nothing else."""

    basis: Citation
    words: Private | None = None


# --- folding -----------------------------------------------------------------------------------------------------


def on_erasure_proposed(subject: Subject | None, event: SubjectErasureProposed, entry: Entry) -> Subject:
    """Fold the proposal."""
    return msgspec.structs.replace(
        subject or Subject(stream=entry.stream),
        orders=event.orders,
        ground=event.ground,
        basis=event.basis,
        proposed=mark(entry),
        proposed_by=entry.actor.user,
    )


def on_erased(subject: Subject | None, event: SubjectErased, entry: Entry) -> Subject:
    """Fold the erasure."""
    return msgspec.structs.replace(subject or Subject(stream=entry.stream), erased=mark(entry), proposed=None)


def on_erasure_rejected(subject: Subject, event: SubjectErasureRejected, entry: Entry) -> Subject:
    """Fold the decision."""
    return msgspec.structs.replace(subject, proposed=None)


def on_restricted(subject: Subject | None, event: SubjectRestricted, entry: Entry) -> Subject:
    """Fold the restriction; a request to erase has its answer by it."""
    return msgspec.structs.replace(subject or Subject(stream=entry.stream), restricted=mark(entry), proposed=None)


# --- commands ----------------------------------------------------------------------------------------------------

_DECIDERS = frozenset({Role.HOTLINE_MANAGER, Role.SUPERVISOR})


def _streams(orders: tuple[UUID, ...]) -> tuple[str, ...]:
    return tuple(f"order:{order}" for order in orders)


class ProposeSubjectErasure(Act, frozen=True, tag="propose_subject_erasure"):
    """提请销毁个人信息. Names every order of the subject, looked up at a position."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.AGENT, Role.HOTLINE_MANAGER, Role.ARCHIVIST, Role.SYSTEM})
    ground: Code
    basis: Citation
    orders: tuple[UUID, ...]
    found_at_position: int
    words: Private | None = None

    def reads(self) -> tuple[str, ...]:
        """Name the subject's orders."""
        return _streams(self.orders)


class ApproveSubjectErasure(Act, frozen=True, tag="approve_subject_erasure"):
    """同意销毁个人信息. Names the same orders again: each must still be free to be erased."""

    roles: ClassVar[frozenset[Role]] = _DECIDERS
    orders: tuple[UUID, ...]

    def reads(self) -> tuple[str, ...]:
        """Name the subject's orders."""
        return _streams(self.orders)


class RejectSubjectErasure(Act, frozen=True, tag="reject_subject_erasure"):
    """不同意销毁个人信息."""

    roles: ClassVar[frozenset[Role]] = _DECIDERS
    words: Private


class RestrictSubject(Act, frozen=True, tag="restrict_subject"):
    """限制处理个人信息."""

    roles: ClassVar[frozenset[Role]] = _DECIDERS
    basis: Citation
    words: Private | None = None


# --- deciding ----------------------------------------------------------------------------------------------------


def _free(orders: tuple[UUID, ...], context: Context) -> None:
    """Refuse while an order of the subject is open, or must still be kept (8.10)."""
    for order in orders:
        found: WorkOrder | None = context.other(f"order:{order}")
        if found is None:
            raise refusals.UnknownOrder(f"{order}")
        guards.in_state(found, *guards.ENDED)
        if retention_runs(found, context):
            raise refusals.RetentionRunning(found.filing.file_number or found.number)


def _standing(subject: Subject | None) -> None:
    if subject is not None and subject.erased is not None:
        raise refusals.Erased


def propose_erasure(subject: Subject | None, command: ProposeSubjectErasure, context: Context) -> list[Step]:
    """Ask for the destruction of the subject's keys."""
    _standing(subject)
    if subject is not None and subject.proposed is not None:
        raise refusals.AlreadyProposed
    _free(command.orders, context)
    return [
        SubjectErasureProposed(
            ground=command.ground,
            basis=command.basis,
            orders=command.orders,
            found_at_position=command.found_at_position,
            words=command.words,
        )
    ]


def _waiting(subject: Subject, context: Context) -> None:
    if subject.proposed is None:
        raise refusals.NoSuchProposal
    guards.another_person(context, subject.proposed_by)


def approve_erasure(subject: Subject, command: ApproveSubjectErasure, context: Context) -> list[Step]:
    """Destroy the subject's keys in this commit, and say so."""
    _waiting(subject, context)
    if subject.basis is None or set(command.orders) != set(subject.orders):
        raise refusals.DiffersFromProposed
    _free(command.orders, context)
    erased = SubjectErased(ground=subject.ground, basis=subject.basis, orders=subject.orders)
    return [erased, Shred(subject=id_of(context.stream))]


def reject_erasure(subject: Subject, command: RejectSubjectErasure, context: Context) -> list[Step]:
    """Leave the keys where they are."""
    _waiting(subject, context)
    return [SubjectErasureRejected(words=command.words)]


def restrict(subject: Subject | None, command: RestrictSubject, context: Context) -> list[Step]:
    """Keep the subject's data stored and nothing else."""
    _standing(subject)
    if subject is not None and subject.restricted is not None:
        raise refusals.NothingChanged
    return [SubjectRestricted(basis=command.basis, words=command.words)]


KIND = kind(
    "subject",
    births={
        SubjectErasureProposed: on_erasure_proposed,
        SubjectErased: on_erased,
        SubjectRestricted: on_restricted,
    },
    evolves={SubjectErasureRejected: on_erasure_rejected},
    opens={ProposeSubjectErasure: propose_erasure, RestrictSubject: restrict},
    decides={ApproveSubjectErasure: approve_erasure, RejectSubjectErasure: reject_erasure},
)
