"""证据包. The records that a referral rests on, as one file: of each its evidence in full, under one signed head.

What is sealed in the ledger stays sealed here: the file names nobody. Its SHA-256 is the `bundle` of the referral, so that
whoever receives it checks, without us and without a database, that it is the one meant and that nothing in it was changed.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from uuid import UUID

import click

from domain import evidence
from domain.evidence import Unproven
from domain.ledger import Ledger
from domain.matters.affairs import ReferUnit
from domain.steps.recourse import ReferAccountability
from domain.terms import NoticeGround
from projections.answers import Projections
from scripts import wiring
from scripts.desk import as_option, city_option, json_option, parse_actor, print_receipt, stream_of, with_city
from scripts.lawbook import Commands, answer
from scripts.proving import policy_option, read_policy
from scripts.wiring import SettingError

# --- commands ----------------------------------------------------------------------------------------------------


@click.group("evidence", cls=Commands)
def evidence_group() -> None:
    """证据包: make the bundle of a referral and refer, or check one offline."""


@evidence_group.command("refer")
@click.argument("unit")
@click.argument("records", nargs=-1, required=True, metavar="RECORD…")
@click.option("--to", "organ", required=True, metavar="CODE", help="受理机关 the supervisory organ, as a code.")
@click.option("--ground", type=click.Choice([str(g) for g in NoticeGround]), required=True, help="理由.")
@click.option("--facts", required=True, help="事实 what the referral says; it is sealed.")
@click.option(
    "--file", type=click.Path(dir_okay=False, path_type=Path), required=True, help="证据包 where it is written."
)
@click.option("--purpose", default="referral", show_default=True, help="用途代码 what for; it is recorded.")
@as_option
@city_option
@json_option
def evidence_refer(
    unit: str,
    records: tuple[str, ...],
    organ: str,
    ground: str,
    facts: str,
    file: Path,
    purpose: str,
    actor: str,
    city: str | None,
    as_json: bool,
) -> None:
    """移送问责: write the bundle of the records it rests on, and refer the unit with its digest.

    Of every record stands in the access journal first who took it along.
    RECORD: an order by its number, or matter:ID. One order alone is referred in its own file; several, as a matter.
    """
    by = parse_actor(actor)
    if file.exists():
        raise SettingError(f"{file}: 已存在 exists already")
    database = wiring.database()

    async def work(ledger: Ledger, shown: Projections) -> None:
        streams = list(dict.fromkeys([await stream_of(shown, record) for record in records]))
        if any(not stream.startswith(("order:", "matter:")) for stream in streams):
            raise SettingError("只收工单与督办事项 only orders and matters go into a bundle")
        streams.sort(key=lambda stream: stream.startswith("matter:"))  # as the referral names them: so it is made again
        for stream in streams:
            look = f"cli:bundle:{secrets.token_hex(12)}"
            await ledger.note_access(("bundle",), stream=stream, viewer=by, purpose=purpose, command_id=look)
        async with await wiring.open_log(database, ledger) as log:
            head = (await log.sign()).checkpoint.size
            content = await log.bundle(ledger, streams, head)
        bundle, alone = evidence.digest_of(content), len(streams) == 1 and streams[0].startswith("order:")
        named = {
            kind: tuple(UUID(s.partition(":")[2]) for s in streams if s.startswith(kind))
            for kind in ("order", "matter")
        }
        act = (
            ReferAccountability(unit=unit, to=organ, ground=NoticeGround(ground), facts=facts, bundle=bundle, head=head)
            if alone
            else ReferUnit(
                unit=unit,
                to=organ,
                ground=NoticeGround(ground),
                facts=facts,
                bundle=bundle,
                head=head,
                orders=named["order"],
                matters=named["matter"],
            )
        )
        file.write_bytes(content)
        try:
            receipt = await ledger.execute(
                act, stream=streams[0] if alone else None, actor=by, command_id=f"cli:{secrets.token_hex(12)}"
            )
        except BaseException:
            file.unlink()
            raise
        if not as_json:
            click.echo(f"✓ {file}: {len(streams)} 件 records, {bundle}")
        print_receipt(receipt, dry_run=False, as_json=as_json)

    with_city(city, work)


@evidence_group.command("check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--digest", metavar="SHA256", help="移送函所载摘要 the digest that the letter names.")
@policy_option
@json_option
def evidence_check(file: Path, digest: str | None, policy: Path | None, as_json: bool) -> None:
    """核验证据包: check it offline: no database, no key.

    With --digest that it is the one that the letter names; with --policy that its records lie under a head that was
    signed by whom the policy names. Without either, only that it agrees with itself.
    """
    content = file.read_bytes()
    if not evidence.is_bundle(content):
        raise SettingError("不是证据包 no evidence bundle")
    try:
        found = evidence.check_bundle(content, None if policy is None else read_policy(policy), digest)
    except Unproven as error:
        raise SettingError(f"证据包不符 it does not hold: {error}") from error
    if as_json:
        answer(found)
        return
    click.echo(f"摘要 digest {found.digest}")
    for held in found.records:
        click.echo(f"  {held.stream}  {held.events} 个事件 events, 位置 positions {held.first} … {held.last}")
    if policy is None:
        click.echo("  树头签名未验: 以 --policy 指明信任谁 the signature of its head was not checked: say --policy")
    click.echo("✓ 完整且未经改动 whole and unchanged" if digest or policy else "✓ 自相一致 it agrees with itself")


COMMANDS = (evidence_group,)
