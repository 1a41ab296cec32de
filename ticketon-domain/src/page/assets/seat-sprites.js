/**
 * Small pictures of seats, one for each look, drawn once for each size, and copied pixel by pixel: a frame costs
 * what its pixels cost, however many seats there are. Shape tells as much as colour: a ring is held, a small dot is
 * gone, a tick is yours.
 */

export const GONE = 0;
export const TAKEN = 1;
export const PICKED = 2;
export const MINE = 3;
/** From here on: free, by grade; then free and dimmed, by grade. */
export const FREE_BY_GRADE = 4;

/** Below this width, in device pixels, a seat is a speck. */
const SPECK_PX = 5;

export class SeatSprites {
  #sheet = document.createElement('canvas');
  #context = this.#sheet.getContext('2d', { willReadFrequently: true });
  #key = '';
  /** Pixels of one picture's side. */
  #side = 0;
  #source = new Uint32Array(0);
  /** The width of `#source`. */
  #stride = 0;
  #layer = document.createElement('canvas');
  #image = null;
  #pixels = new Uint32Array(0);

  /** Begins a frame of this many pixels, without any seat. */
  begin(width, height, seatPx, theme) {
    if (this.#image?.width !== width || this.#image?.height !== height) {
      this.#layer.width = width;
      this.#layer.height = height;
      this.#image = new ImageData(width, height);
      this.#pixels = new Uint32Array(this.#image.data.buffer);
    } else {
      this.#pixels.fill(0);
    }
    this.#prepare(seatPx, theme);
  }

  /** Puts a seat with its middle at this pixel. */
  put(look, x, y) {
    const side = this.#side;
    const { width, height } = this.#image;
    const left = Math.round(x - side / 2);
    const top = Math.round(y - side / 2);
    const fromX = Math.max(0, -left);
    const toX = Math.min(side, width - left);
    const toY = Math.min(side, height - top);
    const source = this.#source;
    const pixels = this.#pixels;
    for (let row = Math.max(0, -top); row < toY; row += 1) {
      let from = row * this.#stride + look * side + fromX;
      let to = (top + row) * width + left + fromX;
      for (let column = fromX; column < toX; column += 1) {
        const colour = source[from];
        if (colour !== 0) pixels[to] = colour;
        from += 1;
        to += 1;
      }
    }
  }

  /** Draws all that was put. */
  end(context) {
    this.#layer.getContext('2d').putImageData(this.#image, 0, 0);
    context.save();
    context.resetTransform();
    context.drawImage(this.#layer, 0, 0);
    context.restore();
  }

  /** Draws the pictures anew if the size or the colours changed; `seatPx` is in device pixels. */
  #prepare(seatPx, theme) {
    const radius = Math.max(0.5, Math.round(seatPx * 0.42 * 2) / 2);
    const isSpeck = seatPx < SPECK_PX;
    const key = `${radius}|${isSpeck}|${theme.key}`;
    if (key === this.#key) return;
    this.#key = key;
    const looks = FREE_BY_GRADE + theme.grades.length * 2;
    const speck = Math.max(1, Math.round(seatPx * 0.78));
    this.#side = isSpeck ? Math.max(5, speck + 2) : Math.ceil(radius * 2.5) + 2;
    this.#sheet.width = this.#side * looks;
    this.#sheet.height = this.#side;
    if (isSpeck) this.#drawSpecks(speck, theme);
    else this.#drawSeats(radius, theme);
    const image = this.#context.getImageData(0, 0, this.#sheet.width, this.#side);
    this.#source = new Uint32Array(image.data.buffer);
    this.#stride = image.width;
  }

  #drawSpecks(size, theme) {
    const context = this.#context;
    const speck = (look, colour, side) => {
      const from = Math.floor((this.#side - side) / 2);
      context.fillStyle = colour;
      context.fillRect(look * this.#side + from, from, side, side);
    };
    speck(GONE, theme.gone, Math.max(1, Math.round(size / 2)));
    speck(TAKEN, theme.held, size);
    speck(PICKED, theme.ink, this.#side);
    speck(MINE, theme.mine, this.#side);
    for (const [grade, colour] of theme.grades.entries()) {
      speck(FREE_BY_GRADE + grade, colour, size);
      context.globalAlpha = 0.22;
      speck(FREE_BY_GRADE + theme.grades.length + grade, colour, size);
      context.globalAlpha = 1;
    }
  }

  #drawSeats(radius, theme) {
    const context = this.#context;
    const middle = this.#side / 2;
    const circle = (look, size) => {
      context.beginPath();
      context.arc(look * this.#side + middle, middle, size, 0, Math.PI * 2);
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
      circle(look, radius * 1.12);
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
      const x = look * this.#side + middle;
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
