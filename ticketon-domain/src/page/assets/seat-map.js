/**
 * The seat map on a canvas: draws, zooms, pans, and says which seat is meant.
 *
 *     const map = new SeatMap(canvas);
 *     map.setPlan(plan); map.states = feed.states;
 *     map.addEventListener('pick', ({ detail }) => toggle(detail));
 *
 * Events: `pick` (a seat's index), `pickArea` (an area), `point` (a seat under the pointer or cursor, or null),
 * `view` (whether the whole venue is seen).
 * Which seats are picked or one's own is the page's business: set `picked` and `mine`, then call `redraw()`.
 */

import { SeatCamera } from './seat-camera.js';
import { SeatGrid } from './seat-grid.js';
import { FREE_BY_GRADE, GONE, MINE, PICKED, SeatSprites, TAKEN } from './seat-sprites.js';
import { FREE, HELD } from './seat-plan.js';

const FLASH_MS = 600;
/** Where more change at once, lights would hide what they point at. */
const MOST_FLASHES = 24;
/** Below this width a seat cannot be told from its neighbour: a press looks closer instead. */
const PICKABLE_PX = { mouse: 7, touch: 14 };
const CLOSER_PX = 24;
const NUMBERS_FROM_PX = 21;
const MOVED_PX = 6;
const TOUCH_TIP_MS = 4_000;

export class SeatMap extends EventTarget {
  #canvas;
  #context;
  #camera = new SeatCamera();
  #sprites = new SeatSprites();
  #grid = null;
  #plan = null;
  #boxes = [];
  #theme = null;
  #frame = 0;
  #ratio = 1;
  #pointers = new Map();
  #pressed = null;
  #flashes = new Map();
  #glide = null;
  #isWhole = null;
  #unpoint = 0;
  states = new Uint8Array(0);
  picked = new Set();
  mine = new Set();
  /** The area that is picked, or null. */
  area = null;
  /** Whether seats can be picked now: the pointer tells. */
  isOffered = true;
  /** Grades that are offered in full colour; null means all. */
  wanted = null;
  /** The seat that the keyboard is at, or null. */
  cursor = null;
  /** What the canvas writes: `stage`, and `free(count)` for areas. */
  texts = { stage: '', free: String };

