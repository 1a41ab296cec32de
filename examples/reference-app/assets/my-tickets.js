/**
 * The tickets of this browser's person: large, bright, ready for the entrance.
 *
 * What was seen last is kept in this browser, and the codes with it by the page's worker: an entrance is where
 * the network is busiest.
 */

import { drawInLanguage } from './app.js';
import { PurchaseProblem } from './purchase-client.js';
import { app, button, chip, client, element, eventOf, eventTime, learnEvents, link, localized, moment, place, problemWords, seatName, seatParts, setText } from './purchase.js';

const KEPT = 'ticketon.tickets';
const KEPT_FILES = 'ticketon-tickets';
const LOOK_AGAIN_MS = 1_000;
const MOST_LOOKS = 15;

const byId = (id) => document.getElementById(id);
const wanted = new URLSearchParams(location.search).get('order');

/** `state`: loading, shown, saved, problem. `saved` says why only what was kept is shown: network, busy, signedOut. */
const now = { state: 'loading', tickets: [], next: null, savedAt: null, saved: null, problem: null, isNew: false, shown: null };
let wakeLock = null;
/** Whether the order that was asked for was listed, or has no tickets. */
let seen = false;

const codeUrl = ({ ticketId }) => `/tickets/${encodeURIComponent(ticketId)}/qr.svg`;
const isGood = ({ status }) => status === 'valid';

// Drawing -----------------------------------------------------------------------------------

function draw() {
  const { text } = app;
  document.title = `${text.myTickets} · Ticketon`;
  byId('tabs').setAttribute('aria-label', text.myTickets);
  const some = now.tickets.length > 0;
  byId('lead').hidden = !some;
  setText(byId('lead'), text.ticketsLead);
  const note = now.state === 'saved' ? text.savedTickets[now.saved](moment(now.savedAt)) : now.problem && some ? problemWords(now.problem).join('. ') : '';
  byId('note').hidden = note === '';
  setText(byId('note'), note);
  byId('groups').setAttribute('aria-busy', String(now.state === 'loading'));
  byId('more').hidden = now.next === null;
  drawGroups();
  drawEmpty(some);
  if (byId('show').open) drawShown();
}

function drawGroups() {
  if (now.state === 'loading') {
    place(byId('groups'), [element('div', 'ticket ticket-empty')]);
    return;
  }
  const groups = new Map();
  // What was bought last comes first, as whoever has just paid looks for it.
  for (const ticket of now.tickets) groups.set(ticket.eventId, [...(groups.get(ticket.eventId) ?? []), ticket]);
  place(byId('groups'), [...groups].map(([eventId, tickets]) => group(eventId, tickets)));
}

function group(eventId, tickets) {
  const event = eventOf(eventId);
  const section = element('section', 'group');
  const title = element('h2', 'group-title', localized(event.title));
  title.id = `event-${eventId}`;
  section.setAttribute('aria-labelledby', title.id);
  const facts = [eventTime(event), localized(event.venue)].filter(Boolean).join(' · ');
  const list = element('ul', 'tickets');
  list.append(...tickets.map((ticket) => card(ticket)));
  section.append(title, element('p', 'group-facts', facts), list);
  return section;
}

function card(ticket) {
  const { text } = app;
  const item = element('li', 'ticket');
  item.dataset.status = ticket.status;
  item.dataset.ticketId = ticket.ticketId;
  item.dataset.fresh = String(ticket.orderId === wanted);
  const face = element('div', 'ticket-face');
  const top = element('div', 'ticket-top');
  top.append(element('span', 'ticket-grade', ticket.grade.toUpperCase()), chip(ticket.status, text.ticketStatuses[ticket.status] ?? ticket.status));
  const facts = element('dl', 'ticket-seat');
  const parts = seatParts(ticket.seat, ticket.eventId);
  for (const [name, value] of Object.entries(parts)) {
    const fact = element('div');
    fact.dataset.part = name;
    fact.append(element('dt', '', text[name]), element('dd', '', value));
    facts.append(fact);
  }
  const foot = ticket.usedAt ? text.usedAt(moment(ticket.usedAt)) : isGood(ticket) ? '' : text.notGoodAnyMore;
  face.append(top, facts);
  if (foot) face.append(element('p', 'ticket-foot', foot));
  item.append(face, stub(ticket));
  return item;
}

