/**
 * What the reference app's pages share: the language, the events, and their posters.
 */

import { pickLanguage, rememberLanguage, TEXTS } from '/ticketon/texts.js';
import { APP_TEXTS } from './app-texts.js';

/** The language of the page and its words; read them when drawing, as they may change. */
export const app = { language: pickLanguage(), text: null };
app.text = APP_TEXTS[app.language];

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

export function formatDate(timestamp) {
  const date = new Date(timestamp);
  if (Number.isNaN(date.getTime())) return '';
  return new Intl.DateTimeFormat(app.language, {
    weekday: 'short', year: 'numeric', month: 'short', day: 'numeric', hour: 'numeric', minute: '2-digit',
  }).format(date);
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
  const x = random() < 0.5 ? 120 : 280;
  const y = 150 + random() * 40;
  for (let ring = 0; ring < 7; ring += 1) {
    svg.append(shape('circle', {
      cx: x, cy: y, r: 300 - ring * 42, fill: 'none', stroke: ring % 3 === 2 ? third : first, 'stroke-width': ring % 2 ? 9 : 20,
    }));
  }
  svg.append(shape('circle', { cx: x, cy: y, r: 62, fill: second }));
  const bars = 13;
  for (let bar = 0; bar < bars; bar += 1) {
    const height = 36 + random() * 120;
    svg.append(shape('rect', { x: (bar * 400) / bars, y: 400 - height, width: 400 / bars + 0.5, height, fill: bar % 3 === 1 ? second : first }));
  }
  return svg;
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
