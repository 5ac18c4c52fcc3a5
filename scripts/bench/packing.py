"""How much memory a packet takes, by the number of its cases: where it is written, looked through, closed, sent and checked.

`python -m scripts.bench.packets --cases N` measures with this. The cases are made up, five events each, and what says so is
real: evidence with its own leaves and signed head, wrappers, catalogues, manifests; both verifiers are content with them. In the
place of each dossier stands one small PDF, the same for all: a dossier is written in parts, and how many pages it has says
nothing of what a packet keeps. The ledger is not asked: from it cases come 32 at a time.
"""

from __future__ import annotations

import ctypes
import gc
import io
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import msgspec
import pikepdf
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api import archiving
from archive import eep, fourfold, inspection, packet
from archive.filing import digest_of
from archive.fonds import Fonds
from archive.items import Happened, Item
from archive.packet import Draft, Given, Plan, Written
from domain import evidence, notes, tree
from domain.evidence import Event, Evidence, Told
from domain.notes import Checkpoint, Note, Policy, Proof
from domain.steps.filing import Volume

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
FONDS = Fonds(name="某市政务服务热线中心", code="X043", archives="某市档案馆", archives_code="452001")
LEDGER = str(UUID(int=1))
ORIGIN = notes.origin_of(LEDGER, "sha256")
POLICY = Policy(notes.log_key(ORIGIN, KEY), (), 0)
AT = datetime(2026, 1, 5, 1, 2, 3, tzinfo=UTC)
RECORDED = "2026-01-05T01:02:03.000Z"
TOPICS = ("order.order_registered", "order.order_supplemented", "order.order_refused", "order.order_archived",
          "order.dossier_rendered")  # fmt: skip
SALT = "ab" * 16


class Step(msgspec.Struct, frozen=True):
    """One step of one packet: seconds, and the most memory that the process had in it (MB)."""

    name: str
    seconds: float
    peak: float


class Measured(msgspec.Struct):
    """A packet of so many cases: what the process had before, and each step."""

    cases: int
    before: float
    steps: list[Step]
    bytes: int = 0
    files: int = 0
    findings: int = 0


