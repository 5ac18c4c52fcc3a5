"""问题目录. Every kind of finding: its term, what it says, how grave it is, and the article it rests on.

A kind of rule has the code of the refusal that a command would have met, where there is one: what a guard keeps from
happening here, the audit finds where it happened elsewhere. How grave a kind is no rule text says: what harms the
applicant or falsifies a figure is serious, what a person has yet to judge is a hint.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from domain import refusals
from domain.policy import Rules
from domain.terms import Citation, ClockName, Reading, Word


class Family(Word):
    """问题大类."""

    CLOCK = "clock", "时限"
    RULE = "rule", "规则"
    JUDGEMENT = "judgement", "待人判断"


class Severity(Word):
    """轻重."""

    SERIOUS = "serious", "严重"
    ORDINARY = "ordinary", "一般"
    HINT = "hint", "提示"


class Kind(NamedTuple):
    """问题种类. `option` is the option of a pack whose words it may rest on; `article` stands where no pack words it."""

    code: str
    zh: str
    family: Family
    severity: Severity
    says_zh: str
    says_en: str
    option: str = ""
    article: str = ""


_REGISTER: Final = "Huiyin 要求与裁量登记表 register of requirements and decisions"
_GUARDS: Final = {
    one.code(): one.basis
    for one in vars(refusals).values()
    if isinstance(one, type) and issubclass(one, refusals.Refusal)
}
_LATE_PREFIX: Final = "late-"
_GRAVE_CLOCKS: Final = frozenset(
    {ClockName.HANDLE, ClockName.STATUTORY, ClockName.CITIZEN_REPLY, ClockName.INIT_RESPONSE, ClockName.FOLLOW_UP}
)
"""Duties whose delay the applicant feels; the others are the administration's own steps."""

OVERDUE_ITEM: Final = Kind(
    "overdue-item",
    "超期办理件",
    Family.CLOCK,
    Severity.SERIOUS,
    "逾期申请退单，按规定视为超期办理件，同意退单亦不免除。",
    "The return was requested too late: by the rules an overdue item, even if the return was granted.",
    "late_return",
    "S1-20, R-34",
)


def _late(name: ClockName) -> Kind:
    grave = Severity.SERIOUS if name in _GRAVE_CLOCKS else Severity.ORDINARY
    code = f"{_LATE_PREFIX}{str(name).replace('_', '-')}"
    return Kind(
        code, f"{name.zh}超期", Family.CLOCK, grave, f"“{name.zh}”时限超期。", f"The limit `{name}` was passed."
    )


LATE: Final = {name: _late(name) for name in ClockName}
"""What a breach of each clock is called."""


def _rule(code: str, zh: str, says_zh: str, says_en: str, option: str = "", article: str = "") -> Kind:
    return Kind(code, zh, Family.RULE, Severity.ORDINARY, says_zh, says_en, option, article or _GUARDS.get(code, ""))


def _serious(code: str, zh: str, says_zh: str, says_en: str, option: str = "", article: str = "") -> Kind:
    return _rule(code, zh, says_zh, says_en, option, article)._replace(severity=Severity.SERIOUS)


def _hint(code: str, zh: str, says_zh: str, says_en: str, option: str = "", article: str = "") -> Kind:
    return Kind(code, zh, Family.JUDGEMENT, Severity.HINT, says_zh, says_en, option, article)


