"""`Worker` in a real browser: names, status, what is left, and what comes back."""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import pytest

from tarry import App, Body, Response

SET_UP = """options => {
  window.work = new tarry.Worker(options)
  window.heard = []
  window.statuses = []
  work.status(active => statuses.push(active))
  // What is begun by one of the methods, and all that is heard of it under a key.
  window.begin = (method, key, ...rest) => {
    const options = rest.pop()
    return work[method](
      ...rest,
      result => heard.push(`${key} done ${JSON.stringify(result)}`),
      error => heard.push(`${key} failed ${error.state} ${error.status}: ${error.message}`),
      {
        onprogress: ({ progress }) => progress && heard.push(`${key} at ${progress.text}`),
        onlog: text => heard.push(`${key} log ${text}`),
        ...options,
      },
    )
  }
  window.post = (key, name, options = {}, url = "/job") =>
    void (window[key] = begin("post", key, name, url, { key }, options))
}"""


def set_up(page, options=None):
    page.evaluate(SET_UP, options or {})


@pytest.fixture
def page(page):
    """A page of the desk, which has `work`."""
    set_up(page)
    return page


def post(page, key="a", name="n", options="{}"):
    """Post under a name, until there is a ticket."""
    page.evaluate(f"post('{key}', '{name}', {options})")
    page.wait_for_function(f"{key}.ticket")
    return page.evaluate(f"{key}.ticket")


def until_heard(page, *lines):
    """All that was heard, as soon as it has these lines."""
    page.wait_for_function("lines => lines.every(line => heard.includes(line))", arg=list(lines))
    return page.evaluate("heard")


def until_told(page, *statuses):
    page.wait_for_function(
        "told => JSON.stringify(statuses) === JSON.stringify(told)", arg=list(statuses)
    )


def state_of(page, desk, ticket):
    return page.request.get(f"{desk.url}/-/t/{ticket}").json()["state"]


def fulfill_stream(page, *events):
    """Have the next stream consist of these events, each a ticket, a name and more fields."""
    body = "".join(
        f'id: {rev}\nevent: {name}\ndata: {{"ticket": "{ticket}", "rev": {rev}, {fields}}}\n\n'
        for rev, (ticket, name, fields) in enumerate(events, 2)
    )
    stream = {"content_type": "text/event-stream", "body": body}
    page.route("**/-/events?*", lambda route: route.fulfill(**stream), times=1)


def is_deletion(response):
    return response.request.method == "DELETE"


# ---- from post to the result --------------------------------------------------------------


def test_a_post_sends_json_and_asks_for_a_ticket_at_once(page):
    headers = "fetchOptions: {headers: {'x-own': 'ü'.normalize('NFC').length, prefer: 'wait=1'}}"
    with page.expect_request("**/job") as sent:
        page.evaluate("post('a', 'n')")
    assert sent.value.method == "POST"
    assert sent.value.post_data_json == {"key": "a"}
    assert sent.value.headers["content-type"] == "application/json"
    assert sent.value.headers["prefer"] == "respond-async, wait=0"

    with page.expect_request("**/job") as sent:
        page.evaluate(f"post('b', 'm', {{{headers}}})")
    assert (sent.value.headers["x-own"], sent.value.headers["prefer"]) == ("1", "wait=1")
    with page.expect_request("**/job") as sent:
        page.evaluate("void work.post('o', '/job', undefined, null, null, {wait: 3})")
    assert sent.value.post_data_json == {}
    assert sent.value.headers["prefer"] == "respond-async, wait=3"


def test_progress_and_the_result_arrive_in_order(page, desk):
    post(page)
    for number in range(3):
        desk.waits[0].progress(number, 3, f"step {number}")
    desk.waits[0].wake([1])

    heard = until_heard(page, "a done [1]")
    assert heard == ["a at step 0", "a at step 1", "a at step 2", "a done [1]"]


def test_an_answer_that_is_there_at_once_needs_no_ticket(page):
    page.evaluate("post('a', 'n', {fetchOptions: {headers: {}}}, '/echo?text=x')")

    assert until_heard(page, 'a done {"text":"x","prefer":"respond-async, wait=0"}')


