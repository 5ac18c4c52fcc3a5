"""What goes out of the archive, by the commands that do it: packets with their receipts, registers, lists to be destroyed."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pikepdf
import pytest

from archive.items import PERIODS
from scripts import embedded
from tests.archive.test_filing import AS, TOWN, found, refused
from tests.test_cli import Deployment

ARCHIVIST = {"user": "hotline-archivist", "role": "archivist", "unit": "HOTLINE"}
MANAGER = ("--as", "manager/hotline_manager@HOTLINE")
BASIS = ("basis.text=档案法实施条例", "basis.article=第十九条")


def filed(n: int, day: str) -> list[dict[str, Any]]:
    """Return the lines of a case that was refused and filed long enough ago to be sealed."""
    command = {"type": "archive", "verified_to": "@head"}
    return [*refused(n, day), {"order": f"R{n}", "at": f"{day} 17:{n:02d}", "by": ARCHIVIST, "command": command}]


class Office(NamedTuple):
    """A town with three files of 2014, over by now, and three of 2026, packed."""

    town: Deployment
    old: tuple[str, ...]
    new: tuple[str, ...]
    packet: Path


@pytest.fixture(scope="module")
def office(postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Office:
    home = tmp_path_factory.mktemp("custody")
    old = [line for n in (1, 2, 3) for line in filed(n, "2014-03-04")]
    new = [line for n in (4, 5, 6) for line in filed(n, "2026-01-05")]
    town = found(postgres, home, *old, *new, policy="S0")
    told = town.ok("archive", "run", *TOWN, "--json").data
    assert (told["copies"], told["sealed"], told["failed"]) == (6, 6, [])
    numbers = sorted(row["number"] for row in town.ok("list", *TOWN, "--json").data["rows"])
    made = town.ok("archive", "packet", "2026-D10", *AS, *TOWN, "--to", str(home / "out"), "--json").data
    return Office(town, tuple(numbers[:3]), tuple(numbers[3:]), Path(made["folder"]))


def entries(town: Deployment, order: str, kind: str) -> list[dict[str, Any]]:
    history = town.ok("history", order, *TOWN, "--json").data
    return [entry["event"] for entry in history if entry["event"]["type"] == f"order.{kind}"]


def table(path: Path) -> list[list[str]]:
    content = path.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_a_packet_is_handed_over_and_each_case_names_it_and_its_receipt(office: Office):
    town, packet = office.town, str(office.packet)
    receipt = ("archive", "receipt", packet, "--receipt", "接字1号", "--received-by", "接收科", *AS, *TOWN)
    assert "unknown-stream" in town.refused(*receipt, "--on", "2026-11-20", "--cases", "3")
    assert "role-not-allowed" in town.refused("archive", "handover", packet, *MANAGER, *TOWN)
    handed = town.ok("archive", "handover", packet, *AS, *TOWN, "--json").data
    event = handed["events"][0]["event"]
    assert (event["cases"], event["first"], event["last"], event["receiver"]) == (3, 1, 3, "某市档案馆")
    again = town.ok("archive", "handover", packet, *AS, *TOWN, "--json").data
    assert again["replayed"]
    (row,) = town.ok("archive", "batches", *TOWN, "--json").data
    assert (row["what"], row["state"], row["cases"]) == ("handover", "sent", 3)
    today = town.ok("show", office.new[0], *TOWN, "--json").data["seen_at"][:10]
    said = (*receipt, "--on", today)
    assert "receipt-differs" in town.refused(*said, "--cases", "4")
    other = "sha256:" + "0" * 64
    assert "receipt-differs" in town.refused(*said, "--cases", "3", "--digest", other)
    assert "not-in-packet" in town.refused(*said, "--cases", "3", "--refused", "2026-D10-0009=缺页")
    done = town.ok(*said, "--cases", "3", "--refused", "2026-D10-0002=缺页", "--json").data
    assert (done["done"], done["refused"], done["failed"]) == (2, 1, [])
    assert town.ok(*said, "--cases", "3", "--json").data["before"] == 2
    moved = {order: entries(town, order, "archive_transferred") for order in office.new}
    assert sorted(map(len, moved.values())) == [0, 1, 1]
    for events in moved.values():
        for one in events:
            assert (one["packet"], one["receipt_number"]) == (event["digest"], "接字1号")
            assert f"batch:{one['handover']}" == handed["stream"]
    (row,) = town.ok("archive", "batches", *TOWN, "--json").data
    assert (row["state"], row["refused"], row["receipt"]) == ("partly", 1, "接字1号")
    assert "部分接收" in town.ok("archive", "batches", *TOWN).out


def test_no_packet_that_was_changed_is_handed_over(office: Office, tmp_path: Path):
    copy = tmp_path / office.packet.name
    shutil.copytree(office.packet, copy)
    next(copy.glob("data/*/*.pdf")).write_bytes(b"%PDF-1.7 changed")
    assert "packet-changed" in office.town.refused("archive", "handover", str(copy), *AS, *TOWN)
    manifest = copy / "manifest-sha256.txt"
    manifest.write_bytes(manifest.read_bytes() + b"\n")
    assert "packet-changed" in office.town.refused("archive", "handover", str(copy), *AS, *TOWN)
    (tmp_path / "empty").mkdir()
    assert "no-packet" in office.town.refused("archive", "handover", str(tmp_path / "empty"), *AS, *TOWN)


def test_a_years_register_has_every_number_in_order_and_prints(office: Office, tmp_path: Path):
    town = office.town
    said = town.ok("archive", "register", "2014", *TOWN, "--json").data
    assert [line["file_number"] for line in said["lines"]] == [f"2014-D10-{n:04d}" for n in (1, 2, 3)]
    assert {line["ends"] for line in said["lines"]} == {"2025-01-01"}
    assert all(line["pages"] > 3 for line in said["lines"])
    assert said["missing"] == []
    assert town.ok("archive", "register", "2014", "--series", "L-D10", *TOWN, "--json").data["lines"] == []
    assert "L-D10" in town.refused("archive", "register", "2014", "--series", "D5", *TOWN)
    out = town.ok(
        "archive", "register", "2026", *TOWN, "--csv", str(tmp_path / "r.csv"), "--pdf", str(tmp_path / "r.pdf")
    ).out
    assert "无缺号" in out
    head, *rows = table(tmp_path / "r.csv")
    assert head[0] == "档号"
    assert [row[0] for row in rows] == [f"X043-WS·2026-D10-RX-{n:04d}" for n in (1, 2, 3)]
    assert {row[head.index("保管期限")] for row in rows} == {PERIODS["D10"]}
    with pikepdf.open(tmp_path / "r.pdf") as pdf:
        assert len(pdf.pages) == 1


def test_the_use_register_has_every_copy_with_what_was_made(office: Office, tmp_path: Path):
    town, order = office.town, office.old[0]
    asked = ("dossier", order, *AS, *TOWN, "--to", str(tmp_path / "c.pdf"), "--json")
    made = town.ok(*asked, "--for", "市人大监察和司法委员会", "--purpose", "review", "--approved-by", "manager").data
    said = town.ok("archive", "uses", *TOWN, "--json").data
    (use,) = said["rows"]
    assert (use["number"], use["order_number"], use["purpose"]) == (made["copy"], order, "review")
    assert (use["receiver"], use["by"], use["approver"]) == ("市人大监察和司法委员会", "archivist", "manager")
    assert (use["edition"], use["digests"], said["missing"]) == ("masked", [made["digest"]], [])
    assert town.ok("archive", "uses", "--order", office.new[0], *TOWN, "--json").data["rows"] == []
    town.ok("archive", "uses", "--order", order, "--csv", str(tmp_path / "u.csv"), *TOWN)
    head, row = table(tmp_path / "u.csv")
    assert (row[head.index("摘要")], row[head.index("版本")]) == (made["digest"], "脱敏")
    assert "市人大" in town.ok("archive", "uses", *TOWN).out


def test_what_is_over_is_appraised_agreed_to_and_destroyed_and_its_proof_holds(office: Office, tmp_path: Path):
    town, (one, two, three) = office.town, office.old
    packed = town.ok("archive", "packet", "2014-D10", *AS, *TOWN, "--to", str(tmp_path / "before"), "--json").data
    earlier = Path(packed["folder"])
    over = town.ok("archive", "expired", *TOWN, "--json").data["rows"]
    assert [(row["order_number"], row["opinion"], row["held"]) for row in over] == [(n, "", []) for n in office.old]
    propose = ("archive", "propose-disposal", "--basis", "档案法实施条例:第十九条", *AS, *TOWN)
    assert "list-unfit" in town.refused(*propose)
    assert "not-appraised" in town.refused(*propose, one)
    for order in (one, two):
        town.ok("do", order, "appraise_file", "opinion=controlled", *BASIS, *AS, *TOWN)
    longer = ("do", three, "appraise_file", "opinion=extended", *BASIS, *AS, *TOWN)
    assert "extension-unfit" in town.refused(*longer, "until=2020-01-01")
    town.ok(*longer, "until=2046-12-31")
    assert three not in town.ok("archive", "expired", *TOWN).out
    assert "控制使用" in town.ok("archive", "expired", *TOWN).out
    made = town.ok(*propose, "--csv", str(tmp_path / "list.csv"), "--json").out.splitlines()[-1]
    proposed = json.loads(made)
    batch, digest = proposed["stream"], proposed["events"][0]["event"]["digest"]
    assert len(table(tmp_path / "list.csv")) == 3
    shown = town.ok(*propose).out  # another list of the same: what is destroyed with the one is refused with the other
    assert f"2 件 cases\n  {digest}" in shown
    dispose = ("archive", "dispose", batch, "--witness", "auditor", *AS, *TOWN)
    assert "disposal-not-approved" in town.refused(*dispose)
    town.ok("do", batch, "agree_disposal", f"digest={digest}", *MANAGER, *TOWN)
    twice = ("--as", "manager/leader@HOTLINE", *TOWN)
    assert "self-approval" in town.refused("do", batch, "agree_disposal", f"digest={digest}", *twice)
    town.ok("do", batch, "agree_disposal", f"digest={digest}", "--as", "mayor/leader@HOTLINE", *TOWN)
    town.ok("do", batch, "agree_disposal", f"digest={digest}", "--as", "s/supervisor@HOTLINE", *TOWN)
    assert "self-approval" in town.run("archive", "dispose", batch, "--witness", "archivist", *AS, *TOWN).err
    kept = {path.name for path in town.home.rglob("*") if path.is_file() and len(path.name) == 64}
    copies = {
        order: entries(town, order, "dossier_rendered")[0]["digest"].removeprefix("sha256:") for order in office.old
    }
    assert set(copies.values()) <= kept
    done = town.ok(*dispose, "--json").data
    assert (done["done"], done["failed"]) == (2, [])
    assert town.ok(*dispose, "--json").data["before"] == 2
    assert "领导 mayor" in town.ok("archive", "batches", *TOWN).out
    left = {path.name for path in town.home.rglob("*") if path.is_file() and len(path.name) == 64}
    assert copies[three] in left
    assert not {copies[one], copies[two]} & left
    assert town.ok("archive", "expired", *TOWN, "--json").data["rows"] == []
    states = {
        line["order_number"]: line["state"]
        for line in town.ok("archive", "register", "2014", *TOWN, "--json").data["lines"]
    }
    assert states == {one: "disposed", two: "disposed", three: "sealed"}
    (event,) = entries(town, one, "file_disposed")
    assert (event["digest"], event["witness"]) == (digest, "auditor")
    opened = town.ok("open", one, "1", "content", "--purpose", "review", "--as", "s/supervisor@HOTLINE", *TOWN)
    assert "销毁" in opened.said
    (tmp_path / "policy").write_text(town.ok("head", "--policy", *TOWN).out, encoding="utf-8")
    town.ok("proof", one, "--to", str(tmp_path / "proof.json"), *TOWN)
    assert town.ok("verify", str(tmp_path / "proof.json"), "--policy", str(tmp_path / "policy")).code == 0
    assert town.ok("verify", *TOWN).code == 0
    assert town.ok("archive", "run", *TOWN, "--json").data["copies"] == 0
    made = town.ok("archive", "packet", "2014-D10", *AS, *TOWN, "--to", str(tmp_path / "out"), "--json").data
    assert (made["items"], ["已销毁" in left for left in made["left_out"]]) == (1, [True, True])
    assert "wrong-state" in town.refused("dossier", one, *AS, *TOWN, "--for", "某局", "--approved-by", "manager")
    assert "holds-destroyed" in town.refused("archive", "handover", str(earlier), *AS, *TOWN)