_REGISTRATION: Final = (
    _rule(
        "registration-incomplete",
        "登记要素不全",
        "非匿名诉求未登记联系方式，结果无从告知。",
        "A demand that is not anonymous has no contact: nobody can be told the result.",
    ),
    _serious(
        "informant-unprotected",
        "举报件未保密",
        "举报件未按举报人保密登记。",
        "A report was not registered under the protection of informants.",
    ),
    _rule(
        "title-has-personal-data",
        "标题含个人信息",
        "标题含有电话、证件号等个人信息，而标题并不密封。",
        "The title, which is not sealed, holds personal data.",
    ),
    _serious(
        "refusal-not-explained",
        "不予受理未说明理由",
        "不予受理，未记录告知诉求人的理由。",
        "The demand was refused without a recorded explanation to the caller.",
    ),
    _rule(
        "refusal-basis-missing",
        "不予受理未载依据条款",
        "以其他法律规定为由不予受理，未写明条款。",
        "The demand was refused under another law, without naming its article.",
    ),
    _serious(
        "competent-unit-not-named",
        "未告知办理单位名称",
        "不予受理时能够确定办理单位，却未告知其名称。",
        "The competent unit could be determined, but the caller was not told its name.",
    ),
    _rule(
        "refusal-needs-review",
        "涉密涉隐私不予受理未经审核",
        "以涉密、涉隐私为由不予受理，未经审核员决定。",
        "A refusal for secrets or privacy was not decided by a reviewer.",
    ),
    _serious(
        "secret-takes-no-words",
        "涉密件记录了内容",
        "以涉及国家秘密为由不予受理，却仍记录了内容。",
        "A demand refused as a state secret has recorded words.",
    ),
    _rule(
        "supplement-not-overdue",
        "补充期限未满即不予受理",
        "以无法识别为由不予受理，但未要求补充，或补充期限未满。",
        "Refused as not identifiable, though nothing had been asked for or its time was not over.",
    ),
    _rule(
        "instant-ahead",
        "所载告知时间在后",
        "所载告知时间晚于记录的时间。",
        "The instant at which the caller is said to have been told lies after the record.",
    ),
    _rule(
        "answer-basis-missing",
        "直接答复无依据",
        "直接答复未注明知识库条目或依据。",
        "A direct answer names neither a knowledge entry nor a basis.",
    ),
    _rule(
        "informant-never-merged",
        "举报人保密件被并单",
        "举报人保密件被并入他单。",
        "An order with a protected informant was merged.",
    )._replace(severity=Severity.SERIOUS),
)

_DISPATCHING: Final = (
    _serious(
        "accused-unit",
        "交被反映单位办理",
        "工单交由被反映的单位或其下级办理。",
        "The order was given to the unit complained of, or to one below it.",
    ),
    _rule(
        "limit-required",
        "未载明时限",
        "规则要求写明时限，文书上没有写。",
        "The rules want a written limit; none was written.",
    ),
    _rule(
        "limit-too-long",
        "所写时限过长",
        "交办单所写时限超过规定的最长时限。",
        "The limit written on the dispatch is longer than the rules allow.",
        "max_total",
    ),
    _rule(
        "meeting-missing",
        "属地交办未先协调",
        "属地交办前没有协调会记录，也不是交区（县）政府。",
        "A territorial dispatch without a coordination meeting, and not to a district government.",
    ),
    _rule(
        "instruction-missing",
        "未载明所依批示",
        "须依领导批示办理的事项，没有已登记的批示。",
        "What needs a leader's instruction rests on none that is recorded.",
    ),
    _rule(
        "lead-missing",
        "未指定牵头单位",
        "涉及两个以上部门，未指定牵头单位。",
        "Several departments are concerned, and none was designated to lead.",
        "lead_from",
    ),
    _rule(
        "ruled-elsewhere",
        "未按裁定派单",
        "异议已裁定由他单位办理，派单给了别的单位。",
        "A dispute was ruled for one unit, and the order was dispatched to another.",
    ),
    _rule(
        "reply-not-optional",
        "要求答复的事项派为不要求答复",
        "本市规则要求一律答复，派单却写明不要求答复。",
        "The rules want every order answered; the dispatch asked for no reply.",
        "reply_optional",
    ),
    _rule(
        "not-a-descendant",
        "转派给非下级单位",
        "承办单位把工单转派给了不属其下级的单位。",
        "The order was passed on to a unit that does not stand below the one that held it.",
    ),
    _rule(
        "already-signed",
        "重复签收",
        "同一承办单位对同一派单重复签收。",
        "The same assignment was signed for twice.",
    ),
    _rule(
        "not-signed",
        "未签收即办理",
        "规则规定了签收，办理、退单前却没有签收记录。",
        "The rules have a limit for signing, and something was done before the unit had signed.",
    ),
    _rule(
        "wrong-state",
        "环节次序不符",
        "工单状态为“{state}”时记录了“{what}”，不合办理次序。",
        "`{tag}` was recorded while the order was `{state_en}`: out of the order of the steps.",
    ),
    _rule(
        "order-sealed",
        "封存后变动",
        "档案封存后又记录了“{what}”。",
        "`{tag}` was recorded after the file was sealed.",
    ),
)

