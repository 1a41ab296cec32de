/**
 * What the reference app's pages share: the language, the events, and their posters.
 */

import { pickLanguage, rememberLanguage, TEXTS } from '/ticketon/texts.js';
import { APP_TEXTS } from './app-texts.js';

/** The language of the page and its words; read them when drawing, as they may change. */
export const app = { language: pickLanguage(), text: null };
app.text = APP_TEXTS[app.language];

/** Adds words that not every page needs. */
export function addTexts(texts) {
  for (const [language, words] of Object.entries(texts)) Object.assign(APP_TEXTS[language], words);
}

/** Calls `draw` now and whenever the reader changes the language. */
export function drawInLanguage(draw) {
  const button = document.getElementById('language');
  const drawAll = () => {
    const other = otherLanguage();
    document.documentElement.lang = app.language;
    button.textContent = TEXTS[other].name;
    button.lang = other;
    button.setAttribute('aria-label', TEXTS[other].switchTo);
    for (const target of document.querySelectorAll('[data-text]')) {
      const words = app.text[target.dataset.text];
      if (typeof words === 'string') target.textContent = words;
    }
    draw();
  };
  button.addEventListener('click', () => {
    app.language = otherLanguage();
    app.text = APP_TEXTS[app.language];
    rememberLanguage(app.language);
    drawAll();
  });
  drawAll();
}

function otherLanguage() {
  return Object.keys(APP_TEXTS).find((candidate) => candidate !== app.language);
}

/** The events on sale, as `/demo/events` lists them. */
export async function fetchEvents() {
  const response = await fetch('/demo/events', { headers: { Accept: 'application/json' }, signal: AbortSignal.timeout(15_000) });
  if (!response.ok) throw new Error(`/demo/events answered ${response.status}`);
  return response.json();
}

/** The reader's language of `{en, ko}`, or whatever there is. */
export function localized(words) {
  if (words === null || typeof words !== 'object') return words ?? '';
  return words[app.language] ?? words.en ?? Object.values(words)[0] ?? '';
}

/** When an event begins, by the clock of its place: the offset that the timestamp carries. */
export function formatDate(timestamp) {
  const [, local] = /^(.*?)(?:Z|[+-]\d\d:\d\d)?$/.exec(timestamp ?? '');
  const date = new Date(`${local}Z`);
  if (Number.isNaN(date.getTime())) return '';
  return new Intl.DateTimeFormat(app.language, {
    weekday: 'short', year: 'numeric', month: 'short', day: 'numeric', hour: 'numeric', minute: '2-digit', timeZone: 'UTC',
  }).format(date);
}

export function formatTime(timestamp) {
  return new Intl.DateTimeFormat(app.language, { hour: 'numeric', minute: '2-digit' }).format(new Date(timestamp));
}

export function element(name, className, content) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (content !== undefined) made.textContent = content;
  return made;
}

// Posters -------------------------------------------------------------------------------------

const INKS = [
  ['#ffd21f', '#121316', '#ff5a36', '#fff6d6'],
  ['#2f4bff', '#ffd21f', '#f3f4ff', '#0d1440'],
  ['#ff6b57', '#141021', '#ffd21f', '#ffe9e2'],
  ['#12a06b', '#07281c', '#ffd21f', '#e4fff3'],
];

/** A picture for an event without one: the same event always gets the same poster. */
export function poster({ id, image }) {
  if (image) {
    const picture = element('img', 'poster');
    picture.src = image;
    picture.alt = '';
    return picture;
  }
  const random = seeded(id);
  const [ground, first, second, third] = INKS[Math.floor(random() * INKS.length)];
  const svg = shape('svg', { class: 'poster', viewBox: '0 0 400 400', preserveAspectRatio: 'xMidYMid slice', 'aria-hidden': 'true' });
  svg.append(shape('rect', { width: 400, height: 400, fill: ground }));
  const paint = [sunrise, waves, spotlights][Math.floor(random() * 3)];
  svg.append(...paint(random, first, second, third));
  return svg;
}

function sunrise(random, first, second, third) {
  const cx = random() < 0.5 ? 120 : 280;
  const cy = 150 + random() * 40;
  const rings = range(7).map((ring) => shape('circle', {
    cx, cy, r: 300 - ring * 42, fill: 'none', stroke: ring % 3 === 2 ? third : first, 'stroke-width': ring % 2 ? 9 : 20,
  }));
  const bars = range(13).map((bar) => {
    const height = 60 + random() * 120;
    return shape('rect', { x: (bar * 400) / 13, y: 400 - height, width: 31.5, height, fill: bar % 3 === 1 ? second : first });
  });
  return [...rings, shape('circle', { cx, cy, r: 62, fill: second }), ...bars];
}

function waves(random, first, second, third) {
  const cx = 90 + random() * 220;
  const moon = shape('circle', { cx, cy: 120, r: 78, fill: second });
  const rows = range(6).map((row) => {
    const y = 165 + row * 44;
    const lift = 26 + random() * 26;
    return shape('path', {
      d: `M-20 ${y}Q60 ${y - lift} 140 ${y}T300 ${y}T460 ${y}V420H-20Z`, fill: [third, first, second][row % 3],
    });
  });
  return [moon, ...rows];
}

function spotlights(random, first, second, third) {
  const beams = range(5).map((beam) => {
    const from = 30 + beam * 85;
    const to = 400 * random();
    return shape('polygon', { points: `${from - 8},-5 ${from + 8},-5 ${to + 75},405 ${to - 75},405`, fill: beam % 2 ? third : second, opacity: 0.82 });
  });
  const crowd = range(11).map((person) => shape('circle', { cx: person * 40, cy: 392 - (person % 2) * 16 - random() * 12, r: 34, fill: first }));
  return [...beams, ...crowd];
}

function range(length) {
  return Array.from({ length }, (_, index) => index);
}

export function shape(name, attributes) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

function seeded(words) {
  let state = 2166136261;
  for (const letter of words) state = Math.imul(state ^ letter.codePointAt(0), 16777619);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
