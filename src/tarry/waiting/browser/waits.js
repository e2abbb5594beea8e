/**
 * Waits for answers of a Tarry server that come later.
 *
 *     import { Worker, resume, waitFor } from "/-/tarry.js"
 *     const result = await waitFor("/render", { onprogress: ({ progress }) => show(progress) })
 *     new Worker().post("preview", "/render", { frames: 3 }, film => show(film))
 *
 * All waits of a page share one stream of events.  It is read with `fetch`, since an
 * `EventSource` tells neither the status of an answer nor that pings are missing, and cannot
 * say how far the page is when the set of tickets changes.  Where streams do not come through,
 * each ticket is asked for by requests that are answered when there is news.
 *
 * tarry.d.ts describes what pages get.  waits.js and worker.js are served as one file.
 */

/** Answers that are there within this need no ticket. */
const QUICK_S = 8
/** A reload before there is a ticket would lose what has a name. */
const QUICK_NAMED_S = 1
/** The server holds no request for longer. */
const HOLD_S = 25
/** The server pings every 15 seconds, so two pings are missing by then. */
const SILENCE_MS = 40_000
/** A stream that was heard from within this is alive. */
const LIVELY_MS = 20_000
const MIN_PAUSE_MS = 500
const MAX_PAUSE_MS = 30_000
/** Between requests that are not held, or were answered without news. */
const POLL_PAUSE_MS = 2000
/** Of the six connections that browsers open to a site, the page needs some for itself. */
const MAX_HELD = 3
/** The server follows no more tickets on one stream. */
const MAX_TICKETS = 100
/** A browser may hold on to the connection of a stream that ends so early, Chromium for 5 s. */
const MIN_STREAM_MS = 100
/** Failures in a row after which streams are given up. */
const MAX_STREAM_FAILURES = 2

const STATUS_OF = { failed: 500, cancelled: 410, expired: 504, gone: 404 }

class TarryError extends Error {
  constructor(detail, { status = 0, state = "failed", problem = null, cause } = {}) {
    super(detail, { cause })
    this.name = "TarryError"
    this.status = status
    this.state = state
    this.problem = problem
  }
}

/** Not the answer, and no word on it: ask again, not before `retryMs`. */
class TryAgain extends Error {
  /** @param {Response} response */
  constructor(response) {
    super(`${response.status} from ${response.url}`)
    // It may be a date as well; the pauses grow by themselves.
    const retryMs = Number(response.headers.get("retry-after")) * 1000 || 0
    this.retryMs = Math.min(retryMs, MAX_PAUSE_MS)
  }
}

// ---- what a page calls ------------------------------------------------------------------

function waitFor(address, options = {}) {
  const wait = new Wait(options)
  wait.begin(new URL(address, location.href))
  return shown(wait, () => wait.cancel())
}

function resume(name, options = {}) {
  const address = kept(name)
  return address === null ? null : waitFor(address, { ...options, name })
}

/** What a page gets of a wait: its promise, and what belongs to it. */
function shown(wait, cancel) {
  return Object.defineProperties(wait.promise, {
    ticket: { get: () => wait.ticket },
    ticketUrl: { get: () => wait.url && wait.url.href },
    cancel: { value: cancel },
  })
}

// ---- one wait ---------------------------------------------------------------------------

/** One answer that this page waits for. */
class Wait {
  constructor(options) {
    this.options = options
    /** @type {URL | null} of the ticket, as soon as there is one */
    this.url = null
    /** How far the page is with the ticket: the last revision that it has heard of. */
    this.rev = 0
    this.isOpen = true
    this.asking = new AbortController()
    this.promise = new Promise((resolve, reject) => Object.assign(this, { resolve, reject }))
  }

  get ticket() {
    return this.url && this.url.pathname.split("/").pop()
  }

  async begin(url) {
    const { signal } = this.options
    const abandon = () => void this.cancel(signal.reason).catch(() => {})
    signal?.addEventListener("abort", abandon, { once: true })
    try {
      if (isTicket(url)) this.follow(url)
      else if (!signal?.aborted) await this.ask(url)
      if (signal?.aborted) abandon()
    } catch (cause) {
      const { message } = cause
      this.end(this.reject, cause instanceof TarryError ? cause : new TarryError(message, { cause }))
    }
  }

