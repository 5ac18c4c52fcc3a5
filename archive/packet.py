"""归档信息包. Filed cases as a bag (RFC 8493) that outlives this program: written file by file, in the memory of one case.

    NAME/                       bagit.txt, bag-info.txt, manifest-sha256.txt, tagmanifest-sha256.txt
      data/说明文件.txt           what this is, in words, and how it is checked
      data/归档文件目录.xml, .csv  one row a file (DA/T 22)
      data/移交接收登记表.pdf      the form of the hand-over
      data/四性检测报告.json, .pdf  what was looked at before it was closed, and what was not
      data/verify_standalone.py  checks all of it, with nothing but Python
      data/档号/档号.pdf          the dossier; 档号-卷2.pdf …: its further volumes; 档号-补1.pdf …: what came after the sealing
      data/档号/档号-密封件.pdf    who an informant is, closed for two persons
      data/档号/档号.eep.xml      the wrapper (DA/T 48)
      data/档号/档号.evidence.json, ledger.tlog-proof, 附件/…

What is made lies beside its place under a name that begins with a dot, with a journal of what is whole; whoever was killed
goes on behind the last line of the journal. It gets its name when all of it is there.
"""

from __future__ import annotations

import contextlib
import csv
import fcntl
import hashlib
import io
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import IO, Final, NamedTuple

import msgspec

from archive.eep import fitting, text
from archive.fonds import Fonds
from archive.items import COLUMNS, PERIODS, Item
from domain.refusals import Refusal
from domain.terms import SHANGHAI

BAGIT: Final = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
MANIFEST: Final = "manifest-sha256.txt"
TAGS: Final = "tagmanifest-sha256.txt"
CATALOGUE: Final = "归档文件目录"
README: Final = "说明文件.txt"
HANDOVER: Final = "移交接收登记表.pdf"
FOURFOLD: Final = "四性检测报告"
VERIFIER: Final = "verify_standalone.py"
PROOF: Final = "ledger.tlog-proof"
SOFTWARE: Final = "Huiyin 回音 0.1.0"

_BOM: Final = b"\xef\xbb\xbf"


class PacketExists(Refusal):
    """信息包已存在，请另定位置；已成的包不改动。There is a packet of this name already: choose another place. A packet that is whole is never changed."""


class PacketBusy(Refusal):
    """信息包正在制作，请稍候。The packet is being made by somebody: wait until it is there."""


class CopyChanged(Refusal):
    """归档卷宗与入账摘要不符，不得入包，请核验。The record copy is not what the ledger says of it, and goes into no packet: check the files."""

    basis = "DOMAIN 5.4"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a packet is: of which ledger, under which head, for whom, by whom."""

    name: str
    fonds: Fonds
    ledger: str
    hash: str
    head: int
    root: str
    note: str
    year: str
    period: str
    first: int
    last: int
    made_at: datetime
    made_by: str


class Given(NamedTuple):
    """A file of a case as it is handed in: its name in the case's folder, its digest where that is known before."""

    name: str
    title: str
    format: str
    parts: Iterable[bytes]
    digest: str = ""


class Written(msgspec.Struct, frozen=True, array_like=True):
    """A file that was written: its path in the bag, SHA-256 in hexadecimal, size."""

    path: str
    digest: str
    size: int


