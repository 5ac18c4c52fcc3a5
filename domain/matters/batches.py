"""档案批次. Files on their way out, many at once: a packet handed over to the archives and its receipt; a list to be destroyed.

A packet is one batch for ever: its id follows from the packet's digest. Which cases are in it follows from its numbers;
a list names them. What becomes of each case is recorded with the case (`TransferArchive`, `DisposeFile`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import date
from typing import Annotated, ClassVar, Final, Literal
from uuid import UUID

import msgspec

from domain import guards, refusals
from domain.context import Context
from domain.matters.folding import Folded, derived, here, kind, mark
from domain.state import WorkOrder
from domain.steps.disposing import disposable, listed
from domain.terms import (
    SHANGHAI,
    Act,
    Citation,
    Code,
    Digest,
    Entry,
    Fact,
    Mark,
    Number,
    Private,
    Role,
    Step,
    Struct,
    UserId,
    Word,
)

Count = Annotated[int, msgspec.Meta(ge=0)]
MOST_LISTED: Final = 500
"""The most cases of one list: each of them is read when it is proposed."""

SIGNERS: Final = (Role.HOTLINE_MANAGER, Role.LEADER, Role.SUPERVISOR)
"""Who must all agree that files are destroyed, beside the archivist who proposes it: 业务部门, 单位领导, 监督."""


class BatchKind(Word):
    """批次种类. Where the files of a batch go."""

    HANDOVER = "handover", "移交"
    DISPOSAL = "disposal", "销毁"


class RefusedPiece(Struct, frozen=True):
    """拒收件. A case that the archives did not take, and why."""

    file_number: Code  # as the ledger gave it: 2026-D30-0007
    reason: Code


# --- state -------------------------------------------------------------------------------------------------------


class Batch(Folded, frozen=True, kw_only=True):
    """档案批次."""

    what: BatchKind
    opened: Mark
    opened_by: UserId
    number: str = ""
    digest: str = ""
    packet: str = ""
    receiver: str = ""
    year: int = 0
    period: str = ""
    first: int = 0
    last: int = 0
    left_out: tuple[int, ...] = ()
    cases: int = 0
    received: Mark | None = None
    receipt: str = ""
    refused: tuple[RefusedPiece, ...] = ()
    orders: tuple[UUID, ...] = ()
    basis: Citation | None = None
    agreed: tuple[tuple[Role, UserId], ...] = ()
    approved: Mark | None = None
    rejected: Mark | None = None

    def holds(self, file_number: str) -> bool:
        """Tell whether the packet has the case of a number."""
        found = _NUMBER.fullmatch(file_number)
        if found is None or (int(found[1]), found[2]) != (self.year, self.period):
            return False
        no = int(found[3])
        return self.first <= no <= self.last and no not in self.left_out

    def why_refused(self, file_number: str) -> str:
        """Return why the archives did not take a case; empty where they did."""
        return next((one.reason for one in self.refused if one.file_number == file_number), "")


_NUMBER = re.compile(r"(\d{4})-(Y|D30|D10)-(\d{4,9})", re.ASCII)


class BatchState(Word):
    """批次状态."""

    SENT = "sent", "已移交待回执"
    RECEIVED = "received", "已接收"
    PARTLY = "partly", "部分接收"
    PROPOSED = "proposed", "待会签"
    APPROVED = "approved", "已批准销毁"
    REJECTED = "rejected", "不同意销毁"


def state_of(batch: Batch) -> BatchState:
    """Return how far a batch is."""
    if batch.what is BatchKind.HANDOVER:
        if batch.received is None:
            return BatchState.SENT
        return BatchState.PARTLY if batch.refused else BatchState.RECEIVED
    if batch.rejected is not None:
        return BatchState.REJECTED
    return BatchState.PROPOSED if batch.approved is None else BatchState.APPROVED


def handover_stream(digest: str) -> str:
    """Return the stream of a packet that is handed over, by the digest of its tag manifest."""
    return derived("batch", "handover", digest)


# --- events ------------------------------------------------------------------------------------------------------


class PacketHandedOver(Fact, frozen=True, tag="batch.packet_handed_over"):
    """移交信息包. The packet went to the archives with its form; its number is the commit's."""

    packet: Code
    digest: Digest  # of tagmanifest-sha256.txt, which holds all the others
    inventory: Digest  # of 归档文件目录.csv
    receiver: Code
    year: int
    period: Literal["Y", "D30", "D10"]
    first: int
    last: int
    cases: Count
    pages: Count
    size: Count  # bytes
    left_out: tuple[int, ...] = ()


