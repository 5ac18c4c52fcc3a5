"""A process beside an import that decides: `python -m scripts.importing.decider`, started by `beside.Helpers`.

It reads pages of rows from its input and answers each on its output, until its input ends.
"""

from __future__ import annotations

import asyncio
import sys

from scripts import embedded, wiring
from scripts.importing.beside import framed, heard
from scripts.importing.deciding import Decided, collecting_seldom, decide, open_table
from scripts.importing.mapping import Mapping
from scripts.importing.summary import Stopped


def main() -> None:
    """Decide what is asked on stdin and answer on stdout, until there is no more."""
    told = heard(sys.stdin.buffer)
    if told is not None:
        city, mapping, assume = told
        with collecting_seldom():
            asyncio.run(_serve(wiring.database(), city, mapping, assume))


async def _serve(database: embedded.Database, city: str, mapping: Mapping, assume: str | None) -> None:
    async with await wiring.open_city(database, city) as ledger:
        table = await open_table(ledger, mapping, assume)
        while (rows := heard(sys.stdin.buffer)) is not None:
            try:
                answer: list[Decided] | str = await decide(ledger, table, rows)
            except Stopped as error:
                answer = str(error)
            sys.stdout.buffer.write(framed(answer))
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
