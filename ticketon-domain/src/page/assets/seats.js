/**
 * The seat map page: prices, picks, the best seats, and the hold with its countdown.
 *
 * The map, the feed and the calls are modules of their own; this one ties them to the page.
 */

import { WaitingClient } from '../client.js';
import { formatClock, formatCount, pickLanguage, rememberLanguage, TEXTS } from '../texts.js';
import { HoldClient, HoldProblem } from './hold-client.js';
import { SeatFeed } from './seat-feed.js';
import { SeatList } from './seat-list.js';
import { SeatMap } from './seat-map.js';
import { FREE } from './seat-plan.js';
import { formatDate, formatMoney, SEAT_TEXTS } from './seat-texts.js';

const READ_LEASE_EVERY_MS = 15_000;
const RETRY_MS = 3_000;
const HURRY_MS = 60_000;

const byId = (id) => document.getElementById(id);
const page = byId('seats');
const { eventId, eventTitle, eventTitleKo, apiBase, waitingUrl, homeUrl, nextUrl } = page.dataset;
const line = new WaitingClient({ eventId, apiBase });
const client = new HoldClient({ eventId, apiBase });
const feed = new SeatFeed({ eventId, apiBase });
const map = new SeatMap(byId('map'));

let language = pickLanguage();
let text = SEAT_TEXTS[language];
let event = null;
let lease = null;
let hold = null;
let busy = false;
let count = 2;
/** The area whose places are picked, or null: they are alike, so it is `count` of them. */
let area = null;
/** Why nothing can be held now; empty while the sale is on. */
let closed = '';
/** Grades that the reader left checked; all of them in the beginning. */
let wanted = new Set();
let noteTimer = 0;
let hurried = false;

const list = new SeatList(byId('list-body'), feed, { pick: (seat) => toggle(seat), isMine: (seat) => map.picked.has(seat) || map.mine.has(seat) });

const priceOf = (seat) => event?.prices.find(({ grade }) => grade === feed.plan.grades[feed.plan.grade[seat]])?.amount ?? null;
const money = (amount) => (amount === null || !event ? '' : formatMoney(amount, event.currency, language));
const gradeName = (seat) => feed.plan.grades[feed.plan.grade[seat]].toUpperCase();
const seatName = (seat) => text.seatName(feed.plan.describe(seat));

function seatLine(seat) {
  const own = map.mine.has(seat) || map.picked.has(seat);
  const state = own ? text.yours : text.states[feed.states[seat]];
  const marks = feed.plan.accessible.has(seat) ? [text.wheelchair] : [];
  return [seatName(seat), gradeName(seat), money(priceOf(seat)), ...marks, state].filter(Boolean).join(', ');
}

/** What the event is called: the host's words, or where those are its bare id, the event's own. */
function titleNow() {
  if (eventTitle === eventId && event?.title) return event.title[language] ?? event.title.en;
  return language === 'ko' && eventTitleKo ? eventTitleKo : eventTitle;
}

// Words -------------------------------------------------------------------------------------

function drawWords() {
  const other = Object.keys(SEAT_TEXTS).find((candidate) => candidate !== language);
  document.documentElement.lang = language;
  byId('language').textContent = TEXTS[other].name;
  byId('language').lang = other;
  byId('language').setAttribute('aria-label', TEXTS[other].switchTo);
  for (const target of document.querySelectorAll('[data-text]')) target.textContent = text[target.dataset.text];
  const title = titleNow();
  byId('event-title').textContent = title;
  document.title = `${text.youreIn} ${title}`;
  byId('map').setAttribute('aria-label', text.map);
  byId('side').setAttribute('aria-label', text.side);
  byId('zoom').setAttribute('aria-label', text.zoom);
  for (const [id, words] of [['zoom-in', text.zoomIn], ['zoom-out', text.zoomOut], ['zoom-fit', text.zoomFit], ['fewer', text.fewer], ['more', text.more]]) {
    byId(id).setAttribute('aria-label', words);
    byId(id).title = words;
  }
  map.texts = { stage: text.stage, free: (free) => text.freeOf(formatCount(free, language)) };
  if (feed.plan) list.draw({ ...text, seatLine });
  if (page.dataset.link === 'lost') drawLink('lost');
  draw();
}