  /** Send the request itself: it brings the answer, or a ticket for it. */
  async ask(url) {
    const { name, wait = name ? QUICK_NAMED_S : QUICK_S, fetchOptions = {} } = this.options
    const headers = new Headers(fetchOptions.headers)
    if (!headers.has("prefer")) headers.set("prefer", `respond-async, wait=${wait}`)
    const response = await fetch(url, { ...fetchOptions, headers, signal: this.asking.signal })
    const ticket = new URL(response.headers.get("location") ?? "", response.url)
    if (response.status !== 202 || !isTicket(ticket)) return this.settle(response)
    this.follow(ticket)
    if (isJson(response)) this.take(await response.json())
  }

  follow(url) {
    // Cancelled while the ticket was on its way.
    if (!this.isOpen) return void cancelTicket(url).catch(() => {})
    this.url = url
    keep(this.options.name, url.href)
    watchOf(url).add(this)
  }

  /** Look at a state of the ticket, and tell the page of it if it is news. */
  take(document, event = document.state) {
    const isFinal = event === "done" || event in STATUS_OF
    if (!this.isOpen || (!isFinal && document.rev <= this.rev)) return
    this.rev = document.rev ?? this.rev
    const { onprogress, onlog } = this.options
    if (!isFinal) {
      // Not called from here: an error in it is the page's own, and must not end the stream.
      queueMicrotask(() => (event === "log" ? onlog?.(document.text) : onprogress?.(document)))
    } else if (event !== "done") this.end(this.reject, errorOf(document, event))
    else if ("value" in document) this.end(this.resolve, document.value)
    else watchOf(this.url).fetchResult(this)
  }

  /** End with what was answered, be it an error. */
  async settle(response) {
    const body = isJson(response) ? await response.json() : null
    if (!response.ok) {
      const { detail, title, state } = body ?? {}
      const text = detail ?? title ?? `${response.status} ${response.statusText}`
      throw new TarryError(text, { status: response.status, state, problem: body })
    }
    this.end(this.resolve, isJson(response) || response.status === 204 ? body : response)
  }

  /** End here and on the server, which has `patienceMs` to tell the ticket that is to end. */
  async cancel(reason, patienceMs = 0) {
    if (!this.isOpen) return
    this.release(reason ?? errorOf({}, "cancelled"))
    if (this.url) await cancelTicket(this.url)
    else if (patienceMs) setTimeout(() => this.asking.abort(), patienceMs)
    else this.asking.abort()
  }

  /** End here alone.  Who wants that needs no error in the console. */
  release(reason) {
    this.promise.catch(() => {})
    this.end(this.reject, reason)
  }

  end(settle, outcome) {
    if (!this.isOpen) return
    this.isOpen = false
    if (this.url) watchOf(this.url).remove(this)
    forget(this.options.name, this.url)
    this.options.onend?.(settle === this.resolve, outcome)
    settle(outcome)
  }
}

// ---- all waits of a page ----------------------------------------------------------------

/** @type {Map<string, Watch>} by the address of the events */
const watches = new Map()

function watchOf(ticketUrl) {
  const address = new URL("../events", ticketUrl).href
  if (!watches.has(address)) watches.set(address, new Watch(address))
  return watches.get(address)
}

/** Hears what becomes of tickets: over one stream, or by asking for each. */
class Watch {
  constructor(address) {
    this.address = address
    /** @type {Set<Wait>} */
    this.waits = new Set()
    this.streamFailures = 0
    this.failures = 0
    this.pauseMs = MIN_PAUSE_MS
    this.heardAt = 0
    this.begunAt = -Infinity
    this.running = new AbortController()
    this.isAboutToRun = false
  }

  add(wait) {
    this.waits.add(wait)
    this.restart()
  }

  remove(wait) {
    this.waits.delete(wait)
    if (!this.waits.size) this.stop()
    // There is room on the stream for one that was not on it.
    else if (this.waits.size >= MAX_TICKETS) this.restart()
  }