_RETURNING: Final = (
    _serious(
        "ruled-final",
        "裁定后退单",
        "已裁定、指定或批示交办的工单又被申请退单。",
        "A return was requested after the unit had been fixed by ruling, designation or instruction.",
        "ruled_final",
    ),
    _rule(
        "return-after-reply",
        "答复后退单",
        "已经答复的工单又申请退单。",
        "A return was requested after the reply.",
    ),
    _rule(
        "escalate-first",
        "越级退单",
        "接受转派的单位未逐级上报，直接向热线申请退单。",
        "A unit that had the order passed on to it returned it to the hotline directly.",
    ),
    _rule(
        "suggestion-missing",
        "退单未提建议",
        "申请退单未提出转派或处置建议。",
        "The return makes no proposal of what should become of the order.",
        "return_needs_suggestion",
    ),
    _rule(
        "late-return-needs-consent",
        "逾期退单未经上级同意",
        "逾期退单未经上一级管理单位同意即获准。",
        "A late return was granted without the consent of the next-higher unit.",
        "late_return",
    ),
    _rule(
        "self-approval",
        "本人审批本人事项",
        "“{what}”的申请人与审批人为同一人。",
        "One person both asked for and decided on `{tag}`.",
    )._replace(severity=Severity.SERIOUS),
    _rule(
        "no-such-proposal",
        "两人事项无提请",
        "“{what}”须两人办理，没有提请的记录。",
        "`{tag}` takes two persons, and nobody had proposed it.",
    ),
)

_EXTENDING: Final = (
    _serious(
        "extension-after-due",
        "时限届满后延期",
        "延期在时限届满后才申请或同意。",
        "An extension was asked for, or granted, after the limit had ended.",
    ),
    _rule(
        "no-extension-rule",
        "无规定而延期",
        "本市规则没有延期规定，却延期。",
        "The rules know no extension, and there is one.",
        "extension",
    ),
    _rule(
        "extension-over-cap",
        "延期超过上限",
        "延期超过规定的总时限、天数或次数。",
        "The extension goes beyond the total, the days or the count that the rules allow.",
        "extension_cap",
    ),
    _rule(
        "legal-basis-missing",
        "未写明法律依据",
        "“{what}”须写明法律依据，没有写。",
        "`{tag}` needs a legal basis, and none is named.",
        "extension_needs_legal_basis",
    ),
)

