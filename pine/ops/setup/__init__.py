"""A configuration from a few answers, as well commented as pine's own: that one is made by the same template."""

from pine.ops.setup.answers import Answers, Wanted, defaults
from pine.ops.setup.render import render_env, render_yaml
from pine.ops.setup.write import Written, write

__all__ = ["Answers", "Wanted", "Written", "defaults", "render_env", "render_yaml", "write"]