  stop() {
    this.running.abort()
  }

  /** Begin anew, once for all waits that are added now or soon after another. */
  restart() {
    if (this.isAboutToRun) return
    this.isAboutToRun = true
    const begin = () => {
      this.stop()
      this.isAboutToRun = false
      this.begunAt = performance.now()
      this.running = new AbortController()
      this.run(this.running.signal)
    }
    const pauseMs = this.begunAt + MIN_STREAM_MS - performance.now()
    if (pauseMs > 0) setTimeout(begin, pauseMs)
    else queueMicrotask(begin)
  }

  async run(signal) {
    while (this.streamFailures < MAX_STREAM_FAILURES) {
      if (signal.aborted || !this.waits.size) return
      await this.attempt(signal, () => this.stream(signal), () => this.streamFailures++)
    }
    this.failures = 0
    const loops = [...this.waits].map((wait, place) => this.poll(wait, place < MAX_HELD, signal))
    await Promise.all(loops)
  }

  /** Do something that may fail, and pause after it if it has. */
  async attempt(signal, action, onfailure = () => {}) {
    try {
      await action()
      this.failures = 0
      return true
    } catch (error) {
      if (signal.aborted) return false
      onfailure()
      const mostMs = Math.min(this.pauseMs * 2 ** this.failures++, MAX_PAUSE_MS)
      await sleep(Math.max(error.retryMs ?? 0, mostMs * (0.5 + Math.random() / 2)), signal)
      return false
    }
  }

  /** Hear of all tickets until the stream ends, which fails if one of them has not. */
  async stream(running) {
    const cursors = new Map()
    for (const { ticket, rev } of this.waits) {
      cursors.set(ticket, Math.min(rev, cursors.get(ticket) ?? rev))
    }
    const known = [...cursors].slice(0, MAX_TICKETS)
    // Something on the way keeps what it should pass on; asking again would not help.
    const silent = () => (this.streamFailures = MAX_STREAM_FAILURES)
    const { signal, heard, over } = silenceAfter(SILENCE_MS, running, silent)
    try {
      const response = await fetch(`${this.address}?t=${known.map(([ticket]) => ticket)}`, {
        headers: {
          accept: "text/event-stream",
          "last-event-id": known.map(([, rev]) => rev).join("."),
        },
        cache: "no-store",
        signal,
      })
      if (response.status !== 200) throw new TryAgain(response)
      await this.read(response.body.getReader(), heard)
      if (this.waits.size) throw new TryAgain(response)
    } finally {
      over()
    }
  }

  async read(reader, heard) {
    const decoder = new TextDecoder()
    let text = ""
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      heard()
      this.heardAt = Date.now()
      this.streamFailures = this.failures = 0
      const blocks = (text + decoder.decode(value, { stream: true })).split("\n\n")
      text = blocks.pop()
      for (const { event, data, retry } of blocks.map(fieldsOf)) {
        if (retry) this.pauseMs = Number(retry)
        if (data) this.tell(JSON.parse(data), event)
      }
    }
  }

  tell(document, event) {
    for (const wait of this.waits) {
      if (wait.ticket === document.ticket) wait.take(document, event)
    }
  }

  /** Ask for one ticket again and again; the server holds each request until there is news. */
  async poll(wait, isHeld, signal) {
    while (wait.isOpen && !signal.aborted) {
      const wasLost = this.failures > 0
      const { rev } = wait
      const before = Date.now()
      const worked = await this.attempt(signal, () => this.look(wait, isHeld, signal))
      if (worked && wasLost) {
        // It was the server that was away, and not the stream that was held back.
        this.streamFailures = 0
        return this.restart()
      }
      const pauseMs = isHeld && wait.rev > rev ? MIN_PAUSE_MS : POLL_PAUSE_MS
      if (worked && wait.isOpen) await sleep(pauseMs - (Date.now() - before), signal)
    }
  }

  async look(wait, isHeld, signal) {
    const response = await fetch(wait.url, {
      headers: {
        accept: "application/json",
        "if-none-match": `"${wait.rev}"`,
        ...(isHeld && { prefer: `wait=${HOLD_S}` }),
      },
      cache: "no-store",
      signal,
    })
    if (response.status === 304) return
    await this.settle(wait, response)
  }

  /** Get an answer that is there, but was too large or too special for an event. */
  async fetchResult(wait) {
    this.waits.delete(wait)
    const { signal } = wait.asking
    const ask = async () => this.settle(wait, await fetch(`${wait.url.href}/result`, { signal }))
    while (wait.isOpen) await this.attempt(signal, ask)
  }

  /** Take what the address of a ticket, or of its result, answers. */
  async settle(wait, response) {
    // What stands in for the server while it is away speaks no JSON.
    const { status, headers } = response
    const isFinal = status < 500 ? status !== 429 : isJson(response) && !headers.has("retry-after")
    if (!isFinal) throw new TryAgain(response)
    if (status === 404) return wait.take({}, "gone")
    if (response.ok && !new URL(response.url).pathname.endsWith("/result")) {
      return wait.take(await response.json())
    }
    await wait.settle(response).catch(error => {
      // Anything else has cut the answer off, which is there still.
      if (!(error instanceof TarryError)) throw error
      wait.end(wait.reject, error)
    })
  }
}

