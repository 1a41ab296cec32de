/**
 * Arrivals against admissions as two cumulative curves. The gap between them is the line:
 * its height is how many wait, its width how long the next person has waited.
 */

import { shape } from './app.js';

const LEFT = 52;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 28;

/**
 * @param {HTMLElement} box
 * @param {{atMs: number, arrivals: number, admissions: number}[]} samples counts since the start
 * @param {{count: (n: number) => string, span: (seconds: number) => string, now: string}} words
 */
export function drawChart(box, samples, words) {
  const { clientWidth: width, clientHeight: height } = box;
  if (width === 0 || samples.length < 2) return;
  const first = samples[0];
  const last = samples.at(-1);
  const spanMs = Math.max(last.atMs - first.atMs, 10_000);
  const low = Math.min(...samples.map(({ admissions }) => admissions));
  const high = Math.max(...samples.map(({ arrivals }) => arrivals), low + 4);
  const ticks = niceTicks(low, high, 4);
  const bottom = Math.min(low, ticks[0]);
  const top = Math.max(high, ticks.at(-1));
  const x = (atMs) => LEFT + ((atMs - (last.atMs - spanMs)) / spanMs) * (width - LEFT - RIGHT);
  const y = (count) => height - BOTTOM - ((count - bottom) / (top - bottom)) * (height - TOP - BOTTOM);
  const path = (key) => samples.map((sample) => `${x(sample.atMs).toFixed(1)},${y(sample[key]).toFixed(1)}`);
  const arrivals = path('arrivals');
  const admissions = path('admissions');

  const svg = shape('svg', { viewBox: `0 0 ${width} ${height}`, width, height, 'aria-hidden': 'true' });
  for (const tick of ticks) {
    svg.append(shape('line', { class: 'chart-grid', x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick) }));
    svg.append(label(LEFT - 8, y(tick) + 4, words.count(tick), 'end'));
  }
  for (const seconds of timeTicks(spanMs / 1_000)) {
    const at = last.atMs - seconds * 1_000;
    const anchor = seconds === 0 ? 'end' : 'middle';
    svg.append(label(x(at), height - 6, seconds === 0 ? words.now : words.span(seconds), anchor));
  }
  svg.append(
    shape('path', { class: 'chart-line-of-people', d: `M${arrivals.join('L')}L${[...admissions].reverse().join('L')}Z` }),
    shape('path', { class: 'chart-arrivals', d: `M${arrivals.join('L')}` }),
    shape('path', { class: 'chart-admissions', d: `M${admissions.join('L')}` }),
  );
  box.replaceChildren(svg);
}

function label(x, y, words, anchor) {
  const text = shape('text', { x, y, 'text-anchor': anchor });
  text.textContent = words;
  return text;
}

function niceTicks(low, high, wanted) {
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough));
  const ticks = [];
  for (let tick = Math.floor(low / step) * step; tick < high + step; tick += step) ticks.push(tick);
  return ticks;
}

function timeTicks(spanSeconds) {
  const step = [5, 10, 30, 60, 120, 300].find((candidate) => spanSeconds / candidate <= 5) ?? 600;
  const ticks = [];
  for (let tick = 0; tick < spanSeconds * 0.97; tick += step) ticks.push(tick);
  return ticks;
}
