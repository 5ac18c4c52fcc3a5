"""全宗. Whose archives a file belongs to, and the number that it bears there (DA/T 22: 全宗号-门类·年度-期限-机构-件号)."""

from __future__ import annotations

import re

import msgspec


class Fonds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """全宗. What the archives office has told; empty where it has told nothing yet: none of it is made up."""

    name: str = ""  # 全宗名称; empty: the hotline's own name
    code: str = ""  # 全宗号: X043
    category: str = "WS"  # 门类代码: 文书
    section: str = "RX"  # 机构(问题)代码: 热线
    archives: str = ""  # 档案馆名称: who receives
    archives_code: str = ""  # 档案馆代码
    separator: str = "·"  # `.` where a receiving system refuses it in the names of files

    def reference(self, file_number: str) -> str:
        """Return the 档号 of a filed case: `X043-WS·2026-D30-RX-0007`; without a code of the fonds, what the ledger gave.

        A line of the yearly register keeps its letter: `…-RX-L0007`.
        """
        if not self.code or not file_number:
            return file_number
        year, period, number = file_number.split("-", 2)
        return f"{self.code}-{self.category}{self.separator}{year}-{period}-{self.section}-{number}"

    def unfit(self) -> str:
        """Return what of it cannot stand in a number or in the name of a file; empty where nothing is wrong."""
        for said in (self.code, self.category, self.section):
            if not re.fullmatch(r"[0-9A-Za-z]{1,20}", said):
                return f"{said!r}: 字母与数字 letters and digits"
        if self.separator not in ("·", "."):
            return f"{self.separator!r}: · 或 or ."
        return "" if self.name.strip() else "全宗名称 the name is missing"
