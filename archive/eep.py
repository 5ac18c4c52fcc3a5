"""电子文件封装包. The wrapper of one file in XML (DA/T 48-2009, elements of DA/T 46-2009), generated from its events.

业务实体 is an event of the ledger, one to one, with its position and leaf; 文档 is a file beside the wrapper, by name,
size and digest; 电子签名 are the signatures of the head under which the history was proved. The files stay outside:
编码数据 holds their digest, as is done in practice, so that each can be opened without unpacking anything.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from xml.sax.saxutils import escape

import msgspec

from archive.fonds import Fonds
from archive.items import PERIODS, Happened, Item, parted
from domain.notes import Note
from domain.terms import SHANGHAI

NAMESPACE: Final = "http://www.saac.gov.cn/standards/ERM/encapsulation"
FORM: Final = "本EEP根据中华人民共和国档案行业标准DA/T 48-2009《基于XML的电子文件封装规范》生成"
DECODING: Final = "sha256-base64Binary"
_NOT_XML = re.compile("[^\t\n -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Node = tuple[str, "str | Sequence[Node]"]
"""An element: its name, and its text or the elements in it."""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """文档. A file of the item: in the packet, or named by an event and not in it, with the reason."""

    name: str  # below the item's folder; empty where it is not in the packet
    title: str
    format: str
    digest: str  # sha256:…
    size: int
    absent: str = ""


def wrapper(
    item: Item,
    fonds: Fonds,
    documents: Sequence[Document],
    events: Sequence[Happened],
    head: Note,
    *,
    made_at: datetime,
    software: str,
    names: dict[str, str],
) -> bytes:
    """Return the wrapper of one file; `names` are those of units by their codes."""
    content: list[Node] = [
        ("文件实体块", [("文件实体", _file(item, fonds, documents, software))]),
        ("业务实体块", [("业务实体", _act(one)) for one in events]),
        ("机构人员实体块", [("机构人员实体", one) for one in _people(events, names)]),
    ]
    signed: list[Node] = [
        ("封装包类型", "原始型"),
        ("封装包类型描述", "原始型：电子文件归档时形成；文件数据置于封装包外，编码数据为其摘要"),
        ("封装包创建时间", _instant(made_at)),
        ("封装包创建单位", fonds.name),
        ("封装内容", content),
    ]
    whole: list[Node] = [
        ("封装包格式描述", FORM),
        ("版本", "2009"),
        ("被签名对象", signed),
        ("电子签名块", [("电子签名", one) for one in _signatures(head)]),
    ]
    opening = f'<电子文件封装包 xmlns="{NAMESPACE}">'
    body = "".join(_written(node, 1) for node in whole)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{opening}\n{body}</电子文件封装包>\n'.encode()


def _file(item: Item, fonds: Fonds, documents: Sequence[Document], software: str) -> list[Node]:
    year, period, no = parted(item.file_number)
    return [
        ("聚合层次", "文件"),
        (
            "来源",
            [
                ("档案馆名称", fonds.archives),
                ("档案馆代码", fonds.archives_code),
                ("全宗名称", fonds.name),
                ("立档单位名称", fonds.name),
            ],
        ),
        ("电子文件号", item.stream),
        (
            "档号",
            [
                ("全宗号", fonds.code),
                ("年度", year),
                ("保管期限", PERIODS[period]),
                ("机构或问题", fonds.section),
                ("类别号", fonds.category),
                ("件号", no),
                ("完整档号", item.number),
            ],
        ),
        ("内容描述", _content(item)),
        (
            "形式特征",
            [
                ("文件组合类型", "组合文件" if len(documents) > 1 else "单件"),
                ("件数", "1"),
                ("页数", str(item.pages)),
                ("语种", "中文"),
                ("稿本", "正本"),
            ],
        ),
        ("存储位置", [("当前位置", f"data/{item.number}/"), ("脱机载体编号", "")]),
        ("权限管理", [("知识产权说明", ""), ("授权对象", "档案员"), ("授权行为", "查阅"), ("控制标识", item.control)]),
        ("信息系统描述", software),
        ("文件数据", [("文档", _document(n, one)) for n, one in enumerate(documents, 1)]),
    ]


def _content(item: Item) -> list[Node]:
    return [
        ("题名", item.title),
        ("并列题名", ""),
        ("主题词", item.category),
        ("关键词", "; ".join(one for one in (item.demand, item.district, item.closure) if one)),
        ("人名", ""),
        ("摘要", ""),
        ("文件编号", item.order_number),
        ("责任者", item.responsible),
        ("日期", item.day),
        ("起始日期", f"{item.registered.astimezone(SHANGHAI):%Y%m%d}"),
        ("截止日期", item.day),
        ("紧急程度", ""),
        ("主送", ""),
        ("抄送", ""),
        ("密级", item.secrecy),
        ("保密期限", ""),
    ]


def _document(ordinal: int, one: Document) -> list[Node]:
    kind, _, hexadecimal = one.digest.partition(":")
    data = base64.b64encode(bytes.fromhex(hexadecimal)).decode("ascii")
    stored = "未随包：" + one.absent if one.absent else "文件存于封装包外，编码数据为其摘要"
    return [
        ("文档标识符", f"文档{ordinal}"),
        ("文档序号", str(ordinal)),
        ("文档主从声明", "主文档" if ordinal == 1 else "附属文档"),
        ("题名", one.title),
        (
            "编码",
            [
                (
                    "电子属性",
                    [("格式信息", one.format), ("计算机文件名", one.name), ("计算机文件大小", str(one.size))],
                ),
                ("编码描述", stored),
                ("反编码关键字", DECODING if kind == "sha256" else f"{kind}-base64Binary"),
                ("编码数据", data),
            ],
        ),
    ]


def _act(one: Happened) -> list[Node]:
    return [
        ("业务标识符", f"业务{one.version}"),
        ("机构人员标识符", one.who),
        ("业务状态", "历史行为"),
        ("业务行为", one.what),
        ("行为时间", _instant(one.at)),
        ("行为依据", one.basis),
        ("行为描述", described(one.topic, one.version, one.position, one.leaf)),
    ]


def described(topic: str, version: int, position: int, leaf: str) -> str:
    """Return what ties a 业务实体 to its event: the verifiers compute the same line from the evidence."""
    return f"{topic}; 版本 {version}; 账本位置 {position}; 叶 {leaf}"


def _people(events: Sequence[Happened], names: dict[str, str]) -> Iterable[list[Node]]:
    people = dict.fromkeys((one.who, one.role, one.unit) for one in events)
    for who, role, unit in people:
        yield [
            ("机构人员标识符", who),
            ("机构人员类型", "个人" if role != "系统" else "系统"),
            ("机构人员名称", who),
            ("组织机构代码", unit),
            ("机构名称", names.get(unit, "")),
            ("个人职位", role),
        ]


def _signatures(head: Note) -> Iterable[list[Node]]:
    for n, one in enumerate(head.signatures, 1):
        yield [
            ("签名标识符", f"签名{n}"),
            ("签名规则", "C2SP signed note：对树头签名，见同目录 ledger.tlog-proof；公钥不在包内"),
            ("签名时间", ""),
            ("签名人", one.name),
            ("签名结果", base64.b64encode(one.id + one.said).decode("ascii")),
            ("签名算法标识", "Ed25519"),
        ]


def _instant(at: datetime) -> str:
    return at.astimezone(SHANGHAI).isoformat(timespec="milliseconds")


def fitting(said: str) -> str:
    """Return a text that XML can hold: what XML 1.0 has no place for becomes U+FFFD."""
    return _NOT_XML.sub("\ufffd", said)


def text(said: str) -> str:
    """Return a text as it is written into XML."""
    return escape(fitting(said))


def _written(node: Node, depth: int) -> str:
    name, inside = node
    indent = "  " * depth
    if isinstance(inside, str):
        return f"{indent}<{name}>{text(inside)}</{name}>\n" if inside else f"{indent}<{name}/>\n"
    return f"{indent}<{name}>\n{''.join(_written(one, depth + 1) for one in inside)}{indent}</{name}>\n"
