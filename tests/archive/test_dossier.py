"""卷宗: a case as one file, the same in every process, with all that proves it inside, and found changed wherever it was."""

from __future__ import annotations

import asyncio
import io
import json
import random
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pikepdf
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from archive import filing, material, verify
from archive.contents import PLACED
from archive.material import Material, NoDossier
from archive.verify import Answer
from domain import notes, order
from domain.evidence import Unproven
from domain.notes import Policy, policy_from
from scripts import dossiers, embedded
from tests.archive import profile, tangled
from tests.test_cases import CASES
from tests.test_cli import Deployment, deploy

ARCHIVIST = ("--as", "archivist/archivist@HOTLINE")
TOWN = ("--city", "chengdu")


@pytest.fixture(scope="module")
def town(postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """A city with the cases that walk one rule text, filed and open."""
    made = deploy(postgres, tmp_path_factory.mktemp("dossiers"))
    made.ok("init", "chengdu", "--policy", "S1", "--parent", "SC-2025", "--name", "某市", "--code", "MS")
    made.ok("import", str(CASES / "s1.jsonl"), *TOWN)
    return made


def orders(town: Deployment) -> dict[str, str]:
    """Orders by their titles."""
    rows = town.ok("list", *TOWN, "--json", "--limit", "1000").data["rows"]
    return {row["title"]: row["number"] for row in rows}


def made(town: Deployment, title: str, folder: Path, *words: str) -> tuple[bytes, dict[str, Any]]:
    file = folder / "dossier.pdf"
    told = town.ok("dossier", orders(town)[title], "--to", str(file), *words, *TOWN, "--json").data
    return file.read_bytes(), told


CASE = "河堤护栏破损无人管护"
"""The case of the town whose files are made once, and looked at from all sides."""


class Editions(NamedTuple):
    """The files of that case by their editions, each with what making it said, and where it lies."""

    files: dict[str, tuple[bytes, dict[str, Any]]]
    folder: Path


@pytest.fixture(scope="module")
def editions(town: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Editions:
    folder = tmp_path_factory.mktemp("editions")
    files = {}
    for edition in ("full", "texts", "masked"):
        words = () if edition == "masked" else ("--edition", edition, *ARCHIVIST)
        files[edition] = made(town, CASE, folder, *words)
        (folder / f"{edition}.pdf").write_bytes(files[edition][0])
    return Editions(files, folder)


def policy(town: Deployment) -> Policy:
    return policy_from(town.ok("head", "--policy", *TOWN).out)


def checked(content: bytes, trust: Policy, again: bytes | None = None, digest: str | None = None) -> verify.Verdict:
    """Check a file; `again`: what making it anew comes to, where that is known already."""

    async def work() -> verify.Verdict:
        async def known(_: Material) -> bytes:
            assert again is not None
            return again

        async with dossiers.Printer() as printer:
            return await verify.verify(content, trust, dossiers.remaking(printer) if again is None else known, digest)

    return asyncio.run(work())


def test_every_event_of_a_case_has_its_place_in_the_file():
    assert set(PLACED) == set(order.EVENTS)


@pytest.mark.parametrize("edition", ["full", "masked"])
def test_a_validator_that_nobody_here_wrote_finds_both_profiles_kept(editions: Editions, edition: str):
    profile.judged(editions.files[edition][0])


def test_a_file_is_fit_for_the_archives_and_says_where_each_of_its_parts_begins(editions: Editions):
    content, told = editions.files["full"]
    profile.fit(content)
    found = profile.pages(content)
    assert len(found) == told["pages"]
    cover, _, *rest = found
    for word in (
        "全宗号",
        "保管期限",
        "卷宗",
        "［关于“河堤护栏破损无人管护”的热线办理卷］",
        f"{told['pages']}页",
        "归档件",
    ):
        assert word in cover
    rows = re.findall(r"(\S+)\s+2025\d{4}\s+(\d+)$", profile.laid_out(content)[1], re.MULTILINE)
    assert len(rows) == 15
    for title, page in rows:
        assert title[:3] in found[int(page) - 1], (title, page)  # papers stand before their sheet, under their own name
    for number, page in enumerate(found, 1):
        assert f"第{number}页·共{len(found)}页" in page
    text = "".join(rest)
    for word in ("护栏破损半年", "丙某", "000-1000003", "护栏由施工单位在质保期内维修", "签发：", "不证明所记事实属实"):
        assert word in text
    assert "�" not in text
    with pikepdf.open(io.BytesIO(content)) as pdf, pdf.open_outline() as outline:
        titles = [item.title for item in outline.root]
    assert "卷内目录" in titles
    assert "卷内备考表" in titles


def test_the_same_case_at_the_same_version_gives_the_same_bytes_and_is_recorded_once(
    town: Deployment, editions: Editions, tmp_path: Path
):
    first, told = editions.files["full"]
    assert told["recorded"]
    words = ("--edition", "full", *ARCHIVIST, *TOWN, "--json")
    ran = town.spawn("dossier", orders(town)[CASE], "--to", str(tmp_path / "2.pdf"), *words)
    assert ran.code == 0, ran
    assert (tmp_path / "2.pdf").read_bytes() == first
    history = town.ok("history", orders(town)[CASE], *TOWN, "--json").data
    own = [e["event"] for e in history if e["event"].get("digest") == told["digest"]]
    assert [(e["pages"], e["edition"], e["upto"]) for e in own] == [(told["pages"], "full", told["version"])]
    assert own[0]["fonts"]
    masked, other = editions.files["masked"]
    assert not other["recorded"]
    assert masked != first


def test_only_an_archivist_opens_what_is_sealed_and_a_masked_copy_shows_nothing_of_it(
    town: Deployment, editions: Editions, tmp_path: Path
):
    for words in ((), ("--as", "a/agent@HOTLINE")):
        asked = ("--to", str(tmp_path / "x.pdf"), "--edition", "full", *words, *TOWN)
        assert "档案员" in town.refused("dossier", orders(town)[CASE], *asked)
    content, _ = editions.files["masked"]
    inside = verify.attachments(content)
    assert material.KEYS not in inside
    everything = "".join(profile.pages(content)) + "".join(part.decode() for part in inside.values())
    for word in ("护栏破损半年", "丙某", "000-1000003"):
        assert word not in everything
    shown = "".join(profile.pages(editions.files["texts"][0]))
    assert "护栏破损半年" in shown
    assert "丙某" not in shown
    assert "000-1000003" not in shown
    log = town.ok("history", "access:" + _today(town), *TOWN, "--json").data
    assert {tuple(e["event"]["fields"]) for e in log} >= {("*",), ("texts",)}


def _today(town: Deployment) -> str:
    rows = town.ok("history", "institution", *TOWN, "--json").data
    return rows[-1]["recorded_at"][:10]


@pytest.mark.parametrize("edition", ["full", "texts", "masked"])
def test_every_edition_holds_offline_for_whoever_trusts_the_key(
    town: Deployment, editions: Editions, tmp_path: Path, edition: str
):
    file = editions.folder / f"{edition}.pdf"
    trust = tmp_path / "policy"
    trust.write_text(town.ok("head", "--policy", *TOWN).out, encoding="utf-8")
    nowhere = {"HUIYIN_DATABASE_URL": "postgresql://127.0.0.1:1/none", "HUIYIN_HOME": str(tmp_path / "none")}
    said = town.ok("verify", str(file), "--policy", str(trust), **nowhere)
    assert "与本文件逐字节相同" in said.out
    assert "不证明其后未再发生他事" in said.out
    other = tmp_path / "other"
    other.write_text(_another_key(trust.read_text(encoding="utf-8")), encoding="utf-8")
    ran = town.run("verify", str(file), "--policy", str(other), "--json", **nowhere)
    assert ran.code == 1
    assert [one["answer"] for one in ran.data[0]["findings"]] == ["holds", "fails", "fails"]


def _another_key(text: str) -> str:
    name = notes.policy_from(text).log.name
    return notes.policy_text(Policy(notes.log_key(name, Ed25519PrivateKey.generate())))


def test_any_changed_byte_of_a_file_is_found(town: Deployment, editions: Editions):
    content, told = editions.files["full"]
    trust, chance = policy(town), random.Random(8)
    assert checked(content, trust, content, told["digest"]).holds
    for _ in range(250):
        at, bit = chance.randrange(len(content)), 1 << chance.randrange(8)
        changed = content[:at] + bytes((content[at] ^ bit,)) + content[at + 1 :]
        assert checked(changed, trust, content).fails, (at, bit)
    for changed in (content[:-1], content + b"\n", content[: len(content) // 2], b"%PDF-1.7\n", content[:40] + content):
        assert checked(changed, trust, content).fails
    assert checked(content[:-1] + b" ", trust, content, told["digest"]).findings[0].answer is Answer.FAILS


def test_pages_that_say_other_than_the_events_are_found(town: Deployment, editions: Editions):
    content, _ = editions.files["masked"]
    with pikepdf.open(io.BytesIO(content)) as pdf:
        pdf.pages[2].Contents = pdf.pages[0].Contents
        out = io.BytesIO()
        pdf.save(out)
    verdict = checked(out.getvalue(), policy(town))
    assert verdict.fails
    assert "页面被改动" in verdict.findings[-1].zh


@pytest.mark.parametrize(
    ("edition", "told", "about", "answer"),
    [
        ("masked", {"last": 3}, "extent", Answer.FAILS),
        ("masked", {"volume": 2, "volumes": 2, "first": 14, "last": 15}, "extent", Answer.FAILS),
        ("full", {}, "keys", Answer.OPEN),
    ],
)
def test_whoever_makes_a_file_anew_can_neither_leave_events_out_nor_call_them_destroyed(
    town: Deployment, editions: Editions, edition: str, told: dict[str, Any], about: str, answer: Answer
):
    held = material.read(verify.attachments(editions.files["masked"][0]))
    forged = msgspec.structs.replace(held, told=msgspec.structs.replace(held.told, edition=edition, **told))

    async def work() -> bytes:
        async with dossiers.Printer() as printer:
            return (await dossiers.printed(forged, printer)).pdf

    content, trust = asyncio.run(work()), policy(town)
    verdict, named = checked(content, trust, content), checked(content, trust, content, filing.digest_of(content))
    assert {one.about: one.answer for one in verdict.findings}[about] is answer
    assert not verdict.holds
    assert {one.about: one.answer for one in verdict.findings}["pages"] is Answer.HOLDS
    assert named.holds == (answer is Answer.OPEN), "whoever has the digest from the ledger needs no keys"


def _repacked(content: bytes, change: Callable[[pikepdf.Pdf], None], **how: Any) -> bytes:
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(content)) as pdf:
        change(pdf)
        kept = {} if how else {"compress_streams": False, "stream_decode_level": pikepdf.StreamDecodeLevel.none}
        pdf.save(out, **kept, **how)
    return out.getvalue()


def _put(pdf: pikepdf.Pdf, name: str, content: bytes) -> None:
    del pdf.attachments[name]
    pdf.attachments[name] = content


def _nested(pdf: pikepdf.Pdf) -> None:
    files = {name: pdf.attachments[name].get_file().read_bytes() for name in pdf.attachments}
    events, told = (json.loads(files[name]) for name in (material.EVENTS, material.TOLD))
    events["events"][0]["record"]["text"] = '{"x":' + "[" * 100_000 + "]" * 100_000 + "}"
    said = json.dumps(events).encode()
    told["files"][material.EVENTS] = filing.digest_of(said)
    _put(pdf, material.EVENTS, said)
    _put(pdf, material.TOLD, json.dumps(told).encode())


def _bomb(pdf: pikepdf.Pdf) -> None:
    packer = zlib.compressobj(9)
    said = b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
    _put(pdf, material.README, b"")
    pdf.attachments[material.README].get_file().obj.write(said, filter=pikepdf.Name.FlateDecode)


def _hollow(pdf: pikepdf.Pdf) -> None:
    nothing = pikepdf.Dictionary(Type=pikepdf.Name.Filespec)
    pdf.Root.Names.EmbeddedFiles = pikepdf.Dictionary(Names=pikepdf.Array([pikepdf.String("dossier.json"), nothing]))


def test_what_would_break_or_choke_whoever_checks_a_file_is_told_like_anything_else(editions: Editions):
    content, _ = editions.files["masked"]
    trust = Policy(notes.log_key("huiyin/none", Ed25519PrivateKey.generate()))
    locked = _repacked(content, lambda _: None, encryption=pikepdf.Encryption(owner="a", user="b"))
    assert checked(_repacked(content, _nested), trust, content).fails
    for changed in (locked, _repacked(content, _bomb), _repacked(content, _hollow)):
        verdict = checked(changed, trust, content)
        assert [(one.about, one.answer) for one in verdict.findings] == [("parts", Answer.FAILS)]
    assert "134217728" in checked(_repacked(content, _bomb), trust, content).findings[0].zh


def test_a_file_set_elsewhere_is_not_called_unchanged(town: Deployment, editions: Editions):
    content, told = editions.files["masked"]
    trust = policy(town)

    async def other() -> verify.Verdict:
        async def elsewhere(_: Material) -> bytes:
            raise dossiers.SetElsewhere("dossier/0")

        return await verify.verify(content, trust, elsewhere)

    verdict = asyncio.run(other())
    assert not verdict.holds
    assert not verdict.fails
    assert verdict.findings[-1].answer is Answer.OPEN
    named = checked(content, trust, b"", told["digest"])
    assert named.holds, "whoever has the digest from the ledger needs no fonts"


def test_what_is_no_dossier_is_refused_by_what_it_lacks():
    with pytest.raises(NoDossier, match=r"dossier\.json"):
        material.read({})
    with pytest.raises((NoDossier, Unproven)):
        material.read({material.TOLD: json.dumps({"form": "huiyin/dossier/9"}).encode()})


# --- the most tangled case, and whoever uses a file ---------------------------------------------------------------


@pytest.fixture(scope="module")
def tangle(postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """A city with the one case in which everything happened."""
    made = deploy(postgres, tmp_path_factory.mktemp("tangled"))
    made.ok("init", "chengdu", "--policy", "S4", "--name", "某市", "--code", "MS")
    made.ok("import", str(tangled.script(tmp_path_factory.mktemp("script") / "t.jsonl")), *TOWN)
    return made


def test_the_most_tangled_case_is_whole_and_fetches_nothing_that_somebody_planted(tangle: Deployment, tmp_path: Path):
    content, told = made(tangle, "两街交界垃圾堆放", tmp_path, "--edition", "full", *ARCHIVIST)
    profile.fit(content)
    found = profile.pages(content)
    text = "".join(found)
    for word in ("退单申请及审定意见（第2次）", "派单异议及裁定", "会议纪要", "延期告知书", "办理答复及审核意见（第3次）", "重办通知（第2轮）",
                 "督办通知书", "呈批单", "更正记录", "类别环境卫生/垃圾→环境卫生/清运", "现场照片3", "超期完成", "协办意见"):  # fmt: skip
        assert word in text, word
    assert f"{tangled.RARE}某" in text, "rare letters take another font, never a box"
    assert "file:///etc/passwd" in text, "what somebody wrote stays text"
    with pikepdf.open(io.BytesIO(content)) as pdf:
        assert sorted(pdf.attachments) == sorted(verify.attachments(content))
        addresses = [
            str(note.A.URI) for page in pdf.pages for note in page.get("/Annots", []) if "/URI" in note.get("/A", {})
        ]
    assert addresses == []
    assert b"root:" not in content
    for number, page in enumerate(found, 1):
        assert f"第{number}页·共{told['pages']}页" in page
        assert len(page) > 60, f"page {number} is all but empty: {page}"
    rows = re.findall(r"2025\d{4}\s+(\d+)$", "\n".join(profile.laid_out(content)[1:3]), re.MULTILINE)
    assert len(rows) == 35
    assert [int(row) for row in rows] == sorted(int(row) for row in rows)
    assert checked(content, policy(tangle)).holds


def test_a_copy_for_use_bears_its_number_and_for_whom_and_why_it_was_made(town: Deployment, tmp_path: Path):
    words = ("--for", "市人大监察和司法委员会", "--purpose", "committee_review", "--approved-by", "manager")
    content, told = made(town, CASE, tmp_path, "--edition", "texts", *words, *ARCHIVIST)
    second, again = made(town, CASE, tmp_path, *words, *ARCHIVIST)
    assert [told["copy"][-6:], again["copy"][-6:]] == ["000001", "000002"]
    for file, one in ((content, told), (second, again)):
        first = profile.pages(file)[0]
        for word in (f"第{one['copy']}号", "市人大监察和司法委员会", "committee_review", "利用件"):
            assert word in first
        assert "丙某" not in "".join(profile.pages(file)), "nobody's name"
    assert checked(content, policy(town)).holds
    number = orders(town)[CASE]
    kept = [e["event"] for e in town.ok("history", number, *TOWN, "--json").data if "approver" in e["event"]]
    assert [(e["receiver"], e["edition"], e["approver"]) for e in kept] == [
        ("市人大监察和司法委员会", "texts", "manager"),
        ("市人大监察和司法委员会", "masked", "manager"),
    ]
    for wrong in (("--edition", "full"), ("--as", "a/agent@HOTLINE")):
        town.refused("dossier", number, *words, *ARCHIVIST, *wrong, "--to", str(tmp_path / "x.pdf"), *TOWN)
    own = ("--for", "x", "--approved-by", "archivist")
    assert "self-approval" in town.refused("dossier", number, *own, *ARCHIVIST, "--to", str(tmp_path / "x.pdf"), *TOWN)
    assert not (tmp_path / "x.pdf").exists()


def test_a_huge_case_has_volumes_of_which_each_holds_by_itself(
    tangle: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(material, "VOLUME", 9)
    number = orders(tangle)["两街交界垃圾堆放"]
    told = tangle.ok("dossier", number, "--upto", "21", "--to", str(tmp_path / "d.pdf"), *TOWN, "--json").data
    assert [one["volume"] for one in told] == [1, 2, 3]
    monkeypatch.undo()
    seen: list[int] = []
    for one in told:
        content = Path(one["file"]).read_bytes()
        profile.fit(content)
        assert checked(content, policy(tangle)).holds
        text = profile.laid_out(content)
        assert f"第{one['volume']}卷·共3卷" in "".join(text[0].split())
        shown = material.read(verify.attachments(content))
        seen += [entry.version for entry in shown.entries if shown.shows(entry.version)]
        assert len(shown.entries) == 21, "every volume carries every event"
        assert ("办理时限及计算说明" in "".join(text[1].split())) == (one["volume"] == 3)
    assert seen == list(range(1, 22))


def test_no_case_has_a_volume_longer_than_the_limit():
    for events in (1, 149, 150, 151, 300, 301, 4000):
        parts = material.volumes(events)
        assert [first for first, _ in parts] == [1, *(last + 1 for _, last in parts[:-1])]
        assert parts[-1][1] == events
        assert all(last - first < material.VOLUME for first, last in parts)
