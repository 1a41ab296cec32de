/**
 * Holds seats, and lets them go: the calls of `ticketon-domain`'s contract, without a page.
 *
 * A hold keeps its idempotency key until it is answered, so a repeated press after a lost answer finds
 * the same hold.
 */

const ANSWER_WITHIN_MS = 15_000;

/** A refusal or failure: the server's problem document, or `code: "network"`. */
export class HoldProblem extends Error {
  constructor({ status = 0, code = 'network', detail = '', body = null }) {
    super(detail || code);
    this.name = 'HoldProblem';
    this.status = status;
    this.code = code;
    this.body = body;
  }
}

export class HoldClient {
  #base;
  #pending = null;
  #skewMs = 0;

  constructor({ eventId, apiBase = '' }) {
    this.#base = `${apiBase}/events/${encodeURIComponent(eventId)}`;
  }

  /** The server's time, as far as its answers tell. */
  serverNow() {
    return Date.now() + this.#skewMs;
  }

  /** The event, with prices and limits. */
  event() {
    return this.#call('');
  }

  /** The own holds. */
  async holds() {
    return (await this.#call('/holds')).holds;
  }

  /** Takes `{seats}`, `{bestAvailable}` or `{area, count}`, all or none. */
  async take(wanted) {
    const body = JSON.stringify(wanted);
    if (this.#pending?.body !== body) this.#pending = { body, key: randomKey() };
    const { key } = this.#pending;
    try {
      const hold = await this.#call('/holds', { method: 'POST', body, headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key } });
      this.#pending = null;
      return hold;
    } catch (problem) {
      // Whether it was taken is unknown only when nothing was answered, or nothing sure.
      if (problem.status > 0 && problem.status < 500) this.#pending = null;
      throw problem;
    }
  }

  /** Lets a hold last longer. */
  extend(holdId) {
    return this.#call(`/holds/${holdId}/extend`, { method: 'POST' });
  }

  /** Gives the seats back. */
  release(holdId) {
    return this.#call(`/holds/${holdId}`, { method: 'DELETE' });
  }

  async #call(path, { method = 'GET', headers = {}, body } = {}) {
    let response;
    const asked = Date.now();
    try {
      response = await fetch(this.#base + path, {
        method, body, credentials: 'same-origin', cache: 'no-store',
        headers: { Accept: 'application/json', ...headers },
        signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      });
    } catch {
      throw new HoldProblem({});
    }
    const told = Date.parse(response.headers.get('Date') ?? '');
    // The header has whole seconds: half a second is the likely rest.
    if (!Number.isNaN(told) && Math.abs(told + 500 - asked) > 2_000) this.#skewMs = told + 500 - (asked + Date.now()) / 2;
    const json = (response.headers.get('Content-Type') ?? '').includes('json') ? await response.json().catch(() => null) : null;
    if (response.ok) return json;
    throw new HoldProblem({ status: response.status, code: json?.code ?? `http${response.status}`, detail: json?.detail ?? '', body: json });
  }
}

/** Pages over plain HTTP have no `crypto.randomUUID`. */
function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
