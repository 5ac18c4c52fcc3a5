"""验包. What a packet of filed cases proves to whoever believes a policy, and what in it does not hold, and where.

`verify_standalone.py` asks the same with nothing but Python, for a time when this program is gone. Neither uses the
other: two who wrote it down separately have to come to the same verdict.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import msgspec

from archive.eep import DECODING, NAMESPACE, described
from archive.items import COLUMNS
from archive.packet import BAGIT, CATALOGUE, MANIFEST, PROOF, TAGS, plain
from domain import evidence
from domain.evidence import Evidence, Unproven
from domain.notes import Policy
from domain.refusals import Refusal
from domain.terms import SHANGHAI

INFO: Final = "bag-info.txt"
TAG_FILES: Final = (INFO, "bagit.txt", MANIFEST)
_LINE = re.compile(rb"([0-9a-f]{64})  ([^\r\0]+)")
_FOLDER = re.compile(r".*?[·.](\d{4})-(Y|D30|D10)-[0-9A-Za-z]+-(\d{4,})", re.DOTALL)


class NoPacket(Refusal):
    """不是归档信息包。This folder is no packet of filed cases."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """不符. Something that does not hold: what kind of thing, in which file, by which other file, and in words."""

    what: str
    path: str
    by: str = ""
    said: str


class Inspected(msgspec.Struct, kw_only=True):
    """What a check came to."""

    items: int = 0
    files: int = 0
    bytes: int = 0
    events: int = 0
    findings: list[Finding] = []
    heads: dict[int, str] = {}
    witnesses: dict[str, str] = {}
    remarks: list[str] = []

    @property
    def holds(self) -> bool:
        """Tell whether all of it holds."""
        return not self.findings


Files = dict[str, tuple[str, int]]
"""Digest in hexadecimal and size of the files of a case, by their names in its folder."""


def inspect(root: Path, policy: Policy, told: Callable[[str], None] | None = None) -> Inspected:
    """Check a packet wholly; `told` is the name of each case that was looked into. Raises NoPacket."""
    if not root.is_dir():
        raise NoPacket(str(root))
    done = Inspected()
    inspection = _Inspection(root, policy, done)
    if inspection.bag():
        names = sorted(path.name for path in (root / "data").iterdir() if _is_one(path, folder=True))
        spoilt = {one.path.split("/")[1] for one in done.findings if one.path.count("/") >= 2}
        for name in names:
            done.items += 1
            if name not in spoilt:
                inspection.case(name)
            if told is not None:
                told(name)
        inspection.catalogue(names)
    if not done.items:
        inspection.found("bag", "data", "包内没有一件档案 there is no case in the packet")
    return done


def inspect_case(root: Path, policy: Policy, name: str) -> Inspected:
    """Check one case of a packet, or of one that is being made."""
    done = Inspected(items=1)
    _Inspection(root, policy, done).case(name)
    for path in (root / "data" / name).rglob("*"):
        if path.is_file():
            done.files, done.bytes = done.files + 1, done.bytes + path.stat().st_size
    return done


class _Inspection:
    """The check of one packet, as far as it has come."""

    def __init__(self, root: Path, policy: Policy, done: Inspected) -> None:
        self.root = root
        self.policy = policy
        self.done = done
        self.described: dict[str, list[str]] = {}
        self.streams: dict[str, str] = {}

    def found(self, what: str, path: str, said: str, by: str = "") -> None:
        self.done.findings.append(Finding(what=what, path=path, by=by, said=said))

    # --- 外层 ---

    def bag(self) -> bool:
        """Check manifests and digests; tell whether there is anything to look into."""
        there = {path.name for path in self.root.iterdir()}
        wanted = {*TAG_FILES, TAGS, "data"}
        for name in sorted(there - wanted):
            self.found("unlisted", name, "清单以外的文件 a file that no manifest names")
        for name in sorted(wanted - there):
            self.found("missing", name, "缺失 it is missing")
        unfit = [name for name in sorted(wanted & there) if not _is_one(self.root / name, folder=name == "data")]
        for name in unfit:
            self.found("unlisted", name, "不是文件 it is no file")
        if unfit or wanted - there:
            return False
        self._tags()
        said, actual = self._manifest(MANIFEST), set(self._walked())
        for path in sorted(said.keys() - actual):
            self.found("missing", path, "缺失 it is missing", MANIFEST)
        for path in sorted(actual - said.keys()):
            self.found("unlisted", path, "清单以外的文件 a file that no manifest names", MANIFEST)
        for path in sorted(actual & said.keys()):
            digest, size = _digest(self.root / path)
            self.done.files, self.done.bytes = self.done.files + 1, self.done.bytes + size
            if digest != said[path]:
                self.found("changed", path, "与清单摘要不符 not of the digest that the manifest says", MANIFEST)
        return True

    def _tags(self) -> None:
        said = self._manifest(TAGS)
        for name in sorted(said.keys() ^ set(TAG_FILES)):
            self.found("bag", TAGS, f"应列 it names {', '.join(TAG_FILES)}: {name}", TAGS)
        for name in sorted(said.keys() & set(TAG_FILES)):
            if _digest(self.root / name)[0] != said[name]:
                self.found("changed", name, "与清单摘要不符 not of the digest that the manifest says", TAGS)
        if (self.root / "bagit.txt").read_bytes() != BAGIT:
            self.found("bag", "bagit.txt", "BagIt-Version: 1.0, UTF-8")

    def _manifest(self, name: str) -> dict[str, str]:
        """Return the digests that a manifest says by paths; what is no line of one is found."""
        *lines, last = (self.root / name).read_bytes().split(b"\n")
        said: dict[str, str] = {}
        for line in [*lines, *([last] if last else [])]:
            path = _path_of(line) if line is not last else ""
            if not path or path in said or (name == MANIFEST and not path.startswith("data/")):
                self.found("bag", name, "一行不合格式或重复 a line that is none, or comes twice", name)
            else:
                said[path] = line[:64].decode("ascii")
        return said

    def _walked(self) -> Iterator[str]:
        """Yield the path of every file of the payload; what is no file is found."""
        for folder, folders, names in os.walk(self.root / "data"):
            place = Path(folder)
            for name in [*names, *(one for one in folders if (place / one).is_symlink())]:
                path = (place / name).relative_to(self.root).as_posix()
                if (place / name).is_symlink() or not (place / name).is_file():
                    self.found("unlisted", path, "不是文件 it is no file")
                else:
                    yield path

    # --- 目录 ---

    def catalogue(self, names: Sequence[str]) -> None:
        """Hold both catalogues against the folders, and the total against what was read."""
        total = re.search(
            rb"^Payload-Oxum: ([0-9]{1,20})\.([0-9]{1,20})$", (self.root / INFO).read_bytes(), re.MULTILINE
        )
        if total is None or (int(total[1]), int(total[2])) != (self.done.bytes, self.done.files):
            self.found("size", INFO, f"应为 it should be {self.done.bytes}.{self.done.files}")
        before: list[list[str]] | None = None
        for ending, read in ((".xml", _rows_of_xml), (".csv", _rows_of_csv)):
            path = f"data/{CATALOGUE}{ending}"
            try:
                rows = read((self.root / path).read_bytes() if (self.root / path).is_file() else b"")
            except (OSError, ValueError, ET.ParseError, csv.Error) as error:
                self.found("catalogue", path, f"读不出 it cannot be read: {type(error).__name__}")
                continue
            numbered = [row[0] for row in rows] == [f"{n}" for n in range(1, len(rows) + 1)]
            if sorted(row[1] for row in rows) != list(names) or not numbered:
                self.found("catalogue", path, "与文件夹不符 not the folders that there are")
            elif before is not None and rows != before:
                self.found("catalogue", path, "与 .xml 不同 not as in .xml")
            elif any(self.described.get(row[1], row[2:8]) != row[2:8] for row in rows):
                self.found("catalogue", path, "与封装包不同 not as the wrappers say")
            before = before or rows

    # --- 一件 ---

    def case(self, name: str) -> None:
        """Check one case."""
        folder, place = f"data/{name}", self.root / "data" / name
        files: Files = {
            path.relative_to(place).as_posix(): _digest(path) for path in sorted(place.rglob("*")) if path.is_file()
        }
        lacking = [
            one for one in (f"{name}.pdf", f"{name}.eep.xml", f"{name}.evidence.json", PROOF) if one not in files
        ]
        for one in lacking:
            self.found("missing", f"{folder}/{one}", "缺失 it is missing")
        if lacking:
            return
        where = f"{folder}/{name}.evidence.json"
        try:
            found = evidence.read((self.root / where).read_bytes())
            leaves = evidence.leaves_of(found)
            _in_full(found)
        except Unproven as error:
            self.found("evidence", where, f"{error}")
            return
        self.done.events += len(leaves)
        if (first := self.streams.setdefault(found.stream, name)) != name:
            self.found("number", folder, f"同一案件已在包内 the same case is in the packet as {first}")
        if (place / PROOF).read_bytes() != found.proof.encode():
            self.found("proof", f"{folder}/{PROOF}", "与 evidence.json 所载不同 not as in evidence.json")
        try:
            held = evidence.check(found, self.policy)
            self.done.heads[held.head] = held.root
            self.done.witnesses.update(held.witnesses)
        except Unproven as error:
            self.found("head", f"{folder}/{PROOF}", f"{error}")
        absent = self._recorded(folder, name, found, files)
        self._wrapped(folder, name, found, leaves, files, absent)

    def _recorded(self, folder: str, name: str, found: Evidence, files: Files) -> dict[str, int]:
        """Hold dossier, files and number against what events say of them; return the files that are not here."""
        states = [(one.topic, _record(one.state.text), _record(one.record.text)) for one in found.events]
        parts, number = _FOLDER.fullmatch(name), _number(states)
        if parts is None or f"{parts[1]}-{parts[2]}-{parts[3]}" != number:
            self.found("number", folder, f"账本所给档号 the ledger gave {number or '—'}")
        expected = _copies(states, name)
        for one, digest in sorted(expected.items()):
            if one not in files:
                self.found("missing", f"{folder}/{one}", "缺失 it is missing")
            elif f"sha256:{files[one][0]}" != digest:
                self.found("dossier", f"{folder}/{one}", f"入账的卷宗摘要 the digest that was recorded: {digest}")
        if not expected:
            self.found("dossier", f"{folder}/{name}.pdf", "账本未载卷宗摘要 no dossier was recorded")
        named = {digest: size for _, state, _ in states for digest, size in _named(state)}
        for one, (digest, size) in sorted(files.items()):
            if one.startswith("附件/") and named.get(f"sha256:{digest}") != size:
                self.found("attachment", f"{folder}/{one}", "账本未载此附件 no event names this file")
        present = {f"sha256:{digest}" for digest, _ in files.values()}
        return {digest: size for digest, size in named.items() if digest not in present}

    def _wrapped(
        self, folder: str, name: str, found: Evidence, leaves: Sequence[bytes], files: Files, absent: dict[str, int]
    ) -> None:
        """Hold the wrapper against the files and the events."""
        path = f"{folder}/{name}.eep.xml"
        try:
            wrapped = _wrapper((self.root / path).read_bytes())
        except (ValueError, ET.ParseError) as error:
            self.found("wrapper", path, f"读不出 it cannot be read: {error}")
            return
        self.described[name] = [plain(cell) for cell in wrapped.row]
        if (wrapped.number, wrapped.stream) != (name, found.stream):
            self.found("wrapper", path, "档号或电子文件号不符 of another number or record")
        actual = {one: said for one, said in files.items() if one != f"{name}.eep.xml"}
        if wrapped.inside != actual or wrapped.absent != absent or wrapped.twice:
            differing = {
                one for one in wrapped.inside.keys() | actual.keys() if wrapped.inside.get(one) != actual.get(one)
            }
            for one in sorted(differing):
                self.found("wrapper", f"{folder}/{one}", "与封装包所载不符 not as the wrapper says", path)
            for one in sorted(wrapped.absent.keys() ^ absent.keys()):
                self.found("attachment", folder, f"附件缺失或未说明 a file is missing and not explained: {one}", path)
        if wrapped.acts != _acts(found, leaves):
            self.found("wrapper", path, "业务实体与事件不符 what happened is not as the events say")
        if absent:
            self.done.remarks.append(f"{name}: {len(absent)} 个附件未随包 files are not in the packet")


# --- what events say ---------------------------------------------------------------------------------------------


def _in_full(found: Evidence) -> None:
    for event in found.events:
        if not event.state.salt or not event.record.salt:
            raise Unproven(event.position, "全文 in full", "摘要 digests only")


def _acts(found: Evidence, leaves: Sequence[bytes]) -> list[tuple[str, str, str]]:
    made: list[tuple[str, str, str]] = []
    for event, leaf in zip(found.events, leaves, strict=True):
        at = datetime.fromisoformat(event.recorded_at if event.occurred_at == "-" else event.occurred_at)
        said = described(event.topic, event.version, event.position, f"{found.hash}:{leaf.hex()}")
        made.append((f"业务{event.version}", at.astimezone(SHANGHAI).isoformat(timespec="milliseconds"), said))
    return made


def _record(text: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


States = Sequence[tuple[str, Mapping[str, Any], Mapping[str, Any]]]
"""Topic, state and commit record of each event."""


def _number(states: States) -> str:
    """Return the number that the ledger gave: year of closure, period, running number."""
    found = ""
    for topic, state, commit in states:
        if topic == "order.order_archived":
            found = state.get("file_number") or next(
                (
                    f"{series.rpartition('-')[2]}-{series.rpartition('-')[0]}-{given[0]:04d}"
                    for kind, _, series in ((*journal.partition("/"),) for journal in commit.get("numbers") or {})
                    if kind == "file" and (given := commit["numbers"][f"file/{series}"])
                ),
                "",
            )
    return found


def _copies(states: States, name: str) -> dict[str, str]:
    """Return the digests of the record copy's volumes, and of what came after the sealing, by the names of their files."""
    full = [state for topic, state, _ in states if topic == "order.dossier_rendered" and state.get("edition") == "full"]
    volumes = {str(one.get("digest")): _further(one) for one in full}
    recorded = list(volumes)
    sealed = [str(state.get("dossier") or "") for topic, state, _ in states if topic == "order.archive_package_sealed"]
    if not recorded:
        return {}
    kept = sealed[-1] if sealed else ""
    first = recorded.index(kept) if kept in recorded else len(recorded) - 1
    after = recorded[first + 1 :] if kept else []
    found: dict[str, str] = {}
    for n, digest in enumerate((recorded[first], *after)):
        stem = f"{name}-补{n}" if n else name
        found[f"{stem}.pdf"] = digest
        found.update({f"{stem}-卷{no}.pdf": one for no, one in enumerate(volumes[digest], 2)})
    parts = [s for topic, s, _ in states if topic == "order.dossier_rendered" and s.get("edition") == "sealed"]
    return found | {f"{name}-密封件.pdf": str(one.get("digest")) for one in parts[-1:]}


