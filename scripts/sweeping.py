"""What supervision does about all cases by itself: `huiyin sweep` once, now, or only shown; the worker every minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import click
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from domain import kinds
from domain.duties import title_of
from domain.ledger import Ledger
from domain.matters.affairs import ReferUnit
from domain.terms import Act, ClockName, NoticeKind, Role
from projections.answers import Projections
from scripts import desk, printing, wiring
from scripts.desk import city_option, json_option, with_city
from scripts.lawbook import answer
from scripts.wiring import SettingError
from supervision.proposals import Proposal, proposed
from supervision.scheduler import LOG
from supervision.sweep import BROKEN, Line, Manner, Outcome, Swept, left, sweep


@click.command("sweep")
@click.option("--at", metavar="T", help="以此时刻 as of this instant: with --dry-run or --simulated.")
@click.option("--dry-run", is_flag=True, help="只看不办 only show what would be done.")
@click.option("--simulated", is_flag=True, help="模拟 record it as imported at T: for cities that are only simulated.")
@click.option("--limit", type=click.IntRange(0, 100_000), default=50, show_default=True, help="最多列 list so many.")
@city_option
@json_option
def sweep_command(at: str | None, dry_run: bool, simulated: bool, limit: int, city: str | None, as_json: bool) -> None:
    """巡检: remind, supervise, deem and close what is due by itself, once, now.

    `huiyin serve` does it every minute. What is left to people is listed with who may do it; nothing is done twice.
    """
    if at is not None and not (dry_run or simulated):
        raise SettingError(
            "--at 须与 --dry-run 或 --simulated 同用 goes with --dry-run or --simulated: 实办以数据库时钟为准"
        )
    if simulated and at is None:
        raise SettingError("--simulated 须写明 --at, as of when it is simulated")
    manner = Manner(dry_run=dry_run, simulated=simulated, left=True)

    async def work(ledger: Ledger, shown: Projections) -> None:
        now = wiring.parse_instant(at) if at is not None else await ledger.now()
        lines: list[Line] = []
        swept = await sweep(ledger, shown, now, manner, lines.append)
        if not dry_run:
            await desk.caught_up(shown)
        if as_json:
            answer({"swept": swept, "lines": lines})
            return
        _say(swept, lines, limit)

    with_city(city, work)


def _say(swept: Swept, lines: Sequence[Line], limit: int) -> None:
    order = list(Outcome)
    told = sorted(lines, key=lambda line: order.index(line.outcome))
    if limit and told:
        printing.console().print(listed(told[:limit]))
        if len(told) > limit:
            click.echo(f"… 共 {len(told)} 项 in all (--limit)")
    did = Outcome.WOULD if swept.dry_run else Outcome.DONE
    for outcome, word, counted in (
        (did, "would do" if swept.dry_run else "done", swept.done),
        (Outcome.AGAIN, "done elsewhere", swept.again),
        (Outcome.LEFT, "for people", swept.left),
    ):
        if counted:
            click.echo(f"{outcome.zh} {word}: {_counts(counted)}")
    sentences = {line.refusal: line.sentence for line in lines if line.refusal}
    for code, count in sorted(swept.refused.items()):
        said = (
            "程序内部错误, 见日志 an error inside the program, see the log"
            if code == BROKEN
            else sentences.get(code, "")
        )
        click.echo(f"{Outcome.REFUSED.zh} not done: {count} × {code} {said}")
    at = printing.show_instant(swept.now)
    click.echo(
        f"✓ 巡检 swept {at}: 查看 looked at {swept.looked} 件, {did.zh} {swept.total}, "
        f"无事 nothing to do {swept.idle}; 截至位置 true at position {swept.position}"
    )


def _counts(counted: Mapping[str, int]) -> str:
    return " · ".join(f"{_named(what)} {count}" for what, count in Counter(counted).most_common())


def _named(what: str) -> str:
    """Return what a thing is called: the kind of the notice, else the command's own term."""
    command, _, kind = what.partition(":")
    if kind:
        notice = NoticeKind(kind)
        return f"{notice.zh} {notice}" if command == "issue_notice" else f"升级{notice.zh} {command} {notice}"
    return f"{title_of(_COMMANDS[command])} {command}"