function draw() {
  drawSale();
  drawPrices();
  drawAreas();
  drawPicked();
  drawHold();
  drawTimes();
  drawTip();
  map.redraw();
}

function drawPrices() {
  if (!event || !feed.plan) return;
  const { grades, grade: gradeOf } = feed.plan;
  const free = new Array(grades.length).fill(0);
  for (let seat = 0; seat < feed.states.length; seat += 1) if (feed.states[seat] === FREE) free[gradeOf[seat]] += 1;
  const rows = byId('prices');
  if (rows.childElementCount !== grades.length) {
    rows.replaceChildren(...grades.map((grade, at) => {
      const row = make('li');
      const label = make('label', 'st-price');
      const box = Object.assign(make('input'), { type: 'checkbox', checked: true });
      box.addEventListener('change', () => choose(at, box.checked));
      const dot = make('span', 'st-dot');
      dot.style.setProperty('--st-colour', `var(--seat-grade-${at % 8})`);
      label.append(box, dot, make('span', 'st-grade', grade.toUpperCase()), make('span', 'st-free'), make('span', 'st-amount'));
      row.append(label);
      return row;
    }));
  }
  for (const [at, row] of [...rows.children].entries()) {
    const price = event.prices.find(({ grade }) => grade === grades[at]);
    setText(row.querySelector('.st-free'), free[at] === 0 ? text.noneLeft : text.freeOf(formatCount(free[at], language)));
    setText(row.querySelector('.st-amount'), price ? money(price.amount) : '');
  }
}

/** Says why nothing can be held, and leaves away what would be of no use. */
function drawSale() {
  closed = whyClosed();
  page.dataset.sale = closed === '' ? 'on' : 'off';
  setText(byId('closed'), closed);
  byId('closed').hidden = closed === '';
  const chosen = !event || event.seatSelection;
  setText(byId('hint'), chosen ? text.hint : text.hintBest);
  byId('list').hidden = !chosen;
  map.isOffered = closed === '' && chosen;
}

function whyClosed() {
  if (!event) return '';
  if (event.status === 'cancelled') return text.cancelled;
  const now = client.serverNow();
  if (event.status !== 'open' || now >= Date.parse(event.sale.closesAt)) return text.saleOver;
  if (now < Date.parse(event.sale.opensAt)) return text.saleOpens(formatDate(event.sale.opensAt, language));
  if (feed.plan && feed.counts()[FREE] === 0) return text.allGone;
  return '';
}

/** Areas have no seats to point at: each is a button, whether the map draws it or not. */
function drawAreas() {
  if (!event || !feed.plan) return;
  const { areas } = feed.plan;
  byId('areas').hidden = areas.length === 0;
  const rows = byId('area-list');
  if (rows.childElementCount !== areas.length) {
    rows.replaceChildren(...areas.map((own) => {
      const row = make('li');
      const button = make('button', 'st-area');
      button.type = 'button';
      button.addEventListener('click', () => pickArea(own));
      const dot = make('span', 'st-dot');
      dot.style.setProperty('--st-colour', `var(--seat-grade-${own.grade % 8})`);
      button.append(dot, make('span', 'st-grade', own.name), make('span', 'st-free'), make('span', 'st-amount'));
      row.append(button);
      return row;
    }));
  }
  for (const [at, own] of areas.entries()) {
    const button = rows.children[at].firstElementChild;
    const free = feed.counts(own.start, own.count)[FREE];
    button.disabled = closed !== '' || free === 0;
    button.setAttribute('aria-pressed', String(area === own));
    setText(button.querySelector('.st-free'), free === 0 ? text.noneLeft : text.freeOf(formatCount(free, language)));
    setText(button.querySelector('.st-amount'), money(priceOf(own.start)));
  }
}

