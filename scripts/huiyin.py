"""回音 huiyin: the command line of the case ledger."""

from __future__ import annotations

import io
import re
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import click
import msgspec
import psycopg

from domain import recorder
from domain.calendar import CalendarError, load_calendar
from domain.institution import (
    ApproveCalendar,
    ApproveOutage,
    ApprovePolicy,
    CalendarProposed,
    HashAlgorithm,
    OutageProposed,
    ProposeCalendar,
    ProposePolicy,
    RejectCalendar,
    RejectOutage,
    RejectPolicy,
)
from domain.ledger import Ledger, Receipt
from domain.policy import PolicyError
from domain.refusals import Refusal
from domain.terms import Act, Actor, Fact
from projections.answers import DueChange, Projections
from scripts import (
    archiving,
    auditing,
    calling,
    carrying,
    consumers,
    custody,
    demo,
    desk,
    dossiers,
    dutyroom,
    embedded,
    evidence,
    figuring,
    importing,
    lawbook,
    office,
    overseeing,
    papers,
    printing,
    proving,
    reporting,
    sampling,
    sandboxes,
    sealedparts,
    serving,
    sweeping,
    tables,
    telling,
    tracing,
    transfer,
    wiring,
    worklists,
)
from scripts.desk import as_option, city_option, json_option, with_city
from scripts.lawbook import answer
from scripts.wiring import SettingError

click.Context.formatter_class = printing.HelpFormatter  # of every command, wherever it is defined