class PacketReceived(Fact, frozen=True, tag="batch.packet_received"):
    """接收回执. The archives took the packet, or part of it, and gave their receipt."""

    receipt: Code  # the archives' own number
    received_by: Code
    received_on: date
    digest: Digest
    cases: Count
    received_cases: Count
    refused: tuple[RefusedPiece, ...] = ()
    document: Digest | None = None  # of the receipt as it was signed


class DisposalProposed(Fact, frozen=True, tag="batch.disposal_proposed"):
    """提请销毁. A list of files whose retention is over; its number is the commit's, its digest what the others agree to."""

    digest: Digest
    orders: tuple[UUID, ...]
    basis: Citation
    words: Private | None = None


class DisposalAgreed(Fact, frozen=True, tag="batch.disposal_agreed"):
    """会签同意销毁. One of those who must all agree did; the role is that of the entry's actor."""

    digest: Digest
    role: Role


class DisposalApproved(Fact, frozen=True, tag="batch.disposal_approved"):
    """批准销毁. All have agreed: the files of the list may be destroyed, one after the other."""

    digest: Digest
    orders: tuple[UUID, ...]
    basis: Citation


class DisposalRejected(Fact, frozen=True, tag="batch.disposal_rejected"):
    """不同意销毁."""

    words: Private


# --- folding -----------------------------------------------------------------------------------------------------


def on_packet_handed_over(batch: Batch | None, event: PacketHandedOver, entry: Entry) -> Batch:
    """Fold the hand-over."""
    return Batch(
        stream=entry.stream,
        what=BatchKind.HANDOVER,
        opened=mark(entry),
        opened_by=entry.actor.user,
        number=entry.numbered("handover"),
        digest=event.digest,
        packet=event.packet,
        receiver=event.receiver,
        year=event.year,
        period=event.period,
        first=event.first,
        last=event.last,
        left_out=event.left_out,
        cases=event.cases,
    )


def on_packet_received(batch: Batch, event: PacketReceived, entry: Entry) -> Batch:
    """Fold the receipt."""
    return msgspec.structs.replace(batch, received=mark(entry), receipt=event.receipt, refused=event.refused)


def on_disposal_proposed(batch: Batch | None, event: DisposalProposed, entry: Entry) -> Batch:
    """Fold the list."""
    return Batch(
        stream=entry.stream,
        what=BatchKind.DISPOSAL,
        opened=mark(entry),
        opened_by=entry.actor.user,
        number=entry.numbered("disposal"),
        digest=event.digest,
        orders=event.orders,
        cases=len(event.orders),
        basis=event.basis,
    )


def on_disposal_agreed(batch: Batch, event: DisposalAgreed, entry: Entry) -> Batch:
    """Fold one signature."""
    return msgspec.structs.replace(batch, agreed=(*batch.agreed, (event.role, entry.actor.user)))


def on_disposal_approved(batch: Batch, event: DisposalApproved, entry: Entry) -> Batch:
    """Fold the decision."""
    return msgspec.structs.replace(batch, approved=mark(entry))


def on_disposal_rejected(batch: Batch, event: DisposalRejected, entry: Entry) -> Batch:
    """Fold the decision."""
    return msgspec.structs.replace(batch, rejected=mark(entry))


