"""The words of the field: ids, codes, limits, citations, and the envelope around every event and command.

Official Chinese term first. DOMAIN glossary terms are used throughout; enum values are stored, so a value once
written never changes its spelling or meaning. An optional field's default always means "not said" (None, empty,
False), because a field that holds its default is left out of the stored form.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self
from uuid import UUID

import msgspec

SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")
"""Asia/Shanghai. A fixed offset: the zone has kept UTC+08:00 without daylight saving since 1991 (kernel K1)."""


# --- ids ---------------------------------------------------------------------------------------------------------

UserId = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^\S+$")]
"""工号. Names an official or a system account; never a citizen (a citizen's actor is the word `citizen`)."""

UnitId = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^\S+$")]
"""单位代码. The city's own code of a unit in the registry."""

OrderId = UUID
"""工单标识. A UUIDv7: a range of ids is a range of time and of the heap."""

CommandId = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
"""命令标识. Chosen by the caller; the same id is carried out once."""

Title = Annotated[str, msgspec.Meta(min_length=1, max_length=30)]
"""标题. At most 30 characters, without personal data (8.10)."""

Code = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
"""A short code or name that is shown in the open: category, document number, place."""

Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^\S+$")]
"""标签. A word that classes, overlays and lists ask about: consumer_complaint, hot_issue."""

Name = Annotated[str, msgspec.Meta(max_length=200)]
"""The title, number or publication of a document that anybody may read."""

Quote = Annotated[str, msgspec.Meta(max_length=500)]
"""The words of such a document."""

MediaType = Annotated[str, msgspec.Meta(max_length=100, pattern=r"^[\w.+-]+/[\w.+-]+$")]
"""文件类型. As in `image/jpeg`."""

Digest = Annotated[str, msgspec.Meta(pattern=r"^(sha256|sm3):[0-9a-f]{64}$")]
"""摘要. The digest of a file kept elsewhere, with its algorithm."""


class Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """The base of every record: immutable, named fields only, unknown fields refused."""


class Sealed(Struct, frozen=True):
    """密封字段. A personal field or a text, encrypted; `key` names a row of `keys`, `box` is nonce and ciphertext."""

    key: str
    box: str


Private = str | Sealed
"""A field that holds personal data or free text: plain in a command, `Sealed` in every event (8.10)."""


class Word(StrEnum):
    """A word of the field: its code, which is stored and never changes, and `zh`, the term that officials read."""

    _value_: str
    zh: str

    def __new__(cls, code: str, zh: str) -> Self:
        """Make one member of its code and its Chinese term."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.zh = zh
        return member

    __hash__ = str.__hash__  # it is looked up more often than anything else; the enumeration's own is a call in Python


# --- law ---------------------------------------------------------------------------------------------------------


class Reading(Word):
    """How a sentence of the law is known."""

    SEED = "seed", "规则文本"  # stated by a rule text itself
    CORROBORATED = "corroborated", "文本并有外部佐证"  # stated, and found in an external text
    EXTERNAL = "external", "外部文本"  # only in an external text
    ASSUMED = "assumed", "参数或裁量"  # a named, configurable assumption (A-nn) or decision (R-nn)


class Citation(Struct, frozen=True):
    """依据. Where a figure or a duty comes from; what a lawyer needs to look it up."""

    text: Name  # the instrument's title
    article: Name = ""  # article, heading, or requirement (S1-22)
    source: Name = ""  # document number or publication, only where it is known
    quote: Quote = ""  # the words relied on, as the source has them
    reading: Reading = Reading.SEED
    note: Quote = ""  # R-nn / A-nn and what was decided


class LimitUnit(Word):
    """时限单位."""

    MINUTES = "minutes", "分钟"
    HOURS = "hours", "小时"
    NATURAL_DAYS = "natural_days", "自然日"
    WORKING_DAYS = "working_days", "工作日"
    MONTHS = "months", "个月"  # matters of deputies (8.14)


class Limit(Struct, frozen=True):
    """时限. An amount of a unit, or an instant that a person wrote (`until`): never both."""

    amount: int = 0
    unit: LimitUnit | None = None
    until: datetime | None = None

    @property
    def in_hours(self) -> bool:
        """Tell whether the limit runs by the clock, around it, nights and holidays included (K2)."""
        return self.until is None and self.unit in (LimitUnit.MINUTES, LimitUnit.HOURS)


class ClockName(Word):
    """时钟. The complete list (8.4): every duty of a case that falls due."""

    DISPATCH = "dispatch", "派单"
    SIGN = "sign", "签收"
    TRANSFER = "transfer", "转派"
    RETURN = "return", "退单"
    RETURN_REVIEW = "return_review", "退单审核"
    INIT_RESPONSE = "init_response", "初步响应"
    PROGRESS = "progress", "进度反馈"
    HANDLE = "handle", "办结答复"
    STATUTORY = "statutory", "法定时限"
    EXTERNAL = "external", "外部平台时限"
    CO_REPLY = "co_reply", "协办"
    EXTENSION_DECISION = "extension_decision", "延期审批"
    INFORM_EXTENSION = "inform_extension", "延期告知"
    CORRECTION = "correction", "退回补正"
    EVAL_WINDOW = "eval_window", "评价期"
    CLOSE_AFTER = "close_after", "自动办结"
    REVISIT = "revisit", "回访"  # opens, no closing figure
    CITIZEN_REPLY = "citizen_reply", "并单诉求人告知"
    FOLLOW_UP = "follow_up", "承诺兑现"
    SUPV_REPLY = "supv_reply", "督办回复"
    ARRIVE_SITE = "arrive_site", "到场"
    SITE_RECORD = "site_record", "现场记录"
    WHISTLE = "whistle", "报到"
    INSTRUCTION = "instruction", "批示办结报告"
    OVERSIGHT_REPLY = "oversight_reply", "代表委员答复"
    SEAL = "seal", "封存"
    APPEAL = "appeal", "考核申诉"
    APPEAL_DECISION = "appeal_decision", "申诉裁定"


class Start(Word):
    """What starts a clock, as a rule text words it."""

    REGISTRATION = "registration", "登记"
    DISPATCH = "dispatch", "派单"  # every dispatch of the hotline begins an episode
    ASSIGNMENT = "assignment", "收到工单"  # the hotline's dispatch, or the onward transfer to this unit
    FIRST_SIGNATURE = "first_signature", "首次签收"  # the first signature of the episode
    RETURN_REQUESTED = "return_requested", "申请退单"
    EXTENSION_REQUESTED = "extension_requested", "申请延期"
    EXTENSION_APPROVED = "extension_approved", "同意延期"
    REPLY_SENT_BACK = "reply_sent_back", "退回补正"
    REPLY_AND_INFORMED = "reply_and_informed", "答复并告知诉求人"  # the later of reply and informing
    REPLY_ACCEPTED = "reply_accepted", "答复审核通过"
    HANDLE_DUE = "handle_due", "办理期限届满"
    MERGED = "merged", "并单"
    PROMISE = "promise", "承诺"  # the instant written in a promise
    NOTICE_SERVED = "notice_served", "送达督办文书"
    SITE_ARRIVED = "site_arrived", "到场"
    WHISTLE_BLOWN = "whistle_blown", "吹哨"
    INSTRUCTION_RECORDED = "instruction_recorded", "登记批示"
    INQUIRY_FILED = "inquiry_filed", "提出建议或提案"
    FILED = "filed", "归档"
    FIGURE_PUBLISHED = "figure_published", "公布考核结果"
    APPEAL_FILED = "appeal_filed", "提出申诉"
    CO_ADDED = "co_added", "确定协办"


class Stop(Word):
    """What stops a clock, as a rule text words it."""

    DISPATCHED = (
        "dispatched",
        "派单或其他处置",
    )  # dispatched, answered, transferred, refused, merged, referred, handed over
    SIGNED = "signed", "签收"
    TRANSFERRED = "transferred", "转派、自办或申请退单"  # transferred on, signed for own handling, or return requested
    RETURNED = "returned", "申请退单"  # the return arrived at the hotline
    RETURN_DECIDED = "return_decided", "审定退单"
    INITIAL_RESPONSE = "initial_response", "初步响应"
    PROGRESS = "progress", "反馈进度"  # a progress report or the final reply
    REPLY_AND_INFORMED = "reply_and_informed", "答复并告知诉求人"
    REPLY_TO_HOTLINE = "reply_to_hotline", "答复热线"
    INFORMED = "informed", "告知诉求人"  # the applicant was told of acceptance or result
    FIRST_REPLY = "first_reply", "首次答复"
    CO_OPINION = "co_opinion", "协办意见"
    EXTENSION_DECIDED = "extension_decided", "审定延期"
    EXTENSION_INFORMED = "extension_informed", "告知延期"
    CORRECTED = "corrected", "补正"
    EVALUATED = "evaluated", "评价"  # evaluated, redo ordered, or sent back
    CLOSED = "closed", "办结"
    REVISITED = "revisited", "回访"
    CITIZEN_TOLD = "citizen_told", "告知并单诉求人"
    KEPT = "kept", "兑现"
    NOTICE_REPLIED = "notice_replied", "回复督办"
    SITE_ARRIVED = "site_arrived", "到场"
    SITE_RECORDED = "site_recorded", "提交现场记录"
    WHISTLE_ANSWERED = "whistle_answered", "报到"
    REPORTED_BACK = "reported_back", "报告办理结果"
    INQUIRY_ANSWERED = "inquiry_answered", "答复代表委员"
    SEALED = "sealed", "封存"
    APPEALED = "appealed", "提出申诉"
    APPEAL_DECIDED = "appeal_decided", "裁定申诉"


class PolicyRef(Struct, frozen=True):
    """政策版本. The pack an order is bound to, by id and by the digest of its whole content (K12)."""

    pack: str
    digest: str


# --- people ------------------------------------------------------------------------------------------------------


class Role(Word):
    """角色 (DOMAIN 4.1)."""

    CITIZEN = "citizen", "诉求人"
    AGENT = "agent", "话务员"
    DISPATCHER = "dispatcher", "派单员"
    HOTLINE_MANAGER = "hotline_manager", "热线管理机构"
    QC_REVIEWER = "qc_reviewer", "审核员"
    REVISITOR = "revisitor", "回访员"
    ORG_HANDLER = "org_handler", "承办人"
    ORG_APPROVER = "org_approver", "承办单位审核人"
    MGMT_UNIT = "mgmt_unit", "上一级管理单位"
    SUPERVISOR = "supervisor", "督办员"
    COORDINATOR = "coordinator", "政府办公厅(室)"
    LEADER = "leader", "领导"
    OVERSEER_NPC = "overseer_npc", "人大代表"
    OVERSEER_CPPCC = "overseer_cppcc", "政协委员"
    DISCIPLINE = "discipline", "监察机关"
    ARCHIVIST = "archivist", "档案员"
    AUDITOR = "auditor", "审计员"
    ADMIN = "admin", "系统管理员"
    SYSTEM = "system", "系统"  # timers, imports


class Actor(Struct, frozen=True):
    """操作人. Who acts, in which role, for which unit; the hotline's own staff name the hotline's unit."""

    user: UserId
    role: Role
    unit: UnitId = ""


class Origin(Word):
    """来源. How a fact came into the ledger; the law looks at `occurred_at` of all but live ones."""

    LIVE = "live", "实时"
    BACKFILL = "backfill", "补录"  # after an outage
    IMPORT = "import", "迁入"


_LIVE = Origin.LIVE  # said once: every entry is asked for its instant, and to name a member costs as much as the answer


class ApplicantKind(Word):
    """诉求人类别."""

    PERSON = "person", "个人"
    ENTERPRISE = "enterprise", "企业"
    ORGANISATION = "organisation", "其他组织"


class Applicant(Struct, frozen=True):
    """诉求人. `subject` is a random id, given by the door; the same number finds the same subject until erased."""

    kind: ApplicantKind
    name: Private | None = None
    phone: Private | None = None
    organisation: Private | None = None  # 单位
    contact: Private | None = None  # another way to be reached: letter, mail, account
    subject: UUID | None = None


# --- the demand --------------------------------------------------------------------------------------------------


class DemandType(Word):
    """诉求类型 (S0-2)."""

    CONSULT = "consult", "咨询"
    HELP = "help", "求助"
    COMPLAINT = "complaint", "投诉"
    REPORT = "report", "举报"
    SUGGESTION = "suggestion", "建议"  # also criticism and opinion


class PolicyDomain(Word):
    """领域 (S0-3)."""

    ECONOMIC_REGULATION = "economic_regulation", "经济调节"
    MARKET_SUPERVISION = "market_supervision", "市场监管"
    SOCIAL_MANAGEMENT = "social_management", "社会管理"
    PUBLIC_SERVICES = "public_services", "公共服务"
    ENVIRONMENT = "environment", "生态环境保护"
    OTHER = "other", "其他"


class Channel(Word):
    """受理渠道."""

    PHONE = "phone", "电话"
    PARTY_SECRETARY_MAILBOX = "party_secretary_mailbox", "市委书记信箱"
    GOVERNMENT_MAILBOX = "government_mailbox", "市人民政府信箱"
    ENTERPRISE_MAILBOX = "enterprise_mailbox", "服务企业信箱"
    MAYOR_MAILBOX = "mayor_mailbox", "市长信箱"
    LETTER = "letter", "来信"
    WEB = "web", "网站"
    APP = "app", "移动端"
    COUNTER = "counter", "窗口"
    NATIONAL_PLATFORM = "national_platform", "国家平台交办"
    CROSS_REGION = "cross_region", "川渝互转"
    SUB_CENTRE = "sub_centre", "分中心"
    OTHER = "other", "其他"


class Urgency(Word):
    """紧急程度 (DOMAIN 2.2)."""

    GENERAL = "general", "一般"
    LIVELIHOOD = "livelihood", "水电气热等基本民生保障、极端天气"
    EMERGENCY_LIFE = "emergency_life", "可能造成生命财产损失"


class Complexity(Word):
    """复杂程度."""

    ORDINARY = "ordinary", "一般"
    COMPLEX = "complex", "复杂疑难"


class Scale(Word):
    """影响范围 (8.14)."""

    SINGLE = "single", "个别"
    MASS = "mass", "大面积"


class Confidentiality(Word):
    """保密类别 (DOMAIN 4.2)."""

    NORMAL = "normal", "不保密"
    PRIVACY = "privacy", "工单保密"
    INFORMANT = "informant", "举报人保密"
    TRADE_SECRET = "trade_secret", "商业秘密"


class RefusalReason(Word):
    """不予受理情形 (S0-7…10, 8.2)."""

    LITIGATION = "litigation", "诉讼"
    ARBITRATION = "arbitration", "仲裁"
    DISCIPLINE = "discipline", "纪检监察"
    RECONSIDERATION = "reconsideration", "行政复议"
    INFO_DISCLOSURE = "info_disclosure", "政府信息公开"
    PETITION = "petition", "已进入信访渠道"
    STATE_SECRET = "state_secret", "国家秘密"
    TRADE_SECRET = "trade_secret", "商业秘密"
    PRIVACY = "privacy", "个人隐私"
    PUBLIC_ORDER = "public_order", "违反公序良俗"
    OTHER_LAW = "other_law", "法律法规规章规定的其他情形"
    OTHER_PROCEDURE = "other_procedure", "其他法定程序"
    NO_NEW_FACTS = "no_new_facts", "无新事实的重复诉求"
    NO_SUBSTANCE = "no_substance", "无实质诉求"
    OUTSIDE_AREA = "outside_area", "不属于本行政区域"
    NOT_IDENTIFIABLE = "not_identifiable", "补充期满仍无法识别"


class Attributes(Struct, frozen=True, omit_defaults=False, cache_hash=True):
    """分类要素. What a class is derived from, per pack, so that overlays and what-if can ask again (DESIGN 4)."""

    demand_type: DemandType
    urgency: Urgency = Urgency.GENERAL
    complexity: Complexity = Complexity.ORDINARY
    scale: Scale = Scale.SINGLE
    domain: PolicyDomain = PolicyDomain.OTHER
    tags: tuple[Tag, ...] = ()  # consumer_complaint, unfair_competition, mediation, enforcement, mass_outage …


# --- steps of the case -------------------------------------------------------------------------------------------


class OrderState(Word):
    """工单状态 (DOMAIN 3.2)."""

    REGISTERED = "registered", "已登记"
    AWAITING_SUPPLEMENT = "awaiting_supplement", "待补充"
    AWAITING_DISPATCH = "awaiting_dispatch", "待派单"
    COORDINATING = "coordinating", "协调中"
    DISPATCHED = "dispatched", "待签收"
    WORKING = "working", "办理中"
    RETURN_REVIEW = "return_review", "退单审核中"
    REPLIED = "replied", "已答复"
    EVALUATING = "evaluating", "待评价"
    CLOSED = "closed", "已办结"
    ARCHIVED = "archived", "已归档"
    NOT_ACCEPTED = "not_accepted", "不予受理"
    MERGED = "merged", "已并单"


class ClosureKind(Word):
    """办结方式 (DOMAIN 3.2, 8.2)."""

    DIRECT = "direct", "直接答复办结"
    TRANSFERRED = "transferred", "转接办结"
    SATISFIED = "satisfied", "满意办结"
    CONFORMING = "conforming", "依法依规办结"
    DEEMED_BASICALLY_SATISFIED = "deemed_basically_satisfied", "视为基本满意"
    NOTED = "noted", "备注办结"
    UNRESOLVED_FOLLOW_UP = "unresolved_follow_up", "阶段性办结(承诺跟踪)"
    UNSOLVABLE_EXPLAINED = "unsolvable_explained", "客观无法解决办结"
    UNREACHABLE = "unreachable", "无法联系办结"
    COMPLETED = "completed", "办结(未评价)"
    TERMINATED = "terminated", "终止办理"
    WITHDRAWN = "withdrawn", "撤回"
    MERGED = "merged", "并单"
    NOT_ACCEPTED = "not_accepted", "不予受理"


class NoteReason(Word):
    """备注办结理由 (R-19)."""

    BEYOND_LAW = "beyond_law", "超出法律法规规定"
    POLICY_LIMIT = "policy_limit", "受政策条件所限"
    UNREASONABLE_EXPECTATION = "unreasonable_expectation", "期望不合理"


class TerminationGround(Word):
    """终止办理情形 (8.2)."""

    NO_COOPERATION = "no_cooperation", "诉求人不配合"
    UNREASONABLE = "unreasonable", "不合理诉求"


class ReopenGround(Word):
    """恢复办理理由 (DOMAIN 3.3)."""

    NEW_FACTS = "new_facts", "新的事实"
    WRONG_CLOSURE = "wrong_closure", "办结有误"


class EmergencyService(Word):
    """紧急服务 (DOMAIN 3.3)."""

    POLICE = "110", "公安"
    FIRE = "119", "消防"
    AMBULANCE = "120", "急救"
    TRAFFIC = "122", "交通事故"


class EmergencyRecipient(Word):
    """应急联动通报对象 (8.14)."""

    TERRITORY = "territory", "事件属地政府"
    DEPARTMENT = "department", "处置部门"
    CITY_OPS = "city_ops", "城市运行中心"
    POLICE_110 = "police_110", "110指挥中心"
    OTHER = "other", "其他"


class DispatchType(Word):
    """转办类型 (S1-12…14)."""

    ORDINARY = "ordinary", "普通转办"
    DESIGNATED = "designated", "指定交办"
    TERRITORIAL = "territorial", "属地交办"
    INSTRUCTION = "instruction", "批示交办"


class DispatchBasis(Word):
    """派单依据 (S1-10)."""

    TERRITORY = "territory", "属地管理"
    DUTY = "duty", "按职承办"
    SECTOR = "sector", "行业主管"


class Medium(Word):
    """方式."""

    SYSTEM = "system", "系统"
    PHONE = "phone", "电话"
    WRITTEN = "written", "书面"
    SMS = "sms", "短信"
    FACE = "face", "当面"
    ONSITE = "onsite", "现场"
    WEB = "web", "网上"  # also: published under the query code


class AssignmentRole(Word):
    """办理角色."""

    LEAD = "lead", "主办"
    CO = "co", "协办"
    SUPERVISING = "supervising", "督促协调"


class AssignmentState(Word):
    """承办状态."""

    PENDING_SIGN = "pending_sign", "待签收"
    SIGNED = "signed", "办理中"
    TRANSFERRED = "transferred", "已转派"
    RETURN_PENDING = "return_pending", "退单中"
    RETURNED = "returned", "已退单"
    REPLIED = "replied", "已答复"
    DONE = "done", "完成"
    RECALLED = "recalled", "已撤回"


class ReturnGround(Word):
    """退单理由 (8.2)."""

    OUT_OF_SCOPE = "out_of_scope", "不在受理范围"
    NOT_OUR_DUTY = "not_our_duty", "不属本单位职责"
    RULED_ELSEWHERE = "ruled_elsewhere", "已裁定由他单位办理"
    DUPLICATE = "duplicate", "重复件"


class Outcome(Word):
    """办理结果."""

    RESOLVED = "resolved", "已解决"
    PARTIAL = "partial", "部分解决"
    UNRESOLVED = "unresolved", "未解决"  # with the four fields of S4-27
    UNSOLVABLE = "unsolvable", "客观无法解决"  # S4-28
    EXPLAINED = "explained", "解释说明"  # consultations, policy unfit


class Hindrance(Word):
    """未解决原因类别. What kept a demand from being resolved, as it is counted; the words for it stay sealed beside it."""

    BEYOND_LAW = "beyond_law", "缺乏法律法规依据"
    POLICY_LIMIT = "policy_limit", "受政策条件所限"
    FUNDS = "funds", "资金未落实"
    PLANNING = "planning", "规划、立项或审批未完成"
    WORKS = "works", "工程或采购周期未到"
    TECHNICAL = "technical", "技术或现场条件所限"
    TITLE_OR_DISPUTE = "title_or_dispute", "权属不清或民事纠纷"
    LEGACY = "legacy", "历史遗留问题"
    ABOVE_US = "above_us", "须上级或他地事权"
    EVIDENCE = "evidence", "事实尚未查清或证据不足"
    OTHER = "other", "其他原因"


class Verified(Word):
    """诉求属实情况."""

    TRUE = "true", "属实"
    PARTLY = "partly", "部分属实"
    UNTRUE = "untrue", "不属实"


class Informing(Word):
    """告知方式 of a reply: what counts as having told the applicant the result (R-31, A-05, 8.10)."""

    TOLD = "told", "已告知诉求人"
    TRIED = "tried", "多次联系未果"
    PUBLISHED = "published", "匿名诉求凭查询码公布"
    BY_HOTLINE = "by_hotline", "由热线告知"


class Substance(Word):
    """实质性变化 of a reply against the one before it (R-15)."""

    CHANGED = "changed", "有实质性变化"
    UNCHANGED = "unchanged", "无实质性变化"
    JUSTIFIED = "justified", "无变化但有正当理由"


class RedoGround(Word):
    """重办理由 (S1-34, S2-30)."""

    NOT_DONE = "not_done", "未履行职责"
    REASONABLE_DISSATISFACTION = "reasonable_dissatisfaction", "不满意且诉求合理"
    CARELESS_REPLY = "careless_reply", "答复不认真"


class Reasonableness(Word):
    """诉求合理性 (8.11)."""

    REASONABLE = "reasonable", "合理"
    PARTLY = "partly", "部分合理"
    UNREASONABLE = "unreasonable", "不合理"


class ExemptCategory(Word):
    """不计满意率类别 (S1-40)."""

    MEDIATION = "mediation", "行政调解类"
    ENFORCEMENT = "enforcement", "执法办案类"
    OTHER = "other", "法规规定的其他情形"


class RevisitMethod(Word):
    """回访方式 (S0-33)."""

    PHONE = "phone", "电话核实"
    FACE = "face", "当面走访"
    ONSITE = "onsite", "实地查看"
    ONLINE = "online", "网上回访"


class Resolution(Word):
    """诉求人所说的解决情况 (I8)."""

    RESOLVED = "resolved", "已解决"
    PARTIAL = "partial", "部分解决"
    UNRESOLVED = "unresolved", "未解决"


class InformAbout(Word):
    """告知事项 (8.1)."""

    ACCEPTANCE = "acceptance", "受理告知"
    DISPATCH = "dispatch", "转办告知"
    PROGRESS = "progress", "进展告知"
    RESULT = "result", "结果告知"


class Rating(Word):
    """评价等级 (8.9)."""

    VERY_SATISFIED = "very_satisfied", "非常满意"
    SATISFIED = "satisfied", "满意"
    BASICALLY_SATISFIED = "basically_satisfied", "基本满意"
    DISSATISFIED = "dissatisfied", "不满意"
    VERY_DISSATISFIED = "very_dissatisfied", "非常不满意"
    NOT_RATED = "not_rated", "不评价"

    @property
    def negative(self) -> bool:
        """Tell whether the applicant said to be dissatisfied."""
        return self in (Rating.DISSATISFIED, Rating.VERY_DISSATISFIED)

    @property
    def positive(self) -> bool:
        """Tell whether the rating counts as satisfied in I9."""
        return self in (Rating.VERY_SATISFIED, Rating.SATISFIED, Rating.BASICALLY_SATISFIED)


class Dimension(Word):
    """评价维度 (8.9)."""

    RESULT = "result", "办理结果"
    CONTENT = "content", "回复内容"
    ATTITUDE = "attitude", "服务态度"
    TIMELINESS = "timeliness", "办理时效"
    HOTLINE_SERVICE = "hotline_service", "热线服务"


class EvaluationSource(Word):
    """评价来源, in order of precedence (R-18)."""

    REVISIT = "revisit", "热线回访"
    CITIZEN_SELF = "citizen_self", "诉求人自评"
    ORGANIZER_SOLICITED = "organizer_solicited", "承办单位征求"
    DEEMED = "deemed", "视为"


class NoticeKind(Word):
    """督办文书种类 (DOMAIN 3.6)."""

    REMINDER = "reminder", "催办"
    SYSTEM = "system", "系统督办"
    WRITTEN = "written", "书面督办"
    SPECIAL = "special", "专项督办"
    INSTRUCTION = "instruction", "批示督办"
    ONSITE = "onsite", "现场督办"
    SPECIAL_REPORT_DOWN = "special_report_down", "督办专报"
    MEETING = "meeting", "会商督办"
    CIRCULAR = "circular", "通报"


class NoticeState(Word):
    """督办文书状态."""

    ISSUED = "issued", "已发出"
    SERVED = "served", "已送达"
    REPLIED = "replied", "已回复"
    ACCEPTED = "accepted", "已认可"
    REJECTED = "rejected", "已退回"
    ESCALATED = "escalated", "已升级"
    WITHDRAWN = "withdrawn", "已撤销"
    CLOSED = "closed", "已了结"


class NoticeGround(Word):
    """督办事由."""

    FALLING_DUE = "falling_due", "临期"
    OVERDUE = "overdue", "超期"
    EXT_NOT_INFORMED = "ext_not_informed", "延期未告知"
    DEEMED_NOT_HANDLED = "deemed_not_handled", "视为未按规定办理"
    CARELESS_REPLY = "careless_reply", "答复不认真"
    PREVARICATION = "prevarication", "推诿"
    PERFUNCTORY = "perfunctory", "敷衍"
    CONCENTRATED = "concentrated", "问题集中"
    LOW_EVALUATION = "low_evaluation", "评价低"
    REPEATED = "repeated", "反复投诉"
    CIRCULATING = "circulating", "反复流转"
    UNCLEAR_OWNERSHIP = "unclear_ownership", "权属不清"
    FUNCTIONAL_GAP = "functional_gap", "职能空白"
    UNCOORDINATED = "uncoordinated", "协调推动不了"
    CROSS_REGION = "cross_region", "区域交叉"
    DIFFICULT = "difficult", "疑难"
    KEY = "key", "重点"
    HOT_ISSUE = "hot_issue", "热点"  # with the press, S2-32
    EMERGENCY = "emergency", "突发"
    INSTRUCTION = "instruction", "领导批示"
    NOT_COOPERATING = "not_cooperating", "不配合"
    NOTICE_IGNORED = "notice_ignored", "督办未回复"
    LATE_ARRIVAL = "late_arrival", "未按时到场"
    OTHER = "other", "其他"


class NoticeWithdrawal(Word):
    """督办文书撤销理由 (DOMAIN 3.6)."""

    EXTENSION_APPROVED = "extension_approved", "延期已同意"
    CALENDAR_REVISED = "calendar_revised", "日历修订"
    OUTAGE = "outage", "系统中断"
    CORRECTED = "corrected", "记录更正"
    ISSUED_IN_ERROR = "issued_in_error", "误发"


class Participant(Word):
    """现场督办参加方 (S2-32)."""

    ORGANIZER = "organizer", "承办单位"
    DEPARTMENT = "department", "有关部门"
    STREET = "street", "街道、乡镇"
    MEDIA = "media", "新闻单位"
    DEPUTY = "deputy", "人大代表"
    MEMBER = "member", "政协委员"
    EXPERT = "expert", "专家"


class AppealGround(Word):
    """考核申诉理由 (8.11)."""

    WRONG_EVALUATION = "wrong_evaluation", "评价记录有误"
    WRONG_UNIT = "wrong_unit", "责任单位有误"
    FORCE_MAJEURE = "force_majeure", "不可抗力"
    UNREASONABLE_DEMAND = "unreasonable_demand", "不合理诉求"
    OUTAGE = "outage", "系统中断"


class UnitLevel(Word):
    """单位层级."""

    HOTLINE = "hotline", "热线管理机构"
    FIRST = "first", "一级承办单位"
    SECOND = "second", "二级承办单位"
    THIRD = "third", "街乡镇等"
    OTHER = "other", "其他"


class UnitKind(Word):
    """单位性质 (S1-7)."""

    HOTLINE = "hotline", "热线管理机构"
    DISTRICT_GOVERNMENT = "district_government", "区县政府"
    DEPARTMENT = "department", "部门"
    STREET = "street", "街道、乡镇"
    MASS_ORGANISATION = "mass_organisation", "群团组织"
    PUBLIC_ENTERPRISE = "public_enterprise", "公共服务企业"
    AUTHORISED_BODY = "authorised_body", "授权组织"
    GOVERNMENT_OFFICE = "government_office", "政府办公厅(室)"
    SUB_CENTRE = "sub_centre", "分中心"
    OTHER = "other", "其他"


# --- the envelope ------------------------------------------------------------------------------------------------


class Fact(Struct, frozen=True):
    """事件. Something that happened; stored for ever under its tag."""


class Act(Struct, frozen=True):
    """命令. What somebody wants done; `roles` says who may ask at all (DOMAIN 4.1, tested role by role)."""

    roles: ClassVar[frozenset[Role]] = frozenset()


class Attachment(Struct, frozen=True):
    """附件. A file kept elsewhere, named by its digest."""

    digest: Digest
    size: int
    media_type: MediaType
    name: Private | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event with everything the ledger knows about it. Not stored as such: put together from event and commit."""

    event: Any
    stream: str
    version: int
    position: int  # dense, from 1; 0 while only supposed (a dry run)
    recorded_at: datetime
    occurred_at: datetime | None = None
    origin: Origin = Origin.LIVE
    actor: Actor
    on_behalf_of: str = ""
    reason: str = ""
    numbers: dict[str, tuple[int, ...]] = {}
    command_id: str = ""
    correlation_id: str = ""
    causation_id: str = ""
    corrected_at: datetime | None = None  # set while folding, from a recorded correction; never stored
    corrected: bool = False  # every correction known of it is applied; never stored

    @property
    def at(self) -> datetime:
        """The one instant the law looks at: when it happened if imported or backfilled, else when it was recorded."""
        if self.corrected_at is not None:
            return self.corrected_at
        if self.occurred_at is None or self.origin is _LIVE:
            return self.recorded_at
        return self.occurred_at

    def numbered(self, journal: str, nth: int = 1) -> str:
        """Return the nth running number that the commit gave in a journal, as printed; empty if there is none."""
        for key, given in self.numbers.items():
            kind, _, series = key.partition("/")
            if kind == journal and 0 < nth <= len(given):
                return f"{series}-{given[nth - 1]:06d}" if series else f"{given[nth - 1]:06d}"
        return ""


class Mark(msgspec.Struct, frozen=True, order=True, array_like=True, gc=False):
    """A moment in a case's history: when, and by which event (its position in the ledger)."""

    at: datetime
    position: int


class To(msgspec.Struct, frozen=True):
    """An event for another stream than the one addressed, in the same commit."""

    stream: str
    event: Fact


class Period(Word):
    """How often a running number begins anew."""

    DAY = "day", "按日"
    YEAR = "year", "按年"
    NEVER = "never", "连续"


class Number(msgspec.Struct, frozen=True):
    """A wish for the next running number on paper; the writer gives it under the lock, without gap.

    `Number("order", "CD", Period.DAY)` gives `{"order/CD20250616": (17,)}` in the commit's `numbers`.
    """

    journal: str
    prefix: str = ""
    per: Period = Period.YEAR
    count: int = 1


class Shred(msgspec.Struct, frozen=True, kw_only=True):
    """A wish that keys be destroyed in the commit: of a case, of a subject everywhere, or of a subject in one case."""

    stream: str = ""  # the case; empty: every case
    subject: UUID | None = None  # None: every key of the case


Step = Fact | To | Number | Shred
"""What a decision is made of."""


class CitedText(Struct, frozen=True):
    """A document that exists outside the ledger: its date, its number where known, its digest, its sealed words."""

    dated: date | None = None
    number: Code = ""
    digest: Digest | None = None
    words: Private | None = None
