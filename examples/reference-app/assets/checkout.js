/**
 * The checkout: what is bought, how long there is to pay, and the way to the payment provider.
 *
 * The order is made on arrival and its id kept in the address: reloading, coming back from the provider and trying
 * again after a decline all find it, or a new one for the same seats.
 */

import { formatClock } from '/ticketon/texts.js';
import { drawInLanguage } from './app.js';
import { PurchaseProblem } from './purchase-client.js';
import {
  app, button, client, eventOf, eventTime, learnEvents, link, localized, money, place, problemWords, seatLine, seatsPath, setText, shortened, waitPath,
} from './purchase.js';
import { TossWindow, WindowProblem } from './toss-window.js';

const RETRY_MS = 3_000;
const HURRY_MS = 60_000;
/** The longest name of an order that a provider takes. */
const ORDER_NAME_CHARS = 100;
/** Notes that go by themselves. */
const PASSING = ['network', 'busy'];

const byId = (id) => document.getElementById(id);
const { eventId, holdId, tossScript } = byId('checkout').dataset;
/** The provider's own window, where buyers pay in one. */
const tossWindow = tossScript ? new TossWindow(tossScript) : null;
const address = new URL(location.href);

/** `state`: loading, ready, leaving, ended. `said` are the provider's words to a note. */
const now = { state: 'loading', order: null, longestMs: 0, note: address.searchParams.get('note'), said: '', problem: null, hurried: false };
let retry = 0;

// Drawing -----------------------------------------------------------------------------------

function draw() {
  const { text } = app;
  const { state, order } = now;
  const event = eventOf(eventId);
  const title = event.title === eventId ? byId('title').dataset.given ?? byId('title').textContent : localized(event.title);
  const ended = state === 'ended';
  document.documentElement.dataset.view = ended ? 'ended' : state === 'loading' ? 'joining' : 'checkout';
  document.title = `${ended ? problemWords(now.problem)[0] : text.checkout} · ${title}`;
  byId('trail').setAttribute('aria-label', text.stepsName);
  setText(byId('title'), title);
  setText(byId('when'), eventTime(event));
  setText(byId('where'), localized(event.venue));
  byId('ready').hidden = ended;
  byId('safe').hidden = state !== 'ready';
  byId('actions').hidden = ended;
  byId('ended').hidden = !ended;
  byId('ready').setAttribute('aria-busy', String(state === 'loading'));
  byId('back').href = seatsPath(eventId);
  byId('give-up').hidden = order === null;
  const words = now.note && !ended ? text.notes[now.note] ?? '' : '';
  const note = now.note === 'windowRefused' && now.said ? `${words} ${text.providerSays(now.said)}` : words;
  byId('note').hidden = note === '';
  setText(byId('note'), note);
  if (order) drawOrder(order);
  else setText(byId('pay'), text.preparing);
  if (ended) drawEnded();
  drawTime();
}

function drawOrder(order) {
  const { text } = app;
  place(byId('lines'), order.seats.map((seat) => seatLine({ ...seat, currency: order.currency, eventId })));
  const total = money(order.amount, order.currency);
  setText(byId('count'), `${text.total} · ${text.seatCount(order.seats.length)}`);
  setText(byId('total'), total);
  byId('pay').disabled = now.state !== 'ready';
  setText(byId('pay'), now.state === 'leaving' ? text.opening : order.amount === 0 ? text.takeFree : text.pay(total));
  setText(byId('fine'), order.amount === 0 ? '' : order.checkout?.provider === 'sandbox' ? text.noRealMoney : text.otherWindow);
  byId('give-up').disabled = now.state !== 'ready';
}

function drawEnded() {
  const { text } = app;
  const [headline, detail] = problemWords(now.problem);
  setText(byId('ended-headline'), headline);
  setText(byId('ended-detail'), detail);
  const again = button('tk-main', text.reload, () => location.reload());
  const seats = link('tk-main', seatsPath(eventId), text.chooseSeats);
  const orders = link('tk-plain', '/my/orders', text.seeOrders);
  const home = link('tk-plain', '/', text.allEvents);
  const ways = {
    admissionRequired: [link('tk-main', waitPath(eventId), text.joinAgain), home],
    unauthenticated: [again, home], unknownEvent: [home], saleClosed: [home], userLimit: [orders, home],
    orderState: [orders, home], unknownOrder: [seats, orders], forbidden: [again, home],
  };
  place(byId('ended-choices'), ways[now.problem] ?? [seats, home]);
}

const leftMs = () => Date.parse(now.order.payUntil) - client.serverNow();

function drawTime() {
  if (!now.order || now.state === 'ended') return;
  const left = leftMs();
  now.longestMs = Math.max(now.longestMs, left);
  setText(byId('left'), formatClock(Math.max(0, Math.ceil(left / 1_000))));
  byId('bar').style.setProperty('--tk-done', Math.max(0, left / now.longestMs).toFixed(4));
  byId('ready').dataset.hurry = String(left < HURRY_MS);
}

// The order ---------------------------------------------------------------------------------

async function load() {
  clearTimeout(retry);
  try {
    take(await currentOrder());
  } catch (problem) {
    fail(problem);
  }
}