  constructor(canvas) {
    super();
    this.#canvas = canvas;
    this.#context = canvas.getContext('2d');
    new ResizeObserver(() => this.#resize()).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.readTheme());
    this.#listen();
    this.readTheme();
    this.#resize();
  }

  setPlan(plan) {
    this.#plan = plan;
    this.#grid = new SeatGrid(plan);
    this.#boxes = plan.rows.map(({ start, count }) => box(plan, start, count));
    this.cursor = null;
    this.#camera.setWorld(plan.bounds, plan.pitch);
    this.readTheme();
  }

  /** Seats that changed; they light up for a moment. */
  flash(changed) {
    if (matchMedia('(prefers-reduced-motion: reduce)').matches || changed.length > MOST_FLASHES) return;
    const until = performance.now() + FLASH_MS;
    for (const seat of changed) if (seat < this.#plan.seatCount) this.#flashes.set(seat, until);
  }

  redraw() {
    if (this.#frame === 0) this.#frame = requestAnimationFrame((now) => this.#draw(now));
  }

  /** Whether nothing moves: what is on the screen is what there is. */
  get isStill() {
    return this.#plan !== null && this.#frame === 0;
  }

  /** Where a seat is, in CSS pixels of the canvas. */
  pointOf(seat) {
    return { x: this.#camera.toScreenX(this.#plan.x[seat]), y: this.#camera.toScreenY(this.#plan.y[seat]), seatPx: this.#camera.seatPx };
  }

  zoomIn() { this.#zoomBy(1.6); }

  zoomOut() { this.#zoomBy(1 / 1.6); }

  fit() {
    this.#camera.fit();
    this.redraw();
  }

  /** Looks closely at some seats. */
  show(seats) {
    const shown = seats.filter((seat) => seat < this.#plan.seatCount);
    if (shown.length === 0) return;
    const x = shown.reduce((sum, seat) => sum + this.#plan.x[seat], 0) / shown.length;
    const y = shown.reduce((sum, seat) => sum + this.#plan.y[seat], 0) / shown.length;
    this.#glideTo(x, y, Math.max(this.#camera.scale, CLOSER_PX / this.#plan.pitch));
  }

  /** Colours come from the sheet: `--seat-*`, and one `--seat-grade-<n>` for each grade. */
  readTheme() {
    // A canvas knows colours, not the sheet's expressions: an element says what they come to.
    const probe = document.createElement('span');
    probe.hidden = true;
    this.#canvas.after(probe);
    const read = (name) => {
      probe.style.color = `var(${name})`;
      // Where colours are forced on words, the map keeps its own: they are what it says.
      probe.style.forcedColorAdjust = 'none';
      return getComputedStyle(probe).color;
    };
    const grades = (this.#plan?.grades ?? []).map((_, grade) => read(`--seat-grade-${grade % 8}`));
    const [ground, ink, soft, line, held, gone, mine, onMine] = ['ground', 'ink', 'soft', 'line', 'held', 'gone', 'mine', 'on-mine'].map((name) => read(`--seat-${name}`));
    this.#theme = { ground, ink, soft, line, held, gone, mine, onMine, grades, font: getComputedStyle(this.#canvas).fontFamily, key: [ink, ...grades].join() };
    probe.remove();
    this.redraw();
  }

  // Drawing ---------------------------------------------------------------------------------

  #resize() {
    const { width, height } = this.#canvas.getBoundingClientRect();
    this.#ratio = Math.min(2, devicePixelRatio || 1);
    this.#canvas.width = Math.max(1, Math.round(width * this.#ratio));
    this.#canvas.height = Math.max(1, Math.round(height * this.#ratio));
    this.#camera.resize(width, height);
    this.#point(null);
    this.redraw();
  }

  #draw(now) {
    this.#frame = 0;
    if (!this.#plan) return;
    if (this.#glide) this.#glideOn(now);
    const context = this.#context;
    context.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
    context.clearRect(0, 0, this.#camera.width, this.#camera.height);
    this.#drawStage();
    for (const area of this.#plan.areas) this.#drawArea(area);
    this.#drawSeats();
    this.#drawNames();
    this.#drawFlashes(now);
    this.#drawCursor();
    const isWhole = this.#camera.isFitted;
    if (isWhole !== this.#isWhole) {
      this.#isWhole = isWhole;
      this.dispatchEvent(new CustomEvent('view', { detail: isWhole }));
    }
  }

  #path(outline) {
    this.#context.beginPath();
    for (const [x, y] of outline) this.#context.lineTo(this.#camera.toScreenX(x), this.#camera.toScreenY(y));
    this.#context.closePath();
  }

  #drawStage() {
    const { stage } = this.#plan;
    if (!stage) return;
    this.#path(stage.outline);
    this.#context.fillStyle = this.#theme.line;
    this.#context.fill();
    this.#write(stage.name || this.texts.stage, middleOf(stage.outline), 13, this.#theme.soft, 600);
  }

  #drawArea(area) {
    // Without an outline an area is offered beside the map.
    if (area.outline.length === 0) return;
    const context = this.#context;
    const free = this.#freeOf(area);
    this.#path(area.outline);
    context.globalAlpha = free > 0 ? this.#strength(area.grade) * 0.9 : 0.25;
    context.fillStyle = free > 0 ? this.#theme.grades[area.grade] : this.#theme.gone;
    context.fill();
    context.globalAlpha = 1;
    if (this.area === area || this.#holdsAny(this.mine, area)) {
      context.strokeStyle = this.#theme.ink;
      context.lineWidth = 3;
      context.stroke();
    }
    // Words stand where the shape is, which is not always its middle: an arc around a stage is hollow there.
    area.spot ??= spotOf(area.outline);
    const { point, width, height } = area.spot;
    const [wide, high] = [width * this.#camera.scale, height * this.#camera.scale];
    const colour = free > 0 ? this.#theme.onMine : this.#theme.soft;
    const size = high >= 40 ? 15 : 12;
    context.font = `700 ${size}px ${this.#theme.font}`;
    if (high < 16 || context.measureText(area.name).width > wide) return;
    this.#write(area.name, point, size, colour, 700, high >= 40 ? -9 : 0);
    if (high >= 40) this.#write(this.texts.free(free), point, 13, colour, 500, 10);
  }

  #freeOf({ start, count }) {
    let free = 0;
    for (let unit = start; unit < start + count; unit += 1) if (this.states[unit] === FREE) free += 1;
    return free;
  }

  #holdsAny(seats, { start, count }) {
    for (const seat of seats) if (seat >= start && seat < start + count) return true;
    return false;
  }

  #strength(grade) {
    return this.wanted === null || this.wanted.has(grade) ? 1 : 0.22;
  }

  /** Rows on the screen, by their boxes. */
  *#visibleRows() {
    const low = this.#camera.toWorld(0, 0);
    const high = this.#camera.toWorld(this.#camera.width, this.#camera.height);
    const { pitch, rows } = this.#plan;
    for (const [at, row] of rows.entries()) {
      const { lowX, lowY, highX, highY } = this.#boxes[at];
      if (highX + pitch >= low.x && lowX - pitch <= high.x && highY + pitch >= low.y && lowY - pitch <= high.y) yield row;
    }
  }

  #drawSeats() {
    const { grades } = this.#theme;
    const { x, y, grade: gradeOf } = this.#plan;
    const { scale, width, height, seatPx } = this.#camera;
    const ratio = this.#ratio;
    const sprites = this.#sprites;
    sprites.begin(this.#canvas.width, this.#canvas.height, seatPx * ratio, this.#theme);
    const free = grades.map((_, grade) => FREE_BY_GRADE + grade + (this.#strength(grade) === 1 ? 0 : grades.length));
    const right = (width / 2 - this.#camera.x * scale) * ratio;
    const down = (height / 2 - this.#camera.y * scale) * ratio;
    const put = (seat, look) => sprites.put(look, x[seat] * scale * ratio + right, y[seat] * scale * ratio + down);
    const rows = [...this.#visibleRows()];
    for (const { start, count } of rows) {
      for (let seat = start; seat < start + count; seat += 1) {
        const state = this.states[seat];
        put(seat, state === FREE ? free[gradeOf[seat]] : state === HELD ? TAKEN : GONE);
      }
    }
    // What is the reader's own is larger, and lies above its neighbours.
    for (const [seats, look] of [[this.picked, PICKED], [this.mine, MINE]]) {
      for (const seat of seats) if (seat < this.#plan.seatCount) put(seat, look);
    }
    sprites.end(this.#context);
    if (seatPx >= NUMBERS_FROM_PX) for (const row of rows) this.#drawNumbers(row);
  }

  #drawNumbers(row) {
    const context = this.#context;
    const size = Math.round(this.#camera.seatPx * 0.36);
    context.font = `650 ${size}px ${this.#theme.font}`;
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    for (const segment of row.segments) {
      for (let place = 0; place < segment.count; place += 1) {
        const seat = segment.start + place;
        const x = this.#camera.toScreenX(this.#plan.x[seat]);
        if (this.states[seat] !== FREE || this.picked.has(seat) || this.mine.has(seat) || x < -size || x > this.#camera.width + size) continue;
        context.globalAlpha = this.#strength(this.#plan.grade[seat]) === 1 ? 1 : 0.4;
        context.fillStyle = this.#theme.onMine;
        const words = this.#plan.accessible.has(seat) ? '♿\uFE0E' : segment.name(place);
        context.fillText(words, x, this.#camera.toScreenY(this.#plan.y[seat]) + size * 0.06);
      }
    }
    context.globalAlpha = 1;
    this.#write(row.id, [this.#plan.x[row.start], this.#plan.y[row.start]], 12, this.#theme.soft, 650, 0, -this.#camera.seatPx * 0.95);
  }

  /** Names of sections, while their seats are small. */
  #drawNames() {
    if (this.#camera.seatPx > 12 || this.#plan.sections.length < 2) return;
    for (const section of this.#plan.sections) {
      if (section.count === 0) continue;
      section.box ??= box(this.#plan, section.start, section.count);
      const { lowX, highX, lowY, highY } = section.box;
      const width = (highX - lowX) * this.#camera.scale;
      // The short name, where the long one does not fit.
      [section.name, section.id].some((words) => this.#tag(words, (lowX + highX) / 2, (lowY + highY) / 2, width));
    }
  }

  #tag(words, x, y, room) {
    const context = this.#context;
    context.font = `700 13px ${this.#theme.font}`;
    const width = context.measureText(words).width + 16;
    if (width > room * 1.1) return false;
    const px = this.#camera.toScreenX(x);
    const py = this.#camera.toScreenY(y);
    context.globalAlpha = 0.88;
    context.fillStyle = this.#theme.ground;
    context.beginPath();
    context.roundRect(px - width / 2, py - 12, width, 24, 12);
    context.fill();
    context.globalAlpha = 1;
    this.#write(words, [x, y], 13, this.#theme.ink, 700);
    return true;
  }

  #write(words, [x, y], size, colour, weight, down = 0, right = 0) {
    const context = this.#context;
    context.font = `${weight} ${size}px ${this.#theme.font}`;
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.fillStyle = colour;
    context.fillText(words, this.#camera.toScreenX(x) + right, this.#camera.toScreenY(y) + down);
  }

  #drawFlashes(now) {
    const context = this.#context;
    for (const [seat, until] of this.#flashes) {
      const left = (until - now) / FLASH_MS;
      if (left <= 0) {
        this.#flashes.delete(seat);
        continue;
      }
      context.globalAlpha = Math.min(1, left);
      context.strokeStyle = this.#theme.ink;
      context.lineWidth = Math.min(2, this.#camera.seatPx * 0.2);
      context.beginPath();
      context.arc(this.#camera.toScreenX(this.#plan.x[seat]), this.#camera.toScreenY(this.#plan.y[seat]), this.#camera.seatPx * (0.45 + (1 - left) * 0.6), 0, Math.PI * 2);
      context.stroke();
    }
    context.globalAlpha = 1;
    if (this.#flashes.size > 0) this.redraw();
  }

  #drawCursor() {
    if (this.cursor === null || !this.#canvas.matches(':focus-visible')) return;
    const { x, y, seatPx } = this.pointOf(this.cursor);
    const context = this.#context;
    for (const [colour, width] of [[this.#theme.ground, 6], [this.#theme.ink, 3]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      context.arc(x, y, Math.max(8, seatPx * 0.72), 0, Math.PI * 2);
      context.stroke();
    }
  }

  // Moving ----------------------------------------------------------------------------------

  #zoomBy(factor) {
    this.#camera.zoomAt(this.#camera.width / 2, this.#camera.height / 2, factor);
    this.redraw();
  }

  #glideTo(x, y, scale) {
    const to = { x, y, scale: Math.min(this.#camera.largestScale, scale) };
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) {
      Object.assign(this.#camera, to);
      this.redraw();
      return;
    }
    const { x: fromX, y: fromY, scale: fromScale } = this.#camera;
    this.#glide = { from: { x: fromX, y: fromY, scale: fromScale }, to, began: null };
    this.redraw();
  }

  #glideOn(now) {
    const { from, to } = this.#glide;
    this.#glide.began ??= now;
    const part = Math.min(1, (now - this.#glide.began) / 260);
    const eased = 1 - (1 - part) ** 3;
    this.#camera.scale = from.scale * (to.scale / from.scale) ** eased;
    this.#camera.x = from.x + (to.x - from.x) * eased;
    this.#camera.y = from.y + (to.y - from.y) * eased;
    this.#camera.panBy(0, 0);
    if (part === 1) this.#glide = null;
    else this.redraw();
  }

  // Listening -------------------------------------------------------------------------------

  #listen() {
    const canvas = this.#canvas;
    canvas.addEventListener('pointerdown', (event) => this.#down(event));
    canvas.addEventListener('pointermove', (event) => this.#move(event));
    for (const end of ['pointerup', 'pointercancel']) canvas.addEventListener(end, (event) => this.#up(event));
    canvas.addEventListener('pointerleave', (event) => {
      if (event.pointerType === 'mouse') this.#point(null);
    });
    canvas.addEventListener('wheel', (event) => {
      event.preventDefault();
      const px = event.deltaMode === 1 ? event.deltaY * 16 : event.deltaY;
      this.#glide = null;
      this.#point(null);
      this.#camera.zoomAt(event.offsetX, event.offsetY, Math.exp(-px * (event.ctrlKey ? 0.01 : 0.0022)));
      this.redraw();
    }, { passive: false });
    canvas.addEventListener('keydown', (event) => this.#key(event));
    canvas.addEventListener('focus', () => this.redraw());
    canvas.addEventListener('blur', () => this.redraw());
  }

  #down(event) {
    if (event.button !== 0) return;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    this.#pressed = this.#pointers.size === 1 ? { x: event.offsetX, y: event.offsetY } : null;
    this.#glide = null;
  }

  #move(event) {
    const at = { x: event.offsetX, y: event.offsetY };
    const before = this.#pointers.get(event.pointerId);
    if (!before) {
      if (event.pointerType === 'mouse') this.#point(this.#seatAt(at, 'mouse'));
      return;
    }
    if (this.#pressed && Math.hypot(at.x - this.#pressed.x, at.y - this.#pressed.y) < MOVED_PX) return;
    this.#pressed = null;
    this.#point(null);
    const others = [...this.#pointers.entries()].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
    if (others.length === 0) {
      this.#camera.panBy(at.x - before.x, at.y - before.y);
    } else {
      const [other] = others;
      const spread = (point) => Math.hypot(point.x - other.x, point.y - other.y);
      this.#camera.panBy((at.x - before.x) / 2, (at.y - before.y) / 2);
      this.#camera.zoomAt((at.x + other.x) / 2, (at.y + other.y) / 2, spread(at) / Math.max(1, spread(before)));
    }
    this.#pointers.set(event.pointerId, at);
    this.redraw();
  }

  #up(event) {
    const pressed = this.#pressed;
    this.#pointers.delete(event.pointerId);
    this.#pressed = null;
    if (!pressed || event.type === 'pointercancel' || !this.#plan) return;
    const kind = event.pointerType === 'mouse' ? 'mouse' : 'touch';
    const area = this.#areaAt(pressed);
    this.#point(null);
    if (area) {
      this.dispatchEvent(new CustomEvent('pickArea', { detail: area }));
    } else if (this.#camera.seatPx < PICKABLE_PX[kind]) {
      const { x, y } = this.#camera.toWorld(pressed.x, pressed.y);
      this.#glideTo(x, y, CLOSER_PX / this.#plan.pitch);
    } else {
      const seat = this.#seatAt(pressed, kind);
      if (seat !== null) {
        this.cursor = seat;
        // A finger does not hover: what it pressed is said beside it, for a while.
        this.#point(seat);
        this.dispatchEvent(new CustomEvent('pick', { detail: seat }));
        if (kind === 'touch') this.#unpoint = setTimeout(() => this.#point(null), TOUCH_TIP_MS);
      }
    }
  }

  #seatAt({ x, y }, kind) {
    if (!this.#plan || this.#camera.seatPx < PICKABLE_PX[kind]) return null;
    const at = this.#camera.toWorld(x, y);
    return this.#grid.nearest(at.x, at.y, this.#plan.pitch * (kind === 'mouse' ? 0.55 : 0.75));
  }

  #areaAt({ x, y }) {
    return this.#plan.areas.find(({ outline }) => {
      if (outline.length === 0) return false;
      this.#path(outline);
      return this.#context.isPointInPath(x * this.#ratio, y * this.#ratio);
    });
  }

  #point(seat) {
    clearTimeout(this.#unpoint);
    this.#canvas.style.cursor = seat !== null && this.isOffered && this.states[seat] === FREE ? 'pointer' : 'grab';
    this.dispatchEvent(new CustomEvent('point', { detail: seat }));
  }

  #key(event) {
    if (!this.#plan || event.altKey || event.ctrlKey || event.metaKey) return;
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const way = ways[event.key];
    if (way && event.shiftKey) this.#camera.panBy(-way[0] * 80, -way[1] * 80);
    else if (way) this.#step(...way);
    else if (event.key === '+' || event.key === '=') this.zoomIn();
    else if (event.key === '-') this.zoomOut();
    else if (event.key === '0' || event.key === 'Home') this.fit();
    else if ((event.key === 'Enter' || event.key === ' ') && this.cursor !== null) this.dispatchEvent(new CustomEvent('pick', { detail: this.cursor }));
    else return;
    event.preventDefault();
    this.redraw();
  }

  #step(x, y) {
    const from = this.cursor ?? this.#grid.nearest(this.#camera.x, this.#camera.y, Infinity);
    if (from === null) return;
    this.cursor = this.cursor === null ? from : this.#grid.next(from, x, y) ?? from;
    if (this.#camera.seatPx < CLOSER_PX * 0.7) this.show([this.cursor]);
    else this.#camera.reveal(this.#plan.x[this.cursor], this.#plan.y[this.cursor]);
    this.#point(this.cursor);
  }
}

function box(plan, start, count) {
  const found = { lowX: Infinity, lowY: Infinity, highX: -Infinity, highY: -Infinity };
  for (let seat = start; seat < start + count; seat += 1) {
    found.lowX = Math.min(found.lowX, plan.x[seat]);
    found.lowY = Math.min(found.lowY, plan.y[seat]);
    found.highX = Math.max(found.highX, plan.x[seat]);
    found.highY = Math.max(found.highY, plan.y[seat]);
  }
  return found;
}

function middleOf(outline) {
  const xs = outline.map(([x]) => x);
  const ys = outline.map(([, y]) => y);
  return [(Math.min(...xs) + Math.max(...xs)) / 2, (Math.min(...ys) + Math.max(...ys)) / 2];
}

/** Where words fit in a shape: the longest way through it, down from the middle of its width. */
function spotOf(outline) {
  const xs = outline.map(([x]) => x);
  const [low, high] = [Math.min(...xs), Math.max(...xs)];
  const middle = (low + high) / 2 + (high - low) * 1e-6;
  const crossings = [];
  for (const [at, [x, y]] of outline.entries()) {
    const [nextX, nextY] = outline[(at + 1) % outline.length];
    if ((x <= middle) !== (nextX <= middle)) crossings.push(y + ((middle - x) / (nextX - x)) * (nextY - y));
  }
  crossings.sort((a, b) => a - b);
  let spot = { point: middleOf(outline), width: high - low, height: 0 };
  for (let at = 0; at + 1 < crossings.length; at += 2) {
    const height = crossings[at + 1] - crossings[at];
    if (height > spot.height) spot = { point: [middle, crossings[at] + height / 2], width: high - low, height };
  }
  return spot;
}