# --- commands ----------------------------------------------------------------------------------------------------

_ARCHIVIST = frozenset({Role.ARCHIVIST})


class HandOverPacket(Act, frozen=True, tag="hand_over_packet"):
    """移交信息包. What `huiyin archive handover` reads from a packet that is whole and verified."""

    roles: ClassVar[frozenset[Role]] = _ARCHIVIST
    creates: ClassVar[str] = "batch"
    packet: Code
    digest: Digest
    inventory: Digest
    receiver: Code
    year: Annotated[int, msgspec.Meta(ge=1900, le=2999)]
    period: Literal["Y", "D30", "D10"]
    first: Annotated[int, msgspec.Meta(ge=1)]
    last: Annotated[int, msgspec.Meta(ge=1)]
    cases: Count
    pages: Count
    size: Count
    left_out: tuple[int, ...] = ()


class RecordPacketReceipt(Act, frozen=True, tag="record_packet_receipt"):
    """登记接收回执. As the archives gave it: which packet by its digest, how many, what they did not take and why."""

    roles: ClassVar[frozenset[Role]] = _ARCHIVIST
    receipt: Code
    received_by: Code
    received_on: date
    digest: Digest
    cases: Count
    refused: tuple[RefusedPiece, ...] = ()
    document: Digest | None = None


class ProposeDisposal(Act, frozen=True, tag="propose_disposal"):
    """提请销毁. Names the cases and the digest of their list (`huiyin archive expired`); each was appraised after its retention."""

    roles: ClassVar[frozenset[Role]] = _ARCHIVIST
    creates: ClassVar[str] = "batch"
    digest: Digest
    orders: tuple[UUID, ...]
    basis: Citation
    words: Private | None = None

    def reads(self) -> tuple[str, ...]:
        """Name the cases of the list."""
        return tuple(f"order:{order}" for order in self.orders[: MOST_LISTED + 1])


class AgreeDisposal(Act, frozen=True, tag="agree_disposal"):
    """会签同意销毁. Names the digest of the list that was read. The last of those who must agree approves it."""

    roles: ClassVar[frozenset[Role]] = frozenset(SIGNERS)
    digest: Digest


class RejectDisposal(Act, frozen=True, tag="reject_disposal"):
    """不同意销毁. By any of those who would have to agree: then nothing of the list is destroyed."""

    roles: ClassVar[frozenset[Role]] = frozenset(SIGNERS)
    words: Private


# --- deciding ----------------------------------------------------------------------------------------------------


def hand_over(batch: Batch | None, command: HandOverPacket, context: Context) -> list[Step]:
    """Hand a packet over, once, if what is in it is what its numbers say."""
    here(context, handover_stream(command.digest))
    if batch is not None:
        raise refusals.AlreadyHandedOver(batch.number)
    left = command.left_out
    inside = all(command.first <= no <= command.last for no in left)
    if not inside or len(set(left)) < len(left) or command.cases != command.last - command.first + 1 - len(left):
        raise refusals.PacketMiscounted(f"{command.first}..{command.last} − {len(left)} ≠ {command.cases}")
    if not command.cases:
        raise refusals.PacketMiscounted("0")
    told = {name: getattr(command, name) for name in PacketHandedOver.__struct_fields__}
    return [PacketHandedOver(**told), Number("handover")]


