"""⑤ What is over is appraised, kept longer, or destroyed as several agreed; nothing that is still wanted for something."""

from datetime import date
from typing import Any
from uuid import UUID

import msgspec
import pytest

from archive.filing import Stage, standing
from domain import refusals
from domain.context import Context
from domain.matters import batches
from domain.state import Proposal
from domain.steps.correcting import ProposeCorrection, ProposeErasure
from domain.steps.disposing import (
    AppraiseFile,
    DisposeFile,
    FileAppraised,
    FileDisposed,
    Opinion,
    disposable,
    held_by,
    listed,
)
from domain.steps.filing import ArchiveTransferred, IssueUseCopy, RecordDossier, TransferArchive, retention_ends
from domain.terms import Mark, Number, Shred
from tests.given import ARCHIVIST, BASIS, MANAGER, Case, at
from tests.steps.test_filing import APPEAL, filed, sealed, seen

LIST = UUID(int=77)
CONTROLLED = AppraiseFile(opinion=Opinion.CONTROLLED, basis=BASIS)
DISPOSE = DisposeFile(disposal=LIST, witness="witness")
OVER = "2036-01-01 00:00:00.001"


def over(**said: Any) -> Case:
    """A sealed file of ten years, the day after they ended, appraised."""
    filing = sealed(**said).order.filing
    case = sealed(**said).having(filing=msgspec.structs.replace(filing, period="D10", file_number="2025-D10-0007"))
    return case.at(OVER).does(CONTROLLED, by=ARCHIVIST)


def approved(case: Case, **changes: Any) -> dict[str, Any]:
    batch = batches.Batch(
        stream=f"batch:{LIST}",
        what=batches.BatchKind.DISPOSAL,
        opened=Mark(at(OVER), 9),
        opened_by="h-archivist",
        digest="sha256:" + "d" * 64,
        orders=(case.order.id,),
        basis=BASIS,
        approved=Mark(at(OVER), 12),
    )
    return {f"batch:{LIST}": msgspec.structs.replace(batch, **changes)}


def context(case: Case, others: Any = None) -> Context:
    return Context(actor=ARCHIVIST, now=case.now, law=case.law, stream=case.order.stream, others=others or {})


def asked(case: Case) -> None:
    disposable(case.order, context(case))


def test_retention_ends_with_the_last_of_its_years_and_what_is_permanent_never():
    assert retention_ends(over().order) == at("2036-01-01")
    for_good = sealed().having(filing=msgspec.structs.replace(sealed().order.filing, period="Y")).at("2999-01-01")
    assert retention_ends(for_good.order) is None
    with pytest.raises(refusals.PermanentFile):
        asked(for_good)


def test_a_file_is_destroyed_with_its_keys_where_all_agreed_to_its_list():
    case = over()
    case.beside(approved(case)).when(DISPOSE, by=ARCHIVIST).then(FileDisposed, Shred)
    gone = case.beside(approved(case)).does(DISPOSE, by=ARCHIVIST)
    assert gone.order.filing.disposed is not None
    assert gone.order.filing.erased is not None
    gone.beside(approved(case)).when(DISPOSE, by=ARCHIVIST).refused(refusals.WrongState)
    gone.when(CONTROLLED, by=ARCHIVIST).refused(refusals.WrongState)
    lent = IssueUseCopy(receiver="市人大监察和司法委员会", purpose="review", upto=1, approver="manager")
    gone.when(lent, by=ARCHIVIST).refused(refusals.WrongState)
    gone.when(TransferArchive(receiver="市档案馆", batch="2036-1"), by=ARCHIVIST).refused(refusals.WrongState)
    again = RecordDossier(
        digest="sha256:" + "0" * 64, template_version="d/1", fonts=(), upto=1, pages=1, edition="full"
    )
    gone.when(again, by=ARCHIVIST).refused(refusals.WrongState)
    words = ProposeCorrection(version=1, field="content", basis="更正", old_text="旧", new_text="甲某的电话")
    gone.when(words, by=ARCHIVIST).refused(refusals.WrongState)
    assert standing(gone.order, (), gone.law, gone.now).stage is Stage.DONE


def test_no_file_is_destroyed_without_its_list_agreed_to_and_a_witness():
    case = over()
    case.beside({}).when(DISPOSE, by=ARCHIVIST).refused(refusals.UnknownStream)
    case.beside(approved(case, approved=None)).when(DISPOSE, by=ARCHIVIST).refused(refusals.DisposalNotApproved)
    case.beside(approved(case, orders=(UUID(int=1),))).when(DISPOSE, by=ARCHIVIST).refused(refusals.NotListed)
    alone = msgspec.structs.replace(DISPOSE, witness=ARCHIVIST.user)
    case.beside(approved(case)).when(alone, by=ARCHIVIST).refused(refusals.SelfApproval)


def test_what_is_not_over_or_not_appraised_since_is_kept():
    filing = sealed().order.filing
    young = sealed().having(filing=msgspec.structs.replace(filing, period="D10")).at("2035-12-31 23:59")
    with pytest.raises(refusals.RetentionRunning):
        asked(young)
    early = young.does(CONTROLLED, by=ARCHIVIST).at(OVER)  # an opinion on its opening, while it was kept
    with pytest.raises(refusals.NotAppraised):
        asked(early)
    asked(early.does(CONTROLLED, by=ARCHIVIST))


