/**
 * A venue layout in the browser: typed arrays in index order, names in both directions.
 *
 * It reads what `GET /events/{id}/layout` answers. Seats and units of areas share one index space:
 * seats first, section by section, then the units of each area.
 */

/** States of a seat, as the map's two bits say. */
export const FREE = 0;
export const HELD = 1;
export const SOLD = 2;
export const BLOCKED = 3;

export class SeatPlan {
  #names = null;

  constructor(layout) {
    this.version = layout.version;
    this.name = layout.name;
    this.count = layout.seats;
    this.grades = layout.grades;
    this.stage = layout.stage ?? null;
    this.bounds = layout.bounds;
    this.areas = layout.areas;
    this.sections = layout.sections.map((section) => ({ id: section.id, name: section.name, start: section.start, count: section.x.length }));
    this.seatCount = this.sections.reduce((sum, section) => sum + section.count, 0);
    this.x = new Float32Array(this.seatCount);
    this.y = new Float32Array(this.seatCount);
    this.grade = new Uint8Array(this.count);
    this.accessible = new Set();
    /** Rows in index order: `{section, id, start, count, segments: [{start, count, name(place)}]}`. */
    this.rows = [];
    this.#rowOf = new Uint32Array(this.seatCount);
    for (const [at, section] of layout.sections.entries()) this.#readSection(at, section);
    for (const area of layout.areas) this.grade.fill(area.grade, area.start, area.start + area.count);
    this.pitch = this.#measurePitch();
  }

  #rowOf;

  #readSection(at, section) {
    this.x.set(section.x, section.start);
    this.y.set(section.y, section.start);
    let index = section.start;
    for (const [grade, count] of section.grades) {
      this.grade.fill(grade, index, index + count);
      index += count;
    }
    for (const seat of section.accessible) this.accessible.add(seat);
    index = section.start;
    for (const row of section.rows) {
      const start = index;
      const segments = row.segments.map((segment) => {
        const listed = typeof segment[0] !== 'number';
        const count = listed ? segment.length : segment[1];
        const made = { start: index, count, name: listed ? (place) => segment[place] : (place) => String(segment[0] + place * segment[2]) };
        index += count;
        return made;
      });
      this.#rowOf.fill(this.rows.length, start, index);
      this.rows.push({ section: at, id: row.id, start, count: index - start, segments });
    }
  }

  /** The width of a seat: the usual distance between neighbours. */
  #measurePitch() {
    const distances = [];
    const step = Math.max(1, Math.floor(this.rows.length / 200));
    for (let at = 0; at < this.rows.length; at += step) {
      for (const { start, count } of this.rows[at].segments) {
        if (count > 1) distances.push(Math.hypot(this.x[start + 1] - this.x[start], this.y[start + 1] - this.y[start]));
      }
    }
    distances.sort((a, b) => a - b);
    return distances[Math.floor(distances.length / 2)] || 1;
  }

  /** The row of a seat. */
  row(index) {
    return this.rows[this.#rowOf[index]];
  }

  /** Section, row and number of a seat, or area and number of a unit. */
  describe(index) {
    if (index >= this.seatCount) {
      const area = this.areas.find(({ start, count }) => index >= start && index < start + count);
      return { area, section: null, row: null, seat: String(index - area.start + 1), label: `${area.id}/${index - area.start + 1}` };
    }
    const row = this.row(index);
    const segment = row.segments.find(({ start, count }) => index < start + count);
    const seat = segment.name(index - segment.start);
    const section = this.sections[row.section];
    return { area: null, section, row, seat, label: `${section.id}-${row.id}-${seat}` };
  }

  /** The label by which a hold names a seat. */
  label(index) {
    return this.describe(index).label;
  }

  /** The seat or unit with this label, or null. */
  index(label) {
    if (label.includes('/')) {
      const [id, number] = label.split('/');
      const area = this.areas.find((other) => other.id === id);
      return area && number >= 1 && number <= area.count ? area.start + Number(number) - 1 : null;
    }
    if (!this.#names) {
      this.#names = new Map();
      for (let index = 0; index < this.seatCount; index += 1) this.#names.set(this.label(index), index);
    }
    return this.#names.get(label) ?? null;
  }
}
