"""Finds the messages that users may be shown, for which docs/errors.md has rows.

    python -m tools.error_messages

It reads the source and runs none of it.
"""

import ast
import collections
import itertools
import re
from typing import NamedTuple

from tools import imports
from tools.markdown import ROOT

# What makes a message of its first argument.
_MAKERS = {
    *("ImportError", "PictureError", "UserError", "error", "unknown", "warning"),
    "Registry",  # Gives it when a name is not known.
    # Subclasses of UserError.
    *("DamagedError", "ForbiddenError", "NotFoundError", "UnavailableError"),
    *("MisfitError", "WidthError"),
}
# Where ValueError reaches users; elsewhere it becomes a part of another message.
_API = ("nets/", "preprocessing/", "deployment/")
_MOST_ALTERNATIVES = 16


class Message(NamedTuple):
    """A message in the source.

    Attributes:
      place: file and line.
      function: file and function.
      text: with `…` for what varies.
    """

    place: str
    function: str
    text: str


class Finder(ast.NodeVisitor):
    """Finds the messages of a module; `found` has them."""

    def __init__(self, name: str, source: str):
        """Reads the `source` of the file `name`, below the root."""
        self.found: list[Message] = []
        self._name = name
        self._module = ast.parse(source)
        self._functions = collections.defaultdict(list)
        for node in ast.walk(self._module):
            if isinstance(node, ast.FunctionDef):
                self._functions[node.name].append(node)
        self._around: list[ast.Module | ast.FunctionDef] = [self._module]
        self.visit(self._module)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Keeps in mind which function is around."""
        self._around.append(node)
        self.generic_visit(node)
        self._around.pop()

    def visit_Call(self, node: ast.Call) -> None:
        """Takes the messages that a call may make."""
        maker = ast.unparse(node.func).rpartition(".")[2]
        reaches_users = maker == "ValueError" and self._name.startswith(_API)
        if (maker in _MAKERS or reaches_users) and (node.args or node.keywords):
            if not node.args:
                raise ValueError(f"{self._name}:{node.lineno}: give the message first")
            function = f"{self._name} {getattr(self._around[-1], 'name', '')}".strip()
            for text in sorted(set(map(_plain, self._texts(node.args[0])))):
                place = f"{self._name}:{node.lineno}"
                self.found.append(Message(place, function, text))
        self.generic_visit(node)

    def _texts(self, node: ast.AST) -> list[str]:
        """The values that an expression may have, as far as this module shows."""
        match node:
            case ast.Constant(value=str(text)):
                return [text]
            case ast.JoinedStr(values=parts):
                return self._joined(parts)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self._joined([left, right])
            case ast.IfExp(body=body, orelse=other):
                return self._texts(body) + self._texts(other)
            case ast.Call(func=ast.Attribute(value=ast.JoinedStr() as text)):
                return self._texts(text)  # It is stripped.
            case ast.Call(func=ast.Name(id=name)):
                return self._returned(name) or ["…"]
            case ast.Name(id=name):
                return self._assigned(name) or self._passed(name) or ["…"]
        return ["…"]

    def _joined(self, parts: list[ast.expr]) -> list[str]:
        combined = itertools.product(*map(self._texts, parts))
        return ["".join(c) for c in itertools.islice(combined, _MOST_ALTERNATIVES)]

    def _returned(self, name: str) -> list[str]:
        """What a function returns."""
        texts = []
        for function in self._functions[name]:
            self._around.append(function)
            for node in ast.walk(function):
                if isinstance(node, ast.Return) and node.value:
                    texts += self._texts(node.value)
            self._around.pop()
        return [text for text in texts if text.strip("…")]

    def _assigned(self, name: str) -> list[str]:
        """What a name is set to in the function around, or in the module."""
        nodes = itertools.chain(ast.walk(self._around[-1]), self._module.body)
        assigns = (node for node in nodes if isinstance(node, ast.Assign))
        values = [a.value for a in assigns if ast.unparse(a.targets[0]) == name]
        return [text for value in values for text in self._texts(value)]

    def _passed(self, name: str) -> list[str]:
        """What is given for a parameter of the function around, by position."""
        function = self._around[-1]
        if not isinstance(function, ast.FunctionDef):
            return []
        names = [argument.arg for argument in function.args.args]
        calls = (node for node in ast.walk(self._module) if isinstance(node, ast.Call))
        texts = []
        for call in calls:
            if ast.unparse(call.func) == function.name:
                values = dict(zip(names, call.args, strict=False))
                texts += self._texts(values[name]) if name in values else []
        return texts


def _plain(text: str) -> str:
    return re.sub("…+", "…", re.sub(r"%[sd]|%\.\df|`[^`]*`", "…", text))


def find() -> list[Message]:
    """The messages of all modules and scripts, those of tests and tools aside."""
    found = []
    for path in imports.sources():
        name = path.relative_to(ROOT).as_posix()
        found += Finder(name, path.read_text("utf-8")).found
    return found


if __name__ == "__main__":
    for message in find():
        print(f"{message.place}: {message.text}")
