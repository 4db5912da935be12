"""Whether a configuration can be used is judged as a process finds it that starts now."""

from pathlib import Path

import pytest

from pine.core.config import load_config
from pine.core.errors import PineError
from pine.ops.supervisor.judge import judge
from pine.strategies.catalog import PARAMS

PLUG_IN = """\
from pine.core.timeframe import Timeframe
from pine.strategies.base import BacktraderStrategy

class Mine(BacktraderStrategy):
    timeframes = (Timeframe.HOUR,)

    def next(self) -> None: ...
"""


def test_a_module_that_was_broken_after_it_was_imported_here_is_found_broken(tmp_path: Path) -> None:
    module, path = tmp_path / "judged_plug_in.py", tmp_path / "pine.yaml"
    module.write_text(PLUG_IN)
    path.write_text("instruments: {ES: }\nstrategies: {a: {type: 'judged_plug_in:Mine', instruments: [ES]}}\n")
    load_config(path, PARAMS)
    judge(path)
    module.write_text("print('told')\nraise RuntimeError('broken since')\n")
    load_config(path, PARAMS)
    with pytest.raises(PineError, match=r"mistakes: .*broken since"):
        judge(path)
    module.write_text("import os\nos._exit(0)\n")
    with pytest.raises(PineError, match="exit code 0; see pine check"):
        judge(path)
