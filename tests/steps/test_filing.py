"""⑤ Filing: what a file lacks, its number and retention, the record copy, sealing, handing over."""

from datetime import date
from typing import Any
from uuid import UUID

import msgspec
import pytest

from domain import refusals
from domain.journals import series
from domain.state import (
    Appeal,
    FollowUp,
    Instruction,
    Links,
    Merge,
    Notice,
    Reply,
    WorkOrder,
)
from domain.steps import filing
from domain.steps.correcting import CorrectionProposed
from domain.steps.filing import (
    Archive,
    ArchivePackageSealed,
    ArchiveTransferred,
    DossierRendered,
    IssueUseCopy,
    OrderArchived,
    OrderClosed,
    RecordDossier,
    Seal,
    TransferArchive,
    UseCopyIssued,
    Volume,
    complete,
)
from domain.terms import (
    ClockName,
    ClosureKind,
    Confidentiality,
    Mark,
    NoticeGround,
    NoticeKind,
    Number,
    OrderState,
    Outcome,
)
from tests.given import ARCHIVIST, BASIS, HANDLER, SYSTEM, Case, at, given, registered, working
from tests.steps.test_closing import bound_to

REPLIED_AT = Mark(at("2025-06-17 11:00"), 5)
COPY = "sha256:" + "c" * 64
RECORD = RecordDossier(
    digest=COPY, template_version="1", fonts=("sha256:" + "f" * 64,), upto=1, pages=9, edition="full"
)


def closed(kind: ClosureKind = ClosureKind.SATISFIED, *, told: bool = True, **said: Any) -> Case:
    """An answered order, closed on 2025-06-20 at the ledger's position 101."""
    case = given(working("S4-BEIJING", **said))
    mark = REPLIED_AT if told else None
    reply = Reply(no=1, round=1, episode=1, unit="B", submitted=REPLIED_AT, outcome=Outcome.RESOLVED, informed=mark)
    case = case.having(replies=(reply,), state=OrderState.REPLIED).at("2025-06-20 10:00")
    return case.after(OrderClosed(kind=kind))


def filed(kind: ClosureKind = ClosureKind.SATISFIED, **said: Any) -> Case:
    return closed(kind, **said).at("2025-06-21 10:00").does(Archive(verified_to=101), by=SYSTEM)


def sealed(**said: Any) -> Case:
    case = filed(**said).does(RECORD, by=SYSTEM).at("2025-07-22 00:00:00.001")
    return case.does(Seal(verified_to=103, dossier=COPY), by=ARCHIVIST)


def seen(case: Case, **changes: Any) -> Case:
    return case.having(oversight=msgspec.structs.replace(case.order.oversight, **changes))


NOTICE = Notice(no=1, kind=NoticeKind.WRITTEN, ground=NoticeGround.OVERDUE, unit="B", issued=REPLIED_AT, issued_by="s")
PROMISE = FollowUp(no=1, reply=1, unit="B", promised=REPLIED_AT, implement_by=date(2025, 7, 15))
APPEAL = Appeal(no=1, unit="B", indicator="I9", published_at=at("2025-07-01 09:00"), filed=REPLIED_AT, filed_by="b")
MERGE = Merge(master=UUID(int=9), at=REPLIED_AT, state_before=OrderState.AWAITING_DISPATCH)


