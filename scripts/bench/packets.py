"""Whatever byte of a packet is changed is found by both verifiers, and both say the same.

    python -m scripts.bench.packets FOLDER --policy POLICY [--changes 2000] [--seed 1] [--json]

One random bit at a time is changed in a copy: of dossiers, files, wrappers, evidence, proofs, catalogues, manifests. A change is
found where a finding names the file that it was made in, or the manifest that says otherwise.
"""

from __future__ import annotations

import importlib.util
import random
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import ModuleType

import click

from archive.inspection import inspect
from archive.packet import VERIFIER
from domain import notes
from scripts.lawbook import answer


def standalone(packet: Path) -> ModuleType:
    """Return the verifier that goes with a packet."""
    spec = importlib.util.spec_from_file_location("standalone", packet / "data" / VERIFIER)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@click.command()
@click.argument("packet", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--policy", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True)
@click.option("--changes", type=int, default=2000)
@click.option("--seed", type=int, default=1)
@click.option("--json", "as_json", is_flag=True)
def main(packet: Path, policy: Path, changes: int, seed: int, as_json: bool) -> None:
    """Change a packet so often, and ask both verifiers each time."""
    alone, chance = standalone(packet), random.Random(seed)  # noqa: S311  which byte is no secret
    said = policy.read_text(encoding="utf-8")
    trusted, believed = alone.policy_from(said), notes.policy_from(said)
    began, kinds = time.monotonic(), Counter[str]()
    unfound: list[str] = []
    differing: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(shutil.copytree(packet, Path(folder) / packet.name))
        everything = sorted(path for path in root.rglob("*") if path.is_file())
        for turn in range(changes):
            path = everything[turn % len(everything)]
            content = path.read_bytes()
            at, bit = chance.randrange(len(content)), 1 << chance.randrange(8)
            path.write_bytes(content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :])
            ours, theirs = inspect(root, believed), alone.Check(str(root), trusted).run()
            path.write_bytes(content)
            where = f"{path.relative_to(root).as_posix()} {at} {bit:#04x}"
            kinds["".join(path.suffixes) if path.suffix else path.name] += 1
            named = {one.path for one in ours.findings} | {one.by for one in ours.findings}
            if path.relative_to(root).as_posix() not in named:
                unfound.append(where)
            if {(one.what, one.path) for one in ours.findings} != {(o["what"], o["path"]) for o in theirs.findings}:
                differing.append(where)
    told = {
        "changes": changes,
        "unfound": unfound,
        "differing": differing,
        "seconds": round(time.monotonic() - began, 1),
    }
    if as_json:
        answer({**told, "kinds": dict(kinds)})
        return
    click.echo(f"{changes} changes in {told['seconds']} s: {len(unfound)} not found, {len(differing)} told otherwise")
    click.echo(", ".join(f"{kind} {count}" for kind, count in kinds.most_common()))
    for one in unfound + differing:
        click.echo(f"✗ {one}")


if __name__ == "__main__":
    main()
