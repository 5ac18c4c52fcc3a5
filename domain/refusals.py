"""Every way a command is refused: one class a reason.

The docstring is what the caller reads: the sentence in Chinese, then in English. `basis` names the article it rests
on, `field` the field of the command that is meant. The stable code is the class name in kebab-case.
"""

from __future__ import annotations

import re
from typing import ClassVar

from domain.terms import Citation


class Refusal(Exception):
    """命令被拒绝。The command was refused."""

    basis: ClassVar[str] = ""
    field: ClassVar[str] = ""

    def __init__(self, detail: str = "", **facts: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts
        self.cited: Citation | None = None  # of the order's own pack, where its text demands the refusal

    @classmethod
    def code(cls) -> str:
        """Return the stable code: the class name in kebab-case."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", cls.__name__).lower()

    @property
    def sentence(self) -> str:
        """Return what the caller reads: Chinese first, English second."""
        return " ".join((type(self).__doc__ or "").split())

    @property
    def grounds(self) -> str:
        """Return what the refusal rests on: the words of the rule text that demands it, else `basis`."""
        if self.cited is None:
            return self.basis
        named = " ".join(part for part in (self.cited.text, self.cited.article, self.cited.source) if part)
        return f"{named}: {self.cited.quote}" if self.cited.quote else named

    def __str__(self) -> str:
        parts = [f"[{self.code()}] {self.sentence}"]
        if self.detail:
            parts.append(self.detail)
        if self.grounds:
            parts.append(f"依据 basis: {self.grounds}")
        return " · ".join(parts)


# --- who and whether at all --------------------------------------------------------------------------------------


class RoleNotAllowed(Refusal):
    """该角色无权执行此操作。This role may not give this command."""

    basis = "DOMAIN 4.1"


class NotYourUnit(Refusal):
    """本单位不是该工单的承办单位。Your unit does not hold this assignment."""

    basis = "DOMAIN 3.3"


class UnknownOrder(Refusal):
    """工单不存在。There is no such order."""


class UnknownStream(Refusal):
    """没有这样的记录流。There is no such stream."""


class WrongState(Refusal):
    """工单当前状态不允许此操作。The order's present state does not allow this command."""

    basis = "DOMAIN 3.3"


class SelfApproval(Refusal):
    """本人提出的事项不得由本人审批。Nobody decides what they proposed themselves."""

    basis = "DOMAIN 4.1, 8.12"


# --- institution -------------------------------------------------------------------------------------------------


class AlreadyFounded(Refusal):
    """本账本已建立。This ledger has been founded already."""


class NotFounded(Refusal):
    """本账本尚未建立。This ledger has not been founded: its first act is `found`."""


class UnknownProposal(Refusal):
    """没有待审批的此项提案。There is no such proposal waiting for a decision."""

    basis = "DOMAIN 8.12"
    field = "proposal"


class IntervalEmpty(Refusal):
    """截止时间须晚于开始时间。The end must lie after the beginning."""


class UnknownPolicy(Refusal):
    """没有发布过此政策版本。This version of a policy has not been published here."""

    basis = "K12"


class NoPolicyInForce(Refusal):
    """该日没有生效的政策。No policy is in force on that day."""

    basis = "K12"


class PolicyInvalid(Refusal):
    """政策内容不合格。The policy's content does not hold together."""

    field = "policy"


class PackOverlap(Refusal):
    """与已发布政策的有效期重叠，须写明所替代的版本。The validity overlaps that of a published policy: name the version it replaces."""

    basis = "K12, R-27"
    field = "valid_from"


class ValidityNotStated(Refusal):
    """文本未载明施行日期，须由本市写明。The text does not say since when it is in force: the city must."""

    basis = "DOMAIN 8.14"
    field = "valid_from"


class BeforeEffect(Refusal):
    """不得早于文本的施行日期。A policy holds no earlier than its text is in force."""

    basis = "R-27"
    field = "valid_from"


class CalendarInvalid(Refusal):
    """日历内容不合格。The calendar's content does not hold together."""

    basis = "K6, K11"
    field = "calendar"


class CalendarVersion(Refusal):
    """日历版本号不连续：已发布的年度只能修订为下一版本。A published year is only revised, as its next version."""

    basis = "K11"
    field = "calendar"


class NoRetroactivePeak(Refusal):
    """话务集中时段不得追溯宣布。A peak is never declared for time that has passed."""

    basis = "R-01"
    field = "from_at"


class PeakOverlap(Refusal):
    """与已宣布的话务集中时段重叠。The interval overlaps a declared peak."""

    basis = "R-01"


class NoSuchPeak(Refusal):
    """没有可结束的此次话务集中时段。There is no such peak that could still be ended."""

    basis = "R-01"
    field = "peak"


class EventTypesMissing(Refusal):
    """须列明共享哪些事件类别。A share agreement names the types of events that it shares."""

    basis = "DOMAIN S3-7"
    field = "event_types"


class EventNotShareable(Refusal):
    """没有此事件类别，或不得共享。There is no such type of event, or it is told to nobody outside."""

    basis = "DOMAIN S3-7, 4.2"
    field = "event_types"


class FieldNotShareable(Refusal):
    """此字段不存在，或可能指明个人，不得共享。个人信息须说明理由逐件查阅。
    There is no such field, or it may say who somebody is: that is asked for case by case, with a reason.
    """

    basis = "DOMAIN 8.10"
    field = "shared_fields"


class AgreementWithoutBasis(Refusal):
    """共享须写明依据的文件和条款。Sharing rests on a text and an article of it: name both."""

    basis = "DOMAIN S3-7"
    field = "basis"


class NoAgreementInForce(Refusal):
    """没有对此接收方生效的共享协议。There is no share agreement with this consumer in force: have one published."""

    basis = "DOMAIN S3-7"
    field = "consumer"


class OutageScopeUnclear(Refusal):
    """中断范围不明：全部，或列明单位。The scope of an outage is all, or the units it names."""

    basis = "DOMAIN 8.11"
    field = "units"


class UnknownUnit(Refusal):
    """没有此单位。There is no such unit."""


class UnitExists(Refusal):
    """单位代码已使用。The code names a unit already."""

    field = "unit"


class UnitInactive(Refusal):
    """该单位此时尚未设立或已撤并。At that time the unit does not exist yet, or others have succeeded it."""

    basis = "DOMAIN 8.11"


class ParentNotAllowed(Refusal):
    """上级单位不符合层级。A unit of this level does not stand there."""

    basis = "R-37"
    field = "parent"


class UnitCycle(Refusal):
    """单位不得隶属于自己的下级。A unit would come to stand below itself."""

    field = "parent"


class RootWithoutUsers(Refusal):
    """最上级单位须有可决定的人员。The unit at the top must have somebody who decides."""

    basis = "R-37"


class NothingChanged(Refusal):
    """没有任何变更。The command changes nothing."""


class SuccessionUnclear(Refusal):
    """承继关系不明。Who succeeds whom is not clear."""

    basis = "DOMAIN 8.11"
    field = "to_units"


class RoleNotGrantable(Refusal):
    """该角色不授予个人。This role is not granted to a person."""

    basis = "DOMAIN 4.1"
    field = "role"


class SelfGrant(Refusal):
    """不得给自己授权。Nobody grants a role to themselves."""

    basis = "DOMAIN 4.1"
    field = "user"


class RoleHeldAlready(Refusal):
    """该人员已有此角色。The person holds this role already."""

    field = "role"


class RoleNotHeld(Refusal):
    """该人员没有此角色。The person does not hold this role."""


class OpenTasksUnchecked(Refusal):
    """须写明未结任务移交何人，或何时核实没有未结任务。Say who takes over the open tasks, or where none were found."""

    basis = "DOMAIN 8.1"
    field = "open_tasks_passed_to"


class NoAdministrator(Refusal):
    """须始终有系统管理员。There must always be somebody who is administrator."""

    basis = "DOMAIN 4.1"


class UnknownNumberBlock(Refusal):
    """没有预留此号段，或号码已作废。These numbers were not reserved in that block, or were voided already."""

    basis = "DOMAIN 8.11"
    field = "numbers"


class UseUnchecked(Refusal):
    """须写明核实号码未使用的位置。Say at which position the numbers were found unused."""

    basis = "DOMAIN 8.11"
    field = "unused_checked_at_position"


# --- the ledger --------------------------------------------------------------------------------------------------


class NotInitialised(Refusal):
    """该城市尚未建立台账。This city has no ledger yet."""


class LedgerExists(Refusal):
    """该城市的台账已经建立。This city has a ledger already."""


class VersionMoved(Refusal):
    """记录已被他人更新，请重新读取后再提交。Somebody else was faster: the record has moved on from the version named; read it again."""

    basis = "DOMAIN 3.3"
    field = "expected"


class ConcurrencyConflict(Refusal):
    """多人同时操作，多次重试仍有冲突，请稍后再试。Too many at once: decided again and again, and every time somebody was faster."""


class CommandIdReused(Refusal):
    """该命令标识已用于内容不同的另一命令。This command id was used before, for another command."""

    field = "command_id"


class OutcomeUnknown(Refusal):
    """结果未知：请用同一命令标识再次提交，系统只会执行一次。Whether it was recorded is not known: ask again with the same command id; it is carried out once."""


class Busy(Refusal):
    """系统繁忙，命令未被接收，请稍后再试。Too many commands are waiting; this one was not taken."""


class Unavailable(Refusal):
    """数据库暂时无法连接，本次未写入任何内容。The database cannot be reached; nothing was recorded this time."""


class StorageRefused(Refusal):
    """数据库拒绝写入，本次未写入任何内容。The database refused to store; nothing was recorded this time."""


class ClockAhead(Refusal):
    """台账最后记录的时间超前于数据库时钟，已停止写入，请检查时钟。The ledger's last record lies ahead of the database's clock; writing stops until the clock is right."""


class ClosedDoor(Refusal):
    """系统正在停止，不再接收命令。The ledger is shutting down and takes no more commands."""


class TextNotStorable(Refusal):
    """文本含有无法保存的字符（U+0000 或不成对的代理码）。The text holds a character that cannot be stored (U+0000 or half a surrogate pair)."""


class TextNotPlain(Refusal):
    """标题、类别、地点不得含控制字符或改变文字方向的字符。Title, category and place hold no control characters, nor any that turn the writing."""

    basis = "DOMAIN 8.10"


class IdUnfit(Refusal):
    """标识须为1至200个可见字符。An id is 1 to 200 printable characters."""


class CodeExpected(Refusal):
    """此处须填代码（字母、数字及 . _ : -，至多64个字符），文字说明请写入命令内容。A code is wanted here: up to 64 letters, digits and . _ : -; words belong into the command, where they are sealed."""

    basis = "DOMAIN 8.10"


class CitizenNamed(Refusal):
    """诉求人操作一律记为 citizen，不得写姓名或号码。A citizen acts as `citizen` and under no other name."""

    basis = "DOMAIN 8.10"
    field = "actor"


class ActorUnfit(Refusal):
    """操作人及其单位须为1至64个可见字符，不含空格。Who acts, and for which unit, is 1 to 64 printable characters without a space."""

    field = "actor"


class CommandTooLarge(Refusal):
    """命令内容过大；文件请另行保存，仅登记其摘要。The command is too large; a file is kept elsewhere and named by its digest."""


class NumberTooLarge(Refusal):
    """数值超出可保存的范围。A number is too large to be stored."""


class SealedElsewhere(Refusal):
    """该密封字段不属于所写的记录。The sealed field does not belong to the record that was named."""

    field = "stream"


class SealedFromOutside(Refusal):
    """密封字段只能由系统生成，不得由外部提交。A sealed field is made by the ledger alone and is not accepted from outside."""


class SubjectFromOutside(Refusal):
    """诉求人标识由系统分配，不得由外部提交。An applicant's subject is given by the ledger and is not accepted from outside."""

    field = "subject"


class NotForThisStream(Refusal):
    """该命令不适用于此类记录。This command is not for records of this kind."""


class OccurredAtRequired(Refusal):
    """补录或导入须写明发生时间。What is backfilled or imported needs the instant it occurred at."""

    field = "occurred_at"


class TimeGoesBack(Refusal):
    """导入的时间早于该记录的上一事件。An imported instant lies before the last event of its record."""

    field = "occurred_at"


class UnknownTopic(Refusal):
    """台账中有本版本不认识的事件类型。The ledger holds an event of a kind that this version does not know."""


class Erased(Refusal):
    """该个人信息已销毁，无法恢复。This personal information was erased and cannot be brought back."""

    basis = "DOMAIN 4.4"


class UnknownFile(Refusal):
    """没有此附件。There is no such file of this case here."""


class FileTypeUnfit(Refusal):
    """附件类型不受支持，或内容与所称类型不符。This type of file is not taken, or the file is not what it is said to be."""

    field = "Content-Type"
    basis = "S4-5"


class FileTooLarge(Refusal):
    """附件过大。The file is too large for its type."""


class TooManyFiles(Refusal):
    """该工单附件已达上限。This case has as many files as it may have."""


class FileChanged(Refusal):
    """附件的存储内容已被改动或损坏，请从备份恢复。What is stored of the file was changed or damaged: restore it from a backup."""


class CaseWithoutKey(Refusal):
    """该工单没有可用于封存附件的密钥。The case has no key to seal files with: nothing was written down in it, or it was
    erased."""


class TwoPersonsNeeded(Refusal):
    """举报人信息须两名指定人员共同开启。An informant's identity is opened by the two appointed persons together."""

    basis = "DOMAIN 4.2"


class NothingForTwo(Refusal):
    """该记录没有须两人共同开启的内容，或已依法销毁。Nothing of the record is held by two persons together, or it was erased."""

    basis = "DOMAIN 4.2"


class TwoPersonsNotAppointed(Refusal):
    """尚未指定保管举报人密钥的两名人员。No two persons have been appointed to hold the informants' key."""

    basis = "DOMAIN 4.2"


class WrongKey(Refusal):
    """密钥不符或密文已被改动。The key is not the right one, or the sealed text was changed."""


# --- handling ----------------------------------------------------------------------------------------------------


class AlreadySigned(Refusal):
    """该工单已由本单位签收。Your unit has signed for this assignment already."""

    basis = "DOMAIN 3.3"
    field = "assignment"


class NotSigned(Refusal):
    """须先签收工单。The assignment must be signed for first."""

    basis = "DOMAIN 3.3, R-06"


class HandlerNotInUnit(Refusal):
    """该人员不是本单位的承办人。This person is not a handler of the unit."""

    basis = "DOMAIN 8.1"
    field = "handler"


class NoSuchNotice(Refusal):
    """没有此份督办文书。There is no such notice of supervision."""

    basis = "DOMAIN 3.6"
    field = "notice"


class ArrivedBeforeCalled(Refusal):
    """到场时间早于督办签发时间。The arrival lies before the notice that called for it: say when the unit came because of it."""

    basis = "S4-3"
    field = "arrived_at"


class AlreadyArrived(Refusal):
    """到场已有记录。The arrival is on record already."""

    basis = "S4-3"
    field = "notice"


class NotArrived(Refusal):
    """尚未到场，不能记录现场核实。Nobody has arrived at the site yet."""

    basis = "S4-3"
    field = "notice"


class AlreadyVerified(Refusal):
    """现场核实已有记录。The verification on the site is on record already."""

    basis = "S4-3"
    field = "notice"


class NoExtensionRule(Refusal):
    """本市规则没有延期规定。The city's rules know no extension."""

    basis = "DOMAIN 2.3-2.7"


class NothingToExtend(Refusal):
    """没有可延长的办理时限。No handling limit is running that could be extended."""

    basis = "DOMAIN 3.3"


class ExtensionAfterDue(Refusal):
    """延期须在时限届满前提出或同意。An extension is asked for, and where the rules say so granted, before the limit ends."""

    basis = "R-14, S0-29"


class ExtensionPending(Refusal):
    """已有延期申请尚待审批。A request for extension is still undecided."""

    basis = "DOMAIN 3.3"


class ExtensionOverCap(Refusal):
    """延期超过规定的总时限、天数或次数。The extension goes beyond the total, the days or the number the rules allow."""

    basis = "R-10, S2-26"
    field = "days"


class ExtensionNotLater(Refusal):
    """延期后的时限须晚于原时限。An extension must end later than the limit it extends."""

    basis = "DOMAIN 3.3"
    field = "days"


class LegalBasisMissing(Refusal):
    """须写明法律依据。The legal basis must be named."""

    basis = "BJ-条例15(2)"
    field = "legal_basis"


class NoSuchExtension(Refusal):
    """没有待审批的此项延期申请。There is no such request for extension waiting for a decision."""

    basis = "DOMAIN 3.3"
    field = "extension"


class NotNextHigherUnit(Refusal):
    """须由上一级管理单位审批。Only the next-higher management unit decides this."""

    basis = "S0-30, R-37"


class NotHotlineManager(Refusal):
    """须由热线管理机构决定。Only the hotline's management decides this."""

    basis = "DOMAIN 4.1"


class ReasonMissing(Refusal):
    """须说明理由。The reason must be stated."""

    field = "reason"


class ExtensionNotApproved(Refusal):
    """延期尚未获同意，不能告知。The extension has not been granted: there is nothing to tell."""

    basis = "S0-31"
    field = "extension"


class NotCoOrganizer(Refusal):
    """本单位不是协办单位。Your unit is no co-organizer of this order."""

    basis = "S1-13"


class ReturnPending(Refusal):
    """退单申请或异议尚未撤回或审定。A return or objection is pending: it must be withdrawn or decided first."""

    basis = "DOMAIN 8.3"


class InformingMissing(Refusal):
    """答复前须告知诉求人，或有规定次数的联系记录，匿名诉求须公布。The applicant must be told first, or tried as often as the rules ask; an anonymous one is answered by publishing."""

    basis = "R-31, A-05"


class CoOpinionMissing(Refusal):
    """协办意见未齐，须列明未提交的协办单位。Opinions of co-organizers are missing: name those units."""

    basis = "S1-13, R-32"
    field = "missing_co"


class UnresolvedFieldsMissing(Refusal):
    """未解决的须写明原因、下一步措施、落实时间和责任单位。An unresolved demand needs the reason, the next measures, the date and the responsible unit."""

    basis = "S4-27"


class UnsolvableFieldsMissing(Refusal):
    """客观无法解决的须写明原因或困难，以及有无研究措施。An unsolvable demand needs the reason or difficulty, and whether there are research measures."""

    basis = "S4-28"


class HindranceWithoutOne(Refusal):
    """原因类别只用于未解决或客观无法解决的答复，请删去或更正办理结果。The kind of reason goes with a reply that is unresolved or unsolvable: leave it out, or correct the outcome."""

    basis = "S4-27, S4-28"
    field = "hindrance"


class PromiseInPast(Refusal):
    """落实时间不得早于今日。A promise cannot fall due before today."""

    basis = "S4-27"
    field = "implement_by"


class TwoHandsNeeded(Refusal):
    """答复须由两人完成：承办人起草，审核人签发。A reply takes two persons: one drafts, another signs it off."""

    basis = "DOMAIN 8.10"
    field = "drafted_by"


class MasterNotReplied(Refusal):
    """主单尚未答复，没有结果可告知。The master order has no reply yet: there is no result to tell."""

    basis = "R-29"
    field = "master"


class NoSuchReply(Refusal):
    """没有此份答复。There is no such reply."""

    field = "reply"


class NoSuchFollowUp(Refusal):
    """没有此项后续承诺。There is no such promise."""

    basis = "S4-27"
    field = "follow_up"


class FollowUpAlreadyDone(Refusal):
    """该项承诺已报告兑现。The promise has been reported as kept already."""

    basis = "S4-27"
    field = "follow_up"


class FollowUpNotDone(Refusal):
    """该项承诺尚未报告兑现。The promise has not been reported as kept."""

    basis = "DOMAIN 8.1"
    field = "follow_up"


class EvidenceMissing(Refusal):
    """须附证明材料。Evidence must be attached."""

    field = "evidence"


class OrderSealed(Refusal):
    """档案已封存，只读。新的事实须另立新单并关联。The file is sealed and read-only: later facts open a new order that names this one."""

    basis = "DOMAIN 3.2, T81"


# --- evaluation --------------------------------------------------------------------------------------------------


class AccusedUnit(Refusal):
    """被反映单位不得承办、审核或回访此件。The unit complained of neither handles nor judges this order."""

    basis = "S2-40, DOMAIN 8.14"


class ReviewerHandled(Refusal):
    """参与办理的人员不得审核、认定或回访。Who handled the order neither reviews nor judges it."""

    basis = "DOMAIN 4.1"


class AlreadyReviewed(Refusal):
    """该答复已审核。The reply has been reviewed already."""

    basis = "DOMAIN 3.3"
    field = "reply"


class RequirementsMissing(Refusal):
    """退回补正或重办须提出具体要求。Sending back needs specific requirements."""

    basis = "S2-30"
    field = "requirements"


class ReviewWindowOver(Refusal):
    """审核期已过，答复视为通过；仍有问题的应重办。The time to send the reply back has passed and it counts as accepted: order a redo instead."""

    basis = "DOMAIN 8.3"


class IdentityNotChecked(Refusal):
    """举报人保密件须核查答复未泄露身份。A reply to an informant must be checked for anything that gives them away."""

    basis = "DOMAIN 3.5"
    field = "identity_checked"


class AlreadyJudged(Refusal):
    """已作认定。This has been judged already."""

    field = "reply"


class NothingToCompare(Refusal):
    """该单位首次答复，无前次答复可比较。The unit's first reply has none before it to be compared with."""

    basis = "R-15"
    field = "reply"


class AnonymousApplicant(Refusal):
    """匿名诉求不回访。An anonymous applicant is not visited again."""

    basis = "DOMAIN 8.10"


class RevisitTooEarly(Refusal):
    """办理时限未届满，答复也未审核通过，不能回访。There is no return visit before the reply is accepted or the limit over."""

    basis = "S4-40"


class RevisitRefusedFinal(Refusal):
    """诉求人已拒绝回访，不再回访。The applicant refused the return visit: there is no further call."""

    basis = "S4-42"


class RevisitAlreadySampled(Refusal):
    """本轮已抽中回访。The order was drawn for a return visit in this round: nobody is drawn twice."""


class RevisitAlreadyDone(Refusal):
    """本轮已完成回访。The return visit of this round is done."""

    basis = "S4-40"


class RevisitorFromHandlingUnit(Refusal):
    """回访人员不得来自承办单位。The visitor may not belong to the handling unit."""

    basis = "DOMAIN 4.1"


class ConsentMissing(Refusal):
    """须先征得诉求人同意。The applicant's consent comes first: to a return visit by phone, to passing on or joining a call."""

    basis = "S4-41, S1-9"


class AttemptsMissing(Refusal):
    """须在规定天数、不同时段内多次联系未果。The applicant must have been tried often enough, on different days and at different hours."""

    basis = "A-05"
    field = "attempts"


class RevisitQuestionsMissing(Refusal):
    """回访问题未逐项记录。The questions of the return visit must each be answered."""

    basis = "S1-31"


class RatingMissing(Refusal):
    """评价须包含对办理结果的评价。An evaluation must rate the result."""

    basis = "DOMAIN 8.9"
    field = "ratings"


class AlreadyRated(Refusal):
    """同一服务、同一答复每一来源只评价一次。Each service, and each reply by each source, is rated once."""

    basis = "S4-38, R-18"


class SolicitingNotAllowed(Refusal):
    """本市规则不由承办单位征求评价。The city's rules do not let the organizer ask for an evaluation."""

    basis = "S1-30"


class RevisitNotDone(Refusal):
    """尚未完成回访，没有回访评价可记。There is no finished return visit whose rating could be recorded."""

    basis = "S0-33"


class ResultNotTold(Refusal):
    """尚未将结果告知诉求人。The applicant has not been told the result."""

    basis = "A-05, R-29"


class NoDeeming(Refusal):
    """本市规则没有视为评价的规定。The city's rules deem no evaluation."""

    basis = "S1-33"


class WindowOpen(Refusal):
    """评价期尚未届满，或已有评价。The time to evaluate has not ended, or an evaluation ended it."""

    basis = "S1-33, K13"


class RevisitMissing(Refusal):
    """重办后须再次回访。After a redo there must be another return visit first."""

    basis = "S1-36"


class DisputeOpen(Refusal):
    """派单异议尚未裁定。A dispute about the order is still open."""

    basis = "DOMAIN 3.3"


class ExplanationMissing(Refusal):
    """须先向诉求人解释说明。The reasons must have been explained to the applicant."""

    basis = "S1-38, S2-15"


class EmergencyNotTold(Refusal):
    """应急联动单位尚未全部通报。Not everybody who must hear of an emergency has been told."""

    basis = "S1-28, DOMAIN 8.14"


class LimitRequired(Refusal):
    """须写明时限。A limit must be written."""

    basis = "R-09, S2-30"
    field = "limit"


class NoDissatisfaction(Refusal):
    """没有不满意评价可作为重办理由。There is no dissatisfaction on record that could ground a redo."""

    basis = "S1-34"
    field = "ground"


class JudgedUnreasonable(Refusal):
    """该诉求已认定为不合理，不得以此重办。The demand was judged unreasonable: that is no ground for a redo."""

    basis = "S1-34, DOMAIN 8.11"
    field = "ground"


class AlreadyExempt(Refusal):
    """该件已不计满意率。The order is left out of satisfaction already."""

    basis = "S1-40"


class ExemptionLate(Refusal):
    """已有有效评价，须先由审核员提出、热线管理机构同意。After an evaluation a reviewer proposes this and the hotline's management agrees."""

    basis = "DOMAIN 8.1"


class NoSuchProposal(Refusal):
    """没有待决定的此项提请。There is no such proposal waiting for a decision."""

    basis = "DOMAIN 8.12"


# --- closing and filing ------------------------------------------------------------------------------------------


class ClosureNotHere(Refusal):
    """此种办结方式有其专门的操作。This way of closing has a command of its own."""

    basis = "DOMAIN 3.2, 8.2"
    field = "kind"


class NotQcReviewer(Refusal):
    """无法联系办结须经审核员。Closing because the applicant cannot be reached is the reviewer's decision."""

    basis = "A-05, T86"


class ReplyMissing(Refusal):
    """尚无答复。There is no reply yet."""

    basis = "S2-13"


class FactsNotClear(Refusal):
    """事实不清，不得备注办结。An order whose facts are not clear is not closed with a note."""

    basis = "S1-39"
    field = "facts_clear"


class NotDissatisfied(Refusal):
    """没有有效的不满意评价，不适用备注办结。Closing with a note answers an effective dissatisfaction; there is none."""

    basis = "DOMAIN 8.9"


class NotSatisfied(Refusal):
    """没有有效的满意评价。There is no effective evaluation that is positive."""

    basis = "S1-32"


class ArticleMissing(Refusal):
    """须写明所依据的条款。Name the article it conforms to."""

    basis = "S1-32"
    field = "article"


class UnresolvedNeedsFollowUp(Refusal):
    """未解决事项只能阶段性办结并跟踪承诺。What is unresolved closes only with its promise followed up."""

    basis = "DOMAIN 3.5"
    field = "kind"


class FollowUpMissing(Refusal):
    """没有可跟踪的后续承诺。There is no promise to follow up."""

    basis = "S4-27"


class OutcomeDiffers(Refusal):
    """与答复的办理结果不符。The reply's outcome is another one."""

    basis = "S4-27, S4-28"
    field = "kind"


class AlreadyEvaluated(Refusal):
    """已有有效评价，不属于未评价办结。There is an effective evaluation: this is no closure without one."""

    basis = "DOMAIN 8.2"
    field = "kind"


class RevisitPending(Refusal):
    """已抽中回访，尚未完成。A return visit is due and not over."""

    basis = "DOMAIN 8.2"


class FollowUpResultMissing(Refusal):
    """未要求答复的事项，须写明跟踪结果。An order that asked for no reply closes with the result of its follow-up."""

    basis = "DOMAIN 8.3"
    field = "follow_up_result"


class DecisionNeeded(Refusal):
    """诉求人不满意，须由人员决定。The applicant is dissatisfied: a person decides, not the timer."""

    basis = "DOMAIN 4.1"


class NotYetDue(Refusal):
    """期限未满。The period has not run out."""


class MasterOpen(Refusal):
    """主单尚未办结。The order it follows is still open."""

    basis = "DOMAIN 8.4"


class NotItsMaster(Refusal):
    """不是该工单的主单。The order does not follow that one."""

    field = "master"


class AlreadyProposed(Refusal):
    """已提请，待决定。The same has been proposed and waits for its decision."""

    basis = "DOMAIN 8.12"


class LimitLonger(Refusal):
    """所写时限长于该类别的时限。The limit written is longer than the class's."""

    basis = "DOMAIN 8.4"
    field = "limit"


class FileIncomplete(Refusal):
    """材料不齐全，不得归档。The file is not complete."""

    basis = "DOMAIN 5.4"


class ChainNotVerified(Refusal):
    """校验未覆盖本卷全部记录。The verification does not cover this file."""

    basis = "DOMAIN 8.4"
    field = "verified_to"


class RetentionUnknown(Refusal):
    """保管期限表没有此项，须由档案员写明范围、期限与依据。The retention table is silent: the archivist states it."""

    basis = "DOMAIN 8.13"
    field = "keep"


class VolumeTwice(Refusal):
    """同一卷登记了两次，各卷摘要应各不相同，请核对后重报。One volume is named twice: each has a digest of its own; look again at which they are."""

    basis = "DOMAIN 5.4"
    field = "further"


class DossierMissing(Refusal):
    """尚未形成归档件。The record copy has not been rendered."""

    basis = "DOMAIN 8.10"
    field = "dossier"


class NotSealed(Refusal):
    """档案尚未封存，不得移交。Only a sealed file is handed over."""

    basis = "DOMAIN 5.4"


class SealedPartMissing(Refusal):
    """举报人保密件须附加密部分。An informant's file is handed over with its sealed part."""

    basis = "DOMAIN 8.10"
    field = "sealed_part"


class AlreadyHandedOver(Refusal):
    """此信息包已移交。This packet was handed over already: record its receipt, or make another packet of what is left."""

    basis = "DOMAIN 5.4"
    field = "digest"


class PacketMiscounted(Refusal):
    """件数与起止档号不符。The count is not that of the packet's numbers without those left out: read them from the packet again."""

    basis = "DOMAIN 5.4"
    field = "cases"


class AlreadyReceived(Refusal):
    """该批次已登记接收回执。The receipt of this batch is recorded already."""

    basis = "DOMAIN 5.4"


class ReceiptDiffers(Refusal):
    """接收回执与移交内容不符，不予登记，请与接收单位核对。The receipt is not for what was handed over: clear it up with the archives."""

    basis = "DOMAIN 5.4"


class NotInPacket(Refusal):
    """该档号不在此信息包内。The case of this number is not in the packet: look at its catalogue."""

    basis = "DOMAIN 5.4"


class ReceiptMissing(Refusal):
    """尚未登记接收回执，不得登记移交。No receipt is recorded for this packet: record it first."""

    basis = "DOMAIN 5.4"
    field = "handover"


class PieceRefused(Refusal):
    """接收单位未接收此件，改正后另行移交。The archives did not take this case: put it right and hand it over with another packet."""

    basis = "DOMAIN 5.4"


class FileHeld(Refusal):
    """该件尚有未了事项，不得销毁。Something still keeps the file: settle what is named, then propose it again."""

    basis = "DOMAIN 5.4, 8.10"


class PermanentFile(Refusal):
    """永久保管的档案不得销毁。A file that is kept for good is never destroyed."""

    basis = "DOMAIN 5.4"


class NotAppraised(Refusal):
    """保管期满后尚未鉴定，不得列入销毁清册。The file was not appraised since its retention ended: appraise it first."""

    basis = "DOMAIN 5.4, 8.12"


class ExtensionUnfit(Refusal):
    """延长保管须写明晚于现保管期限的日期；永久保管的无须延长。Say until which day, later than it is kept now; what is kept for good needs none."""

    basis = "DOMAIN 5.4"
    field = "until"


class ListUnfit(Refusal):
    """销毁清册须列明档案，不得重复，且不超过限数；余者另列一册。A list names each file once, and not too many: put the rest on another."""

    basis = "DOMAIN 8.12"
    field = "orders"


class AlreadyAgreed(Refusal):
    """该角色已会签。This role has agreed already: another one is still to."""

    basis = "DOMAIN 8.12"


class DisposalNotApproved(Refusal):
    """销毁清册尚未经各方会签批准。Not all who must agree to the list have done so."""

    basis = "DOMAIN 8.12"
    field = "disposal"


class NotListed(Refusal):
    """该件不在此销毁清册内。The file is not on this list."""

    basis = "DOMAIN 8.12"
    field = "disposal"


class UnknownVersion(Refusal):
    """没有这一条记录。The case has no such entry."""

    field = "version"


class CorrectionUnreadable(Refusal):
    """更正内容不合格式。The corrected value cannot be read."""

    basis = "T84"
    field = "new"


class IssuerMissing(Refusal):
    """须指明所涉报告，或该数据的审定人。Name the report the figure stands in, or who approved the figure."""

    basis = "DOMAIN 8.11"
    field = "issuer"


class IssuerDiffers(Refusal):
    """所写审定人与该报告的审定人不符。The person named did not approve that report."""

    basis = "DOMAIN 8.11"
    field = "issuer"


class CorrectionFieldUnknown(Refusal):
    """该条记录没有此字段。The entry has no such field."""

    basis = "T84"
    field = "field"


class CorrectionNotAllowed(Refusal):
    """此字段不以更正改变，须另行操作。This field is not changed by a correction: another act changes it."""

    basis = "T84"
    field = "field"


class CorrectionOldDiffers(Refusal):
    """所写原值与记录不符。The old value written is not what the entry says."""

    basis = "T84"
    field = "old"


class CorrectionOutOfOrder(Refusal):
    """更正后的时间须在前后两条记录之间。A corrected instant lies between the entries before and after it."""

    basis = "T84"
    field = "new"


class RetentionRunning(Refusal):
    """保管期限未满，只能限制处理。The retention period is running: the data can only be restricted."""

    basis = "DOMAIN 8.10, 个保法47"


# --- registration and triage -------------------------------------------------------------------------------------


class InstantAhead(Refusal):
    """所述时间晚于现在。What is told of lies ahead of now."""


class InstantUncountable(Refusal):
    """所述时间未注明时区，或超出可计时的年份。The instant names no zone, or lies outside the years a clock can count."""

    basis = "K1"


class LimitUncountable(Refusal):
    """时限不明：须为一个时刻，或一至十年以内的数量与单位。The limit is unclear: an instant, or an amount of a unit, ten years at most."""

    basis = "K2, K3"


class DayHasPassed(Refusal):
    """所定日期已过。The day named has passed."""

    basis = "DOMAIN 3.3"


class TitleHasPersonalData(Refusal):
    """标题不得含有电话、证件号等个人信息。The title may hold no personal data: no telephone, no identity number, no name."""

    basis = "DOMAIN 8.10"
    field = "title"


class RegistrationIncomplete(Refusal):
    """登记要素不全。The registration lacks what it must have: content, a way to reach the applicant, or the place."""

    basis = "S0-15, S2-18"


class AnonymousNamed(Refusal):
    """匿名诉求不得登记身份信息。An anonymous demand is registered without anybody's identity."""

    basis = "DOMAIN 8.10"
    field = "applicant"


class InformantUnprotected(Refusal):
    """举报件须按举报人保密登记。A report is registered with its informant protected."""

    basis = "S2-40, DOMAIN 4.2"
    field = "confidentiality"


class DuplicateCheckMissing(Refusal):
    """登记前须查重。Look for duplicates before registering, and say which were seen."""

    basis = "DOMAIN 3.3"
    field = "duplicates_seen"


class BackfillReasonMissing(Refusal):
    """补录须说明原因。Backfilling needs its reason."""

    basis = "K10"
    field = "backfill_reason"


class BackfillTooLate(Refusal):
    """超过补录时限的，须由督办员补录。Only a supervisor backfills what lies further back than the rules allow."""

    basis = "A-20"


class AssumedPolicyLive(Refusal):
    """假定适用的政策仅用于导入历史工单。A policy is assumed only for imported history."""

    basis = "DOMAIN 8.15"
    field = "assume_policy"


class ItemsMissing(Refusal):
    """须列明需补充的事项。Say what has to be supplied."""

    basis = "DOMAIN 3.3"
    field = "items"


class ReclassifiedAfterDue(Refusal):
    """时限届满后不得以变更分类延长时限。A limit that has ended is not lengthened by another class."""

    basis = "R-33"


class ConfidentialityOnlyRaised(Refusal):
    """保密类别只能提高；降低须经两人办理。Protection is only raised here: lowering it takes two persons."""

    basis = "DOMAIN 8.1"
    field = "confidentiality"


class MergeWithItself(Refusal):
    """工单不得并入本单。An order is not merged into itself."""

    field = "master"


class MasterNotOpen(Refusal):
    """主单已办结或已并入他单。The order to follow is closed, or follows another itself."""

    basis = "DOMAIN 3.3"
    field = "master"


class InformantNeverMerged(Refusal):
    """举报人保密件不并单。An order with a protected informant is never merged visibly."""

    basis = "DOMAIN 3.3, 4.2"


class NotTheMaster(Refusal):
    """该件不是所并入的主单。This is not the order that was merged into."""

    field = "master"


class ChildrenMissing(Refusal):
    """拆单须列明各子单。Splitting names the orders that come of it."""

    basis = "DOMAIN 8.1"
    field = "children"


class DuplicateNotTold(Refusal):
    """须将原件的进展或结果告知诉求人。The applicant is told how the first order stands, or how it ended."""

    basis = "R-30"
    field = "told"


class ProposalPending(Refusal):
    """已有同一事项待决定。The same matter waits for a decision already."""

    basis = "DOMAIN 8.12"


class NoReviewNeeded(Refusal):
    """此种情形无须提请审核，可直接办理。This reason needs no review: refuse at once."""

    field = "reason"


class RefusalNeedsReview(Refusal):
    """涉密、涉隐私的不予受理须由审核员决定。A refusal for secrets or privacy is decided by a reviewer."""

    basis = "DOMAIN 3.3"
    field = "reason"


class SecretTakesNoWords(Refusal):
    """涉及国家秘密的，不记录内容。A state secret leaves no words in the ledger."""

    basis = "S0-9"
    field = "words"


class RefusalNotExplained(Refusal):
    """不予受理须说明理由。A refusal is explained to the caller."""

    basis = "S0-11"
    field = "words"


class RefusalBasisMissing(Refusal):
    """不予受理须写明依据。A refusal names the basis it rests on."""

    basis = "S0-10, S0-11"
    field = "basis"


class CompetentUnitNotNamed(Refusal):
    """能确定办理单位的，须告知其名称。Where the competent unit can be determined, the caller is told its name."""

    basis = "S0-13"
    field = "informed_unit"


class SupplementNotOverdue(Refusal):
    """补充期限未满或未要求补充，不得以无法识别为由不予受理。What was asked for may still come: the demand is not unidentifiable yet."""

    basis = "DOMAIN 8.2"
    field = "reason"


class AnswerBasisMissing(Refusal):
    """直接答复须注明知识库条目或依据。A direct answer names the knowledge or the rule it rests on."""

    basis = "S0-17"
    field = "knowledge_ref"


class NotAcknowledged(Refusal):
    """须确认诉求人已获知答复。The applicant must have received the answer."""

    basis = "DOMAIN 3.3"
    field = "acknowledged"


class FollowUpDateMissing(Refusal):
    """跟踪件须写明跟踪日期；不跟踪的不写。A follow-up has a date; without one there is none."""

    basis = "DOMAIN 8.1"
    field = "follow_up_by"


class NoSuchReferral(Refusal):
    """没有此跟踪件，或已反馈。There is no such referral to follow up."""

    field = "referral"


class NotTransferred(Refusal):
    """该件未跨区域转办。The order was not transferred to another region."""


class ApplicantNotVerified(Refusal):
    """须核实撤回人即诉求人本人。Check first that it is the applicant who takes the demand back."""

    basis = "DOMAIN 3.3"
    field = "identity_checked"


class AnswerMissing(Refusal):
    """答复须有给诉求人的内容。A reply must say something to the applicant."""

    basis = "S2-13"
    field = "public_answer"


# --- dispatch ----------------------------------------------------------------------------------------------------


class LeadMissing(Refusal):
    """须指定牵头单位，或由热线牵头。A unit must lead, or the hotline itself; where several are involved, by designation."""

    basis = "S2-23, S4-9, R-21"
    field = "lead"


class HotlineNotOrganizer(Refusal):
    """热线管理机构不作承办单位；需要时由热线牵头。The hotline's own unit is no organizer: let the hotline lead instead."""

    basis = "DOMAIN 4.1"
    field = "lead"


class UnitNamedTwice(Refusal):
    """同一单位不得重复列入。A unit is named twice, or takes part already."""

    field = "unit"


class LimitNotWritable(Refusal):
    """该时限不得在交办单上另定。This limit is not one that a dispatch may write."""

    basis = "DOMAIN 2.3-2.7"
    field = "limits"


class LimitTooLong(Refusal):
    """所写时限超过规定的最长时限。The limit written is longer than the rules allow."""

    basis = "S2-26"
    field = "limits"


class InstructionMissing(Refusal):
    """须先有领导批示，并写明所依据的批示。A leadership instruction must be on record and be named."""

    basis = "DOMAIN 3.3, S2-22"
    field = "instruction"


class MeetingMissing(Refusal):
    """属地交办须先召开协调会，或交办区（县）政府。A territorial dispatch needs a coordination meeting first, or goes to a district's government."""

    basis = "S1-14, S4-10"
    field = "meeting"


class ReplyNotOptional(Refusal):
    """本市规则要求一律答复。The city's rules always ask for a reply."""

    basis = "S2-25"
    field = "reply_required"


class RuledElsewhere(Refusal):
    """已裁定由他单位办理，应派至裁定单位。It was ruled who handles this: dispatch it there."""

    basis = "R-22"
    field = "lead"


class RecallNeedsConsent(Refusal):
    """签收后撤回派单，须经承办单位同意或由热线管理机构决定。After signing, a dispatch is recalled with the unit's consent or by the hotline's management."""

    basis = "DOMAIN 8.3"
    field = "unit_consent"


class NotADescendant(Refusal):
    """只能转派至下级单位。An assignment is passed on only to a unit below."""

    basis = "DOMAIN 3.3"
    field = "unit"


class EscalationPending(Refusal):
    """已逐级上报，待上级单位决定。A request to the unit above is undecided."""

    basis = "DOMAIN 8.8"


class NoSuchEscalation(Refusal):
    """没有待决定的此项上报。There is no such request waiting for your unit."""

    basis = "DOMAIN 8.8"
    field = "escalation"


class FirstLevelReturns(Refusal):
    """由热线直接派单的单位应直接申请退单。A unit that has its assignment from the hotline returns it itself."""

    basis = "S0-25"


class EscalateFirst(Refusal):
    """应逐级上报，由一级承办单位向热线申请退单。Report it to the unit above: the first-level unit returns it to the hotline."""

    basis = "S0-25"


class RuledFinal(Refusal):
    """已裁定、指定或批示交办的，不得退单；有新事实的，经督办员重开。Who was designated or ruled to handle it may not return it; new facts go to a supervisor."""

    basis = "R-22"


class NothingRuled(Refusal):
    """没有可重开的裁定。No ruling or designation stands that could be reopened."""

    basis = "R-22"


class ReturnAfterReply(Refusal):
    """已答复的工单不得退单。After a reply there is no return."""

    basis = "DOMAIN 3.3"


class SuggestionMissing(Refusal):
    """退单须提出转派或处置建议。A return says who should handle it, or what should become of it."""

    basis = "DOMAIN 8.2, S1-19"
    field = "suggested_unit"


class ReturnBasisMissing(Refusal):
    """退单须写明依据。A return names the basis it rests on."""

    basis = "S1-19"
    field = "basis"


class ReturnUndecided(Refusal):
    """已有退单申请待审核。A return is waiting for its decision already."""

    basis = "DOMAIN 3.3"


class NoSuchReturn(Refusal):
    """没有待审核的此项退单申请。There is no such return waiting for a decision."""

    basis = "DOMAIN 3.3"
    field = "return_no"


class ReturnNotLate(Refusal):
    """该退单未逾期，无须上级同意。The return is not late: it needs no consent."""

    field = "return_no"


class LateReturnNeedsConsent(Refusal):
    """逾期退单须经上级管理单位同意。A late return is approved only with the consent of the next-higher unit."""

    basis = "S0-26, R-03"


class NoSuchDispute(Refusal):
    """没有待裁定的此项异议。There is no such dispute waiting for a ruling."""

    field = "dispute"


class OnlyStreetsWhistle(Refusal):
    """仅街道、乡镇可以吹哨。Only a street or town whistles."""

    basis = "S4-20"


class DepartmentsMissing(Refusal):
    """吹哨须写明报到部门。A whistle calls departments by name."""

    basis = "S4-20"
    field = "departments"


class NoSuchWhistle(Refusal):
    """没有待本单位报到的此次吹哨。There is no such whistle waiting for your unit."""

    basis = "S4-20"
    field = "whistle"


class TaskForceMissing(Refusal):
    """须写明提速处置专班。The task force must be named."""

    basis = "S1-21"
    field = "task_force"


# --- supervision -------------------------------------------------------------------------------------------------


class ArrivalNotAsked(Refusal):
    """只有现场督办可以写明到场时间。Only on-site supervision states when to arrive."""

    basis = "DOMAIN 3.6, S4-3"
    field = "arrive_by"


class NoticeKindNotHere(Refusal):
    """此种文书不针对单件工单。This kind of notice is not about one case."""

    basis = "DOMAIN 3.6"
    field = "kind"


class NotThisIssuer(Refusal):
    """此种督办文书不由该角色签发。This role does not issue this kind of notice."""

    basis = "DOMAIN 3.6"
    field = "kind"


class NotResponsible(Refusal):
    """该单位对此事项不负有责任。The unit has no duty in this matter."""

    basis = "DOMAIN 3.6"
    field = "unit"


class NoSuchClock(Refusal):
    """没有这一时限。There is no such clock in this case."""

    field = "clock"


class NotFallingDue(Refusal):
    """时限已过或已完成，不属临期。The duty is done or late already: it is not about to fall due."""

    basis = "A-10"
    field = "ground"


class NotOverdue(Refusal):
    """并未超期。The duty is not late."""

    basis = "DOMAIN 3.6, R-13"
    field = "ground"


class NoticeAlreadyOpen(Refusal):
    """同一事项已有未销号的督办。A notice of this kind about the same duty is open."""

    basis = "DOMAIN 3.6, 8.14"


class LimitInPast(Refusal):
    """所写时限已过。The limit written lies in the past."""

    field = "limit"


class MediaNotAdmitted(Refusal):
    """保密件不得邀请新闻单位。News media are not admitted to a confidential case."""

    basis = "S2-32, DOMAIN 4.2"
    field = "participants"


class PressSummaryMissing(Refusal):
    """新闻单位参加的，须另备不含个人信息的材料。For news media, write a summary without personal data."""

    basis = "S2-32"
    field = "press_summary"


class NotApproved(Refusal):
    """尚未经领导签批。No leader has approved it."""

    basis = "S4-31"


class DiffersFromApproved(Refusal):
    """与签批的内容不一致。It differs from what was approved."""

    basis = "S4-31"


class NoticeOver(Refusal):
    """该督办已销号、撤销或升级。This notice is closed, withdrawn or escalated."""

    field = "notice"


class AlreadyServed(Refusal):
    """该督办已送达；系统送达未成的，请写明 undelivered，改由电话等方式送达。
    The notice has been served already. Where what the system sent did not arrive, say so in `undelivered`, and serve it by phone.
    """

    field = "notice"


class PersonMissing(Refusal):
    """电话送达须写明接听人。Service by phone names the person told."""

    basis = "DOMAIN 8.6"
    field = "person"


class AlreadyReplied(Refusal):
    """该督办已回复。The notice has been replied to already."""

    field = "notice"


class NewDateMissing(Refusal):
    """尚未完成的，须写明新的完成日期。A duty still undone needs a new date."""

    basis = "DOMAIN 3.6"
    field = "new_date"


class NothingReplied(Refusal):
    """没有待审的督办回复。There is no reply waiting to be judged."""

    field = "notice"


class NotIgnored(Refusal):
    """督办未超期，不能以未回复升级。The notice is not overdue: it has not been ignored."""

    basis = "DOMAIN 3.6"


class StepSkipped(Refusal):
    """督办应逐级升级。Supervision goes up step by step."""

    basis = "DOMAIN 3.6, 8.6"
    field = "to"


class NoticeUnanswered(Refusal):
    """督办要求尚未完成，不得销号。What the notice demands is not done."""

    basis = "DOMAIN 3.6"


class NoSuchInstruction(Refusal):
    """没有此项批示或呈批。There is no such instruction or request for one."""

    field = "instruction"


class InstructionTextMissing(Refusal):
    """批示须照录原文或原件摘要，并写明日期。An instruction is recorded verbatim or by digest, with its date."""

    basis = "DOMAIN 3.5"
    field = "text"


class AlreadyReported(Refusal):
    """该批示已报告办结。It has been reported back already."""

    field = "instruction"


class NoSuchDecision(Refusal):
    """没有此项会商决定。No meeting about this case decided that: see the decisions in the order."""

    field = "decision"


class DecisionCarriedOutAlready(Refusal):
    """该项会商决定已报告落实。It has been reported that this decision was carried out."""

    field = "decision"


class NoShift(Refusal):
    """该事项不是值班交接。This matter is no hand-over of a shift."""

    basis = "DOMAIN 8.13"


class ShiftTakenOverAlready(Refusal):
    """该班次已接班。The shift has been taken over already."""

    basis = "DOMAIN 8.13"


class HandedToAnother(Refusal):
    """该班次交给他人，请由接班人本人确认。The shift was handed over to another person, who takes it over in person."""

    basis = "DOMAIN 8.13"


class AlreadyAppealed(Refusal):
    """该单位对同一数据已提出申诉。The unit has appealed against this figure already."""

    basis = "DOMAIN 8.11"


class AlreadyStated(Refusal):
    """本单位对该问题已作说明。Your unit has made its statement about this finding."""

    field = "finding"


class NoSuchAppeal(Refusal):
    """没有待裁定的此项申诉。There is no such appeal waiting for a decision."""

    basis = "DOMAIN 8.11"
    field = "appeal"


class ExclusionMissing(Refusal):
    """申诉成立的，须写明剔除内容。An appeal that is upheld says what is left out."""

    basis = "DOMAIN 8.11"
    field = "exclusion"


# --- beside the orders -------------------------------------------------------------------------------------------


class AlreadyLogged(Refusal):
    """该通话已登记。The call is in the duty record book already."""

    field = "call_id"


class OrderOfCallMissing(Refusal):
    """形成工单的来电须写明工单。A call that became an order names it."""

    basis = "DOMAIN 8.13"
    field = "order"


class CallerProtected(Refusal):
    """举报人来电，值班记录簿不登记身份，身份只存于工单。The duty book does not name an informant who called: the order alone keeps who it was."""

    basis = "S2-40, DOMAIN 4.2"
    field = "caller"


class NoSuchComplaint(Refusal):
    """没有此项服务质量投诉。There is no such complaint about the service."""

    field = "complaint"


class OwnService(Refusal):
    """不得认定对本人服务的投诉。Nobody judges a complaint about their own service."""

    basis = "DOMAIN 8.1"


class DiffersFromProposed(Refusal):
    """与提请的内容不一致。It differs from what was proposed."""

    basis = "DOMAIN 8.12"


class AlreadyFiled(Refusal):
    """该监督事项已登记。This inquiry has been filed already."""


class NothingAsked(Refusal):
    """没有待答复的监督询问。Nothing was asked here."""


class AlreadyAnswered(Refusal):
    """该监督询问已答复。The inquiry has been answered already."""


class PeriodNotOver(Refusal):
    """统计期尚未结束。The period is not over."""

    field = "period_until"


class PeriodMissing(Refusal):
    """须写明统计期。Name the period the figures are of."""

    field = "period_from"


class CutOffAhead(Refusal):
    """数据截止位置超出账本。The cut-off lies beyond what the ledger holds."""

    basis = "S0-38"
    field = "cut_off"


class RecipientsMissing(Refusal):
    """须写明主送、抄送。Name who receives it."""

    field = "recipients"


class AlreadyPublished(Refusal):
    """已公布；此后的更正列入下一期。It has been published: what changes later is an adjustment in the next one."""

    basis = "DOMAIN 8.14"


class CountsDisagree(Refusal):
    """话务数据互相矛盾。The counts contradict each other."""


class AlreadyImported(Refusal):
    """该时段数据已导入。The counts of this interval have been taken in."""

    field = "from_at"


class IntervalsOverlap(Refusal):
    """时段与已导入的重叠。The interval overlaps one taken in before."""

    field = "from_at"


class MatterOpen(Refusal):
    """此处已有督办事项。This stream holds a matter already."""


class UnitsMissing(Refusal):
    """须写明单位。Name the units."""

    field = "units"


class NoSuchDuty(Refusal):
    """没有此项待办的整改。There is no such duty to put right."""

    field = "duty"