def test_a_failure_is_told_once(page, desk):
    post(page)
    desk.waits[0].fail("out of paper", 507)

    assert until_heard(page, "a failed failed 507: out of paper") == page.evaluate("heard")
    assert page.evaluate("heard.length") == 1


def test_a_route_that_refuses_and_a_server_that_is_away_are_failures(page, desk):
    page.evaluate("post('a', 'n', {}, '/nowhere')")
    until_heard(page, "a failed failed 404: there is nothing at this address")
    desk.stop()
    page.evaluate("post('b', 'n')")
    until_heard(page, "b failed failed 0: Failed to fetch")

    until_told(page, 1, -1, 1, -1)


def test_it_can_be_awaited_as_well(page, desk):
    post(page)
    desk.waits[0].wake("whole")

    assert page.evaluate("a") == "whole"
    error = page.evaluate("work.post('m', '/nowhere').catch(({status}) => status)")
    assert error == 404


def test_an_error_that_nobody_takes_is_an_error_of_the_page(page):
    page.evaluate("""() => {
        window.untaken = []
        addEventListener("unhandledrejection", event => {
            event.preventDefault()
            untaken.push(event.reason.status)
        })
        work.post("m", "/nowhere", {}, null, () => {})
        work.post("n", "/nowhere")
    }""")
    page.wait_for_function("untaken.length")

    assert page.evaluate("untaken") == [404]


def test_what_cannot_be_sent_leaves_what_runs_under_the_name(page, desk):
    ticket = post(page)
    for attempt in ("{n: 1n}", "(args => args.own = args)({})"):
        arguments = f"'n', '/job', {attempt}" if "1n" in attempt else "'n', 'http://[', {}"
        assert page.evaluate(
            f"(() => {{ try {{ work.post({arguments}) }} catch (e) {{ return e.name }} }})()"
        ) == ("TypeError")
    assert state_of(page, desk, ticket) == "waiting"
    desk.waits[0].wake(1)

    until_heard(page, "a done 1")


def test_an_error_in_a_callback_disturbs_nothing_else(page, desk):
    page.evaluate("""() => {
        window.onerror = () => true
        work.status(active => { statuses.push(active); throw new Error("mine") })
        window.b = work.post("b", "/job", {}, () => { throw new Error("mine") })
    }""")
    page.wait_for_function("b.ticket")
    post(page)
    for wait in desk.waits:
        wait.wake(1)

    until_heard(page, "a done 1")
    page.wait_for_function("statuses.at(-1) === 0")


def test_lines_of_a_log_and_unknown_events_come_by_the_stream(page, desk):
    ticket = post(page, options="{onprogress: ({estimate_s}) => heard.push(estimate_s)}")
    fulfill_stream(
        page,
        (ticket, "log", '"text": "one"'),
        (ticket, "whatever", '"estimate_s": 8.5'),
        (ticket, "position", '"estimate_s": 7'),
        (ticket, "log", '"text": "two"'),
    )
    post(page, "b", "m")

    assert until_heard(page, "a log two")[-4:] == ["a log one", 8.5, 7, "a log two"]
    page.unroute("**/-/events?*")
    desk.waits[0].wake(1)
    until_heard(page, "a done 1")


# ---- one at a time for each name ----------------------------------------------------------


def test_the_same_name_replaces_here_and_on_the_server(page, desk):
    ticket = post(page, "a")
    with page.expect_response(is_deletion):
        post(page, "b")
    assert state_of(page, desk, ticket) == "cancelled"
    assert not desk.waits[0].wake("late")
    desk.waits[1].wake(2)

    assert until_heard(page, "b done 2") == ["b done 2"]
    error = page.evaluate("a.catch(({state, message}) => [state, message])")
    assert error == ["cancelled", "another one has taken its name"]
    until_told(page, 1, 0)


def test_what_is_replaced_before_it_has_a_ticket_is_cancelled_when_it_gets_one(page, desk):
    page.evaluate("post('a', 'n', {}, '/gated')")
    desk.until_waits(1)
    post(page, "b")
    with page.expect_response(is_deletion) as deleted:
        desk.gate.set()
    assert deleted.value.ok
    assert not desk.waits[0].wake("late")
    desk.waits[1].wake(2)

    assert until_heard(page, "b done 2") == ["b done 2"]


