"""tarry.js in a real browser: answers, progress, and all that can come between."""

from __future__ import annotations

import pytest


def until(page, key, state="done"):
    """What is told of a wait when it is over."""
    page.wait_for_function("([key, state]) => told[key]?.state === state", arg=[key, state])
    return page.evaluate("key => ({...told[key], wait: null})", key)


def until_ticket(page, key="a"):
    page.wait_for_function("key => told[key]?.wait.ticket", arg=key)
    return page.evaluate("key => told[key].wait.ticket", key)


def ask(page, key="a", url="/slow", options="{}"):
    """Have the page wait, until it has a ticket."""
    page.evaluate(f"ask('{key}', '{url}', {options})")
    return until_ticket(page, key)


def until_told(page, text, key="a"):
    page.wait_for_function("([key, text]) => told[key].progress.includes(text)", arg=[key, text])


# ---- answers ------------------------------------------------------------------------------


def test_an_answer_that_is_there_at_once_is_the_result(page):
    assert page.evaluate("tarry.waitFor('/quick')") == {"answer": 42}


def test_the_request_is_sent_as_told_and_prefers_a_ticket(page):
    body = "fetchOptions: {method: 'POST', body: new URLSearchParams({text: 'ü'})}"

    assert page.evaluate(f"tarry.waitFor('/echo', {{{body}}})") == {
        "text": "ü", "prefer": "respond-async, wait=8",
    }  # fmt: skip
    told = page.evaluate(f"tarry.waitFor('/echo', {{name: 'n', {body}}})")
    assert told["prefer"] == "respond-async, wait=1"


def test_a_result_that_comes_later_arrives_by_the_stream(page, desk):
    ask(page)
    desk.waits[0].wake({"n": 1})

    assert until(page, "a")["value"] == {"n": 1}
    assert len(desk.streams) == 1


def test_a_value_too_large_for_an_event_is_fetched(page, desk):
    ask(page)
    desk.waits[0].wake("x" * 100_000)

    assert len(until(page, "a")["value"]) == 100_000


def test_a_value_whose_fetch_is_cut_off_is_fetched_again(page, desk):
    page.route("**/result", lambda route: route.abort(), times=1)
    ask(page)
    desk.waits[0].wake("x" * 100_000)

    assert len(until(page, "a")["value"]) == 100_000


def test_what_is_not_json_is_given_as_the_response(page, desk):
    ask(page, url="/picture")
    desk.waits[0].wake("pixels")
    until(page, "a")

    assert page.evaluate("told.a.value.headers.get('content-type')") == "image/x-test"
    assert page.evaluate("told.a.value.text()") == "pixels"


def test_the_path_of_a_ticket_can_be_followed(page, desk):
    ticket = ask(page)
    page.evaluate("ticket => ask('b', `/-/t/${ticket}`)", ticket)
    desk.waits[0].wake(5)

    assert until(page, "b")["value"] == until(page, "a")["value"] == 5


def test_progress_arrives_in_order_and_once(page, desk):
    ask(page)
    for number in range(20):
        assert desk.waits[0].progress(number, 20, f"step {number}")
    desk.waits[0].wake(None)

    told = [text for text in until(page, "a")["progress"] if text is not None]
    assert told == [f"step {number}" for number in range(20)]


def test_an_error_in_the_callback_does_not_end_the_stream(page, desk, new_page):
    page.evaluate(
        "window.onerror = () => true;"
        "ask('a', '/slow', {onprogress: () => { told.a.calls = 1; throw new Error('mine') }})"
    )
    until_ticket(page)
    desk.waits[0].progress(text="x")
    page.wait_for_function("told.a.calls")
    desk.waits[0].wake(1)

    assert until(page, "a")["value"] == 1


# ---- one stream for all -------------------------------------------------------------------


def test_waits_of_a_page_share_one_stream(page, desk):
    tickets = [ask(page, key) for key in "abc"]
    desk.until_stream_of(tickets)
    desk.until_streams(1)
    for number, wait in enumerate(desk.waits):
        wait.wake(number)
    assert [until(page, key)["value"] for key in "abc"] == [0, 1, 2]
    assert len(desk.streams) <= 3


def test_waits_that_begin_together_open_the_stream_once(page, desk):
    tickets = [ask(page, key) for key in "ab"]
    desk.until_streams(1)
    page.reload()
    page.evaluate("tickets => tickets.forEach(ticket => ask(ticket, `/-/t/${ticket}`))", tickets)
    opened = len(desk.streams)
    for wait in desk.waits:
        wait.wake(7)

    assert [until(page, ticket)["value"] for ticket in tickets] == [7, 7]
    assert len(desk.streams) - opened <= 1