class TestCompleteness:
    def test_a_file_with_reply_and_informing_and_nothing_open_is_complete(self):
        assert complete(closed().order, closed().law) == ()

    @pytest.mark.parametrize(
        ("what", "missing"),
        [
            ({"follow_ups": (PROMISE,)}, "follow_up 1"),
            ({"oversight": {"notices": (NOTICE,)}}, "notice 1"),
            ({"oversight": {"instructions": (Instruction(no=1, recorded=REPLIED_AT),)}}, "instruction 1"),
            ({"oversight": {"appeals": (APPEAL,)}}, "appeal 1"),
            ({"links": Links(merge=MERGE)}, "citizen_reply"),
            ({"replies": ()}, "reply"),
        ],
    )
    def test_each_open_duty_and_each_gap_is_named(self, what: dict[str, Any], missing: str):
        case = closed()
        oversight = what.pop("oversight", {})
        case = seen(case.having(**what), **oversight)
        assert missing in complete(case.order, case.law)
        with pytest.raises(refusals.FileIncomplete, match=missing):
            case.when(Archive(verified_to=101), by=SYSTEM).decide()

    def test_what_is_done_about_a_duty_takes_it_off_the_list(self):
        case = seen(
            closed().having(
                follow_ups=(msgspec.structs.replace(PROMISE, done=REPLIED_AT),),
                links=Links(merge=msgspec.structs.replace(MERGE, told=REPLIED_AT)),
            ),
            notices=(msgspec.structs.replace(NOTICE, closed=REPLIED_AT),),
            instructions=(Instruction(no=1, recorded=REPLIED_AT, reported=REPLIED_AT), Instruction(no=2)),
            appeals=(msgspec.structs.replace(APPEAL, decided=REPLIED_AT),),
        )
        assert complete(case.order, case.law) == ()

    def test_a_correction_that_waits_holds_the_file_back(self):
        case = closed().after(CorrectionProposed(version=1, field="place", basis="x", old="a", new="b"), by=HANDLER)
        assert complete(case.order, case.law) == ("correction 1",)

    def test_informing_is_not_asked_of_the_unreachable(self):
        assert complete(closed(told=False).order, closed().law) == ("informed",)
        assert complete(closed(ClosureKind.UNREACHABLE, told=False).order, closed().law) == ()

    def test_a_refusal_needs_its_reason_and_nothing_else(self):
        case = given(registered()).after(OrderClosed(kind=ClosureKind.NOT_ACCEPTED))
        assert complete(case.order, case.law) == ("refusal_reason",)
        case = case.having(filing=msgspec.structs.replace(case.order.filing, refusal="petition"))
        assert complete(case.order, case.law) == ()

    def test_a_refusal_without_its_closing_event_is_asked_for_its_reason_too(self):
        case = given(registered(state=OrderState.NOT_ACCEPTED))
        assert complete(case.order, case.law) == ("refusal_reason",)

    def test_what_was_withdrawn_or_never_dispatched_needs_no_reply(self):
        withdrawn = given(working()).after(OrderClosed(kind=ClosureKind.WITHDRAWN))
        assert complete(withdrawn.order, withdrawn.law) == ()
        assert complete(given(registered()).order, withdrawn.law) == ()

    def test_it_is_asked_before_the_closing_too(self):
        order = msgspec.structs.replace(closed().order, state=OrderState.EVALUATING, filing=filing.Filing())
        assert complete(order, closed().law) == ()


