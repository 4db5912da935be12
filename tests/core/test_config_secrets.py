"""Configuration: secrets come out of `reveal`, and are shown nowhere."""

from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pine.core.config import load_config
from pine.core.config.secret import masked, secret_values
from pine.core.errors import ConfigError, SecretMissing
from pine.strategies.catalog import PARAMS

from .configs import PAIR, Load, write

SECRETS = PAIR + "    webhook: ${HOOK}\ndatabento:\n  api_key: ${KEY}\n"


def test_unset_secret_is_no_mistake_until_it_is_needed(load: Load) -> None:
    config = load(SECRETS)
    with pytest.raises(SecretMissing, match=r"databento\.api_key: environment variable KEY is not set"):
        config.databento.api_key.reveal()
    with pytest.raises(SecretMissing, match=r"strategies\.a\.webhook: environment variable HOOK is not set"):
        config.strategies["a"].webhook.reveal()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(PAIR + "    webhook:\ndatabento:\n  api_key:\n", id="empty"),
        pytest.param(PAIR + "    webhook: ''\ndatabento:\n  api_key: ''\n", id="empty text"),
        pytest.param(PAIR + "databento:\n", id="left out"),
    ],
)
def test_secret_that_is_not_there_is_named_when_it_is_needed(load: Load, text: str) -> None:
    config = load(text)
    assert not config.databento.api_key
    assert not config.strategies["a"].webhook
    with pytest.raises(SecretMissing, match=r"^databento\.api_key: "):
        config.databento.api_key.reveal()
    with pytest.raises(SecretMissing, match=r"^strategies\.a\.webhook: "):
        config.strategies["a"].webhook.reveal()


secret_texts = st.text("abcXYZ0123456789-_.:~", min_size=12, max_size=24)


@settings(deadline=None, max_examples=40)
@given(secret=secret_texts)
@example(secret="123456789012")
@example(secret="1234567890.5")
@example(secret="2024-01-02 12:00:00")
@example(secret="0x1234567890")
def test_secret_from_a_variable_comes_out_of_reveal_and_nowhere_else(
    tmp_path_factory: pytest.TempPathFactory, secret: str
) -> None:
    folder = tmp_path_factory.getbasetemp()
    address = f"https://hooks.example/{secret.replace(' ', '+')}"
    environ = {"KEY": secret, "HOOK": address}
    config = load_config(write(folder, SECRETS), PARAMS, environ)
    assert config.databento.api_key.reveal() == secret
    assert config.strategies["a"].webhook.reveal() == address
    shown = [repr(config), str(config), f"{config.databento.api_key} {config.strategies['a'].webhook!r}"]
    assert not any(part in text for text in shown for part in (secret, address.rpartition("/")[2]))


@settings(deadline=None, max_examples=50)
@given(
    secret=secret_texts,
    wrong=st.sampled_from(
        [
            "databento: {{api_key: '{}', dataset: 5}}",
            "databento: {{api_key: ['{}']}}",
            "databento: {{api_key: {{value: '{}'}}}}",
            "databento: {{api_kei: '{}'}}",
            "databento: '{}'",
            "bus: {{url: 'ftp://:{}@host'}}",
            "bus: {{url: 'redis+sentinel://u:{}@host'}}",
            "bus: {{url: 'redis+sentinel://{}~/pine'}}",
            "bus: {{url: 'redis+sentinel://u:{}@host:0/pine'}}",
            "bus: {{url: 'redis+sentinel://host/pine?sentinel_passwort={}'}}",
            "bus: {{url: ['redis://:{}@host']}}",
            "bus: 'redis://:{}@host'",
            "instruments: {{ES: }}\nstrategies: {{a: {{type: ibs, instruments: [ES], webhook: 'x://h/{}'}}}}",
            "instruments: {{ES: }}\nstrategies: {{a: {{type: ibs, instruments: [ES], webhook: ['https://h/{}']}}}}",
            "instruments: {{ES: }}\nstrategies: {{a: {{type: ibs, instruments: [ES], webhok: 'https://h/{}'}}}}",
            "instruments: {{ES: }}\nstrategies: {{a: {{type: ibs, instruments: [NQ], webhook: 'https://h/{}'}}}}",
            "strategies: {{a: 'https://h/{}'}}",
        ]
    ),
)
def test_secret_is_in_no_listing_of_mistakes(tmp_path_factory: pytest.TempPathFactory, secret: str, wrong: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path_factory.getbasetemp(), wrong.format(secret)), PARAMS, {})
    assert secret not in str(caught.value)
    assert secret not in repr(caught.value)