function stub(ticket) {
  const { text } = app;
  if (!isGood(ticket)) {
    const gone = element('div', 'ticket-stub ticket-stub-gone');
    gone.setAttribute('aria-hidden', 'true');
    return gone;
  }
  const open = button('ticket-stub', '', () => show(ticket.ticketId));
  const name = seatName(ticket.seat, ticket.eventId);
  const picture = element('img', 'ticket-code');
  picture.src = codeUrl(ticket);
  picture.alt = text.codeOf(name);
  picture.width = 168;
  picture.height = 168;
  picture.addEventListener('error', () => {
    const failed = element('span', 'ticket-code ticket-code-failed', text.noCode);
    picture.replaceWith(failed);
  }, { once: true });
  open.append(picture, element('span', 'ticket-large', text.wholeCode));
  return open;
}

function drawEmpty(some) {
  const { text } = app;
  byId('empty').hidden = some || now.state === 'loading';
  if (byId('empty').hidden) return;
  const [title, detail] = now.problem ? problemWords(now.problem) : [text.noTickets, text.noTicketsDetail];
  setText(byId('empty-title'), title);
  setText(byId('empty-detail'), now.problem ? detail : `${detail} ${now.isNew ? text.otherBrowser : text.refundedTickets}`);
  const home = link('tk-main', '/', text.findEvents);
  place(byId('empty-choices'), (now.problem ? [button('tk-main', text.reload, load)] : now.isNew ? [home] : [home, link('tk-plain', '/my/orders', text.seeOrders)]));
}

// One ticket, large -------------------------------------------------------------------------

const good = () => now.tickets.filter(isGood);

function drawShown() {
  const { text } = app;
  const tickets = good();
  const at = tickets.findIndex(({ ticketId }) => ticketId === now.shown);
  if (at < 0) {
    byId('show').close();
    return;
  }
  const ticket = tickets[at];
  const name = seatName(ticket.seat, ticket.eventId);
  setText(byId('show-count'), text.ofTickets(at + 1, tickets.length));
  setText(byId('show-event'), localized(eventOf(ticket.eventId).title));
  setText(byId('show-seat'), name);
  byId('show-code').alt = text.codeOf(name);
  if (!byId('show-code').src.endsWith(codeUrl(ticket))) byId('show-code').src = codeUrl(ticket);
  byId('show-steps').hidden = tickets.length < 2;
  byId('show-previous').disabled = at === 0;
  byId('show-next').disabled = at === tickets.length - 1;
}

function show(ticketId) {
  now.shown = ticketId;
  if (!byId('show').open) byId('show').showModal();
  drawShown();
  byId('show-seat').focus();
  // A screen that goes dark is no good at an entrance.
  navigator.wakeLock?.request('screen').then((lock) => { wakeLock = lock; }, () => {});
}

function step(by) {
  const tickets = good();
  const at = tickets.findIndex(({ ticketId }) => ticketId === now.shown) + by;
  if (at >= 0 && at < tickets.length) show(tickets[at].ticketId);
}

byId('show-previous').addEventListener('click', () => step(-1));
byId('show-next').addEventListener('click', () => step(1));
byId('show-close').addEventListener('click', () => byId('show').close());
byId('show').addEventListener('keydown', ({ key }) => {
  if (key === 'ArrowLeft') step(-1);
  if (key === 'ArrowRight') step(1);
});
byId('show').addEventListener('close', () => {
  wakeLock?.release().catch(() => {});
  wakeLock = null;
  byId('groups').querySelector(`[data-ticket-id="${CSS.escape(now.shown ?? '')}"] button`)?.focus();
});