def _further(state: Mapping[str, Any]) -> list[str]:
    """Return the digests of a copy's volumes behind the first."""
    said = state.get("further")
    return [str(one.get("digest")) for one in said if isinstance(one, dict)] if isinstance(said, list) else []


def _named(value: object) -> Iterator[tuple[str, int]]:
    """Yield digest and size of every file that an event names."""
    match value:
        case {"digest": str(digest), "size": int(size), "media_type": _}:
            yield digest, size
        case dict():
            for one in value.values():
                yield from _named(one)
        case list():
            for one in value:
                yield from _named(one)
        case _:
            return


# --- what wrappers and catalogues say ----------------------------------------------------------------------------


class _Wrapper(msgspec.Struct, frozen=True):
    """What a wrapper says that can be held against something."""

    number: str
    stream: str
    row: list[str]
    inside: Files
    absent: dict[str, int]
    twice: bool
    acts: list[tuple[str, str, str]]


def _tree(said: bytes) -> ET.Element:
    if b"<!" in said:
        raise ValueError("DOCTYPE")
    said.decode()
    if not said.startswith(b'<?xml version="1.0" encoding="UTF-8"?>'):
        raise ValueError("UTF-8")
    return ET.fromstring(said)  # noqa: S314  definitions, which alone are dangerous, were refused


