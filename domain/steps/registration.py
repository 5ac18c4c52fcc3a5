"""① 诉求登记. A demand becomes an order: registered, completed, split into its matters.

What kind it is stands in `classifying`, what ties it to others in `linking`, what the desk does without an organizer
in `triage`, who handles it in `dispatch`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from domain import guards, refusals
from domain.context import Context
from domain.state import Demand, Links, Wait, WorkOrder
from domain.steps import filing
from domain.terms import (
    Act,
    Applicant,
    Attachment,
    Attributes,
    Channel,
    Citation,
    ClosureKind,
    Code,
    Confidentiality,
    DemandType,
    Entry,
    Fact,
    Mark,
    Medium,
    Number,
    OrderState,
    Origin,
    Period,
    PolicyRef,
    Private,
    RefusalReason,
    Role,
    Step,
    Struct,
    Title,
    To,
    UnitId,
)

# --- events ------------------------------------------------------------------------------------------------------


class ReservedNumber(Struct, frozen=True):
    """预留号码. A number of a block reserved for paper slips during an outage (8.11)."""

    journal: Code
    number: int


class OrderRegistered(Fact, frozen=True, tag="order.order_registered"):
    """诉求登记. A demand came in; everything the duty record book and the law ask for (S0-15, S2-18).

    Its number is the commit's (`ordinal` says which of several), or a reserved one, or the old system's.
    """

    title: Title
    category: Code
    channel: Channel
    attributes: Attributes
    policy: PolicyRef  # the pack that binds the order (K12)
    content: Private | None = None
    applicant: Applicant | None = None
    anonymous: bool = False
    confidentiality: Confidentiality | None = None  # None: normal
    place: Code = ""  # as far as it may be shown: street, village, estate
    address: Private | None = None  # in full
    district: Code = ""
    happened_at: datetime | None = None  # when the matter happened
    accused: tuple[UnitId, ...] = ()  # units complained of
    accused_persons: Private | None = None
    real_name_with_evidence: bool = False  # 实名举报 (S2-41)
    involved_units: int = 0  # departments that the demand touches; 0: not said
    duplicates_seen: tuple[UUID, ...] = ()  # the candidates that the check for duplicates showed
    previous: UUID | None = None  # the order that this one takes up again
    parent: UUID | None = None  # the order it was split from
    since: datetime | None = None  # the parent's registration: the hotline's time runs from there (8.4)
    ordinal: int | None = None  # which of the commit's numbers is this order's; None: the first
    peak: bool = False  # registered inside a declared peak
    external_ref: Code = ""
    external_due: datetime | None = None  # as the other platform set it
    promised_due: datetime | None = None  # as the old system promised it
    old_number: Code = ""
    intake_number: Code = ""  # the number that was dialled (双号并行, S3-3)
    hotline_source: Code = ""  # the merged hotline it came from (S3-2)
    sub_centre: Code = ""
    call_id: Code = ""
    legal_basis: Citation | None = None  # why it is accepted, where another law says so (S0-6)
    attachments: tuple[Attachment, ...] = ()
    reserved: ReservedNumber | None = None
    backfill_reason: Private | None = None
    assumed_policy: bool = False  # runs under a pack outside its validity (8.15)
    derived: tuple[Code, ...] = ()  # fields that a mapping set or derived (8.15)


class SecretStubRegistered(Fact, frozen=True, tag="order.secret_stub_registered"):
    """涉密存根. Somebody brought what may be a state secret: reason, time and agent are kept, no content (DOMAIN 4.2)."""

    channel: Channel
    policy: PolicyRef
    basis: Citation
    informed_at: datetime
    informed_unit: Code = ""  # the office the caller was sent to
    call_id: Code = ""


class SupplementRequested(Fact, frozen=True, tag="order.supplement_requested"):
    """要求补充. What is missing, and by when it is to be given; no clock pauses (K9)."""

    items: tuple[Code, ...]
    by: date
    medium: Medium
    words: Private | None = None


class OrderSupplemented(Fact, frozen=True, tag="order.order_supplemented"):
    """补充信息. Added to what was registered; nothing is overwritten."""

    items: tuple[Code, ...] = ()  # which of those asked for; empty: all
    content: Private | None = None
    applicant: Applicant | None = None
    place: Code = ""
    address: Private | None = None
    attachments: tuple[Attachment, ...] = ()
    call_id: Code = ""


class OrderSplit(Fact, frozen=True, tag="order.order_split"):
    """拆单. One matter, one order: parts of the demand became orders of their own."""

    children: tuple[UUID, ...]
    reason: Private
    remaining: Private | None = None  # what stays with this order


# --- commands ----------------------------------------------------------------------------------------------------


_PUBLIC = frozenset({Role.AGENT, Role.CITIZEN})


class Register(Act, frozen=True, tag="register"):
    """诉求登记. A supervisor registers only what is backfilled beyond the hours an agent may (A-20)."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.AGENT, Role.SYSTEM, Role.CITIZEN, Role.SUPERVISOR})
    creates: ClassVar[str] = "order"

    title: Title
    category: Code
    channel: Channel
    attributes: Attributes
    content: Private
    applicant: Applicant | None = None
    anonymous: bool = False
    confidentiality: Confidentiality | None = None
    place_bound: bool = False
    place: Code = ""
    address: Private | None = None
    district: Code = ""
    happened_at: datetime | None = None
    accused: tuple[UnitId, ...] = ()
    accused_persons: Private | None = None
    real_name_with_evidence: bool = False
    involved_units: int = 0
    duplicates_seen: tuple[UUID, ...] | None = None  # what the check showed; None: nobody looked
    previous: UUID | None = None
    external_ref: Code = ""
    external_due: datetime | None = None
    promised_due: datetime | None = None
    old_number: Code = ""
    intake_number: Code = ""
    hotline_source: Code = ""
    sub_centre: Code = ""
    call_id: Code = ""
    legal_basis: Citation | None = None
    attachments: tuple[Attachment, ...] = ()
    reserved: ReservedNumber | None = None
    backfill_reason: Private | None = None
    assume_policy: PolicyRef | None = None

    def reads(self) -> tuple[str, ...]:
        """Return the order that this one takes up again."""
        return () if self.previous is None else (f"order:{self.previous}",)


