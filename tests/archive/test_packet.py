"""Packets of filed cases: what is in them, who else can read them, and that both verifiers find whatever was changed."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

import bagit
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from archive.eep import NAMESPACE
from archive.filing import Rendered
from archive.inspection import Inspected, inspect
from archive.items import Item
from archive.packet import SOFTWARE, Done, Draft, Given, PacketExists, Plan
from domain import notes
from domain.notes import Policy
from domain.steps.filing import Volume
from scripts import embedded
from tests.archive.filed import FONDS, PHOTO, Office, within

STANDALONE = Path(__file__).resolve().parents[2] / "archive" / "verify_standalone.py"


class Made(NamedTuple):
    """A packet that was made, and whose heads are believed."""

    root: Path
    policy: Policy
    policy_file: Path
    title: str


@pytest.fixture(scope="module")
def packet(postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A packet of five cases with a picture each."""
    folder = tmp_path_factory.mktemp("packet")

    async def work(there: Office) -> Made:
        await there.filed(5)
        root = await there.packet(folder)
        policy = folder / "policy"
        policy.write_text(notes.policy_text(there.policy), encoding="utf-8")
        return Made(root, there.policy, policy, "法院执行问题1")

    return within(postgres, folder, work)


def standalone(packet: Path, policy: Path) -> dict[str, Any]:
    """Run the verifier that goes with a packet, as a stranger does: with nothing of ours on the path."""
    words = [sys.executable, "-I", "-S", str(STANDALONE), str(packet), "--policy", str(policy), "--json"]
    done = subprocess.run(words, capture_output=True, check=False, env={})
    assert done.returncode in (0, 1), done.stderr.decode()
    told = json.loads(done.stdout)
    assert told["holds"] == (done.returncode == 0)
    return told


def verdict(found: Inspected) -> set[tuple[str, str]]:
    return {(one.what, one.path) for one in found.findings}


def both(made: Made, root: Path) -> set[tuple[str, str]]:
    """Return the verdict of both verifiers, which is one."""
    ours = verdict(inspect(root, made.policy))
    theirs = {(one["what"], one["path"]) for one in standalone(root, made.policy_file)["findings"]}
    assert ours == theirs
    return ours


def copied(made: Made, folder: Path) -> Path:
    return Path(shutil.copytree(made.root, folder / made.root.name))


def files_of(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


# --- what it is --------------------------------------------------------------------------------------------------


def test_a_packet_has_the_parts_that_archives_ask_for_and_both_verifiers_are_content(packet: Made):
    name = packet.root.name
    assert name.startswith("X043-RX·")
    assert name.endswith("-D10-0001_0005")
    items = sorted(path.name for path in (packet.root / "data").iterdir() if path.is_dir())
    assert [one.rpartition("-")[2] for one in items] == ["0001", "0002", "0003", "0004", "0005"]
    assert {path.relative_to(packet.root / "data" / items[0]).as_posix() for path in files_of(packet.root / "data" / items[0])} == {
        f"{items[0]}.pdf", f"{items[0]}.eep.xml", f"{items[0]}.evidence.json", "ledger.tlog-proof", "附件/001_附件.jpg",
    }  # fmt: skip
    assert {path.name for path in (packet.root / "data").iterdir() if path.is_file()} == {
        "说明文件.txt", "归档文件目录.csv", "归档文件目录.xml", "移交接收登记表.pdf", "四性检测报告.json", "verify_standalone.py",
    }  # fmt: skip
    assert (packet.root / "data" / items[0] / "附件" / "001_附件.jpg").read_bytes() == PHOTO
    assert both(packet, packet.root) == set()
    ours = inspect(packet.root, packet.policy)
    theirs = standalone(packet.root, packet.policy_file)
    assert (ours.items, ours.files, ours.events) == (theirs["items"], theirs["files"], theirs["events"]) == (5, 31, 25)
    assert list(ours.witnesses) == ["npc.example"]


def test_a_stranger_takes_it_for_a_bag(packet: Made):
    bag = bagit.Bag(str(packet.root))
    assert bag.validate()
    assert bag.info["Bag-Software-Agent"] == SOFTWARE
    assert bag.info["External-Identifier"] == packet.root.name


def test_the_catalogue_opens_in_a_spreadsheet_and_says_the_same_in_xml(packet: Made):
    said = (packet.root / "data" / "归档文件目录.csv").read_bytes()
    assert said.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(said.decode("utf-8-sig").splitlines()))
    assert rows[0] == ["序号", "档号", "文号", "责任者", "题名", "日期", "密级", "页数", "备注"]
    assert [(row[0], row[4], row[7]) for row in rows[1:]] == [(f"{n}", f"法院执行问题{n}", "3") for n in range(1, 6)]
    tree = ET.fromstring((packet.root / "data" / "归档文件目录.xml").read_bytes())
    assert [[cell.text or "" for cell in row] for row in tree] == rows[1:]


