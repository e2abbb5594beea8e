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
  /** The place in the queue, from 1 on, if there is one. */
  position: number | null
  /** Seconds until the result, if the server can tell. */
  estimate_s?: number | null
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
  /** Called with each line that the work logs; those come by the stream of events alone. */
  onlog?: (text: string) => void
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
  /** Where the ticket is read, for `waitFor` or `Worker.follow` in another tab. */
  readonly ticketUrl: string | null
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

export interface WorkerOptions {
  /** Whether what runs is cancelled on the server when the page is left or reloaded: true. */
  cancelOnLeave?: boolean
  /** Whether the title of the page tells how many run, as in `(2x) Title`: true. */
  title?: boolean
  /** For pages of one site that use the same names for other things: "worker". */
  scope?: string
}

export interface FollowOptions {
  /** Called with each news of the ticket, in order. */
  onprogress?: (document: TicketDocument) => void
  /** Called with each line that the work logs; those come by the stream of events alone. */
  onlog?: (text: string) => void
  /** Goes on when the page is left, and can be resumed in this tab: true. */
  keepOnLeave?: boolean
}

export interface PostOptions extends FollowOptions {
  /** Goes on when the page is left, and can be resumed in this tab: not `cancelOnLeave`. */
  keepOnLeave?: boolean
  /** Seconds that the server waits for the answer before it gives a ticket: 0. */
  wait?: number
  /** As for `fetch`: headers and so on of the request, or a method other than POST. */
  fetchOptions?: RequestInit
}

/**
 * Work on the server under names, one at a time for each name: what begins under a name cancels
 * what runs under it, and nothing more is heard of that.
 *
 * `done` is called with the result, `failed` with what ended it instead, unless the page itself
 * cancelled or replaced it.  All can be awaited as well; a promise of what was cancelled or
 * replaced is rejected with a `TarryError` of state `cancelled`.
 */
export class Worker {
  constructor(options?: WorkerOptions)

  /** Sends `args` as JSON to a route. */
  post<T = any>(
    name: string,
    url: string | URL,
    args?: unknown,
    done?: ((result: T) => void) | null,
    failed?: ((error: TarryError) => void) | null,
    options?: PostOptions,
  ): Waiting<T>

  /** Follows a ticket that the page got in some other way, such as from another tab. */
  follow<T = any>(
    name: string,
    ticketUrl: string | URL,
    done?: ((result: T) => void) | null,
    failed?: ((error: TarryError) => void) | null,
    options?: FollowOptions,
  ): Waiting<T>

  /** Goes on with what was kept under a name, after the page was left; `null` if nothing was. */
  resume<T = any>(
    name: string,
    done?: ((result: T) => void) | null,
    failed?: ((error: TarryError) => void) | null,
    options?: FollowOptions,
  ): Waiting<T> | null

  /** Ends what runs under a name, here at once and then on the server; nothing if none does. */
  cancel(name: string): Promise<void>

  /** Ends all that this worker runs. */
  cancelAll(): Promise<void>

  /**
   * Has a function, one for each worker, called with the number of those that run whenever it
   * changes.  It is -1 after one has failed, until the next begins.
   */
  status(callback: (active: number) => void): void
}

/** What the classic script, /-/tarry.classic.js, defines. */
export as namespace tarry