class RegisterSecretStub(Act, frozen=True, tag="register_secret_stub"):
    """登记涉密存根. For what must not be written down: the caller was told whom to turn to."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.AGENT})
    creates: ClassVar[str] = "order"

    channel: Channel
    informed_at: datetime
    informed_unit: Code
    basis: Citation | None = None
    call_id: Code = ""


class RequestSupplement(Act, frozen=True, tag="request_supplement"):
    """要求补充."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.AGENT, Role.DISPATCHER, Role.ORG_HANDLER})

    items: tuple[Code, ...]
    by: date
    medium: Medium
    words: Private | None = None


class Supplement(Act, frozen=True, tag="supplement"):
    """补充信息."""

    roles: ClassVar[frozenset[Role]] = _PUBLIC | {Role.ORG_HANDLER}

    items: tuple[Code, ...] = ()
    content: Private | None = None
    applicant: Applicant | None = None
    place: Code = ""
    address: Private | None = None
    attachments: tuple[Attachment, ...] = ()
    call_id: Code = ""


class SplitChild(Struct, frozen=True):
    """子单. One matter that becomes an order of its own."""

    title: Title
    category: Code
    attributes: Attributes
    content: Private
    place: Code = ""
    address: Private | None = None
    accused: tuple[UnitId, ...] = ()
    involved_units: int = 0


