"""A city with closed cases, filed or to be filed, in a real ledger with a log, a witness and files: what packets are made of."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from archive.filing import Archivist, Rendered
from archive.fonds import Fonds
from archive.fourfold import Report
from archive.gathering import House, Range, made, planned
from archive.packet import Plan, Total
from domain import notes
from domain.attachments import Files
from domain.ledger import Ledger
from domain.notes import Policy
from domain.steps.registration import Register, Supplement
from domain.steps.triage import Refuse
from domain.terms import (
    SHANGHAI,
    Actor,
    Applicant,
    ApplicantKind,
    Attachment,
    Attributes,
    Channel,
    DemandType,
    Medium,
    RefusalReason,
    Role,
)
from projections.outside import Outside
from projections.transparency import Transparency
from tests.conftest import City
from tests.test_cases import founded, opened

__all__ = ["founded", "opened"]

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
WITNESS = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
AGENT = Actor(user="agent", role=Role.AGENT, unit="HOTLINE")
ARCHIVIST = Actor(user="archivist", role=Role.ARCHIVIST, unit="HOTLINE")
SYSTEM = Actor(user="system", role=Role.SYSTEM)
FONDS = Fonds(name="某市政务服务热线中心", code="X043", archives="某市档案馆", archives_code="452001")
PHOTO = b"\xff\xd8\xff\xe0" + b"the lamp by the river " * 40


class Office(NamedTuple):
    """A city's ledger with all that filing needs."""

    city: City
    ledger: Ledger
    log: Transparency
    files: Files

    @property
    def house(self) -> House:
        return House(self.ledger, self.log, self.files, FONDS)

    @property
    def policy(self) -> Policy:
        assert self.log.key is not None
        return Policy(self.log.key, self.log.witnesses, len(self.log.witnesses))

    async def do(self, act: Any, stream: str, by: Actor = AGENT) -> Any:
        return await self.ledger.execute(act, stream=stream, actor=by, command_id=secrets.token_hex(8))

    async def closed(self, n: int, *, photo: bytes = PHOTO, title: str = "") -> str:
        """Register a demand with a picture, and refuse it: a closed case whose file is complete."""
        act = Register(
            title=title or f"法院执行问题{n}",
            category="司法/执行",
            channel=Channel.PHONE,
            attributes=Attributes(demand_type=DemandType.HELP),
            content="希望尽快执行。",
            applicant=Applicant(kind=ApplicantKind.PERSON, name="甲某", phone=f"000-2025-{n:04d}"),
            duplicates_seen=(),
        )
        receipt = await self.ledger.execute(act, actor=AGENT, command_id=secrets.token_hex(8))
        stream = receipt.stream
        kept, _ = await self.files.keep(stream, await self.ledger.file_key(stream), "image/jpeg", parts(photo))
        await self.do(Supplement(items=("照片",), attachments=(kept,)), stream)
        said = {"reason": RefusalReason.LITIGATION, "medium": Medium.PHONE, "words": "属法院执行程序。"}
        await self.do(Refuse(informed_at=receipt.recorded_at.astimezone(SHANGHAI), **said), stream)
        return stream

    async def filed(self, count: int, make: Any = None, **said: Any) -> list[str]:
        """File so many cases, each with its record copy."""
        streams = [await self.closed(n, **said) for n in range(1, count + 1)]
        archivist = Archivist(self.ledger, self.log, self.files, [make or self.plain], SYSTEM)
        note = await self.log.sign()
        for stream in streams:
            await archivist.file(stream, note)
            await archivist.copy(stream, (await self.ledger.history(stream))[-1].version)
        return streams

    async def plain(self, stream: str, upto: int) -> Rendered:
        """Return what stands for a dossier where nobody looks at it."""
        said = f"%PDF-1.7\n{stream} {upto}\n" * 30 + "%%EOF\n"
        return Rendered(said.encode(), 3, ("sha256:" + "f" * 64,), "plain/1")

    async def head(self) -> notes.Note:
        """Sign a head and have the witness sign it."""
        note = await self.log.sign()
        line = notes.cosigned(note, "npc.example", WITNESS, 1_763_000_000)
        await self.log.cosign(notes.with_signatures(note, [line]))
        return await self.log.head(note.checkpoint.size)

    async def plan(self, period: str = "D10", first: int = 1, last: int = 10_000) -> Plan:
        now = await self.ledger.now()
        wanted = Range(f"{now.astimezone(SHANGHAI).year}", period, first, last)
        return await planned(self.house, wanted, await self.head(), by="archivist", now=now)

    async def packet(self, folder: Path, plan: Plan | None = None, **said: Any) -> Path:
        """Make a packet of all that is filed; return its folder."""
        plan = plan or await self.plan()
        place, _ = await made(self.house, folder / plan.name, plan, ARCHIVIST, form, **said)
        return place


async def form(plan: Plan, total: Total, report: Report) -> list[tuple[str, bytes]]:
    """Return what stands for the forms beside the cases."""
    said = f"%PDF-1.7 {plan.name} {total.items}".encode()
    return [("移交接收登记表.pdf", said), ("四性检测报告.json", msgspec.json.encode(report))]


async def parts(content: bytes) -> AsyncIterator[bytes]:
    yield content


@asynccontextmanager
async def office(city: City, folder: Path) -> AsyncIterator[Office]:
    async with opened(city) as ledger:
        outside = Outside(folder / "heads", ledger.imprint.ledger_id)
        witnesses = [notes.witness_key("npc.example", WITNESS)]
        async with Transparency(
            city.database.app, city.name, ledger.imprint, outside, private=KEY, witnesses=witnesses
        ) as log:
            yield Office(city, ledger, log, Files(folder / "files", ledger.imprint.ledger_id, secrets.token_bytes))


def within(database: Any, folder: Path, work: Callable[[Office], Awaitable[Any]]) -> Any:
    """Found a city and do something in its office."""

    async def run() -> Any:
        async with office(await founded(database, "s4"), folder) as there:
            return await work(there)

    return asyncio.run(run())


def attachment(content: bytes, digest: str) -> Attachment:
    return Attachment(digest=digest, size=len(content), media_type="image/jpeg")
