"""Strategy types of a user's own, named by import path: ``my_strategies:MyStrategy``."""

import difflib
import importlib
import importlib.util
import inspect
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import attrs

from pine.core.config.quoted import quoted
from pine.core.errors import BadType, PineError
from pine.strategies.foreign import describe, hearing, off_stdout

if TYPE_CHECKING:
    from pine.strategies.base import BacktraderStrategy

_ours: Final[dict[str, Path]] = {}
"""Folder from which each top-level module of a strategy type was taken."""


def is_plug_in(kind: str) -> bool:
    """Tell whether a strategy type is an import path."""
    return ":" in kind


def find_params(kind: str, folder: Path) -> type:
    """Import a strategy type, check it, and return its parameter class.

    Parameters
    ----------
    kind
        ``module:Class``.
    folder
        Where the module is looked for besides installed packages. It stays at the end of the import path, so that
        the module's neighbours, and processes started from here, find the same.

    Raises
    ------
    BadType
        If it cannot be used; the message says why.
    """
    reach(kind, folder)
    found = load_class(kind)
    try:
        return _params(found, kind)
    except (PineError, KeyboardInterrupt):
        raise
    except BaseException as error:  # parameters may run anything when they are made
        raise BadType(f"{kind} cannot be used: {describe(error)}") from error


def reach(kind: str, folder: Path) -> None:
    """Make the module of a ``module:name`` importable from a folder too.

    Raises
    ------
    BadType
        If there is none, or another one hides it.
    """
    _reach(_split(kind)[0].partition(".")[0], folder)


def load_class(kind: str) -> "type[BacktraderStrategy]":
    """Return the class of a strategy type that was found before, in this process or in the one that started it.

    Raises
    ------
    BadType
        If it is not there, or is no strategy.
    """
    try:
        return _class(kind)
    except (BadType, KeyboardInterrupt):
        raise
    except BaseException as error:  # whatever somebody else's module or class does when it is looked at
        raise BadType(f"{kind} cannot be looked at: {_where(error)}") from error


def _class(kind: str) -> "type[BacktraderStrategy]":
    from pine.strategies.base import BacktraderStrategy

    module_name, name = _split(kind)
    module = _imported(module_name)
    found = getattr(module, name, None)
    place = module.__file__ or module_name
    if found is None:
        kinds = [key for key, value in vars(module).items() if _is_own_strategy(value, module)]
        raise BadType(f"found no class {name} in {place}{_near(name, kinds)}")
    if not isinstance(found, type) or not issubclass(found, BacktraderStrategy):
        raise BadType(
            f"{name} in {place} is no strategy of pine; derive it from BaseStrategy, or from BacktraderStrategy, of "
            "pine.strategies.base"
        )
    check_class(found, kind)
    return found


def check_class(found: "type[BacktraderStrategy]", kind: str) -> None:
    """Check that a strategy's class can run.

    Raises
    ------
    BadType
        If it does not implement what it must, or declares something else than timeframes, or than features.
    """
    from pine.core.timeframe import Timeframe

    if inspect.isabstract(found):
        lacking = ", ".join(sorted(found.__abstractmethods__))
        raise BadType(f"{kind} does not implement {lacking}; see docs/strategies.md")
    declared: Any = found.timeframes
    if not isinstance(declared, tuple) or not declared or not all(isinstance(item, Timeframe) for item in declared):
        raise BadType(f"{kind}: timeframes: found {declared!r}, expected a tuple such as (Timeframe.HOUR,)")
    asked: Any = found.features
    if not isinstance(asked, tuple | list) or not all(isinstance(item, str) for item in asked):
        raise BadType(f"{kind}: features: found {quoted(asked)}, expected a tuple of texts such as ('rsi(2)',)")


def source_files(kind: str) -> tuple[Path, list[Path]]:
    """Return the source of a strategy type that was found before: a folder, and its files in it.

    That is its module, or every Python file of the package that holds it.
    """
    top = _imported(_split(kind)[0].partition(".")[0])
    if hasattr(top, "__path__"):
        folder = Path(next(iter(top.__path__)))
        return folder.parent, sorted(folder.rglob("*.py"))
    file = Path(str(top.__file__))
    return file.parent, [file]


