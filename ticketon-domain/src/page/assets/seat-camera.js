/** Where a map is looked at from: scale and centre, kept within the venue. */

const MARGIN = 1.06;
const LARGEST_SEAT_PX = 52;

export class SeatCamera {
  #low = { x: 0, y: 0 };
  #high = { x: 1, y: 1 };
  #pitch = 1;
  width = 1;
  height = 1;
  scale = 1;
  x = 0;
  y = 0;

  /** What there is to look at: bounds and the width of a seat. */
  setWorld([[lowX, lowY], [highX, highY]], pitch) {
    this.#low = { x: lowX - pitch, y: lowY - pitch };
    this.#high = { x: highX + pitch, y: highY + pitch };
    this.#pitch = pitch;
    this.fit();
  }

  resize(width, height) {
    const wasFitted = this.isFitted;
    this.width = Math.max(1, width);
    this.height = Math.max(1, height);
    if (wasFitted) this.fit();
    else this.#clamp();
  }

  get fittedScale() {
    return Math.min(this.width / (this.#high.x - this.#low.x), this.height / (this.#high.y - this.#low.y)) / MARGIN;
  }

  /** Whether all there is fills the screen. */
  get isFitted() {
    return Math.abs(this.scale - this.fittedScale) < 1e-6 * this.scale;
  }

  get largestScale() {
    return Math.max(LARGEST_SEAT_PX / this.#pitch, this.fittedScale);
  }

  /** How wide a seat is on the screen, in CSS pixels. */
  get seatPx() {
    return this.scale * this.#pitch;
  }

  fit() {
    this.scale = this.fittedScale;
    this.x = (this.#low.x + this.#high.x) / 2;
    this.y = (this.#low.y + this.#high.y) / 2;
  }

  toScreenX(x) {
    return (x - this.x) * this.scale + this.width / 2;
  }

  toScreenY(y) {
    return (y - this.y) * this.scale + this.height / 2;
  }

  toWorld(px, py) {
    return { x: (px - this.width / 2) / this.scale + this.x, y: (py - this.height / 2) / this.scale + this.y };
  }

  panBy(dx, dy) {
    this.x -= dx / this.scale;
    this.y -= dy / this.scale;
    this.#clamp();
  }

  /** Scales by a factor; the point of the screen stays where it is. */
  zoomAt(px, py, factor) {
    const before = this.toWorld(px, py);
    this.scale = Math.min(this.largestScale, Math.max(this.fittedScale, this.scale * factor));
    const after = this.toWorld(px, py);
    this.x += before.x - after.x;
    this.y += before.y - after.y;
    this.#clamp();
  }

  /** Moves so that a point is well inside the screen, no further than needed. */
  reveal(x, y) {
    const edge = Math.min(80, this.width / 4, this.height / 4);
    const px = this.toScreenX(x);
    const py = this.toScreenY(y);
    const dx = px < edge ? edge - px : Math.min(0, this.width - edge - px);
    const dy = py < edge ? edge - py : Math.min(0, this.height - edge - py);
    if (dx !== 0 || dy !== 0) this.panBy(dx, dy);
  }

  /** The centre stays where there is something; what fits is centred. */
  #clamp() {
    const halfWidth = this.width / 2 / this.scale;
    const halfHeight = this.height / 2 / this.scale;
    const within = (value, low, high, half) => {
      if (high - low <= half * 2) return (low + high) / 2;
      return Math.min(high - half * 0.75, Math.max(low + half * 0.75, value));
    };
    this.x = within(this.x, this.#low.x, this.#high.x, halfWidth);
    this.y = within(this.y, this.#low.y, this.#high.y, halfHeight);
  }
}