class Split(Act, frozen=True, tag="split"):
    """拆单."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.DISPATCHER, Role.HOTLINE_MANAGER})

    children: tuple[SplitChild, ...]
    reason: Private
    remaining: Private | None = None


# --- what a title may not say ------------------------------------------------------------------------------------


_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆"
    "范汪廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔向汤"
)


_PERSONAL = re.compile(
    r"(?:\d[\s\-.·]?){6,}[\dXx]"  # telephone, identity, card and account numbers
    r"|[〇零一二三四五六七八九幺]{7,}"  # … spelt out
    r"|[\w.+-]+@[\w-]+\.\w+"  # mail addresses
    r"|[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-Z][A-Z0-9]{4,5}[A-Z0-9挂学警港澳]"  # number plates
    rf"|[{_SURNAMES}][\u4e00-\u9fff]{{0,2}}(?:先生|女士|小姐)"
)


def has_personal_data(title: str) -> bool:
    """Tell whether a title shows a pattern of personal data (8.10). Names as such are left to the reviewers."""
    return _PERSONAL.search(unicodedata.normalize("NFKC", title)) is not None


# --- deciding: registering ---------------------------------------------------------------------------------------


def register(order: WorkOrder | None, command: Register, context: Context) -> list[Step]:
    """Register a demand: the law it is bound to, and whether it came in a peak, are of this instant."""
    _unborn(order)
    _described(command.title, command.content, command.category, command.place, command.district)
    _reachable(command, context)
    if command.place_bound and not command.place and not guards.said(command.address):
        raise refusals.RegistrationIncomplete("地址 place", missing="place")
    reports = command.attributes.demand_type is DemandType.REPORT
    if reports and command.confidentiality is not Confidentiality.INFORMANT:
        raise refusals.InformantUnprotected
    if command.duplicates_seen is None and context.origin is Origin.LIVE:
        raise refusals.DuplicateCheckMissing
    guards.units_known(command.accused, context)
    if command.previous is not None and context.other(f"order:{command.previous}") is None:
        raise refusals.UnknownOrder(f"{command.previous}")
    _backfilled(command, context)
    context.until(context.law.next_peak_change(context.now))
    registered = OrderRegistered(
        title=command.title,
        category=command.category,
        channel=command.channel,
        attributes=command.attributes,
        policy=_policy(command, context),
        content=command.content,
        applicant=_found(command.applicant, context),
        anonymous=command.anonymous,
        confidentiality=command.confidentiality,
        place=command.place,
        address=command.address,
        district=command.district,
        happened_at=command.happened_at,
        accused=command.accused,
        accused_persons=command.accused_persons,
        real_name_with_evidence=command.real_name_with_evidence,
        involved_units=command.involved_units,
        duplicates_seen=command.duplicates_seen or (),
        previous=command.previous,
        peak=context.law.peak_at(context.now),
        external_ref=command.external_ref,
        external_due=command.external_due,
        promised_due=command.promised_due,
        old_number=command.old_number,
        intake_number=command.intake_number,
        hotline_source=command.hotline_source,
        sub_centre=command.sub_centre,
        call_id=command.call_id,
        legal_basis=command.legal_basis,
        attachments=command.attachments,
        reserved=command.reserved,
        backfill_reason=command.backfill_reason,
        assumed_policy=command.assume_policy is not None,
    )
    return [registered] if command.reserved is not None else [registered, _order_number(context)]


def _unborn(order: WorkOrder | None) -> None:
    """Refuse to register an order a second time. Raises WrongState."""
    if order is not None:
        raise refusals.WrongState("已登记 registered already", state=order.state)


def _found(applicant: Applicant | None, context: Context) -> Applicant | None:
    """Return the applicant as the subject the door found or drew."""
    return None if applicant is None else msgspec.structs.replace(applicant, subject=context.subject)


def _order_number(context: Context, count: int = 1) -> Number:
    return Number("order", context.law.city_code, Period.DAY, count)


def _described(title: str, content: Private | None, *others: str) -> None:
    guards.plain(title, *others)
    if has_personal_data(title):
        raise refusals.TitleHasPersonalData
    if not guards.said(content):
        raise refusals.RegistrationIncomplete("内容 content", missing="content")


def _reachable(command: Register, context: Context) -> None:
    """Refuse a demand whose applicant nobody could tell anything, unless it says so (S0-15).

    What else must be known of who asks is the pack's to say (S2-18).
    """
    who = command.applicant
    named = who is not None and any(guards.said(one) for one in (who.name, who.phone, who.contact, who.organisation))
    if command.anonymous and named:
        raise refusals.AnonymousNamed
    if not command.anonymous and (who is None or not (guards.said(who.phone) or guards.said(who.contact))):
        raise refusals.RegistrationIncomplete("联系方式 contact", missing="applicant")
    if who is None or command.anonymous or context.origin is Origin.IMPORT:
        return
    for field in context.law.rules(_policy(command, context)).options.registration_requires:
        if not guards.said(getattr(who, field)):
            raise refusals.RegistrationIncomplete(field, missing=f"applicant.{field}")


def _backfilled(command: Register, context: Context) -> None:
    """Refuse what is backfilled without reason, or too late for this role, or under a number nobody reserved."""
    reserved = command.reserved
    if reserved is not None and context.law.block_of(reserved.journal, reserved.number) is None:
        raise refusals.UnknownNumberBlock(f"{reserved.journal} {reserved.number}")
    if context.origin is not Origin.BACKFILL:
        if context.actor.role is Role.SUPERVISOR and context.origin is Origin.LIVE:
            raise refusals.RoleNotAllowed("补录 backfill only", role=context.actor.role)
        return
    if not guards.said(command.backfill_reason):
        raise refusals.BackfillReasonMissing
    hours = context.law.rules(context.law.policy_at(context.now)).options.backfill_hours
    if context.recording - context.now > timedelta(hours=hours) and context.actor.role is not Role.SUPERVISOR:
        raise refusals.BackfillTooLate(f"{hours} h")


def _policy(command: Register, context: Context) -> PolicyRef:
    """Return the pack that binds the order from now on (K12); an assumed one only for imported history (8.15)."""
    if command.assume_policy is None:
        context.until(context.law.next_policy_change(context.now))
        return context.law.policy_at(context.now)
    if context.origin is not Origin.IMPORT:
        raise refusals.AssumedPolicyLive
    return context.law.rules(command.assume_policy).ref


def register_secret_stub(order: WorkOrder | None, command: RegisterSecretStub, context: Context) -> list[Step]:
    """Keep that, when and by whom something secret was turned away, and nothing of it."""
    _unborn(order)
    context.until(context.law.next_policy_change(context.now))
    policy = context.law.policy_at(context.now)
    basis = command.basis or context.law.rules(policy).refusals.get(RefusalReason.STATE_SECRET)
    if basis is None:
        raise refusals.RefusalBasisMissing(RefusalReason.STATE_SECRET)
    guards.not_ahead(context, command.informed_at)
    stub = SecretStubRegistered(
        channel=command.channel,
        policy=policy,
        basis=basis,
        informed_at=command.informed_at,
        informed_unit=command.informed_unit,
        call_id=command.call_id,
    )
    return [stub, _order_number(context), Number("non_acceptance", context.law.city_code)]


# --- deciding: completing and classifying ------------------------------------------------------------------------


def request_supplement(order: WorkOrder, command: RequestSupplement, context: Context) -> list[Step]:
    """Ask the applicant for what is missing; before dispatch the order waits for it, afterwards work goes on."""
    guards.in_state(order, *guards.UNDISPATCHED, *guards.HANDLED)
    if context.actor.role is Role.ORG_HANDLER:
        guards.holding(order, context)
    if not command.items:
        raise refusals.ItemsMissing
    if guards.day_over(context, command.by):
        raise refusals.DayHasPassed(f"{command.by}")
    return [SupplementRequested(items=command.items, by=command.by, medium=command.medium, words=command.words)]


def supplement(order: WorkOrder, command: Supplement, context: Context) -> list[Step]:
    """Add what the applicant gave; possible until the order is filed."""
    if order.state is OrderState.ARCHIVED:
        raise refusals.OrderSealed(order.number)
    if context.actor.role is Role.ORG_HANDLER:
        guards.holding(order, context)
    guards.plain(command.place)
    given = (command.content, command.applicant, command.place, command.address, command.attachments)
    if not any(given):
        raise refusals.NothingChanged
    return [
        OrderSupplemented(
            items=command.items,
            content=command.content,
            applicant=_found(command.applicant, context),
            place=command.place,
            address=command.address,
            attachments=command.attachments,
            call_id=command.call_id,
        )
    ]


# --- deciding: splitting -----------------------------------------------------------------------------------------


def split(order: WorkOrder, command: Split, context: Context) -> list[Step]:
    """Make orders of their own from parts of a demand; the hotline's time runs from the parent's registration."""
    guards.in_state(order, *guards.UNDISPATCHED, *guards.HANDLED)
    if not command.children:
        raise refusals.ChildrenMissing
    if not guards.said(command.reason):
        raise refusals.ReasonMissing
    ids = tuple(context.draw() for _ in command.children)
    reports = any(child.attributes.demand_type is DemandType.REPORT for child in command.children)
    if reports and order.confidentiality is not Confidentiality.INFORMANT:
        raise refusals.InformantUnprotected  # the parts share the applicant: protect the whole first
    born: list[Step] = []
    for ordinal, (child, number) in enumerate(zip(command.children, ids, strict=True), 1):
        _described(child.title, child.content, child.category, child.place)
        guards.units_known(child.accused, context)
        born.append(To(f"order:{number}", _child(order, child, ordinal)))
    parted = OrderSplit(children=ids, reason=command.reason, remaining=command.remaining)
    return [parted, *born, _order_number(context, len(ids))]


def _child(parent: WorkOrder, child: SplitChild, ordinal: int) -> OrderRegistered:
    """Return the registration of one part: the parent's law, peak, applicant and protection go with it."""
    demand, protection = parent.demand, parent.confidentiality
    return OrderRegistered(
        title=child.title,
        category=child.category,
        channel=demand.channel,
        attributes=child.attributes,
        policy=parent.policy,
        content=child.content,
        applicant=demand.applicant,
        anonymous=demand.anonymous,
        confidentiality=None if protection is Confidentiality.NORMAL else protection,
        place=child.place or demand.place,
        address=child.address,
        district=demand.district,
        accused=tuple(dict.fromkeys((*demand.accused, *child.accused))),
        accused_persons=parent.demand.accused_persons,
        real_name_with_evidence=demand.real_name_with_evidence,
        involved_units=child.involved_units,
        parent=parent.id,
        since=parent.registered.at,
        ordinal=ordinal,
        peak=demand.peak,
        assumed_policy=parent.assumed_policy,
    )


