/**
 * The waiting page: shows what `client.js` hears, in the words of `texts.js`.
 *
 * One object, `now`, says what there is to show; `render()` draws it whole, so that a change
 * of language or a lost connection never needs a second way to the same screen.
 */

import { WaitingClient } from './client.js';
import { TEXTS, formatCount, pickLanguage, rememberLanguage } from './texts.js';

const page = document.getElementById('waiting-room');
const { eventId, eventTitle, apiBase, returnTo, guestUrl, homeUrl } = page.dataset;
const graceSeconds = Number(page.dataset.awayGraceSeconds ?? 120);

const REASSURE_AFTER_MS = 5_000;
const OFFLINE_SHOWN_AFTER_MS = 700;
const CHECK_AFTER_TURN_MS = 2_500;
const LAST_MILESTONES = [100, 50, 20, 10, 5, 1];
const SOUND_KEY = 'ticketon.sound';
const START_KEY = `ticketon.start.${eventId}`;

const line = new WaitingClient({ apiBase, eventId, guestUrl });
const motion = matchMedia('(prefers-reduced-motion: no-preference)');

let language = pickLanguage();
let text = TEXTS[language];

/** What there is to show. `view`: joining, waiting, turn, ended. */
const now = {
  view: 'joining',
  place: null,
  admission: null,
  turnState: 'open',
  /** The longest time to claim seen in this turn. */
  claimMs: 0,
  /** For `ended`: title and detail come from this path in the texts. */
  ending: null,
  retryAtMs: null,
  linkLost: false,
  reassured: false,
  trouble: null,
  leaving: false,
};

const byId = (id) => document.getElementById(id);
const headline = byId('headline');

// Small tools -----------------------------------------------------------------------------

function element(name, className, content) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (content !== undefined) made.textContent = content;
  return made;
}

function setText(id, content) {
  const target = byId(id);
  if (target.textContent !== content) target.textContent = content;
}

/** Storage of one tab; a browser that denies it loses the bar's start and nothing else. */
const memory = {
  get(key) {
    try {
      return sessionStorage.getItem(key);
    } catch {
      return null;
    }
  },
  set(key, value) {
    try {
      if (value === null) sessionStorage.removeItem(key);
      else sessionStorage.setItem(key, value);
    } catch {
      // Nothing to keep it in.
    }
  },
};

/** An address of this site, or the fallback: the page never sends anyone elsewhere. */
function ownAddress(address, fallback) {
  try {
    const url = new URL(address || fallback, location.href);
    return url.origin === location.origin ? url.href : new URL(fallback, location.href).href;
  } catch {
    return new URL('/', location.href).href;
  }
}

const homeAddress = ownAddress(homeUrl, '/');
const returnAddress = ownAddress(returnTo, homeAddress);

function say(id, words) {
  // A repeated text is only announced when the region changes.
  const region = byId(id);
  region.textContent = '';
  setTimeout(() => { region.textContent = words; }, 50);
}

// The bar and the milestones -----------------------------------------------------------------

