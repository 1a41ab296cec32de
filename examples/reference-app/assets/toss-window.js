/**
 * The payment window of Toss Payments: its script, which is loaded where somebody may pay, and a payment by card.
 *
 * The window leads away when it is done. Whoever closes it, and whatever keeps it from opening, comes back as a
 * `WindowProblem`; the next call tries again.
 */

const LOAD_WITHIN_MS = 15_000;
/** What the window says of buyers who closed it. */
const CLOSED = ['USER_CANCEL', 'PAY_PROCESS_CANCELED'];

/** `kind`: closed (by the buyer), unreachable (the script), refused (with the provider's `words`). */
export class WindowProblem extends Error {
  constructor(kind, words = '') {
    super(words || kind);
    this.name = 'WindowProblem';
    this.kind = kind;
    this.words = words;
  }
}

export class TossWindow {
  #script;
  #loading = null;

  /** @param {string} script the address of the provider's script */
  constructor(script) {
    this.#script = script;
  }

  /** Loads the script, so that the window opens at once when it is asked for. */
  prepare() {
    // Whether it failed matters when somebody wants to pay.
    this.#load().catch(() => {});
  }

  /** Opens the window; ends by leading away, or with a `WindowProblem`. */
  async pay(clientKey, { amount, currency, orderId, orderName, successUrl, failUrl }) {
    const toss = await this.#load();
    try {
      const payment = toss(clientKey).payment({ customerKey: toss.ANONYMOUS });
      await payment.requestPayment({ method: 'CARD', amount: { currency, value: amount }, orderId, orderName, successUrl, failUrl });
    } catch (cause) {
      if (CLOSED.includes(cause?.code)) throw new WindowProblem('closed');
      throw new WindowProblem('refused', String(cause?.message ?? ''));
    }
  }

  #load() {
    this.#loading ??= loadScript(this.#script).catch((problem) => {
      this.#loading = null;
      throw problem;
    });
    return this.#loading;
  }
}

async function loadScript(address) {
  if (typeof globalThis.TossPayments === 'function') return globalThis.TossPayments;
  const script = document.createElement('script');
  script.src = address;
  try {
    await new Promise((resolve, reject) => {
      script.addEventListener('load', resolve);
      script.addEventListener('error', reject);
      setTimeout(reject, LOAD_WITHIN_MS);
      document.head.append(script);
    });
  } catch {
    script.remove();
    throw new WindowProblem('unreachable');
  }
  // An error page in place of the script loads, too.
  if (typeof globalThis.TossPayments !== 'function') throw new WindowProblem('unreachable');
  return globalThis.TossPayments;
}
