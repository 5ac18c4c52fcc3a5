"""Proofs at the terminal: heads that a city signs, evidence for strangers, witnesses, and the check of all of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from archive.inspection import inspect
from archive.verify import is_pdf
from domain import evidence, notes
from domain.evidence import Held, Unproven
from domain.leaves import Finding
from domain.ledger import Ledger
from domain.notes import NotANote, Note, Policy
from projections.answers import PROJECTIONS, Projections
from projections.checkers import Checkers
from projections.transparency import CosignatureUnfit, Transparency
from scripts import desk, dossiers, files, printing, wiring
from scripts.desk import city_option, json_option, with_city
from scripts.lawbook import answer
from scripts.wiring import SettingError
from scripts.witnessing import Refused, Unreachable, Witness, deliver, over, post
from supervision.scheduler import LOG

T = TypeVar("T")

policy_option = click.option(
    "--policy",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="信任策略 whose heads are believed: a file of `huiyin head --policy`, kept where the office cannot change it.",
)


def with_log(said: str | None, work: Callable[[Ledger, Transparency, Projections], Awaitable[T]]) -> T:
    """Open a city, its transparency log and its tables, do `work` and close them."""
    database = wiring.database()

    async def opened(ledger: Ledger, shown: Projections) -> T:
        async with await wiring.open_log(database, ledger) as log:
            return await work(ledger, log, shown)

    return with_city(said, opened, follow=False)


# --- heads -------------------------------------------------------------------------------------------------------


@click.command("head")
@click.option("--list", "listed", is_flag=True, help="列出 every head that was signed.")
@click.option("--policy", "as_policy", is_flag=True, help="信任策略 the public keys, as `verify --policy` takes them.")
@click.option("--trust", "witness", metavar="KEY", help="登记见证人 take the cosignatures of a witness from now on.")
@city_option
@json_option
def head_command(listed: bool, as_policy: bool, witness: str | None, city: str | None, as_json: bool) -> None:
    """签署树头: sign what the ledger holds now, and show the signed head; `serve` does it every minute.

    A ledger that no longer holds what an earlier head says is refused: history was lost, or changed.
    """
    if witness is not None:
        _trust(city, witness)
        return

    async def work(_: Ledger, log: Transparency, _shown: Projections) -> None:
        if as_policy:
            if log.key is None:
                raise SettingError("没有签名密钥 there is no key to sign with")
            policy = Policy(log.key, log.witnesses, len(log.witnesses))
            click.echo(notes.policy_text(policy), nl=False)
            return
        if listed:
            found = await log.heads(limit=1_000_000)
            if as_json:
                answer([{"size": note.checkpoint.size, "root": note.checkpoint.root.hex()} for note in found])
            else:
                for note in found:
                    click.echo(f"{note.checkpoint.size:>12,}  {note.checkpoint.root.hex()}")
            return
        note = await log.sign()
        for wrong in await told(log, note):
            click.echo(f"! 未告知 not told: {wrong}", err=True)
        note = await log.head(note.checkpoint.size)
        if as_json:
            answer({"size": note.checkpoint.size, "root": note.checkpoint.root.hex(), "note": str(note)})
            return
        click.echo(str(note), nl=False)
        click.echo(f"✓ {note.checkpoint.size:,} 个事件 events; 另存 kept outside: {log.outside.folder}", err=True)

    with_log(city, work)


def _trust(city: str | None, said: str) -> None:
    try:
        key = notes.key_from(said)
    except NotANote as error:
        raise SettingError(f"不是见证人公钥 not the public key of a witness: {error}") from error
    if key.kind != notes.WITNESS:
        raise SettingError(f"这是日志的公钥 this is the key of a log, not of a witness: {key.name}")
    schema = desk.run_async(desk.the_city(wiring.database(), city))
    wiring.add_witness(schema, key)
    click.echo(f"✓ 已登记见证人 the cosignatures of {key.name} are taken: {wiring.witnesses_file(schema)}")


# --- evidence ----------------------------------------------------------------------------------------------------


@click.command("proof")
@click.argument("record")
@click.option("--to", "file", type=click.Path(dir_okay=False, path_type=Path), help="写入文件 a file; without: shown.")
@click.option("--full", is_flag=True, help="含事件内容 with what happened (sealed stays sealed), not digests alone.")
@desk.who_option
@click.option("--purpose", default="evidence", show_default=True, help="用途代码 what for; it is recorded.")
@city_option
def proof_command(
    record: str, file: Path | None, full: bool, actor: str | None, purpose: str, city: str | None
) -> None:
    """存证: the history of a record with the proof that it is in the ledger, to be checked by anybody, offline.

    RECORD: an order's number, or KIND:ID. `huiyin verify FILE --policy POLICY` checks it without database and network.
    Who took it stands in the access journal first.
    """
    database = wiring.database()
    by = desk.whoever(actor)

    async def work(ledger: Ledger, shown: Projections) -> None:
        stream = await desk.stream_of(shown, record)
        command_id = f"cli:evidence:{wiring.fresh()}"
        await ledger.note_access(("evidence",), stream=stream, viewer=by, purpose=purpose, command_id=command_id)
        async with await wiring.open_log(database, ledger) as log:
            await log.sign()
            said = msgspec.json.format(msgspec.json.encode(await log.evidence(ledger, stream, full=full)), indent=1)
        if file is None:
            click.echo(said.decode())
            return
        file.write_bytes(said + b"\n")
        click.echo(f"✓ {file}; 核验 check it: huiyin verify {file} --policy POLICY")

    with_city(city, work)


# --- the check ---------------------------------------------------------------------------------------------------

LARGE = 200_000
"""Events from which on a ledger is worth the second that further processes take to begin."""


@click.command("verify")
@click.argument("evidences", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[FILE]…")
@policy_option
@click.option("--head", "heads", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="见证人的树头 a head that a witness holds: its file `last` (repeatable).")  # fmt: skip
@click.option(
    "--digest", metavar="SHA256", help="摘要 what a dossier's digest has to be, where it is known from elsewhere."
)
@click.option("--jobs", type=click.IntRange(0), default=0,
    help="进程数 processes; left out: one, of a large ledger as many as there are processors.")  # fmt: skip
@click.option("--tables", "with_tables", is_flag=True,
    help="查询表 make every table again from the events, and compare; the right ones serve from then on.")  # fmt: skip
@click.option("--files", "with_files", is_flag=True, help="附件 open every file too, and hold it against its digest.")
@city_option
@json_option
def verify_command(
    evidences: tuple[Path, ...],
    policy: Path | None,
    heads: tuple[Path, ...],
    digest: str | None,
    jobs: int,
    with_tables: bool,
    with_files: bool,
    city: str | None,
    as_json: bool,
) -> None:
    """核验: compute the whole ledger again and compare; or check offline what `proof`, `dossier`, `archive packet` made.

    Of the ledger: every leaf, every commit, the tree, and every head that was signed, in the database, outside it, and
    with --head at a witness. Exit code 1 if anything does not hold, with the position where.
    """
    if evidences:
        if policy is None:
            raise SettingError(
                "须以 --policy 指明信任谁的树头 say with --policy whose heads are believed: huiyin head --policy"
            )
        if not _all_hold(evidences, read_policy(policy), digest, as_json=as_json):
            sys.exit(1)
        return
    held = [_note(path) for path in heads]

    async def work(ledger: Ledger, log: Transparency, shown: Projections) -> int:
        position, _at = await ledger.head()
        with printing.bar("核验 verifying") as bar, _checkers(ledger, jobs, position) as checkers:
            task = bar.add_task("", total=position)
            findings = await log.check(ledger, held, lambda done: bar.update(task, completed=done), checkers)
        compared = await _tables(shown, jobs or 1, findings) if with_tables else 0
        kept = await files.check(ledger, wiring.files_of(ledger)) if with_files else None
        if as_json:
            answer({"position": position, "findings": [finding._asdict() for finding in findings], "files": kept})
        for finding in findings if not as_json else ():
            _say_finding(finding)
        if not findings and not as_json:
            signed = len(await log.heads(limit=1_000_000)) + len(held)
            click.echo(
                f"✓ {position} 个事件逐条核验无误 every leaf of {position} events holds; {signed} 个树头 signed heads hold"
            )
        if with_tables and not as_json and not any(finding.stream in NAMES for finding in findings):
            click.echo(f"✓ {compared} 张查询表与事件重算一致 tables are what the events make of them")
        if kept is not None and not as_json:
            _say_files(kept)
        return len(findings) + (len(kept.findings) if kept is not None else 0)

    if with_log(city, work):
        sys.exit(1)


NAMES = frozenset(projection.name for projection in PROJECTIONS)


async def _tables(shown: Projections, jobs: int, findings: list[Finding]) -> int:
    """Make every table again and add to findings what the old ones had otherwise; return how many were compared.

    A table that was right is dropped again; one that was not is kept beside the new one, to be looked at.
    """
    with printing.bar("重算查询表 tables") as bar:
        task = bar.add_task("", total=None)
        made = await shown.rebuild(
            jobs=jobs, compare=True, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    for one in made:
        if one.differences == 0:
            await shown.drop(one.name)
            continue
        if one.differences is None:
            findings.append(Finding(one.position, one.name, "the table was blocked or of another release: made again"))
            continue
        what = f"the table has {one.differences} rows otherwise than the events make them"
        findings.append(Finding(one.position, one.name, what, "0", str(one.differences)))
        for right, other in await shown.differing(one.name):
            changed = [name for name in {**right, **other} if right.get(name) != other.get(name)]
            said = [{name: row[name] for name in changed if name in row} for row in (right, other)]
            named = right or other
            where = str(named.get("number") or named.get("id") or named.get("order_id") or "")
            at = int(named.get("position") or one.position)
            expected, found = (msgspec.json.encode(row).decode() if row else "—" for row in said)
            findings.append(Finding(at, one.name, f"row {where}", expected, found))
    return len(made)


def _checkers(ledger: Ledger, jobs: int, position: int) -> contextlib.AbstractContextManager[Checkers | None]:
    jobs = jobs or (os.cpu_count() or 1 if position > LARGE else 1)
    if jobs <= 1:
        return contextlib.nullcontext()
    return Checkers(wiring.database().app, ledger.city, ledger.imprint, jobs)


def _say_finding(finding: Finding) -> None:
    where = f"{finding.stream} " if finding.stream else ""
    click.echo(f"✗ 位置 position {finding.position}: {where}{finding.what}")
    if finding.expected or finding.found:
        click.echo(f"    应为 expected {finding.expected}; 实为 found {finding.found}")


def _all_hold(paths: Sequence[Path], policy: Policy, digest: str | None, *, as_json: bool) -> bool:
    held: list[dict[str, object]] = []
    for path in paths:
        if path.is_dir():
            held.append(_packet(path, policy, as_json=as_json))
            continue
        try:
            content = path.read_bytes()
            if is_pdf(content):
                verdict = dossiers.checked(path, policy, digest)
                held.append({"file": str(path), "holds": verdict.holds, **msgspec.to_builtins(verdict)})
                if not as_json:
                    dossiers.say(path, verdict)
                continue
            if evidence.is_bundle(content):
                every = evidence.check_bundle(content, policy).records
            else:
                every = (evidence.check(evidence.read(content), policy),)
        except Unproven as error:
            told = {"file": str(path), "holds": False, "position": error.position}
            held.append({**told, "expected": error.expected, "found": error.found})
            if not as_json:
                click.echo(
                    f"✗ {path}: 位置 position {error.position}: 应为 expected {error.expected}; 实为 found {error.found}"
                )
            continue
        for found in every:
            held.append({"file": str(path), "holds": True, **msgspec.to_builtins(found)})
            if not as_json:
                _say_held(path, found)
    if as_json:
        answer(held)
    return all(one["holds"] for one in held)


def _packet(path: Path, policy: Policy, *, as_json: bool) -> dict[str, object]:
    """Check a packet of filed cases, and say what does not hold."""
    found = inspect(path, policy)
    if not as_json:
        for one in found.findings:
            click.echo(f"✗ {path / one.path}: {one.said}")
        click.echo(
            f"{'✓' if found.holds else '✗'} {path}: {found.items} 件 cases, {found.files} 个文件 files, {found.bytes:,} 字节 bytes"
        )
        for size, root in sorted(found.heads.items()):
            click.echo(f"  树头 under a head of {size:,} 个事件 events, {root}")
        for name, at in found.witnesses.items():
            click.echo(f"  见证 witnessed by {name}, {at}")
        for one in found.remarks:
            click.echo(f"  注 {one}")
        click.echo(f"  {_LIMITS}" if found.holds else f"  不符 {len(found.findings)} 处, 不可采信 do not rely on it")
    return {"file": str(path), "holds": found.holds, **msgspec.to_builtins(found, str_keys=True)}


_LIMITS = "不证明其后未再发生他事, 亦不证明所记属实 it does not prove that nothing came later, nor that what was recorded is true"


def _say_held(path: Path, found: Held) -> None:
    click.echo(f"✓ {path}: {found.stream}")
    click.echo(f"  {found.events} 个事件, 次序无缺, 未经改动 events in their order, none missing, none changed: "
               f"位置 positions {found.first} … {found.last}")  # fmt: skip
    click.echo(f"  截至 the last recorded at {found.recorded_at}; 树头 under a head of {found.head:,} 个事件 events")
    for name, at in found.witnesses.items():
        click.echo(f"  见证 witnessed by {name}, {at}")
    if found.open < found.events:
        click.echo(f"  {found.events - found.open} 个事件只有摘要 of these only digests are shown")
    click.echo(f"  {_LIMITS}")


def _say_files(kept: files.Checked) -> None:
    for finding in kept.findings:
        click.echo(f"✗ 附件 file: {finding}")
    if not kept.findings:
        click.echo(f"✓ {kept.kept} 个附件与摘要相符 files have their digest")
    if kept.elsewhere:
        click.echo(f"  {kept.elsewhere} 个附件由其他系统保存 files lie with the systems that told of them")


def read_policy(path: Path) -> Policy:
    """Return whose heads are believed, as a file says. Raises SettingError."""
    try:
        return notes.policy_from(wiring.read_text(path))
    except NotANote as error:
        raise SettingError(f"信任策略不合格 not a policy: {path}: {error}") from error


def _note(path: Path) -> Note:
    try:
        return notes.note_from(path.read_bytes())
    except NotANote as error:
        raise SettingError(f"不是签名树头 not a signed head: {path}: {error}") from error


# --- witnesses ---------------------------------------------------------------------------------------------------


@click.command("witness")
@click.argument("source")
@click.option("--name", required=True, help="见证人名称 who witnesses: npc.example.gov.cn/ledger.")
@click.option("--state", type=click.Path(file_okay=False, path_type=Path), required=True,
    help="记忆 the folder with the witness's key and the head that it signed last.")  # fmt: skip
@click.option(
    "--log", "log", metavar="KEY", help="日志公钥 the log's public key, at the first time: huiyin head --policy."
)
@click.option(
    "--token-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="令牌 a token, for the API."
)
@click.option("--every", type=click.IntRange(1, 86_400), help="每隔 go on, every so many seconds.")
@json_option
def witness_command(
    source: str, name: str, state: Path, log: str | None, token_file: Path | None, every: int | None, as_json: bool
) -> None:
    """见证: look at a log's head from a machine of one's own, and sign it where the ledger has only grown.

    SOURCE: `http://…/v1/CITY/log`, a web server over the folder of heads, or that folder. A head that contradicts the last
    one is not signed but kept, with exit code 1: show both to whoever supervises.
    """
    witness = Witness(state, name, wiring.signing_key(state / "key"), _log_key(state, log))
    token = wiring.read_text(token_file).strip() if token_file is not None else ""
    if any(c.isspace() or c == "+" for c in name):
        raise SettingError(f"名称不含空格与加号 a name has no space and no plus: {name!r}")
    while True:
        _looked(witness, source, token, as_json=as_json, go_on=every is not None)
        if every is None:
            return
        time.sleep(every)


def _looked(witness: Witness, source: str, token: str, *, as_json: bool, go_on: bool) -> None:
    try:
        seen = witness.look(over(source, token), wiring.process_now().timestamp())
        if source.startswith(("http://", "https://")):
            with contextlib.suppress(Unreachable):  # a folder that is only served takes nothing
                deliver(source, seen.note, token)
    except (Unreachable, NotANote) as error:
        if not go_on:
            raise SettingError(f"{source}: {error}") from error
        click.echo(f"! {source}: {error}", err=True)
        return
    except Refused as error:
        click.echo(f"✗ 拒绝见证 refused: {error}; 证据 evidence: {witness.folder}", err=True)
        sys.exit(1)
    size = seen.note.checkpoint.size
    if as_json:
        answer({"size": size, "before": seen.before, "root": seen.note.checkpoint.root.hex(), "key": str(witness.key)})
    else:
        click.echo(f"✓ {size:,} 个事件 events (上次 before {seen.before:,}); 公钥 key: {witness.key}")


def _log_key(state: Path, said: str | None) -> notes.Key:
    kept = state / "log"
    try:
        known = notes.key_from(wiring.read_text(kept)) if kept.exists() else None
        told = notes.key_from(said) if said is not None else None
    except NotANote as error:
        raise SettingError(f"不是日志公钥 not the public key of a log: {error}") from error
    if known is None and told is None:
        raise SettingError("首次须以 --log 写明日志公钥 the first time say the log's public key with --log KEY")
    if known is not None and told is not None and known != told:
        raise SettingError(f"日志公钥已换 another key than this witness knows: {known}")
    found = known or told
    assert found is not None
    if known is None:
        state.mkdir(parents=True, exist_ok=True)
        kept.write_text(f"{found}\n", encoding="utf-8")
    return found


async def signed(ledger: Ledger, shown: Projections) -> None:
    """Sign a head, as the worker does at its times."""
    del shown
    database = await asyncio.to_thread(wiring.database)  # to enter one takes a loop of its own
    async with await wiring.open_log(database, ledger) as log:
        note = await log.sign()
        LOG.debug("head of %s: %s", ledger.city, note.checkpoint.size)
        for wrong in await told(log, note):
            LOG.warning("head of %s not told: %s", ledger.city, wrong)


async def told(log: Transparency, note: Note) -> list[str]:
    """Send a head to whoever is to be told of every one (HUIYIN_HEADS_TO); return what went wrong, to be tried again.

    Whoever is told may answer with its cosignature: that of a known witness is taken.
    """
    wrong: list[str] = []
    size = note.checkpoint.size
    for address in wiring.told_of_heads():
        if await asyncio.to_thread(log.outside.told, address) >= size:
            continue
        try:
            said = await asyncio.to_thread(post, address, note)
        except Unreachable as error:
            wrong.append(str(error))
            continue
        await asyncio.to_thread(log.outside.tell, address, size)
        with contextlib.suppress(NotANote, CosignatureUnfit):  # whatever else is answered says nothing to us
            await log.cosign(notes.note_from(said))
    return wrong


COMMANDS = (head_command, proof_command, verify_command, witness_command)
