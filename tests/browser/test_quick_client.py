"""A client of quick_server's kind in a browser: `fetch`, tokens as numbers, pieces side by side."""

from __future__ import annotations

import pytest

from tarry import App, Html
from tests.jobs import quick_jobs
from tests.jobs.quick_jobs import GATE, WAIT_S

CLIENT = """
window.send = async (url, message) => {
  const reply = await fetch(url, {
    method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify(message),
  })
  if (reply.status !== 200) throw new Error(`${reply.status} ${reply.statusText}`)
  if (!reply.headers.get("content-type").includes("application/json")) throw new Error("no JSON")
  return reply.json()
}
window.whole = async (url, told) => {
  if (!told.continue) return JSON.parse(told.result)
  const pieces = await Promise.all(told.result.map(async key => {
    const piece = await send(url, {action: "cargo", token: key})
    if (piece.token !== key) throw new Error(`${piece.token} is not ${key}`)
    return piece.result
  }))
  return JSON.parse(pieces.join(""))
}
window.begin = async (url, payload) => {
  const told = await send(url, {action: "start", payload})
  return told.done ? {value: await whole(url, told)} : {token: +told.token}
}
window.monitor = async (url, token) => {
  for (;;) {
    const told = await send(url, {action: "get", token})
    if (+told.token !== token) throw new Error(`${told.token} is not ${token}`)
    if (told.done) return whole(url, told)
    if (!told.continue) return "nothing"
  }
}
window.end = async (url, token) => {
  const told = await send(url, {action: "stop", token})
  return +told.token === token && told.done && !told.continue
}
"""


@pytest.fixture
def page(new_page):
    """A page of an application with jobs, which has the client."""
    GATE.close()
    app = App(store="memory")
    app.get("/", inline=True)(lambda: Html('<!doctype html><link rel="icon" href="data:,">'))
    app.job("/held", quick_worker=True)(quick_jobs.held)
    app.job("/echo", quick_worker=True, max_chunk_characters=100)(quick_jobs.echo)
    app.job("/refused", quick_worker=True)(quick_jobs.refused)
    with app.start(access_log=False, stop_timeout_s=0.1) as server:
        page = new_page()
        page.goto(server.url)
        page.add_script_tag(content=CLIENT)
        yield page
        GATE.open()


def test_a_page_waits_for_a_job_by_the_number_of_its_token(page):
    token = page.evaluate("begin('/held', {name: 'one'})")["token"]
    page.evaluate("token => { window.told = monitor('/held', token) }", token)
    GATE.open()

    assert page.evaluate("told") == {"name": "one"}
    assert page.evaluate("token => monitor('/held', token)", token) == {"name": "one"}


def test_a_page_stops_a_job(page):
    token = page.evaluate("begin('/held', {name: 'stopped'})")["token"]

    assert page.evaluate("token => end('/held', token)", token)
    assert page.evaluate("token => monitor('/held', token)", token) == "nothing"
    assert GATE.cancelled.get(timeout=WAIT_S) == "stopped"


def test_a_page_puts_a_long_result_together(page):
    value = "äö🙂" * 300
    script = """async value => {
        const told = await begin('/echo', {value})
        return told.token ? monitor('/echo', told.token) : told.value
    }"""

    assert page.evaluate(script, value) == value


def test_a_page_hears_of_a_failure_by_its_status(page):
    script = """async () => {
        try {
            const {token} = await begin('/refused', {})
            return await monitor('/refused', token)
        } catch (error) { return error.message }
    }"""

    assert page.evaluate(script) == "409 Conflict"
