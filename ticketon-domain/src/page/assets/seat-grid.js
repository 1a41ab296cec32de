/** Finds seats by where they are: a grid of cells, built once for a layout. */

const LOOK_CELLS = 14;

export class SeatGrid {
  #plan;
  #cell;
  #lowX = Infinity;
  #lowY = Infinity;
  #columns = 1;
  #rows = 1;
  #first;
  #seats;

  constructor(plan) {
    this.#plan = plan;
    this.#cell = plan.pitch * 2;
    let highX = -Infinity;
    let highY = -Infinity;
    for (let seat = 0; seat < plan.seatCount; seat += 1) {
      this.#lowX = Math.min(this.#lowX, plan.x[seat]);
      this.#lowY = Math.min(this.#lowY, plan.y[seat]);
      highX = Math.max(highX, plan.x[seat]);
      highY = Math.max(highY, plan.y[seat]);
    }
    if (plan.seatCount === 0) [this.#lowX, this.#lowY, highX, highY] = [0, 0, 0, 0];
    // A layout with far-away seats gets larger cells, so that the grid stays small.
    this.#cell = Math.max(this.#cell, (highX - this.#lowX) / 1_000, (highY - this.#lowY) / 1_000);
    this.#columns = Math.floor((highX - this.#lowX) / this.#cell) + 1;
    this.#rows = Math.floor((highY - this.#lowY) / this.#cell) + 1;
    this.#first = new Uint32Array(this.#columns * this.#rows + 1);
    for (let seat = 0; seat < plan.seatCount; seat += 1) this.#first[this.#cellOf(plan.x[seat], plan.y[seat]) + 1] += 1;
    for (let cell = 1; cell < this.#first.length; cell += 1) this.#first[cell] += this.#first[cell - 1];
    const next = this.#first.slice();
    this.#seats = new Uint32Array(plan.seatCount);
    for (let seat = 0; seat < plan.seatCount; seat += 1) {
      const cell = this.#cellOf(plan.x[seat], plan.y[seat]);
      this.#seats[next[cell]] = seat;
      next[cell] += 1;
    }
  }

  /** The seat nearest to a point, no further than `reach`; or null. */
  nearest(x, y, reach) {
    let found = null;
    let best = reach * reach;
    this.#each(x, y, reach, (seat, dx, dy) => {
      const distance = dx * dx + dy * dy;
      if (distance <= best) {
        best = distance;
        found = seat;
      }
    });
    return found;
  }

  /** The next seat from a seat towards `(towardsX, towardsY)`, one of them zero; or null. */
  next(from, towardsX, towardsY) {
    const { x, y } = { x: this.#plan.x[from], y: this.#plan.y[from] };
    let found = null;
    let best = Infinity;
    this.#each(x, y, this.#cell * LOOK_CELLS, (seat, dx, dy) => {
      const along = dx * towardsX + dy * towardsY;
      const aside = Math.abs(dx * towardsY) + Math.abs(dy * towardsX);
      // Within about sixty degrees of the way; what is straight ahead comes first.
      if (seat === from || along <= this.#plan.pitch * 0.2 || aside > along * 1.7) return;
      const cost = along + aside * 2.2;
      if (cost < best) {
        best = cost;
        found = seat;
      }
    });
    return found;
  }

  #each(x, y, reach, visit) {
    const clampColumn = (value) => Math.min(this.#columns - 1, Math.max(0, Math.floor((value - this.#lowX) / this.#cell)));
    const clampRow = (value) => Math.min(this.#rows - 1, Math.max(0, Math.floor((value - this.#lowY) / this.#cell)));
    for (let row = clampRow(y - reach); row <= clampRow(y + reach); row += 1) {
      for (let column = clampColumn(x - reach); column <= clampColumn(x + reach); column += 1) {
        const cell = row * this.#columns + column;
        for (let at = this.#first[cell]; at < this.#first[cell + 1]; at += 1) {
          const seat = this.#seats[at];
          visit(seat, this.#plan.x[seat] - x, this.#plan.y[seat] - y);
        }
      }
    }
  }

  #cellOf(x, y) {
    return Math.floor((y - this.#lowY) / this.#cell) * this.#columns + Math.floor((x - this.#lowX) / this.#cell);
  }
}
