/**
 * The operator's orders: those that do not come to an end by themselves, what happened to each, and what can be done.
 */

import { AdminClient, keepKey, takeKey } from './admin-client.js';
import { drawInLanguage } from './app.js';
import { app, button, chip, element, eventOf, learnEvents, localized, moment, money, place, seatLine, setText } from './purchase.js';
import { RefundDialog } from './refund-dialog.js';

const READ_EVERY_MS = 4_000;
/** What stays until an operator has settled it. */
const MARKS_THAT_STAY = ['refundRefused', 'refundedElsewhere', 'chargeUndone', 'unknownPayment'];
/** Pages that are read again and again, at the most. */
const MOST_PAGES = 10;

const byId = (id) => document.getElementById(id);
const now = {
  orders: [], next: null, pages: 1, answered: false, stale: false, keyRefused: false,
  openId: new URLSearchParams(location.search).get('order'), order: null, missing: false, outcome: null, busy: false, entries: new Set(),
};
let admin = null;
let timer = 0;
/** Answers of an earlier key or order come too late and are dropped. */
let session = 0;

const dialog = new RefundDialog(byId('refund'), {
  refund: (order, wanted) => admin.refundOrder(order.orderId, wanted),
  done: (order, amount) => {
    now.order = order;
    now.outcome = () => {
      const words = money(amount, order.currency);
      const { text } = app;
      const { status } = order.refunds.at(-1) ?? { status: 'completed' };
      return { requested: text.operatorRefundRequested(words), refused: text.operatorRefundRefused }[status] ?? text.refundDone(words);
    };
    draw();
    byId('polite').textContent = now.outcome();
    read();
  },
}, (text) => text.operatorRefundWords);

// The list ----------------------------------------------------------------------------------

function draw() {
  const { text } = app;
  byId('key-form').hidden = admin !== null;
  byId('board').hidden = admin === null;
  byId('tabs').setAttribute('aria-label', text.operator);
  setText(byId('key-wrong'), now.keyRefused ? text.keyWrong : '');
  document.title = `${now.orders.length > 0 ? `(${now.orders.length}) ` : ''}${text.operatorOrders} · Ticketon`;
  if (admin === null) return;
  byId('stale').hidden = !now.stale;
  setText(byId('stale'), now.stale ? text.stale : '');
  byId('desk').dataset.open = String(now.openId !== null);
  byId('find-id').placeholder = text.findPlaceholder;
  setText(byId('count'), now.answered ? `${now.orders.length}${now.next ? '+' : ''}` : '–');
  byId('count').dataset.state = now.orders.length > 0 ? 'scheduled' : '';
  byId('cases').setAttribute('aria-busy', String(!now.answered));
  keepFocus(byId('cases'), () => place(byId('cases'), now.orders.map(row)));
  byId('calm').hidden = !now.answered || now.orders.length > 0;
  byId('more').hidden = now.next === null || now.pages === MOST_PAGES;
  keepFocus(byId('case'), drawCase);
}

/** Draws anew what may have the focus, and gives it back to what has the same name. */
function keepFocus(box, redraw) {
  const name = box.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
  redraw();
  if (name) box.querySelector(`[data-focus="${CSS.escape(name)}"]`)?.focus({ preventScroll: true });
}

function headline(order) {
  const { text } = app;
  if (!order.attention) return text.statuses[order.status] ?? order.status;
  return text.attentionCodes[order.attention.code] ?? text.needsLook;
}

function row(order) {
  const { text } = app;
  const item = element('li');
  const open = button('case-row', '', () => choose(order.orderId));
  open.dataset.focus = order.orderId;
  open.setAttribute('aria-pressed', String(order.orderId === now.openId));
  const top = element('span', 'case-top');
  top.append(element('strong', '', headline(order)), chip(order.status, text.statuses[order.status] ?? order.status));
  const bottom = element('span', 'case-bottom');
  bottom.append(
    element('span', '', `${localized(eventOf(order.eventId).title)} · ${money(order.amount, order.currency)}`),
    element('span', '', `${text.attempts}: ${order.attempts} · ${moment(order.attention?.since ?? order.createdAt)}`),
  );
  open.append(top, bottom);
  item.append(open);
  return item;
}

// One order ---------------------------------------------------------------------------------