# --- folding -----------------------------------------------------------------------------------------------------


def _number(entry: Entry, ordinal: int | None, reserved: ReservedNumber | None, old: str) -> str:
    """Return the order's number: a reserved one, the commit's, or the old system's."""
    if reserved is not None:
        return f"{reserved.journal.partition('/')[2]}-{reserved.number:06d}"
    return entry.numbered("order", ordinal or 1) or old


def on_order_registered(order: WorkOrder | None, event: OrderRegistered, entry: Entry) -> WorkOrder:
    """Fold the birth of an order; a second one in the same stream (a damaged import) changes nothing."""
    if order is not None:
        return order
    at = Mark(event.since or entry.at, entry.position)
    demand = Demand(
        title=event.title,
        category=event.category,
        channel=event.channel,
        attributes=event.attributes,
        place=event.place,
        district=event.district,
        applicant=event.applicant,
        anonymous=event.anonymous,
        content=event.content,
        accused=event.accused,
        accused_persons=event.accused_persons,
        real_name_with_evidence=event.real_name_with_evidence,
        external_ref=event.external_ref,
        external_due=event.external_due,
        promised_due=event.promised_due,
        old_number=event.old_number,
        derived=event.derived,
        peak=event.peak,
        involved_units=event.involved_units,
    )
    return WorkOrder(
        id=msgspec.convert(entry.stream.partition(":")[2], UUID),
        stream=entry.stream,
        version=entry.version,
        state=OrderState.REGISTERED,
        registered=at,
        registered_by=entry.actor.user,
        number=_number(entry, event.ordinal, event.reserved, event.old_number),
        policy=event.policy,
        demand=demand,
        attributes=event.attributes,
        confidentiality=event.confidentiality or Confidentiality.NORMAL,
        assumed_policy=event.assumed_policy,
        backfilled=entry.origin is Origin.BACKFILL,
        imported=entry.origin is Origin.IMPORT,
        waits=(Wait(since=at, cause="registration" if event.parent is None else "split"),),
        links=Links(previous=event.previous, parent=event.parent, duplicates=event.duplicates_seen),
    )


