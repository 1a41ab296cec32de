/**
 * The waiting room's client: joins the line of one event, follows it, enters and leaves.
 *
 * It speaks the wire contract and nothing else: no DOM, no texts. A host that draws its own
 * page uses this module alone; `waiting.js` is one such page. After a `closed` event, a final
 * refusal or `ended`, it never connects again by itself: call `start()` to join again.
 *
 *     const line = new WaitingClient({ eventId: 'demo', guestUrl: '/guest' });
 *     line.addEventListener('waiting', ({ detail }) => show(detail.position));
 *     line.addEventListener('admitted', async () => { await line.enter(); location.assign('/shop'); });
 *     line.start();
 *
 * @typedef {object} Place           detail of `waiting`
 * @property {number|null} position  from 1, in the own lane; null before a draw
 * @property {number} waiting        people in the own lane
 * @property {number|null} etaSeconds
 * @property {number|null} etaLowSeconds
 * @property {number|null} etaHighSeconds
 * @property {'scheduled'|'open'|'paused'|'draining'|'soldOut'|'closed'} state
 * @property {string} lane
 *
 * @typedef {object} Admission       detail of `admitted`
 * @property {string} admissionToken
 * @property {string} claimBy        RFC 3339; compare with `serverNow()`, not with the local clock
 * @property {string} expiresAt
 * @property {number} fence
 *
 * @typedef {object} Closed          detail of `closed`
 * @property {'left'|'expired'|'completed'|'roomClosed'|'replaced'} reason
 *
 * Events: `connecting`; `waiting`, `admitted`, `closed` as above; `ended` (the place had already
 * ended, nothing was joined); `offline` with `{retryInMs, problem}` (reconnecting by itself);
 * `refused` with `{problem, retryInMs}`, where `retryInMs` is null when the answer is final.
 */

const SILENCE_MS = 40_000;
const WATCH_EVERY_MS = 5_000;
const CLOCK_JUMP_MS = 3_000;
const BACKOFF_CAP_MS = 15_000;
const DEFAULT_RETRY_MS = 1_000;
const LEAST_PAUSE_MS = 300;
const FULL_ROOM_RETRY_MS = 10_000;
const STALE = new DOMException('the connection is stale', 'AbortError');

/** A refusal or failure: the server's problem document, or `code: "network"`. */
export class Problem extends Error {
  constructor({ status = 0, code = 'network', detail = '', retryAfterMs = null, body = null }) {
    super(detail || code);
    this.name = 'Problem';
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
    this.body = body;
  }

  /** Reads `application/problem+json`; an answer without a code gets `http<status>`. */
  static async from(response) {
    let body = null;
    if ((response.headers.get('Content-Type') ?? '').includes('json')) {
      body = await response.json().catch(() => null);
    }
    const seconds = Number.parseFloat(response.headers.get('Retry-After') ?? '');
    return new Problem({
      status: response.status,
      code: body?.code ?? `http${response.status}`,
      detail: body?.detail ?? body?.title,
      retryAfterMs: Number.isFinite(seconds) && seconds >= 0 ? seconds * 1_000 : null,
      body,
    });
  }
}

export class WaitingClient extends EventTarget {
  #room;
  #guestUrl;
  #run = null;
  #connection = null;
  #wake = null;
  #lastEventId = '';
  #retryMs = DEFAULT_RETRY_MS;
  #failures = 0;
  #guestTried = false;
  #lastByteAt = 0;
  #admission = null;
  #clock = new ServerClock();

  /** @param {{apiBase?: string, eventId: string, guestUrl?: string}} options */
  constructor({ apiBase = '', eventId, guestUrl = '' }) {
    super();
    this.#room = `${apiBase}/events/${encodeURIComponent(eventId)}/tickets`;
    this.#guestUrl = guestUrl;
  }

