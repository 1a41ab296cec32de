/** The start page: a card for each event on sale. */

import { app, drawInLanguage, element, fetchEvents, formatDate, localized, poster } from './app.js';

const cards = document.getElementById('cards');
const empty = document.getElementById('empty');
let events = null;
let failed = false;

function card(event) {
  const item = element('li', 'card');
  const link = element('a', 'card-link');
  link.href = `/e/${encodeURIComponent(event.id)}`;
  const art = element('div', 'card-art');
  art.append(poster(event));
  const words = element('div', 'card-words');
  words.append(
    element('p', 'card-when', formatDate(event.startsAt)),
    element('h3', 'card-title', localized(event.title)),
    element('p', 'card-where', localized(event.venue)),
  );
  const stub = element('div', 'card-stub');
  stub.append(element('span', 'card-go', app.text.see));
  words.append(stub);
  link.append(art, words);
  item.append(link);
  return item;
}

function draw() {
  cards.replaceChildren(...(events ?? []).map(card));
  empty.hidden = events === null ? !failed : events.length > 0;
  document.getElementById('empty-text').textContent = failed ? app.text.loadFailed : app.text.noEvents;
}

async function load() {
  failed = false;
  try {
    events = await fetchEvents();
  } catch {
    failed = true;
  }
  cards.setAttribute('aria-busy', 'false');
  draw();
}

document.getElementById('again').addEventListener('click', load);
drawInLanguage(draw);
load();