# ---- what comes between -------------------------------------------------------------------


def test_a_reload_in_the_middle_goes_on_under_the_name(page, desk):
    ask(page, options="{name: 'a'}")
    desk.waits[0].progress(text="half")
    until_told(page, "half")

    page.reload()
    assert page.evaluate("again('a')")
    until_told(page, "half")
    desk.waits[0].wake("whole")

    assert until(page, "a")["value"] == "whole"
    page.reload()
    assert not page.evaluate("again('a')")


def test_a_restart_of_the_server_in_the_middle_goes_unnoticed(page, desk):
    ask(page)
    token = desk.waits[0].token
    desk.waits[0].progress(text="before")
    until_told(page, "before")

    desk.stop()
    desk.start()
    desk.until_streams(1)
    assert desk.app.wake(token, "after")

    told = until(page, "a")
    assert told["value"] == "after"
    assert told["progress"].count("before") == 1


def test_a_page_that_comes_back_from_the_cache_of_the_browser_connects_again(page, desk):
    ask(page)
    desk.until_streams(1)
    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
    desk.until_streams(0)
    desk.waits[0].wake("meanwhile")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")

    assert until(page, "a")["value"] == "meanwhile"


@pytest.mark.parametrize("event", ["document.visibilitychange", "window.online"])
def test_a_page_that_is_back_connects_again_if_it_has_heard_nothing(new_page, desk, event):
    page = new_page()
    page.clock.install()
    page.goto(desk.url)
    ask(page)
    desk.waits[0].progress(text="alive")
    until_told(page, "alive")
    target, name = event.split(".")
    dispatch = f"{target}.dispatchEvent(new Event('{name}'))"

    page.evaluate(dispatch)
    page.clock.fast_forward(21_000)
    with page.expect_request("**/-/events?*"):
        page.evaluate(dispatch)
    desk.waits[0].wake(1)

    assert until(page, "a")["value"] == 1
    assert len(desk.streams) == 2


def test_blocked_streams_are_replaced_by_held_requests(page, desk):
    page.route("**/-/events?*", lambda route: route.abort())
    held = []
    page.on("request", lambda request: held.append(request.headers.get("prefer")))
    ask(page)
    with page.expect_request(lambda request: request.headers.get("prefer") == "wait=25"):
        pass
    for number in range(2):
        desk.waits[0].progress(text=f"step {number}")
        until_told(page, f"step {number}")
    desk.waits[0].wake([1])

    assert until(page, "a")["value"] == [1]
    assert not desk.streams


def test_more_waits_than_connections_come_through_without_streams(page, desk):
    page.route("**/-/events?*", lambda route: route.abort())
    keys = [f"wait {number}" for number in range(8)]
    for key in keys:
        ask(page, key)
    for number, wait in enumerate(desk.waits):
        wait.wake(number)

    assert [until(page, key)["value"] for key in keys] == list(range(8))


def test_a_stream_that_is_held_back_on_the_way_is_given_up(new_page, desk):
    page = new_page()
    page.clock.install()
    page.goto(desk.url)
    kept_back = []
    page.route("**/-/events?*", lambda route: kept_back.append(route))
    with page.expect_request("**/-/events?*"):
        ask(page)
    with page.expect_request(lambda request: request.headers.get("prefer") == "wait=25"):
        page.clock.fast_forward(41_000)
        page.clock.fast_forward(1_000)
    desk.waits[0].wake("by request")

    assert until(page, "a")["value"] == "by request"
    assert len(kept_back) == 1


def test_what_answers_for_a_server_that_is_away_is_not_the_answer(page, desk):
    page.route("**/-/events?*", lambda route: route.abort())
    page.route(
        "**/-/t/*",
        lambda route: route.fulfill(status=502, content_type="text/html", body="<h1>Bad gateway"),
        times=1,
    )
    ask(page)
    desk.waits[0].wake("the answer")

    assert until(page, "a")["value"] == "the answer"


def test_retry_after_is_honoured(new_page, desk):
    page = new_page()
    page.clock.install()
    page.goto(desk.url)
    seen = []
    page.on("request", lambda request: seen.append(request.url) if "events" in request.url else 0)
    busy = {"status": 503, "headers": {"retry-after": "20"}}
    page.route("**/-/events?*", lambda route: route.fulfill(**busy), times=1)
    with page.expect_response("**/-/events?*"):
        ask(page)
    page.clock.fast_forward(15_000)
    assert len(seen) == 1
    with page.expect_request("**/-/events?*"):
        page.clock.fast_forward(6_000)
    desk.waits[0].wake(1)

    assert until(page, "a")["value"] == 1