function choose(grade, isWanted) {
  if (isWanted) wanted.add(grade);
  else wanted.delete(grade);
  map.wanted = wanted.size === 0 || wanted.size === feed.plan.grades.length ? null : wanted;
  map.redraw();
}

function drawPicked() {
  const seats = [...map.picked];
  const places = area ? count : seats.length;
  const most = event?.limits.perOrder ?? 4;
  count = Math.min(count, most);
  byId('count').textContent = String(count);
  byId('fewer').disabled = count <= 1;
  byId('more').disabled = count >= most;
  byId('take-best').disabled = busy || !event || !feed.plan;
  byId('take').disabled = busy;
  const isNew = byId('picked').hidden;
  byId('picked').hidden = places === 0;
  if (places === 0) return;
  byId('picked-title').textContent = text.pickedTitle(places);
  const items = area ? [pickedItem(area.start, text.placesIn(area.name, count), () => pickArea(area), money((priceOf(area.start) ?? 0) * count))]
    : seats.map((seat) => pickedItem(seat, seatName(seat), () => toggle(seat), money(priceOf(seat))));
  byId('picked-seats').replaceChildren(...items);
  const total = area ? (priceOf(area.start) ?? 0) * count : seats.reduce((sum, seat) => sum + (priceOf(seat) ?? 0), 0);
  byId('picked-total').textContent = money(total);
  byId('take').textContent = text.take(places);
  // Where the page is one column, what was picked comes above what it scrolled to.
  if (isNew) byId('side').scrollTop = 0;
}

function pickedItem(seat, name, drop, amount) {
  const item = seatItem(seat, name, amount);
  const remove = make('button', 'st-remove', '×');
  remove.type = 'button';
  remove.setAttribute('aria-label', text.remove(name));
  remove.addEventListener('click', () => {
    drop();
    // The button is gone: the next one, or what is left to do, has the focus.
    (byId('picked').hidden ? byId('best-title') : byId('picked-seats').querySelector('button')).focus({ preventScroll: true });
  });
  item.append(remove);
  return item;
}

function seatItem(seat, name, amount) {
  const item = make('li');
  const dot = make('span', 'st-dot');
  dot.style.setProperty('--st-colour', `var(--seat-grade-${feed.plan.grade[seat] % 8})`);
  item.append(dot, make('span', '', name), make('span', 'st-amount', amount));
  return item;
}

function drawHold() {
  byId('choose').hidden = hold !== null;
  byId('hold').hidden = hold === null;
  if (hold === null || !feed.plan) return;
  byId('hold-seats').replaceChildren(...hold.seats.map(({ label, price }) => {
    const seat = feed.plan.index(label);
    return seat === null ? make('li', '', label) : seatItem(seat, seatName(seat), formatMoney(price, hold.currency, language));
  }));
  byId('hold-total').textContent = formatMoney(hold.total, hold.currency, language);
  byId('next').hidden = nextUrl === '';
  byId('next').href = nextUrl.replace('{hold_id}', hold.id);
  byId('extend').disabled = busy || Date.parse(hold.expiresAt) >= Date.parse(hold.maxExpiresAt);
  byId('release').disabled = busy;
}

function drawTimes() {
  if (lease) {
    byId('left').hidden = false;
    setText(byId('time-left'), formatClock(Math.max(0, Math.ceil((Date.parse(lease.expiresAt) - line.serverNow()) / 1_000))));
  }
  if (!hold) return;
  const leftMs = Date.parse(hold.expiresAt) - client.serverNow();
  setText(byId('hold-left'), formatClock(Math.max(0, Math.ceil(leftMs / 1_000))));
  hold.longestMs = Math.max(hold.longestMs ?? 0, leftMs);
  byId('hold-bar').style.setProperty('--tk-done', Math.max(0, leftMs / hold.longestMs).toFixed(4));
  byId('hold').dataset.hurry = String(leftMs < HURRY_MS);
}