class Done(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of the journal: a case that is whole, or one that was left out with the reason."""

    no: int
    number: str
    row: tuple[str, ...] = ()
    pages: int = 0
    files: tuple[Written, ...] = ()
    left_out: str = ""


class Total(msgspec.Struct, kw_only=True):
    """What a packet holds."""

    items: int = 0
    pages: int = 0
    files: int = 0
    bytes: int = 0
    first: str = ""
    last: str = ""
    left_out: list[str] = []


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How far a packet is: done so far, of how many, what was left out; `making` while somebody is at it."""

    ready: bool
    making: bool = False
    done: int = 0
    of: int = 0
    left_out: tuple[str, ...] = ()


def standing(target: Path) -> Standing | None:
    """Return how far the packet of a place is; None where none was begun."""
    if target.exists():
        return Standing(ready=True)
    done, left = 0, list[str]()
    try:
        with target.with_name(f".{target.name}.journal").open("rb") as journal:
            plan = msgspec.json.decode(journal.readline(), type=Plan)
            for line in journal:
                if line.endswith(b"\n"):
                    done += 1
                    if b'"left_out":' in line:  # else it is not read: whoever looks on asks often
                        one = msgspec.json.decode(line, type=Done)
                        left += [f"{one.number}：{one.left_out}"] if one.left_out else []
            making = _held(journal)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    of = plan.last - plan.first + 1
    return Standing(ready=False, making=making, done=done, of=of, left_out=tuple(left))


def _taken(journal: IO[bytes]) -> bool:
    """Take a journal for oneself, and tell whether nobody else has it; whoever looks on holds it for an instant."""
    for pause in (0.02, 0.05, 0):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(pause)
    return False


def _held(journal: IO[bytes]) -> bool:
    """Tell whether somebody writes a journal now; whoever was ended holds it no more."""
    try:
        fcntl.flock(journal, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(journal, fcntl.LOCK_UN)
    return False


class Draft:
    """A packet that is being made, by one at a time."""

    def __init__(self, target: Path, plan: Plan) -> None:
        if target.exists():
            raise PacketExists(str(target))
        self.target = target
        self.root = target.with_name(f".{target.name}.making")
        self._path = target.with_name(f".{target.name}.journal")
        target.parent.mkdir(parents=True, exist_ok=True)
        self._journal = self._path.open("ab")
        if not _taken(self._journal):
            self._journal.close()
            raise PacketBusy(target.name)
        self.plan, self.done = _begun(self._path, plan)
        if not self.done:
            shutil.rmtree(self.root, ignore_errors=True)
        (self.root / "data").mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """Let go of the journal; what is whole stays for whoever goes on."""
        self._journal.close()

    @property
    def behind(self) -> int:
        """The running number behind which there is still something to do."""
        return max(self.done, self.plan.first - 1)

    # --- a case ---

    def add(self, no: int, item: Item, given: Sequence[Given], wrap: Callable[[Sequence[Written]], bytes]) -> Done:
        """Write a case; `wrap` makes its wrapper of what was written. Raises CopyChanged; then there is nothing of it."""
        folder = self.root / "data" / item.number
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            files = [self._file(f"data/{item.number}/{one.name}", one.parts, one.digest) for one in given]
            wrapped = self._file(f"data/{item.number}/{item.number}.eep.xml", [wrap(files)])
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        row = tuple(fitting(cell) for cell in item.row(self._rows() + 1))
        return self._said(Done(no=no, number=item.number, row=row, pages=int(row[7]), files=(*files, wrapped)))

    def leave_out(self, no: int, number: str, why: str) -> Done:
        """Say that a number's case is not in the packet, and why."""
        shutil.rmtree(self.root / "data" / number, ignore_errors=True)  # of whoever was killed in the middle of it
        return self._said(Done(no=no, number=number, left_out=why))

    def _file(self, path: str, parts: Iterable[bytes], digest: str = "") -> Written:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        hashed, size = hashlib.sha256(), 0
        with place.open("xb") as file:
            for part in parts:
                file.write(part)
                hashed.update(part)
                size += len(part)
            file.flush()
            os.fsync(file.fileno())
        if digest and digest != f"sha256:{hashed.hexdigest()}":
            raise CopyChanged(f"{path}: {digest} ≠ sha256:{hashed.hexdigest()}")
        return Written(path, hashed.hexdigest(), size)

    def _rows(self) -> int:
        return self._known if hasattr(self, "_known") else self._count()

    def _count(self) -> int:
        self._known = sum(1 for one in self.lines() if one.row)
        return self._known

    def _said(self, line: Done) -> Done:
        rows = self._rows()
        self._journal.write(msgspec.json.encode(line) + b"\n")
        self._journal.flush()
        os.fsync(self._journal.fileno())
        self._known = rows + bool(line.row)
        self.done = line.no
        return line

    def lines(self) -> Iterator[Done]:
        """Yield what was done so far, a case at a time."""
        with self._path.open("rb") as file:
            file.readline()
            for line in file:
                yield msgspec.json.decode(line, type=Done)

    def total(self) -> Total:
        """Return what there is so far."""
        found = Total()
        for line in self.lines():
            if line.left_out:
                found.left_out.append(f"{line.number}：{line.left_out}")
                continue
            found.items, found.pages = found.items + 1, found.pages + line.pages
            found.files, found.bytes = found.files + len(line.files), found.bytes + sum(f.size for f in line.files)
            found.first, found.last = found.first or line.number, line.number
        return found

    # --- the whole ---

    def finish(self, more: Sequence[tuple[str, bytes]], readme: str) -> Path:
        """Write what is about the whole, and give the packet its name; `more` are files beside the cases."""
        beside = [(README, readme.encode()), *more]
        for name in (*(name for name, _ in beside), f"{CATALOGUE}.csv", f"{CATALOGUE}.xml"):
            (self.root / "data" / name).unlink(missing_ok=True)  # of one that was killed here
        written = [self._file(f"data/{name}", [content]) for name, content in beside]
        written.append(self._file(f"data/{CATALOGUE}.csv", self._csv()))
        written.append(self._file(f"data/{CATALOGUE}.xml", self._xml()))
        count, size = self._manifest(written)
        self._tags(count, size)
        self.close()
        _settled(self.root)
        self.root.rename(self.target)
        _settled(self.target.parent)
        self._path.unlink()
        return self.target

    def _manifest(self, beside: Sequence[Written]) -> tuple[int, int]:
        count = size = 0
        with (self.root / MANIFEST).open("wb") as file:
            for one in chain(beside, (one for line in self.lines() for one in line.files)):
                file.write(f"{one.digest}  {one.path}\n".encode())
                count, size = count + 1, size + one.size
        return count, size

    def _tags(self, count: int, size: int) -> None:
        plan = self.plan
        info = {
            "Source-Organization": plan.fonds.name,
            "Bagging-Date": f"{plan.made_at.astimezone(SHANGHAI):%Y-%m-%d}",
            "External-Identifier": plan.name,
            "External-Description": f"12345热线归档文件 {plan.year} 年度 保管期限 {PERIODS[plan.period]}",
            "Payload-Oxum": f"{size}.{count}",
            "Bag-Software-Agent": SOFTWARE,
            "Huiyin-Ledger": plan.ledger,
            "Huiyin-Head": f"{plan.head} {plan.hash}:{plan.root}",
        }
        said = "".join(f"{name}: {' '.join(value.split())}\n" for name, value in info.items())
        contents = {"bag-info.txt": said.encode(), "bagit.txt": BAGIT}
        for name, content in contents.items():
            (self.root / name).write_bytes(content)
        lines = [f"{_digest(self.root / name)}  {name}\n" for name in (*contents, MANIFEST)]
        (self.root / TAGS).write_text("".join(lines), encoding="utf-8")

    def _csv(self) -> Iterator[bytes]:
        yield _BOM + _cells(COLUMNS)
        for line in self.lines():
            if line.row:
                yield _cells(line.row)

    def _xml(self) -> Iterator[bytes]:
        yield f'<?xml version="1.0" encoding="UTF-8"?>\n<归档文件目录 信息包="{self.plan.name}">\n'.encode()
        for line in self.lines():
            if line.row:
                cells = "".join(f"<{name}>{text(cell)}</{name}>" for name, cell in zip(COLUMNS, line.row, strict=True))
                yield f"  <件>{cells}</件>\n".encode()
        yield "</归档文件目录>\n".encode()


def _begun(path: Path, plan: Plan) -> tuple[Plan, int]:
    """Return the plan that a journal was begun with and the last number that is done; begin one where there is none.

    A last line that was cut off is taken away.
    """
    if path.stat().st_size:
        with path.open("r+b") as file:
            first = file.readline()
            done, whole = 0, file.tell()
            for line in file:
                if not line.endswith(b"\n"):
                    break
                done, whole = msgspec.json.decode(line, type=Done).no, whole + len(line)
            file.truncate(whole)
        if first.endswith(b"\n"):
            found = msgspec.json.decode(first, type=Plan)
            if (found.name, found.ledger, found.fonds) == (plan.name, plan.ledger, plan.fonds):
                return found, done
    path.write_bytes(msgspec.json.encode(plan) + b"\n")
    return plan, 0


def name_of(fonds: Fonds, year: str, period: str, first: int, last: int) -> str:
    """Return the name of a packet: `X043-RX·2026-D30-0001_0200`."""
    return f"{fonds.code}-{fonds.section}{fonds.separator}{year}-{period}-{first:04d}_{last:04d}"


def _cells(cells: Sequence[str]) -> bytes:
    """Return a line of a table that no spreadsheet takes for a formula."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([plain(cell) for cell in cells])
    return out.getvalue().encode()


def plain(cell: str) -> str:
    """Return a cell as a table has it: an apostrophe before what a spreadsheet would compute."""
    return f"'{cell}" if cell[:1] in tuple("=+-@\t\r") else cell


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _settled(folder: Path) -> None:
    file: int = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def readme(plan: Plan, total: Total) -> str:
    """Return what a packet says of itself, in words."""
    left = "".join(f"  - {one}\n" for one in total.left_out)
    return f"""{plan.fonds.name} 12345 热线电子档案 归档信息包
{plan.name}

一、这是什么
本包为 12345 政务服务便民热线办件的归档电子文件，按件整理（DA/T 22-2015），以 BagIt（RFC 8493）为外层结构。
每件一个文件夹，以档号命名，内有：
  档号.pdf            卷宗（版式文件，PDF/A-3a）；“-卷N”为分卷的第N卷，“-补N”为封存之后形成的补卷
  档号-密封件.pdf     （仅举报人保密件）举报人身份信息的密文，须两名保管人各以私钥共同开启：huiyin unseal
  档号.eep.xml        电子文件封装包（DA/T 48-2009），元数据按 DA/T 46-2009
  档号.evidence.json  账本中该件全部事件的原始记录，逐条可重算
  ledger.tlog-proof   证明上述记录列入经签名的账本树头（RFC 9162 哈希树，C2SP tlog-proof）
  附件/               办理中形成的原始附件
成包前的检测结果见《四性检测报告》，未检测的项目已注明。目录见《归档文件目录》（.csv 可用表格软件打开，.xml 供系统读入）。

二、数量
年度 {plan.year}，保管期限 {PERIODS[plan.period]}，档号 {total.first or "—"} 至 {total.last or "—"}
{total.items} 件，{total.pages} 页，{total.files} 个文件，{total.bytes} 字节（不含目录、说明与登记表）
{f"未入包 {len(total.left_out)} 件：" if total.left_out else "未入包：无"}
{left}
三、来源
形成单位：{plan.fonds.name}（全宗号 {plan.fonds.code}）
制作时间：{plan.made_at.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}（北京时间），制作人：{plan.made_by}，软件：{SOFTWARE}
账本：{plan.ledger}；树头：{plan.head} 条，{plan.hash}:{plan.root}

四、怎样核验
任何一台装有 Python 3.8 以上版本的计算机，不连网络、不装其他软件，即可核验：
  python3 {VERIFIER} 本包文件夹 --policy 信任策略文件
信任策略文件写明信任谁的签名（账本公钥、见证人公钥及其人数），须从本包以外的可靠途径取得，例如随移交函送达、
由档案馆另行保存。包内不含公钥：包内自带的钥匙证明不了包本身。
没有 Python 时，用任何支持 BagIt 的工具，或逐个计算 SHA-256 与 {MANIFEST} 比较，可查文件有无改动。

五、核验能证明什么，不能证明什么
能证明：包内文件未经改动；每件的事件次序完整、无缺、未改；它们在树头签名之时已在账本之中；卷宗与附件正是账本所载者。
不能证明：当初所记内容属实；树头之后没有发生别的事。

This is a bag (RFC 8493) of filed hotline cases. Run `python3 {VERIFIER} FOLDER --policy POLICY` to check it offline. Take
the policy (whose signatures are believed) from elsewhere, never from this packet. It proves that nothing in it was changed
and that it was in the ledger when its head was signed; not that what was recorded is true, nor that nothing came later.
"""