_REPLYING: Final = (
    _serious(
        "informing-missing",
        "未告知即答复",
        "答复没有告知诉求人的记录，也没有规定次数的联系记录。",
        "The reply was given without a record that the applicant was told, or tried as often as the rules ask.",
        "handle_stop",
    ),
    _serious(
        "attempts-missing",
        "联系次数不足",
        "以无法联系为由，但联系次数、天数或时段不足。",
        "The applicant is said not to have been reached; the attempts, their days or hours do not suffice.",
        "attempts",
    ),
    _rule(
        "not-your-unit",
        "非承办单位答复",
        "答复单位不是当时的承办单位。",
        "The unit that replied did not hold the order then.",
    ),
    _rule(
        "return-pending",
        "退单未决即答复",
        "退单申请尚未审定，即行答复。",
        "The unit replied while its return was still undecided.",
    ),
    _rule(
        "co-opinion-missing",
        "协办意见未齐",
        "协办单位未提交意见，答复也未列明。",
        "A co-organizer gave no opinion, and the reply does not name it.",
    ),
    _rule(
        "unresolved-fields-missing",
        "未解决事项四要素不全",
        "未解决的答复，缺原因、下一步措施、落实时间或责任单位。",
        "An unresolved reply lacks reason, next measures, date or responsible unit.",
    ),
    _rule(
        "unsolvable-fields-missing",
        "客观无法解决未说明",
        "客观无法解决的答复，缺原因、困难或有无研究措施。",
        "An unsolvable reply lacks the reason, or whether there are research measures.",
    ),
    _rule(
        "promise-in-past",
        "落实时间早于答复",
        "承诺的落实时间早于答复之日。",
        "The promised date lies before the reply.",
    ),
    _rule(
        "two-hands-needed",
        "一人起草并签发",
        "答复由同一人起草和签发。",
        "The reply was drafted and signed off by one person.",
        "reply_two_persons",
    ),
    _rule(
        "requirements-missing",
        "退回未提具体要求",
        "退回补正未提出具体要求。",
        "The reply was sent back without saying what is wanted.",
    ),
    _rule(
        "review-window-over",
        "审核期过后退回",
        "审核期已过，答复视为通过，却仍退回补正。",
        "The reply was sent back after the time in which it could be.",
    ),
    _serious(
        "identity-not-checked",
        "保密件答复未核查",
        "举报人保密件的答复未核查是否泄露身份。",
        "Nobody checked that the reply gives no protected informant away.",
    ),
    _rule(
        "reviewer-handled",
        "办理人审核本件",
        "参与办理的人员审核或回访了本件。",
        "Who had handled the order reviewed it, or made its return visit.",
    ),
    _rule(
        "not-handled-unsaid",
        "未认定未按规定办理",
        "连续答复无实质性变化已达规定次数，未认定为未按规定办理。",
        "So many replies in a row brought nothing new, and the order was not deemed not handled.",
        "streak",
        "S1-37, R-15",
    ),
)

_EVALUATING: Final = (
    _serious(
        "no-deeming",
        "无规定而视为满意",
        "本市规则没有视为评价的规定，却视为基本满意。",
        "The rules know no deemed evaluation, and there is one.",
        "deem",
    ),
    _serious(
        "window-open",
        "评价期未满即视为满意",
        "评价期尚未届满，即视为基本满意。",
        "The applicant was deemed satisfied before the time to evaluate was over.",
        "deem",
    ),
    _serious(
        "already-evaluated",
        "已有评价仍按未评价处理",
        "已有有效评价，仍按未评价处理。",
        "There was an evaluation that counts, and the order was treated as if there were none.",
    ),
    _rule(
        "already-rated",
        "重复评价",
        "同一来源对同一答复重复记录评价。",
        "One source rated the same reply twice.",
    ),
    _rule(
        "evaluated-late",
        "逾期评价未标明",
        "评价期满或办结后的评价，按期内评价记录。",
        "An evaluation after its window or the closure was recorded as if it had come in time.",
        article="R-17",
    ),
    _rule(
        "soliciting-not-allowed",
        "承办单位自行征求评价",
        "本市规则不由承办单位征求评价。",
        "Here organizers do not ask for evaluations themselves.",
        "solicit",
    ),
    _rule("rating-missing", "评价缺办理结果", "评价没有对办理结果的评价。", "The evaluation does not rate the result."),
    _rule(
        "revisit-not-done",
        "未回访而记回访评价",
        "没有完成的回访，却记录了回访评价。",
        "An evaluation of a return visit was recorded, and no visit was completed.",
    ),
    _serious(
        "revisit-refused-final",
        "拒访后仍回访",
        "诉求人已拒绝回访，仍安排或进行回访。",
        "The applicant had refused to be visited, and was.",
        "revisit_refusal_final",
    ),
    _rule(
        "anonymous-applicant",
        "对匿名诉求回访",
        "匿名诉求不回访，却有回访记录。",
        "An anonymous applicant was visited.",
    ),
    _rule(
        "consent-missing",
        "未经同意电话回访",
        "电话回访前没有诉求人同意的记录。",
        "The applicant was called for a return visit without recorded consent.",
        "revisit_consent",
    ),
    _rule(
        "revisit-questions-missing",
        "回访问题记录不全",
        "规定的回访问题没有逐项记录。",
        "Not every question that the rules ask at a return visit has its answer on record.",
        "revisit_questions",
    ),
    _rule(
        "revisitor-from-handling-unit",
        "承办单位自行回访",
        "回访人员来自承办单位。",
        "The visitor was of the unit that had handled the order.",
    ),
    _rule(
        "no-dissatisfaction",
        "无不满意评价而重办",
        "以不满意且合理为由重办，没有不满意的评价。",
        "A redo for dissatisfaction, and no dissatisfaction is on record.",
    ),
    _rule(
        "judged-unreasonable",
        "已认定不合理仍重办",
        "诉求已认定为不合理，仍以不满意为由重办。",
        "A redo for dissatisfaction after the demand had been judged unreasonable.",
    ),
)

