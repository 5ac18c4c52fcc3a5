"""密封件: who an informant is, in a file of its own that two persons open together, and nowhere else."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pikepdf
import pytest

from archive import material, sealedpart, verify
from archive.material import NoDossier
from domain.refusals import TwoPersonsNeeded, WrongKey
from domain.sealing import Consent
from domain.terms import SHANGHAI
from scripts import embedded
from tests.archive import profile
from tests.archive.test_filing import AGENT, AS, TOWN, found, histories
from tests.test_cli import Deployment, registered, write_script

NAME, PHONE, PLACE = "龚𠮷甲", "000-7777-2025", "梧桐里九号信箱"
"""Who the informant is: all of it invented."""

ARCHIVIST = {"user": "hotline-archivist", "role": "archivist", "unit": "HOTLINE"}
NOWHERE = {"HUIYIN_DATABASE_URL": "postgresql://127.0.0.1:1/none"}


class Filed(NamedTuple):
    """A city with one informant's case, filed, in a packet."""

    town: Deployment
    number: str
    policy: Path
    keys: tuple[Path, Path]
    packet: Path

    @property
    def case(self) -> Path:
        (folder,) = (path for path in (self.packet / "data").iterdir() if path.is_dir())
        return folder

    @property
    def part(self) -> Path:
        return self.case / f"{self.case.name}-密封件.pdf"

    @property
    def both(self) -> tuple[str, ...]:
        return ("--consent", f"li={self.keys[0]}", "--consent", f"wang={self.keys[1]}")

    @property
    def consents(self) -> list[Consent]:
        read = [bytes.fromhex(path.read_text(encoding="ascii").strip()) for path in self.keys]
        return [Consent("li", read[0]), Consent("wang", read[1])]


