/**
 * Small pictures of seats, one for each look, drawn once for each size: copying them is what keeps twenty
 * thousand seats smooth. Shape tells as much as colour: a ring is held, a dot is gone, a tick is yours.
 */

export const GONE = 0;
export const TAKEN = 1;
export const PICKED = 2;
export const MINE = 3;
/** From here on: free, by grade; then free and dimmed, by grade. */
export const FREE_BY_GRADE = 4;

export class SeatSprites {
  #sheet = document.createElement('canvas');
  #key = '';
  /** Pixels of one picture's side. */
  side = 0;

  get sheet() {
    return this.#sheet;
  }

  /** Draws the pictures anew if the size or the colours changed. */
  prepare(seatPx, ratio, theme) {
    const radius = Math.max(1, Math.round(seatPx * ratio * 0.42 * 2) / 2);
    const key = `${radius}|${theme.key}`;
    if (key === this.#key) return;
    this.#key = key;
    this.side = Math.ceil(radius * 2.5) + 2;
    const looks = FREE_BY_GRADE + theme.grades.length * 2;
    this.#sheet.width = this.side * looks;
    this.#sheet.height = this.side;
    const context = this.#sheet.getContext('2d');
    const middle = this.side / 2;
    const circle = (look, size) => {
      context.beginPath();
      context.arc(look * this.side + middle, middle, size, 0, Math.PI * 2);
    };
    context.fillStyle = theme.gone;
    circle(GONE, radius * 0.42);
    context.fill();
    context.strokeStyle = theme.held;
    context.lineWidth = Math.max(1, radius * 0.3);
    circle(TAKEN, radius * 0.75);
    context.stroke();
    for (const [look, fill, mark] of [[PICKED, theme.ink, theme.ground], [MINE, theme.mine, theme.onMine]]) {
      context.fillStyle = fill;
      circle(look, radius * 1.18);
      context.fill();
      context.strokeStyle = look === MINE ? theme.ink : fill;
      context.lineWidth = Math.max(1, radius * 0.16);
      context.stroke();
      if (radius < 4) continue;
      context.strokeStyle = mark;
      context.lineWidth = radius * 0.3;
      context.lineCap = 'round';
      context.lineJoin = 'round';
      context.beginPath();
      const x = look * this.side + middle;
      context.moveTo(x - radius * 0.5, middle + radius * 0.05);
      context.lineTo(x - radius * 0.12, middle + radius * 0.45);
      context.lineTo(x + radius * 0.55, middle - radius * 0.42);
      context.stroke();
    }
    for (const [grade, colour] of theme.grades.entries()) {
      context.fillStyle = colour;
      circle(FREE_BY_GRADE + grade, radius);
      context.fill();
      context.globalAlpha = 0.22;
      circle(FREE_BY_GRADE + theme.grades.length + grade, radius);
      context.fill();
      context.globalAlpha = 1;
    }
  }
}
