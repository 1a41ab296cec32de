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
import { formatMoney, SEAT_TEXTS } from './seat-texts.js';

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

// Words -------------------------------------------------------------------------------------

function drawWords() {
  const other = Object.keys(SEAT_TEXTS).find((candidate) => candidate !== language);
  document.documentElement.lang = language;
  byId('language').textContent = TEXTS[other].name;
  byId('language').lang = other;
  byId('language').setAttribute('aria-label', TEXTS[other].switchTo);
  for (const target of document.querySelectorAll('[data-text]')) target.textContent = text[target.dataset.text];
  const title = language === 'ko' && eventTitleKo ? eventTitleKo : eventTitle;
  byId('event-title').textContent = title;
  document.title = `${text.youreIn} ${title}`;
  byId('map').setAttribute('aria-label', text.map);
  for (const [id, words] of [['zoom-in', text.zoomIn], ['zoom-out', text.zoomOut], ['zoom-fit', text.zoomFit], ['fewer', text.fewer], ['more', text.more]]) {
    byId(id).setAttribute('aria-label', words);
    byId(id).title = words;
  }
  map.texts = { stage: text.stage, free: (free) => text.freeOf(formatCount(free, language)) };
  if (feed.plan) list.draw({ ...text, seatLine });
  draw();
}

function draw() {
  drawPrices();
  drawPicked();
  drawHold();
  drawTimes();
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
    setText(row.querySelector('.st-free'), text.freeOf(formatCount(free[at], language)));
    setText(row.querySelector('.st-amount'), price ? money(price.amount) : '');
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
  const most = event?.limits.perOrder ?? 4;
  count = Math.min(count, most);
  byId('count').textContent = String(count);
  byId('fewer').disabled = count <= 1;
  byId('more').disabled = count >= most;
  byId('take-best').disabled = busy || !event || !feed.plan;
  byId('take').disabled = busy;
  byId('picked').hidden = seats.length === 0;
  byId('hint').textContent = event && !event.seatSelection ? text.hintBest : text.hint;
  byId('list').hidden = Boolean(event && !event.seatSelection);
  if (seats.length === 0) return;
  byId('picked-title').textContent = text.pickedTitle(seats.length);
  byId('picked-seats').replaceChildren(...seats.map((seat) => {
    const item = seatItem(seat, priceOf(seat));
    const remove = make('button', '', '×');
    remove.type = 'button';
    remove.setAttribute('aria-label', text.remove(seatName(seat)));
    remove.addEventListener('click', () => toggle(seat));
    item.append(remove);
    return item;
  }));
  byId('picked-total').textContent = money(seats.reduce((sum, seat) => sum + (priceOf(seat) ?? 0), 0));
  byId('take').textContent = text.take(seats.length);
}

function seatItem(seat, price) {
  const item = make('li');
  const dot = make('span', 'st-dot');
  dot.style.setProperty('--st-colour', `var(--seat-grade-${feed.plan.grade[seat] % 8})`);
  item.append(dot, make('span', '', seatName(seat)), make('span', 'st-amount', money(price)));
  return item;
}

function drawHold() {
  byId('choose').hidden = hold !== null;
  byId('hold').hidden = hold === null;
  if (hold === null || !feed.plan) return;
  byId('hold-seats').replaceChildren(...hold.seats.map(({ label, price }) => {
    const seat = feed.plan.index(label);
    return seat === null ? make('li', '', label) : seatItem(seat, price);
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
  const words = text.problems[problem.code];
  say(typeof words === 'string' ? words : text.problems.other(problem.message), { loud: true });
}

// Choosing ----------------------------------------------------------------------------------

function toggle(seat) {
  if (hold || busy || !feed.plan || (event && !event.seatSelection)) return;
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
    const seconds = (Date.parse(hold.expiresAt) - client.serverNow()) / 1_000;
    say('');
    byId('polite').textContent = text.heldNow(hold.seats.length, formatClock(seconds));
  } catch (problem) {
    if (problem.code === 'seatsTaken') map.picked.clear();
    explain(problem);
  } finally {
    busy = false;
    list.update();
    draw();
  }
}

function setHold(next) {
  hold = next;
  hurried = false;
  map.picked.clear();
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
  take({ bestAvailable: { count, ...chosen, ...accessible } });
});
byId('take').addEventListener('click', () => take({ seats: [...map.picked].map((seat) => feed.plan.label(seat)) }));
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
  }
});

byId('release').addEventListener('click', async () => {
  busy = true;
  drawHold();
  try {
    await client.release(hold.id);
    setHold(null);
    say(text.released);
    byId('event-title').focus({ preventScroll: true });
  } catch (problem) {
    if (problem.code === 'unknownHold') setHold(null);
    else explain(problem);
  } finally {
    busy = false;
    draw();
  }
});

// The map -----------------------------------------------------------------------------------

map.addEventListener('pick', ({ detail }) => toggle(detail));
map.addEventListener('pickArea', ({ detail: area }) => {
  if (!hold) take({ area: area.id, count });
});
map.addEventListener('point', ({ detail: seat }) => {
  const tip = byId('tip');
  tip.hidden = seat === null || !feed.plan;
  if (tip.hidden) return;
  tip.textContent = seatLine(seat);
  const { x, y } = map.pointOf(seat);
  const half = tip.offsetWidth / 2 + 8;
  tip.style.left = `${Math.min(byId('map').clientWidth - half, Math.max(half, x))}px`;
  tip.style.top = `${Math.max(tip.offsetHeight + 16, y)}px`;
  if (document.activeElement === byId('map') && map.cursor === seat) byId('polite').textContent = tip.textContent;
});
byId('zoom-in').addEventListener('click', () => map.zoomIn());
byId('zoom-out').addEventListener('click', () => map.zoomOut());
byId('zoom-fit').addEventListener('click', () => map.fit());

feed.addEventListener('layout', ({ detail: plan }) => {
  map.picked.clear();
  map.wanted = null;
  wanted = new Set(plan.grades.keys());
  map.setPlan(plan);
  setHold(hold);
  list.draw({ ...text, seatLine });
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
      drawPrices();
      drawPicked();
    }, changed ? 250 : 0);
  }
});

feed.addEventListener('live', () => drawLink(''));
feed.addEventListener('lost', () => drawLink(feed.plan ? text.link : text.preparing));
feed.addEventListener('refused', ({ detail: status }) => {
  if (status === 401 || status === 403) readLease();
  else say(text.problems.other(String(status)), { loud: true, stays: true });
});

function drawLink(words) {
  byId('link').textContent = words;
  byId('link').hidden = words === '';
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
    }
  }
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
    say(text.problems.other(problem.message), { loud: true });
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
    byId('count').textContent = String(count);
    await readHolds();
  } catch (problem) {
    if (problem.status >= 400 && problem.status < 500) explain(problem);
    else setTimeout(readEvent, RETRY_MS);
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