@pytest.fixture(scope="module")
def filed(postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Filed:
    folder = tmp_path_factory.mktemp("informed")
    keys = (folder / "li.key", folder / "wang.key")

    def appointed(town: Deployment) -> None:
        for person, key in zip(("li", "wang"), keys, strict=True):
            town.ok("appoint", person, "--key", str(key), *TOWN)

    town = found(postgres, folder, *_report(), before=appointed)
    assert town.ok("archive", "run", *TOWN, "--json").data["copies"] == 1
    policy = folder / "policy"
    policy.write_text(town.ok("head", "--policy", *TOWN).out, encoding="utf-8")
    made = town.ok("archive", "packet", "2026-D10", *AS, *TOWN, "--to", str(folder / "out"), "--json").data
    ((number, _),) = histories(town).items()
    return Filed(town, number, policy, keys, Path(made["folder"]))


def _report() -> list[dict[str, Any]]:
    who = {"kind": "person", "name": NAME, "phone": PHONE, "contact": PLACE}
    said = {"attributes": {"demand_type": "report"}, "confidentiality": "informant", "applicant": who}
    refuse = {"type": "refuse", "reason": "litigation", "medium": "phone", "words": "已由法院受理。"}
    return [
        registered("R", "2026-03-04 09:00", title="某单位违规收费", content="某单位违规收费，请查处。", **said),
        {"order": "R", "at": "2026-03-04 10:00", "by": AGENT,
         "command": {**refuse, "informed_at": "2026-03-04T10:00:00+08:00"}},
        {"order": "R", "at": "2026-03-05 09:00", "by": ARCHIVIST,
         "command": {"type": "archive", "verified_to": "@head"}},
    ]  # fmt: skip


def everything(path: Path) -> Iterator[bytes]:
    """Yield all that is in a file: its bytes, and of a PDF every stream, every embedded file and the words of its pages."""
    content = path.read_bytes()
    yield content
    if not verify.is_pdf(content):
        return
    yield "".join(profile.laid_out(content)).encode()
    with pikepdf.open(io.BytesIO(content)) as pdf:
        for one in pdf.objects:
            if isinstance(one, pikepdf.Stream):
                try:
                    yield one.read_bytes()
                except (pikepdf.PdfError, zlib.error):
                    yield one.read_raw_bytes()
    yield from verify.attachments(content).values()


def traces(path: Path) -> list[str]:
    """Return what of who the informant is stands anywhere in a file."""
    shapes = [
        shape
        for word in (NAME, PHONE, PLACE)
        for shape in (word.encode(), word.encode("utf-16-be"), ascii(word)[1:-1].encode())
    ]
    return [f"{path.name}: {shape!r}" for part in everything(path) for shape in shapes if shape in part]


def looks(filed: Filed) -> list[dict[str, Any]]:
    """What the access journal of today says, each with who looked."""
    rows = filed.town.ok("history", filed.number, *TOWN, "--json").data
    log = filed.town.ok("history", "access:" + _day(rows[-1]["recorded_at"]), *TOWN, "--json").data
    return [{**entry["event"], "by": entry["actor"]["user"]} for entry in log]


def _day(instant: str) -> str:
    return f"{datetime.fromisoformat(instant).astimezone(SHANGHAI):%Y-%m-%d}"


def sha(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def test_no_file_of_a_packet_has_a_trace_of_who_the_informant_is(filed: Filed):
    files = [path for path in filed.packet.rglob("*") if path.is_file()]
    assert {path.name.removeprefix(filed.case.name) for path in files if path.parent == filed.case} == {
        ".pdf", "-密封件.pdf", ".eep.xml", ".evidence.json", "ledger.tlog-proof",
    }  # fmt: skip
    assert [trace for path in files for trace in traces(path)] == []
    copy = filed.case / f"{filed.case.name}.pdf"
    said = "".join(profile.pages(copy.read_bytes()))
    assert "某单位违规收费，请查处。" in said, "what was said is the handlers' to read"
    assert "举报人身份信息另行密封" in said
    assert f"{filed.case.name}-密封件" in said
    assert sha(filed.part) in said, "the record copy names the sealed part by its digest"
    assert material.CLOSED not in verify.attachments(copy.read_bytes()), "the shares lie in the sealed part alone"
    profile.fit(filed.part.read_bytes())
    closed = "".join(profile.pages(filed.part.read_bytes()))
    for word in ("密封件（未开启）", "li、wang", "（密文）"):
        assert word in closed, word


def test_two_persons_open_it_and_the_journal_names_both_and_of_one_alone_the_attempt(filed: Filed, tmp_path: Path):
    file = tmp_path / "opened.pdf"
    words = ("identity", filed.number, "--to", str(file), "--purpose", "investigation", *AS, *TOWN)
    one = ("--consent", f"li={filed.keys[0]}")
    assert "two-persons-needed" in filed.town.refused(*words, *one)
    assert "wrong-key" in filed.town.refused(*words, *one, "--consent", f"wang={filed.keys[0]}"), "one person twice"
    assert "PERSON=FILE" in filed.town.refused(*words, "--consent", "li")
    assert not file.exists()
    told = filed.town.ok(*words, *filed.both, "--json").data
    assert (told["edition"], told["recorded"]) == ("identity", True)
    assert file.stat().st_mode & 0o777 == 0o600
    profile.fit(file.read_bytes())
    said = "".join(profile.pages(file.read_bytes()))
    for word in (NAME, PHONE, PLACE, "已由两名保管人共同开启", "li、wang"):
        assert word in said, word
    assert "某单位违规收费，请查处。" not in said, "who it was and nothing else"
    opened = [look for look in looks(filed) if look["fields"] == ["identity"]]
    assert [(look["together"], look["by"], look["purpose"]) for look in opened] == [
        (["li"], "archivist", "investigation"),
        (["li", "wang"], "archivist", "investigation"),
        (["li", "wang"], "archivist", "investigation"),
    ]
    filed.town.ok("verify", str(file), "--policy", str(filed.policy), **NOWHERE)
    assert "li" not in filed.town.refused(
        "identity", filed.number, "--to", str(file), "--as", "a/agent@HOTLINE", *filed.both, *TOWN
    )


def test_whoever_received_it_opens_it_without_ledger_or_network_and_both_files_prove_themselves(
    filed: Filed, tmp_path: Path
):
    file = tmp_path / "opened.pdf"
    said = filed.town.ok("unseal", str(filed.part), "--to", str(file), *filed.both, **NOWHERE).out
    assert "请记入本单位密封件开启登记" in said
    assert NAME in "".join(profile.pages(file.read_bytes()))
    assert sha(filed.part) in "".join(profile.pages(file.read_bytes())), "it says which closed file it was"
    for one, word in ((filed.part, "密封件 sealed part"), (file, "密封件（已开启）")):
        out = filed.town.ok("verify", str(one), "--policy", str(filed.policy), **NOWHERE).out
        assert "与本文件逐字节相同" in out
        assert word in out
    refused = filed.town.refused("unseal", str(filed.part), "--to", str(file), *filed.both[:2])
    assert "two-persons-needed" in refused
    copy = filed.case / f"{filed.case.name}.pdf"
    assert "no-sealed-part" in filed.town.refused("unseal", str(copy), "--to", str(file), *filed.both)


def test_whatever_is_changed_of_it_is_found_and_does_not_open(filed: Filed, tmp_path: Path):
    closed = material.read(verify.attachments(filed.part.read_bytes()))
    row = closed.closed[0]
    for at in (0, 40, 90, 159):
        changed = row._replace(wrapped=row.wrapped[:at] + bytes([row.wrapped[at] ^ 1]) + row.wrapped[at + 1 :])
        with pytest.raises(WrongKey):
            sealedpart.opened(msgspec.structs.replace(closed, closed=(changed,)), "", filed.consents)
    with pytest.raises(TwoPersonsNeeded):
        sealedpart.opened(closed, "", filed.consents[:1])
    with pytest.raises(NoDossier):
        sealedpart.opened(msgspec.structs.replace(closed, closed=()), "", filed.consents)
    opened = sealedpart.opened(closed, "", filed.consents)
    assert [one.text for one in sealedpart.hidden(opened)] == [NAME, PHONE, PLACE]
    root = Path(shutil.copytree(filed.packet, tmp_path / filed.packet.name))
    (part,) = root.glob("data/*/*-密封件.pdf")
    assert both_hold(filed, root)
    part.write_bytes(part.read_bytes()[:-1] + b" ")
    assert not both_hold(filed, root)
    part.unlink()
    assert not both_hold(filed, root)


def both_hold(filed: Filed, root: Path) -> bool:
    """Tell whether a packet holds for both verifiers, which are of one mind; where not, both name the sealed part."""
    ours = filed.town.run("verify", str(root), "--policy", str(filed.policy), **NOWHERE)
    words = [sys.executable, "-I", "-S", str(root / "data" / "verify_standalone.py"), str(root)]
    alone = subprocess.run([*words, "--policy", str(filed.policy)], check=False, capture_output=True, text=True, env={})
    assert ours.code == alone.returncode, (ours, alone)
    for said in (ours.out, alone.stdout) if ours.code else ():
        assert "-密封件.pdf" in said
    return ours.code == 0


def test_handed_over_with_its_packet_the_case_names_the_part_that_went_along(filed: Filed):
    part = sha(filed.part)
    handed = filed.town.ok("archive", "handover", str(filed.packet), *AS, *TOWN, "--json").data
    today = filed.town.ok("show", filed.number, *TOWN, "--json").data["seen_at"][:10]
    receipt = (
        "archive",
        "receipt",
        str(filed.packet),
        "--receipt",
        "接字7号",
        "--received-by",
        "接收科",
        "--on",
        today,
    )
    done = filed.town.ok(*receipt, "--cases", "1", *AS, *TOWN, "--json").data
    assert (done["done"], done["failed"]) == (1, [])
    history = filed.town.ok("history", filed.number, *TOWN, "--json").data
    (moved,) = [e["event"] for e in history if e["event"]["type"] == "order.archive_transferred"]
    assert f"batch:{moved['handover']}" == handed["stream"]
    parts = [e["event"]["digest"] for e in history if e["event"].get("edition") == "sealed"]
    assert moved["sealed_part"] == part == parts[-1]


def test_for_the_archives_it_is_closed_anew_and_opens_with_the_keys_of_their_two_alone(filed: Filed, tmp_path: Path):
    theirs = {}
    for person in ("zhao", "qian"):
        key, public = tmp_path / f"{person}.key", tmp_path / f"{person}.pub"
        filed.town.ok("keeper", "--key", str(key), "--public", str(public))
        theirs[person] = (key, public)
        assert "exists" in filed.town.refused("keeper", "--key", str(key), "--public", str(public))
    file, opened = tmp_path / "theirs.pdf", tmp_path / "opened.pdf"
    words = ("identity", filed.number, "--to", str(file), "--purpose", "archive_transfer", *AS, *TOWN)
    receivers = [word for person, (_, public) in theirs.items() for word in ("--receiver", f"{person}={public}")]
    assert "两名不同的接收人" in filed.town.refused(*words, *filed.both, *receivers[:2])
    assert "两名不同的接收人" in filed.town.refused(*words, *receivers)
    assert "PERSON=FILE" in filed.town.refused(*words, *filed.both, *receivers[:3], "x")
    assert "not a public key" in filed.town.refused(
        *words, *filed.both, *receivers[:2], "--receiver", f"x={_written(tmp_path / 'x', '00')}"
    )
    told = filed.town.ok(*words, *filed.both, *receivers, "--json").data
    assert (told["edition"], told["recorded"]) == ("sealed", True)
    assert traces(file) == []
    assert "two-persons-needed" in filed.town.refused("unseal", str(file), "--to", str(opened), *filed.both)
    own = [word for person, (key, _) in theirs.items() for word in ("--consent", f"{person}={key}")]
    filed.town.ok("unseal", str(file), "--to", str(opened), *own, **NOWHERE)
    assert NAME in "".join(profile.pages(opened.read_bytes()))
    event = filed.town.ok("history", filed.number, *TOWN, "--json").data[-1]["event"]
    assert (event["edition"], event["digest"]) == ("sealed", sha(file)), "the next packet takes this one along"


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="ascii")
    return path


def test_of_a_case_that_two_persons_hold_nothing_of_there_is_no_sealed_part(filed: Filed, tmp_path: Path):
    filed.town.ok("import", str(write_script(tmp_path / "p.jsonl", registered("P", "2026-03-05 09:00"))), *TOWN)
    (number,) = [one for one in histories(filed.town) if one != filed.number]
    for consents in ((), filed.both):
        said = filed.town.refused("identity", number, "--to", str(tmp_path / "x.pdf"), *consents, *AS, *TOWN)
        assert "nothing-for-two" in said
