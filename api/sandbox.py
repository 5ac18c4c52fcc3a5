"""培训演练. A city to try things in: the same API, and one operation more, which makes it anew."""

from __future__ import annotations

import asyncio

from api.asking import PATIENCE, Answer, Ask
from api.problems import NotASandbox, NotForThisRole, SandboxResetting
from domain.terms import Role


async def reset(ask: Ask) -> Answer:
    """Make a sandbox anew, and answer when it is served. Raises NotASandbox for a city in earnest."""
    if ask.who.role is not Role.ADMIN:
        raise NotForThisRole
    if not ask.city.sandbox or ask.house.reset is None or not (await ask.city.law(fresh=True)).sandbox:
        raise NotASandbox(ask.city.name)
    before = ask.city.ledger.imprint.ledger_id
    await ask.house.reset(ask.city.name)
    until = asyncio.get_running_loop().time() + PATIENCE
    while (now := ask.house.cities[ask.city.name]).ledger.imprint.ledger_id == before:
        if asyncio.get_running_loop().time() > until:
            raise SandboxResetting
        await asyncio.sleep(0.05)
    position, _ = await now.ledger.head()
    law = await now.law()
    body = {"city": now.name, "ledger": now.ledger.imprint.ledger_id, "position": position, "code": law.city_code}
    return Answer(body, headers={"Ledger-Position": str(position), "Huiyin-Ledger": body["ledger"]})