/** A page that comes back may have lost its connections without hearing of it. */
function wake(event) {
  for (const watch of watches.values()) {
    const isAlive = event.type !== "pageshow" && Date.now() - watch.heardAt < LIVELY_MS
    if (watch.waits.size && !isAlive) watch.restart()
  }
}

globalThis.addEventListener("pageshow", event => event.persisted && wake(event))
globalThis.addEventListener("pagehide", () => watches.forEach(watch => watch.stop()))
globalThis.addEventListener("online", wake)
document.addEventListener("visibilitychange", event => !document.hidden && wake(event))

// ---- helpers ----------------------------------------------------------------------------

function isTicket(url) {
  return /\/t\/tk_[^/]+$/.test(url.pathname)
}

async function cancelTicket(url) {
  const response = await fetch(url, { method: "DELETE", keepalive: true })
  if (!response.ok && response.status !== 404) throw new TarryError(response.statusText, response)
}

function isJson(response) {
  return /[/+]json\b/.test(response.headers.get("content-type") ?? "")
}

/** The error for a ticket that has ended without an answer. */
function errorOf(document, state) {
  const { status = STATUS_OF[state], detail = `the request is ${state}` } = document.failure ?? {}
  return new TarryError(detail, { status, state, problem: { status, detail, ...document } })
}

/** The fields of one event; the server ends lines with \n, and no field has several. */
function fieldsOf(block) {
  return Object.fromEntries(block.split("\n").map(line => line.split(/: ?(.*)/, 2)))
}

function sleep(ms, signal) {
  if (ms <= 0 || signal.aborted) return
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener("abort", () => resolve(clearTimeout(timer)), { once: true })
  })
}

/** A signal that aborts with another one, or when nothing is heard for so long. */
function silenceAfter(ms, outer, onsilence) {
  const controller = new AbortController()
  const abort = () => controller.abort()
  let timer
  const over = () => {
    clearTimeout(timer)
    outer.removeEventListener("abort", abort)
  }
  const heard = () => {
    clearTimeout(timer)
    timer = setTimeout(() => abort(onsilence()), ms)
  }
  heard()
  outer.addEventListener("abort", abort)
  return { signal: controller.signal, heard, over }
}

// Storage may be forbidden, which throws; then nothing outlives a reload.

function kept(name) {
  try {
    return sessionStorage.getItem(`tarry:${name}`)
  } catch {
    return null
  }
}

function keep(name, address) {
  try {
    if (name) sessionStorage.setItem(`tarry:${name}`, address)
  } catch {}
}

/** Forget a ticket, unless another one has taken its name. */
function forget(name, url) {
  if (name && url && kept(name) === url.href) sessionStorage.removeItem(`tarry:${name}`)
}

export { TarryError, Wait, kept, resume, shown, waitFor }