def test_what_gets_no_ticket_is_broken_off_after_a_while(new_page, desk):
    page = new_page()
    page.clock.install()
    page.goto(desk.url)
    set_up(page)
    page.evaluate("post('a', 'n', {}, '/gated')")
    desk.until_waits(1)
    page.evaluate("work.cancel('n')")
    with page.expect_event("requestfailed") as failed:
        page.clock.fast_forward(10_001)
    desk.gate.set()

    assert failed.value.url == f"{desk.url}/gated"


def test_news_that_are_on_their_way_are_not_told_of_what_was_replaced(page, desk):
    ticket, first = post(page, "a", "n"), post(page, "b", "m")
    page.evaluate("b.then(() => post('c', 'n')), void 0")
    fulfill_stream(
        page,
        (first, "done", '"value": 1'),
        (ticket, "progress", '"progress": {"text": "half"}'),
        (ticket, "log", '"text": "line"'),
        (ticket, "done", '"value": 1'),
    )
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    page.wait_for_function("window.c?.ticket")
    desk.waits[2].wake(3)

    assert until_heard(page, "c done 3") == ["b done 1", "c done 3"]


def test_what_is_awaited_and_done_can_be_replaced_at_once(page, desk):
    page.evaluate("post('a', 'n', {}, '/echo?text=x'), a.then(() => post('b', 'n'))")
    page.wait_for_function("window.b?.ticket")
    desk.waits[0].wake(2)

    assert len(until_heard(page, "b done 2")) == 2


def test_names_do_not_touch_one_another_and_neither_do_workers(page, desk):
    post(page, "a", "n")
    post(page, "b", "m")
    page.evaluate("window.c = new tarry.Worker().post('n', '/job'); void 0")
    page.wait_for_function("c.ticket")
    for number, wait in enumerate(desk.waits):
        assert wait.wake(number)

    until_heard(page, "a done 0", "b done 1")
    assert page.evaluate("c") == 2


@pytest.mark.parametrize("call", ["work.cancel('n')", "a.cancel()", "work.cancelAll()"])
def test_cancel_ends_it_here_and_on_the_server_and_calls_nobody(page, desk, call):
    ticket = post(page)
    page.evaluate(call)

    assert state_of(page, desk, ticket) == "cancelled"
    assert page.evaluate("a.catch(({state, status}) => [state, status])") == ["cancelled", 410]
    until_told(page, 1, 0)
    assert page.evaluate("heard") == []


def test_cancelling_what_does_not_run_does_nothing(page, desk):
    page.evaluate("work.cancel('nobody')")
    page.evaluate("post('a', 'n', {}, '/echo?text=x')")
    page.evaluate("a")
    post(page, "b")
    page.evaluate("a.cancel()")
    desk.waits[0].wake(2)

    until_heard(page, "b done 2")


def test_a_cancel_by_somebody_else_is_a_failure(page, desk):
    ticket = post(page)
    desk.app.cancel(ticket)

    until_heard(page, "a failed cancelled 410: the request is cancelled")
    until_told(page, 1, -1)


# ---- status and title ---------------------------------------------------------------------


def test_the_status_counts_and_is_minus_one_after_a_failure_until_the_next_begins(page, desk):
    for key in "abc":
        post(page, key, key)
    desk.waits[0].wake(1)
    until_told(page, 1, 2, 3, 2)
    desk.waits[1].fail("broken")
    until_told(page, 1, 2, 3, 2, -1)
    desk.waits[2].wake(3)
    until_heard(page, "c done 3")
    post(page, "d", "d")

    until_told(page, 1, 2, 3, 2, -1, 1)


def test_what_begins_when_another_is_done_is_no_news_of_the_status(page, desk):
    page.evaluate("work.post('n', '/echo?text=x', {}, () => post('a', 'm'))")
    page.wait_for_function("window.a?.ticket")
    desk.waits[0].wake(1)
    until_heard(page, "a done 1")

    until_told(page, 1, 0)