function say(words, { loud = false, stays = false } = {}) {
  const note = byId('note');
  note.textContent = words;
  note.classList.toggle('tk-note-shown', words !== '');
  note.dataset.kind = loud ? 'trouble' : '';
  byId(loud ? 'assertive' : 'polite').textContent = words;
  clearTimeout(noteTimer);
  if (words !== '' && !stays) noteTimer = setTimeout(() => say(''), 9_000);
}

function explain(problem) {
  if (!(problem instanceof HoldProblem)) throw problem;
  if (problem.status === 403 || problem.status === 401) readLease();
  if (problem.code === 'saleClosed') readEvent();
  const words = text.problems[problem.code];
  say(typeof words === 'string' ? words : text.problems.other(problem.code), { loud: true });
}

// Choosing ----------------------------------------------------------------------------------

function toggle(seat) {
  if (hold || busy || !feed.plan) return;
  if (closed !== '' || (event && !event.seatSelection)) {
    refuse(closed || text.hintBest);
    return;
  }
  area = map.area = null;
  if (map.picked.has(seat)) {
    map.picked.delete(seat);
  } else if (feed.states[seat] !== FREE) {
    byId('polite').textContent = seatLine(seat);
    return;
  } else if (map.picked.size >= (event?.limits.perOrder ?? 4)) {
    say(text.atMost(event?.limits.perOrder ?? 4));
    return;
  } else {
    map.picked.add(seat);
    if (byId('note').dataset.kind === 'trouble') say('');
  }
  byId('polite').textContent = seatLine(seat);
  list.update();
  drawTip();
  drawAreas();
  drawPicked();
  map.redraw();
}

/** What cannot be picked is explained where it is written anyway. */
function refuse(words) {
  byId('polite').textContent = words;
  byId('side').scrollTop = 0;
  for (const place of [byId('closed'), byId('hint')]) if (place.textContent === words) place.classList.add('st-look');
  setTimeout(() => document.querySelectorAll('.st-look').forEach((place) => place.classList.remove('st-look')), 1_500);
}

/** Picks as many places of an area as the page counts, or none of it any more. */
function pickArea(own) {
  if (hold || busy) return;
  const free = feed.counts(own.start, own.count)[FREE];
  if (closed !== '' || free === 0) {
    refuse(closed || text.noneFree);
    return;
  }
  area = map.area = area === own ? null : own;
  map.picked.clear();
  byId('polite').textContent = area ? text.placesIn(own.name, count) : '';
  list.update();
  drawAreas();
  drawPicked();
  map.redraw();
}

/** Sends what is wanted, and shows what came of it. */
async function take(wish) {
  if (busy || hold) return;
  busy = true;
  drawPicked();
  try {
    setHold(await client.take(wish));
    say('');
  } catch (problem) {
    if (problem.code === 'seatsTaken') map.picked.clear();
    // Without an answer the seats may be held all the same.
    if (!(problem.status > 0 && problem.status < 500)) await readHolds();
    if (!hold) explain(problem);
  } finally {
    busy = false;
    list.update();
    draw();
  }
  // The button is gone: the hold's headline has the focus, and is read.
  if (hold) byId('hold-title').focus({ preventScroll: true });
}

function setHold(next) {
  hold = next;
  hurried = false;
  map.picked.clear();
  area = map.area = null;
  map.mine = new Set(hold && feed.plan ? hold.seats.map(({ label }) => feed.plan.index(label)).filter((seat) => seat !== null) : []);
  if (hold) map.show([...map.mine]);
}

/** Asks which seats are held already: after a reload, or in another tab. */
async function readHolds() {
  try {
    const holds = await client.holds();
    const own = holds.at(-1) ?? null;
    if ((own?.id ?? null) !== (hold?.id ?? null)) setHold(own);
    else if (own) hold = { ...own, longestMs: hold.longestMs };
  } catch {
    // It is asked again with the lease.
  }
  draw();
}

