"""The real source of functions and of all they need, gathered from the project's own files.

Starts from functions and classes, follows every name they use through the modules' own imports, and hands back the
lines as they stand in the files. Nothing is copied by hand, so an exported program can not drift from the project.
Methods that nobody calls are left out of a class.
"""

import ast
import builtins
import inspect
import symtable
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

OWN = ("app", "models")  # the packages whose code is carried along; all others are imported
Definition = Callable[..., Any] | type
Import = tuple[
    str, str, str
]  # ("torch.nn", "functional", "F") for from torch.nn import functional as F; ("", "math", "")


@dataclass(frozen=True)
class Source:
    """A program's own code."""

    imports: tuple[str, ...]  # "import math", standard library first
    modules: tuple[tuple[str, str], ...]  # (file, code) in an order in which they can run

    @property
    def names(self) -> frozenset[str]:
        """Every name that the imports and the code define."""
        trees = [ast.parse(text) for text in (*self.imports, *(code for _, code in self.modules))]
        return frozenset(name for tree in trees for node in tree.body for name in _bound(node))


@dataclass(frozen=True)
class _Module:
    """One file of the project: its lines, and the top-level statement behind each name."""

    name: str
    lines: list[str]
    statements: dict[str, ast.stmt]

    @property
    def needs(self) -> list[str]:
        """The project's modules that it imports."""
        found = [node.module for node in self.statements.values() if isinstance(node, ast.ImportFrom)]
        return [name for name in dict.fromkeys(found) if name and _is_own(name)]


@dataclass
class _Gathering:
    """One walk: what is carried, what is imported, and the attributes that anybody mentions."""

    mentioned: frozenset[str]
    opened: dict[str, _Module] = field(default_factory=dict)
    carried: dict[tuple[str, int], str] = field(default_factory=dict)  # (module, line) -> code
    homes: dict[str, str] = field(default_factory=dict)  # name -> where it comes from
    imports: set[Import] = field(default_factory=set)

    def module(self, name: str) -> _Module:
        if name not in self.opened:
            text = inspect.getsource(sys.modules[name])
            statements = {bound: node for node in ast.parse(text).body for bound in _bound(node)}
            self.opened[name] = _Module(name, text.split("\n"), statements)
        return self.opened[name]

    def follow(self, module: str, name: str) -> None:
        """Carry or import what ``name`` means in a module, and all that it needs.

        Raises:
            ValueError: if the name is unknown, or stands for two things in one program.
        """
        node = self.module(module).statements.get(name)
        if node is None:
            if not hasattr(builtins, name):
                raise ValueError(f"{module} uses {name}, which it does not define")
            return
        alias = next((a for a in getattr(node, "names", ()) if (a.asname or a.name) == name), None)
        if isinstance(node, ast.ImportFrom) and alias and _is_own(node.module or ""):
            if alias.asname or f"{node.module}.{alias.name}" in sys.modules:
                raise ValueError(f"{module} renames {alias.name} or imports a module; import the name as it is")
            return self.follow(node.module or "", name)
        origin = (node.module or "" if isinstance(node, ast.ImportFrom) else "") if alias else module
        if self.homes.setdefault(name, origin) != origin:
            raise ValueError(f"{name} stands for two things: one of {self.homes[name]} and one of {origin}")
        if alias:
            self.imports.add((origin, alias.name, alias.asname or ""))
        elif (module, node.lineno) not in self.carried:
            code = _code(node, self.module(module).lines, self.mentioned)
            self.carried[module, node.lineno] = code
            for used in sorted(_globals(code)):
                self.follow(module, used)

    def order(self) -> list[str]:
        """The carried modules, each after those it imports."""
        done: dict[str, None] = {}

        def visit(name: str) -> None:
            if name not in done:
                for other in self.module(name).needs:
                    if other in sys.modules:
                        visit(other)
                done[name] = None

        for module, _ in self.carried:
            visit(module)
        mine = {module for module, _ in self.carried}
        return [name for name in done if name in mine]


