"""Sealed parts (密封件) at the terminal: who an informant is, closed for two persons, opened by them, closed for the archives."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from archive import filing, material, sealedpart, verify
from archive.material import Material, NoDossier
from archive.pdf import Done, Printer
from domain.evidence import Unproven
from domain.ledger import Ledger
from domain.refusals import Refusal
from domain.sealing import Consent
from domain.terms import Actor
from projections.answers import Projections
from scripts import desk, dossiers, embedded, wiring
from scripts.desk import as_option, city_option, json_option, with_city
from scripts.lawbook import answer
from scripts.wiring import SettingError

consents_option = click.option(
    "--consent", "consents", multiple=True, metavar="PERSON=FILE", help="双人开启 a private key of one of the two."
)


class NoSealedPart(Refusal):
    """此文件不是可开启的密封件，请给出档号以“-密封件”结尾的 PDF。The file is no sealed part that can be opened: give the PDF whose name ends with -密封件."""


@click.command("identity")
@click.argument("order")
@click.option("--to", "file", required=True, type=click.Path(dir_okay=False, path_type=Path), help="写入 the file.")
@consents_option
@click.option(
    "--receiver", "receivers", multiple=True, metavar="PERSON=FILE", help="接收馆保管人 a public key of theirs; two."
)
@click.option("--upto", type=click.IntRange(0), default=0, help="截至 the version that is shown last; without: all.")
@click.option("--purpose", default="filing", show_default=True, help="用途 why, as a code: it is recorded first.")
@as_option
@city_option
@json_option
def sealed_part_command(
    order: str,
    file: Path,
    consents: tuple[str, ...],
    receivers: tuple[str, ...],
    upto: int,
    purpose: str,
    actor: str,
    city: str | None,
    as_json: bool,
) -> None:
    """密封件: who the informant of a case is, as a file of its own that only two persons can open together.

    Without --consent it is made closed, for the two who were appointed. With the private keys of both it is opened; with
    those and two --receiver keys it is closed anew for two persons of the archives that receive it. Each is recorded first.
    """
    by = desk.parse_actor(actor)
    if by.role not in dossiers.READERS:
        raise SettingError("--as: 限档案员 only for an archivist")
    agreed = [desk.consent_of(pair) for pair in consents]
    theirs = dict(_public(pair) for pair in receivers)
    if theirs and (len(theirs) != 2 or len(set(theirs.values())) != 2 or not agreed):
        raise SettingError(
            "--receiver: 须给出两名不同的接收人, 并由原保管人以 --consent 开启 two different persons, and the consents of both keepers"
        )
    database = wiring.database()

    async def work(ledger: Ledger, shown: Projections) -> None:
        stream = await desk.stream_of(shown, order)
        made, done = await _made(database, ledger, stream, upto, by, purpose, agreed, theirs)
        _put(file, done.pdf)
        recorded = await dossiers.record(ledger, made, dossiers.bound([done]), by)
        told = dossiers.told_of(file, made, done, recorded=recorded)
        if as_json:
            answer(told)
        else:
            dossiers.say_made(told)

    with_city(city, work)


async def _made(
    database: embedded.Database,
    ledger: Ledger,
    stream: str,
    upto: int,
    by: Actor,
    purpose: str,
    agreed: Sequence[Consent],
    theirs: dict[str, bytes],
) -> tuple[Material, Done]:
    async with await wiring.open_log(database, ledger) as log, Printer() as printer:
        gatherer = dossiers.Gatherer(ledger, log, wiring.read_fonds(ledger.city), await printer.faces())
        if not agreed:
            return await dossiers.closed_part(gatherer, ledger, stream, upto, by=by, purpose=purpose, printer=printer)
        if not theirs:
            return await dossiers.opened_part(
                gatherer, ledger, stream, upto, by=by, purpose=purpose, printer=printer, consents=agreed
            )
        keys = await ledger.open_by_two(
            stream, viewer=by, purpose=purpose, command_id=f"cli:reclosed:{wiring.fresh()}", consents=agreed
        )
        rows = await ledger.closed_for_two(
            stream, viewer=by, purpose=purpose, command_id=f"cli:sealed:{wiring.fresh()}"
        )
        anew = sealedpart.rewrapped(rows, keys, theirs, os.urandom)
        return await dossiers.part_of(gatherer, stream, upto, anew, printer)


def _public(pair: str) -> tuple[str, bytes]:
    person, sign, file = pair.partition("=")
    if not sign or not person or "," in person:
        raise SettingError(f"写作 write it as PERSON=FILE: {pair!r}")
    try:
        key = bytes.fromhex(Path(file).read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        raise SettingError(f"{file}: {error}") from error
    if len(key) != 32:
        raise SettingError(f"{file}: 不是公钥 not a public key (64 hex digits)")
    return person, key


def _put(file: Path, content: bytes) -> None:
    """Write a file that its owner alone may read."""
    file.unlink(missing_ok=True)
    file.touch(mode=0o600, exist_ok=False)
    file.write_bytes(content)


@click.command("unseal")
@click.argument("sealed", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--to", "file", required=True, type=click.Path(dir_okay=False, path_type=Path), help="写入 the opened file."
)
@consents_option
def unseal_command(sealed: Path, file: Path, consents: tuple[str, ...]) -> None:
    """开启密封件: open a sealed part with the private keys of its two persons, without ledger and network.

    For whoever received it: nothing is recorded here, so enter it in your own register. Where the ledger is, use
    `identity ORDER --consent … --consent …`, which records both persons first.
    """
    agreed = [desk.consent_of(pair) for pair in consents]
    content = sealed.read_bytes()

    async def work() -> Done:
        try:
            closed = material.read(verify.attachments(content))
            made = sealedpart.opened(closed, filing.digest_of(content), agreed)
        except (NoDossier, Unproven) as error:
            raise NoSealedPart(f"{sealed}: {error}") from error
        async with Printer() as printer:
            return await dossiers.printed(made, printer)

    done = desk.run_async(work())
    _put(file, done.pdf)
    click.echo(f"✓ {file}: {done.pages} 页 pages, {filing.digest_of(done.pdf)}")
    click.echo(
        "  未联账本，开启未登记：请记入本单位密封件开启登记 not recorded in any ledger: enter it in your register"
    )


@click.command("keeper")
@click.option(
    "--key", type=click.Path(path_type=Path), required=True, help="私钥文件 where the private key is written."
)
@click.option(
    "--public", type=click.Path(path_type=Path), required=True, help="公钥文件 where the public key is written."
)
def keeper_command(key: Path, public: Path) -> None:
    """保管人密钥: make a pair of keys for one of the two persons of the archives who will open sealed parts there."""
    wiring.make_keeper(key, public)
    click.echo(f"✓ 私钥 private key: {key}（本人保管 theirs alone）; 公钥 public key: {public}")


COMMANDS = (sealed_part_command, unseal_command, keeper_command)