def listed(lines: Sequence[Line]) -> RenderableType:
    """Show what was, would be or has to be done, a line each; where the terminal is narrow, two."""
    if printing.console().width < printing.NARROW:
        return Group(*(Text(cell) for line in lines for cell in _narrow(line)))
    table = Table(box=None, pad_edge=False)
    for column in (
        "结果 outcome",
        "事项 what",
        "工单 order",
        "时限 clock",
        "到期 due",
        "单位 unit",
        "依据 article",
        "",
    ):
        table.add_column(column, overflow="fold")
    for line in lines:
        table.add_row(*(escape(cell) for cell in _cells(line)))
    return table


def _cells(line: Line) -> tuple[str, ...]:
    clock = ClockName(line.clock).zh if line.clock else ""
    return (
        line.outcome.zh,
        _named(line.what),
        line.number or str(line.order_id)[:13],
        clock,
        printing.show_end(line.due) if line.due else "",
        line.unit or "热线",
        line.article,
        _why(line),
    )


def _narrow(line: Line) -> tuple[str, str]:
    outcome, what, number, clock, due, unit, article, why = _cells(line)
    return f"{outcome} {what} · {number}", f"  {clock} {due} · {unit} · {article} {why}".rstrip()


def _why(line: Line) -> str:
    if line.outcome is Outcome.LEFT:
        return "须由 by " + ", ".join(Role(role).zh for role in line.by)
    return line.refusal


_COMMANDS: dict[str, type[Act]] = {
    str(command.__struct_config__.tag): command for kind in kinds.KINDS for command in kind.commands
}

# --- in the worker -----------------------------------------------------------------------------------------------


async def swept(ledger: Ledger, shown: Projections) -> None:
    """Sweep a city at the database's clock, and log what came of it."""
    told = await sweep(ledger, shown, await ledger.now())
    if told.total or +told.refused:
        said = {"city": shown.city, "done": told.done, "refused": +told.refused, "left": told.left}
        LOG.info("sweep", extra={"said": said})


# --- what waits for people ---------------------------------------------------------------------------------------


@click.command("proposals")
@click.option("--at", metavar="T", help="以此时刻 as of this instant.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=200, show_default=True, help="最多 so many orders.")
@city_option
@json_option
def proposals_command(at: str | None, limit: int, city: str | None, as_json: bool) -> None:
    """拟办: what supervision proposes to people and does not do by itself.

    Where problems come together, by the pack's figures, and the next step where something was ignored; each with who may.
    """

    async def work(ledger: Ledger, shown: Projections) -> None:
        now = wiring.parse_instant(at) if at is not None else await ledger.now()
        found = await proposed(ledger, shown, now)
        waiting = await left(ledger, shown, now, limit=limit)
        if as_json:
            answer({"position": found.position, "proposals": found.proposals, "steps": waiting.lines})
            return
        console = printing.console()
        if found.proposals:
            rows = [_proposal(one) for one in found.proposals]
            columns = ("事由 ground", "对象 about", "计数 count", "可办 may follow", "可由 by", "依据 article")
            console.print(printing.counts("拟办 proposals", rows, columns))
        if waiting.lines:
            console.print(listed(waiting.lines))
        counted = f"拟办 proposals {len(found.proposals)}, 待人工 for people {len(waiting.lines)}"
        click.echo(f"✓ {counted}; 截至位置 true at position {found.position}")

    with_city(city, work)


def _proposal(one: Proposal) -> tuple[str, ...]:
    about = one.number or one.unit
    counted = f"{one.count}" + (f"/{one.of}" if one.of is not None else "")
    figure = f"<{one.threshold}%" if one.of is not None else f"≥{one.threshold}"
    return (
        one.ground.zh,
        f"{about} {one.category}".rstrip(),
        f"{counted} ({figure})",
        "、".join(kind.zh for kind in one.kinds) or title_of(ReferUnit),
        "、".join(role.zh for role in one.by),
        one.article,
    )


COMMANDS = (sweep_command, proposals_command)
