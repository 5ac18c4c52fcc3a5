"""Whatever byte of a packet is changed is found by both verifiers, and both say the same.

    python -m scripts.bench.packets FOLDER --policy POLICY [--changes 2000] [--seed 1] [--json]

One random bit at a time is changed in a copy: of dossiers, files, wrappers, evidence, proofs, catalogues, manifests. A change is
found where a finding names the file that it was made in, or the manifest that says otherwise.

    python -m scripts.bench.packets --cases 1000 --cases 10000 [--cases 100000] [--json]

How much memory a packet of so many cases takes, step by step (`scripts/bench/packing`), each size in a process of its own.
"""

from __future__ import annotations

import importlib.util
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import click
import msgspec

import archive
from archive.inspection import inspect
from archive.packet import VERIFIER
from domain import notes
from scripts.bench import packing, trial
from scripts.lawbook import answer


def standalone(folder: Path) -> ModuleType:
    """Return the verifier that goes with a packet, from the folder it lies in."""
    spec = importlib.util.spec_from_file_location("standalone", folder / VERIFIER)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@click.command()
@click.argument("packet", type=click.Path(exists=True, file_okay=False, path_type=Path), required=False)
@click.option("--policy", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--changes", type=int, default=2000)
@click.option("--seed", type=int, default=1)
@click.option("--cases", type=click.IntRange(10), multiple=True, help="Measure the memory of packets of so many cases.")
@click.option("--measure", type=int, hidden=True, help="Be the process that one size is measured in.")
@click.option("--json", "as_json", is_flag=True)
def main(
    packet: Path | None,
    policy: Path | None,
    changes: int,
    seed: int,
    cases: tuple[int, ...],
    measure: int | None,
    as_json: bool,
) -> None:
    """Change a packet so often, and ask both verifiers each time; or measure what packets take."""
    if measure is not None:
        answer(_measured(measure))
    elif cases:
        _sizes(cases, as_json=as_json)
    elif packet is not None and policy is not None:
        _changed(packet, policy, changes, seed, as_json=as_json)
    else:
        raise click.UsageError("PACKET --policy POLICY, or --cases N")


# --- memory ------------------------------------------------------------------------------------------------------

SLOW = 10_000
"""Cases above which nothing is checked, only made and sent: the checks take hours, and what they take is told by fewer."""


def _measured(count: int) -> packing.Measured:
    packing.cleared()
    with tempfile.TemporaryDirectory() as folder:

        def alone(root: Path) -> int:
            found = standalone(Path(archive.__file__).parent)
            return len(found.Check(str(root), found.policy_from(notes.policy_text(packing.POLICY))).run().findings)

        return packing.measured(count, Path(folder), alone=alone if count <= SLOW else None)


def _sizes(cases: Sequence[int], *, as_json: bool) -> None:
    """Measure each size in a process of its own."""
    found: list[packing.Measured] = []
    for count in cases:
        words = [sys.executable, "-m", "scripts.bench.packets", "--measure", str(count)]
        done = subprocess.run(words, stdout=subprocess.PIPE, check=True)
        found.append(msgspec.json.decode(done.stdout, type=packing.Measured))
        click.echo(f"{count:,} cases: {sum(step.seconds for step in found[-1].steps):.0f} s", err=True)
    if as_json:
        answer(found)
        return
    steps = list(dict.fromkeys(step.name for one in found for step in one.steps))
    rows = [("before", *(f"{one.before:.0f}" for one in found))]
    for name in steps:
        peaks = [next((f"{step.peak:.0f}" for step in one.steps if step.name == name), "—") for one in found]
        rows.append((name, *peaks))
    rows.append(("files", *(f"{one.files:,}" for one in found)))
    rows.append(("MB on disk", *(f"{one.bytes / 1e6:,.0f}" for one in found)))
    rows.append(("what does not hold", *(f"{one.findings}" for one in found)))
    trial.show("most memory in each step, MB", ("", *(f"{one.cases:,} cases" for one in found)), rows)
    click.echo("made-up cases with one small PDF for each dossier; all that says what they are is real and verifies")


# --- changes -----------------------------------------------------------------------------------------------------


def _changed(packet: Path, policy: Path, changes: int, seed: int, *, as_json: bool) -> None:
    """Change a packet so often, and ask both verifiers each time."""
    alone, chance = standalone(packet / "data"), random.Random(seed)  # noqa: S311  which byte is no secret
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
