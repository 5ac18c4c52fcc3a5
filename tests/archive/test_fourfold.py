"""四性检测: what of a packet is looked at, what fails is named, and what nobody looked at is not passed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pikepdf
import pytest

from archive import forms
from archive.fourfold import ITEMS, Outcome, Report, Stage, examine
from archive.inspection import inspect
from archive.pdf import Printer
from scripts import embedded
from tests.archive.filed import Office, within
from tests.archive.test_packet import Made, copied, forged, packet

__all__ = ["packet"]

AT = datetime(2026, 11, 22, tzinfo=UTC)


def rows(root: Path) -> list[list[str]]:
    lines = (root / "data" / "归档文件目录.csv").read_text(encoding="utf-8-sig").splitlines()[1:]
    return [line.split(",") for line in lines]


def examined(made: Made, root: Path, **said: Any) -> Report:
    said = {"rows": rows(root), "packet": root.name, "stage": Stage.TRANSFER, "at": AT, "range_of": (1, 5), **said}
    return examine(root, made.policy, **said)


def outcomes(report: Report) -> dict[str, Outcome]:
    return {one.name: one.outcome for one in report.items}


def test_the_report_in_a_packet_says_what_was_looked_at_and_what_was_not(packet: Made):
    said = json.loads((packet.root / "data" / "四性检测报告.json").read_bytes())
    assert [one["name"] for one in said["items"]] == list(ITEMS)
    found = {one["name"]: (one["outcome"], one["looked"]) for one in said["items"]}
    assert found["固化信息有效性"] == ("passed", 5)
    assert found["连续性（有无漏号）"] == ("passed", 5)
    assert found["恶意代码检测"][0] == "not_run"
    assert found["归档过程安全性"][0] == "not_run"
    assert found["内容数据可打开"][0] == "failed", "what stands for a dossier here is no PDF that opens"
    assert said["outcome"] == "failed"


def test_what_is_wrong_is_named_under_its_item(packet: Made, tmp_path: Path):
    root = copied(packet, tmp_path)
    first, second, third, *_ = sorted(path for path in (root / "data").iterdir() if path.is_dir())
    with pikepdf.new() as pdf:
        pdf.add_blank_page()
        pdf.save(first / f"{first.name}.pdf", encryption=pikepdf.Encryption(owner="x", user="y"))
    (second / "附件" / "001_附件.jpg").write_bytes(b"%PDF-1.7 no picture")
    (third / f"{third.name}.eep.xml").write_bytes(b"<x")
    forged(root)
    (root / "beside").write_bytes(b"x")
    kept = rows(root)[:4]
    kept[3] = [*kept[3][:4], "", "20261301", *kept[3][6:]]
    report = examined(packet, root, rows=kept, whole=inspect(root, packet.policy))
    failed = {name for name, outcome in outcomes(report).items() if outcome is Outcome.FAILED}
    assert failed >= {
        "固化信息有效性", "无加密、无口令", "内容数据电子属性一致性", "内容数据与附件齐全", "元数据可读性",
        "元数据必填著录项目完整性", "元数据项数据长度、类型、格式、值域", "连续性（有无漏号）", "载体中多余文件", "总件数相符性",
    }  # fmt: skip
    named = {one.name: " ".join(one.failures) for one in report.items}
    assert first.name in named["无加密、无口令"]
    assert "beside" in named["载体中多余文件"]


@pytest.mark.parametrize(("said", "outcome"), [("", Outcome.PASSED), ("clamscan 1: Eicar", Outcome.FAILED)])
def test_a_scanner_is_asked_where_there_is_one(packet: Made, said: str, outcome: Outcome):
    report = examined(packet, packet.root, scan=lambda _: said)
    assert outcomes(report)["恶意代码检测"] is outcome


def test_numbers_that_come_twice_or_are_missing_without_a_reason_are_named(packet: Made):
    twice = [*rows(packet.root), rows(packet.root)[0]]
    found = outcomes(examined(packet, packet.root, rows=twice))
    assert found["档号规范性与重复性"] is Outcome.FAILED
    assert found["连续性（有无漏号）"] is Outcome.PASSED
    assert outcomes(examined(packet, packet.root, range_of=(1, 7)))["连续性（有无漏号）"] is Outcome.FAILED
    assert outcomes(examined(packet, packet.root, range_of=(1, 7), explained=2))["连续性（有无漏号）"] is Outcome.PASSED


async def test_the_forms_are_printed_as_archives_take_them(packet: Made):
    async with Printer() as printer:
        made = await printer.printed(forms.fourfold(examined(packet, packet.root), "某市<热线>"))
    assert made.pages == 1
    assert made.pdf.startswith(b"%PDF-1.7")


def test_every_number_left_out_has_its_reason_in_the_report(postgres: embedded.Database, tmp_path: Path):
    async def work(there: Office) -> Path:
        streams = await there.filed(3)
        folder = there.files.root / streams[1].partition(":")[2]
        for path in folder.iterdir():
            path.unlink()
        return await there.packet(tmp_path)

    root = within(postgres, tmp_path, work)
    said = json.loads((root / "data" / "四性检测报告.json").read_bytes())
    assert said["cases"] == 2
    assert next(one for one in said["items"] if one["name"] == "连续性（有无漏号）")["outcome"] == "passed"
