/** How far the work is: step `at` of `of`, where that is known, and a word on it. */
export interface Progress {
  at: number | null
  of: number | null
  text: string
}

/** How it stands with a ticket, as the server tells it. */
export interface TicketDocument {
  ticket: string
  state: "waiting" | "working" | "input" | "done" | "failed" | "cancelled" | "expired"
  progress: Progress | null
  /** Counts the changes. */
  rev: number
  /** The place in the queue, if there is one. */
  position: number | null
  /** When it ends if there is no answer until then, as in HTTP: `Sat, 21 Nov 2026 13:00:00 GMT`. */
  expires: string
  links: { self: string; events: string; result: string; cancel: string }
}

/** A problem document (RFC 9457), with the fields of the ticket if there is one. */
export interface Problem extends Partial<TicketDocument> {
  status: number
  detail: string
  title?: string
  type?: string
}

export interface ResumeOptions {
  /** Called with each news of the ticket, in order. */
  onprogress?: (document: TicketDocument) => void
  /** Cancels as `cancel()` does; the promise is rejected with its reason. */
  signal?: AbortSignal
}

export interface WaitOptions extends ResumeOptions {
  /** Keeps the ticket under this name until its answer is there: see `resume`. */
  name?: string
  /** Seconds after which the server gives a ticket for the answer: 8, or 1 if there is a name. */
  wait?: number
  /** As for `fetch`: the method, the body, headers and so on of the request itself. */
  fetchOptions?: RequestInit
}

/** The promise of an answer. */
export interface Waiting<T> extends Promise<T> {
  /** `null` as long as the server has given none. */
  readonly ticket: string | null
  /**
   * Ends the wait, here at once and then on the server.  The promise is rejected with a
   * `TarryError` of state `cancelled`.
   */
  cancel(): Promise<void>
}

/** There will be no answer. */
export class TarryError extends Error {
  readonly name: "TarryError"
  /** The status of the response that said so; 0 if there was none. */
  readonly status: number
  /** `gone` is a ticket that the server does not know, any more. */
  readonly state: "failed" | "cancelled" | "expired" | "gone"
  readonly problem: Problem | null
}

/**
 * Asks for a route, or follows the path of a ticket, until the answer is there.
 *
 * Gives JSON parsed, `null` for an answer without content, and anything else as a `Response`.
 * Rejects with a `TarryError`.  A server that is away is waited for: pass a `signal` to stop.
 */
export function waitFor<T = any>(address: string | URL, options?: WaitOptions): Waiting<T>

/** Goes on with the wait of a name, after the page was left or reloaded; `null` if there is none. */
export function resume<T = any>(name: string, options?: ResumeOptions): Waiting<T> | null

/** What the classic script, /-/tarry.classic.js, defines. */
export as namespace tarry
