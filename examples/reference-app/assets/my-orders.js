/** The orders of this browser's person: what became of each, and the way to give tickets back. */

import { drawInLanguage } from './app.js';
import { PurchaseProblem } from './purchase-client.js';
import {
  app, button, checkoutPath, chip, client, element, eventOf, eventTime, failureWords, learnEvents, link, localized, moment, money, place, problemWords, seatLine, setText,
} from './purchase.js';
import { RefundDialog } from './refund-dialog.js';

const LOOK_AGAIN_MS = 3_000;

const byId = (id) => document.getElementById(id);

/** `state`: loading, shown, problem. */
const now = { state: 'loading', orders: [], next: null, problem: null, note: null, refund: null, isNew: false, open: new Set() };
let timer = 0;

const dialog = new RefundDialog(byId('refund'), {
  refund: (order, wanted) => client.refund(order.orderId, wanted),
  done: (order, amount) => {
    now.refund = { orderId: order.orderId, amount };
    replace(order);
    tellRefund(order);
    draw();
    byId('orders').querySelector(`[data-order-id="${order.orderId}"] summary`)?.focus();
  },
});

// Drawing -----------------------------------------------------------------------------------

function draw() {
  const { text } = app;
  document.title = `${text.myOrders} · Ticketon`;
  byId('tabs').setAttribute('aria-label', text.myOrders);
  const some = now.orders.length > 0;
  byId('lead').hidden = !some;
  const note = now.note ? now.note() : now.problem && some ? problemWords(now.problem).join('. ') : '';
  byId('note').hidden = note === '';
  setText(byId('note'), note);
  byId('orders').setAttribute('aria-busy', String(now.state === 'loading'));
  const focused = document.activeElement?.closest?.('[data-order-id]')?.dataset.orderId;
  place(byId('orders'), now.state === 'loading' ? [element('li', 'order order-empty'), element('li', 'order order-empty')] : now.orders.map(card));
  if (focused && document.activeElement === document.body) byId('orders').querySelector(`[data-order-id="${focused}"] summary`)?.focus();
  byId('more').hidden = now.next === null;
  drawEmpty(some);
}

function card(order) {
  const { text } = app;
  const event = eventOf(order.eventId);
  const item = element('li', 'order');
  item.dataset.orderId = order.orderId;
  item.dataset.key = order.orderId;
  item.dataset.status = order.status;
  const head = element('div', 'order-head');
  const names = element('div', 'order-names');
  names.append(element('h2', 'order-title', localized(event.title)), element('p', 'order-when', [eventTime(event), localized(event.venue)].filter(Boolean).join(' · ')));
  head.append(names, chip(order.status, text.statuses[order.status] ?? order.status));
  const sum = element('p', 'order-sum');
  sum.append(element('span', '', text.seatCount(order.seats.length)), element('strong', '', money(order.amount, order.currency)));
  item.append(head, sum);
  const going = order.refunds.filter(({ status }) => status !== 'completed');
  for (const refund of going) {
    const words = refund.status === 'requested' ? text.refundRequested(money(refund.amount, order.currency)) : text.refundRefused;
    item.append(element('p', 'order-note', words));
  }
  if (order.status === 'failed') item.append(element('p', 'order-note', failureWords(order.failure) || text.problems.paymentDeclined[1]));
  item.append(details(order), actions(order));
  return item;
}

function details(order) {
  const { text } = app;
  const box = element('details', 'order-details');
  box.open = now.open.has(order.orderId);
  box.addEventListener('toggle', () => {
    if (box.open) now.open.add(order.orderId);
    else now.open.delete(order.orderId);
  });
  const lines = element('ul', 'lines');
  const states = new Map(order.tickets.map(({ seat, status }) => [seat, status]));
  lines.append(...order.seats.map((seat) => seatLine({ ...seat, currency: order.currency, eventId: order.eventId, status: states.get(seat.label) ?? null })));
  const facts = element('dl', 'order-facts');
  const fact = (name, value) => {
    const row = element('div');
    row.append(element('dt', '', name), element('dd', '', value));
    facts.append(row);
  };
  fact(text.ordered, moment(order.createdAt));
  if (order.payment?.approvedAt) fact(text.paidOn, moment(order.payment.approvedAt));
  if (order.refundedAmount > 0) fact(text.givenBack, money(order.refundedAmount, order.currency));
  for (const { amount, reason, status, requestedAt } of order.refunds) {
    fact(text.refunds, `${money(amount, order.currency)} · ${text.refundStatuses[status] ?? status} · ${moment(requestedAt)} · ${reason}`);
  }
  fact(text.orderNumber, order.orderId);
  box.append(element('summary', '', text.details), lines, facts);
  return box;
}

