/** The admin calls of a Ticketon server, with the operator's key. */

const KEY_NAME = 'ticketon.operatorKey';
const ANSWER_WITHIN_MS = 10_000;
/** For calls that wait for the payment provider: its time-out, and that of the lease before it. */
const PROVIDER_WITHIN_MS = 70_000;

/** Takes the key from the address's fragment, which it clears, or from this tab's memory. */
export function takeKey() {
  const given = new URLSearchParams(location.hash.slice(1)).get('key');
  if (given) {
    history.replaceState(null, '', location.pathname + location.search);
    keepKey(given);
    return given;
  }
  try {
    return sessionStorage.getItem(KEY_NAME);
  } catch {
    return null;
  }
}

export function keepKey(key) {
  try {
    if (key) sessionStorage.setItem(KEY_NAME, key);
    else sessionStorage.removeItem(KEY_NAME);
  } catch {
    // Without storage the key lasts until the page is reloaded.
  }
}

/** A call that the server refused or did not answer (`status` 0). */
export class Refused extends Error {
  constructor(status, problem) {
    const fields = Array.isArray(problem?.errors ?? problem?.fields)
      ? (problem.errors ?? problem.fields).map(({ field, value, range, expected }) => `${field} ${value}: ${range ?? expected ?? ''}`).join('; ')
      : '';
    super([problem?.detail ?? problem?.title ?? problem?.code ?? `HTTP ${status}`, fields].filter(Boolean).join(' '));
    this.status = status;
    this.code = problem?.code ?? null;
  }
}

export class AdminClient {
  #key;

  constructor(key) {
    this.#key = key;
  }

  /** `{rooms: [numbers], store?}` */
  rooms() {
    return this.#call('GET', '/admin/rooms');
  }

  room(eventId) {
    return this.#call('GET', `/admin/rooms/${encodeURIComponent(eventId)}`);
  }

  change(eventId, config) {
    return this.#call('PUT', `/admin/rooms/${encodeURIComponent(eventId)}`, config);
  }

  /** @param {'open'|'pause'|'resume'|'drain'|'soldOut'|'close'} verb */
  turn(eventId, verb) {
    return this.#call('POST', `/admin/rooms/${encodeURIComponent(eventId)}/${verb}`);
  }

  addVisitors(eventId, count) {
    return this.#call('POST', `/admin/demo/${encodeURIComponent(eventId)}/visitors`, { count });
  }

  /** Orders that need attention: `{orders, next}`. */
  attention(before = null) {
    return this.#call('GET', `/admin/orders?attention=true${before ? `&before=${encodeURIComponent(before)}` : ''}`);
  }

  /** One order with all that is known of it. */
  order(orderId) {
    return this.#call('GET', `/admin/orders/${encodeURIComponent(orderId)}`);
  }

  /** Asks the payment provider now. */
  retryOrder(orderId) {
    return this.#call('POST', `/admin/orders/${encodeURIComponent(orderId)}/retry`, undefined, PROVIDER_WITHIN_MS);
  }

  /** What its mark tells was settled, with the buyer or at the payment provider. */
  settleOrder(orderId) {
    return this.#call('POST', `/admin/orders/${encodeURIComponent(orderId)}/retry`, { settled: true }, PROVIDER_WITHIN_MS);
  }

  refundOrder(orderId, { tickets, reason }) {
    return this.#call('POST', `/admin/orders/${encodeURIComponent(orderId)}/refund`, { tickets, reason }, PROVIDER_WITHIN_MS);
  }

  async #call(method, path, body, withinMs = ANSWER_WITHIN_MS) {
    let response;
    try {
      response = await fetch(path, {
        method,
        headers: {
          Accept: 'application/json',
          Authorization: `Bearer ${this.#key}`,
          ...(body !== undefined && { 'Content-Type': 'application/json' }),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
        credentials: 'omit',
        cache: 'no-store',
        signal: AbortSignal.timeout(withinMs),
      });
    } catch (cause) {
      throw new Refused(0, { detail: String(cause.message ?? cause) });
    }
    const isJson = (response.headers.get('Content-Type') ?? '').includes('json');
    const answer = isJson ? await response.json().catch(() => null) : null;
    if (!response.ok) throw new Refused(response.status, answer);
    return answer;
  }
}