def _split(kind: str) -> tuple[str, str]:
    module, _, name = kind.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), name)):
        raise BadType(f"found {kind!r}, expected module:Class, such as my_strategies:MyStrategy")
    return module, name


def _reach(top: str, folder: Path) -> None:
    """Make modules in a folder importable, and sure that the one in question is not hidden by another."""
    before = _ours.pop(top, None)
    if before is not None and before != folder:  # another configuration's, in the same process
        if str(before) in sys.path:
            sys.path.remove(str(before))
        for name in [name for name in sys.modules if name.partition(".")[0] == top]:
            del sys.modules[name]
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    importlib.invalidate_caches()
    beside = [path for path in (folder / f"{top}.py", folder / top / "__init__.py") if path.exists()]
    if not beside:
        if top not in sys.modules and importlib.util.find_spec(top) is None:
            near = [path.stem for path in folder.glob("*.py")] + [
                path.parent.name for path in folder.glob("*/__init__.py")
            ]
            raise BadType(f"found no module {top} in {folder} or among installed packages{_near(top, near)}")
        return
    found = _origin(top)
    if found is None or not any(path.exists() and path.samefile(found) for path in beside):
        raise BadType(f"{beside[0]} has the name of a module that Python finds first ({found or 'its own'}); rename it")
    _ours[top] = folder


def _origin(top: str) -> Path | None:
    """Return the file that a top-level module is, or would be, made of."""
    if top in sys.modules:
        file = sys.modules[top].__file__
        return None if file is None else Path(file)
    spec = importlib.util.find_spec(top)
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None


def _imported(name: str) -> ModuleType:
    with off_stdout(), hearing() as asked_to_end:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is not None and f"{name}.".startswith(f"{error.name}."):
                raise BadType(f"found no module {error.name}") from None
            raise BadType(_raised(name, error)) from error
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and asked_to_end():
                raise
            raise BadType(_raised(name, error)) from error


def _raised(module: str, error: BaseException) -> str:
    """Return what went wrong while a module was imported, and where in it."""
    return f"module {module} cannot be imported: {_where(error)}"


def _where(error: BaseException) -> str:
    """Return the line that raised, and what."""
    if isinstance(error, SyntaxError):
        where = f"{error.filename}:{error.lineno}"
    else:
        frames = [
            frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<frozen")
        ]
        where = f"{frames[-1].filename}:{frames[-1].lineno}"
    return f"{where}: {describe(error)}"


def _is_own_strategy(value: Any, module: ModuleType) -> bool:
    from pine.strategies.base import BacktraderStrategy

    return isinstance(value, type) and issubclass(value, BacktraderStrategy) and value.__module__ == module.__name__


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; there are {', '.join(sorted(known))}" if known else ""


def _params(found: "type[BacktraderStrategy]", kind: str) -> type:
    """Return a strategy's parameter class, checked to be one that a configuration can fill and a record can hold."""
    import orjson

    params = found.Params
    if not isinstance(params, type) or not attrs.has(params):
        raise BadType(f"{kind}: Params: found {params!r}, expected a class made by attrs (from attrs import frozen)")
    without = [item.name for item in attrs.fields(params) if item.default is attrs.NOTHING or not item.init]
    if without:
        raise BadType(f"{kind}: Params: expected a default for each, found none for {', '.join(without)}")
    try:
        orjson.dumps(attrs.asdict(params()))
    except (orjson.JSONEncodeError, TypeError) as error:
        raise BadType(
            f"{kind}: Params: expected numbers, texts, true or false, and lists of them, found one that no record "
            f"can hold: {error}"
        ) from None
    except (ValueError, PineError) as error:
        raise BadType(f"{kind}: Params: its defaults are refused: {error}") from None
    except Exception as error:
        raise BadType(f"{kind}: Params: its defaults are refused: {_where(error)}") from error
    return params
