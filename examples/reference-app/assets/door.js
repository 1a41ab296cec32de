/**
 * Behind the guard: the visitor is in. Shows the time left by the server's clock, and what
 * happens when it is over; the lease is read again now and then, as it may end elsewhere.
 */

import { WaitingClient } from '/ticketon/client.js';
import { formatClock } from '/ticketon/texts.js';
import { app, drawInLanguage, fetchEvents, formatTime, localized } from './app.js';

const READ_EVERY_MS = 15_000;
const RETRY_MS = 3_000;

const byId = (id) => document.getElementById(id);
const { eventId, eventTitle } = byId('door').dataset;
const line = new WaitingClient({ eventId });

/** `state`: in, over. */
const now = { state: 'in', lease: null, longestMs: 0, note: null, title: eventTitle };
let readTimer = 0;

const leftMs = () => Date.parse(now.lease.expiresAt) - line.serverNow();

function draw() {
  const { text } = app;
  const over = now.state === 'over';
  document.documentElement.dataset.view = over ? 'ended' : 'door';
  document.title = `${over ? text.over : text.youreIn} ${localized(now.title)}`;
  byId('title').textContent = localized(now.title);
  byId('headline-text').textContent = over ? text.over : text.youreIn;
  byId('detail').textContent = over ? text.overDetail : text.doorDetail;
  byId('leave').hidden = over || !now.lease;
  byId('again').hidden = !over;
  byId('home').hidden = !over;
  byId('bar').hidden = over || !now.lease;
  byId('stub').hidden = over || !now.lease;
  byId('note').textContent = now.note ? text[now.note] : '';
  byId('note').classList.toggle('tk-note-shown', now.note !== null);
  if (now.lease) byId('until').textContent = formatTime(now.lease.expiresAt);
  drawTime();
}

function drawTime() {
  if (!now.lease || now.state === 'over') return;
  const left = leftMs();
  now.longestMs = Math.max(now.longestMs, left);
  const words = left > 0 ? formatClock(Math.ceil(left / 1_000)) : app.text.checking;
  if (byId('time-left').textContent !== words) byId('time-left').textContent = words;
  byId('bar').style.setProperty('--tk-done', Math.max(0, left / now.longestMs).toFixed(4));
}

let lastMinuteSaid = false;

function tick() {
  if (!now.lease || now.state === 'over') return;
  drawTime();
  const left = leftMs();
  if (left < 60_000 && left > 55_000 && !lastMinuteSaid) {
    lastMinuteSaid = true;
    byId('polite').textContent = app.text.lastMinute;
  }
  if (left < -500) end();
}

function end() {
  now.state = 'over';
  now.note = null;
  clearTimeout(readTimer);
  byId('leave-dialog').close();
  draw();
  byId('headline').focus({ preventScroll: true });
}

async function readLease() {
  clearTimeout(readTimer);
  if (now.state === 'over') return;
  let nextMs = READ_EVERY_MS;
  try {
    now.lease = await line.entry();
    now.note = null;
  } catch (problem) {
    if (problem.status === 403 || problem.status === 404 || problem.status === 401) {
      end();
      return;
    }
    now.note = 'noAnswer';
    nextMs = RETRY_MS;
  }
  draw();
  readTimer = setTimeout(readLease, nextMs);
}

byId('leave').addEventListener('click', () => byId('leave-dialog').showModal());

byId('leave-dialog').addEventListener('close', async ({ target }) => {
  const leaves = target.returnValue === 'leave';
  target.returnValue = '';
  if (!leaves) return;
  try {
    await line.leave();
    location.assign('/');
  } catch {
    now.note = 'leaveFailed';
    draw();
  }
});

document.addEventListener('visibilitychange', () => {
  if (!document.hidden) readLease();
});

addEventListener('pageshow', ({ persisted }) => {
  if (persisted) readLease();
});

drawInLanguage(draw);
setInterval(tick, 250);
readLease();
try {
  const event = (await fetchEvents()).find(({ id }) => id === eventId);
  if (event) now.title = event.title;
  draw();
} catch {
  // The server put the title into the page already.
}
