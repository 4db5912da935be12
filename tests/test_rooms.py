"""The rooms of the house: who may know whom."""

import ast
from pathlib import Path

import pine

ROOMS = [
    "cli",
    "bench",
    "sandbox",
    "web",
    "ops",
    "legacy",
    "training",
    "replay",
    "worker",
    "hub",
    "orders",
    "strategies",
    "feeds",
    "history",
    "bus",
    "core",
]
"""From the top floor down: a room may import from itself and from rooms below it, never from one above."""

HEAVY = {"plotly", "pandas", "databento", "backtrader", "xgboost", "polars", "exchange_calendars", "fsspec", "pyarrow"}
ROOT = Path(pine.__file__).parent


def imports(path: Path, *, top_level: bool) -> set[str]:
    """Return the modules that a file imports, anywhere or only at its top level."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


def test_dependencies_point_down_only() -> None:
    wrong = []
    for path in ROOT.rglob("*.py"):
        room = path.relative_to(ROOT).parts[0]
        if room not in ROOMS:
            continue
        for name in imports(path, top_level=False):
            parts = name.split(".")
            if (
                parts[0] == "pine"
                and len(parts) > 1
                and parts[1] in ROOMS
                and ROOMS.index(parts[1]) < ROOMS.index(room)
            ):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_heavy_libraries_are_imported_at_the_top_only_where_nothing_works_without_them() -> None:
    allowed = {
        "hub/session.py": {"databento"},
        "feeds/backtrader.py": {"backtrader"},
        **{
            f"legacy/{name}.py": {"backtrader"}
            for name in ("feeds", "broker", "indicators", "strategy", "ibs", "breakout", "system")
        },
        "strategies/base.py": {"backtrader"},
        "worker/broker.py": {"backtrader"},
        "bench/plain.py": {"backtrader"},
        "worker/engine.py": {"backtrader"},
    }
    for path in ROOT.rglob("*.py"):
        heavy = {name.split(".")[0] for name in imports(path, top_level=True)} & HEAVY
        assert heavy <= allowed.get(path.relative_to(ROOT).as_posix(), set()), path


def test_only_the_key_module_writes_keys_by_hand() -> None:
    per_strategy = ("ledger:", "control:", "deliveries:", "flight:", "warmup:")
    prefixes = ("market:", *per_strategy, "lease:", "fence:", "heartbeat:", "log:", "alerts:")
    wrong = []
    for path in ROOT.rglob("*.py"):
        if path.name == "keys.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            if text.startswith(prefixes) and " " not in text:
                wrong.append(f"{path.relative_to(ROOT)}: {text!r}")
    assert wrong == []