def record_receipt(batch: Batch, command: RecordPacketReceipt, context: Context) -> list[Step]:
    """Record what the archives say they have, if that is what was handed over."""
    if batch.what is not BatchKind.HANDOVER:
        raise refusals.ReceiptDiffers("不是移交批次 no hand-over", field="digest")
    if batch.received is not None:
        raise refusals.AlreadyReceived(batch.receipt)
    if command.digest != batch.digest:
        raise refusals.ReceiptDiffers(f"digest: {command.digest} ≠ {batch.digest}", field="digest")
    if command.cases != batch.cases:
        raise refusals.ReceiptDiffers(f"cases: {command.cases} ≠ {batch.cases}", field="cases")
    handed = batch.opened.at.astimezone(SHANGHAI).date()
    if not handed <= command.received_on <= context.now.astimezone(SHANGHAI).date():
        raise refusals.ReceiptDiffers(
            f"received_on: {command.received_on}; 移交 handed over {handed}", field="received_on"
        )
    numbers = [one.file_number for one in command.refused]
    for number in numbers:
        if not batch.holds(number):
            raise refusals.NotInPacket(f"{number} · {batch.packet}")
    if len(set(numbers)) < len(numbers):
        raise refusals.ReceiptDiffers("refused: 重复 named twice", field="refused")
    told = {name: getattr(command, name) for name in RecordPacketReceipt.__struct_fields__}
    return [PacketReceived(received_cases=batch.cases - len(numbers), **told)]


def list_digest(orders: Iterable[WorkOrder]) -> str:
    """Return the digest by which a list of files is named: of its lines, as `disposing.listed` writes them."""
    text = "".join(f"{listed(order)}\n" for order in orders)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def propose_disposal(batch: Batch | None, command: ProposeDisposal, context: Context) -> list[Step]:
    """Propose a list, if every case on it may be destroyed and the list is what its digest says."""
    if batch is not None:
        raise refusals.AlreadyProposed
    if not 0 < len(set(command.orders)) == len(command.orders) <= MOST_LISTED:
        raise refusals.ListUnfit(f"{len(command.orders)}; 1 … {MOST_LISTED}")
    found: list[WorkOrder] = []
    for order in command.orders:
        case: WorkOrder | None = context.other(f"order:{order}")
        if case is None:
            raise refusals.UnknownOrder(f"{order}")
        disposable(case, context)
        found.append(case)
    if (digest := list_digest(found)) != command.digest:
        raise refusals.DiffersFromProposed(f"{command.digest} ≠ {digest}")
    told = {name: getattr(command, name) for name in DisposalProposed.__struct_fields__}
    return [DisposalProposed(**told), Number("disposal")]


def _waiting(batch: Batch, context: Context) -> None:
    if batch.what is not BatchKind.DISPOSAL or batch.approved is not None or batch.rejected is not None:
        raise refusals.NoSuchProposal
    guards.another_person(context, batch.opened_by)


def agree_disposal(batch: Batch, command: AgreeDisposal, context: Context) -> list[Step]:
    """Agree to a list in one's own role; nobody does so in two."""
    _waiting(batch, context)
    if command.digest != batch.digest:
        raise refusals.DiffersFromProposed(f"{command.digest} ≠ {batch.digest}")
    guards.another_person(context, *(user for _, user in batch.agreed))
    role = context.actor.role
    there = {of for of, _ in batch.agreed}
    if role in there:
        raise refusals.AlreadyAgreed(role.zh)
    agreed: list[Step] = [DisposalAgreed(digest=batch.digest, role=role)]
    if {*there, role} == set(SIGNERS) and batch.basis is not None:
        agreed.append(DisposalApproved(digest=batch.digest, orders=batch.orders, basis=batch.basis))
    return agreed


def reject_disposal(batch: Batch, command: RejectDisposal, context: Context) -> list[Step]:
    """Leave the files where they are."""
    _waiting(batch, context)
    return [DisposalRejected(words=command.words)]


KIND = kind(
    "batch",
    births={PacketHandedOver: on_packet_handed_over, DisposalProposed: on_disposal_proposed},
    evolves={
        PacketReceived: on_packet_received,
        DisposalAgreed: on_disposal_agreed,
        DisposalApproved: on_disposal_approved,
        DisposalRejected: on_disposal_rejected,
    },
    opens={HandOverPacket: hand_over, ProposeDisposal: propose_disposal},
    decides={
        RecordPacketReceipt: record_receipt,
        AgreeDisposal: agree_disposal,
        RejectDisposal: reject_disposal,
    },
)
