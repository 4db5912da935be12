"""A YAML file as plain values that remember their lines, with environment variables put in."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import yaml
from attrs import define, field

from pine.core.config.quoted import quoted

Path = tuple[str | int, ...]

_VARIABLE: Final = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")
_BROKEN: Final = re.compile(r"\$\{[^}]*\}?")


@define
class Unset:
    """Stands where a variable without default is not set."""

    variable: str


@define
class Document:
    """Plain values of a YAML file.

    Attributes
    ----------
    environment
        Variables by name.
    is_text
        Tells whether a path holds text whatever it looks like: a key of digits is no number.
    value
        Dictionaries, lists and scalars; `Unset` where a variable is missing.
    lines
        Line number of every key and item, by path.
    problems
        ``(path, message)`` of everything that is wrong with the text itself.
    """

    environment: Mapping[str, str]
    is_text: Callable[[Path], bool]
    value: Any = None
    lines: dict[Path, int] = field(factory=dict)
    problems: list[tuple[Path, str]] = field(factory=list)

    @classmethod
    def parse(cls, text: str, environment: Mapping[str, str], is_text: Callable[[Path], bool]) -> "Document":
        """Read YAML and expand ``${VAR}`` and ``${VAR:-default}`` in its scalars."""
        document = cls(environment, is_text)
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
            if root is not None:
                document.value = document._build(root, ())
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            document.lines[()] = line
            document.problems.append(((), f"not readable as YAML: {error.problem}"))
        except yaml.YAMLError as error:
            document.lines[()] = 1
            document.problems.append(((), f"not readable as YAML: {error}"))
        except RecursionError:
            document.lines[()] = 1
            document.problems.append(((), "found settings that are nested too deeply, or contain themselves"))
        return document

    def line(self, path: Path) -> int:
        """Return the line of a path, or of its nearest parent that is in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def unset(self) -> Iterator[tuple[Path, str]]:
        """Yield path and variable name of every variable that is not set."""
        yield from _find_unset(self.value, ())

    def _build(self, node: yaml.Node, path: Path) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        return [self._build(item, (*path, i)) for i, item in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            inner = (*path, key)
            if key in result:
                self.problems.append((inner, f"appears twice, first on line {self.lines[inner]}"))
            self.lines[inner] = key_node.start_mark.line + 1
            result[key] = self._build(value_node, inner)
        return result

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        text = node.value
        if "${" not in text:
            if self.is_text(path) and text:
                return text
            try:
                return _construct(node.tag, text)
            except (ValueError, KeyError, IndexError, AttributeError, yaml.YAMLError):
                self.problems.append((path, f"found {quoted(text)}, which is no {node.tag.rpartition(':')[2]}"))
                return text
        expanded = self._expand(text, path)
        if isinstance(expanded, Unset):
            return expanded
        if node.style is not None or self.is_text(path):
            return expanded
        resolver: Any = yaml.SafeLoader("")
        try:
            return _construct(resolver.resolve(yaml.ScalarNode, expanded, (True, False)), expanded)
        except (ValueError, yaml.YAMLError):
            return expanded  # looks like a date and is none: the check of types will say so
        finally:
            resolver.dispose()

    def _expand(self, text: str, path: Path) -> str | Unset:
        missing: list[str] = []

        def replace(match: re.Match[str]) -> str:
            value = self.environment.get(match["name"]) or match["default"]
            if value is None:
                missing.append(match["name"])
                return ""
            return value

        rest = _VARIABLE.sub("", text)
        if broken := _BROKEN.search(rest):
            self.problems.append((path, f"found {quoted(broken.group())}, expected ${{NAME}} or ${{NAME:-default}}"))
            return ""
        expanded = _VARIABLE.sub(replace, text)
        return Unset(missing[0]) if missing else expanded


def variables(text: str, setting: str) -> list[str]:
    """Return the variables that one setting of a YAML file names, such as ``databento.api_key``."""
    node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    for step in setting.split("."):
        if isinstance(node, yaml.SequenceNode) and step.isdigit() and int(step) < len(node.value):
            node = node.value[int(step)]
        elif isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == step), None)
        else:
            return []
    return [match["name"] for match in _VARIABLE.finditer(node.value)] if isinstance(node, yaml.ScalarNode) else []


def _construct(tag: str, text: str) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(yaml.ScalarNode(tag, text))
    finally:
        loader.dispose()


def _find_unset(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, Unset):
        yield path, value.variable
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _find_unset(inner, (*path, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _find_unset(inner, (*path, i))
