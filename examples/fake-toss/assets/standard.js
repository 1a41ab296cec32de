/**
 * Stands in for the browser script of Toss Payments (SDK v2, standard): the same calls, on the fake's own page.
 *
 * Wide windows get the page laid over theirs, narrow ones go to it, as with the real one. Whoever closes what is laid
 * over has the promise refused with USER_CANCEL; whoever closes the page itself goes to failUrl.
 */
(() => {
  const { origin } = new URL(document.currentScript.src);
  const NARROW_PX = 600;
  const ANONYMOUS = '@@ANONYMOUS';

  class TossPaymentsError extends Error {
    constructor(code, message) {
      super(message);
      this.name = 'TossPaymentsError';
      this.code = code;
    }
  }

  function check(holds, message) {
    if (!holds) throw new TossPaymentsError('INVALID_PARAMETERS', message);
  }

  const isAddress = (text) => /^https?:/.test(text) && URL.canParse(text);

  function pageOf({ method, amount, orderId, orderName, successUrl, failUrl }) {
    check(method === 'CARD', 'method: only CARD is played');
    check(amount?.currency === 'KRW' && Number.isSafeInteger(amount?.value), 'amount: a currency and a whole value');
    check(/^[A-Za-z0-9_=-]{6,64}$/.test(orderId), 'orderId: 6 to 64 letters, digits, -, _ or =');
    check(typeof orderName === 'string' && orderName.length >= 1 && orderName.length <= 100, 'orderName: 1 to 100 characters');
    check(isAddress(successUrl) && isAddress(failUrl), 'successUrl and failUrl: whole addresses');
    const page = new URL('/pay', origin);
    for (const [name, value] of Object.entries({ orderId, amount: amount.value, orderName, successUrl, failUrl })) {
      page.searchParams.set(name, String(value));
    }
    return page.href;
  }

  /** Lays the page over this one until it is closed. */
  function lay(page, closed) {
    const cover = document.createElement('div');
    cover.id = 'toss-window';
    cover.style.cssText = 'position: fixed; inset: 0; z-index: 2147483647; display: grid; grid-template-rows: auto 1fr; background: #fff;';
    const close = document.createElement('button');
    close.id = 'toss-close';
    close.type = 'button';
    close.textContent = 'Close';
    close.style.cssText = 'justify-self: end; min-width: 64px; min-height: 44px; border: 0; background: none; color: #191f28; font: 16px system-ui, sans-serif;';
    close.addEventListener('click', () => {
      cover.remove();
      closed();
    });
    const frame = document.createElement('iframe');
    frame.title = 'Payment';
    frame.src = page;
    frame.style.cssText = 'width: 100%; height: 100%; border: 0;';
    cover.append(close, frame);
    document.body.append(cover);
    close.focus();
  }

  async function requestPayment(asked) {
    const page = pageOf(asked);
    if (innerWidth < NARROW_PX || asked.windowTarget === 'self') {
      location.assign(page);
      return undefined;
    }
    return new Promise((_, refuse) => {
      lay(page, () => refuse(new TossPaymentsError('USER_CANCEL', 'The buyer closed the window.')));
    });
  }

  function TossPayments(clientKey) {
    // A key of the payment widget opens no payment window.
    if (!/^(test|live)_ck/.test(clientKey)) throw new TossPaymentsError('INVALID_CLIENT_KEY', 'The client key is none of the API.');
    return {
      payment: ({ customerKey }) => {
        check(customerKey === ANONYMOUS || /^[A-Za-z0-9_=.@-]{2,50}$/.test(customerKey), 'customerKey: 2 to 50 letters, digits, -, _, =, . or @');
        return { requestPayment };
      },
    };
  }

  globalThis.TossPayments = Object.assign(TossPayments, { ANONYMOUS });
})();
