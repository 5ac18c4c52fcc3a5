"""Every way a command is refused: one class a reason.

The docstring is what the caller reads: the sentence in Chinese, then in English. `basis` names the article it rests
on, `field` the field of the command that is meant. The stable code is the class name in kebab-case.
"""

from __future__ import annotations

import re
from typing import ClassVar


class Refusal(Exception):
    """命令被拒绝。The command was refused."""

    basis: ClassVar[str] = ""
    field: ClassVar[str] = ""

    def __init__(self, detail: str = "", **facts: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts

    @classmethod
    def code(cls) -> str:
        """Return the stable code: the class name in kebab-case."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", cls.__name__).lower()

    @property
    def sentence(self) -> str:
        """Return what the caller reads: Chinese first, English second."""
        return " ".join((type(self).__doc__ or "").split())

    def __str__(self) -> str:
        parts = [f"[{self.code()}] {self.sentence}"]
        if self.detail:
            parts.append(self.detail)
        if self.basis:
            parts.append(f"依据 basis: {self.basis}")
        return " · ".join(parts)


# --- who and whether at all --------------------------------------------------------------------------------------


class RoleNotAllowed(Refusal):
    """该角色无权执行此操作。This role may not give this command."""

    basis = "DOMAIN 4.1"


class NotYourUnit(Refusal):
    """本单位不是该工单的承办单位。Your unit does not hold this assignment."""

    basis = "DOMAIN 3.3"


class UnknownOrder(Refusal):
    """工单不存在。There is no such order."""


class UnknownStream(Refusal):
    """没有这样的记录流。There is no such stream."""


class WrongState(Refusal):
    """工单当前状态不允许此操作。The order's present state does not allow this command."""

    basis = "DOMAIN 3.3"


class SelfApproval(Refusal):
    """本人提出的事项不得由本人审批。Nobody decides what they proposed themselves."""

    basis = "DOMAIN 4.1, 8.12"
