"""四性检测 (DA/T 70-2018). What of a packet was looked at for being genuine, whole, usable and safe, and what came of it.

Each item says how many things were looked at and names those that failed. What was not looked at is said so with the reason:
a report that passes what nobody checked is worth nothing. The items are named as the standard names them, without its numbers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import msgspec
import pikepdf

from archive.eep import NAMESPACE
from archive.inspection import Finding, Inspected, inspect_case
from archive.items import COLUMNS, EXTENSIONS, PERIODS
from archive.packet import SOFTWARE
from domain.attachments import types_of
from domain.notes import Policy
from domain.terms import Word

FORM: Final = "huiyin/fourfold/1"
NAMED: Final = 100
"""Failures of one item that a report names; how many there were it says in any case."""

Scanner = Callable[[Path], str]
"""Looks through a folder for harmful code; returns what it found, empty where nothing."""


class Property(Word):
    """四性."""

    AUTHENTIC = "authentic", "真实性"
    WHOLE = "whole", "完整性"
    USABLE = "usable", "可用性"
    SAFE = "safe", "安全性"


class Outcome(Word):
    """检测结果."""

    PASSED = "passed", "通过"
    FAILED = "failed", "不通过"
    NOT_RUN = "not_run", "未检测"


class Stage(Word):
    """检测环节."""

    ARCHIVING = "archiving", "归档环节"
    TRANSFER = "transfer", "移交与接收环节"


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """检测项目. One item of the check."""

    of: Property
    name: str
    outcome: Outcome
    looked: int = 0
    failures: tuple[str, ...] = ()
    failed: int = 0
    remark: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """四性检测报告."""

    form: str = FORM
    packet: str
    stage: Stage
    made_at: datetime
    software: str = SOFTWARE
    cases: int
    files: int
    bytes: int
    outcome: Outcome
    items: tuple[Item, ...]


class _Tally:
    """Counts what was looked at and what failed, item by item."""

    def __init__(self) -> None:
        self.looked: dict[str, int] = {}
        self.failed: dict[str, int] = {}
        self.failures: dict[str, list[str]] = {}

    def look(self, name: str, failures: Iterable[str] = (), count: int = 1) -> None:
        self.looked[name] = self.looked.get(name, 0) + count
        for one in failures:
            self.failed[name] = self.failed.get(name, 0) + 1
            named = self.failures.setdefault(name, [])
            if len(named) < NAMED:
                named.append(one)


class _Numbers:
    """Counts running numbers, a bit for each of a series: a packet of a hundred thousand takes some kilobytes."""

    def __init__(self, series: tuple[int, int]) -> None:
        self._first, last = series
        self._seen = bytearray((last - self._first) // 8 + 1)
        self._outside: set[int] = set()
        self.rows = self.different = 0

    def saw(self, number: int) -> None:
        self.rows += 1
        place, bit = divmod(number - self._first, 8)
        if not 0 <= place < len(self._seen):
            self.different += number not in self._outside
            self._outside.add(number)
        elif not self._seen[place] >> bit & 1:
            self._seen[place] |= 1 << bit
            self.different += 1


ITEMS: Final[Mapping[str, Property]] = {
    "固化信息有效性": Property.AUTHENTIC,
    "元数据项数据长度、类型、格式、值域": Property.AUTHENTIC,
    "元数据项数据合理性": Property.AUTHENTIC,
    "档号规范性与重复性": Property.AUTHENTIC,
    "内容数据电子属性一致性": Property.AUTHENTIC,
    "元数据与内容数据关联一致性": Property.AUTHENTIC,
    "信息包结构一致性": Property.AUTHENTIC,
    "总件数相符性": Property.WHOLE,
    "总字节数相符性": Property.WHOLE,
    "元数据必填著录项目完整性": Property.WHOLE,
    "过程信息完整性": Property.WHOLE,
    "连续性（有无漏号）": Property.WHOLE,
    "内容数据与附件齐全": Property.WHOLE,
    "元数据可读性": Property.USABLE,
    "内容数据格式符合性": Property.USABLE,
    "内容数据可打开": Property.USABLE,
    "无加密、无口令": Property.USABLE,
    "恶意代码检测": Property.SAFE,
    "载体中多余文件": Property.SAFE,
    "归档过程安全性": Property.SAFE,
}
"""Every item, and the property it is about."""

_WHAT: Final = {
    "changed": "固化信息有效性",
    "evidence": "固化信息有效性",
    "head": "固化信息有效性",
    "proof": "固化信息有效性",
    "dossier": "固化信息有效性",
    "number": "档号规范性与重复性",
    "wrapper": "元数据与内容数据关联一致性",
    "attachment": "内容数据与附件齐全",
    "missing": "内容数据与附件齐全",
    "unlisted": "载体中多余文件",
    "catalogue": "总件数相符性",
    "size": "总字节数相符性",
    "bag": "信息包结构一致性",
}
"""Under which item a finding of `inspection` belongs."""

_BY_CASE: Final = ("固化信息有效性", "档号规范性与重复性", "元数据与内容数据关联一致性", "内容数据与附件齐全")


def examine(
    root: Path,
    policy: Policy,
    rows: Iterable[Sequence[str]],
    *,
    packet: str,
    stage: Stage,
    at: datetime,
    range_of: tuple[int, int],
    explained: int = 0,
    whole: Inspected | None = None,
    scan: Scanner | None = None,
) -> Report:
    """Return what came of looking at every case of a packet; `rows` are those of its catalogue.

    `range_of` are the first and last running number, `explained` how many of them are left out with a reason; `whole` is the
    inspection of a packet that is finished. Without `scan` nothing was scanned, and the report says so.
    """
    tally, done, numbers = _Tally(), Inspected(), _Numbers(range_of)
    for row in rows:
        said: dict[str, str] = dict(zip(COLUMNS, row, strict=True))
        name = said["档号"]
        numbers.saw(_row(said, tally))
        found = inspect_case(root, policy, name)
        done.files, done.bytes = done.files + found.files, done.bytes + found.bytes
        done.items += 1
        _found(found.findings, tally)
        _case(root / "data" / name, name, tally)
    _findings_of_whole(whole, done, tally)
    missing = range_of[1] - range_of[0] + 1 - explained - numbers.different
    tally.look("连续性（有无漏号）", [f"漏号 {missing} 个"] if missing else [], count=numbers.rows)
    twice = numbers.rows - numbers.different
    tally.look("档号规范性与重复性", [f"重号 {twice} 个"] if twice else [], count=0)
    with os.scandir(root / "data") as there:
        folders = sum(1 for one in there if one.is_dir())
    differ = [f"{folders} 个文件夹，目录 {numbers.rows} 件"] if folders != numbers.rows else []
    tally.look("总件数相符性", differ, count=0)
    if scan is not None:
        harm = scan(root)
        tally.look("恶意代码检测", [harm] if harm else [], count=done.files)
    items = tuple(_item(name, tally, scanned=scan is not None, finished=whole is not None) for name in ITEMS)
    bad = any(one.outcome is Outcome.FAILED for one in items)
    return Report(
        packet=packet,
        stage=stage,
        made_at=at,
        cases=done.items,
        files=done.files,
        bytes=done.bytes,
        outcome=Outcome.FAILED if bad else Outcome.PASSED,
        items=items,
    )


def _found(findings: Sequence[Finding], tally: _Tally) -> None:
    for name in _BY_CASE:
        tally.look(name)
    for one in findings:
        tally.look(_WHAT[one.what], [f"{one.path}：{one.said}"], count=0)


def _findings_of_whole(whole: Inspected | None, done: Inspected, tally: _Tally) -> None:
    """Take over what was found about the bag itself, or what is known of a draft: that it is written as counted."""
    for name in ("信息包结构一致性", "总件数相符性", "总字节数相符性", "载体中多余文件"):
        tally.look(name, count=done.files if name in ("载体中多余文件", "总字节数相符性") else done.items)
    for one in whole.findings if whole is not None else ():
        if one.what in ("changed", "unlisted") or one.path.count("/") < 2:  # the others each case was asked about
            tally.look(_WHAT[one.what], [f"{one.path}：{one.said}"], count=0)


def _item(name: str, tally: _Tally, *, scanned: bool, finished: bool) -> Item:
    of, remark, outcome = ITEMS[name], "", Outcome.PASSED
    if name == "恶意代码检测" and not scanned:
        remark, outcome = "未配置查毒程序，本次未检测；接收单位须另行查毒", Outcome.NOT_RUN
    elif name == "归档过程安全性":
        remark, outcome = "须由人核对操作规程，程序不能代替", Outcome.NOT_RUN
    elif tally.failed.get(name):
        outcome = Outcome.FAILED
    elif not tally.looked.get(name):
        remark, outcome = "没有可检测的对象", Outcome.NOT_RUN
    elif name == "固化信息有效性":
        remark = "逐件重算事件叶值、哈希路径与树头签名；卷宗、附件摘要与账本所载比对"
    elif name == "过程信息完整性":
        remark = "事件版本自1起连续，由叶链证明"
    elif name == "载体中多余文件" and not finished:
        remark = "成包时检测；载体写入后由接收单位再检"
    return Item(
        of=of,
        name=name,
        outcome=outcome,
        looked=tally.looked.get(name, 0),
        failures=tuple(tally.failures.get(name, ())),
        failed=tally.failed.get(name, 0),
        remark=remark,
    )


# --- 元数据 ------------------------------------------------------------------------------------------------------

_NUMBER = re.compile(r"[0-9A-Za-z]+-[0-9A-Za-z]+[·.](\d{4})-(Y|D30|D10)-[0-9A-Za-z]+-(\d{4,})")
_LONGEST: Final = {"文号": 64, "责任者": 200, "题名": 200, "备注": 500}
_NEEDED: Final = ("序号", "档号", "文号", "责任者", "题名", "日期", "页数")


def _row(said: Mapping[str, str], tally: _Tally) -> int:
    """Look at a line of the catalogue; return its running number, 0 where it has none."""
    name = said["档号"]
    found = _NUMBER.fullmatch(name)
    tally.look("档号规范性与重复性", [] if found else [f"{name}：档号结构"], count=0)
    wrong = [f"{name}：{field}过长" for field, most in _LONGEST.items() if len(said[field]) > most]
    wrong += [f"{name}：{field}" for field in ("序号", "页数") if not re.fullmatch(r"[1-9]\d*", said[field])]
    closed = _day(said["日期"])
    wrong += [] if closed else [f"{name}：日期"]
    wrong += [f"{name}：特殊字符 {field}" for field, cell in said.items() if "�" in cell]
    tally.look("元数据项数据长度、类型、格式、值域", wrong, count=len(said))
    late = found is not None and closed is not None and f"{closed.year}" != found[1]
    tally.look("元数据项数据合理性", [f"{name}：年度与日期不符"] if late else [])
    lacking = [f"{name}：缺{field}" for field in _NEEDED if not said[field].strip()]
    tally.look("元数据必填著录项目完整性", lacking, count=len(_NEEDED))
    return int(found[3]) if found else 0


def _day(said: str) -> date | None:
    try:
        return datetime.strptime(said, "%Y%m%d").date() if len(said) == 8 else None  # noqa: DTZ007  a day
    except ValueError:
        return None


def _case(folder: Path, name: str, tally: _Tally) -> None:
    """Look at a case's wrapper, what it says of what happened, and its files."""
    try:
        said = (folder / f"{name}.eep.xml").read_bytes()
        tree = ET.fromstring(said) if b"<!" not in said else None  # noqa: S314  definitions are refused before
    except (OSError, ET.ParseError):
        tree = None
    tally.look("元数据可读性", [] if tree is not None else [f"{name}：封装包读不出"])
    acts = [] if tree is None else [one.text or "" for one in tree.iter(f"{{{NAMESPACE}}}业务标识符")]
    gap = acts != [f"业务{n}" for n in range(1, len(acts) + 1)] or not acts
    tally.look("过程信息完整性", [f"{name}：业务实体不连续"] if gap else [])
    period = [] if tree is None else [one.text for one in tree.iter(f"{{{NAMESPACE}}}保管期限")]
    fit = bool(period) and all(one in PERIODS.values() for one in period)
    tally.look("元数据项数据合理性", [] if fit else [f"{name}：保管期限"], count=0)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            _file(path, f"{name}/{path.relative_to(folder).as_posix()}", dossier=path.parent == folder, tally=tally)


