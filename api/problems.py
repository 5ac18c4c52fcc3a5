"""Refusals as they go over the wire: problem details (RFC 9457), a stable type and a status for each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, TypeGuard

import msgspec

from archive import custody, gathering, inspection, items, packet, pdf
from domain import refusals
from domain.refusals import Refusal
from projections import answers, engine, transparency
from supervision import findings, instruments, oversight, reports, sampling, telling

TYPE = "urn:huiyin:refusal:"
MEDIA_TYPE = "application/problem+json"


# --- refusals of the way in itself -------------------------------------------------------------------------------


class TokenMissing(Refusal):
    """请先登录：需要 Bearer 令牌。A bearer token is needed."""


class TokenUnfit(Refusal):
    """令牌无效或已过期。The token is not valid, or has expired."""


class RoleUnclear(Refusal):
    """令牌有多个角色，请以 Huiyin-Role 指明一个。The token has several roles: name one in the header Huiyin-Role."""

    field = "Huiyin-Role"


class RoleNotInToken(Refusal):
    """令牌没有此角色。The token does not give this role."""

    field = "Huiyin-Role"


class RoleNotHeldHere(Refusal):
    """登记簿中没有此人的这一角色。According to the registry this person does not hold this role in this unit."""

    basis = "DOMAIN 4.1"


class NotForThisRole(Refusal):
    """该角色不得查看此内容。This role may not see this."""

    basis = "DOMAIN 4.2, 4.3"


class SummaryNotReleased(Refusal):
    """该件的文字尚未公开：请先请求公开摘要，由热线管理机构审核后提供。No text of it was released: ask the office for a summary first."""

    basis = "DOMAIN 8.10"


class DossierNotReleased(Refusal):
    """该卷宗尚未同意调阅：请等候热线管理机构决定，或先提出调阅请求。The office has not released this dossier: wait for its decision, or ask for it first."""

    basis = "DOMAIN 8.14"


class DossierNotAtHand(Refusal):
    """同意调阅的卷宗此处没有：未登记成文，或程序更新后已不能逐字节重制。请热线管理机构以 huiyin dossier --as 登记后重新同意。

    The dossier that was released is not here: it was not recorded, or cannot be made again byte by byte since the program
    changed. Ask the office to make it with `huiyin dossier --as` and to release that one.
    """

    basis = "DOMAIN 8.14"


class ApprovalNeeded(Refusal):
    """此项须逐案批准，不在此开启。This is opened only with an approval of the single case, and not here."""

    basis = "DOMAIN 4.3"


class ScopeMissing(Refusal):
    """令牌没有此项权限。The token lacks the scope for this."""


class NoShareAgreement(Refusal):
    """没有对此接收方生效的共享协议，请热线管理机构公布。
    No share agreement with this consumer is in force: have the hotline's manager publish one.
    """

    basis = "DOMAIN S3-7"


class StreamsExhausted(Refusal):
    """同一接收方同时打开的事件流过多，请先关闭。This consumer has too many streams open: close one first."""


class UnknownCity(Refusal):
    """没有此城市。There is no such city."""


class UnknownCommand(Refusal):
    """没有此命令。There is no such command."""


class UnknownEntry(Refusal):
    """没有此条记录或密封字段。There is no such entry, or no such sealed field in it."""


class UnknownPage(Refusal):
    """没有此地址。There is nothing at this address."""


class MethodUnfit(Refusal):
    """此地址不接受这种请求方法。This address does not take this method."""


class KeyMissing(Refusal):
    """须有 Idempotency-Key。The header Idempotency-Key is needed: the same key is carried out once."""

    field = "Idempotency-Key"


class KeyUsed(Refusal):
    """此 Idempotency-Key 的命令已执行，本次未校验；校验请换新的键。A command with this key was carried out already, and nothing was tried:
    take another key to validate."""

    field = "Idempotency-Key"


class MatchUnfit(Refusal):
    """If-Match 须为 ETag 所给的版本。If-Match names the version that an ETag gave."""

    field = "If-Match"


class HeaderUnfit(Refusal):
    """请求头的内容不合格式。A header does not have its form."""


class ReasonNeeded(Refusal):
    """此操作须以 Huiyin-Reason 写明理由代码。This takes a reason, as a code in the header Huiyin-Reason."""

    field = "Huiyin-Reason"
    basis = "DOMAIN 4.2"


class QueryUnfit(Refusal):
    """查询参数不合格式。A query parameter does not have its form."""


class BodyUnreadable(Refusal):
    """内容不是合格的 JSON。The body is not well-formed JSON."""


class BodyUnfit(Refusal):
    """内容不合格式。The content does not have its form."""


class BodyTooDeep(Refusal):
    """内容嵌套过深。The content is nested too deeply."""


class BodyTooLarge(Refusal):
    """内容过大。The body is too large."""


class BodyCut(Refusal):
    """内容未传完。The body ended before its length."""


class BodySlow(Refusal):
    """内容传来过慢，已不再等候，请重发。The body came too slowly and is no longer waited for: send it again."""


class MediaUnfit(Refusal):
    """内容类型不受支持。The content type is not taken here."""

    field = "Content-Type"


class TooMany(Refusal):
    """请求过于频繁。Too many requests: wait, then go on."""


class NumberAndCodeUnfit(Refusal):
    """工单号与查询码不相符，请核对；查询码可凭身份向热线重新索取。The number and the query code do not belong together: check
    both; the hotline gives the code again to whom it knows."""

    field = "code"


class UrgedToday(Refusal):
    """今日已催单，承办单位已收到。You have urged today already, and the unit has been told: urge again tomorrow."""


class NotAnsweredYet(Refusal):
    """答复尚未向诉求人公布。There is no reply yet that the applicant has been told."""


class FileNotKept(Refusal):
    """命令所列附件未在本工单上传，或大小、类型不符；请先上传再引用。The command names a file that is not kept for this case, or of
    another size or type: upload it first, then name it."""


class NotASandbox(Refusal):
    """这不是培训演练城市，不得重置。This is no sandbox: a city in earnest is never reset."""


class SandboxResetting(Refusal):
    """培训演练城市正在重置，请稍后再试。The sandbox is being reset: try again in a moment."""


class AnotherLedger(Refusal):
    """该城市已重置，所指账本已不存在，请从头开始。The city was reset, and the ledger you name is no more: begin again."""

    field = "Huiyin-Ledger"


class PositionAhead(Refusal):
    """所指位置超出账本末尾：可能写错、备份恢复或城市已重置，请从已收到的位置继续。The position lies beyond the ledger's end: it is mistyped, or the
    city was restored or reset; go on from the last one you were given."""


class Behind(Refusal):
    """查询表尚未跟上所要的位置。The tables have not reached that position yet."""

    field = "min_position"


class NotReady(Refusal):
    """服务尚未就绪。The service is not ready."""


class Broken(Refusal):
    """程序内部错误，已记入日志。An error inside the program; it has been logged."""


# --- the status of each ------------------------------------------------------------------------------------------

_SAID: dict[int, tuple[type[Refusal], ...]] = {
    400: (
        KeyMissing,
        MatchUnfit,
        HeaderUnfit,
        ReasonNeeded,
        QueryUnfit,
        RoleUnclear,
        BodyUnreadable,
        BodyTooDeep,
        BodyCut,
        refusals.IdUnfit,
        refusals.CodeExpected,
    ),
    401: (TokenMissing, TokenUnfit),
    403: (
        RoleNotInToken,
        RoleNotHeldHere,
        NotForThisRole,
        ApprovalNeeded,
        ScopeMissing,
        NoShareAgreement,
        refusals.RoleNotAllowed,
        refusals.NotYourUnit,
        refusals.SelfApproval,
        refusals.AccusedUnit,
        refusals.HotlineNotOrganizer,
        refusals.ReviewerHandled,
        refusals.NotNextHigherUnit,
        refusals.NotHotlineManager,
        refusals.NotQcReviewer,
        refusals.NotCoOrganizer,
        refusals.NotADescendant,
        refusals.RevisitorFromHandlingUnit,
        refusals.SelfGrant,
        refusals.NotThisIssuer,
        refusals.OwnService,
        refusals.TwoHandsNeeded,
        refusals.OnlyStreetsWhistle,
        refusals.HandedToAnother,
        refusals.TwoPersonsNeeded,
        refusals.ActorUnfit,
        refusals.CitizenNamed,
        refusals.NotResponsible,
        refusals.SealedElsewhere,
        refusals.NotTheMaster,
    ),
    404: (
        UnknownCity,
        UnknownCommand,
        UnknownEntry,
        findings.UnknownFinding,
        UnknownPage,
        NumberAndCodeUnfit,
        NotAnsweredYet,
        instruments.NotAnInstrument,
        sampling.DrawingUnknown,
        refusals.UnknownFile,
        refusals.UnknownOrder,
        refusals.UnknownStream,
        refusals.NotInitialised,
    ),
    405: (MethodUnfit,),
    408: (BodySlow,),
    409: (answers.NumberAmbiguous, answers.EmergencyForgotten),
    410: (refusals.Erased,),
    412: (refusals.VersionMoved,),
    413: (BodyTooLarge, refusals.CommandTooLarge, refusals.FileTooLarge),
    415: (MediaUnfit, refusals.FileTypeUnfit),
    422: (
        BodyUnfit,
        FileNotKept,
        pdf.GlyphsLacking,
        reports.PeriodUnfit,
        reports.CutOffEarly,
        sampling.PeriodOpen,
        telling.OneByOne,
        refusals.CommandIdReused,
        refusals.TextNotStorable,
        refusals.NumberTooLarge,
        refusals.SealedFromOutside,
        refusals.SubjectFromOutside,
        refusals.NotForThisStream,
        refusals.InstantUncountable,
        refusals.LimitUncountable,
        refusals.TitleHasPersonalData,
        refusals.UnknownUnit,
        refusals.UnknownPolicy,
        refusals.PolicyInvalid,
        refusals.CalendarInvalid,
        refusals.RegistrationIncomplete,
        refusals.IntervalEmpty,
        refusals.OccurredAtRequired,
        refusals.AnonymousNamed,
        refusals.UnitNamedTwice,
    ),
    429: (TooMany, StreamsExhausted),
    500: (
        Broken,
        pdf.CannotBeLaidOut,
        refusals.FileChanged,
        refusals.StorageRefused,
        refusals.UnknownTopic,
        refusals.WrongKey,
        engine.RebuildBroken,
        transparency.HeadUnreadable,
        transparency.LedgerRewritten,
        transparency.LedgerTurnedBack,
    ),
    503: (
        Behind,
        NotReady,
        SandboxResetting,
        pdf.PrinterAbsent,
        pdf.PrintingTooLong,
        refusals.Busy,
        refusals.Unavailable,
        refusals.OutcomeUnknown,
        refusals.ClockAhead,
        refusals.ClosedDoor,
        refusals.ConcurrencyConflict,
        refusals.TwoPersonsNotAppointed,
        engine.ProjectionBlocked,
        engine.ProjectionOutdated,
    ),
}
_STATUS: dict[type[Refusal], int] = {kind: status for status, kinds in _SAID.items() for kind in kinds}
_RETRY_AFTER = {429: "5", 503: "1"}


def retry_after(refusal: Refusal) -> str:
    """Return the seconds that a caller should wait; empty where waiting does not help."""
    said = refusal.facts.get("retry_after")
    return str(said) if said is not None else _RETRY_AFTER.get(status_of(refusal), "")


def status_of(refusal: Refusal | type[Refusal]) -> int:
    """Return the HTTP status of a refusal: how things stand forbids it (409), unless it is said otherwise here.

    What a rule finds missing in what was said, or unfit in its words, is 422.
    """
    kind = refusal if isinstance(refusal, type) else type(refusal)
    said = _STATUS.get(kind)
    if said is not None:
        return said
    code = kind.code()
    return 422 if code.endswith("-missing") or code.startswith("text-") else 409


def known() -> Iterator[type[Refusal]]:
    """Yield every refusal that a caller may read, those of the rules first."""
    for module in (
        refusals,
        engine,
        transparency,
        answers,
        findings,
        instruments,
        oversight,
        reports,
        sampling,
        telling,
        pdf,
        custody,
        packet,
        gathering,
        items,
        inspection,
    ):
        for found in vars(module).values():
            if _is_refusal(found, module.__name__):
                yield found
    yield from (found for found in globals().values() if _is_refusal(found, __name__))


def _is_refusal(found: object, module: str) -> TypeGuard[type[Refusal]]:
    """Tell whether something is a refusal that a module defines."""
    if not isinstance(found, type) or not issubclass(found, Refusal):
        return False
    return found is not Refusal and found.__module__ == module


_SENTENCE = re.compile(r"(?P<zh>.*[。！？])\s*(?P<en>[^。]*)$", re.DOTALL)


def sentences(kind: type[Refusal]) -> tuple[str, str]:
    """Return what the caller reads, in Chinese and in English."""
    said = " ".join((kind.__doc__ or "").split())
    found = _SENTENCE.match(said)
    return (found["zh"], found["en"] or found["zh"]) if found else (said, said)


def as_problem(refusal: Refusal, instance: str = "") -> dict[str, Any]:
    """Return a refusal as problem details."""
    zh, en = sentences(type(refusal))
    field = refusal.field or _field_of(refusal)
    problem = {
        "type": TYPE + refusal.code(),
        "title": en,
        "title_zh": zh,
        "status": status_of(refusal),
        "detail": refusal.detail,
        "code": refusal.code(),
        "article": refusal.grounds,
        "field": field,
        "instance": instance,
    }
    return {name: value for name, value in problem.items() if value != ""}


def _field_of(refusal: Refusal) -> str:
    for name in ("missing", "name", "field"):
        if isinstance(said := refusal.facts.get(name), str):
            return said
    return ""


_AT = re.compile(r"^(?P<path>[A-Za-z_][\w.\[\]]*): ")


_AT_END = re.compile(r" - at `\$\.(?P<path>[\w.\[\]]+)`$")


def unfit(error: msgspec.ValidationError) -> BodyUnfit:
    """Return what does not fit of a command, its field named."""
    words = str(error)
    at = _AT.match(words) or _AT_END.search(words)
    return BodyUnfit(words, **({"field": at["path"]} if at else {}))


def phrase(status: int) -> str:
    """Return a status in words."""
    return HTTPStatus(status).phrase
