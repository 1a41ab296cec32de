/**
 * The operator's page: the numbers of a room each second, and its controls. A control says what
 * it would do before it is pressed.
 */

import { formatCount } from '/ticketon/texts.js';
import { AdminClient, keepKey, takeKey } from './admin-client.js';
import { app, drawInLanguage, element, fetchEvents, localized } from './app.js';
import { drawChart } from './chart.js';

const READ_EVERY_MS = 1_000;
const LIST_EVERY = 10;
const MEASURE_MS = 10_000;
const SAMPLES_KEPT = 600;

/** Which verbs make sense in which state. The server has the last word. */
const VERBS = {
  scheduled: ['open', 'close'],
  open: ['pause', 'drain', 'soldOut', 'close'],
  paused: ['resume', 'drain', 'soldOut', 'close'],
  draining: ['open', 'pause', 'soldOut', 'close'],
  soldOut: ['open', 'drain', 'close'],
  closed: [],
};
const ALL_VERBS = ['open', 'pause', 'resume', 'drain', 'soldOut', 'close'];

const byId = (id) => document.getElementById(id);
const now = { rooms: [], answered: false, eventId: new URLSearchParams(location.search).get('event'), room: null, store: null, titles: {}, samples: [], stale: false, outcome: null, keyRefused: false };
let admin = null;
let timer = 0;
let round = 0;
/** Answers of an earlier key or room come too late and are dropped. */
let session = 0;

const count = (value) => formatCount(value, app.language);

function span(seconds) {
  const { text } = app;
  if (seconds < 120) return text.seconds(Math.round(seconds));
  if (seconds < 7_200) return text.minutes(Math.round(seconds / 60));
  return text.hours(Math.round(seconds / 3_600));
}

// Numbers -------------------------------------------------------------------------------------

/** Admissions a second over the last ten, or null before two samples. */
function measuredPace() {
  const last = now.samples.at(-1);
  const first = now.samples.find(({ atMs }) => atMs >= (last?.atMs ?? 0) - MEASURE_MS);
  if (!first || first === last) return null;
  return ((last.admissions - first.admissions) * 1_000) / (last.atMs - first.atMs);
}

const limitOf = (room) => room.config?.admitPerSecond ?? room.admitPerSecond;
const isFull = (room) => room.active >= room.capacity;
const promotes = (room) => room.state === 'open' || room.state === 'draining';

/** The pace that the wait of the last person follows from: the limit, unless places are lacking. */
function effectivePace(room) {
  const limit = limitOf(room);
  const measured = measuredPace();
  return isFull(room) && measured !== null && measured > 0 ? Math.min(limit, measured) : limit;
}

function lastWait(room) {
  const { lastWaitNote } = app.text;
  if (room.waiting === 0) return [span(0), lastWaitNote.empty];
  if (!promotes(room)) return ['–', lastWaitNote.resting];
  const words = span(Math.ceil(room.waiting / effectivePace(room)));
  return [words, isFull(room) ? lastWaitNote.full : lastWaitNote.pace(count(limitOf(room)))];
}

function setText(id, words) {
  const target = byId(id);
  if (target.textContent !== words) target.textContent = words;
}

function pairs(entries) {
  return entries.map(([term, value, small]) => {
    const row = element('div');
    const shown = element('dd', '', value);
    if (small) shown.append(' ', element('small', '', small));
    row.append(element('dt', '', term), shown);
    return row;
  });
}

function drawNumbers(room) {
  const { text } = app;
  setText('waiting', count(room.waiting));
  setText('active', count(room.active));
  setText('of-capacity', text.ofCapacity(count(room.capacity)));
  byId('meter').style.setProperty('--share', String(Math.min(1, room.active / Math.max(1, room.capacity))));
  byId('meter').classList.toggle('meter-full', isFull(room));
  const pace = measuredPace();
  setText('pace', pace === null ? '–' : new Intl.NumberFormat(app.language, { maximumFractionDigits: pace < 10 ? 1 : 0 }).format(pace));
  setText('pace-note', text.measured(count(limitOf(room))));
  const [wait, why] = lastWait(room);
  setText('last-wait', wait);
  setText('last-wait-note', why);
  setText('no-shows', count(room.expiredTotal));
  const share = room.admittedTotal > 0 ? room.expiredTotal / room.admittedTotal : 0;
  setText('no-show-share', text.noShowShare(new Intl.NumberFormat(app.language, { style: 'percent', maximumFractionDigits: 1 }).format(share)));
  byId('totals').replaceChildren(...pairs(
    ['joinedTotal', 'admittedTotal', 'completedTotal', 'expiredTotal', 'leftTotal'].map((name) => [text[name], count(room[name])]),
  ));
  const lanes = room.lanes ?? [];
  byId('lanes-box').hidden = lanes.length < 2;
  byId('lanes').replaceChildren(...pairs(lanes.map(({ name, waiting, weight }) => [name, count(waiting ?? 0), text.laneWeight(weight)])));
}