KEY = "db-Ab3dEf6hIj9kLm2nOp5qRs8tUv1wX"
HOOK = "https://webhooks.traderspost.io/trading/webhook/5f3c-uuid/9d2e-password"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"databento: {{dataset: {KEY}}}", ["1: databento.dataset: found 'db-********', expected the code of a"]),
        (f"databento: {{gateway: {KEY}}}", ["1: databento.gateway: found 'db-********', expected HOST:PORT"]),
        (f"databento: {{{KEY}: }}", ["1: databento.db-********: unknown setting, allowed: api_key"]),
        (f"data_dir: [{KEY}]", ["1: data_dir: found ['db-********'], expected text"]),
        (f"instruments: {{ES: {{parent: {KEY}}}}}", ["1: instruments.ES.parent: "]),
        (f"hub: {{clock: '{HOOK}'}}", ["1: hub.clock: found 'https://webhooks.traderspost.io/********', expected one"]),
        (
            f"instruments: {{ES: }}\nstrategies: {{'{HOOK}': {{type: ibs, instruments: [ES]}}}}",
            [
                "2: strategies.https://webhooks.traderspost.io/********: found 'https://webhooks.traderspost.io/********'"
            ],
        ),
        ("bus: {fsync: 'redis://u:9d2e-password@host:1/0'}", ["1: bus.fsync: found 'redis://********@host:1/0'"]),
    ],
    ids=["dataset", "gateway", "name", "list", "parent", "webhook", "strategy", "password"],
)
def test_a_secret_that_was_pasted_into_another_setting_is_not_shown(
    mistakes: Callable[..., list[str]], text: str, shown: list[str]
) -> None:
    told = mistakes(text)
    assert [line[: len(start)] for line, start in zip(told, shown, strict=True)] == shown
    assert not any(part in line for line in told for part in (KEY[3:], "5f3c", "9d2e"))


@pytest.mark.parametrize("text", ["'db-sandbox'", "https://127.0.0.1:13443", "s3://bucket/pine", "strategies.a-b.c"])
def test_what_holds_no_secret_is_shown_as_it_is(text: str) -> None:
    assert masked(text) == text


def test_password_of_the_bus_is_not_shown(load: Load) -> None:
    config = load("bus: {url: 'redis://:pa55word@host:6379'}")
    assert "pa55word" not in repr(config)
    assert "pa55word" not in str(config)


@pytest.mark.parametrize("url", ["mailtos://me:ab[SECRET]cd@example.com", "http://[", "json://[SECRET]x/ab"])
def test_an_alert_address_with_brackets_is_hidden_like_any_other(load: Load, url: str) -> None:
    hidden = secret_values(load("alerts: {urls: ['" + url + "']}"))
    assert url in hidden
    assert ("SECRET" in hidden) == ("@" in url)


@pytest.mark.parametrize("url", ["redis://:ab[SECRET]cd@host:1", "redis://[", "redis://host:99999"])
def test_a_server_whose_url_cannot_be_read_is_a_mistake_that_shows_nothing(
    mistakes: Callable[..., list[str]], url: str
) -> None:
    assert mistakes("bus: {url: '" + url + "'}")[0].startswith("1: bus.url: ")
    assert "SECRET" not in str(mistakes("bus: {url: '" + url + "'}"))


@pytest.mark.parametrize("place", ["h:99999/a/b", "h:0/a/b", "[:::1]/a/b"])
def test_a_webhook_at_no_possible_place_is_a_mistake(mistakes: Callable[..., list[str]], place: str) -> None:
    (told,) = mistakes(PAIR + f"    webhook: 'https://{place}'\n")
    assert "strategies.a.webhook: found something else (not shown)" in told


@pytest.mark.parametrize("name", ["hub", "server", "all", "up", "alerts"])
def test_a_strategy_is_not_called_as_what_runs_beside_it(mistakes: Callable[..., list[str]], name: str) -> None:
    (told,) = mistakes(PAIR.replace("  a:", f"  {name}:"))
    assert "which pine uses itself" in told