class TestArchiving:
    def test_the_number_is_of_the_year_of_closure_and_the_period(self):
        decided = closed().at("2026-01-05 10:00").when(Archive(verified_to=101), by=SYSTEM).decide()
        wish = decided[-1]
        assert isinstance(wish, Number)
        assert (wish.journal, series(wish, at("2026-01-05 10:00"))) == ("file", "D30-2025")
        order = filed().order
        assert (order.state, order.filing.file_number, order.filing.period) == (
            OrderState.ARCHIVED,
            "2025-D30-0001",
            "D30",
        )

    @pytest.mark.parametrize(
        ("kind", "keep", "number"),
        [
            (ClosureKind.DIRECT, "register_line", "2025-D10-L0001"),
            (ClosureKind.WITHDRAWN, "dossier", "2025-D10-0001"),
            (ClosureKind.SATISFIED, "dossier", "2025-D30-0001"),
        ],
    )
    def test_the_table_decides_how_it_is_kept(self, kind, keep, number):
        case = filed(kind)
        assert (case.order.filing.keep, case.order.filing.file_number) == (keep, number)

    def test_a_leaders_instruction_keeps_it_for_good(self):
        told = Instruction(no=1, recorded=REPLIED_AT, reported=REPLIED_AT)
        case = seen(closed(), instructions=(told,)).does(Archive(verified_to=101), by=SYSTEM)
        assert case.order.filing.file_number == "2025-Y-0001"

    def test_a_verification_that_ends_before_the_closure_or_beyond_the_ledger_is_refused(self):
        closed().when(Archive(verified_to=100), by=SYSTEM).refused(refusals.ChainNotVerified)
        closed().when(Archive(verified_to=102), by=SYSTEM).refused(refusals.ChainNotVerified)

    def test_open_orders_are_not_filed(self):
        given(working()).when(Archive(verified_to=100), by=SYSTEM).refused(refusals.WrongState)

    def test_what_an_import_lacks_for_good_is_written_down_and_filed(self):
        case = closed(told=False, imported=True)
        case.when(Archive(verified_to=101), by=SYSTEM).refused(refusals.FileIncomplete)
        with_gaps = Archive(verified_to=101, gaps=("informed",), words="旧系统无告知记录")
        assert case.does(with_gaps, by=ARCHIVIST).order.state is OrderState.ARCHIVED
        closed(told=False).when(with_gaps, by=ARCHIVIST).refused(refusals.FileIncomplete)

    def test_an_open_duty_is_never_a_gap(self):
        case = closed(imported=True).having(follow_ups=(PROMISE,))
        command = Archive(verified_to=101, gaps=("follow_up 1",))
        case.when(command, by=ARCHIVIST).refused(refusals.FileIncomplete)

    def test_only_the_archivist_sets_another_period_with_a_basis(self):
        stated = Archive(verified_to=101, keep="dossier", period="Y", basis=BASIS)
        assert closed().does(stated, by=ARCHIVIST).order.filing.file_number == "2025-Y-0001"
        closed().when(stated, by=SYSTEM).refused(refusals.RetentionUnknown)
        without = msgspec.structs.replace(stated, basis=None)
        closed().when(without, by=ARCHIVIST).refused(refusals.RetentionUnknown)
        odd = msgspec.structs.replace(stated, keep="not_filed")
        closed().when(odd, by=ARCHIVIST).refused(refusals.RetentionUnknown)

    def test_keep_without_a_period_is_not_enough(self):
        closed().when(Archive(verified_to=101, keep="dossier", basis=BASIS), by=ARCHIVIST).refused(
            refusals.RetentionUnknown
        )
        closed().when(Archive(verified_to=101, period="Y", basis=BASIS), by=ARCHIVIST).refused(
            refusals.RetentionUnknown
        )

    def test_where_the_table_is_silent_the_archivist_must_speak(self):
        case = closed()
        silent = msgspec.structs.replace(case.law.rules(case.order.policy).pack, retention=())
        case = bound_to(case, silent)
        case.when(Archive(verified_to=101), by=SYSTEM).refused(refusals.RetentionUnknown)
        case.when(Archive(verified_to=101, keep="dossier", period="Y", basis=BASIS), by=ARCHIVIST).then(
            OrderArchived, Number
        )

    def test_the_file_number_is_told_from_other_numbers_of_the_commit(self):
        archived = OrderArchived(keep="dossier", period="D30", basis=BASIS)
        case = closed().after(archived, numbers={"order/CD20250616": (3,), "file/D30-2025": (7,)})
        assert case.order.filing.file_number == "2025-D30-0007"
        assert closed().after(archived, numbers={"order/CD20250616": (3,)}).order.filing.file_number == ""

    def test_a_changed_period_gives_a_new_number_and_keeps_the_old_as_reference(self):
        again = Archive(verified_to=102, keep="dossier", period="Y", basis=BASIS)
        case = filed().does(again, by=ARCHIVIST)
        assert case.order.filing.file_number == "2025-Y-0001"
        assert case.order.filing.earlier_numbers == ("2025-D30-0001",)
        filed().when(Archive(verified_to=102), by=SYSTEM).refused(refusals.NothingChanged)

    def test_a_file_reopened_and_closed_in_the_same_year_keeps_its_number(self):
        case = filed()
        case = case.having(filing=msgspec.structs.replace(case.order.filing, filed=None), state=OrderState.CLOSED)
        decided = case.when(Archive(verified_to=102), by=SYSTEM).decide()
        assert [type(step) for step in decided] == [OrderArchived]
        assert case.does(Archive(verified_to=102), by=SYSTEM).order.filing.file_number == "2025-D30-0001"

    def test_what_is_not_filed_has_no_number(self):
        stated = Archive(verified_to=101, keep="not_filed", period="", basis=BASIS)
        case = closed().does(stated, by=ARCHIVIST)
        assert (case.order.filing.file_number, case.order.filing.keep) == ("", "not_filed")

    def test_a_history_that_closed_without_saying_so_is_closed_by_its_filing(self):
        case = given(registered()).after(OrderArchived(keep="dossier", period="D30", basis=BASIS, file_number="旧-7"))
        assert case.order.filing.closed is not None
        assert case.order.filing.file_number == "旧-7"
        assert not case.order.is_open