_CLOSING: Final = (
    _serious(
        "reply-missing",
        "无答复办结",
        "没有答复即办结。",
        "The order was closed without a reply.",
    ),
    _serious(
        "result-not-told",
        "结果未告知即办结",
        "结果没有告知诉求人，也没有规定次数的联系记录，即办结或视为评价。",
        "The order was closed, or deemed evaluated, though the applicant had not been told the result.",
    ),
    _serious(
        "explanation-missing",
        "未解释说明即办结",
        "须先向诉求人解释说明的事项，没有解释说明的记录即办结。",
        "The order was closed without the explanation to the applicant that this way of closing needs.",
    ),
    _rule(
        "follow-up-result-missing",
        "未载跟踪结果",
        "未要求答复的事项办结，没有写明跟踪结果。",
        "An order that asked for no reply was closed without the result of following it up.",
    ),
    _serious(
        "not-satisfied",
        "无满意评价按满意办结",
        "按满意办结，没有有效的满意评价。",
        "Closed as satisfied, and no satisfied evaluation counts.",
    ),
    _rule(
        "article-missing",
        "依法依规办结未载条款",
        "按依法依规办结，没有写明条款。",
        "Closed as conforming, without an article.",
    ),
    _serious(
        "unresolved-needs-follow-up",
        "未解决按已办结",
        "答复为未解决，却未按阶段性办结跟踪。",
        "The reply says unresolved, and the order was not closed with a promise to follow.",
    ),
    _rule(
        "follow-up-missing",
        "阶段性办结无承诺",
        "按阶段性办结，没有可跟踪的后续承诺。",
        "Closed to be followed up, and nothing was promised.",
    ),
    _rule(
        "outcome-differs",
        "办结方式与答复不符",
        "办结方式与答复的办理结果不符。",
        "The way of closing does not fit what the reply came to.",
    ),
    _rule(
        "facts-not-clear",
        "事实不清备注办结",
        "事实不清而备注办结。",
        "Closed with a note though the facts were not clear.",
    ),
    _rule(
        "not-dissatisfied",
        "无不满意评价备注办结",
        "没有有效的不满意评价而备注办结。",
        "Closed with a note, and no dissatisfied evaluation counts.",
    ),
    _rule(
        "revisit-missing",
        "重办后未回访办结",
        "重办后没有再次回访即办结。",
        "Redone, and closed without a second visit.",
        "redo_revisit",
    ),
    _rule(
        "revisit-pending",
        "抽中回访未完成即办结",
        "已抽中回访，未完成即办结。",
        "Drawn for a return visit, and closed before it.",
    ),
    _rule(
        "dispute-open", "异议未裁定即办结", "派单异议尚未裁定即办结。", "Closed while a dispute was not yet ruled on."
    ),
    _serious(
        "emergency-not-told",
        "应急未通报即办结",
        "应急事项办结前，应通报的各方没有全部通报。",
        "An emergency was closed before everybody who must be told had been.",
        "emergency_recipients",
    ),
    _rule(
        "file-incomplete",
        "材料不齐归档",
        "材料不齐全而归档或封存。",
        "Filed or sealed though the file was not complete.",
    ),
    _rule("dossier-missing", "无归档件封存", "尚未形成归档件即封存。", "Sealed without a record copy."),
    _rule("not-yet-due", "封存过早", "归档后期限未满即封存。", "Sealed before the time after filing was over."),
    _rule(
        "not-approved",
        "督办专报未经签批",
        "督办专报签发前没有领导签批。",
        "A special report was issued without a leader's approval.",
    ),
    _rule(
        "media-not-admitted",
        "保密件邀请新闻单位",
        "保密件的现场督办邀请了新闻单位。",
        "News media were called to a confidential case.",
    )._replace(severity=Severity.SERIOUS),
)