function actions(order) {
  const { text } = app;
  const box = element('div', 'order-actions');
  const good = order.tickets.filter(({ status }) => status === 'valid');
  if (order.status === 'pending') {
    box.append(link('tk-main', `${checkoutPath(order)}?order=${order.orderId}`, text.goOnPaying), element('span', 'order-until', text.payUntil(moment(order.payUntil))));
  }
  if (order.status === 'confirming') box.append(link('tk-plain', `/pay/return?orderId=${order.orderId}`, text.seeResult));
  if (good.length > 0) {
    box.append(link('tk-main', `/my/tickets?order=${order.orderId}`, text.showTickets));
    box.append(button('tk-plain', text.refund, () => dialog.open(now.orders.find(({ orderId }) => orderId === order.orderId))));
  }
  box.hidden = box.childElementCount === 0;
  return box;
}

function drawEmpty(some) {
  const { text } = app;
  byId('empty').hidden = some || now.state === 'loading';
  if (byId('empty').hidden) return;
  const [title, detail] = now.problem ? problemWords(now.problem) : [text.noOrders, text.noOrdersDetail];
  setText(byId('empty-title'), title);
  setText(byId('empty-detail'), now.isNew ? `${detail} ${text.otherBrowser}` : detail);
  place(byId('empty-choices'), [now.problem ? button('tk-main', text.reload, load) : link('tk-main', '/', text.findEvents)]);
}

// Loading -----------------------------------------------------------------------------------

function replace(order) {
  now.orders = now.orders.map((other) => (other.orderId === order.orderId ? order : other));
  lookAgain();
}

/** Says what became of the refund that was asked for last. */
function tellRefund({ orderId, refunds, currency }) {
  if (now.refund?.orderId !== orderId) return;
  const words = money(now.refund.amount, currency);
  const { status } = refunds.at(-1) ?? { status: 'completed' };
  now.note = () => ({ requested: app.text.refundRequested(words), refused: app.text.refundRefused }[status] ?? app.text.refundDone(words));
  byId('polite').textContent = now.note();
}

const isMoving = ({ status, refunds }) => status === 'confirming' || refunds.some((refund) => refund.status === 'requested');

/** Orders that move by themselves are looked at until they stand. */
function lookAgain() {
  clearTimeout(timer);
  const moving = now.orders.filter(isMoving);
  if (moving.length === 0) return;
  timer = setTimeout(async () => {
    const found = await Promise.all(moving.map(({ orderId }) => client.order(orderId).catch(() => null)));
    for (const order of found) {
      if (!order) continue;
      replace(order);
      if (!isMoving(order)) tellRefund(order);
    }
    if (!byId('refund').open) draw();
    lookAgain();
  }, LOOK_AGAIN_MS);
}

async function load() {
  try {
    const { orders, next } = await client.history();
    Object.assign(now, { state: 'shown', orders, next, problem: null });
  } catch (problem) {
    if (!(problem instanceof PurchaseProblem)) throw problem;
    // Whoever is nobody here yet has bought nothing here.
    if (problem.status === 401) Object.assign(now, { state: 'shown', orders: [], next: null, problem: null, isNew: true });
    else Object.assign(now, { state: now.orders.length > 0 ? 'shown' : 'problem', problem: problem.code });
  }
  draw();
  lookAgain();
  learnEvents(now.orders.map(({ eventId }) => eventId), draw);
}

async function more() {
  byId('more').disabled = true;
  try {
    const { orders, next } = await client.history(now.next);
    now.orders = [...now.orders, ...orders];
    now.next = next;
    now.problem = null;
  } catch (problem) {
    now.problem = problem.code ?? 'network';
  }
  byId('more').disabled = false;
  draw();
  lookAgain();
  learnEvents(now.orders.map(({ eventId }) => eventId), draw);
}

byId('more').addEventListener('click', more);
addEventListener('online', load);
addEventListener('pageshow', ({ persisted }) => { if (persisted) load(); });
drawInLanguage(draw);
load();
