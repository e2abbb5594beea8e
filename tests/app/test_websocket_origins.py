from __future__ import annotations

import pytest

from tarry.app.websocket_origins import OriginPolicy


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://example.com", "example.com"),
        ("http://example.com:80", "example.com"),
        ("http://example.com", "example.com:80"),
        ("https://example.com", "example.com"),
        ("https://example.com:443", "example.com"),
        ("https://EXAMPLE.com", "example.COM"),
        ("http://localhost:8000", "localhost:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
    ],
)
def test_pages_of_the_same_host_may_connect(origin, host):
    assert OriginPolicy().allows([origin], host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://evil.example", "example.com"),
        ("http://example.com.evil.example", "example.com"),
        ("http://evilexample.com", "example.com"),
        ("http://example.com:8080", "example.com"),
        ("http://example.com:443", "example.com"),
        ("http://example.com@evil.example", "example.com"),
        ("http://example.com/", "example.com"),
        ("http://localhost:3000", "localhost:8000"),
        ("null", "example.com"),
        ("", ""),
        ("file://", ""),
        ("example.com", "example.com"),
        ("http://example.com, http://example.com", "example.com"),
    ],
)
def test_other_pages_may_not(origin, host):
    assert not OriginPolicy().allows([origin], host)


def test_two_origins_are_none_to_trust():
    assert not OriginPolicy().allows(["http://a", "http://a"], "a")
    assert not OriginPolicy(["http://a"]).allows(["http://a", "http://b"], "a")


def test_who_names_no_origin_is_no_browser():
    assert OriginPolicy().allows([], "example.com")
    assert OriginPolicy(["https://a"]).allows([], "example.com")


def test_a_list_replaces_the_host():
    policy = OriginPolicy(["https://Example.com", "http://localhost:3000"])

    assert policy.allows(["https://example.com"], "api.example.com")
    assert policy.allows(["https://example.com:443"], "api.example.com")
    assert policy.allows(["http://localhost:3000"], "x")
    assert not policy.allows(["http://example.com"], "api.example.com")
    assert not policy.allows(["https://api.example.com"], "api.example.com")


def test_an_empty_list_lets_no_page_in():
    assert not OriginPolicy([]).allows(["http://a"], "a")


def test_a_star_lets_all_in():
    assert OriginPolicy("*").allows(["null"], "a")
    assert OriginPolicy("*").allows(["http://evil.example", "http://b"], "a")


@pytest.mark.parametrize("origins", ["https://a", ["a"], ["https://a/"], ["https://"], ["*"]])
def test_origins_that_are_none_are_refused(origins):
    with pytest.raises(ValueError, match="origin"):
        OriginPolicy(origins)