def _memory(name: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def _set_back() -> None:
    """Give back what is free, and begin to look for the most anew."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _pdf() -> bytes:
    out = io.BytesIO()
    with pikepdf.new() as pdf:
        pdf.add_blank_page()
        pdf.Root.Metadata = pdf.make_stream(b'<x pdfaid:part="3"/>')
        pdf.save(out, deterministic_id=True, fix_metadata_version=False)
    return out.getvalue()


class Cases:
    """Cases that are made up, one after the other; nothing of them is kept."""

    def __init__(self, count: int) -> None:
        self.pdf = _pdf()
        self.plan = Plan(
            name=packet.name_of(FONDS, "2026", "D10", 1, count), fonds=FONDS, ledger=LEDGER, hash="sha256",
            head=count * len(TOPICS), root="00" * 32, note="", year="2026", period="D10", first=1, last=count,
            made_at=AT, made_by="bench",
        )  # fmt: skip

    def add(self, draft: Draft, no: int) -> None:
        """Write a case."""
        number = f"2026-D10-{no:04d}"
        item = Item(
            stream=f"order:{UUID(int=no)}", number=FONDS.reference(number), file_number=number,
            order_number=f"MS2026{no:08d}", title=f"路灯不亮{no}", responsible="某市政务服务热线中心", registered=AT, closed=AT,
            closure="不予受理", demand="求助", category="市政设施/照明", district="东渠区", secrecy="", control="公开",
            dossier=(Volume(digest=digest_of(self.pdf), pages=1),),
        )  # fmt: skip
        found, leaves, note = self._evidence(item, no)
        said = msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"
        given = [
            Given(f"{item.number}.pdf", "卷宗（归档件）", "application/pdf", [self.pdf], digest_of(self.pdf)),
            Given(f"{item.number}.evidence.json", "事件原始记录与证明", "application/json", [said]),
            Given(packet.PROOF, "存在证明", "text/plain", [found.proof.encode()]),
        ]
        acts = [
            Happened(version=e.version, who="li", unit="HOTLINE", role="受理员", what="诉求登记", at=AT, basis="",
                     topic=e.topic, position=e.position, leaf=f"sha256:{leaf.hex()}")
            for e, leaf in zip(found.events, leaves, strict=True)
        ]  # fmt: skip

        def wrap(files: object) -> bytes:
            assert isinstance(files, list)
            documents = [_document(one, file) for one, file in zip(given, files, strict=True)]
            return eep.wrapper(
                item, FONDS, documents, acts, note, made_at=AT, software=packet.SOFTWARE, names={"HOTLINE": "热线中心"}
            )

        draft.add(no, item, given, wrap)

    def _evidence(self, item: Item, no: int) -> tuple[Evidence, list[bytes], Note]:
        first = (no - 1) * len(TOPICS) + 1
        states = [f'{{"title":"{item.title}"}}', '{"items":["照片"]}', '{"reason":"litigation"}', '{"keep":"dossier"}',
                  f'{{"digest":"{item.dossier[0].digest}","edition":"full","pages":1}}']  # fmt: skip
        events = tuple(
            Event(
                position=first + n, version=n + 1, topic=topic, recorded_at=RECORDED, occurred_at="-",
                record=Told(salt=SALT, text=_commit(first + n, no if n == 3 else 0)), state=Told(salt=SALT, text=state),
            )
            for n, (topic, state) in enumerate(zip(TOPICS, states, strict=True))
        )  # fmt: skip
        bare = Evidence(form=evidence.FORM, ledger=LEDGER, hash="sha256", stream=item.stream, events=events, proof="")
        leaves = evidence.leaves_of(bare)
        index, size = events[-1].position - 1, self.plan.head
        path = tuple(bytes([n]) * 32 for n, _ in enumerate(tree.inclusion(index, size)))
        root = tree.included("sha256", leaves[-1], index, size, path)
        assert root is not None
        note = notes.signed(Checkpoint(ORIGIN, size, root), KEY)
        return msgspec.structs.replace(bare, proof=str(Proof(index, path, note))), leaves, note


def _commit(position: int, number: int) -> str:
    numbers = {"file/D10-2026": [number]} if number else {}
    said = {"first_position": position, "n": 1, "recorded_at": RECORDED, "numbers": numbers, "actor": {"user": "li"}}
    return msgspec.json.encode(said).decode()


def _document(one: Given, file: Written) -> eep.Document:
    return eep.Document(
        name=one.name, title=one.title, format=one.format, digest=f"sha256:{file.digest}", size=file.size
    )


def measured(count: int, folder: Path, *, alone: Callable[[Path], int] | None) -> Measured:
    """Make a packet of so many cases, and do with it what is done with one.

    `alone` is the verifier that goes with it; without it nothing is checked, which takes ten times as long as the rest.
    """
    cases = Cases(count)
    draft = Draft(folder / cases.plan.name, cases.plan)
    _set_back()
    done = Measured(count, _memory("VmRSS"), [])

    def step(name: str, work: Callable[[], object]) -> object:
        _set_back()
        began = time.monotonic()
        came = work()
        done.steps.append(Step(name, time.monotonic() - began, _memory("VmHWM")))
        return came

    def written() -> None:
        for no in range(1, count + 1):
            cases.add(draft, no)

    def examined() -> fourfold.Report:
        rows = (line.row for line in draft.lines() if line.row)
        return fourfold.examine(
            draft.root, POLICY, rows, packet=cases.plan.name, stage=fourfold.Stage.ARCHIVING, at=AT, range_of=(1, count)
        )

    def sent() -> int:
        return sum(map(len, archiving.zipped(place)))

    def checked() -> inspection.Inspected:
        return inspection.inspect(place, POLICY)

    step("write the cases", written)
    step("tell how far it is", lambda: packet.standing(draft.target))
    total = step("count", draft.total)
    assert isinstance(total, packet.Total)
    if alone is not None:
        report = step("four-property check", examined)
        assert isinstance(report, fourfold.Report)
        assert report.outcome is fourfold.Outcome.PASSED, [one.name for one in report.items if one.failed]
    place = draft.target
    step("manifest and catalogues", lambda: draft.finish([(packet.VERIFIER, b"")], packet.readme(cases.plan, total)))
    done.bytes, done.files = total.bytes, total.files
    step("send as ZIP", sent)
    if alone is None:
        return done
    found = step("huiyin verify", checked)
    assert isinstance(found, inspection.Inspected)
    said = step("verify_standalone", partial(alone, place))
    assert isinstance(said, int)
    done.findings = len(found.findings) + said
    return done


def cleared() -> None:
    """Let this process write without waiting for the disk: how long that takes is not what is measured."""
    os.fsync = lambda _: None
