"""Imports run one way along the story: Example → Batch → Scores → Objective → loop → report."""

import ast
import tomllib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "fairlora_cls"

# A module may import from its own row and the rows above it.
ORDER = [
    ["fairlora_cls", "errors", "files", "plain_yaml"],
    ["presentation"],
    ["data"],
    ["objectives.scores"],
    ["models"],
    ["objectives"],
    ["training"],
    ["texts"],
    ["statistics"],
    ["evaluation"],
    ["recipe"],
    ["checking"],
    ["runs"],
    ["ablations"],
    ["cli", "__main__"],
]
# Told by their own lists: what the miniature's training script and the report may not touch.
NEVER = {
    "evaluation": ["models", "training", "objectives"],
    "objectives": ["models", "data", "training"],
}


def rank(module: str) -> int:
    inner = module.removeprefix("fairlora_cls").removeprefix(".") or "fairlora_cls"
    matches = [
        (len(prefix), row)
        for row, prefixes in enumerate(ORDER)
        for prefix in prefixes
        if inner == prefix or inner.startswith(prefix + ".")
    ]
    assert matches, f"{module} stands in no row of ORDER"
    return max(matches)[1]


def imported_modules(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fairlora_cls"):
            if node.module in ("fairlora_cls", "fairlora_cls.models"):
                found += [
                    f"{node.module}.{a.name}" for a in node.names if not a.name.startswith("__")
                ]
            else:
                found.append(node.module)
        elif isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.startswith("fairlora_cls")]
    return found


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_never_run_back(path):
    own = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for module in imported_modules(path):
        assert rank(module) <= rank(own), f"{own} imports {module}, which comes later in the story"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_rooms_keep_to_themselves(path):
    room = path.relative_to(PACKAGE).parts[0]
    for module in imported_modules(path):
        for closed in NEVER.get(room, []):
            assert not module.startswith(f"fairlora_cls.{closed}."), (
                f"{path.name} reaches into {closed}"
            )


def imports_at_the_top(path: Path) -> set[str]:
    """What a module imports when it is loaded or type-checked: not inside functions."""
    body = list(ast.parse(path.read_text(encoding="utf-8")).body)
    modules = set()
    for node in body:
        if isinstance(node, ast.If):  # TYPE_CHECKING
            body += node.body
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            modules |= names | {node.module}
        elif isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
    return modules


def name_of(path: Path) -> str:
    inner = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    return inner.removesuffix(".__init__")


def test_no_module_imports_itself_in_a_circle():
    names = {name_of(path): path for path in MODULES}
    waiting = {
        name: (imports_at_the_top(path) & set(names)) - {name} - set(parents(name))
        for name, path in names.items()
    }
    while free := [name for name, needs in waiting.items() if not needs & set(waiting)]:
        for name in free:
            del waiting[name]
    assert not waiting, f"in a circle, or waiting for one: {sorted(waiting)}"


def parents(name: str) -> list[str]:
    """The rooms that a module stands in: they are loaded before it."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def test_light_imports_stay_light(command, tmp_path):
    """`--help` must not load torch: it would take seconds."""
    import subprocess
    import sys

    code = "import sys, fairlora_cls.cli.app; print([m for m in ('torch', 'pandas', 'transformers', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there():
    import fairlora_cls

    for name in fairlora_cls.__all__:
        assert getattr(fairlora_cls, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = fairlora_cls.trian


def test_every_room_is_installed():
    """A wheel holds the packages that pyproject.toml lists, and no other."""
    settings = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    rooms = {name_of(path) for path in PACKAGE.rglob("__init__.py")}
    assert rooms | {"fairlora_cls.shipped_recipes"} == set(
        settings["tool"]["setuptools"]["packages"]
    )
