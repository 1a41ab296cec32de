/**
 * Where payments come back to: confirms the payment, waits for what is not known yet, and says what came of it.
 *
 * Whatever breaks off, the same request is sent again under the same idempotency key: a reload, a lost answer
 * and a second tab charge nothing twice.
 */

import { drawInLanguage } from './app.js';
import { PurchaseProblem } from './purchase-client.js';
import { app, button, checkoutPath, client, eventOf, failureWords, isOver, learnEvents, link, localized, money, place, problemWords, seatLine, seatsPath, setText } from './purchase.js';

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 8_000;
/** After so long, people are told that it takes longer. */
const LONG_MS = 4_000;
const GAVE_UP = ['userCanceled', 'PAY_PROCESS_CANCELED', 'USER_CANCEL'];
/** Tickets that are not good any more. */
const GIVEN_BACK = ['refunding', 'refunded'];
/** Refusals of which the order says more. */
const DECIDED_BY_ORDER = ['paymentDeclined', 'orderState', 'holdEnded'];
/** States of an order in which its payment came to something. */
const DECIDED = ['confirming', 'paid', 'partiallyRefunded', 'refunded', 'failed'];

const isGood = ({ status }) => status === 'valid' || status === 'used';
const byId = (id) => document.getElementById(id);
const told = new URLSearchParams(location.search);
const orderId = told.get('orderId') ?? '';
const paymentKey = told.get('paymentKey');
const amount = Number(told.get('amount'));

/** `state`: checking, paid, declined, unpaid, refunded, givingBack, problem. */
const now = { state: 'checking', order: null, failure: null, problem: null, offline: false, began: performance.now(), pauseMs: FIRST_PAUSE_MS };
let timer = 0;

function draw() {
  const { text } = app;
  const { state, order } = now;
  const slow = performance.now() - now.began > LONG_MS;
  const [headline, detail] = {
    checking: slow || now.offline ? [text.stillChecking, text.stillCheckingDetail] : [text.checkingPayment, text.checkingDetail],
    paid: [text.paid, text.paidDetail(order?.tickets.filter(isGood).length ?? 0)],
    declined: [text.declined, text.declinedDetail],
    unpaid: [text.notPaid, text.notPaidDetail],
    refunded: [text.refundedTitle, text.refundedDetail],
    givingBack: [text.givingBack, text.givingBackDetail],
    problem: now.problem ? problemWords(now.problem) : ['', ''],
  }[state];
  document.documentElement.dataset.view = { checking: 'joining', paid: 'turn', unpaid: 'checkout' }[state] ?? 'ended';
  document.title = `${headline} · Ticketon`;
  byId('trail').setAttribute('aria-label', text.stepsName);
  byId('step-pay').dataset.done = String(state === 'paid');
  byId(state === 'paid' ? 'step-tickets' : 'step-pay').setAttribute('aria-current', 'step');
  byId(state === 'paid' ? 'step-pay' : 'step-tickets').removeAttribute('aria-current');
  setText(byId('headline-text'), headline);
  setText(byId('detail'), detail);
  const said = state === 'declined' ? failureWords(now.failure) : '';
  byId('said').hidden = said === '';
  setText(byId('said'), said);
  const title = order ? localized(eventOf(order.eventId).title) : '';
  const status = now.offline && state === 'checking' ? problemWords('network')[0] : title;
  byId('state').hidden = status === '';
  setText(byId('state'), status);
  byId('working').hidden = state !== 'checking';
  const shown = order !== null && (state === 'paid' || state === 'checking');
  byId('lines').hidden = !shown;
  byId('total-line').hidden = !shown;
  if (shown) {
    const gone = new Map(order.tickets.filter(({ status }) => GIVEN_BACK.includes(status)).map(({ seat, status }) => [seat, status]));
    place(byId('lines'), order.seats.map((seat) => seatLine({ ...seat, currency: order.currency, eventId: order.eventId, status: gone.get(seat.label) ?? null })));
    setText(byId('total'), money(order.amount - order.refundedAmount, order.currency));
  }
  drawChoices(slow);
}

function drawChoices(slow) {
  const { text } = app;
  const { state, order } = now;
  const orders = link('tk-plain', '/my/orders', text.seeOrders);
  const toCheckout = (words, note) => {
    if (!order) return null;
    return link('tk-main', `${checkoutPath(order)}?order=${order.orderId}${note ? `&note=${note}` : ''}`, words);
  };
  const choices = {
    checking: slow ? [orders] : [],
    paid: [link('tk-main', `/my/tickets?order=${encodeURIComponent(orderId)}`, text.showTickets)],
    declined: [toCheckout(text.tryAgainSameSeats, 'declined'), orders],
    unpaid: [toCheckout(text.goOnPaying, ''), orders],
    refunded: [orders, link('tk-plain', '/', text.allEvents)],
    givingBack: [orders],
    problem: [
      ['amountMismatch', 'paymentTaken', 'idempotencyMismatch'].includes(now.problem) && order ? toCheckout(text.goOnPaying, '') : null,
      ['forbidden', 'unauthenticated'].includes(now.problem) ? button('tk-main', text.reload, () => location.reload()) : null,
      order && ['orderExpired', 'holdEnded', 'unknownHold', 'seatsTaken', 'salesChanged', 'orderState'].includes(now.problem)
        ? link('tk-main', seatsPath(order.eventId), text.chooseSeats) : null,
      orders,
    ],
  }[state].filter(Boolean);
  place(byId('choices'), choices);
  byId('choices').hidden = choices.length === 0;
}