def _file(path: Path, shown: str, *, dossier: bool, tally: _Tally) -> None:
    """Look at one file: is it what its name says, can it be opened, is it locked."""
    ending = path.suffix.removeprefix(".")
    with path.open("rb") as file:
        head = file.read(64)
    known = types_of(head)
    fits = not known or any(EXTENSIONS.get(one) == ending for one in known)
    tally.look("内容数据电子属性一致性", [] if fits and head else [f"{shown}：扩展名与内容不符"])
    if ending != "pdf":
        tally.look("内容数据可打开", [] if known or ending in _PLAIN else [f"{shown}：格式不识"])
        return
    try:
        with pikepdf.open(path) as pdf:
            locked = pdf.is_encrypted
            metadata = pdf.Root.Metadata.read_bytes() if "/Metadata" in pdf.Root else b""
            pages = len(pdf.pages)
    except pikepdf.PasswordError:
        tally.look("无加密、无口令", [f"{shown}：有口令"])
        return
    except pikepdf.PdfError:
        tally.look("内容数据可打开", [f"{shown}：打不开"])
        return
    tally.look("内容数据可打开", [] if pages else [f"{shown}：没有页"])
    tally.look("无加密、无口令", [f"{shown}：已加密"] if locked else [])
    if dossier:
        archival = re.search(rb'pdfaid:part(?:="|>)[123]', metadata) is not None
        tally.look("内容数据格式符合性", [] if archival else [f"{shown}：不是 PDF/A"])


_PLAIN: Final = frozenset({"xml", "json", "tlog-proof", "txt"})