def on_secret_stub_registered(order: WorkOrder | None, event: SecretStubRegistered, entry: Entry) -> WorkOrder:
    """Fold a stub: an order that was refused as it came, about which nothing is known; a second birth is none."""
    if order is not None:
        return order
    stub = OrderRegistered(
        title="涉密事项存根",
        category="涉密",
        channel=event.channel,
        attributes=Attributes(demand_type=DemandType.HELP),  # nobody may know what it is: the most ordinary word
        policy=event.policy,
        anonymous=True,
    )
    order = filing.closed(on_order_registered(order, stub, entry), ClosureKind.NOT_ACCEPTED, entry)
    refused = msgspec.structs.replace(order.filing, refusal=str(RefusalReason.STATE_SECRET))
    return msgspec.structs.replace(order, filing=refused)


def on_supplement_requested(order: WorkOrder, event: SupplementRequested, entry: Entry) -> WorkOrder:
    """Fold the request: an order not yet dispatched waits for it."""
    order = msgspec.structs.replace(order, supplement=event.items, supplement_by=event.by)
    if order.state not in guards.UNDISPATCHED or order.state is OrderState.AWAITING_SUPPLEMENT:
        return order
    return msgspec.structs.replace(order, state=OrderState.AWAITING_SUPPLEMENT, resume=order.state)