def test_what_is_kept_longer_leaves_the_list_until_then():
    case = over()
    until = date(2046, 12, 31)
    case.when(AppraiseFile(opinion=Opinion.EXTENDED, basis=BASIS), by=MANAGER).refused(refusals.ExtensionUnfit)
    early = AppraiseFile(opinion=Opinion.EXTENDED, basis=BASIS, until=date(2035, 6, 1))
    case.when(early, by=MANAGER).refused(refusals.ExtensionUnfit)
    kept = case.when(AppraiseFile(opinion=Opinion.EXTENDED, basis=BASIS, until=until), by=MANAGER).then(FileAppraised)
    assert retention_ends(kept.order) == at("2047-01-01")
    erase = ProposeErasure(ground="request", basis=BASIS)
    kept.when(erase, by=ARCHIVIST).refused(refusals.RetentionRunning)
    kept.beside(approved(kept)).when(DISPOSE, by=ARCHIVIST).refused(refusals.RetentionRunning)
    later = kept.at("2047-01-01 00:00:00.001")
    with pytest.raises(refusals.NotAppraised):
        asked(later)
    asked(later.does(CONTROLLED, by=ARCHIVIST))


def test_what_is_still_wanted_for_something_is_held():
    case = over()
    assert held_by(case.order, case.law) == ()
    filing = case.order.filing
    waits = Proposal(no=1, about="erasure", by="x", unit="", proposed=Mark(at(OVER), 9))
    for changed, reason in (
        (seen(case, appeals=(APPEAL,)), "appeal 1"),
        (case.having(proposals=(waits,)), "proposal erasure"),
        (case.having(filing=msgspec.structs.replace(filing, moved=Mark(at(OVER), 9))), "handed_over"),
        (case.having(filing=msgspec.structs.replace(filing, sealed=None)), "unsealed"),
        (case.having(filing=msgspec.structs.replace(filing, keep="not_filed")), "state archived"),
        (filed().at(OVER), "clock seal"),
    ):
        assert reason in held_by(changed.order, case.law), reason
        with pytest.raises(refusals.FileHeld):
            asked(changed)


def test_a_proposed_list_is_what_its_digest_says():
    case = over()
    stream = f"order:{case.order.id}"
    digest = batches.list_digest([case.order])
    assert listed(case.order).split("\t")[0] == "2025-D10-0007"
    at_hand = context(case, {stream: case.order})
    command = batches.ProposeDisposal(digest=digest, orders=(case.order.id,), basis=BASIS)
    proposed, number = batches.KIND.decide(None, command, at_hand)
    assert isinstance(proposed, batches.DisposalProposed)
    assert isinstance(number, Number)
    assert (proposed.digest, number.journal) == (digest, "disposal")
    other = msgspec.structs.replace(command, digest="sha256:" + "0" * 64)
    with pytest.raises(refusals.DiffersFromProposed):
        batches.KIND.decide(None, other, at_hand)


# --- handing over ------------------------------------------------------------------------------------------------


def handed(**changes: Any) -> dict[str, Any]:
    batch = batches.Batch(
        stream=f"batch:{LIST}",
        what=batches.BatchKind.HANDOVER,
        opened=Mark(at("2025-08-01 09:00"), 9),
        opened_by="h-archivist",
        digest="sha256:" + "d" * 64,
        packet="X",
        receiver="市档案馆",
        year=2025,
        period="D30",
        first=7,
        last=7,
        cases=1,
        received=Mark(at("2025-08-02 09:00"), 10),
        receipt="接字第1号",
    )
    return {f"batch:{LIST}": msgspec.structs.replace(batch, **changes)}


def test_a_file_that_went_in_a_packet_names_it_and_its_receipt():
    case = sealed()
    number = case.order.filing.file_number
    year, period, no = number.split("-")
    command = TransferArchive(receiver="市档案馆", batch="2025-1", handover=LIST)

    def beside(**changes: Any) -> Case:
        return case.beside(
            handed(**{"year": int(year), "period": period, "first": int(no), "last": int(no), **changes})
        )

    (done,) = beside().when(command, by=ARCHIVIST).decide()
    assert isinstance(done, ArchiveTransferred)
    assert (done.handover, done.packet, done.receipt_number) == (LIST, "sha256:" + "d" * 64, "接字第1号")
    case.beside({}).when(command, by=ARCHIVIST).refused(refusals.UnknownStream)
    beside(received=None).when(command, by=ARCHIVIST).refused(refusals.ReceiptMissing)
    beside(receiver="省档案馆").when(command, by=ARCHIVIST).refused(refusals.ReceiptDiffers)
    beside(first=8, last=9).when(command, by=ARCHIVIST).refused(refusals.NotInPacket)
    piece = batches.RefusedPiece(file_number=number, reason="附件缺失")
    beside(refused=(piece,)).when(command, by=ARCHIVIST).refused(refusals.PieceRefused)


def test_what_is_not_filed_at_all_has_no_file_to_appraise():
    case = filed()
    none = msgspec.structs.replace(case.order.filing, keep="not_filed", period="")
    case.having(filing=none).when(CONTROLLED, by=ARCHIVIST).refused(refusals.WrongState)
