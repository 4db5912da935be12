"""The supervisor's embedded server."""

from pathlib import Path

from pine.bus.embedded import EmbeddedServer
from pine.core.config import Config
from pine.ops.supervisor.server import Server


def test_a_server_that_a_worker_started_again_is_still_ours_to_the_next_supervisor(tmp_path: Path) -> None:
    config, embedded = Config(tmp_path / "pine.yaml", tmp_path / "data"), EmbeddedServer(tmp_path / "data")
    first = Server(config)
    first.start(lambda: False)
    try:
        embedded.stop()
        embedded.ensure()
        first.note()
        following = Server(config)
        following.start(lambda: False)
        assert following.ours
    finally:
        embedded.stop()