def test_the_title_counts_what_runs_in_all_workers(page, desk):
    def until_title(title):
        page.wait_for_function("title => document.title === title", arg=title)

    post(page, "a", "n")
    until_title("(1x) Desk")
    page.evaluate("window.b = new tarry.Worker().post('n', '/job'); void 0")
    until_title("(2x) Desk")
    page.evaluate("window.c = new tarry.Worker({title: false}).post('n', '/job'); void 0")
    page.wait_for_function("b.ticket && c.ticket")
    page.evaluate("document.title = 'Other'")
    desk.waits[0].wake(1)
    until_title("(1x) Other")
    page.evaluate("document.title = ''")
    post(page, "d", "m")
    until_title("(2x)")
    for wait in desk.waits[1:]:
        wait.wake(1)

    until_title("")


# ---- leaving, reloads, and other tabs -----------------------------------------------------


def test_leaving_the_page_cancels_what_is_not_kept(page, desk):
    kept = post(page, "a", "kept", "{keepOnLeave: true}")
    left = post(page, "b", "left")
    page.goto("about:blank")
    desk.until_cancels(1)

    assert desk.cancels == [left]
    assert state_of(page, desk, left) == "cancelled"
    assert state_of(page, desk, kept) == "waiting"


def test_closing_the_tab_cancels_too(page, desk):
    ticket = post(page)
    page.close(run_before_unload=True)
    desk.until_cancels(1)

    assert desk.cancels == [ticket]


def test_a_reload_keeps_what_is_to_be_kept_and_resumes_it(page, desk):
    ticket = post(page, options="{keepOnLeave: true}")
    desk.waits[0].progress(text="half")
    until_heard(page, "a at half")
    left = post(page, "b", "left")

    page.reload()
    set_up(page)
    desk.until_cancels(1)
    assert desk.cancels == [left]
    assert page.evaluate("begin('resume', 'x', 'left', {}) === null")
    page.evaluate("window.a = begin('resume', 'a', 'n', {}); void 0")
    until_heard(page, "a at half")
    assert page.evaluate("a.ticket") == ticket
    until_told(page, 1)
    desk.waits[0].wake("whole")
    until_heard(page, 'a done "whole"')

    page.reload()
    set_up(page)
    assert page.evaluate("work.resume('n') === null")


def test_a_worker_can_keep_all_but_what_is_to_be_cancelled(page, desk):
    set_up(page, {"cancelOnLeave": False})
    kept = post(page)
    left = post(page, "b", "m", "{keepOnLeave: false}")
    page.reload()
    desk.until_cancels(1)

    assert desk.cancels == [left]
    assert state_of(page, desk, kept) == "waiting"


def test_workers_of_other_scopes_do_not_resume_it(page):
    post(page, options="{keepOnLeave: true}")
    page.reload()
    set_up(page, {"scope": "other"})
    assert page.evaluate("work.resume('n') === null")
    assert page.evaluate("tarry.resume('n') === null")
    set_up(page)

    assert page.evaluate("work.resume('n') !== null")


@pytest.mark.parametrize("call", ["work.cancel('n')", "post('b', 'n')"])
def test_a_name_that_was_not_resumed_can_be_cancelled_and_replaced(page, desk, call):
    ticket = post(page, options="{keepOnLeave: true}")
    page.reload()
    set_up(page)
    with page.expect_response(is_deletion):
        page.evaluate(call)

    assert state_of(page, desk, ticket) == "cancelled"
    assert page.evaluate("sessionStorage.length") == 0


def test_resuming_twice_cancels_nothing(page, desk):
    ticket = post(page, options="{keepOnLeave: true}")
    page.evaluate("void begin('resume', 'b', 'n', {})")
    assert state_of(page, desk, ticket) == "waiting"
    desk.waits[0].wake(1)

    assert until_heard(page, "b done 1") == ["b done 1"]


def test_a_page_that_comes_back_from_the_cache_of_the_browser_hears_that_it_was_cancelled(
    page, desk
):
    left = post(page)
    post(page, "b", "kept", "{keepOnLeave: true}")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
    desk.until_cancels(1)
    assert desk.cancels == [left]
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    until_heard(page, "a failed cancelled 410: the request is cancelled")
    desk.waits[1].wake(1)

    until_heard(page, "b done 1")