# ---- ends without an answer ---------------------------------------------------------------


def state_of(page, desk, ticket):
    return page.request.get(f"{desk.url}/-/t/{ticket}").json()["state"]


def test_cancel_ends_the_wait_here_and_on_the_server(page, desk):
    ticket = ask(page, options="{name: 'a'}")
    page.evaluate("told.a.wait.cancel()")

    error = until(page, "a", "error")["error"]
    assert (error["name"], error["state"], error["status"]) == ("TarryError", "cancelled", 410)
    assert state_of(page, desk, ticket) == "cancelled"
    assert not page.evaluate("again('a')")


def test_a_signal_cancels_with_its_reason(page, desk):
    page.evaluate("window.leaving = new AbortController()")
    ticket = ask(page, options="{signal: leaving.signal}")
    with page.expect_response(lambda response: response.request.method == "DELETE"):
        page.evaluate("leaving.abort()")

    assert until(page, "a", "error")["error"]["name"] == "AbortError"
    assert state_of(page, desk, ticket) == "cancelled"


def test_cancel_before_there_is_a_ticket_breaks_the_request_off(page, desk):
    with page.expect_request("**/slow"):
        page.evaluate("ask('a', '/slow', {wait: 20})")
    with page.expect_event("requestfailed"):
        page.evaluate("told.a.wait.cancel()")

    assert until(page, "a", "error")["error"]["state"] == "cancelled"


def test_a_signal_that_is_aborted_already_sends_nothing(page, desk):
    page.evaluate("ask('a', '/slow', {signal: AbortSignal.abort()})")

    assert until(page, "a", "error")["error"]["name"] == "AbortError"
    assert not desk.waits


def test_a_failure_is_an_error_with_its_problem(page, desk):
    ask(page)
    desk.waits[0].fail("out of paper", 507)

    error = until(page, "a", "error")["error"]
    assert error["message"] == "out of paper"
    assert (error["status"], error["state"]) == (507, "failed")
    assert error["problem"]["detail"] == "out of paper"


def test_a_wait_that_expires_is_an_error(page):
    ask(page, url="/slow?timeout=0.2")

    error = until(page, "a", "error")["error"]
    assert (error["status"], error["state"]) == (504, "expired")


def test_a_ticket_that_nobody_knows_is_gone(page):
    page.evaluate("ask('a', '/-/t/tk_nobody')")

    error = until(page, "a", "error")["error"]
    assert (error["status"], error["state"]) == (404, "gone")


@pytest.mark.parametrize("reason", ["fail", "gone"])
def test_ends_are_heard_without_a_stream_as_well(page, desk, reason):
    page.route("**/-/events?*", lambda route: route.abort())
    if reason == "gone":
        page.evaluate("ask('a', '/-/t/tk_nobody')")
    else:
        ask(page)
        desk.waits[0].fail("out of paper", 507)

    error = until(page, "a", "error")["error"]
    assert error["status"] == (404 if reason == "gone" else 507)
    assert error["state"] == ("gone" if reason == "gone" else "failed")


def test_a_refusal_of_the_route_is_an_error_with_its_problem(page):
    page.evaluate("ask('a', '/refused')")

    error = until(page, "a", "error")["error"]
    assert (error["status"], error["state"]) == (409, "failed")
    assert error["problem"]["detail"] == "there is one already"


def test_a_request_that_reaches_nobody_is_an_error(page, desk):
    desk.stop()
    page.evaluate("ask('a', '/slow')")

    error = until(page, "a", "error")["error"]
    assert (error["name"], error["status"], error["problem"]) == ("TarryError", 0, None)


# ---- the other form -----------------------------------------------------------------------


def test_the_classic_script_defines_tarry_and_nothing_else(new_page, desk):
    page = new_page()
    page.goto(desk.url)
    before = page.evaluate("Object.keys(window)")
    page.evaluate("delete window.tarry")
    page.add_script_tag(url="/-/tarry.classic.js")

    assert page.evaluate("Object.keys(tarry).sort()") == [
        "TarryError", "Worker", "resume", "waitFor",
    ]  # fmt: skip
    assert page.evaluate("tarry.waitFor('/quick')") == {"answer": 42}
    assert set(page.evaluate("Object.keys(window)")) <= {*before, "tarry"}
