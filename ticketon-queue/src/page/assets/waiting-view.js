/**
 * The screen of the waiting page: draws `now` in the reader's language.
 *
 * `now` says what there is to show and `render()` draws it whole, so that a change of language
 * or a lost connection never needs a second way to the same screen. What happens is decided in
 * `waiting.js`, which fills `now` and `hooks`.
 */

import { memory } from './memory.js';
import { sound } from './sound.js';
import { TEXTS, formatCount, pickLanguage, rememberLanguage } from './texts.js';

const { eventId, eventTitle, eventTitleKo, returnTo, homeUrl, awayGraceSeconds } = document.getElementById('waiting-room').dataset;
const graceSeconds = Number(awayGraceSeconds ?? 120);
const START_KEY = `ticketon.start.${eventId}`;
const motion = matchMedia('(prefers-reduced-motion: no-preference)');

export let language = pickLanguage();
export let text = TEXTS[language];

/** What the screen asks of the page. */
export const hooks = { serverNow: Date.now, join() {}, enter() {} };

/** What there is to show. `view`: joining, waiting, turn, ended. */
export const now = {
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

export const byId = (id) => document.getElementById(id);
export const headline = byId('headline');

export function switchLanguage() {
  language = Object.keys(TEXTS).find((candidate) => candidate !== language);
  text = TEXTS[language];
  rememberLanguage(language);
  render();
}

function element(name, className, content) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (content !== undefined) made.textContent = content;
  return made;
}

export function setText(id, content) {
  const target = byId(id);
  if (target.textContent !== content) target.textContent = content;
}

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
export const returnAddress = ownAddress(returnTo, homeAddress);

/** The furthest place of this wait: where the bar begins, also after a reload. */
function startPosition(position) {
  const known = Number(memory.get(START_KEY) ?? 0);
  if (position > known) {
    memory.set(START_KEY, String(position));
    return position;
  }
  return known;
}

/** The next join begins a bar of its own. */
export function forgetStart() {
  memory.set(START_KEY, null);
}

/** The number runs down to its new value where motion is welcome. */
export const number = {
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

export const secondsUntil = (timestamp) => Math.max(0, Math.ceil((Date.parse(timestamp) - hooks.serverNow()) / 1_000));

export function roomState() {
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
export function drawTimeLeft() {
  const leftMs = Date.parse(now.admission.claimBy) - hooks.serverNow();
  now.claimMs = Math.max(now.claimMs, leftMs);
  drawBar(now.claimMs > 0 ? leftMs / now.claimMs : 0);
}

function drawTurnHeadline() {
  const title = now.turnState === 'in' ? text.stillIn : text.yourTurn;
  headline.replaceChildren(...headlineParts('', element('span', 'tk-large', title), turnLine()));
}

export function turnLine() {
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
    if (reason === 'replaced') return [choice('again', 'tk-main', text.useThisTab, hooks.join), homeLink('tk-plain')];
    if (reason === 'roomClosed' || reason === 'completed') return [homeLink('tk-main')];
    return [choice('again', 'tk-main', text.joinAgain, hooks.join), homeLink('tk-plain')];
  }
  if (reason === 'roomFull') return [homeLink('tk-plain')];
  if (reason === 'unknownEvent' || reason === 'forbidden') return [homeLink('tk-main')];
  return [choice('again', 'tk-main', text.tryAgain, hooks.join), homeLink('tk-plain')];
}

export function render() {
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
    const enterButton = choice('enter', 'tk-main', now.turnState === 'entering' ? text.entering : text.enter, hooks.enter);
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

export function drawNote() {
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

export function drawActions() {
  const button = byId('sound');
  button.textContent = sound.wanted ? text.soundOn : text.soundOff;
  button.dataset.on = String(sound.wanted);
  button.title = text.soundHint;
  setText('leave', now.view === 'turn' ? text.leaveTurn : text.leave);
  setText('leave-confirm', now.view === 'turn' ? text.leaveTurn : text.leave);
}

export function drawTitle() {
  const ofEvent = language === 'ko' ? eventTitleKo || eventTitle : eventTitle;
  setText('event-title', ofEvent);
  let title = ofEvent;
  if (now.view === 'waiting') {
    const { position } = now.place;
    const ahead = position === null ? text.waitingRoom : position === 1 ? text.next : formatCount(position - 1, language);
    title = `(${ahead}) ${ofEvent}`;
  } else if (now.view === 'turn') {
    const seconds = secondsUntil(now.admission.claimBy);
    title = now.turnState === 'in' ? text.stillIn : seconds === 0 ? text.yourTurn : `● ${text.yourTurn} ${text.enterWithin(seconds).join('')}`;
  } else if (now.view === 'ended') {
    title = `${text[now.ending.kind][now.ending.reason][0]} ${ofEvent}`;
  }
  if (document.title !== title) document.title = title;
}

export function retryLine() {
  return text.retryIn(Math.max(0, Math.ceil((now.retryAtMs - Date.now()) / 1_000)));
}
