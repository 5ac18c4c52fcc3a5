"""The tidy test: what STYLE asks of the tree, asked by a machine.

Every check is a function from text to findings; beside each claim about the tree stands a sample it must find.
"""

import ast
import configparser
import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, metadata, packages_distributions
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
ROOMS = ("domain", "projections", "supervision", "archive", "api", "scripts")
LONGEST_FUNCTION = 70
EMPTY_NAMES = re.compile(r"(^|_)(util|utils|helper|helpers|manager|managers|service|services|misc|common)(_|$)")

SQL = re.compile(
    r"\b(SELECT\b[\s\S]+\bFROM|INSERT\s+INTO|UPDATE\s+\S+\s+SET|DELETE\s+FROM|TRUNCATE|COPY\s+\S+\s+(FROM|TO)"
    r"|(CREATE|ALTER|DROP)\s+(TABLE|SCHEMA|ROLE|USER|INDEX|VIEW|DATABASE)|(GRANT|REVOKE)\s+\S+[\s\S]+\b(ON|TO|FROM))\b"
    r"|^\s*(?i:select\s+\S[\s\S]*?\sfrom|insert\s+into|update\s+\S+\s+set|delete\s+from|create\s+table)\s"
)
MACHINE_PATH = re.compile(r"(?<![\w.~/$}-])/(?:home|root|Users|mnt|work|workspace)/[\w.]+")
INDEX_URL = re.compile(r"\w+://\S+/simple\b")


# ── reading the tree ────────────────────────────────────────────────────────────────────────────────────────────────