def _tag(*names: str) -> str:
    return "/".join(f"{{{NAMESPACE}}}{name}" for name in names)


def _wrapper(said: bytes) -> _Wrapper:
    """Return what a wrapper says. Raises ValueError."""
    tree = _tree(said)
    content = tree.find(_tag("被签名对象", "封装内容"))
    one = None if content is None else content.find(_tag("文件实体块", "文件实体"))
    if tree.tag != _tag("电子文件封装包") or content is None or one is None:
        raise ValueError("电子文件封装包")
    inside: Files = {}
    absent: dict[str, int] = {}
    documents = one.findall(_tag("文件数据", "文档"))
    for document in documents:
        if document.findtext(_tag("编码", "反编码关键字")) != DECODING:
            raise ValueError("反编码关键字")
        digest = _from_base64(document.findtext(_tag("编码", "编码数据")) or "")
        size = document.findtext(_tag("编码", "电子属性", "计算机文件大小")) or ""
        if not re.fullmatch("[0-9]{1,20}", size) or str(int(size)) != size:
            raise ValueError("计算机文件大小")
        name = document.findtext(_tag("编码", "电子属性", "计算机文件名")) or ""
        if name:
            inside[name] = digest, int(size)
        else:
            absent[f"sha256:{digest}"] = int(size)
    names = [_tag("内容描述", name) for name in ("文件编号", "责任者", "题名", "日期", "密级")]
    acts = [
        tuple(act.findtext(_tag(name)) or "" for name in ("业务标识符", "行为时间", "行为描述"))
        for act in content.findall(_tag("业务实体块", "业务实体"))
    ]
    return _Wrapper(
        number=one.findtext(_tag("档号", "完整档号")) or "",
        stream=one.findtext(_tag("电子文件号")) or "",
        row=[one.findtext(name) or "" for name in (*names, _tag("形式特征", "页数"))],
        inside=inside,
        absent=absent,
        twice=len(inside) + len(absent) != len(documents),
        acts=[(ordinal, at, said) for ordinal, at, said in acts],
    )