function settle(state) {
  clearTimeout(timer);
  now.state = state;
  now.offline = false;
  draw();
  byId('headline').focus({ preventScroll: true });
}

// Confirming --------------------------------------------------------------------------------

/** Shows what an order says; asks again while it says nothing for good. */
function take(order) {
  now.order = order;
  now.offline = false;
  learnEvents([order.eventId], draw);
  switch (order.status) {
    case 'paid':
    case 'partiallyRefunded':
      settle(order.tickets.some(isGood) ? 'paid' : 'givingBack');
      break;
    case 'failed':
      now.failure = order.failure ?? now.failure;
      // Charged after all: that goes back, by an operator's hand if the provider refuses.
      if (order.refunds.length > 0) settle('givingBack');
      else if (isOver(now.failure)) {
        now.problem = now.failure.code;
        settle('problem');
      } else settle('declined');
      break;
    case 'refunded':
      settle('refunded');
      break;
    case 'expired':
      now.problem = 'orderExpired';
      settle('problem');
      break;
    case 'canceled':
      now.problem = 'orderState';
      settle('problem');
      break;
    case 'pending':
      if (paymentKey) later();
      else settle('unpaid');
      break;
    default:
      later();
  }
}

function later(afterMs = null) {
  draw();
  clearTimeout(timer);
  timer = setTimeout(ask, afterMs ?? now.pauseMs);
  now.pauseMs = Math.min(now.pauseMs * 1.5, LONGEST_PAUSE_MS);
}

async function ask() {
  clearTimeout(timer);
  try {
    // While it is being confirmed, looking is enough; before that, it has to be asked for.
    const looks = paymentKey === null || now.order?.status === 'confirming';
    if (!looks) {
      const answer = await client.confirm({ orderId, paymentKey, amount });
      if (answer.status === 'confirming') {
        take(answer);
        return;
      }
    }
    // The same request gets its first answer again, whatever became of the order since.
    take(await client.order(orderId));
  } catch (problem) {
    if (!(problem instanceof PurchaseProblem)) throw problem;
    await refused(problem);
  }
}

async function refused(problem) {
  if (problem.passes) {
    now.offline = problem.status === 0;
    later(problem.retryAfterMs);
    return;
  }
  // The order says where its seats are, and what became of it since.
  if (problem.status !== 401 && problem.code !== 'unknownOrder' && orderId !== '') {
    try {
      now.order = await client.order(orderId);
    } catch (unseen) {
      if (unseen.passes && DECIDED_BY_ORDER.includes(problem.code)) {
        await refused(unseen);
        return;
      }
      now.order = null;
    }
  }
  if (now.order) learnEvents([now.order.eventId], draw);
  if (now.order && DECIDED_BY_ORDER.includes(problem.code) && DECIDED.includes(now.order.status)) {
    take(now.order);
    return;
  }
  if (problem.code === 'paymentDeclined') {
    now.failure = now.order?.failure ?? { message: problem.detail };
    settle('declined');
    return;
  }
  now.problem = problem.code;
  settle('problem');
}

/** The buyer came back without paying: what they came from is where they go on. */
async function cameBack(code) {
  const failure = GAVE_UP.includes(code) ? null : { code, message: told.get('message') ?? '' };
  now.failure = failure;
  if (orderId === '') {
    settle(failure === null ? 'unpaid' : 'declined');
    return;
  }
  try {
    const order = await client.order(orderId);
    if (order.status === 'pending' && failure === null) {
      location.replace(`${checkoutPath(order)}?order=${order.orderId}&note=back`);
      return;
    }
    now.order = order;
    learnEvents([order.eventId], draw);
    if (order.status !== 'pending') take(order);
    else settle('declined');
  } catch (problem) {
    await refused(problem);
  }
}

addEventListener('online', () => {
  if (now.state === 'checking') ask();
});
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && now.state === 'checking') ask();
});

drawInLanguage(draw);
setInterval(() => { if (now.state === 'checking') draw(); }, 1_000);
const code = told.get('code');
if (code && !paymentKey) cameBack(code);
else if (orderId === '' || (paymentKey !== null && !Number.isSafeInteger(amount))) {
  now.problem = 'invalid';
  settle('problem');
} else {
  ask();
}
