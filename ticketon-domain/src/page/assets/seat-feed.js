/**
 * The live state of a seat map: a snapshot, then what changes, without a gap.
 *
 *     const feed = new SeatFeed({ eventId: 'demo' });
 *     feed.addEventListener('layout', ({ detail }) => ...);   // a SeatPlan; again when the layout changed
 *     feed.addEventListener('states', ({ detail }) => ...);   // indexes that changed; null means all
 *     feed.start();
 *
 * Further events: `live` (changes arrive), `lost` (reconnecting by itself), `refused` with the status of an
 * answer that is final. The wire is described with the HTTP contract of `ticketon-domain`.
 */

import { SeatPlan } from './seat-plan.js';

const SNAPSHOT_TYPE = 'application/vnd.ticketon.seats';
const BACKOFF_CAP_MS = 8_000;
const ANSWER_WITHIN_MS = 15_000;
/** After this long without a word the map is asked for again: a dead connection says nothing either. */
const SILENCE_MS = 45_000;
const MAGIC = 0x544b5331; // TKS1

export class SeatFeed extends EventTarget {
  #base;
  #source = null;
  #timer = 0;
  #failures = 0;
  #loadedAt = 0;
  #resyncs = 0;
  #stopped = true;
  #loading = false;
  #heardAt = 0;
  #watch = null;
  epoch = 0;
  version = 0;
  /** @type {SeatPlan|null} */
  plan = null;
  /** One byte a seat. */
  states = new Uint8Array(0);

  constructor({ eventId, apiBase = '' }) {
    super();
    this.#base = `${apiBase}/events/${encodeURIComponent(eventId)}`;
  }

  start() {
    if (!this.#stopped) return;
    this.#stopped = false;
    const anew = new AbortController();
    this.#watch = anew;
    globalThis.addEventListener('online', () => this.#load(), { signal: anew.signal });
    globalThis.addEventListener('offline', () => this.#tell('lost'), { signal: anew.signal });
    const silence = setInterval(() => {
      if (this.#source && performance.now() - this.#heardAt > SILENCE_MS) this.#load();
    }, SILENCE_MS / 5);
    anew.signal.addEventListener('abort', () => clearInterval(silence));
    this.#load();
  }

  stop() {
    this.#stopped = true;
    this.#watch?.abort();
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  /** How many seats are in each state: `[free, held, sold, blocked]`, of a range or of all. */
  counts(start = 0, count = this.states.length) {
    const counts = [0, 0, 0, 0];
    for (let index = start; index < start + count; index += 1) counts[this.states[index]] += 1;
    return counts;
  }

  /** Fetches the map anew, then follows it. */
  async #load() {
    if (this.#stopped || this.#loading) return;
    this.#loading = true;
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
    try {
      const response = await this.#get('/seats', SNAPSHOT_TYPE);
      const snapshot = decode(await response.arrayBuffer());
      if (snapshot.layoutVersion !== this.plan?.version) {
        const layout = await this.#get(`/layout?v=${snapshot.layoutVersion}`, 'application/json');
        const plan = new SeatPlan(await layout.json());
        if (plan.version !== snapshot.layoutVersion || plan.count !== snapshot.states.length) throw new Error('the layout changed meanwhile');
        this.plan = plan;
        Object.assign(this, snapshot);
        this.#tell('layout', plan);
      } else {
        Object.assign(this, snapshot);
      }
      this.#loadedAt = performance.now();
      this.#tell('states', null);
      this.#follow();
    } catch (error) {
      if (error.final) {
        this.stop();
        this.#tell('refused', error.status);
      } else {
        this.#later();
      }
    } finally {
      this.#loading = false;
    }
  }

  async #get(path, accept) {
    const response = await fetch(this.#base + path, {
      credentials: 'same-origin',
      headers: { Accept: accept },
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    if (response.ok) return response;
    const final = response.status >= 400 && response.status < 500 && response.status !== 429 && response.status !== 408;
    throw Object.assign(new Error(`${path} answered ${response.status}`), { final, status: response.status });
  }

  #follow() {
    const source = new EventSource(`${this.#base}/seats/updates?since=${this.epoch}-${this.version}`);
    this.#source = source;
    this.#heardAt = performance.now();
    source.addEventListener('open', () => {
      this.#heardAt = performance.now();
      this.#failures = 0;
      this.#tell('live');
    });
    source.addEventListener('seats', ({ data }) => {
      this.#heardAt = performance.now();
      this.#apply(JSON.parse(data));
    });
    // Comments are not told to pages, so the server says by an event that it is there.
    source.addEventListener('alive', () => {
      this.#heardAt = performance.now();
    });
    source.addEventListener('resync', () => this.#resync());
    source.addEventListener('error', () => {
      if (this.#source !== source) return;
      this.#tell('lost');
      // While it reconnects by itself it sends the last id; a closed one was refused.
      if (source.readyState === EventSource.CLOSED) this.#later();
    });
  }

  #apply({ epoch, from, version, ...lists }) {
    if (epoch === this.epoch && version <= this.version) return;
    // It says the state that seats have now, so it fits whatever is known from its `from` on.
    if (epoch !== this.epoch || from > this.version) {
      this.#resync();
      return;
    }
    this.version = version;
    const changed = [];
    for (const [code, name] of ['free', 'held', 'sold', 'blocked'].entries()) {
      for (const index of lists[name] ?? []) {
        if (index < this.states.length && this.states[index] !== code) {
          this.states[index] = code;
          changed.push(index);
        }
      }
    }
    if (changed.length > 0) this.#tell('states', changed);
  }

  /** Reads the map again, but not together with everybody else, and not again and again at once. */
  #resync() {
    this.#source?.close();
    this.#source = null;
    this.#resyncs = performance.now() - this.#loadedAt < BACKOFF_CAP_MS ? this.#resyncs + 1 : 0;
    const pause = Math.min(BACKOFF_CAP_MS, 250 * 2 ** Math.min(this.#resyncs, 5));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#load(), pause * Math.random());
  }

  #later() {
    this.#source?.close();
    this.#source = null;
    this.#tell('lost');
    this.#failures += 1;
    const pause = Math.min(BACKOFF_CAP_MS, 500 * 2 ** Math.min(this.#failures, 5));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#load(), pause * (0.75 + Math.random() / 2));
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** Reads the binary snapshot: magic, epoch, version, seats, layout version, two bits a seat. */
function decode(buffer) {
  const view = new DataView(buffer);
  if (view.getUint32(0) !== MAGIC) throw new Error('not a seat map');
  const count = view.getUint32(20);
  const named = view.getUint8(24);
  const layoutVersion = new TextDecoder().decode(new Uint8Array(buffer, 25, named));
  const bits = new Uint8Array(buffer, 25 + named);
  const states = new Uint8Array(count);
  for (let index = 0; index < count; index += 1) states[index] = (bits[index >> 2] >> (6 - 2 * (index & 3))) & 3;
  return { epoch: Number(view.getBigUint64(4)), version: Number(view.getBigUint64(12)), layoutVersion, states };
}