byId('best').addEventListener('submit', (submitted) => {
  submitted.preventDefault();
  const { grades } = feed.plan;
  const chosen = map.wanted === null ? {} : { grades: [...map.wanted].map((grade) => grades[grade]) };
  const accessible = byId('accessible').checked ? { accessible: true } : {};
  // Nothing checked leaves nothing to choose from: then any will do.
  take({ bestAvailable: { count, ...chosen, ...accessible } });
});
byId('take').addEventListener('click', () => take(area ? { area: area.id, count } : { seats: [...map.picked].map((seat) => feed.plan.label(seat)) }));
byId('fewer').addEventListener('click', () => { count = Math.max(1, count - 1); drawPicked(); });
byId('more').addEventListener('click', () => { count += 1; drawPicked(); });

byId('extend').addEventListener('click', async () => {
  busy = true;
  drawHold();
  try {
    const longer = await client.extend(hold.id);
    hold = longer;
    hurried = false;
    say(Date.parse(longer.expiresAt) >= Date.parse(longer.maxExpiresAt) ? text.extendedLast : text.extended);
  } catch (problem) {
    if (problem.code === 'holdEnded' || problem.code === 'unknownHold') setHold(null);
    explain(problem);
  } finally {
    busy = false;
    draw();
    backToChoosing();
    // A button that has no use any more drops the focus.
    if (hold && document.activeElement === document.body) byId('release').focus({ preventScroll: true });
  }
});

byId('release').addEventListener('click', async () => {
  busy = true;
  drawHold();
  try {
    await client.release(hold.id);
    setHold(null);
    say(text.released);
  } catch (problem) {
    if (problem.code === 'unknownHold') setHold(null);
    else explain(problem);
  } finally {
    busy = false;
    draw();
    backToChoosing();
  }
});

/** After a hold, when its buttons are gone with the focus. */
function backToChoosing() {
  if (hold === null && (document.activeElement === document.body || byId('hold').contains(document.activeElement))) byId('best-title').focus({ preventScroll: true });
}

// The map -----------------------------------------------------------------------------------

map.addEventListener('pick', ({ detail }) => toggle(detail));
map.addEventListener('pickArea', ({ detail }) => pickArea(detail));
map.addEventListener('view', ({ detail: isWhole }) => { byId('zoom-fit').disabled = isWhole; });
let pointed = null;
map.addEventListener('point', ({ detail: seat }) => {
  pointed = seat;
  drawTip();
  if (seat !== null && document.activeElement === byId('map') && map.cursor === seat) byId('polite').textContent = seatLine(seat);
});

function drawTip() {
  const seat = pointed;
  const tip = byId('tip');
  tip.hidden = seat === null || !feed.plan;
  if (tip.hidden) return;
  tip.textContent = seatLine(seat);
  const { x, y } = map.pointOf(seat);
  const half = tip.offsetWidth / 2 + 8;
  tip.style.left = `${Math.min(byId('map').clientWidth - half, Math.max(half, x))}px`;
  tip.style.top = `${Math.max(tip.offsetHeight + 16, y)}px`;
}
byId('zoom-in').addEventListener('click', () => map.zoomIn());
byId('zoom-out').addEventListener('click', () => map.zoomOut());
byId('zoom-fit').addEventListener('click', () => map.fit());

feed.addEventListener('layout', ({ detail: plan }) => {
  map.picked.clear();
  area = map.area = null;
  byId('prices').replaceChildren();
  byId('area-list').replaceChildren();
  map.wanted = null;
  wanted = new Set(plan.grades.keys());
  map.setPlan(plan);
  setHold(hold);
  list.draw({ ...text, seatLine });
  draw();
});

let drawSoon = 0;
feed.addEventListener('states', ({ detail: changed }) => {
  map.states = feed.states;
  if (changed) map.flash(changed.filter((seat) => !map.mine.has(seat)));
  // What somebody else took is no longer picked.
  if (!busy) {
    for (const seat of map.picked) {
      if (feed.states[seat] === FREE) continue;
      map.picked.delete(seat);
      say(text.problems.seatsTaken, { loud: true });
    }
  }
  map.redraw();
  // Numbers and lists follow a few times a second, however many changes come.
  if (drawSoon === 0) {
    drawSoon = setTimeout(() => {
      drawSoon = 0;
      list.update();
      drawTip();
      drawSale();
      drawPrices();
      drawAreas();
      drawPicked();
    }, changed ? 250 : 0);
  }
});

