"""Ready-made filters."""

from collections.abc import Mapping

from pine.core.config import FilterConfig

PRESETS: Mapping[str, FilterConfig] = {}