def test_the_wrapper_has_every_event_as_an_act_and_no_personal_data(packet: Made):
    (folder,) = (packet.root / "data").glob("*-0001")
    said = (folder / f"{folder.name}.eep.xml").read_bytes()
    assert "甲某".encode() not in said
    assert b"000-2025" not in said
    tree = ET.fromstring(said)
    acts = [act.text for act in tree.iter(f"{{{NAMESPACE}}}业务行为")]
    assert acts == ["诉求登记", "补充信息", "不予受理", "归档", "卷宗成文"]
    assert [one.text for one in tree.iter(f"{{{NAMESPACE}}}保管期限")] == ["10年"]
    assert [one.text for one in tree.iter(f"{{{NAMESPACE}}}完整档号")] == [folder.name]
    evidence = json.loads((folder / f"{folder.name}.evidence.json").read_bytes())
    assert len(evidence["events"]) == 5
    assert "甲某" not in json.dumps(evidence, ensure_ascii=False)


# --- whatever is changed -----------------------------------------------------------------------------------------


def test_whatever_byte_is_changed_both_find_it_and_say_where(packet: Made, tmp_path: Path):
    root = copied(packet, tmp_path)
    everything = files_of(root)
    chance = random.Random(20261122)
    for turn in range(60):
        path = everything[turn % len(everything)]
        content = path.read_bytes()
        at = chance.randrange(len(content))
        path.write_bytes(content[:at] + bytes([content[at] ^ (1 << chance.randrange(8))]) + content[at + 1 :])
        ours = inspect(root, packet.policy)
        named = {one.path for one in ours.findings} | {one.by for one in ours.findings}
        assert path.relative_to(root).as_posix() in named, (path, at)
        if turn % 6 == 0:
            both(packet, root)
        path.write_bytes(content)
    assert both(packet, root) == set()


# --- whoever forges more than a byte -----------------------------------------------------------------------------


def forged(root: Path) -> None:
    """Write the manifests anew, as whoever forges a packet does."""
    payload = [path for path in files_of(root) if path.is_relative_to(root / "data")]
    lines = [f"{sha(path)}  {path.relative_to(root).as_posix()}\n" for path in payload]
    (root / "manifest-sha256.txt").write_text("".join(lines), encoding="utf-8")
    info = (root / "bag-info.txt").read_text(encoding="utf-8").splitlines()
    total = f"Payload-Oxum: {sum(path.stat().st_size for path in payload)}.{len(payload)}"
    said = [total if line.startswith("Payload-Oxum") else line for line in info]
    (root / "bag-info.txt").write_text("\n".join(said) + "\n", encoding="utf-8")
    names = ("bag-info.txt", "bagit.txt", "manifest-sha256.txt")
    (root / "tagmanifest-sha256.txt").write_text(
        "".join(f"{sha(root / name)}  {name}\n" for name in names), encoding="utf-8"
    )


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rewrapped(folder: Path, name: str, content: bytes) -> None:
    """Change a file of a case, and what its wrapper says of it."""
    path, wrapper = folder / name, folder / f"{folder.name}.eep.xml"
    before = path.read_bytes()
    old, new = (base64.b64encode(hashlib.sha256(one).digest()) for one in (before, content))
    path.write_bytes(content)
    said = wrapper.read_bytes()
    assert old in said
    said = said.replace(old, new)
    wrapper.write_bytes(said.replace(f"大小>{len(before)}<".encode(), f"大小>{len(content)}<".encode()))


