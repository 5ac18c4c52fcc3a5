"""The duty room: what a shift hands over to the next one, the book of shifts, and paper slips while the system is away."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import click
import msgspec
from rich.markup import escape

from domain.institution import VoidNumbers
from domain.law import Law, NumberBlock
from domain.ledger import Ledger
from domain.matters.affairs import HandOverShift, ShiftHandedOver, ShiftTakenOver, TakeOverShift
from domain.matters.matter import Matter, MatterKind
from domain.terms import SHANGHAI, Entry, NoticeState, Origin
from projections.answers import Projections
from projections.duties import DutyRow
from projections.notices import NoticeRow
from projections.orders import OrderRow
from scripts import printing, wiring
from scripts.desk import as_option, city_option, json_option, parse_actor, print_receipt, stream_of, with_city
from scripts.lawbook import Commands, answer
from scripts.wiring import SettingError

_CALLS = frozenset({"inform_applicant", "complete_revisit", "complete_referral"})
"""Duties of the hotline centre that somebody waits for by telephone."""

_LINES = 1000


# --- what is handed over -----------------------------------------------------------------------------------------


class Standing(msgspec.Struct, frozen=True):
    """What the next shift takes over."""

    position: int
    emergencies: tuple[OrderRow, ...]
    call_backs: tuple[DutyRow, ...]
    unserved: tuple[NoticeRow, ...]
    slips: dict[int, tuple[str, ...]]  # by block: paper numbers that neither came in nor were voided
    contacts: dict[str, str] = {}  # by unit, of those that a notice has not reached yet


async def standing(ledger: Ledger, shown: Projections) -> Standing:
    """Return what lies open now."""
    emergencies = await shown.open_emergencies()
    duties = await shown.duties("", limit=_LINES)
    notices = await shown.list_notices(states=[NoticeState.ISSUED], only_open=True, limit=_LINES)
    law = await ledger.law()
    unserved = tuple(row for row in notices.rows if row.served_at is None)
    at = await ledger.now()
    reached = {row.unit: law.units.contact(row.unit, at) for row in unserved}
    slips = {no: (await counted(shown, block)).missing for no, block in law.blocks.items()}
    return Standing(
        position=emergencies.position,
        emergencies=emergencies.rows,
        call_backs=tuple(row for row in duties.rows if row.kind == "order" and row.command in _CALLS),
        unserved=unserved,
        slips={no: left for no, left in slips.items() if left},
        contacts={unit: contact.line for unit, contact in reached.items() if contact is not None},
    )


@click.group("shift", cls=Commands)
def shift_group() -> None:
    """值班交接: what is to be handed over, the hand-over itself, the book of shifts."""


@shift_group.command("show")
@city_option
@json_option
def shift_show(city: str | None, as_json: bool) -> None:
    """待交接事项: open emergencies, promised calls, notices not yet served, paper numbers still out."""

    async def work(ledger: Ledger, shown: Projections) -> None:
        found = await standing(ledger, shown)
        if as_json:
            answer(found)
            return
        _print(found)

    with_city(city, work)


def _print(found: Standing) -> None:
    out = printing.console()
    out.print(f"[bold]值班交接清单[/] hand-over, 截至位置 true at position {found.position}")
    _part(
        "未结紧急诉求 open emergencies",
        [f"{_number(r.number, r.id)}  {escape(r.title)}  {printing.state_words(r.state)}" for r in found.emergencies],
    )
    _part(
        "待回电 call-backs",
        [f"{_number(r.number, r.order_id)}  {escape(r.title)}  {printing.show_end(r.due)}" for r in found.call_backs],
    )
    _part(
        "待送达文书 notices not yet served",
        [
            f"{r.paper_number or '—'}  {escape(r.unit)} {escape(found.contacts.get(r.unit, ''))}  "
            f"工单 {_number(r.number, r.order_id)}"
            for r in found.unserved
        ],
    )
    _part(
        "未回收纸质单号 paper numbers still out",
        [f"号段 block {no}: {', '.join(left[:8])}{' …' if len(left) > 8 else ''}" for no, left in found.slips.items()],
    )


def _number(number: str, record: UUID) -> str:
    return number or str(record)[:13]


def _part(title: str, lines: Sequence[str]) -> None:
    out = printing.console()
    out.print(f"[bold]{title}[/] {len(lines)}")
    for line in lines or ("无 none",):
        out.print(f"  {line}")


@shift_group.command("hand-over")
@click.argument("shift")
@click.argument("to", metavar="USER")
@click.option(
    "--leave-out", "left_out", multiple=True, metavar="ORDER", help="不列入的待回电 a call-back that is done."
)
@click.option("--words", help="说明 what else the next shift must know.")
@as_option
@city_option
@json_option
def shift_hand_over(
    shift: str, to: str, left_out: tuple[str, ...], words: str | None, actor: str, city: str | None, as_json: bool
) -> None:
    """交班: hand over everything that lies open, to another person.

    SHIFT: 白班, 夜班 …; USER: who takes over. Every open emergency goes along; there is no way to leave one out.
    """
    by = parse_actor(actor)

    async def work(ledger: Ledger, shown: Projections) -> None:
        found = await standing(ledger, shown)
        done = {await stream_of(shown, one) for one in left_out}
        calls = dict.fromkeys(row.order_id for row in found.call_backs if f"order:{row.order_id}" not in done)
        emergencies = tuple(row.id for row in found.emergencies)
        if any(f"order:{one}" in done for one in emergencies):
            raise SettingError("未结紧急诉求不得遗漏 an open emergency is not left out")
        act = HandOverShift(
            shift=shift, to=to, open_emergencies=emergencies, pending_call_backs=tuple(calls), words=words
        )
        await shown.refuse_forgetting(act, Origin.LIVE)
        receipt = await ledger.execute(act, actor=by, command_id=f"cli:{secrets.token_hex(12)}")
        if not as_json:
            _print(found)
        print_receipt(receipt, dry_run=False, as_json=as_json)

    with_city(city, work)


@shift_group.command("take-over")
@click.argument("record", required=False, metavar="[RECORD]")
@click.option("--words", help="说明 what was found otherwise than handed over.")
@as_option
@city_option
@json_option
def shift_take_over(record: str | None, words: str | None, actor: str, city: str | None, as_json: bool) -> None:
    """接班: confirm, as the person a shift was handed over to, that it was taken over; then answer for it.

    RECORD: matter:ID of the hand-over; without: the newest one that waits for this person.
    """
    by = parse_actor(actor)

    async def work(ledger: Ledger, shown: Projections) -> None:
        stream = await _waiting_for(by.user, ledger, shown) if record is None else await stream_of(shown, record)
        act = TakeOverShift(words=words)
        receipt = await ledger.execute(act, stream=stream, actor=by, command_id=f"cli:{secrets.token_hex(12)}")
        if not as_json:
            _print(await standing(ledger, shown))
        print_receipt(receipt, dry_run=False, as_json=as_json)

    with_city(city, work)


async def _waiting_for(user: str, ledger: Ledger, shown: Projections) -> str:
    """Return the newest hand-over that waits for a person. Raises SettingError where none does."""
    found = await shown.list_matters(kinds=[MatterKind.SHIFT], only_open=True, limit=_LINES)
    for row in found.rows:
        stream = f"matter:{row.id}"
        matter: Matter | None = ledger.fold_entries(stream, await ledger.history(stream))
        if matter is not None and matter.to == user:
            return stream
    raise SettingError(f"没有交给 {user} 待接的班次 no shift waits for {user}; 请上一班先交班 huiyin shift hand-over")


@shift_group.command("book")
@click.argument("day")
@city_option
@json_option
def shift_book(day: str, city: str | None, as_json: bool) -> None:
    """交接班记录簿: the hand-overs of a day, in their order, with both persons.

    DAY: YYYY-MM-DD.
    """
    begun = wiring.parse_instant(day)

    async def work(ledger: Ledger, shown: Projections) -> None:
        found = await shown.list_matters(
            kinds=[MatterKind.SHIFT], since=begun, until=begun + timedelta(days=1), limit=_LINES
        )
        rows = sorted(found.rows, key=lambda row: row.opened_at)
        histories = await ledger.histories([f"matter:{row.id}" for row in rows])
        handed = [(own[0].at, own[0].actor.user, own[0].event, _taken(own)) for own in histories if own]
        if as_json:
            answer([{"at": at, "by": by, "event": event, "taken_over_at": taken} for at, by, event, taken in handed])
            return
        told = [(at, by, event, taken) for at, by, event, taken in handed if isinstance(event, ShiftHandedOver)]
        numbers = await _numbers(shown, [event for _, _, event, _ in told])
        lines = [_line(at, by, event, taken, numbers) for at, by, event, taken in told]
        columns = ("交班 at", "班次 shift", "交 from", "接 to", "接班 taken", "紧急 emergencies", "待回电 call-backs")
        printing.console().print(printing.counts(f"交接班记录簿 {begun:%Y-%m-%d}", lines, columns))

    with_city(city, work)


async def _numbers(shown: Projections, events: Sequence[ShiftHandedOver]) -> dict[UUID, str]:
    named = {one for event in events for one in (*event.open_emergencies, *event.pending_call_backs)}
    found = [(await shown.find_orders(str(one))).rows for one in sorted(named)]
    return {row.id: row.number for rows in found for row in rows}


def _taken(own: Sequence[Entry]) -> datetime | None:
    return next((entry.at for entry in own if isinstance(entry.event, ShiftTakenOver)), None)


def _line(
    at: datetime, by: str, event: ShiftHandedOver, taken: datetime | None, numbers: dict[UUID, str]
) -> tuple[str, ...]:
    def said(records: Sequence[UUID]) -> str:
        return ", ".join(numbers.get(one) or str(one)[:13] for one in records) or "无"

    def clock(instant: datetime) -> str:
        return f"{instant.astimezone(SHANGHAI):%H:%M}"

    taken_at = "未接 not yet" if taken is None else clock(taken)
    return clock(at), event.shift, by, event.to, taken_at, said(event.open_emergencies), said(event.pending_call_backs)


# --- paper slips -------------------------------------------------------------------------------------------------


class Counted(msgspec.Struct, frozen=True):
    """号段核对. What became of each number of a reserved block."""

    entered: tuple[OrderRow, ...]
    voided: tuple[str, ...]
    missing: tuple[str, ...]  # neither entered nor voided


def printed(journal: str, number: int) -> str:
    """Return a reserved number as it stands on its slip."""
    return f"{journal.partition('/')[2]}-{number:06d}"


async def counted(shown: Projections, block: NumberBlock) -> Counted:
    """Return what came in of a block."""
    all_of = [(journal, number) for journal, given in block.numbers.items() for number in given]
    found = await shown.orders_of_numbers([printed(*one) for one in all_of])
    there = {row.number for row in found.rows}
    voided = [printed(journal, n) for journal, n in all_of if n in block.voided.get(journal, ())]
    missing = [printed(*one) for one in all_of if printed(*one) not in there and printed(*one) not in set(voided)]
    return Counted(found.rows, tuple(voided), tuple(missing))


def _block(law: Law, no: int) -> NumberBlock:
    if no not in law.blocks:
        known = ", ".join(map(str, law.blocks)) or "—"
        raise SettingError(
            f"没有此号段 no such block: {no}; 有 there are: {known}; 预留 reserve: huiyin do … reserve_numbers"
        )
    return law.blocks[no]


@click.group("slips", cls=Commands)
def slips_group() -> None:
    """纸质应急单: slips of a reserved block, and what came in of them after an outage."""


@slips_group.command("print")
@click.argument("block", type=int)
@city_option
def slips_print(block: int, city: str | None) -> None:
    """打印纸质单: a slip for each number of a block that is still out, to be filled in by hand."""

    async def work(ledger: Ledger, shown: Projections) -> None:
        law = await ledger.law()
        held = _block(law, block)
        for number in (await counted(shown, held)).missing:
            click.echo(_SLIP.format(city=law.city_code, number=number, block=block))

    with_city(city, work)


_SLIP = """┌──────────────────────────────────────────────────────────────┐
  12345 热线应急登记单   编号 {number}   ({city} 号段 {block})

  来电时间 ______年____月____日____时____分   话务员 ____________
  诉求人   ______________________   电话 ______________________
  标题     ____________________________________________________
  类别     ______________________   地点 ______________________
  内容     ____________________________________________________
           ____________________________________________________
  紧急 □   已告知 110/119/120 □   保密 □   举报 □
  当场答复 ____________________________________________________
  转交单位 ______________________   时间 ______________________
  恢复后补录人 __________________   补录时间 __________________
  作废 □   原因 ______________________
