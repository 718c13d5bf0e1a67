"""The tests mirror the code: every file that has code has its test file, and every mirrored test file its code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parent.parent
PACKAGES = ("gateway", "regions", "engines", "policies")
GENERATED = ("_pb2.py", "_pb2_grpc.py")


def code_files() -> list[Path]:
    return [
        path.relative_to(ROOT)
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.name != "__init__.py" and not path.name.endswith(GENERATED) and has_code(path)
    ]


def has_code(path: Path) -> bool:
    """Whether something in it can be wrong: a function with a body, not only declarations."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not _is_declaration(node)
        for node in ast.walk(tree)
    )


def _is_declaration(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """A protocol's method: a docstring or an ellipsis."""
    return all(isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant) for part in function.body)


def mirror_of(path: Path) -> Path:
    return Path("tests") / path.parent / f"test_{path.name}"


@pytest.mark.parametrize("path", code_files(), ids=str)
def test_a_file_with_code_has_its_test_file(path: Path) -> None:
    assert (ROOT / mirror_of(path)).is_file(), f"{path} has no {mirror_of(path)}"


def test_a_mirrored_test_file_has_its_code() -> None:
    """A file may have several tests, named after it: test_machine.py, test_machine_properties.py; so may a folder of
    data.
    """
    stray = []
    for package in PACKAGES:
        for path in (ROOT / "tests" / package).rglob("test_*.py"):
            folder = ROOT / path.relative_to(ROOT / "tests").parent
            names = {f"test_{code.stem}" for code in folder.glob("*") if code.suffix == ".py" or code.is_dir()}
            if not any(path.stem == name or path.stem.startswith(f"{name}_") for name in names):
                stray.append(str(path.relative_to(ROOT)))
    assert stray == []
