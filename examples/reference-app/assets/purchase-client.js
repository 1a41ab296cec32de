/**
 * The calls of purchases: orders, payments, refunds, tickets.
 *
 * What moves money carries an idempotency key that stays the same until the answer is sure, so a
 * repeated press, a reload or a lost answer never does it twice.
 */

const ANSWER_WITHIN_MS = 30_000;

/** A refusal or failure: the server's problem document, or `code: "network"`. */
export class PurchaseProblem extends Error {
  constructor({ status = 0, code = 'network', detail = '', retryAfterMs = null }) {
    super(detail || code);
    this.name = 'PurchaseProblem';
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the same call may well succeed in a moment: not where what is stored does not fit together. */
  get passes() {
    if (this.code === 'fault') return false;
    return this.status === 0 || this.status >= 500 || this.status === 429 || this.code === 'stillRunning';
  }
}

export class PurchaseClient {
  #skewMs = 0;
  #refund = null;

  /** The server's time, as far as its answers tell. */
  serverNow() {
    return Date.now() + this.#skewMs;
  }

  /** Makes an order of a hold; the same hold leads to the same order while that can be paid. */
  initiate(eventId, holdId) {
    return this.#call('/purchase/initiate', { method: 'POST', body: { eventId, holdId } });
  }

  order(orderId) {
    return this.#call(`/purchase/${encodeURIComponent(orderId)}`);
  }

  /** Charges a payment. The key follows from the payment, so that no reload and no second tab is another request. */
  async confirm({ orderId, paymentKey, amount }) {
    const key = `confirm-${await digest(`${orderId} ${paymentKey}`)}`;
    return this.#call('/purchase/confirm', { method: 'POST', body: { orderId, paymentKey, amount }, key });
  }

  cancel(orderId) {
    return this.#call(`/purchase/${encodeURIComponent(orderId)}/cancel`, { method: 'POST' });
  }

  /** Gives tickets back. */
  async refund(orderId, { tickets, reason }) {
    const asked = JSON.stringify([orderId, tickets, reason]);
    if (this.#refund?.asked !== asked) this.#refund = { asked, key: randomKey() };
    try {
      const order = await this.#call(`/purchase/${encodeURIComponent(orderId)}/refund`, { method: 'POST', body: { tickets, reason }, key: this.#refund.key });
      this.#refund = null;
      return order;
    } catch (problem) {
      // After a fault nobody knows what was done: the same press asks for the same.
      if (!problem.passes && problem.code !== 'fault') this.#refund = null;
      throw problem;
    }
  }

  /** `{orders, next}`, the newest first. */
  history(before = null) {
    return this.#call(`/purchase/history${before ? `?before=${encodeURIComponent(before)}` : ''}`);
  }

  /** `{tickets, next}` */
  tickets(before = null) {
    return this.#call(`/tickets${before ? `?before=${encodeURIComponent(before)}` : ''}`);
  }

  /** An event of the catalog, with its title and when it begins. */
  event(eventId) {
    return this.#call(`/events/${encodeURIComponent(eventId)}`);
  }

  /** Where its seats are, by a version that never changes. */
  layout(eventId, version) {
    return this.#call(`/events/${encodeURIComponent(eventId)}/layout?v=${encodeURIComponent(version)}`, { cache: 'default' });
  }

  async #call(path, { method = 'GET', body, key, cache = 'no-store' } = {}) {
    let response;
    const asked = Date.now();
    try {
      response = await fetch(path, {
        method, cache, credentials: 'same-origin',
        headers: {
          Accept: 'application/json',
          ...(body !== undefined && { 'Content-Type': 'application/json' }),
          ...(key !== undefined && { 'Idempotency-Key': key }),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      });
    } catch {
      throw new PurchaseProblem({});
    }
    const told = cache === 'no-store' ? Date.parse(response.headers.get('Date') ?? '') : Number.NaN;
    // The header has whole seconds: half a second is the likely rest.
    if (!Number.isNaN(told) && Math.abs(told + 500 - asked) > 2_000) this.#skewMs = told + 500 - (asked + Date.now()) / 2;
    const isJson = (response.headers.get('Content-Type') ?? '').includes('json');
    const json = isJson ? await response.json().catch(() => null) : null;
    if (response.ok && json !== null) return json;
    const seconds = Number(response.headers.get('Retry-After'));
    throw new PurchaseProblem({
      status: response.ok ? 0 : response.status,
      code: response.ok ? 'network' : json?.code ?? `http${response.status}`,
      detail: json?.detail ?? '',
      retryAfterMs: Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : null,
    });
  }
}

/** The same text for the same words, short enough for a header; pages over plain HTTP have no `crypto.subtle`. */
async function digest(words) {
  const bytes = new TextEncoder().encode(words);
  if (crypto.subtle) {
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
    return Array.from(hash.subarray(0, 16), (byte) => byte.toString(16).padStart(2, '0')).join('');
  }
  return btoa(String.fromCharCode(...bytes)).replaceAll('=', '').slice(-96);
}

function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
