"""YAML of scenario tables, read with care: every value is text, every mistake is told with its line. PURE.

YAML's own ideas of values are not used: `NO` is Norway, and an instant stays what was written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from policies.residency.visible_text import hidden_in_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from policies.residency.bundles.mistakes import Mistakes

MAX_BYTES = 1_048_576
MAX_TEXT = 500
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where it is there: ten times as fast, and the same nodes."""


class Entry:
    """A mapping of the file: its fields by name, each taken as text, as texts or as entries."""

    def __init__(self, node: yaml.MappingNode, path: str, mistakes: Mistakes) -> None:
        self._path = path
        self._mistakes = mistakes
        self.line = node.start_mark.line + 1
        self.fields: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            if name in self.fields:
                self.tell(f"`{name}` stands there twice", key)
            self.fields[name] = value

    @property
    def place(self) -> str:
        return f"{self._path} line {self.line}"

    def tell(self, what: str, node: yaml.Node | None = None) -> None:
        line = self.line if node is None else node.start_mark.line + 1
        self._mistakes.add(f"{self._path} line {line}", what)

    def only(self, known: Collection[str]) -> None:
        """Tell fields that are not known."""
        for name, node in self.fields.items():
            if name not in known:
                self.tell(f"`{name[:40]}` is no field; there are {', '.join(known)}", node)

    def over(self, below: Entry, *, dropped: Collection[str] = ()) -> None:
        """Take the fields of `below` that this one does not have, other than those dropped."""
        for name, node in below.fields.items():
            if name not in dropped:
                self.fields.setdefault(name, node)

    def text(self, name: str) -> str:
        """Empty where it is not there."""
        node = self.fields.get(name)
        return "" if node is None else self._scalar(name, node)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts, or one text alone."""
        node = self.fields.get(name)
        if node is None:
            return ()
        if not isinstance(node, yaml.SequenceNode):
            return (self._scalar(name, node),)
        return tuple(self._scalar(name, each) for each in node.value)

    def entries(self, name: str) -> Iterator[Entry]:
        """A list of mappings."""
        node = self.fields.get(name)
        if not isinstance(node, yaml.SequenceNode):
            self.tell(f"`{name}` is no list", node)
            return
        for each in node.value:
            if isinstance(each, yaml.MappingNode):
                yield Entry(each, self._path, self._mistakes)
            else:
                self.tell(f"an entry of `{name}` has no fields", each)

    def flag(self, name: str) -> bool | None:
        """None: not there."""
        text = self.text(name)
        if text in ("", "true", "false"):
            return None if not text else text == "true"
        self.tell(f"`{name}` is {text!r}; it is true or false", self.fields[name])
        return None

    def _scalar(self, name: str, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode) or len(node.value) > MAX_TEXT:
            self.tell(f"`{name}` is no short text", node)
            return ""
        if hidden_in_line(node.value):
            self.tell(f"`{name}` has control characters, line breaks or others that nobody sees", node)
            return ""
        return str(node.value)


def root_entry(data: bytes, path: str, mistakes: Mistakes) -> Entry | None:
    """The whole file; None, told, where it is no YAML mapping."""
    if len(data) > MAX_BYTES:
        mistakes.add(path, f"is larger than {MAX_BYTES} bytes")
        return None
    try:
        node = yaml.compose(data.decode("utf-8"), Loader=_LOADER)
    except UnicodeDecodeError:
        mistakes.add(path, "is no UTF-8")
        return None
    except RecursionError:
        mistakes.add(path, "is nested too deeply")
        return None
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark is not None else ""
        advice = "; lines are indented by spaces, never by tabs" if b"\t" in data else ""
        mistakes.add(f"{path}{line}", f"is no YAML: {error.problem or error.context}{advice}")
        return None
    except yaml.YAMLError as error:  # characters that YAML does not have
        mistakes.add(path, f"is no YAML: {str(error).splitlines()[0]}")
        return None
    if not isinstance(node, yaml.MappingNode):
        mistakes.add(path, "has no list `scenarios`")
        return None
    return Entry(node, path, mistakes)
