"""Never more posts in any minute or hour than the vendor allows."""

from hypothesis import given
from hypothesis import strategies as st

from pine.orders.ratelimit import RateLimit

SECOND = 1_000_000_000


@given(st.lists(st.integers(0, 30), max_size=200), st.integers(1, 5), st.integers(1, 20))
def test_whoever_waits_as_told_never_exceeds_a_limit(gaps: list[int], per_minute: int, per_hour: int) -> None:
    limit = RateLimit(per_minute, per_hour)
    now, posts = 0, []
    for gap in gaps:
        now += gap * SECOND
        now += round(limit.wait(now) * SECOND) + 1
        assert limit.wait(now) == 0
        limit.took(now)
        posts.append(now)
    for window, allowed in ((60, per_minute), (3600, per_hour)):
        for last in posts:
            assert sum(last - window * SECOND < ts <= last for ts in posts) <= allowed


def test_no_limit_never_waits() -> None:
    limit = RateLimit(None, None)
    for _ in range(1000):
        assert limit.wait(5) == 0
        limit.took(5)


def test_earlier_posts_count() -> None:
    limit = RateLimit(2, None)
    limit.remember([0, 10 * SECOND])
    assert limit.wait(20 * SECOND) == 40
    assert limit.wait(61 * SECOND) == 0