function drawHistory() {
  const { samples } = now;
  const { text } = app;
  const chart = byId('chart');
  if (samples.length < 2) {
    chart.textContent = text.chartWaiting;
    return;
  }
  drawChart(chart, samples, { count, span, now: text.now });
  const [first, last] = [samples[0], samples.at(-1)];
  chart.setAttribute('aria-label', text.chartSummary(
    count(last.arrivals - first.arrivals), count(last.admissions - first.admissions), span((last.atMs - first.atMs) / 1_000),
  ));
}

// Controls ------------------------------------------------------------------------------------

function drawVerbs(room) {
  const box = byId('verbs');
  if (box.children.length === 0) {
    for (const verb of ALL_VERBS) {
      const button = element('button', verb === 'close' ? 'tk-quiet tk-danger' : 'tk-quiet');
      button.type = 'button';
      button.dataset.verb = verb;
      button.addEventListener('click', () => {
        if (verb === 'close') askToClose();
        else turn(verb);
      });
      box.append(button);
    }
  }
  for (const button of box.children) {
    const { verb } = button.dataset;
    if (button.textContent !== app.text.verbs[verb]) button.textContent = app.text.verbs[verb];
    button.hidden = !VERBS[room.state]?.includes(verb);
  }
}

function askToClose() {
  setText('close-warning', app.text.closeWarning(count(now.room.waiting)));
  setText('close-confirm', app.text.verbs.close);
  byId('close-dialog').showModal();
}

/** The whole number in a field, or null. */
function wholeNumber(id) {
  const input = byId(id);
  const value = Number(input.value);
  const { min, max } = input;
  return input.value !== '' && Number.isInteger(value) && value >= Number(min) && value <= Number(max) ? value : null;
}

function drawPreview(room) {
  const { preview } = app.text;
  const { config } = room;
  if (!config) return;
  for (const [id, value] of [['rate', config.admitPerSecond], ['capacity', config.capacity]]) {
    const input = byId(id);
    // The server's value shows until someone types another one.
    if (input.dataset.edited !== 'true' && input.value !== String(value)) input.value = String(value);
  }
  const rate = wholeNumber('rate');
  const capacity = wholeNumber('capacity');
  byId('apply').disabled = true;
  if (rate === null || capacity === null) {
    setText('preview', preview.invalid);
    return;
  }
  const lines = [];
  if (rate !== config.admitPerSecond) {
    if (room.waiting === 0) {
      lines.push(preview.rateEmpty(count(rate)));
    } else {
      const [next, before] = [rate, config.admitPerSecond].map((pace) => span(Math.ceil(room.waiting / pace)));
      lines.push(next === before ? preview.rateSame(count(rate), before) : preview.rate(count(rate), next, before));
    }
    if (isFull(room) && capacity <= config.capacity && room.waiting > 0) lines.push(preview.full);
  }
  if (capacity > config.capacity) lines.push(preview.more(count(capacity - config.capacity)));
  if (capacity < config.capacity) {
    lines.push(preview.fewer(count(config.capacity - capacity)));
    if (capacity < room.active) lines.push(preview.over(count(room.active - capacity)));
  }
  byId('apply').disabled = lines.length === 0;
  setText('preview', lines.length === 0 ? preview.same : lines.join(' '));
}

async function act(call, done) {
  now.outcome = null;
  try {
    await call();
    now.outcome = () => done();
  } catch (refused) {
    now.outcome = () => app.text.failed(refused.message);
  }
  draw();
  read();
}

const turn = (verb) => act(() => admin.turn(now.eventId, verb), () => '');

function apply(submitted) {
  submitted.preventDefault();
  const rate = wholeNumber('rate');
  const capacity = wholeNumber('capacity');
  if (rate === null || capacity === null || !now.room?.config) return;
  const { config } = now.room;
  // A burst stays one second of the pace where it was, and always covers a tick of it.
  const burst = config.admitBurst === config.admitPerSecond ? rate : Math.max(config.admitBurst, Math.ceil(rate / 10));
  act(async () => {
    await admin.change(now.eventId, { ...config, admitPerSecond: rate, capacity, admitBurst: burst });
    for (const id of ['rate', 'capacity']) byId(id).dataset.edited = 'false';
  }, () => app.text.applied);
}

// Drawing and reading ---------------------------------------------------------------------------

function titleOf(eventId) {
  return localized(now.titles[eventId]) || eventId;
}