def gather(roots: Iterable[Definition], program: str = "", imports: Iterable[Import] = ()) -> Source:
    """The source of the roots and of everything they need.

    Args:
        program: code that will use them; it decides which methods of their classes are kept.
        imports: what the program itself imports.

    Raises:
        ValueError: for a name that cannot be carried, in one sentence.
    """
    wanted, mentioned = list(roots), _attributes(program)
    while True:  # more code mentions more methods, until nothing new is mentioned
        walk = _Gathering(mentioned)
        for root in wanted:
            walk.follow(root.__module__, root.__qualname__)
        now = mentioned.union(*map(_attributes, walk.carried.values()))
        if now == mentioned:
            break
        mentioned = now
    modules = []
    for name in walk.order():
        parts = [code for (module, _), code in sorted(walk.carried.items()) if module == name]
        modules.append((name.replace(".", "/") + ".py", _joined(parts)))
    return Source(tuple(_statements(walk.imports.union(imports))), tuple(modules))


def _statements(imports: set[Import]) -> Iterator[str]:
    """Import lines: the standard library, then the rest; plain imports before those of names."""
    written: dict[tuple[bool, bool, str], list[str]] = {}
    seen_foreign = False
    for module, name, alias in sorted(imports):
        origin = module or name
        place = (origin.split(".")[0] not in sys.stdlib_module_names, bool(module), origin)
        written.setdefault(place, []).append(f"{name} as {alias}" if alias else name)
    for (foreign, of_names, origin), names in sorted(written.items()):
        if foreign and not seen_foreign:
            yield ""
        seen_foreign = foreign
        yield f"from {origin} import {', '.join(names)}" if of_names else f"import {', '.join(names)}"


def _joined(parts: Sequence[str]) -> str:
    """Statements under one another: two empty lines around what has a body, none between plain lines."""
    text = parts[0]
    for before, after in pairwise(parts):
        plain = not any(part.startswith(("def ", "class ", "@")) for part in (before, after))
        text += ("\n" if plain else "\n\n\n") + after
    return text


def _is_own(module: str) -> bool:
    return module.split(".")[0] in OWN


def _bound(node: ast.stmt) -> list[str]:
    """The names that a top-level statement defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name for alias in node.names]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [leaf.id for target in targets for leaf in ast.walk(target) if isinstance(leaf, ast.Name)]


def _first_line(node: ast.stmt) -> int:
    return min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])


def _code(node: ast.stmt, lines: list[str], mentioned: frozenset[str]) -> str:
    """The statement's own lines; of a class without the methods that nobody mentions."""
    gone: set[int] = set()
    for part in node.body if isinstance(node, ast.ClassDef) else ():
        if isinstance(part, ast.FunctionDef) and not part.name.startswith("__") and part.name not in mentioned:
            first = _first_line(part)
            blank = first - 1
            while blank > node.lineno and not lines[blank - 1].strip():
                blank -= 1
            gone |= set(range(blank + 1, (part.end_lineno or first) + 1))
    assert node.end_lineno
    kept = [lines[at - 1] for at in range(_first_line(node), node.end_lineno + 1) if at not in gone]
    return "\n".join(kept)


def _globals(code: str) -> set[str]:
    """The names that a piece of code takes from its module."""

    def walk(table: symtable.SymbolTable) -> Iterator[str]:
        outside = table.get_type() == "module"
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (outside or symbol.is_global()):
                yield symbol.get_name()
        for child in table.get_children():
            yield from walk(child)

    return set(walk(symtable.symtable(code, "program", "exec")))


def free_names(program: str) -> set[str]:
    """The names that a program uses and neither defines nor finds among the builtins."""
    tree = ast.parse(program)
    defined = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return {name for name in _globals(program) if name not in defined and not hasattr(builtins, name)}


def _attributes(code: str) -> frozenset[str]:
    return frozenset(node.attr for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Attribute))