class TestSealing:
    def test_thirty_days_after_filing_and_not_before(self):
        assert filed().clock(ClockName.SEAL).due == at("2025-07-22 00:00")
        ready = filed().does(RECORD, by=SYSTEM)
        command = Seal(verified_to=103, dossier=COPY)
        ready.at("2025-07-22 00:00").when(command, by=SYSTEM).refused(refusals.NotYetDue)
        case = ready.at("2025-07-22 00:00:00.001").when(command, by=SYSTEM)
        case = case.then(ArchivePackageSealed(verified_to=103, dossier=COPY))
        assert case.order.filing.sealed is not None
        assert case.clock(ClockName.SEAL).stop == case.order.filing.sealed
        case.when(command, by=SYSTEM).refused(refusals.OrderSealed)
        case.when(Archive(verified_to=104), by=SYSTEM).refused(refusals.OrderSealed)

    def test_it_seals_the_record_copy(self):
        case = filed().at("2025-07-23 00:00")
        case.when(Seal(verified_to=102), by=SYSTEM).refused(refusals.DossierMissing)
        case.when(Seal(verified_to=102, dossier=COPY), by=SYSTEM).refused(refusals.DossierMissing)
        masked = case.does(msgspec.structs.replace(RECORD, edition="masked"), by=SYSTEM)
        masked.when(Seal(verified_to=102, dossier=COPY), by=SYSTEM).refused(refusals.DossierMissing)
        line = filed(ClosureKind.DIRECT).at("2025-07-23 00:00")
        line.when(Seal(verified_to=102), by=SYSTEM).then(ArchivePackageSealed)

    def test_a_copy_rendered_before_the_filing_is_not_the_record_copy(self):
        early = closed().does(RECORD, by=SYSTEM).at("2025-06-21 10:00")
        case = early.does(Archive(verified_to=101), by=SYSTEM).at("2025-07-23 00:00")
        case.when(Seal(verified_to=103, dossier=COPY), by=SYSTEM).refused(refusals.DossierMissing)

    def test_a_duty_that_arose_after_filing_holds_it_back(self):
        case = seen(filed().does(RECORD, by=SYSTEM).at("2025-07-23 00:00"), appeals=(APPEAL,))
        case.when(Seal(verified_to=103, dossier=COPY), by=SYSTEM).refused(refusals.FileIncomplete)
        case.when(Seal(verified_to=1, dossier=COPY), by=SYSTEM).refused(refusals.ChainNotVerified)

    def test_only_a_filed_order_is_sealed(self):
        closed().when(Seal(verified_to=101), by=SYSTEM).refused(refusals.WrongState)


class TestTheRecordCopyAndTheArchives:
    def test_a_rendering_is_recorded_by_its_digest(self):
        case = filed().when(RECORD, by=SYSTEM).then(DossierRendered)
        assert case.order.filing.dossiers == (COPY,)
        beyond = msgspec.structs.replace(RECORD, upto=99)
        filed().when(beyond, by=SYSTEM).refused(refusals.UnknownVersion)

    def test_all_volumes_of_a_long_case_are_recorded_at_once_and_each_is_another(self):
        second, third = (Volume(digest="sha256:" + digit * 64, pages=4) for digit in "de")
        whole = msgspec.structs.replace(RECORD, further=(second, third))
        case = filed().when(whole, by=SYSTEM).then(DossierRendered)
        assert case.order.filing.record_copies == (COPY,)
        for twice in ((second, second), (Volume(digest=COPY, pages=9),)):
            wrong = msgspec.structs.replace(RECORD, further=twice)
            filed().when(wrong, by=SYSTEM).refused(refusals.VolumeTwice)

    def test_a_copy_for_use_is_numbered_approved_by_another_and_of_a_closed_case(self):
        command = IssueUseCopy(receiver="市人大监察和司法委员会", purpose="review", upto=1, approver="manager")
        sealed().when(command, by=ARCHIVIST).then(UseCopyIssued, Number("use_copy"))
        own = msgspec.structs.replace(command, approver=ARCHIVIST.user)
        closed().when(own, by=ARCHIVIST).refused(refusals.SelfApproval)
        beyond = msgspec.structs.replace(command, upto=99)
        closed().when(beyond, by=ARCHIVIST).refused(refusals.UnknownVersion)
        given(working()).when(command, by=ARCHIVIST).refused(refusals.WrongState)

    def test_a_sealed_file_is_handed_over_once(self):
        command = TransferArchive(receiver="市档案馆", batch="2045-1")
        filed().when(command, by=ARCHIVIST).refused(refusals.NotSealed)
        case = sealed().when(command, by=ARCHIVIST).then(ArchiveTransferred)
        case.when(command, by=ARCHIVIST).refused(refusals.WrongState)

    def test_an_informants_file_goes_with_its_sealed_part(self):
        case = sealed(confidentiality=Confidentiality.INFORMANT)
        command = TransferArchive(receiver="市档案馆", batch="2045-1")
        case.when(command, by=ARCHIVIST).refused(refusals.SealedPartMissing)
        whole = msgspec.structs.replace(command, sealed_part="sha256:" + "a" * 64)
        case.when(whole, by=ARCHIVIST).then(ArchiveTransferred)


def test_filing_at_closing_makes_nothing_of_an_incomplete_file():
    def files(order: WorkOrder, case: Case) -> list[type]:
        context = filing.Context(actor=SYSTEM, now=case.now, law=case.law, stream=order.stream)
        return [type(s) for s in filing.file_at_closing(order, context, ClosureKind.DEEMED_BASICALLY_SATISFIED)]

    case = closed()
    assert files(case.order, case) == [OrderArchived, Number]
    assert files(case.having(follow_ups=(PROMISE,)).order, case) == []
