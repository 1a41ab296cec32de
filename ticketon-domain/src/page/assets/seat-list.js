/**
 * All seats as nested lists of buttons: the map for who does not see it, or would rather read.
 * A section is filled when it is opened, so a large house costs nothing until then.
 */

import { FREE } from './seat-plan.js';

export class SeatList {
  #body;
  #feed;
  #texts = null;
  #pick;
  #isMine;
  #open = new Map();

  constructor(body, feed, { pick, isMine }) {
    this.#body = body;
    this.#feed = feed;
    this.#pick = pick;
    this.#isMine = isMine;
  }

  /** Draws the sections anew: after a new layout, or in another language. */
  draw(texts) {
    this.#texts = texts;
    this.#open.clear();
    const { plan } = this.#feed;
    this.#body.replaceChildren(...plan.sections.map((section, at) => this.#section(section, at)));
  }

  /** Seats changed, or what is picked: open sections follow. */
  update() {
    for (const [details, buttons] of this.#open) {
      if (!details.open) continue;
      for (const [seat, button] of buttons) this.#dress(button, seat);
    }
  }

  #section(section, at) {
    const details = document.createElement('details');
    const summary = document.createElement('summary');
    summary.textContent = section.name;
    details.append(summary);
    details.addEventListener('toggle', () => {
      if (details.open && !this.#open.has(details)) this.#fill(details, at);
      else this.update();
    });
    return details;
  }

  #fill(details, at) {
    const { plan } = this.#feed;
    const buttons = new Map();
    for (const row of plan.rows.filter(({ section }) => section === at)) {
      const heading = document.createElement('h3');
      heading.textContent = this.#texts.rowName(row.id);
      const seats = document.createElement('div');
      seats.className = 'st-list-seats';
      for (const segment of row.segments) {
        for (let place = 0; place < segment.count; place += 1) {
          const seat = segment.start + place;
          const button = document.createElement('button');
          button.type = 'button';
          button.textContent = segment.name(place);
          button.addEventListener('click', () => this.#pick(seat));
          this.#dress(button, seat);
          buttons.set(seat, button);
          seats.append(button);
        }
      }
      details.append(heading, seats);
    }
    this.#open.set(details, buttons);
  }

  #dress(button, seat) {
    const mine = this.#isMine(seat);
    button.setAttribute('aria-pressed', String(mine));
    button.disabled = !mine && this.#feed.states[seat] !== FREE;
    button.setAttribute('aria-label', this.#texts.seatLine(seat));
  }
}
