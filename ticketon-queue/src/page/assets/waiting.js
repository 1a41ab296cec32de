/**
 * The waiting page: what happens when `client.js` hears something or someone presses a button.
 * The screen is `waiting-view.js`, the words are `texts.js`.
 */

import { WaitingClient } from './client.js';
import { sound } from './sound.js';
import { formatCount } from './texts.js';
import {
  byId, drawActions, drawNote, drawTimeLeft, drawTitle, forgetStart, headline, hooks, language, now, number, render,
  retryLine, returnAddress, roomState, secondsUntil, setText, switchLanguage, text, turnLine,
} from './waiting-view.js';

const REASSURE_AFTER_MS = 5_000;
const OFFLINE_SHOWN_AFTER_MS = 700;
const CHECK_AFTER_TURN_MS = 2_500;
const LAST_MILESTONES = [100, 50, 20, 10, 5, 1];

const { eventId, apiBase, guestUrl } = byId('waiting-room').dataset;
const line = new WaitingClient({ apiBase, eventId, guestUrl });
Object.assign(hooks, { serverNow: () => line.serverNow(), join, enter });

let offlineTimer = 0;
let reassureTimer = 0;
let ticker = 0;

// What screen readers hear ----------------------------------------------------------------------

function say(id, words) {
  // A repeated text is only announced when the region changes.
  const region = byId(id);
  region.textContent = '';
  setTimeout(() => { region.textContent = words; }, 50);
}

const milestones = {
  marks: null,
  reached: Infinity,
  /** Announces the first place, its halves, and the last steps; never every tick. */
  hear(position) {
    if (this.marks === null) {
      const marks = new Set(LAST_MILESTONES.filter((mark) => mark < position));
      for (let half = Math.floor(position / 2); half > 100; half = Math.floor(half / 2)) marks.add(half);
      this.marks = [...marks];
      this.reached = position;
      announcePlace();
      return;
    }
    const passed = this.marks.filter((mark) => position <= mark && mark < this.reached);
    if (passed.length > 0) {
      this.reached = Math.min(...passed);
      announcePlace();
    }
  },
  forget() {
    this.marks = null;
    this.reached = Infinity;
  },
};

function announcePlace() {
  const { position, etaLowSeconds, etaHighSeconds } = now.place;
  say('polite', `${text.announcePlace(formatCount(position, language))} ${text.eta(etaLowSeconds, etaHighSeconds)}`);
}

// What the line says ------------------------------------------------------------------------------

function join() {
  Object.assign(now, { view: 'joining', place: null, admission: null, turnState: 'open', ending: null, retryAtMs: null, trouble: null, leaving: false, linkLost: false });
  number.reset();
  milestones.forget();
  clearInterval(ticker);
  render();
  line.start();
}

function linkIsFine() {
  clearTimeout(offlineTimer);
  offlineTimer = 0;
  if (!now.linkLost) return;
  now.linkLost = false;
  if (now.view === 'waiting') say('polite', text.announceBack);
}

function end(kind, reason) {
  clearInterval(ticker);
  clearTimeout(offlineTimer);
  const known = Object.hasOwn(text[kind], reason);
  Object.assign(now, { view: 'ended', ending: { kind, reason: known ? reason : kind === 'closed' ? 'ended' : 'other' }, linkLost: false, trouble: null });
  byId('leave-dialog').close();
  if (reason !== 'replaced') forgetStart();
  render();
  say('assertive', text[now.ending.kind][now.ending.reason].join(' '));
  headline.focus({ preventScroll: true });
}

line.addEventListener('waiting', ({ detail }) => {
  linkIsFine();
  const before = now.view === 'waiting' ? roomState() : null;
  Object.assign(now, { view: 'waiting', place: detail, ending: null, retryAtMs: null });
  if (detail.position !== null) {
    number.to(detail.position);
    milestones.hear(detail.position);
  }
  const after = roomState();
  if (after && after !== before) say('polite', text.states[after]);
  if (!reassureTimer) {
    reassureTimer = setTimeout(() => {
      now.reassured = true;
      drawNote();
    }, REASSURE_AFTER_MS);
  }
  render();
});

line.addEventListener('admitted', ({ detail }) => {
  linkIsFine();
  const known = now.view === 'turn';
  now.admission = detail;
  if (!known) {
    Object.assign(now, { view: 'turn', turnState: 'open', claimMs: 0, trouble: null, ending: null, retryAtMs: null });
    forgetStart();
    byId('leave-dialog').close();
    sound.turn();
    say('assertive', `${text.yourTurn} ${text.enterWithin(secondsUntil(detail.claimBy)).join('')}`);
    ticker = setInterval(countDown, 250);
  }
  render();
  if (!known) byId('choices').querySelector('button')?.focus();
});

