"""Configuration: the URL of Sentinels, and what each of its parts means."""

import pytest

from pine.core.config.sentinel import SentinelUrl


@pytest.mark.parametrize(
    ("url", "means"),
    [
        ("redis+sentinel://a/pine", SentinelUrl((("a", 26379),), "pine")),
        (
            "redis+sentinel://10.0.0.1:1,[::1]:2,c.example/my-desk.1/3",
            SentinelUrl((("10.0.0.1", 1), ("::1", 2), ("c.example", 26379)), "my-desk.1", 3),
        ),
        (
            "redis+sentinel://anna:p%40ss%2F%2C%3A@a,b/pine/",
            SentinelUrl((("a", 26379), ("b", 26379)), "pine", 0, "anna", "p@ss/,:"),
        ),
        ("redis+sentinel://:secret@a/pine", SentinelUrl((("a", 26379),), "pine", password="secret")),
        (
            "rediss+sentinel://a/pine?sentinel_username=w&sentinel_password=p%26q&ssl_ca_certs=/etc/ca.crt",
            SentinelUrl(
                (("a", 26379),),
                "pine",
                tls=True,
                options={"sentinel_username": "w", "sentinel_password": "p&q", "ssl_ca_certs": "/etc/ca.crt"},
            ),
        ),
    ],
)
def test_a_url_means_what_it_says(url: str, means: SentinelUrl) -> None:
    found = SentinelUrl.parse(url)
    assert found == means
    for secret in ("p@ss", "secret", "p&q"):
        assert secret not in repr(found) + found.shown
