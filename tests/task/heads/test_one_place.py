"""What the kind of a target decides stands in its head, and is asked nowhere else."""

import ast
from collections.abc import Iterator
from pathlib import Path

import kscale
from kscale.task.heads import HEADS
from kscale.task.tasks import INPUT_RANKS

HOUSE = Path(kscale.__file__).parent
KINDS = HEADS.keys() - INPUT_RANKS.keys()
MOST = 6
"""Comparisons outside the heads: where labels of a user are read, kinds are told."""


def is_kind(node: ast.expr) -> bool:
    """Whether an expression is the name of a kind, or the kind of a target."""
    if isinstance(node, ast.Constant):
        return node.value in KINDS
    if not isinstance(node, ast.Attribute) or "kind" not in node.attr:
        return False
    return node.attr == "target_kind" or "target" in ast.unparse(node.value)


def branches_of(tree: ast.AST) -> Iterator[int]:
    """Lines that compare with a kind, or look something up by one."""
    for node in ast.walk(tree):
        asked: list[ast.expr | None] = []
        if isinstance(node, ast.Compare):
            asked = [node.left, *node.comparators]
        elif isinstance(node, ast.Dict) and len(node.keys) > 1:
            names = {key.value for key in node.keys if isinstance(key, ast.Constant)}
            asked = list(node.keys) if names <= HEADS.keys() else []
        elif isinstance(node, ast.Subscript):
            asked = [node.slice] if isinstance(node.slice, ast.Attribute) else []
        elif isinstance(node, ast.match_case):
            asked = [getattr(node.pattern, "value", None)]
        if any(item is not None and is_kind(item) for item in asked):
            yield getattr(node, "lineno", 0)


def test_branches_on_the_kind_of_a_target_are_few() -> None:
    found = [
        f"{path.relative_to(HOUSE)}:{line}"
        for path in sorted(HOUSE.rglob("*.py"))
        if HOUSE / "task" / "heads" not in path.parents
        for line in branches_of(ast.parse(path.read_text()))
    ]
    assert len(found) <= MOST, found


def test_branches_are_found() -> None:
    code = (
        'a = target.kind == "real"\n'
        'b = {"classes": 1, "real": 2}[kind]\n'
        "c = TABLE[each_target.kind]\n"
        'd = {"classes": 1, "name": 2}\n'
        'e = item.kind == "image"\n'
    )
    assert sorted(branches_of(ast.parse(code))) == [1, 2, 3]