└──────────────────────────────────────────────────────────────┘
"""


@slips_group.command("check")
@click.argument("block", type=int)
@city_option
@json_option
def slips_check(block: int, city: str | None, as_json: bool) -> None:
    """核对号段: which numbers of a block came in, which were voided, which are missing."""

    async def work(ledger: Ledger, shown: Projections) -> None:
        found = await counted(shown, _block(await ledger.law(), block))
        if as_json:
            answer(found)
            return
        out = printing.console()
        _part(
            "已补录 entered",
            [
                f"{row.number}  {escape(row.title)}  {printing.show_instant(row.registered_at)}"
                f"{'' if row.backfilled else '  非补录 not backfilled'}"
                for row in found.entered
            ],
        )
        _part("已作废 voided", found.voided)
        _part("未回收 missing", found.missing)
        if found.missing:
            out.print("[yellow]缺号 gap[/]: 请补录或作废 enter them, or void them: huiyin slips void")

    with_city(city, work)


@slips_group.command("void")
@click.argument("block", type=int)
@click.argument("numbers", nargs=-1)
@click.option("--reason", default="unused", show_default=True, metavar="CODE", help="理由代码 why, as a code.")
@as_option
@city_option
@json_option
def slips_void(block: int, numbers: tuple[str, ...], reason: str, actor: str, city: str | None, as_json: bool) -> None:
    """作废号码: void numbers that no slip used, after looking that none did.

    NUMBERS: as printed; without: all that are missing.
    """
    by = parse_actor(actor)

    async def work(ledger: Ledger, shown: Projections) -> None:
        held = _block(await ledger.law(), block)
        position = (await ledger.head())[0]
        found = await counted(shown, held)
        chosen = set(numbers or found.missing)
        if wrong := sorted(chosen - set(found.missing)):
            raise SettingError(f"已补录、已作废或不在号段 entered, voided or not in it: {', '.join(wrong)}")
        for journal, given in held.numbers.items():
            own = tuple(number for number in given if printed(journal, number) in chosen)
            if own:
                act = VoidNumbers(
                    block=block, journal=journal, numbers=own, reason=reason, unused_checked_at_position=position
                )
                receipt = await ledger.execute(
                    act, stream="institution", actor=by, command_id=f"cli:{secrets.token_hex(12)}"
                )
                print_receipt(receipt, dry_run=False, as_json=as_json)
        if not chosen:
            click.echo("没有未回收的号码 nothing is missing")

    with_city(city, work)


COMMANDS = (shift_group, slips_group)