def event_changed(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the evidence of a case, and what its wrapper says of that."""
    name = f"{folder.name}.evidence.json"
    found = json.loads((folder / name).read_bytes())
    change(found)
    rewrapped(folder, name, json.dumps(found, ensure_ascii=False, indent=1).encode() + b"\n")


def _state(found: dict[str, Any]) -> None:
    found["events"][0]["state"]["text"] = found["events"][0]["state"]["text"].replace("法院", "检院")


def _salt(found: dict[str, Any]) -> None:
    found["events"][1]["record"]["salt"] = "00" * 16


def _dropped(found: dict[str, Any]) -> None:
    del found["events"][-1]


def _dated(found: dict[str, Any]) -> None:
    found["events"][0]["recorded_at"] = "2020-01-01T00:00:00.000Z"


def _proof(found: dict[str, Any]) -> None:
    lines = found["proof"].split("\n")
    lines[2] = base64.b64encode(bytes(32)).decode()
    found["proof"] = "\n".join(lines)


def _unsigned(found: dict[str, Any]) -> None:
    lines = found["proof"].split("\n")
    signed = next(n for n, line in enumerate(lines) if line.startswith("— huiyin"))
    said = bytearray(base64.b64decode(lines[signed].rpartition(" ")[2]))
    said[20] ^= 1
    lines[signed] = lines[signed].rpartition(" ")[0] + " " + base64.b64encode(said).decode()
    found["proof"] = "\n".join(lines)


def _unwitnessed(found: dict[str, Any]) -> None:
    found["proof"] = "".join(
        line for line in found["proof"].splitlines(keepends=True) if not line.startswith("— npc.example")
    )


EVIDENCE = [(_state, "head"), (_salt, "head"), (_dropped, "head"), (_dated, "evidence"), (_proof, "head"),
            (_unsigned, "head"), (_unwitnessed, "head")]  # fmt: skip


@pytest.mark.parametrize(("change", "what"), EVIDENCE)
def test_forged_events_are_found_though_every_manifest_and_the_wrapper_were_written_anew(
    packet: Made, tmp_path: Path, change: Callable[[dict[str, Any]], None], what: str
):
    root = copied(packet, tmp_path)
    (folder,) = (root / "data").glob("*-0002")
    event_changed(folder, change)
    forged(root)
    found = both(packet, root)
    assert what in {one for one, _ in found}
    assert all(folder.name in path for _, path in found)


def test_a_forged_dossier_file_or_number_is_found_though_all_that_names_it_was_written_anew(
    packet: Made, tmp_path: Path
):
    root = copied(packet, tmp_path)
    first, second, third, fourth, fifth = sorted(path for path in (root / "data").iterdir() if path.is_dir())
    rewrapped(first, f"{first.name}.pdf", b"%PDF-1.7 another dossier\n%%EOF\n")
    rewrapped(second, "附件/001_附件.jpg", PHOTO + b"!")
    (third / "附件" / "001_附件.jpg").unlink()
    (fourth / "ledger.tlog-proof").write_bytes((fifth / "ledger.tlog-proof").read_bytes())
    said = (fifth / f"{fifth.name}.eep.xml").read_bytes()
    (fifth / f"{fifth.name}.eep.xml").write_bytes(
        said.replace("历史行为".encode(), b"").replace("版本 2;".encode(), "版本 3;".encode())
    )
    (root / "data" / "归档文件目录.csv").write_bytes(
        (root / "data" / "归档文件目录.csv").read_bytes().replace("法院".encode(), "检院".encode())
    )
    forged(root)
    assert both(packet, root) == {
        ("dossier", f"data/{first.name}/{first.name}.pdf"),
        ("attachment", f"data/{second.name}/附件/001_附件.jpg"),
        ("attachment", f"data/{second.name}"),
        ("wrapper", f"data/{third.name}/附件/001_附件.jpg"),
        ("attachment", f"data/{third.name}"),
        ("proof", f"data/{fourth.name}/ledger.tlog-proof"),
        ("wrapper", f"data/{fourth.name}/ledger.tlog-proof"),
        ("wrapper", f"data/{fifth.name}/{fifth.name}.eep.xml"),
        ("catalogue", "data/归档文件目录.csv"),
    }


def test_a_case_under_another_number_or_added_or_taken_away_is_found(packet: Made, tmp_path: Path):
    root = copied(packet, tmp_path)
    first, second, *_ = sorted(path for path in (root / "data").iterdir() if path.is_dir())
    other = first.with_name(first.name[:-4] + "0009")
    for path in list(first.iterdir()):
        path.rename(path.with_name(path.name.replace(first.name, other.name)))
    first.rename(other)
    shutil.rmtree(second)
    (root / "data" / "多余").mkdir()
    (root / "data" / "多余" / "x.txt").write_text("x", encoding="utf-8")
    forged(root)
    (root / "beside").write_text("x", encoding="utf-8")
    found = both(packet, root)
    assert ("number", f"data/{other.name}") in found
    assert ("unlisted", "beside") in found
    assert ("catalogue", "data/归档文件目录.xml") in found
    assert ("missing", "data/多余/多余.pdf") in found


def _instead(path: Path, make: Callable[[Path], object]) -> None:
    """Put what is no file where one was; it would be waited for, or read from elsewhere."""
    path.unlink() if path.is_file() else path.rename(path.parent.parent / "elsewhere")
    make(path)


def _evidence(root: Path, before: bytes, after: bytes) -> None:
    (folder,) = (root / "data").glob("*-0002")
    path = folder / f"{folder.name}.evidence.json"
    assert before in path.read_bytes()
    rewrapped(folder, path.name, path.read_bytes().replace(before, after, 1))
    forged(root)


def _written_as(root: Path, name: str, encoding: str, *, folder: bool = False) -> None:
    (path,) = root.glob(f"data/*-0002/*{name}" if folder else f"data/{name}")
    said = path.read_text(encoding="utf-8").replace('"UTF-8"', f'"{encoding}"', 1)
    path.write_bytes(said.encode("utf-16" if encoding == "UTF-16" else "utf-8"))
    forged(root)


def _twice(root: Path) -> None:
    """One case more, which is one that is there already under the code of another fonds."""
    (folder,) = (root / "data").glob("*-0005")
    other = folder.with_name(f"Y{folder.name}")
    shutil.copytree(folder, other)
    for path in other.iterdir():
        path.rename(path.with_name(path.name.replace(folder.name, other.name)))
    wrapper = other / f"{other.name}.eep.xml"
    wrapper.write_bytes(wrapper.read_bytes().replace(folder.name.encode(), other.name.encode()))
    forged(root)


TRICKS: list[tuple[Callable[[Path], None], tuple[str, str]]] = [
    (lambda root: _instead(root / "bag-info.txt", os.mkfifo), ("unlisted", "bag-info.txt")),
    (lambda root: _instead(root / "manifest-sha256.txt", Path.mkdir), ("unlisted", "manifest-sha256.txt")),
    (lambda root: _instead(root / "data", Path.touch), ("unlisted", "data")),
    (lambda root: _instead(root / "data", lambda p: p.symlink_to("../elsewhere")), ("unlisted", "data")),
    (lambda root: _instead(root / "data/归档文件目录.csv", os.mkfifo), ("catalogue", "data/归档文件目录.csv")),
    (lambda root: (root / "data" / "Z").symlink_to("/etc"), ("unlisted", "data/Z")),
    (lambda root: _evidence(root, b'"proof":', b'"x": ' + b"[" * 100_000 + b"]" * 100_000 + b', "proof":'), ("evidence", "-0002.evidence.json")),
    (lambda root: _evidence(root, b'"stream": "', b'"stream": "\\ud800'), ("evidence", "-0002.evidence.json")),
    (lambda root: _evidence(root, b'\\n"\n}', b"\\n" + "— x ".encode() + b"AAAA" * 300_000 + b'\\n"\n}'), ("head", "ledger.tlog-proof")),
    (lambda root: _written_as(root, "归档文件目录.xml", "UTF-16"), ("catalogue", "data/归档文件目录.xml")),
    (lambda root: _written_as(root, "归档文件目录.xml", "none-such"), ("catalogue", "data/归档文件目录.xml")),
    (lambda root: _written_as(root, ".eep.xml", "UTF-16", folder=True), ("wrapper", "-0002.eep.xml")),
    (_twice, ("number", "-0005")),
]  # fmt: skip


@pytest.mark.parametrize("no", range(len(TRICKS)))
def test_what_would_hang_or_break_a_verifier_is_found_like_anything_else(packet: Made, tmp_path: Path, no: int):
    trick, (what, where) = TRICKS[no]
    root = copied(packet, tmp_path)
    trick(root)
    assert any(kind == what and path.endswith(where) for kind, path in both(packet, root))


def test_evidence_says_the_same_to_both_though_it_is_written_otherwise(packet: Made, tmp_path: Path):
    root = copied(packet, tmp_path)
    _evidence(root, b'"salt":', b'"digest": "", "salt":')
    assert both(packet, root) == set()
    info = root / "bag-info.txt"
    info.write_bytes(info.read_bytes().replace(b"Payload-Oxum: ", b"Payload-Oxum: " + b"9" * 5000))
    assert both(packet, root) == {("size", "bag-info.txt"), ("changed", "bag-info.txt")}


@pytest.mark.parametrize("name", ["bagit.txt", "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt"])
def test_what_is_about_the_bag_may_not_be_missing_or_empty(packet: Made, tmp_path: Path, name: str):
    root = copied(packet, tmp_path)
    (root / name).write_bytes(b"")
    assert both(packet, root)
    (root / name).unlink()
    assert ("missing", name) in both(packet, root)


def test_another_policy_believes_nothing_of_it(packet: Made, tmp_path: Path):
    stranger = notes.Key(packet.policy.log.name, packet.policy.log.kind, bytes(31) + b"\x01")
    policies = [packet.policy._replace(log=stranger), packet.policy._replace(witnesses=(), quorum=0)]
    for number, policy in enumerate(policies):
        file = tmp_path / f"{number}"
        file.write_text(notes.policy_text(policy), encoding="utf-8")
        found = both(packet._replace(policy=policy, policy_file=file), packet.root)
        assert {what for what, _ in found} == (set() if number else {"head"})
    without = packet.policy_file.read_text(encoding="utf-8").replace("quorum", "#")
    many = f"{without}quorum {'9' * 5000}\n"
    with pytest.raises(notes.NotANote):
        notes.policy_from(many)
    (tmp_path / "none").write_text(many, encoding="utf-8")
    words = [sys.executable, str(STANDALONE), str(packet.root), "--policy", str(tmp_path / "none")]
    done = subprocess.run(words, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert "信任策略不合格" in done.stderr.decode()


def test_the_verifier_that_goes_with_a_packet_says_in_words_what_it_found(packet: Made, tmp_path: Path):
    inside = packet.root / "data" / "verify_standalone.py"
    assert inside.read_bytes() == STANDALONE.read_bytes()
    words = [sys.executable, "-I", "-S", str(inside), str(packet.root), "--policy", str(packet.policy_file)]
    said = subprocess.run(words, capture_output=True, check=True, env={}).stdout.decode()
    assert "全部相符" in said
    assert "npc.example" in said
    root = copied(packet, tmp_path)
    (root / "data" / "说明文件.txt").write_bytes(b"")
    done = subprocess.run([*words[:4], str(root), *words[5:]], capture_output=True, check=False, env={})
    assert done.returncode == 1
    assert "✗ data/说明文件.txt" in done.stdout.decode()


# --- what the verifier does by itself ----------------------------------------------------------------------------


def test_its_own_signatures_and_hash_are_those_of_the_libraries():
    spec = importlib.util.spec_from_file_location("standalone", STANDALONE)
    assert spec is not None
    assert spec.loader is not None
    alone = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(alone)
    chance = random.Random(8032)
    for size in (0, 1, 55, 56, 63, 64, 65, 200):
        message = chance.randbytes(size)
        assert alone.sm3(message) == hashlib.new("sm3", message).digest()
        private = Ed25519PrivateKey.from_private_bytes(chance.randbytes(32))
        public, signature = private.public_key().public_bytes_raw(), private.sign(message)
        assert alone.ed25519_holds(public, signature, message)
        at = chance.randrange(64)
        other = signature[:at] + bytes([signature[at] ^ 1 << chance.randrange(8)]) + signature[at + 1 :]
        assert not alone.ed25519_holds(public, other, message)
        assert not alone.ed25519_holds(public, signature, message + b"!")
        beyond = int.from_bytes(signature[32:], "little") + alone.ORDER
        if beyond < 1 << 256:  # the same number said otherwise: RFC 8032 refuses it
            assert not alone.ed25519_holds(public, signature[:32] + beyond.to_bytes(32, "little"), message)
    vector = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")  # RFC 8032, 7.1
    assert alone.ed25519_holds(vector, bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    ), b"")  # fmt: skip


# --- how it is made ----------------------------------------------------------------------------------------------


def test_whoever_was_killed_in_the_middle_goes_on_and_nothing_is_there_twice(
    postgres: embedded.Database, tmp_path: Path
):
    def cut_off(folder: Path, name: str) -> None:
        with (folder / f".{name}.journal").open("ab") as file:
            file.write(b'{"no":6,"numb')  # as far as the disk got
        (half,) = (folder / f".{name}.making" / "data").glob("*-0005")
        half.rename(half.with_name(half.name[:-1] + "6"))  # and one that was begun, of which no line speaks
        shutil.copytree(half.with_name(half.name[:-1] + "6"), half)

    async def work(there: Office) -> Made:
        await there.filed(6)
        plan = await there.plan()

        class Killed(BaseException):
            pass

        seen: list[int] = []

        def told(done: Done) -> None:
            seen.append(done.no)
            if len(seen) in (2, 5):
                raise Killed

        for _ in range(2):
            with pytest.raises(Killed):
                await there.packet(tmp_path, plan, told=told)
        cut_off(tmp_path, plan.name)
        await there.filed(1)  # what came since belongs to the next packet: this one was begun with six
        root = await there.packet(tmp_path, await there.plan(last=6), told=told)
        assert seen == [1, 2, 3, 4, 5, 6]
        with pytest.raises(PacketExists):
            await there.packet(tmp_path, plan)
        policy = tmp_path / "policy"
        policy.write_text(notes.policy_text(there.policy), encoding="utf-8")
        return Made(root, there.policy, policy, "")

    made = within(postgres, tmp_path, work)
    assert both(made, made.root) == set()
    assert inspect(made.root, made.policy).items == 6
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_cannot_be_put_in_is_left_out_and_said(postgres: embedded.Database, tmp_path: Path):
    def spoilt(folder: Path, streams: list[str]) -> None:
        changed = folder / streams[1].partition(":")[2]
        copy = max(changed.iterdir(), key=lambda path: path.stat().st_mtime)
        copy.write_bytes(copy.read_bytes()[:-1])
        gone = folder / streams[2].partition(":")[2] / hashlib.sha256(PHOTO).hexdigest()
        gone.unlink()

    async def work(there: Office) -> Path:
        spoilt(there.files.root, await there.filed(4, title="=1+1 <b>&"))
        await there.closed(9)  # not filed: it has no number
        return await there.packet(tmp_path, None)

    root = within(postgres, tmp_path, work)
    items = sorted(path.name[-4:] for path in (root / "data").iterdir() if path.is_dir())
    said = (root / "data" / "说明文件.txt").read_text(encoding="utf-8")
    assert items == ["0001", "0003", "0004"]
    assert "未入包 1 件" in said
    assert "0002" in said
    (third,) = (root / "data").glob("*-0003")
    assert not (third / "附件").exists()
    assert "不在本系统保存" in (third / f"{third.name}.eep.xml").read_text(encoding="utf-8")
    assert "'=1+1" in (root / "data" / "归档文件目录.csv").read_text(encoding="utf-8-sig")


def test_each_case_that_is_put_in_stands_in_the_journal_also_where_its_files_are_gone(
    postgres: embedded.Database, tmp_path: Path
):
    async def work(there: Office) -> list[list[str]]:
        streams = await there.filed(2)
        shutil.rmtree(there.files.root / streams[1].partition(":")[2])
        await there.packet(tmp_path, None)
        since = (await there.ledger.history(streams[0]))[0].recorded_at
        looks = [await there.ledger.looks_at([stream], since, limit=9) for stream in streams]
        return [[entry.event.purpose for entry in some] for some in looks]

    assert within(postgres, tmp_path, work) == [["archive_packet"]] * 2


def test_every_volume_of_a_case_lies_in_the_packet_and_one_that_is_missing_changed_or_swapped_is_found(
    postgres: embedded.Database, tmp_path: Path
):
    async def work(there: Office) -> Made:
        async def volumes(stream: str, upto: int) -> Rendered:
            made = await there.plain(stream, upto)
            return made._replace(further=tuple((made.pdf + b"%%" + said, 4) for said in (b"2", b"3")))

        await there.filed(1, volumes)
        policy = tmp_path / "policy"
        policy.write_text(notes.policy_text(there.policy), encoding="utf-8")
        return Made(await there.packet(tmp_path), there.policy, policy, "")

    made = within(postgres, tmp_path, work)
    assert both(made, made.root) == set()
    (folder,) = (path for path in (made.root / "data").iterdir() if path.is_dir())
    name = folder.name
    said = (made.root / "data" / "归档文件目录.csv").read_text(encoding="utf-8-sig").splitlines()
    assert said[1].endswith(",11,分 3 卷")
    titles = ET.parse(folder / f"{name}.eep.xml").getroot().iter(f"{{{NAMESPACE}}}题名")
    assert [one.text for one in titles][1:4] == ["卷宗（归档件）", "卷宗（归档件）第2卷", "卷宗（归档件）第3卷"]
    root = copied(made, tmp_path / "without")
    (root / "data" / name / f"{name}-卷2.pdf").unlink()
    forged(root)
    assert ("missing", f"data/{name}/{name}-卷2.pdf") in both(made, root)
    root = copied(made, tmp_path / "swapped")
    second, third = (root / "data" / name / f"{name}-卷{no}.pdf" for no in (2, 3))
    contents = second.read_bytes(), third.read_bytes()
    rewrapped(second.parent, second.name, contents[1] + b" ")
    rewrapped(third.parent, third.name, contents[0] + b" ")
    forged(root)
    assert both(made, root) == {("dossier", f"data/{name}/{name}-卷{no}.pdf") for no in (2, 3)}


def synthetic(no: int) -> Item:
    number = f"2026-D10-{no:04d}"
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Item(
        stream=f"order:{no}", number=FONDS.reference(number), file_number=number, order_number=f"HY{no}", title="路灯不亮",
        responsible="某市", registered=at, closed=at, closure="", demand="", category="", district="", secrecy="",
        control="", dossier=(Volume(digest="sha256:" + "0" * 64, pages=1),),
    )  # fmt: skip


def test_memory_stays_that_of_one_case(postgres: embedded.Database, tmp_path: Path):
    """Ten times as many cases take the same memory: what is written is not kept."""

    def peak(count: int) -> int:
        plan = Plan(
            name=f"n{count}", fonds=FONDS, ledger="l", hash="sha256", head=1, root="00", note="", year="2026",
            period="D10", first=1, last=count, made_at=datetime(2026, 1, 1, tzinfo=UTC), made_by="x",
        )  # fmt: skip
        draft = Draft(tmp_path / plan.name, plan)
        tracemalloc.start()
        for no in range(1, count + 1):
            item = synthetic(no)
            given = [Given(f"{item.number}.pdf", "卷宗", "application/pdf", [b"x" * 10_000] * 10)]
            draft.add(no, item, given, lambda files: b"<x/>" * len(files))
        draft.finish([], "x")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    small, large = peak(100), peak(1000)
    assert large < small * 1.5 + 100_000