feed.addEventListener('live', () => drawLink('live'));
feed.addEventListener('lost', () => drawLink('lost'));
feed.addEventListener('refused', ({ detail: status }) => {
  if (status === 401 || status === 403) readLease();
  else say(status === 404 ? text.problems.unknownEvent : text.problems.other(String(status)), { loud: true, stays: true });
});

/** Says whether what is seen is live. */
function drawLink(link) {
  page.dataset.link = link;
  byId('link').hidden = link !== 'lost';
  setText(byId('link'), link === 'lost' ? (feed.plan ? text.link : text.preparing) : '');
}

// The admission -----------------------------------------------------------------------------

let leaseTimer = 0;

async function readLease() {
  clearTimeout(leaseTimer);
  if (page.dataset.state === 'over') return;
  let nextMs = READ_LEASE_EVERY_MS;
  try {
    lease = await line.entry();
  } catch (problem) {
    if (problem.status === 401 || problem.status === 403 || problem.status === 404) {
      end();
      return;
    }
    nextMs = RETRY_MS;
  }
  drawTimes();
  leaseTimer = setTimeout(readLease, nextMs);
}

function end() {
  page.dataset.state = 'over';
  document.documentElement.dataset.view = 'ended';
  feed.stop();
  clearTimeout(leaseTimer);
  byId('over').hidden = false;
  byId('leave-dialog').close();
  byId('over-title').focus({ preventScroll: true });
}

function tick() {
  if (page.dataset.state === 'over') return;
  drawTimes();
  if (hold) {
    const leftMs = Date.parse(hold.expiresAt) - client.serverNow();
    if (leftMs < HURRY_MS && !hurried) {
      hurried = true;
      byId('assertive').textContent = text.minuteLeft;
    }
    if (leftMs < -500) {
      setHold(null);
      say(text.holdOver, { loud: true, stays: true });
      draw();
      backToChoosing();
    }
  }
  if (event && whyClosed() !== closed) draw();
  if (lease && Date.parse(lease.expiresAt) - line.serverNow() < -500) readLease();
}

byId('leave').addEventListener('click', () => byId('leave-dialog').showModal());
byId('leave-dialog').addEventListener('close', async ({ target }) => {
  const leaves = target.returnValue === 'leave';
  target.returnValue = '';
  if (!leaves) return;
  try {
    if (hold) await client.release(hold.id).catch(() => {});
    await line.leave();
    location.assign(homeUrl);
  } catch (problem) {
    say(text.problems[problem.code] ?? text.problems.other(problem.code), { loud: true });
  }
});

byId('language').addEventListener('click', () => {
  language = Object.keys(SEAT_TEXTS).find((candidate) => candidate !== language);
  text = SEAT_TEXTS[language];
  rememberLanguage(language);
  drawWords();
});

document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  readLease();
  readHolds();
});
addEventListener('pageshow', ({ persisted }) => {
  if (persisted) location.reload();
});

byId('again').href = waitingUrl;
byId('home').href = homeUrl;
// For tests and for the curious: where seats are on the screen, and how they look.
byId('map').seatMap = map;
byId('map').seatFeed = feed;

drawWords();
setInterval(tick, 250);
readLease();
feed.start();
async function readEvent() {
  try {
    event = await client.event();
    drawWords();
    await readHolds();
  } catch (problem) {
    // What is unknown here, the map has said.
    if (problem.status === 0 || problem.status >= 500 || problem.status === 429) setTimeout(readEvent, RETRY_MS);
  }
  draw();
}
readEvent();

function make(name, className = '', words = undefined) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (words !== undefined) made.textContent = words;
  return made;
}

/** Writes words where they differ: what stays is not read out again. */
function setText(target, words) {
  if (target.textContent !== words) target.textContent = words;
}