  /** Joins the line, or goes back to the own place. Does nothing while already running. */
  start() {
    if (this.#run) return;
    const run = new AbortController();
    this.#run = run;
    this.#lastEventId = '';
    this.#failures = 0;
    this.#guestTried = false;
    this.#admission = null;
    const { signal } = run;
    globalThis.addEventListener?.('online', () => this.#reconnectIfStale(0), { signal });
    globalThis.addEventListener?.('offline', () => this.#reportOffline(null, null), { signal });
    globalThis.addEventListener?.('pageshow', (e) => e.persisted && this.#reconnectIfStale(0), { signal });
    globalThis.document?.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.#reconnectIfStale(SILENCE_MS / 2);
    }, { signal });
    const watch = setInterval(() => {
      if (this.#clock.jumped()) this.#reconnectIfStale(0);
      else this.#reconnectIfStale(SILENCE_MS);
    }, WATCH_EVERY_MS);
    signal.addEventListener('abort', () => clearInterval(watch));
    this.#follow(signal);
  }

  /** Stops following without leaving: the room keeps the place for its grace. */
  stop() {
    this.#run?.abort();
    this.#run = null;
    this.#wake?.();
  }

  /** Gives the place or the admission up. @throws {Problem} */
  async leave() {
    await this.#call('/waiting', { method: 'DELETE' });
    const wasRunning = this.#run !== null;
    this.stop();
    if (wasRunning) this.#emit('closed', { reason: 'left' });
  }

  /**
   * Claims the admission: the server answers with the lease and sets the admission cookie.
   * @returns {Promise<{fence: number, claimBy: string, expiresAt: string, claimed: boolean}>}
   * @throws {Problem} `admissionRequired` when the turn is over
   */
  enter() {
    const token = this.#admission?.admissionToken;
    return this.entry(token ? { 'Ticketon-Admission': token } : {});
  }

  /** The own lease, by cookie unless a header is given. @throws {Problem} */
  async entry(headers = {}) {
    return (await this.#call('/entry', { headers })).json();
  }

  /**
   * Looks at the own place without joining.
   * @returns {Promise<({status: 'waiting'} & Place) | ({status: 'admitted'} & Admission)>}
   * @throws {Problem} `notJoined`
   */
  async status() {
    return (await this.#call('/waiting/status')).json();
  }

  /** The server's time in ms since 1970, from its `Date` headers. */
  serverNow() {
    return this.#clock.now();
  }

  async #call(path, { method = 'GET', headers = {} } = {}) {
    let response;
    try {
      response = await this.#fetch(this.#room + path, {
        method,
        headers: { Accept: 'application/json', ...headers },
        signal: AbortSignal.timeout(BACKOFF_CAP_MS),
      });
    } catch (cause) {
      throw new Problem({ detail: String(cause) });
    }
    if (!response.ok) throw await Problem.from(response);
    return response;
  }

  async #fetch(url, init) {
    const sentAt = Date.now();
    const response = await fetch(url, { credentials: 'same-origin', cache: 'no-store', ...init });
    this.#clock.learn(response.headers.get('Date'), sentAt);
    return response;
  }

  async #follow(signal) {
    while (!signal.aborted) {
      const pause = await this.#connectOnce(signal);
      if (signal.aborted) return;
      if (pause === null) {
        this.stop();
        return;
      }
      await this.#sleep(Math.max(pause.ms, LEAST_PAUSE_MS), pause.firm);
    }
  }

  /** One connection. Answers the pause before the next one, or null for no next one. */
  async #connectOnce(signal) {
    const connection = new AbortController();
    this.#connection = connection;
    const abort = () => connection.abort();
    signal.addEventListener('abort', abort);
    this.#lastByteAt = Date.now();
    this.#emit('connecting');
    try {
      const response = await this.#fetch(`${this.#room}/waiting`, {
        headers: {
          Accept: 'text/event-stream',
          ...(this.#lastEventId && { 'Last-Event-ID': this.#lastEventId }),
        },
        signal: connection.signal,
      });
      if (response.status === 204) {
        this.#emit('ended');
        return null;
      }
      const isStream = (response.headers.get('Content-Type') ?? '').startsWith('text/event-stream');
      if (response.ok && isStream) return await this.#read(response.body, signal);
      return await this.#refusal(response.ok ? new Problem({ detail: 'not an event stream' }) : await Problem.from(response));
    } catch (cause) {
      if (signal.aborted) return null;
      if (connection.signal.reason === STALE) {
        this.#reportOffline(0, null);
        return { ms: 0, firm: false };
      }
      return this.#lost(new Problem({ detail: String(cause) }));
    } finally {
      signal.removeEventListener('abort', abort);
      connection.abort();
      if (this.#connection === connection) this.#connection = null;
    }
  }

  async #read(body, signal) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    const parser = new EventStreamParser();
    let heard = false;
    for (;;) {
      const { done, value } = await reader.read();
      if (signal.aborted) return null;
      if (done) break;
      this.#lastByteAt = Date.now();
      for (const block of parser.push(value)) {
        if (block.retry !== null) this.#retryMs = block.retry;
        if (block.id !== null) this.#lastEventId = block.id;
        if (block.data === null) continue;
        heard = true;
        this.#failures = 0;
        this.#guestTried = false;
        if (this.#deliver(block)) return null;
        if (signal.aborted) return null;
      }
    }
    if (!heard) return this.#lost(new Problem({ detail: 'the stream ended' }));
    // An orderly end, such as a server that shuts down: its `retry:` is already spread out.
    const retryInMs = this.#retryMs * (1 + Math.random() * 0.3);
    this.#reportOffline(retryInMs, null);
    return { ms: retryInMs, firm: false };
  }

  /** Hands one event out. Answers whether it was the last one. */
  #deliver({ event, data }) {
    let detail;
    try {
      detail = JSON.parse(data);
    } catch {
      return false;
    }
    if (event === 'admitted') this.#admission = detail;
    if (event === 'closed') {
      this.stop();
      this.#emit('closed', detail);
      return true;
    }
    if (event === 'waiting' || event === 'admitted') this.#emit(event, detail);
    return false;
  }

  async #refusal(problem) {
    const { status, code } = problem;
    if (status === 401 && this.#guestUrl && !this.#guestTried) {
      const guest = await this.#fetch(this.#guestUrl, { method: 'POST', signal: AbortSignal.timeout(BACKOFF_CAP_MS) });
      // A server that is busy is asked again; one that knows no guests is not.
      this.#guestTried = guest.ok || guest.status === 401;
      if (guest.ok) return { ms: 0, firm: true };
      return this.#refusal(await Problem.from(guest));
    }
    if (code === 'roomFull') {
      const retryInMs = (problem.retryAfterMs ?? FULL_ROOM_RETRY_MS) * (1 + Math.random() * 0.3);
      this.#emit('refused', { problem, retryInMs });
      return { ms: retryInMs, firm: true };
    }
    const passing = status === 0 || status >= 500 || status === 408 || status === 425 || status === 429;
    if (passing) return this.#lost(problem);
    this.#emit('refused', { problem, retryInMs: null });
    return null;
  }

  #lost(problem) {
    const ceiling = Math.min(BACKOFF_CAP_MS, this.#retryMs * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 10);
    const jittered = ceiling * (0.5 + Math.random() * 0.5);
    const asked = problem.retryAfterMs ?? 0;
    const retryInMs = asked > 0 ? Math.max(jittered, asked * (1 + Math.random() * 0.3)) : jittered;
    this.#reportOffline(retryInMs, problem);
    return { ms: retryInMs, firm: asked > 0 };
  }

  #reportOffline(retryInMs, problem) {
    this.#emit('offline', { retryInMs, problem });
  }

  /** Ends a pause, or a connection that has been silent for longer than `silenceMs`. */
  #reconnectIfStale(silenceMs) {
    if (this.#wake) {
      // Pauses end early for `online` and the like, never because the watch came round.
      if (silenceMs < SILENCE_MS) this.#wake();
    } else if (Date.now() - this.#lastByteAt >= silenceMs) {
      this.#connection?.abort(STALE);
    }
  }

  /** Waits; unless `firm` (the server named the time), `online` and a shown tab end it early. */
  #sleep(ms, firm) {
    return new Promise((resolve) => {
      const timer = setTimeout(done, ms);
      const self = this;
      function done() {
        clearTimeout(timer);
        self.#wake = null;
        resolve();
      }
      const { signal } = this.#run;
      this.#wake = () => {
        if (!firm || signal.aborted) done();
      };
    });
  }

  #emit(type, detail = null) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/**
 * Knows the server's time from `Date` headers, which carry whole seconds: each answer bounds
 * the offset from both sides, and the bounds of all answers are intersected.
 */