_JUDGED: Final = (
    _hint(
        "attempts-in-one-hour",
        "联系集中在一小时内",
        "未联系上诉求人的各次联系都在一小时之内，是否尽到联系义务，请判断。",
        "All attempts that did not reach the applicant fell within one hour: whether that was enough is to be judged.",
        "attempts",
        "A-05, S4-18",
    ),
    Kind(
        "reply-unchanged",
        "答复无实质性变化",
        Family.JUDGEMENT,
        Severity.ORDINARY,
        "审核认定该答复与前次相比无实质性变化。",
        "A reviewer judged that the reply brought nothing new.",
        "streak",
        "S1-37, R-15",
    ),
    Kind(
        "not-handled",
        "视为未按规定办理",
        Family.JUDGEMENT,
        Severity.SERIOUS,
        "连续答复无实质性变化，已视为未按规定办理。",
        "Replies in a row brought nothing new: deemed not handled as prescribed.",
        "streak",
        "S1-37, R-15",
    ),
    _hint(
        "reply-unjudged",
        "多次答复未作认定",
        "同一单位再次答复，尚无人认定有无实质性变化。",
        "The same unit replied again, and nobody has judged yet whether anything changed.",
        "streak",
        "S1-37, R-15",
    ),
    _hint(
        "dissatisfied-unexplained",
        "不满意未解释即办结",
        "诉求人不满意，办结前没有解释说明的记录，是否须解释或重办，请判断。",
        "The applicant was dissatisfied, and nothing was explained before closing: whether it should have been is to be judged.",
        article="S1-38",
    ),
    _hint(
        "dissatisfied-after-deeming",
        "视为满意后表示不满意",
        "视为基本满意后，诉求人表示不满意，尚未重办，请判断是否合理。",
        "The applicant was deemed satisfied and then said otherwise; whether that is reasonable is to be judged.",
        article="R-17",
    ),
    _hint(
        "extended-again",
        "多次延期",
        "第二次及以上延期，请督办员关注。",
        "Extended for the second time or more: for a supervisor's attention.",
        "extension_alert_from",
        "A-07",
    ),
    _hint(
        "circulating",
        "反复流转",
        "退单已达反复流转的次数，请考虑会商或现场督办。",
        "Returned so often that a meeting or on-site supervision is called for.",
        "circulating",
        "A-11, S4-32",
    ),
)

KINDS: Final = {
    kind.code: kind
    for kind in (
        *LATE.values(),
        OVERDUE_ITEM,
        *_REGISTRATION,
        *_DISPATCHING,
        *_RETURNING,
        *_EXTENDING,
        *_REPLYING,
        *_EVALUATING,
        *_CLOSING,
        *_JUDGED,
    )
}
"""Every kind of finding, by its code."""


def rule_of(kind: Kind, rules: Rules) -> Citation:
    """Return what a finding of rule or judgement rests on: the pack's own words, else the register's entry."""
    said = rules.guards.get(kind.code) or (rules.bases.get(kind.option) if kind.option else None)
    return said or Citation(text=_REGISTER, article=kind.article, reading=Reading.ASSUMED)