def test_another_tab_can_follow_and_leave_without_ending_it(page, desk):
    post(page)
    other = page.context.new_page()
    other.goto(desk.url)
    set_up(other)
    url = page.evaluate("a.ticketUrl")
    other.evaluate("url => void begin('follow', 'b', 'n', url, {})", url)
    desk.waits[0].progress(text="half")
    until_heard(page, "a at half")
    until_heard(other, "b at half")

    other.reload()
    set_up(other)
    other.evaluate("void begin('resume', 'b', 'n', {})")
    until_heard(other, "b at half")
    desk.waits[0].wake(1)
    until_heard(page, "a done 1")
    until_heard(other, "b done 1")
    assert desk.cancels == []


# ---- many ---------------------------------------------------------------------------------


def connections(port):
    """How many there are from browsers to a port of this machine, as Linux tells."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    ends = Counter(row[2] for row in rows if row[3] == "01")  # established
    return ends[f"0100007F:{port:04X}"]


def post_many(page, count):
    page.evaluate(f"for (let n = 0; n < {count}; n++) post(`k${{n}}`, `n${{n}}`)")
    page.wait_for_function("[...work.running.values()].every(wait => wait.ticket)")


def test_many_begin_at_once_on_few_connections(page, desk):
    streams = []
    page.on("request", lambda sent: "/-/events" in sent.url and streams.append(sent.url))
    began = time.monotonic()
    post_many(page, 60)
    assert connections(desk.port) <= 6
    assert page.evaluate("tarry.waitFor('/quick')") == {"answer": 42}
    for wait in desk.waits:
        wait.wake(1)
    page.wait_for_function("heard.length === 60")

    # The page asks for the stream at most ten times a second.
    assert len(streams) <= (time.monotonic() - began) * 10 + 1


def test_more_run_than_a_stream_can_follow(new_page, desk):
    page = new_page()
    page.clock.install()
    page.goto(desk.url)
    set_up(page)
    post_many(page, 120)
    page.clock.run_for(1000)  # the stream has been opened for the last time
    desk.until_streams(1)
    for wait in [*desk.waits[:20], *desk.waits[-20:]]:
        wait.wake(1)

    # Those that the stream has no room for are heard of when others are done.
    page.wait_for_function("heard.length === 40")
    page.wait_for_function("document.title === '(80x) Desk'")


# ---- other forms and places ---------------------------------------------------------------

STRICT = {
    "content-type": "text/html",
    "content-security-policy": "default-src 'none'; script-src 'self'; connect-src 'self'",
}
SCRIPT = """
const work = new tarry.Worker()
work.status(active => document.body.dataset.status = active)
work.post("n", "/job", {n: 1}, result => document.body.append(`done ${result}`))
"""


@pytest.mark.parametrize("classic", [True, False])
def test_it_works_from_another_path_with_another_prefix_under_a_strict_policy(new_page, classic):
    app = App(store="memory", internal="/_own")
    app.link_worker_js("/js/worker.js", classic=classic)
    kind = "" if classic else ' type="module"'
    source = '<script src="/js/worker.js"></script>' if classic else ""
    body = f'<!doctype html><body>{source}<script src="page.js" defer{kind}></script>'
    first = "" if classic else 'import * as tarry from "./js/worker.js"'
    code = {"content-type": "text/javascript"}
    app.add_route("/", lambda: Response(body.encode(), headers=STRICT))
    app.add_route("/page.js", lambda: Response(f"{first}{SCRIPT}".encode(), headers=code))

    @app.post("/job", inline=True)
    def job(args: Annotated[dict[str, int], Body]):
        return app.park(int, durable=True, key="job")

    with app.start(access_log=False, stop_timeout_s=0.1) as handle:
        page, said = new_page(), []
        page.on("console", lambda message: said.append(message.text))
        with page.expect_response("**/_own/events?*"):
            page.goto(handle.url)
        app.wake("job", 5)
        page.wait_for_function("document.body.textContent.includes('done 5')")
        page.wait_for_function("document.body.dataset.status === '0'")

    assert not [text for text in said if not re.search("favicon", text)]