line.addEventListener('closed', ({ detail }) => {
  let { reason } = detail;
  if (reason === 'expired' && now.view === 'turn') reason = 'missed';
  // The room ends a place as `left` for people who stayed away, too.
  if (reason === 'left' && !now.leaving) reason = 'away';
  end('closed', reason);
});

line.addEventListener('ended', () => end('closed', 'ended'));

line.addEventListener('offline', () => {
  if (offlineTimer || now.linkLost) return;
  offlineTimer = setTimeout(() => {
    offlineTimer = 0;
    now.linkLost = true;
    if (now.view === 'waiting') say('polite', text.offline);
    render();
  }, OFFLINE_SHOWN_AFTER_MS);
});

line.addEventListener('refused', ({ detail: { problem, retryInMs } }) => {
  now.retryAtMs = retryInMs === null ? null : Date.now() + retryInMs;
  const again = now.view === 'ended' && now.ending.reason === problem.code;
  if (!again) end('refused', problem.code);
  clearInterval(ticker);
  if (retryInMs !== null) ticker = setInterval(countRetry, 500);
  render();
});

function countRetry() {
  if (now.view !== 'ended' || now.retryAtMs === null) return;
  const detail = text[now.ending.kind][now.ending.reason][1];
  setText('detail', `${detail} ${retryLine()}`);
}

let spoken = null;

function countDown() {
  if (now.view !== 'turn' || now.turnState !== 'open') return;
  const after = headline.querySelector('.tk-after');
  const words = turnLine();
  if (after && after.textContent !== words) after.textContent = words;
  drawTimeLeft();
  drawTitle();
  const seconds = secondsUntil(now.admission.claimBy);
  if ((seconds === 30 || seconds === 10) && spoken !== seconds) {
    spoken = seconds;
    say('polite', text.timeLeft(seconds));
  }
  const lateMs = line.serverNow() - Date.parse(now.admission.claimBy);
  if (lateMs > CHECK_AFTER_TURN_MS) checkTurn();
}

/** The deadline passed and the server said nothing: ask what became of the admission. */
async function checkTurn() {
  now.turnState = 'checking';
  try {
    const { status } = await line.status();
    if (now.view !== 'turn') return;
    now.turnState = status === 'admitted' ? 'in' : 'open';
    render();
  } catch (problem) {
    if (now.view !== 'turn') return;
    if (problem.code === 'notJoined') {
      line.stop();
      end('closed', 'missed');
    } else {
      setTimeout(() => { if (now.turnState === 'checking') now.turnState = 'open'; }, CHECK_AFTER_TURN_MS);
    }
  }
}

async function enter() {
  if (now.turnState === 'entering') return;
  const before = now.turnState;
  now.turnState = 'entering';
  now.trouble = null;
  render();
  try {
    await line.enter();
    location.assign(returnAddress);
  } catch (problem) {
    if (now.view !== 'turn') return;
    if (problem.status === 403) {
      line.stop();
      end('closed', 'missed');
      return;
    }
    now.turnState = before;
    now.trouble = 'enterFailed';
    render();
    say('assertive', text.enterFailed);
  }
}

async function leave() {
  now.trouble = null;
  now.leaving = true;
  try {
    await line.leave();
  } catch {
    now.leaving = false;
    now.trouble = 'leaveFailed';
    render();
    say('assertive', text.leaveFailed);
  }
}

byId('language').addEventListener('click', switchLanguage);

byId('sound').addEventListener('click', () => {
  sound.toggle();
  drawActions();
});

byId('leave').addEventListener('click', () => byId('leave-dialog').showModal());

byId('leave-dialog').addEventListener('close', ({ target }) => {
  const leaves = target.returnValue === 'leave';
  target.returnValue = '';
  if (leaves) leave();
});

for (const gesture of ['pointerdown', 'keydown']) {
  addEventListener(gesture, () => sound.unlock(), { capture: true, passive: true });
}

// Back from the door by the back button: the page is shown as it was, the line may not be.
addEventListener('pageshow', ({ persisted }) => {
  if (!persisted || now.view === 'ended') return;
  line.stop();
  join();
});

if (document.prerendering) document.addEventListener('prerenderingchange', join, { once: true });
else join();
