/**
 * Keeps the tickets page and its codes in this browser, for entrances where no network is left.
 *
 * The network comes first; what it gave last is shown when it gives nothing, or nothing that says anything.
 */

const CACHE = 'ticketon-tickets';
const WAIT_MS = 6_000;

const isKept = ({ pathname }) => pathname === '/my/tickets' || pathname.startsWith('/assets/') || pathname.startsWith('/ticketon/')
  || (pathname.startsWith('/tickets/') && pathname.endsWith('/qr.svg')) || pathname === '/demo/events' || pathname.startsWith('/events/');

/** The page is one, whichever order it was opened for. */
const nameOf = (url) => (url.pathname === '/my/tickets' ? url.origin + url.pathname : url.href);

/** What says nothing of the ticket: a proxy's or a busy server's answer, and that this browser is not signed in. */
const isNoAnswer = ({ status }) => status >= 500 || status === 429 || status === 401;

async function answer(request, name) {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request, { signal: AbortSignal.timeout(WAIT_MS) });
    if (isNoAnswer(response)) return (await cache.match(name)) ?? response;
    if (response.ok) await cache.put(name, response.clone());
    // A code that is refused now is not shown later.
    else if (response.status === 404 || response.status === 409) await cache.delete(name);
    return response;
  } catch (cause) {
    const kept = await cache.match(name);
    if (kept) return kept;
    throw cause;
  }
}

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== location.origin || !isKept(url)) return;
  event.respondWith(answer(request, nameOf(url)));
});