function draw() {
  const { text } = app;
  byId('key-form').hidden = admin !== null;
  byId('board').hidden = admin === null;
  setText('key-wrong', now.keyRefused ? text.keyWrong : '');
  if (admin === null) {
    document.title = `${text.operator} · Ticketon`;
    return;
  }
  byId('stale').hidden = !now.stale;
  setText('stale', now.stale ? text.stale : '');
  byId('memory-note').hidden = now.store !== 'memory';
  setText('outcome', now.outcome ? now.outcome() : '');
  drawRoomChoice();
  const { room } = now;
  byId('figures').classList.toggle('figures-stale', now.stale);
  setText('title', room ? titleOf(room.eventId) : now.answered ? text.noRooms : text.loading);
  byId('state-chip').hidden = !room;
  for (const panel of document.querySelectorAll('.figures, .board-columns')) panel.hidden = !room;
  if (!room) return;
  document.title = `(${count(room.waiting)}) ${text.operator} · ${titleOf(room.eventId)}`;
  setText('state-chip', text.states[room.state] ?? room.state);
  byId('state-chip').dataset.state = room.state;
  setText('state-detail', text.stateDetails[room.state] ?? '');
  drawNumbers(room);
  drawVerbs(room);
  drawPreview(room);
  drawHistory();
}

function drawRoomChoice() {
  const select = byId('room');
  const wanted = now.rooms.map(({ eventId }) => [eventId, titleOf(eventId)]);
  const shown = [...select.options].map(({ value, label }) => [value, label]);
  if (JSON.stringify(wanted) !== JSON.stringify(shown)) select.replaceChildren(...wanted.map(([value, title]) => new Option(title, value)));
  select.value = now.eventId ?? '';
  byId('room-choice').hidden = now.rooms.length < 2;
}

function learn(room) {
  now.room = room;
  now.samples.push({ atMs: performance.now(), arrivals: room.joinedTotal, admissions: room.admittedTotal });
  // Older seconds thin out, so that an hour fits as well as a minute.
  if (now.samples.length > SAMPLES_KEPT) now.samples = now.samples.filter((_, index) => index % 2 === 0 || index > SAMPLES_KEPT - 60);
}

async function read() {
  clearTimeout(timer);
  if (admin === null) return;
  const mine = (session += 1);
  try {
    if (round % LIST_EVERY === 0 || now.eventId === null) {
      const list = await admin.rooms();
      if (mine !== session) return;
      now.rooms = list.rooms;
      now.store = list.store ?? null;
      now.eventId ??= now.rooms[0]?.eventId ?? null;
    }
    round += 1;
    const room = now.eventId === null ? null : await admin.room(now.eventId);
    if (mine !== session) return;
    if (room) learn({ ...room, eventId: room.eventId ?? now.eventId });
    now.answered = true;
    now.stale = false;
  } catch (refused) {
    if (mine !== session) return;
    if (refused.status === 401 || refused.status === 403) {
      signOut();
      return;
    }
    if (refused.status === 404) {
      now.room = null;
      now.eventId = null;
      now.answered = true;
    } else {
      now.stale = true;
    }
  }
  draw();
  timer = setTimeout(read, READ_EVERY_MS);
}

function choose(eventId) {
  now.eventId = eventId;
  now.room = null;
  now.answered = false;
  now.samples = [];
  for (const id of ['rate', 'capacity']) byId(id).dataset.edited = 'false';
  read();
}

function signIn(key) {
  admin = new AdminClient(key);
  now.keyRefused = false;
  now.answered = false;
  round = 0;
  draw();
  read();
}

function signOut() {
  keepKey(null);
  admin = null;
  now.keyRefused = true;
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
byId('room').addEventListener('change', ({ target }) => choose(target.value));
byId('pace-form').addEventListener('submit', apply);
for (const id of ['rate', 'capacity']) {
  byId(id).addEventListener('input', ({ target }) => {
    target.dataset.edited = 'true';
    now.outcome = null;
    draw();
  });
}
byId('add').addEventListener('click', () => act(() => admin.addVisitors(now.eventId, 1_000), () => app.text.added));
byId('close-dialog').addEventListener('close', ({ target }) => {
  if (target.returnValue === 'close') turn('close');
  target.returnValue = '';
});
addEventListener('hashchange', () => {
  const key = takeKey();
  if (key) signIn(key);
});
new ResizeObserver(() => { if (now.room) drawHistory(); }).observe(byId('chart'));

const key = takeKey();
if (key) admin = new AdminClient(key);
drawInLanguage(draw);
read();
fetchEvents().then((events) => {
  now.titles = Object.fromEntries(events.map(({ id, title }) => [id, title]));
  draw();
}, () => {});
