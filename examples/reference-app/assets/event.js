/** The page of one event. It only shows: joining happens on the waiting page. */

import { app, drawInLanguage, element, fetchEvents, formatDate, localized, poster } from './app.js';

const byId = (id) => document.getElementById(id);
const { eventId } = byId('event').dataset;
let event = { id: eventId, title: byId('title').textContent, venue: null, startsAt: null, image: null, waitUrl: null };

function draw() {
  byId('title').textContent = localized(event.title);
  document.title = `${localized(event.title)} · Ticketon`;
  byId('facts').hidden = !event.startsAt;
  byId('when').textContent = formatDate(event.startsAt);
  byId('where').textContent = localized(event.venue);
  byId('join').href = event.waitUrl ?? `/wait/${encodeURIComponent(eventId)}`;
  byId('art').replaceChildren(poster(event));
  byId('steps').replaceChildren(...app.text.steps.map(([title, detail]) => {
    const step = element('li');
    step.append(element('h3', '', title), element('p', '', detail));
    return step;
  }));
}

drawInLanguage(draw);
try {
  event = (await fetchEvents()).find(({ id }) => id === eventId) ?? event;
  draw();
} catch {
  // The server put the title and the way to the line into the page already.
}