function drawCase() {
  const { text } = app;
  const box = byId('case');
  if (now.openId === null || (now.order === null && !now.missing)) {
    const words = element('p', 'case-none', now.openId === null ? text.choose : text.loading);
    words.id = 'case-title';
    place(box, [words]);
    return;
  }
  const back = button('tk-quiet case-back', text.backToList, () => choose(null));
  back.dataset.focus = 'back';
  const title = element('h2', 'case-title', now.missing ? text.problems.unknownOrder[0] : headline(now.order));
  title.id = 'case-title';
  title.tabIndex = -1;
  if (now.missing) {
    place(box, [back, title]);
    return;
  }
  const { order } = now;
  const head = element('div', 'case-head');
  head.append(title, chip(order.status, text.statuses[order.status] ?? order.status));
  place(box, [back, head, ...what(order), actions(order), bought(order), facts(order), audit(order)]);
}

function what({ attention }) {
  if (!attention) return [];
  const { text } = app;
  const box = element('div', 'case-what');
  box.append(element('h3', '', text.whatHappened), element('p', '', attention.detail));
  const small = element('p', 'case-small');
  small.append(element('code', '', attention.code), ` · ${text.since} ${moment(attention.since)}`);
  box.append(small);
  return [box];
}

function actions(order) {
  const { text } = app;
  const box = element('div', 'case-actions');
  // What looks the same for two orders is not the same.
  box.dataset.orderId = order.orderId;
  const retry = button('tk-main', text.retry, () => act(async () => admin.retryOrder(order.orderId), lookedAgain));
  retry.dataset.focus = 'retry';
  retry.disabled = now.busy;
  const refund = button('tk-plain', text.operatorRefund, () => dialog.open(now.order));
  refund.dataset.focus = 'refund';
  refund.disabled = now.busy || !order.tickets.some(({ status }) => status === 'valid');
  const settle = button('tk-plain', text.settle, () => act(async () => admin.settleOrder(order.orderId), () => text.settled));
  settle.dataset.focus = 'settle';
  settle.disabled = now.busy;
  settle.hidden = !canBeSettled(order);
  const outcome = element('p', 'outcome', now.outcome ? now.outcome() : '');
  outcome.setAttribute('role', 'status');
  box.append(retry, refund, settle, element('p', 'panel-detail', settle.hidden ? text.retryDetail : text.settleDetail), outcome);
  return box;
}

/** Whether something of an order is still under way. */
const isOpen = ({ status, refunds }) => ['pending', 'confirming'].includes(status) || refunds.some((refund) => refund.status === 'requested');

/** Whether its mark may be taken away by hand. */
const canBeSettled = (order) => !isOpen(order) && MARKS_THAT_STAY.includes(order.attention?.code);

/** What came of looking again. */
function lookedAgain() {
  const { text } = app;
  const { order } = now;
  if (order.attention) return text.retriedSame;
  return isOpen(order) ? text.retriedOpen : text.retriedDone;
}

function bought(order) {
  const box = element('div', 'case-part');
  const event = eventOf(order.eventId);
  const lines = element('ul', 'lines');
  const states = new Map(order.tickets.map(({ seat, status }) => [seat, status]));
  lines.append(...order.seats.map((seat) => seatLine({ ...seat, currency: order.currency, eventId: order.eventId, status: states.get(seat.label) ?? null })));
  const sum = element('p', 'lines-total');
  sum.append(element('span', '', app.text.total), element('strong', '', money(order.amount, order.currency)));
  box.append(element('h3', '', localized(event.title)), lines, sum);
  return box;
}

function facts(order) {
  const { text } = app;
  const list = element('dl', 'order-facts');
  const fact = (name, value, isCode = false) => {
    if (value === null || value === undefined || value === '') return;
    const line = element('div');
    const shown = element('dd', '');
    shown.append(isCode ? element('code', '', value) : value);
    line.append(element('dt', '', name), shown);
    list.append(line);
  };
  fact(text.attempts, String(order.attempts));
  const next = order.nextAttemptAt ? (Date.parse(order.nextAttemptAt) <= Date.now() ? text.now : moment(order.nextAttemptAt)) : text.never;
  fact(text.nextAttempt, next);
  if (order.leaseUntil) fact(text.workedOn, moment(order.leaseUntil));
  if (order.failure) fact(text.statuses.failed, `${order.failure.message} (${order.failure.code})`);
  if (order.refundedAmount > 0) fact(text.givenBack, money(order.refundedAmount, order.currency));
  for (const refund of order.refunds) {
    const why = refund.failure ? ` · ${refund.failure.message} (${refund.failure.code})` : '';
    fact(text.refunds, `${money(refund.amount, order.currency)} · ${text.refundStatuses[refund.status] ?? refund.status} · ${moment(refund.requestedAt)} · ${refund.reason}${why}`);
  }
  fact(text.ordered, moment(order.createdAt));
  if (order.payment) fact(text.payment, `${order.payment.provider} ${order.payment.paymentKey}`, true);
  fact(text.orderNumber, order.orderId, true);
  fact(text.buyer, order.userId, true);
  fact(text.hold, order.holdId, true);
  fact(text.correlation, order.correlationId, true);
  return list;
}

