/**
 * What the pages of purchases share: their words, the names of events and seats, money, chips, problems.
 */

import { SEAT_TEXTS, formatDate as formatDateHere, formatMoney } from '/ticketon/seats/seat-texts.js';
import { addTexts, app, element, fetchEvents, formatDate, localized } from './app.js';
import { PurchaseClient } from './purchase-client.js';
import { PURCHASE_TEXTS } from './purchase-texts.js';

addTexts(PURCHASE_TEXTS);

export const client = new PurchaseClient();

export const money = (amount, currency) => formatMoney(amount, currency, app.language);

/** A moment in the reader's own time zone. */
export const moment = (timestamp) => new Intl.DateTimeFormat(app.language, { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(timestamp));

/** What happened and what to do, in the reader's words. */
export function problemWords(code) {
  return app.text.problems[code] ?? app.text.otherProblem(code);
}

/** Why a payment did not come about: our words where we have them, otherwise the provider's. */
export function failureWords(failure) {
  if (!failure) return '';
  const { failures, problems, providerSays } = app.text;
  const own = failures[failure.code] ?? (isOver(failure) ? problems[failure.code].join('. ') : null);
  return own ?? (failure.message ? providerSays(failure.message) : '');
}

/** Whether a payment did not come about because the seats cannot be had any more: no other card helps. */
export const isOver = (failure) => ['holdEnded', 'seatsTaken', 'salesChanged'].includes(failure?.code);

// Events and seats --------------------------------------------------------------------------

const events = new Map();
let listed = null;

/** What an event is called; its id until more is known. */
export function eventOf(eventId) {
  return events.get(eventId) ?? { id: eventId, title: eventId, venue: null, startsAt: null, names: null };
}

/** Learns about events, and calls `draw` whenever more is known. Whatever fails leaves what is there. */
export async function learnEvents(eventIds, draw) {
  const unknown = [...new Set(eventIds)].filter((id) => !events.has(id));
  for (const id of unknown) events.set(id, eventOf(id));
  await Promise.all(unknown.map(async (id) => {
    listed ??= fetchEvents().catch(() => []);
    const told = (await listed).find((event) => event.id === id);
    if (told) {
      Object.assign(events.get(id), told);
      draw();
    }
    try {
      const event = await client.event(id);
      events.set(id, { names: null, ...event, ...told });
      draw();
      const layout = await client.layout(id, event.layoutVersion);
      const named = (list) => new Map(list.map(({ id: own, name }) => [own, name]));
      events.get(id).names = { sections: named(layout.sections), areas: named(layout.areas) };
      draw();
    } catch {
      // The ids in a seat's label tell where it is, too.
    }
  }));
}

/** When it begins: by the clock of its place if that is known, otherwise by the reader's. */
export function eventTime({ startsAt }) {
  if (!startsAt) return '';
  return startsAt.endsWith('Z') ? formatDateHere(startsAt, app.language) : formatDate(startsAt);
}

/** `{section, row, seat}` or `{area, place}` of a label like `A-1-7` or `standing/17`, in words. */
export function seatParts(label, eventId) {
  const { names } = eventOf(eventId);
  if (label.includes('/')) {
    const [area, place] = label.split('/');
    return { area: names?.areas.get(area) ?? area, place };
  }
  const [section, row, seat] = label.split('-');
  return { section: names?.sections.get(section) ?? section, row, seat };
}

/** A seat in one line. */
export function seatName(label, eventId) {
  const { area, place, section, row, seat } = seatParts(label, eventId);
  const words = SEAT_TEXTS[app.language];
  return area === undefined
    ? words.seatName({ area: null, section: { name: section }, row: { id: row }, seat })
    : words.seatName({ area: { name: area }, seat: place });
}

/** At most so many UTF-16 units of a text, cut between what people see as characters; an ellipsis says so. */
export function shortened(words, most) {
  if (words.length <= most) return words;
  const characters = Intl.Segmenter ? Array.from(new Intl.Segmenter().segment(words), ({ segment }) => segment) : [...words];
  let kept = '';
  for (const character of characters) {
    if (kept.length + character.length >= most) break;
    kept += character;
  }
  return `${kept.trimEnd()}…`;
}

// Pieces ------------------------------------------------------------------------------------

/** A row of an order: the seat, its grade, its price, and what else there is to say. */
export function seatLine({ label, grade, price, currency, eventId, status = null }) {
  const row = element('li', 'line');
  const words = element('span', 'line-words');
  const more = element('span', 'line-more');
  more.append(element('span', 'line-grade', grade.toUpperCase()));
  if (status) more.append(chip(status, app.text.ticketStatuses[status] ?? status));
  words.append(element('span', 'line-seat', seatName(label, eventId)), more);
  row.append(words, element('span', 'line-price', money(price, currency)));
  return row;
}

export function chip(status, words) {
  const made = element('span', 'chip', words);
  made.dataset.status = status;
  return made;
}

export function link(className, href, words) {
  const made = element('a', className, words);
  made.href = href;
  return made;
}

export function button(className, words, press) {
  const made = element('button', className, words);
  made.type = 'button';
  made.addEventListener('click', press);
  return made;
}

/** Puts elements into a box, and leaves alone what is there already: what stays keeps its focus, its pictures, its clicks. */
export function place(box, made) {
  for (const [at, one] of made.entries()) {
    const there = box.children[at];
    if (!there) box.append(one);
    else if (there.outerHTML !== one.outerHTML) replace(there, one);
  }
  while (box.childElementCount > made.length) box.lastElementChild.remove();
}

/** What has the same key stays, and only what differs in it goes. */
function replace(there, one) {
  if (one.dataset.key === undefined || there.dataset.key !== one.dataset.key) {
    there.replaceWith(one);
    return;
  }
  for (const { name, value } of one.attributes) there.setAttribute(name, value);
  place(there, [...one.children]);
}

/** Writes words where they differ: what stays is not read out again. */
export function setText(target, words) {
  if (target.textContent !== words) target.textContent = words;
}

export const checkoutPath = ({ eventId, holdId }) => `/checkout/${encodeURIComponent(eventId)}/${encodeURIComponent(holdId)}`;
export const seatsPath = (eventId) => `/seats/${encodeURIComponent(eventId)}`;
export const waitPath = (eventId) => `/wait/${encodeURIComponent(eventId)}?return=${encodeURIComponent(seatsPath(eventId))}`;

export { app, element, localized };
