"""The vendor's limits on webhooks, kept on our side so that it need not refuse."""

from collections import deque
from collections.abc import Iterable
from typing import Final

from attrs import define, field

from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND

_WINDOWS: Final = (NS_PER_MINUTE, NS_PER_HOUR)


@define
class RateLimit:
    """At most so many posts in any minute and in any hour.

    Parameters
    ----------
    per_minute, per_hour
        Limits; None for none.
    """

    per_minute: int | None
    per_hour: int | None
    _posts: deque[int] = field(factory=deque)

    def remember(self, posts: Iterable[int]) -> None:
        """Take note of earlier posts, by their times in ns, oldest first."""
        self._posts.extend(posts)

    def took(self, now: int) -> None:
        """Take note of a post at `now` (ns)."""
        self._posts.append(now)

    def wait(self, now: int) -> float:
        """Return the seconds until the next post is allowed."""
        while self._posts and self._posts[0] <= now - NS_PER_HOUR:
            self._posts.popleft()
        longest = 0
        for window, limit in zip(_WINDOWS, (self.per_minute, self.per_hour), strict=True):
            if limit is None:
                continue
            # What lies ahead was posted while a clock was wrong: waiting for it could take days.
            inside = [ts for ts in self._posts if now - window < ts <= now]
            if len(inside) >= limit:
                longest = max(longest, inside[-limit] + window - now)
        return longest / NS_PER_SECOND