@click.group(cls=lawbook.Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option("0.1.0", prog_name="huiyin 回音", help="版本 show the version and exit.")
def huiyin() -> None:
    """回音: 12345热线办件账本。 The case ledger of a 12345 government hotline.

    Every registration, dispatch, signing, return, extension, reply and evaluation is an immutable event; what a case
    is now, and when it is due, is derived from them and explained.

    \b
    先试 first:  huiyin demo
    建账 found:  huiyin init chengdu --policy S1 --parent SC-2025 --name 成都
    查看 look:   huiyin list · huiyin show ORDER
    计算 count:  huiyin due --policy S0 --clock handle --class consult --at '2025-03-04 10:00'
    """


_Approval = ApproveCalendar | ApproveOutage | ApprovePolicy
_Rejection = RejectCalendar | RejectOutage | RejectPolicy


def command_id(*parts: str) -> str:
    """Return a fresh command id for an act given at the terminal."""
    return ":".join(("cli", *parts, wiring.fresh()))


# --- init --------------------------------------------------------------------------------------------------------


@huiyin.command("init")
@click.argument("city")
@click.option("--policy", "policy_name", required=True, help="政策 S0 … S4, SC-2025, SD-2020, or a TOML file.")
@click.option("--parent", "parents", multiple=True, help="上位规则 a policy whose content fills the gaps (repeatable).")
@click.option("--name", "name", help="名称 the city's name as printed; without: CITY.")
@click.option("--code", help="编号前缀 letters that order numbers begin with (2 to 6 capitals); without: from CITY.")
@click.option("--since", metavar="DATE", help="施行日 from when the policy holds here, where its text does not say.")
@click.option(
    "--hash",
    "hash_name",
    type=click.Choice(["sha256", "sm3"]),
    default="sha256",
    show_default=True,
    help="摘要算法 of the ledger's leaves; for ever.",
)
@json_option
def init_command(
    city: str,
    policy_name: str,
    parents: tuple[str, ...],
    name: str | None,
    code: str | None,
    since: str | None,
    hash_name: str,
    as_json: bool,
) -> None:
    """建账: make a city's ledger.

    With its policy, the overlays and every shipped calendar. CITY: lower-case letters, digits and underscores.
    """
    wiring.check_city(city)
    if code is not None and not re.fullmatch("[A-Z]{2,6}", code):
        raise SettingError(f"--code: 2 至 6 个大写字母 two to six capital letters: {code!r}")
    pack = wiring.completed(policy_name, parents)
    start = wiring.parse_instant(since) if since else None
    if pack.overlay:
        raise SettingError(
            f"{pack.id}: 叠加规则不能单独作为城市政策 an overlay applies beside a policy, it is none itself"
        )
    letters = code or ("".join(c for c in city.upper() if c.isalpha())[:6] or "HY").ljust(2, "X")
    packs = [(pack, start), *((wiring.read_pack(overlay), None) for overlay in wiring.OVERLAYS)]
    database = wiring.database()
    receipt = desk.run_async(
        wiring.found_city(
            database,
            city,
            code=letters,
            name=name or city,
            packs=packs,
            hash_algorithm=HashAlgorithm(hash_name),
        )
    )
    if as_json:
        answer({"city": city, "policy": pack.id, "positions": len(receipt.events)})
        return
    click.echo(f"✓ {city}: {pack.title} ({pack.id} {pack.version}), {len(receipt.events)} 个建账事件 founding events")
    click.echo(f"  主密钥 master key: {wiring.keyring_file(city)} (请另行妥善备份 keep a copy elsewhere)")
    if wiring.database_url() and desk.run_async(recorder.may_be_owner(database.app)):
        click.echo(
            "  注意 note: 此数据库登录可取得属主权限，足以解除只增不改；请为应用另设登录 this login could take the owner's role "
            "and undo append-only: give the application a login of its own (docs/operating.md, The two roles)",
            err=True,
        )


# --- publishing --------------------------------------------------------------------------------------------------


@click.group("calendar", cls=lawbook.Commands)
def calendar_group() -> None:
    """日历: show a year, propose its publication or revision."""


@calendar_group.command("show")
@click.argument("year", type=click.IntRange(1990, 2100))
@click.option("--known-at", metavar="T", help="当时所知 as it was known at T.")
@click.option("--files", is_flag=True, help="只看随软件提供的文件 the shipped files, no ledger.")
@city_option
@json_option
def calendar_show(year: int, known_at: str | None, files: bool, city: str | None, as_json: bool) -> None:
    """显示一年: working days, days off, make-up days, the notice."""
    at = wiring.parse_instant(known_at) if known_at else None

    async def work(ledger: Ledger, _: Projections) -> None:
        calendar = (await ledger.law()).calendar(at)
        answer(lawbook.year_as_data(calendar, year)) if as_json else lawbook.print_year(calendar, year)

    if files:
        calendar = lawbook.calendar_from_files(at)
        answer(lawbook.year_as_data(calendar, year)) if as_json else lawbook.print_year(calendar, year)
        return
    with_city(city, work, follow=False)


@calendar_group.command("publish")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@as_option
@city_option
@json_option
def calendar_publish(file: Path, actor: str, city: str | None, as_json: bool) -> None:
    """提出公布一年的日历: propose a year's publication.

    The newest year in FILE is proposed; `huiyin approve` by a second person publishes it.
    """
    _propose_calendar(file, actor, city, as_json=as_json)


@calendar_group.command("revise")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@as_option
@city_option
@json_option
def calendar_revise(file: Path, actor: str, city: str | None, as_json: bool) -> None:
    """提出修订一年的日历: propose a year's next version.

    FILE holds every version of the year, the newest is proposed; `huiyin approve` by a second person publishes it.
    """
    _propose_calendar(file, actor, city, as_json=as_json)


def _propose_calendar(file: Path, actor: str, city: str | None, *, as_json: bool) -> None:
    by = desk.parse_actor(actor)
    years = load_calendar(wiring.read_text(file), file.name)
    if not years:
        raise SettingError(f"文件中没有日历 no calendar in the file: {file}")

    async def work(ledger: Ledger, _: Projections) -> None:
        await _proposed(ledger, ProposeCalendar(calendar=years[-1]), by, as_json=as_json)

    with_city(city, work, follow=False)


@click.command("publish")
@click.argument("name")
@click.option("--parent", "parents", multiple=True, help="上位规则 a policy whose content fills the gaps.")
@click.option("--since", metavar="DATE", help="施行日 from when it holds, where its text does not say.")
@click.option("--replaces", metavar="PACK", help="替代 the pack in force that it ends.")
@as_option
@city_option
@json_option
def policy_publish(
    name: str,
    parents: tuple[str, ...],
    since: str | None,
    replaces: str | None,
    actor: str,
    city: str | None,
    as_json: bool,
) -> None:
    """提出公布一份政策: propose a policy's publication.

    NAME: a shipped policy or a TOML file. `huiyin approve` by a second person publishes it.
    """
    by, pack = desk.parse_actor(actor), wiring.completed(name, parents)
    start: date | None = wiring.parse_instant(since).date() if since else None

    async def work(ledger: Ledger, _: Projections) -> None:
        law = await ledger.law()
        ended = next((p.ref for p in law.policies.publications if p.pack.id == (replaces or "")), None)
        if replaces and ended is None:
            raise SettingError(f"没有公布过此政策 never published: {replaces}")
        act = ProposePolicy(pack=pack, valid_from=start, replaces=ended)
        await _proposed(ledger, act, by, as_json=as_json)

    with_city(city, work, follow=False)


async def _proposed(ledger: Ledger, act: Act, by: Actor, *, as_json: bool) -> None:
    receipt = await ledger.execute(act, stream="institution", actor=by, command_id=command_id("propose"))
    law = await ledger.law()
    if as_json:
        answer({"proposal": law.proposals, "position": receipt.first_position})
        return
    click.echo(f"✓ 已提出 proposed: 第 {law.proposals} 号 number {law.proposals} (位置 {receipt.first_position})")
    click.echo(f"  由另一人批准 a second person approves: huiyin approve {law.proposals} --as USER/admin@HOTLINE")


@huiyin.command("approve")
@click.argument("number", type=int)
@click.option("--reject", "words", metavar="REASON", help="不同意, 附理由 reject it, with the reason.")
@as_option
@city_option
@json_option
def approve_command(number: int, words: str | None, actor: str, city: str | None, as_json: bool) -> None:
    """批准或驳回一项提案: decide what somebody else proposed.

    A calendar, a policy or an outage. The approval lists the orders whose due instant changed.
    """
    by = desk.parse_actor(actor)

    async def work(ledger: Ledger, shown: Projections) -> None:
        law = await ledger.law()
        proposal = law.pending.get(number)
        if proposal is None:
            waiting = ", ".join(f"{n} ({printing.event_title(p.content)})" for n, p in law.pending.items())
            raise SettingError(
                f"没有待批的第 {number} 号 nothing pending under {number}; 待批 pending: {waiting or '—'}"
            )
        approve, reject = _ways(proposal.content)
        act = approve(proposal=number) if words is None else reject(proposal=number, reason=words)
        receipt = await ledger.execute(act, stream="institution", actor=by, command_id=command_id("approve"))
        await desk.caught_up(shown)
        changes = (await shown.due_changes_at(receipt.first_position)).rows if words is None else []
        if as_json:
            answer({"proposal": number, "events": [desk.as_data(e) for e in receipt.events], "changed_dues": changes})
            return
        _decided(receipt)
        if words is None and approve is not ApprovePolicy:
            _print_changes(changes)

    with_city(city, work)


def _ways(content: Fact) -> tuple[type[_Approval], type[_Rejection]]:
    """Return how a proposal is approved and rejected."""
    match content:
        case CalendarProposed():
            return ApproveCalendar, RejectCalendar
        case OutageProposed():
            return ApproveOutage, RejectOutage
        case _:
            return ApprovePolicy, RejectPolicy


def _decided(receipt: Receipt) -> None:
    for entry in receipt.events:
        click.echo(f"✓ {printing.event_title(entry.event)} (位置 {entry.position})")


@huiyin.command("changes")
@click.option("--from", "first", type=click.IntRange(min=1), required=True, help="首个位置 the first position.")
@click.option("--until", "last", type=click.IntRange(min=1), help="末个位置 the last one (without: the first).")
@click.option("--unit", help="单位 only what this unit bears; HOTLINE's code for the hotline's own.")
@city_option
@json_option
def changes_command(first: int, last: int | None, unit: str | None, city: str | None, as_json: bool) -> None:
    """到期改变: what the institution's entries between two positions moved, among the clocks that run now, unit by unit.

    A calendar, an outage: derived from the events, as often as it is asked for.
    """

    async def work(ledger: Ledger, shown: Projections) -> None:
        head, _ = await ledger.head()
        end = last or first
        if not first <= end <= head:
            raise SettingError(f"位置 positions: 1 … {head}, 首不后于末 the first not behind the last: {first} … {end}")
        law = await ledger.law()
        own = law.hotline_unit
        moved = [c for c in (await shown.due_changes_at(first, end)).rows if unit in (None, c.unit or own)]
        if as_json:
            answer({"from": first, "until": end, "changed_dues": moved})
            return
        _print_changes(sorted(moved, key=lambda change: (change.unit, change.number)))

    with_city(city, work)


def _print_changes(changes: Sequence[DueChange]) -> None:
    if not changes:
        click.echo("没有工单的到期时刻因此改变 no order's due instant changed")
        return
    of_units = Counter(change.unit or "热线" for change in changes)
    rows = [
        (c.number, c.unit or "热线", c.clock, printing.show_end(c.old_due), printing.show_end(c.new_due))
        for c in changes
    ]
    columns = ("工单 order", "责任 unit", "时限 clock", "原 before", "现 now")
    printing.console().print(printing.counts("到期改变 changed dues", rows, columns))
    click.echo("单位 by unit: " + " · ".join(f"{name} {count}" for name, count in sorted(of_units.items())))


# --- running -----------------------------------------------------------------------------------------------------


@huiyin.command("appoint")
@click.argument("person")
@click.option(
    "--key", type=click.Path(path_type=Path), required=True, help="私钥文件 where the person's private key is written."
)
@city_option
def appoint_command(person: str, key: Path, city: str | None) -> None:
    """指定双人之一: appoint one of the two who open an informant's identity.

    Their private key is written to a file of their own, and is theirs alone.
    """

    async def named() -> str:
        return await desk.the_city(wiring_database, city)

    wiring_database = wiring.database()
    count = wiring.appoint(desk.run_async(named()), person, key)
    click.echo(f"✓ 已指定 appointed: {person} ({count}/2); 私钥 private key: {key}")


@huiyin.command("stop")
def stop_command() -> None:
    """停止内置数据库: stop the embedded PostgreSQL.

    It keeps running between commands; the next one starts it again.
    """
    stopped = embedded.stop(embedded.home(wiring.environment()))
    click.echo("✓ 已停止 stopped" if stopped else "没有在运行 it was not running")


huiyin.add_command(demo.demo_command)
for command in custody.COMMANDS:
    archiving.archive_group.add_command(command)
for command in (
    tables.rebuild_command,
    tables.rollback_command,
    tables.drop_command,
    tables.follow_command,
    tables.status_command,
):
    huiyin.add_command(command)
huiyin.add_command(lawbook.due_command)
lawbook.policy_group.add_command(policy_publish)
huiyin.add_command(lawbook.policy_group)
huiyin.add_command(calendar_group)
huiyin.add_command(sandboxes.sandbox_group)
for command in (
    carrying.import_command,
    carrying.reconcile_command,
    carrying.export_command,
    carrying.restore_command,
    carrying.erasures_command,
    desk.show_command,
    desk.history_command,
    desk.list_command,
    desk.do_command,
    desk.open_command,
    desk.commands_command,
    *office.COMMANDS,
    *papers.COMMANDS,
    *dossiers.COMMANDS,
    *sealedparts.COMMANDS,
    *reporting.COMMANDS,
    *overseeing.COMMANDS,
    *figuring.COMMANDS,
    *worklists.COMMANDS,
    *dutyroom.COMMANDS,
    *evidence.COMMANDS,
    *calling.COMMANDS,
    *consumers.COMMANDS,
    *serving.COMMANDS,
    *sweeping.COMMANDS,
    *sampling.COMMANDS,
    *telling.COMMANDS,
    *auditing.COMMANDS,
    *tracing.COMMANDS,
    *proving.COMMANDS,
    *archiving.COMMANDS,
):
    huiyin.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; errors that people can mend are sentences, not traces.

    Exit codes: 0 done; 1 refused, invalid, or something was found; 2 the command line is wrong; 70 an error inside the
    program; 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show Chinese is no error
    try:
        if any("\udc80" <= letter <= "\udcff" for word in words for letter in word):
            raise click.UsageError("参数不是 UTF-8 an argument is not UTF-8")
        huiyin.main(words, prog_name="huiyin", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("已中止 aborted", err=True)
        sys.exit(130)
    except _MENDABLE as error:
        click.echo(f"✗ {error}", err=True)
        sys.exit(1)
    except msgspec.ValidationError as error:
        click.echo(f"✗ 内容不合格式 invalid: {error}", err=True)
        sys.exit(1)
    except psycopg.Error as error:
        click.echo(f"✗ 数据库 database: {str(error).strip()}", err=True)
        sys.exit(1)
    except Exception as error:
        if wiring.debugging():
            raise
        click.echo(f"✗ 程序内部错误 an error inside the program: {type(error).__name__}: {error}", err=True)
        click.echo("  设 HUIYIN_DEBUG=1 重试可见详情 run again with HUIYIN_DEBUG=1 for the details", err=True)
        sys.exit(70)


_MENDABLE = (
    Refusal,
    PolicyError,
    CalendarError,
    SettingError,
    importing.BadSource,
    importing.Stopped,
    transfer.BadExport,
    embedded.NoDatabase,
    OSError,  # a file or a socket that is not there, not allowed, or full
)


if __name__ == "__main__":
    main()