class ServerClock {
  #low = -Infinity;
  #high = Infinity;
  #wallAt = Date.now();
  #steadyAt = performance.now();

  learn(header, sentAt) {
    const date = Date.parse(header ?? '');
    if (Number.isNaN(date)) return;
    const low = date - Date.now();
    const high = date + 1_000 - sentAt;
    this.#low = Math.max(this.#low, low);
    this.#high = Math.min(this.#high, high);
    if (this.#low > this.#high) [this.#low, this.#high] = [low, high];
  }

  now() {
    const known = Number.isFinite(this.#low) && Number.isFinite(this.#high);
    return Date.now() + (known ? (this.#low + this.#high) / 2 : 0);
  }

  /** Whether the local clock was set, or the machine slept, since the last question. */
  jumped() {
    const wall = Date.now();
    const steady = performance.now();
    const drift = Math.abs(wall - this.#wallAt - (steady - this.#steadyAt));
    this.#wallAt = wall;
    this.#steadyAt = steady;
    if (drift < CLOCK_JUMP_MS) return false;
    this.#low = -Infinity;
    this.#high = Infinity;
    return true;
  }
}

/** Cuts a text stream into server-sent events, as the HTML standard describes them. */
class EventStreamParser {
  #rest = '';
  #skipLineFeed = false;
  #first = true;
  #block = emptyBlock();

  /** Blocks that `text` completed; `data` is null for a block that only set `id` or `retry`. */
  push(text) {
    if (this.#first && text.length > 0) {
      this.#first = false;
      if (text.startsWith('\uFEFF')) text = text.slice(1);
    }
    if (this.#skipLineFeed && text.length > 0) {
      if (text.startsWith('\n')) text = text.slice(1);
      this.#skipLineFeed = false;
    }
    this.#skipLineFeed = text.endsWith('\r');
    const lines = (this.#rest + text).split(/\r\n|\n|\r/);
    this.#rest = lines.pop();
    const blocks = [];
    for (const line of lines) {
      if (line === '') {
        blocks.push(this.#block);
        this.#block = emptyBlock();
      } else {
        this.#field(line);
      }
    }
    return blocks;
  }

  #field(line) {
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    const block = this.#block;
    if (name === 'event') block.event = value;
    else if (name === 'data') block.data = block.data === null ? value : `${block.data}\n${value}`;
    else if (name === 'id' && !value.includes('\0')) block.id = value;
    else if (name === 'retry' && /^\d+$/.test(value)) block.retry = Number(value);
  }
}

function emptyBlock() {
  return { event: 'message', data: null, id: null, retry: null };
}