/** The order of the address, as it outlives the admission; a new one where that can no longer be paid. */
async function currentOrder() {
  const known = address.searchParams.get('order');
  if (known) {
    try {
      const order = await client.order(known);
      if (order.status !== 'failed') return order;
    } catch (problem) {
      if (problem.status !== 404 && problem.status !== 422) throw problem;
    }
  }
  return client.initiate(eventId, holdId);
}

function take(order) {
  const { status, orderId } = order;
  if (status !== 'pending') {
    const endings = { canceled: 'holdEnded', expired: 'orderExpired', failed: 'holdEnded' };
    if (endings[status]) end(endings[status]);
    // What became of a payment is told where payments come back to.
    else location.replace(`/pay/return?orderId=${encodeURIComponent(orderId)}`);
    return;
  }
  now.order = order;
  // Whoever is on their way to pay is not called back.
  if (now.state !== 'leaving') now.state = 'ready';
  if (PASSING.includes(now.note)) now.note = null;
  address.searchParams.set('order', orderId);
  history.replaceState(history.state, '', address);
  if (opensWindow(order)) tossWindow.prepare();
  draw();
}

function fail(problem) {
  if (!(problem instanceof PurchaseProblem)) throw problem;
  if (!problem.passes) {
    end(problem.code);
    return;
  }
  now.note = problem.status === 0 ? 'network' : 'busy';
  draw();
  retry = setTimeout(load, problem.retryAfterMs ?? RETRY_MS);
}

function end(code) {
  now.state = 'ended';
  now.problem = code;
  byId('give-up-dialog').close();
  draw();
  byId('ended-title').focus({ preventScroll: true });
}

// What the buyer does -----------------------------------------------------------------------

const opensWindow = ({ checkout }) => tossWindow !== null && checkout?.provider === 'toss' && !checkout.payUrl && Boolean(checkout.clientKey);

async function pay() {
  // The second press of a double click finds it done.
  if (now.state !== 'ready') return;
  const { order } = now;
  const { checkout } = order;
  if (order.amount === 0) {
    // Nobody takes nothing: the order is confirmed as it is.
    now.state = 'leaving';
    draw();
    const done = new URL('/pay/return', location.origin);
    for (const [name, value] of Object.entries({ orderId: order.orderId, paymentKey: 'free', amount: '0' })) done.searchParams.set(name, value);
    location.assign(done);
    return;
  }
  if (!checkout?.payUrl && !opensWindow(order)) {
    now.note = 'noPayPage';
    draw();
    return;
  }
  now.state = 'leaving';
  now.note = null;
  // Whoever comes back by the browser's own button finds that nothing was paid.
  address.searchParams.set('note', 'back');
  history.replaceState(history.state, '', address);
  draw();
  if (checkout.payUrl) goToPage(order);
  else await openWindow(order);
}

/** What a provider is asked to take, and where it leads back to. */
function wanted({ orderId, amount, currency, seats }) {
  const success = new URL('/pay/return', location.origin);
  const fail = new URL(success);
  // A provider may not name the order of a payment that came to nothing.
  fail.searchParams.set('orderId', orderId);
  const count = ` · ${app.text.ticketCount(seats.length)}`;
  const orderName = shortened(localized(eventOf(eventId).title), ORDER_NAME_CHARS - count.length) + count;
  return { orderId, amount, currency, orderName, successUrl: success.href, failUrl: fail.href };
}

function goToPage(order) {
  const page = new URL(order.checkout.payUrl, location.origin);
  for (const [name, value] of Object.entries({ ...wanted(order), returnUrl: '/pay/return' })) page.searchParams.set(name, String(value));
  location.assign(page);
}

async function openWindow(order) {
  try {
    await tossWindow.pay(order.checkout.clientKey, wanted(order));
    // It leads away from here.
  } catch (problem) {
    if (!(problem instanceof WindowProblem)) throw problem;
    now.note = { closed: 'back', unreachable: 'noWindow', refused: 'windowRefused' }[problem.kind];
    now.said = problem.words;
    now.state = 'ready';
    draw();
    byId('pay').focus();
    // Time went on while the window was open.
    load();
  }
}

async function giveUp() {
  now.state = 'leaving';
  draw();
  try {
    await client.cancel(now.order.orderId);
    location.assign(seatsPath(eventId));
  } catch (problem) {
    now.state = 'ready';
    if (problem.passes) fail(problem);
    else load();
  }
}

byId('pay').addEventListener('click', pay);
byId('give-up').addEventListener('click', () => byId('give-up-dialog').showModal());
byId('give-up-dialog').addEventListener('close', ({ target }) => {
  const gives = target.returnValue === 'give-up';
  target.returnValue = '';
  if (gives) giveUp();
});

function tick() {
  if (!now.order || now.state === 'ended') return;
  drawTime();
  const left = leftMs();
  if (left < HURRY_MS && left > 0 && !now.hurried) {
    now.hurried = true;
    byId('assertive').textContent = app.text.minuteLeft;
  }
  if (left < -500 && now.state === 'ready') end('orderExpired');
}

addEventListener('pageshow', ({ persisted }) => {
  if (!persisted) return;
  now.state = 'loading';
  now.note = 'back';
  load();
});
addEventListener('online', () => {
  if (PASSING.includes(now.note)) load();
});
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && now.state === 'ready') load();
});

byId('title').dataset.given = byId('title').textContent;
drawInLanguage(draw);
setInterval(tick, 250);
learnEvents([eventId], draw);
load();