def _from_base64(said: str) -> str:
    found = base64.b64decode(said, validate=True)
    if base64.b64encode(found).decode("ascii") != said:
        raise ValueError("编码数据")
    return found.hex()


def _rows_of_xml(said: bytes) -> list[list[str]]:
    rows = list(_tree(said))
    if any([cell.tag for cell in row] != list(COLUMNS) for row in rows):
        raise ValueError(COLUMNS)
    return [[plain(cell.text or "") for cell in row] for row in rows]


def _rows_of_csv(said: bytes) -> list[list[str]]:
    if not said.startswith(b"\xef\xbb\xbf"):
        raise ValueError("BOM")
    rows = list(csv.reader(io.StringIO(said[3:].decode(), newline=""), strict=True))
    if not rows or rows[0] != list(COLUMNS) or any(len(row) != len(COLUMNS) for row in rows):
        raise ValueError(COLUMNS)
    return rows[1:]


# --- files -------------------------------------------------------------------------------------------------------


def _path_of(line: bytes) -> str:
    """Return the path of a manifest's line; empty where it is none."""
    found = _LINE.fullmatch(line)
    try:
        path = found[2].decode() if found else ""
    except UnicodeDecodeError:
        return ""
    return "" if path.startswith("/") or any(part in {"", ".", ".."} for part in path.split("/")) else path


def _is_one(path: Path, *, folder: bool = False) -> bool:
    """Tell whether a path is a file, or a folder, and no link to one elsewhere."""
    return not path.is_symlink() and (path.is_dir() if folder else path.is_file())


def _digest(path: Path) -> tuple[str, int]:
    """Return the SHA-256 of a file in hexadecimal, and its size."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return digest, file.tell()