def git(*words: str) -> str | None:
    """Return what git says, or None on a machine or in a copy without it."""
    try:
        done = subprocess.run(["git", *words], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout


def tracked() -> list[Path]:
    """Return the files that a stranger gets: git's, or in a plain copy all that is not hidden or made."""
    listed = git("ls-files", "-z")
    if listed:
        found = [CHECKOUT / name for name in listed.split("\0") if name]
    else:
        inside = (path.relative_to(CHECKOUT) for path in CHECKOUT.rglob("*"))
        found = [CHECKOUT / path for path in inside if not re.search(r"(^|/)(\.(?!ci)|__pycache__|var/)", f"{path}")]
    return [path for path in found if path.is_file()]


def texts() -> Iterator[tuple[Path, str]]:
    for path in tracked():
        content = path.read_bytes()
        if b"\0" not in content[:4096]:
            yield path, content.decode(errors="replace")


def rooms() -> list[str]:
    return [room for room in ROOMS if any((CHECKOUT / room).rglob("*.py"))]


def sources(*suffixes: str) -> list[Path]:
    return sorted(path for room in rooms() for suffix in suffixes for path in (CHECKOUT / room).rglob(f"*{suffix}"))


def module_name(path: Path) -> str:
    parts = path.relative_to(CHECKOUT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def pyproject() -> dict:
    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text())


# ── the checks, each a function from text to findings ───────────────────────────────────────────────────────────────


def long_functions(source: str) -> list[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    lengths = ((node.name, (node.end_lineno or node.lineno) - node.lineno + 1) for node in functions)
    return [f"{name}: {lines} lines" for name, lines in lengths if lines > LONGEST_FUNCTION]


def is_text_alone(parent: ast.AST, node: ast.AST) -> bool:
    return isinstance(parent, ast.Expr) and parent.value is node


def strings(source: str) -> Iterator[str]:
    """Yield every string of a module but docstrings; an f-string as one, with its holes left out."""
    for parent in ast.walk(ast.parse(source)):
        for node in ast.iter_child_nodes(parent):
            if is_text_alone(parent, node):
                continue
            if isinstance(node, ast.JoinedStr):
                yield "…".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
            elif (
                isinstance(node, ast.Constant) and isinstance(node.value, str) and not isinstance(parent, ast.JoinedStr)
            ):
                yield node.value


def sql_strings(source: str) -> list[str]:
    return [text.strip()[:60] for text in strings(source) if SQL.search(text)]


def imports(source: str, package: str = "") -> set[str]:
    """Return the dotted names a module imports; for `from a import b` both a and a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=aliases):
                names |= {alias.name for alias in aliases}
            case ast.ImportFrom(module=module, names=aliases, level=0) if module:
                names |= {module} | {f"{module}.{alias.name}" for alias in aliases}
            case ast.ImportFrom():
                names.add(package)
            case _:
                pass
    return names


def dead_modules(modules: dict[str, str], entry_points: Iterable[str]) -> list[str]:
    """Return modules nothing imports, that cannot be started either. A package's own docstring is alive."""
    used = set(entry_points).union(*(imports(source) - {name} for name, source in modules.items()))
    guard = re.compile(r'^if __name__ == "__main__":', re.MULTILINE)
    rooms = {name.rpartition(".")[0] for name in modules}
    return [name for name, source in modules.items() if name not in used | rooms and not guard.search(source)]


def foreign_words(text: str, words: Iterable[re.Pattern[str]]) -> list[str]:
    return [found.group() for word in words if (found := word.search(text))]


def lock_pins(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([\w.+!]+)", lock, re.MULTILINE))


def lock_faults(lock: str) -> list[str]:
    faults = re.findall(r"^.*(?:://|--(?:extra-)?index|--find-links|^\S+ @ ).*$", lock, re.MULTILINE)
    entries = re.split(r"\n(?=[\w-])", lock)
    return faults + [entry[:60] for entry in entries if re.match(r"[\w-]", entry) and "--hash=sha256:" not in entry]


def distribution_name(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0]).lower()


def provided(requirement: str) -> set[str]:
    """Return the distributions a requirement names: its own, and those of its extras."""
    name, extras = (
        distribution_name(requirement),
        re.findall(r"[\w-]+", requirement.partition("[")[2].partition("]")[0]),
    )
    try:
        needs = metadata(name).get_all("Requires-Dist") or []
    except PackageNotFoundError:
        needs = []
    by_extra = {need for need in needs for extra in extras if re.search(rf"extra == ['\"]{extra}['\"]", need)}
    return {name} | {distribution_name(need) for need in by_extra}


def undeclared(names: Iterable[str], declared: Iterable[str]) -> list[str]:
    """Return imported third-party names whose distribution is not among the declared requirements."""
    providers = packages_distributions()
    ours = {*ROOMS, "tests"} | set(sys.stdlib_module_names)
    allowed = set().union(*map(provided, declared))
    tops = {name.partition(".")[0] for name in names} - ours
    return sorted(top for top in tops if not allowed & set(map(distribution_name, providers.get(top, ["(nobody's)"]))))


def unlisted(config: dict, present: Iterable[str], packages: Iterable[str]) -> list[str]:
    """Return the rooms and packages of the domain that the import contracts would not see."""
    contracts = config["tool"]["importlinter"]["contracts"]
    layers = [contract for contract in contracts if contract["type"] == "layers"]
    floors = set(re.findall(r"\w+", " ".join(layers[0]["layers"])))
    walled = {box for contract in layers if contract.get("exhaustive") for box in contract.get("containers", [])}
    acyclic = {box for contract in contracts if contract["type"] == "acyclic_siblings" for box in contract["ancestors"]}
    roots = set(config["tool"]["importlinter"]["root_packages"])
    return sorted(set(present) - (floors & roots & acyclic)) + sorted(set(packages) - walled)


# ── the claims about this tree ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", sources(".py"), ids=module_name)
def test_a_module_keeps_its_functions_short_its_name_telling_and_its_sql_elsewhere(path: Path):
    source = path.read_text()
    assert long_functions(source) == []
    assert not EMPTY_NAMES.search(path.stem), "name the decision the file owns"
    assert sql_strings(source) == [], "SQL lives in a .sql file beside the module that runs it"
    assert not any(name.partition(".")[0] == "tests" for name in imports(source)), "tests look at us, not we at tests"


def test_the_checks_of_modules_find_their_samples():
    assert long_functions("def f():\n" + "    pass\n" * LONGEST_FUNCTION) == ["f: 71 lines"]
    assert long_functions("def f():\n" + "    pass\n" * (LONGEST_FUNCTION - 1)) == []
    assert all(map(EMPTY_NAMES.search, ["utils", "order_helpers", "case_manager", "services", "service"]))
    assert not any(map(EMPTY_NAMES.search, ["ledger", "serviceability", "oversight"]))
    assert sql_strings('x = "SELECT pos\\nFROM head FOR UPDATE"') != []
    assert sql_strings('x = f"SELECT {y} FROM {z}"') != []
    assert sql_strings('"""Select one from many, UPDATE x SET y."""\ndef f():\n    """DELETE FROM doors."""') == []
    assert sql_strings('x = "select a unit from the list"') != []
    assert sql_strings('x = "Please select one from the list"') == []


def test_every_module_is_used_or_can_be_started():
    modules = {module_name(path): path.read_text() for path in sources(".py")}
    entry_points = [target.partition(":")[0] for target in pyproject()["project"]["scripts"].values()]
    assert dead_modules(modules, entry_points) == []


def test_every_sql_file_stands_beside_the_module_that_runs_it():
    assert [path.name for path in sources(".sql") if not path.with_suffix(".py").exists()] == []


def test_a_dead_module_is_found():
    modules = {
        "a.entry": "from a import used",
        "a.used": "import a.used",
        "a.dead": "import a.dead",
        "a.bench": 'if __name__ == "__main__":\n    pass',
        "a.face": "from a.face.shown import this as this",
        "a.face.shown": "",
        "a.face.forgotten": "",
    }
    assert dead_modules(modules, ["a.entry"]) == ["a.dead", "a.face.forgotten"]


def test_only_the_six_rooms_hold_modules_and_each_is_ours():
    holding = {path.relative_to(CHECKOUT).parts[0] for path in tracked() if path.suffix == ".py"}
    assert holding <= {*ROOMS, "tests"}
    for room in rooms():
        spec = importlib.util.find_spec(room)
        assert spec is not None, room
        assert spec.origin is not None, f"{room} has no __init__.py"
        assert Path(spec.origin).resolve().parent == CHECKOUT / room


def test_the_import_contracts_name_every_room_and_every_package_of_the_domain():
    packages = {module_name(path) for path in (CHECKOUT / "domain").rglob("__init__.py")}
    assert unlisted(pyproject(), rooms(), packages) == [], "add them to root_packages, ancestors and layers"


def test_a_room_or_package_the_contracts_forgot_is_found():
    assert unlisted(pyproject(), ["domain", "cellar"], ["domain", "domain.attic"]) == ["cellar", "domain.attic"]


@pytest.mark.parametrize(
    ("file", "source", "complaint"),
    [
        ("domain/stranger.py", "", "stranger"),
        ("domain/steps/stranger.py", "", "stranger"),
        ("domain/terms.py", "import scripts", "domain.terms -> scripts"),
        ("domain/terms.py", "import domain.refusals", "No cycles BROKEN"),
        ("domain/steps/oversight.py", "import domain.steps.registration", "oversight -> domain.steps.registration"),
    ],
)
def test_a_file_without_a_place_or_an_arrow_upwards_breaks_the_contract(tmp_path, file, source, complaint):
    linting = pyproject()["tool"]["importlinter"]
    boxes = {box for contract in linting["contracts"] for box in contract.get("containers", [])}
    packages = sorted({*linting["root_packages"], *(box.replace(".", "/") for box in boxes)})
    for name in [*packages, "domain/terms", "domain/steps/registration"]:
        inside = tmp_path / (f"{name}/__init__.py" if name in packages else f"{name}.py")
        inside.parent.mkdir(exist_ok=True)
        inside.touch()
    (tmp_path / "domain/refusals.py").write_text("import domain.terms")
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    linter = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as c; c()",
        "--no-logo",
        "--no-cache",
    ]
    environment = {"PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1", "COLUMNS": "200"}

    def lint() -> str:
        done = subprocess.run(linter, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    assert " 0 broken" in lint()
    (tmp_path / file).write_text(source)
    after = lint()
    assert " 0 broken" not in after
    assert complaint in after


def test_the_tree_names_no_machine_and_no_registry():
    words = [MACHINE_PATH, INDEX_URL, *own_words()]
    assert {
        f"{path.relative_to(CHECKOUT)}": found for path, text in texts() if (found := foreign_words(text, words))
    } == {}


def own_words() -> list[re.Pattern[str]]:
    """Return what only this machine knows: its package indexes, and words its owner keeps out of the tree.

    The list is `.git/info/unwelcome`, one regular expression a line: a tree that named them would hold them.
    """
    pip = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    hosts = re.findall(r"://(?:[^@/\s']*@)?([^:/\s']+\.[^:/\s']+)", pip.stdout)
    listed = git("rev-parse", "--path-format=absolute", "--git-path", "info/unwelcome")
    kept = Path(listed.strip()) if listed else None
    lines = kept.read_text().splitlines() if kept and kept.exists() else []
    return [re.compile(re.escape(host)) for host in hosts] + [re.compile(line) for line in lines if line.strip()]


def test_a_machine_path_and_an_index_are_found():
    home = "/ho" + "me/li/huiyin"  # in two pieces, or this file would be a finding
    assert foreign_words(f"see {home}/x", [MACHINE_PATH]) == ["/ho" + "me/li"]
    assert foreign_words("a home/li of https://example.org/home/li, /home", [MACHINE_PATH]) == []
    assert foreign_words("from https:" + "//pkg.example/simple/", [INDEX_URL]) != []


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-test.txt"])
def test_a_lock_pins_by_hash_and_names_no_registry(name):
    lock = (CHECKOUT / name).read_text()
    assert len(lock_pins(lock)) > 10
    assert lock_faults(lock) == []


def test_a_lock_with_a_registry_or_without_a_hash_is_found():
    assert lock_faults("--index-url ftp://pkg.example\nclick==8.1 \\\n    --hash=sha256:00\n") != []
    assert lock_faults("click==8.1\nrich==14 \\\n    --hash=sha256:00\n") == ["click==8.1"]
    assert lock_faults("# comment\nclick==8.1 \\\n    --hash=sha256:00\n    # via -r x.in\n") == []


def test_the_test_lock_holds_the_run_lock():
    run, test = (lock_pins((CHECKOUT / name).read_text()) for name in ("requirements.txt", "requirements-test.txt"))
    assert run.items() <= test.items()


def test_pyproject_and_the_lock_inputs_name_the_same_requirements():
    def named(file: str) -> list[str]:
        lines = (line.split("#")[0].strip() for line in (CHECKOUT / file).read_text().splitlines())
        return [line for line in lines if line and not line.startswith("-")]

    project = pyproject()["project"]
    assert named("requirements.in") == project["dependencies"]
    assert named("requirements-test.in") == project["optional-dependencies"]["test"]


def test_whatever_is_imported_is_declared():
    project = pyproject()["project"]
    for_tests = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    ours = set().union(*(imports(path.read_text()) for path in sources(".py")))
    theirs = set().union(*(imports(path.read_text()) for path in (CHECKOUT / "tests").rglob("*.py")))
    assert undeclared(ours, project["dependencies"]) == []
    assert undeclared(theirs, for_tests) == []
    assert undeclared({"rich.table", "pluggy", "nowhere"}, ["rich>=14"]) == ["nowhere", "pluggy"]
    assert undeclared({"psycopg_pool"}, ["psycopg[binary, pool]>=3"]) == []
    assert undeclared({"psycopg_pool"}, ["psycopg[binary]>=3"]) == ["psycopg_pool"]


def test_every_lint_rule_set_aside_has_its_reason():
    lines = (CHECKOUT / "pyproject.toml").read_text().splitlines()
    start = lines.index("ignore = [")
    rules = lines[start + 1 : lines.index("]", start)]
    assert rules
    assert [rule for rule in rules if not re.search(r"# \S+ \S+", rule)] == []


def test_the_editor_and_the_formatter_agree_on_the_width():
    editor = configparser.ConfigParser()
    editor.read_string("[DEFAULT]\n" + (CHECKOUT / ".editorconfig").read_text())
    assert editor["*"]["max_line_length"] == str(pyproject()["tool"]["ruff"]["line-length"])


def test_the_contributors_page_stays_one_page():
    assert len((CHECKOUT / "CONTRIBUTING.md").read_text().splitlines()) <= 60


def test_no_two_decisions_share_a_number():
    numbers = [path.name[:5] for path in (CHECKOUT / "docs/decisions").glob("*.md")]
    assert numbers
    assert all(re.fullmatch(r"\d{4}-", number) for number in numbers)
    assert len(set(numbers)) == len(numbers)