function startPosition(position) {
  const known = Number(memory.get(START_KEY) ?? 0);
  if (position > known) {
    memory.set(START_KEY, String(position));
    return position;
  }
  return known;
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

// The number runs down where motion is welcome ------------------------------------------------

const number = {
  shown: null,
  target: null,
  frame: 0,
  to(target) {
    if (target === this.target) return;
    cancelAnimationFrame(this.frame);
    const from = this.shown;
    this.target = target;
    const still = from === null || target === null || document.hidden || !motion.matches;
    if (still) {
      this.shown = target;
      return;
    }
    const startedAt = performance.now();
    const step = (at) => {
      const share = Math.min(1, Math.max(0, (at - startedAt) / 500));
      this.shown = Math.round(from + (target - from) * (1 - (1 - share) ** 3));
      drawNumber();
      if (share < 1) this.frame = requestAnimationFrame(step);
    };
    this.frame = requestAnimationFrame(step);
  },
  reset() {
    cancelAnimationFrame(this.frame);
    this.shown = null;
    this.target = null;
  },
};

function drawNumber() {
  const shown = headline.querySelector('.tk-digits');
  if (!shown || number.shown === null) return;
  const digits = formatCount(number.shown, language);
  shown.textContent = digits;
  headline.style.setProperty('--tk-characters', String(digits.length));
}

// Sound ---------------------------------------------------------------------------------------

const sound = {
  wanted: memory.get(SOUND_KEY) === 'on',
  context: null,
  /** Browsers let a page sound only after a gesture: called from one. */
  unlock() {
    if (!this.wanted) return;
    this.context ??= new AudioContext();
    if (this.context.state === 'suspended') this.context.resume();
  },
  toggle() {
    this.wanted = !this.wanted;
    memory.set(SOUND_KEY, this.wanted ? 'on' : null);
    this.unlock();
    if (this.wanted) this.play([[880, 0]]);
  },
  turn() {
    if (!this.wanted) return;
    this.play([[659, 0], [880, 0.18], [1175, 0.36], [659, 1], [880, 1.18], [1175, 1.36]]);
    navigator.vibrate?.([200, 100, 200]);
  },
  play(notes) {
    const { context } = this;
    if (!context) return;
    for (const [frequency, after] of notes) {
      const at = context.currentTime + after;
      const tone = new OscillatorNode(context, { frequency, type: 'triangle' });
      const volume = new GainNode(context, { gain: 0 });
      volume.gain.setValueAtTime(0, at);
      volume.gain.linearRampToValueAtTime(0.25, at + 0.02);
      volume.gain.exponentialRampToValueAtTime(0.001, at + 0.35);
      tone.connect(volume).connect(context.destination);
      tone.start(at);
      tone.stop(at + 0.4);
    }
  },
};

// Drawing -------------------------------------------------------------------------------------

const secondsUntil = (timestamp) => Math.max(0, Math.ceil((Date.parse(timestamp) - line.serverNow()) / 1_000));

/** Which words describe the room, if it is not simply moving. */
function roomState() {
  const { state, position } = now.place;
  if (state === 'scheduled' && position === null) return 'draw';
  return state === 'open' ? null : state;
}

function headlineParts(lead, main, after, joint = ' ') {
  const parts = [];
  if (lead) parts.push(element('span', 'tk-lead', lead));
  parts.push(main);
  if (after) parts.push(element('span', 'tk-joint', joint), element('span', 'tk-after', after));
  return parts;
}

function drawWaitingHeadline() {
  const { position, etaLowSeconds, etaHighSeconds } = now.place;
  const eta = now.place.state === 'open' || now.place.state === 'draining' ? text.eta(etaLowSeconds, etaHighSeconds) : '';
  if (position === null) {
    headline.replaceChildren(...headlineParts('', element('span', 'tk-large', text.noPlaceYet), ''));
    return;
  }
  const [lead, , unit] = text.place('');
  const big = element('strong', 'tk-number');
  big.append(element('span', 'tk-digits'));
  if (unit) big.append(element('span', 'tk-unit', unit));
  headline.style.setProperty('--tk-unit', unit ? '1' : '0');
  headline.replaceChildren(...headlineParts(lead, big, eta, ' · '));
  drawNumber();
}

/** How much of the barcode is printed, from 0 to 1. */
function drawBar(share) {
  byId('bar').style.setProperty('--tk-done', Math.max(0, Math.min(1, share)).toFixed(4));
}

/** In the turn the barcode runs out with the time. */
function drawTimeLeft() {
  const leftMs = Date.parse(now.admission.claimBy) - line.serverNow();
  now.claimMs = Math.max(now.claimMs, leftMs);
  drawBar(now.claimMs > 0 ? leftMs / now.claimMs : 0);
}

function drawTurnHeadline() {
  const title = now.turnState === 'in' ? text.stillIn : text.yourTurn;
  headline.replaceChildren(...headlineParts('', element('span', 'tk-large', title), turnLine()));
}

function turnLine() {
  if (now.turnState === 'in') return '';
  const seconds = secondsUntil(now.admission.claimBy);
  return seconds > 0 ? text.enterWithin(seconds).join('') : text.turnOver;
}

function drawChoices(...choices) {
  const box = byId('choices');
  const focused = box.contains(document.activeElement) ? document.activeElement.dataset.choice : null;
  box.replaceChildren(...choices);
  box.hidden = choices.length === 0;
  if (focused) box.querySelector(`[data-choice="${focused}"]`)?.focus();
}

function choice(name, className, label, act) {
  const button = element('button', className, label);
  button.type = 'button';
  button.dataset.choice = name;
  button.addEventListener('click', act);
  return button;
}

function homeLink(className) {
  const link = element('a', className, text.home);
  link.href = homeAddress;
  link.dataset.choice = 'home';
  return link;
}

function endingChoices() {
  const { kind, reason } = now.ending;
  if (kind === 'closed') {
    if (reason === 'replaced') return [choice('again', 'tk-main', text.useThisTab, join), homeLink('tk-plain')];
    if (reason === 'roomClosed' || reason === 'completed') return [homeLink('tk-main')];
    return [choice('again', 'tk-main', text.joinAgain, join), homeLink('tk-plain')];
  }
  if (reason === 'roomFull') return [homeLink('tk-plain')];
  if (reason === 'unknownEvent' || reason === 'forbidden') return [homeLink('tk-main')];
  return [choice('again', 'tk-main', text.tryAgain, join), homeLink('tk-plain')];
}

function render() {
  const root = document.documentElement;
  const { view, place } = now;
  root.lang = language;
  root.dataset.view = view;
  root.dataset.room = view === 'waiting' ? place.state : '';
  root.dataset.link = now.linkLost && (view === 'waiting' || view === 'joining') ? 'lost' : 'fine';

  for (const target of document.querySelectorAll('[data-text]')) target.textContent = text[target.dataset.text];
  const other = Object.keys(TEXTS).find((candidate) => candidate !== language);
  const switcher = byId('language');
  switcher.textContent = TEXTS[other].name;
  switcher.lang = other;
  switcher.setAttribute('aria-label', TEXTS[other].switchTo);

  const waiting = view === 'waiting';
  byId('stub').hidden = !waiting || place.position === null;
  byId('bar').hidden = !(waiting && place.position !== null) && !(view === 'turn' && now.turnState !== 'in');
  byId('actions').hidden = !(waiting || view === 'turn');
  byId('detail').hidden = view !== 'ended';

  if (view === 'joining') {
    headline.replaceChildren(element('span', 'tk-large', text.joining));
    drawChoices();
  } else if (waiting) {
    drawPlace();
    drawChoices();
  } else if (view === 'turn') {
    drawTurnHeadline();
    drawTimeLeft();
    const enterButton = choice('enter', 'tk-main', now.turnState === 'entering' ? text.entering : text.enter, enter);
    enterButton.setAttribute('aria-disabled', String(now.turnState === 'entering'));
    drawChoices(enterButton);
  } else {
    const [title, detail] = text[now.ending.kind][now.ending.reason];
    headline.replaceChildren(element('span', 'tk-large', title));
    byId('detail').textContent = now.retryAtMs === null ? detail : `${detail} ${retryLine()}`;
    drawChoices(...endingChoices());
  }

  drawState();
  drawNote();
  drawActions();
  drawTitle();
}

function drawPlace() {
  const { position, waiting, lane } = now.place;
  drawWaitingHeadline();
  if (position === null) return;
  const start = startPosition(position);
  const done = start > 1 ? (start - position) / (start - 1) : 1;
  drawBar(Math.max(0.02, done));
  setText('ahead', formatCount(position - 1, language));
  setText('in-all', formatCount(waiting, language));
  byId('lane-row').hidden = !lane || lane === 'general';
  setText('lane', lane ?? '');
}

function drawState() {
  const state = now.view === 'waiting' ? now.place.state : null;
  const label = now.linkLost && state ? text.labels.offline : text.labels[state];
  byId('state').hidden = !label || state === null;
  setText('state-text', label ?? '');
}

function drawNote() {
  let words = '';
  let kind = 'calm';
  if (now.trouble) {
    [words, kind] = [text[now.trouble], 'trouble'];
  } else if (now.linkLost && now.view === 'waiting') {
    [words, kind] = [text.offline, 'trouble'];
  } else if (now.linkLost && now.view === 'joining') {
    [words, kind] = [text.notReached, 'trouble'];
  } else if (now.view === 'waiting' && roomState()) {
    [words, kind] = [text.states[roomState()] ?? '', 'trouble'];
  } else if (now.view === 'waiting' && now.reassured) {
    words = text.reassurance(graceSeconds);
  }
  const note = byId('note');
  if (words) note.textContent = words;
  note.dataset.kind = kind;
  note.classList.toggle('tk-note-shown', words !== '');
  note.setAttribute('aria-hidden', String(words === ''));
}

function drawActions() {
  const button = byId('sound');
  button.textContent = sound.wanted ? text.soundOn : text.soundOff;
  button.dataset.on = String(sound.wanted);
  button.title = text.soundHint;
  setText('leave', now.view === 'turn' ? text.leaveTurn : text.leave);
  setText('leave-confirm', now.view === 'turn' ? text.leaveTurn : text.leave);
}

function drawTitle() {
  let title = eventTitle;
  if (now.view === 'waiting') {
    const { position } = now.place;
    const ahead = position === null ? text.waitingRoom : position === 1 ? text.next : formatCount(position - 1, language);
    title = `(${ahead}) ${eventTitle}`;
  } else if (now.view === 'turn') {
    const seconds = secondsUntil(now.admission.claimBy);
    title = now.turnState === 'in' || seconds === 0 ? text.yourTurn : `● ${text.yourTurn} ${text.enterWithin(seconds).join('')}`;
  } else if (now.view === 'ended') {
    title = `${text[now.ending.kind][now.ending.reason][0]} ${eventTitle}`;
  }
  if (document.title !== title) document.title = title;
}

function retryLine() {
  return text.retryIn(Math.max(0, Math.ceil((now.retryAtMs - Date.now()) / 1_000)));
}

// What happens --------------------------------------------------------------------------------

let offlineTimer = 0;
let reassureTimer = 0;
let ticker = 0;

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
  if (reason !== 'replaced') memory.set(START_KEY, null);
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
    memory.set(START_KEY, null);
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

byId('language').addEventListener('click', () => {
  language = Object.keys(TEXTS).find((candidate) => candidate !== language);
  text = TEXTS[language];
  rememberLanguage(language);
  render();
});

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
