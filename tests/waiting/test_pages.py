"""The pages of tickets: how it stands, without JavaScript, everything escaped."""

from __future__ import annotations

import asyncio
import re

import pytest

from tarry.app.pages import FORM_POLICY, STYLE
from tarry.testing import AsyncClient
from tarry.waiting.addresses import Addresses
from tarry.waiting.pages import in_words, ticket_page
from tarry.waiting.places import NOWHERE, Place
from tarry.waiting.records import Record
from tests.app.test_pages import EVIL, Elements
from tests.waiting.tickets_app import BROWSER, Desk


@pytest.fixture
def desk():
    return Desk()


def shown(desk, *changes, after_s=0.0):
    """The page of a ticket after some changes, and its path."""

    async def go():
        async with AsyncClient(desk.app) as client:
            path = (await desk.parked(client))["links"]["self"]
            for change in changes:
                await change(desk.wait)
            desk.clock.advance(after_s)
            return await client.get(path, headers=BROWSER), path

    return asyncio.run(go())


def refresh_of(reply):
    found = re.search(r'http-equiv="refresh" content="(\d+); url=([^"]+)"', reply.text)
    return (int(found[1]), found[2]) if found else None


def test_a_page_that_waits_looks_again_and_can_cancel(desk):
    reply, path = shown(desk)

    assert reply.status == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["content-security-policy"] == FORM_POLICY
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["referrer-policy"] == "no-referrer"
    elements = Elements(reply.body)
    assert elements.open == []
    assert "script" not in elements.tags
    assert elements.tags.count("progress") == 1
    assert ("action", f"{path}/cancel") in elements.attributes
    assert refresh_of(reply) == (2, path)
    assert "Please wait" in elements.texts["h1"]
    assert "POST /park/str" in elements.texts["b"]
    assert STYLE in reply.text


@pytest.mark.parametrize(
    ("after_s", "refresh_s"), [(0, 2), (19, 2), (60, 6), (149, 15), (3600, 15)]
)
def test_it_looks_again_more_seldom_the_longer_it_takes(desk, after_s, refresh_s):
    reply, path = shown(desk, after_s=after_s)

    assert refresh_of(reply) == (refresh_s, path)


@pytest.mark.parametrize(
    ("progress", "bar", "text", "title"),
    [
        ((12, 80, "drawing"), '<progress max="80" value="12">', "12 of 80: drawing", "15% – "),
        ((0, 4), '<progress max="4" value="0">', "0 of 4", "0% – "),
        ((9, 4), '<progress max="4" value="9">', "9 of 4", "100% – "),
        ((-1, 4), '<progress max="4" value="0">', "0 of 4", "0% – "),
        ((3, None, "loading"), "<progress></progress>", "loading", "In progress"),
        ((0, 0), "<progress></progress>", "not there yet", "In progress"),
    ],
)
def test_progress(desk, progress, bar, text, title):
    reply, _ = shown(desk, lambda wait: wait.progress(*progress))

    assert bar in reply.text
    assert text in reply.text
    assert f"<title>{title}" in reply.text


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda wait: wait.fail("no paper", 502), "no paper"),
        (lambda wait: wait.fail(), "reports an error"),
        (lambda wait: wait.cancel(), "cancelled"),
    ],
)
def test_the_end(desk, change, text):
    reply, _ = shown(desk, change)

    assert reply.status == 200
    assert text in reply.text
    assert refresh_of(reply) is None
    assert "<form" not in reply.text


def test_what_expired(desk):
    reply, _ = shown(desk, after_s=9 * 3600 - 1)

    assert "in time" in reply.text


def test_every_value_is_escaped(desk):
    reply, _ = shown(desk, lambda wait: wait.progress(1, 2, EVIL))
    failed, _ = shown(Desk(), lambda wait: wait.fail(EVIL))

    assert "<script" not in reply.text + failed.text
    assert EVIL in Elements(reply.body).texts["span"]
    assert EVIL in Elements(failed.body).texts["p"]


@pytest.mark.parametrize("preferences", [{"prefer": "respond-async"}, {}])
def test_a_browser_that_is_handed_over_gets_the_page(desk, preferences):
    async def go():
        async with AsyncClient(desk.app) as client:
            headers = BROWSER | preferences
            asking = asyncio.create_task(client.get("/park/str", headers=headers))
            while not (asking.done() or desk.parking.holds):
                await asyncio.sleep(0)
            desk.pass_time(24)
            desk.pass_time(2)
            reply = await asking
            path = desk.wait.ticket_url.removeprefix("https://example.org")
            assert reply.status == 202
            assert reply.headers["location"] == path
            assert refresh_of(reply)[1] == path
            assert reply.headers["content-security-policy"] == FORM_POLICY

    asyncio.run(go())


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "0 seconds"), (1.9, "1 second"), (59, "59 seconds"), (60, "1 minute"),
     (7100, "1 hour"), (7199, "2 hours"), (86400 * 2, "2 days")],
)  # fmt: skip
def test_times_in_words(seconds, words):
    assert in_words(seconds) == words


def job_page(place=NOWHERE, **fields):
    job = Record("id", b"secret", 0.0, 1000.0, 60.0, job="app:render", **fields)
    return ticket_page(job, Addresses(), 3.0, place).decode()


def test_a_job_that_waits_says_how_many_are_before_it():
    assert "This one is the next" in job_page(Place(1, None))
    assert "2 before this one" in job_page(Place(3, None))


def test_a_job_says_when_it_may_be_done_and_not_when_it_is_given_up():
    page = job_page(Place(None, 90.0), state="working")

    assert "done in about 1 minute" in page
    assert "at the latest" not in page


def test_a_job_that_is_being_cancelled_cannot_be_cancelled_again():
    page = job_page(state="working", is_cancelling=True)

    assert "Being cancelled" in page
    assert "<button" not in page