function audit(order) {
  const { text } = app;
  const box = element('div', 'case-part');
  const list = element('ol', 'trail-list');
  for (const { seq, at, kind, hash, event } of order.audit) {
    const entry = element('li', 'trail-entry');
    entry.append(element('strong', '', text.kinds[kind] ?? kind), element('time', '', moment(at)));
    const more = element('details');
    more.open = now.entries.has(seq);
    more.addEventListener('toggle', () => {
      if (more.open) now.entries.add(seq);
      else now.entries.delete(seq);
    });
    const summary = element('summary', '', `${text.hash} ${hash.slice(0, 12)}…`);
    summary.dataset.focus = `entry-${seq}`;
    more.append(summary, element('p', 'case-small', hash), element('pre', 'trail-event', JSON.stringify(event, null, 2)));
    entry.append(more);
    list.append(entry);
  }
  box.append(element('h3', '', text.audit), element('p', 'panel-detail', text.auditLead), list);
  return box;
}

async function act(call, done) {
  if (now.busy) return;
  now.busy = true;
  now.outcome = null;
  draw();
  try {
    now.order = await call();
    now.outcome = done;
  } catch (refused) {
    now.outcome = () => app.text.failed(refused.message);
  }
  now.busy = false;
  draw();
  read();
}

function choose(orderId) {
  const before = now.openId;
  Object.assign(now, { openId: orderId, order: null, missing: false, outcome: null });
  now.entries.clear();
  const address = new URL(location.href);
  if (orderId) address.searchParams.set('order', orderId);
  else address.searchParams.delete('order');
  history.replaceState(history.state, '', address);
  draw();
  if (orderId === null) byId('cases').querySelector(`[data-focus="${CSS.escape(before ?? '')}"]`)?.focus();
  read().then(() => { if (orderId !== null) document.querySelector('#case h2')?.focus({ preventScroll: true }); });
}

// Reading -----------------------------------------------------------------------------------

async function read() {
  clearTimeout(timer);
  if (admin === null) return;
  const mine = (session += 1);
  try {
    const list = await attention();
    if (mine !== session) return;
    Object.assign(now, { ...list, answered: true, stale: false });
    await readOpen(mine);
    if (mine !== session) return;
  } catch (refused) {
    if (mine !== session) return;
    if (refused.status === 401 || refused.status === 403) {
      signOut();
      return;
    }
    now.stale = true;
  }
  draw();
  learnEvents([...now.orders, ...(now.order ? [now.order] : [])].map(({ eventId }) => eventId), draw);
  timer = setTimeout(read, READ_EVERY_MS);
}

async function readOpen(mine) {
  if (now.openId === null || now.busy) return;
  try {
    const order = await admin.order(now.openId);
    if (mine === session && !now.busy) Object.assign(now, { order, missing: false });
  } catch (refused) {
    if (refused.status !== 404 && refused.status !== 422) throw refused;
    if (mine === session) now.missing = true;
  }
}

/** As many pages of the list as are shown. */
async function attention() {
  const orders = [];
  let next = null;
  for (let page = 0; page < now.pages && (page === 0 || next !== null); page += 1) {
    const list = await admin.attention(next);
    orders.push(...list.orders);
    next = list.next;
  }
  return { orders, next };
}

function more() {
  now.pages = Math.min(now.pages + 1, MOST_PAGES);
  return read();
}

function signIn(key) {
  admin = new AdminClient(key);
  Object.assign(now, { keyRefused: false, answered: false });
  draw();
  read();
}

function signOut() {
  keepKey(null);
  admin = null;
  now.keyRefused = true;
  byId('refund').close();
  draw();
  byId('key').focus();
}

byId('key-form').addEventListener('submit', (submitted) => {
  submitted.preventDefault();
  const key = byId('key').value.trim();
  byId('key').value = '';
  keepKey(key);
  signIn(key);
});
byId('find').addEventListener('submit', (submitted) => {
  submitted.preventDefault();
  const id = byId('find-id').value.trim().toLowerCase();
  if (id !== '') choose(id);
});
byId('more').addEventListener('click', more);
addEventListener('hashchange', () => {
  const key = takeKey();
  if (key) signIn(key);
});

const key = takeKey();
if (key) admin = new AdminClient(key);
drawInLanguage(draw);
read();
