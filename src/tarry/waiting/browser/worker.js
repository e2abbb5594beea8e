import { TarryError, Wait, kept, resume, shown, waitFor } from "./waits.js"

// ---- work by name -----------------------------------------------------------------------

/** How long the ticket may take of what was cancelled before it had one; then it is broken off. */
const LATE_TICKET_MS = 10_000

/** Work on the server, under names that the page gives: one at a time for each name. */
class Worker {
  constructor({ cancelOnLeave = true, title = true, scope = "worker" } = {}) {
    this.cancelOnLeave = cancelOnLeave
    this.hasTitle = title
    this.scope = scope
    /** @type {Map<string, Wait>} what runs, by name */
    this.running = new Map()
    this.hasFailed = false
    this.told = 0
    this.inTitle = 0
    this.onstatus = null
    globalThis.addEventListener("pagehide", () => this.leave())
  }

  status(callback) {
    this.onstatus = callback
  }

  post(name, url, args = {}, done, failed, options = {}) {
    const { fetchOptions = {}, keepOnLeave = !this.cancelOnLeave } = options
    const headers = new Headers(fetchOptions.headers)
    headers.set("content-type", "application/json")
    const body = JSON.stringify(args)
    const request = { method: "POST", ...fetchOptions, headers, body }
    return this.begin(name, url, done, failed, { ...options, keepOnLeave, fetchOptions: request })
  }

  follow(name, ticketUrl, done, failed, { keepOnLeave = true, ...options } = {}) {
    return this.begin(name, ticketUrl, done, failed, { ...options, keepOnLeave })
  }

  resume(name, done, failed, options) {
    const address = kept(this.keyOf(name))
    return address === null ? null : this.follow(name, address, done, failed, options)
  }

  async cancel(name) {
    const wait = this.find(name)
    this.running.delete(name)
    this.report()
    await wait?.cancel(undefined, LATE_TICKET_MS)
  }

  async cancelAll() {
    await Promise.all([...this.running.keys()].map(name => this.cancel(name)))
  }

  // ---- from begin to end -----

  begin(name, address, done, failed, options) {
    const { keepOnLeave, wait = 0, fetchOptions, onprogress, onlog } = options
    const url = new URL(address, location.href)
    // Whoever was replaced hears nothing, although something was on its way already.
    const isCurrent = () => this.running.get(name) === work
    const work = new Wait({
      name: keepOnLeave ? this.keyOf(name) : null,
      wait,
      fetchOptions,
      onprogress: document => isCurrent() && onprogress?.(document),
      onlog: text => isCurrent() && onlog?.(text),
      onend: (isDone, outcome) => queueMicrotask(() => {
        if (isCurrent()) this.over(name, isDone, isDone ? done : failed, outcome)
      }),
    })
    // Without `failed`, and with nobody who awaits it, an error shows in the console.
    if (failed) work.promise.catch(() => {})
    this.replace(name, url)
    this.running.set(name, work)
    this.hasFailed = false
    this.report()
    work.begin(url)
    return shown(work, async () => {
      if (isCurrent()) await this.cancel(name)
    })
  }

  /** End what has a name already, on the server too unless it is just this ticket. */
  replace(name, url) {
    const before = this.find(name)
    const reason = new TarryError("another one has taken its name", { state: "cancelled" })
    if (before?.url?.href === url.href) before.release(reason)
    else before?.cancel(reason, LATE_TICKET_MS).catch(() => {})
  }

  over(name, isDone, callback, outcome) {
    this.running.delete(name)
    this.hasFailed ||= !isDone
    this.report()
    callback?.(outcome)
  }

  /** What runs under a name, or did when the page was left and has not been resumed. */
  find(name) {
    const key = this.keyOf(name)
    const address = kept(key)
    if (this.running.has(name) || address === null) return this.running.get(name)
    return Object.assign(new Wait({ name: key }), { url: new URL(address) })
  }

  keyOf(name) {
    return `${this.scope}:${name}`
  }

  /** The page is left.  It cannot be known whether it comes back, so what is not kept ends. */
  leave() {
    for (const { url, options } of this.running.values()) {
      if (url && !options.name) navigator.sendBeacon(`${url.href}/cancel`)
    }
  }

  /** Tell how many run, once all that happens now has happened. */
  report() {
    queueMicrotask(() => {
      const active = this.running.size
      if (this.hasTitle) countInTitle(active - this.inTitle)
      this.inTitle = active
      const status = this.hasFailed ? -1 : active
      if (status === this.told) return
      this.told = status
      this.onstatus?.(status)
    })
  }
}

// ---- the title of the page --------------------------------------------------------------

/** How many run, of all workers of the page, and how the title says so. */
let count = 0
let countText = ""

function countInTitle(change) {
  if (!change) return
  count += change
  const { title } = document
  // The page may have another title by now.
  const own = title.startsWith(countText) ? title.slice(countText.length) : title
  countText = count ? `(${count}x)` : ""
  document.title = `${countText} ${own}`.trim()
}

export { TarryError, Worker, resume, waitFor }
