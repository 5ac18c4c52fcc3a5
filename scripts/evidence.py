"""证据包. The records that a referral rests on, as one file: every event as stored, with its leaf, and what verifies it.

What is sealed in the ledger stays sealed here: the file names nobody. Its SHA-256 is the `bundle` of the referral, so that
whoever receives it checks, without us and without a database, that it is the one meant and that nothing in it was changed.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

import click
import msgspec

from domain import leaves
from domain.leaves import CommitRow, EventRow, Imprint, Witnessed
from domain.ledger import Ledger
from domain.matters.affairs import ReferUnit
from domain.steps.recourse import ReferAccountability
from domain.terms import NoticeGround
from projections.answers import Projections
from scripts import wiring
from scripts.desk import as_option, city_option, json_option, parse_actor, print_receipt, stream_of, with_city
from scripts.lawbook import Commands, answer
from scripts.wiring import SettingError

FORM = "huiyin-evidence/1"


class Index(msgspec.Struct, frozen=True, kw_only=True, tag=FORM):
    """卷首. Whose ledger it is from, up to which position, and how many events of each record follow."""

    city: str
    ledger_id: str
    hash: str
    position: int
    made_at: datetime
    records: dict[str, int]


class Line(msgspec.Struct, frozen=True, kw_only=True, tag="event"):
    """事件. An event with its commit and with the leaf before it in its stream."""

    event: EventRow
    commit: CommitRow
    before: tuple[int, bytes] | None

    def witnessed(self) -> Witnessed:
        """Return it as `leaves.check` takes it."""
        return Witnessed(self.event, self.commit, self.before)


_LINES = msgspec.json.Decoder(Index | Line)


def made(index: Index, rows: Iterable[Witnessed]) -> bytes:
    """Return the bytes of a bundle."""
    lines = [index, *(Line(event=row.event, commit=row.commit, before=row.before) for row in rows)]
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


def digest_of(content: bytes) -> str:
    """Return a bundle's digest as a referral names it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Checked(msgspec.Struct, frozen=True):
    """核验. What a bundle holds, and everything in it that does not add up."""

    digest: str
    records: dict[str, int]
    findings: tuple[str, ...]


def checked(content: bytes, digest: str | None = None) -> Checked:
    """Check a bundle offline: its digest, every leaf, every record from its first event on without gap. Raises SettingError."""
    try:
        first, *rest = [_LINES.decode(line) for line in content.splitlines()]
    except (ValueError, msgspec.MsgspecError) as error:
        raise SettingError(f"不是证据包 no evidence bundle: {error}") from error
    if not isinstance(first, Index):
        raise SettingError("不是证据包 no evidence bundle: 缺卷首 it has no index")
    found: list[str] = []
    if digest is not None and digest != digest_of(content):
        found.append(f"摘要不符 its digest is {digest_of(content)}, not {digest}")
    rows: dict[str, list[Witnessed]] = {}
    for line in rest:
        if isinstance(line, Line):
            rows.setdefault(line.event.stream, []).append(line.witnessed())
    imprint = Imprint(first.ledger_id, first.hash)
    for record, own in rows.items():
        found += [f"{record} 位置 position {one.position}: {one.what}" for one in leaves.check(imprint, own)]
        if [row.event.version for row in own] != list(range(1, len(own) + 1)):
            found.append(f"{record}: 事件不连续 its events are not whole")
    held = {record: len(own) for record, own in rows.items()}
    if held != first.records:
        found.append("卷首与内容不符 the index does not name what follows")
    return Checked(digest_of(content), held, tuple(found))


async def bundled(ledger: Ledger, city: str, streams: Sequence[str]) -> tuple[Index, bytes]:
    """Return the bundle of some records as they stand now."""
    head, _ = await ledger.head()
    histories = await ledger.histories(list(streams))
    rows: list[Witnessed] = []
    for own in histories:
        for entry in own:
            rows += await ledger.witnesses(entry.position - 1, entry.position)
    index = Index(
        city=city,
        ledger_id=str(ledger.imprint.ledger_id),
        hash=ledger.imprint.hash,
        position=head,
        made_at=wiring.process_now(),
        records={stream: len(own) for stream, own in zip(streams, histories, strict=True)},
    )
    return index, made(index, rows)


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
    actor: str,
    city: str | None,
    as_json: bool,
) -> None:
    """移送问责: write the bundle of the records it rests on, and refer the unit with its digest.

    RECORD: an order by its number, or matter:ID. One order alone is referred in its own file; several, as a matter.
    """
    by = parse_actor(actor)
    if file.exists():
        raise SettingError(f"{file}: 已存在 exists already")

    async def work(ledger: Ledger, shown: Projections) -> None:
        streams = list(dict.fromkeys([await stream_of(shown, record) for record in records]))
        if any(not stream.startswith(("order:", "matter:")) for stream in streams):
            raise SettingError("只收工单与督办事项 only orders and matters go into a bundle")
        _, content = await bundled(ledger, shown.city, streams)
        bundle, alone = digest_of(content), len(streams) == 1 and streams[0].startswith("order:")
        named = {
            kind: tuple(UUID(s.partition(":")[2]) for s in streams if s.startswith(kind))
            for kind in ("order", "matter")
        }
        act = (
            ReferAccountability(unit=unit, to=organ, ground=NoticeGround(ground), facts=facts, bundle=bundle)
            if alone
            else ReferUnit(
                unit=unit,
                to=organ,
                ground=NoticeGround(ground),
                facts=facts,
                bundle=bundle,
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
@json_option
def evidence_check(file: Path, digest: str | None, as_json: bool) -> None:
    """核验证据包: check it offline: no database, no key."""
    found = checked(file.read_bytes(), digest)
    if as_json:
        answer(found)
    else:
        click.echo(f"摘要 digest {found.digest}")
        for record, count in found.records.items():
            click.echo(f"  {record}  {count} 个事件 events")
    if found.findings:
        raise SettingError("证据包不符 it does not hold: " + "; ".join(found.findings))
    if not as_json:
        click.echo("✓ 完整且未经改动 whole and unchanged")


COMMANDS = (evidence_group,)