def on_order_supplemented(order: WorkOrder, event: OrderSupplemented, entry: Entry) -> WorkOrder:
    """Fold what was added: gaps are filled, what was said stays; back to where the order was once all is there."""
    demand = order.demand
    demand = msgspec.structs.replace(
        demand,
        place=demand.place or event.place,
        applicant=demand.applicant or event.applicant,
        anonymous=demand.anonymous and event.applicant is None,
    )
    left = tuple(item for item in order.supplement if event.items and item not in event.items)
    order = msgspec.structs.replace(
        order, demand=demand, supplement=left, supplement_by=order.supplement_by if left else None
    )
    if left or order.state is not OrderState.AWAITING_SUPPLEMENT:
        return order
    return msgspec.structs.replace(order, state=order.resume or OrderState.REGISTERED, resume=None)


def on_order_split(order: WorkOrder, event: OrderSplit, entry: Entry) -> WorkOrder:
    """Fold the orders that came of it."""
    children = (*order.links.children, *event.children)
    return msgspec.structs.replace(order, links=msgspec.structs.replace(order.links, children=children))


# --- the tables --------------------------------------------------------------------------------------------------

BIRTHS: tuple[type[Act | Fact], ...] = (Register, RegisterSecretStub, OrderRegistered, SecretStubRegistered)
"""Commands and events that need no order before them."""

DECIDES: Mapping[type[Act], Callable[[Any, Any, Context], Sequence[Step]]] = {
    Register: register,
    RegisterSecretStub: register_secret_stub,
    RequestSupplement: request_supplement,
    Supplement: supplement,
    Split: split,
}

EVOLVES: Mapping[type[Fact], Callable[[Any, Any, Entry], WorkOrder]] = {
    OrderRegistered: on_order_registered,
    SecretStubRegistered: on_secret_stub_registered,
    SupplementRequested: on_supplement_requested,
    OrderSupplemented: on_order_supplemented,
    OrderSplit: on_order_split,
}