// Loading -----------------------------------------------------------------------------------

/** The tickets. A list may be some seconds old: who comes from a payment waits for what was bought. */
async function listed() {
  for (let look = 1; ; look += 1) {
    const list = await client.tickets();
    if (wanted === null || seen || list.tickets.some(({ orderId }) => orderId === wanted)) {
      seen = true;
      return list;
    }
    // The order itself is never old; it may have no tickets any more.
    const order = look < MOST_LOOKS ? await client.order(wanted).catch(() => null) : null;
    if (!order?.tickets.some(({ status }) => status === 'valid' || status === 'used')) {
      seen = true;
      return list;
    }
    await new Promise((resolve) => { setTimeout(resolve, LOOK_AGAIN_MS); });
  }
}

async function load() {
  try {
    const { tickets, next } = await listed();
    Object.assign(now, { state: 'shown', tickets, next, problem: null });
    keep();
  } catch (problem) {
    if (!(problem instanceof PurchaseProblem)) throw problem;
    const signedOut = problem.status === 401;
    const saved = problem.passes || signedOut ? kept() : null;
    const why = signedOut ? 'signedOut' : problem.status === 0 ? 'network' : 'busy';
    if (saved) Object.assign(now, { state: 'saved', tickets: saved.tickets, next: null, savedAt: saved.at, saved: why, problem: null });
    // Whoever is nobody here yet has bought nothing here.
    else if (signedOut) Object.assign(now, { state: 'shown', tickets: [], next: null, problem: null, isNew: true });
    else Object.assign(now, { state: 'problem', problem: problem.code });
  }
  draw();
  await learnEvents(now.tickets.map(({ eventId }) => eventId), draw);
  if (now.state === 'shown') keepFiles().catch(() => {});
}

async function more() {
  byId('more').disabled = true;
  try {
    const { tickets, next } = await client.tickets(now.next);
    now.tickets = [...now.tickets, ...tickets];
    now.next = next;
    now.problem = null;
    keep();
  } catch (problem) {
    now.problem = problem.code ?? 'network';
  }
  byId('more').disabled = false;
  draw();
  learnEvents(now.tickets.map(({ eventId }) => eventId), draw);
}

function keep() {
  try {
    // The codes are in the pictures alone.
    const tickets = now.tickets.map(({ code, ...ticket }) => ticket);
    localStorage.setItem(KEPT, JSON.stringify({ at: new Date(client.serverNow()).toISOString(), tickets }));
  } catch {
    // Without storage the tickets are here while the page is.
  }
}

/** What the page is made of goes where its worker looks for it, so that one visit is enough. */
async function keepFiles() {
  if (!navigator.serviceWorker || !globalThis.caches) return;
  await navigator.serviceWorker.register('/tickets-worker.js', { scope: '/my/tickets' });
  const cache = await caches.open(KEPT_FILES);
  const files = performance.getEntriesByType('resource').map(({ name }) => name);
  const isFile = (name) => /^\/(assets|ticketon|events|demo)\//.test(new URL(name).pathname);
  const names = [location.origin + location.pathname, ...files.filter(isFile), ...good().map((ticket) => location.origin + codeUrl(ticket))];
  await Promise.allSettled([...new Set(names)].map((name) => cache.add(name)));
}

function kept() {
  try {
    const saved = JSON.parse(localStorage.getItem(KEPT) ?? 'null');
    return saved?.tickets?.length > 0 ? saved : null;
  } catch {
    return null;
  }
}

byId('more').addEventListener('click', more);
addEventListener('online', load);
addEventListener('pageshow', ({ persisted }) => { if (persisted) load(); });
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && !byId('show').open) load();
});

drawInLanguage(draw);
load();
