/**
 * Keeps the tickets page and its codes in this browser, for entrances where no network is left.
 *
 * The network comes first; what it gave last is shown when it gives nothing.
 */

const CACHE = 'ticketon-tickets';
const WAIT_MS = 6_000;

const isKept = ({ pathname }) => pathname === '/my/tickets' || pathname.startsWith('/assets/') || pathname.startsWith('/ticketon/')
  || (pathname.startsWith('/tickets/') && pathname.endsWith('/qr.svg')) || pathname === '/demo/events' || pathname.startsWith('/events/');

/** The page is one, whichever order it was opened for. */
const nameOf = (url) => (url.pathname === '/my/tickets' ? url.origin + url.pathname : url.href);

async function fetched(request, name) {
  const response = await fetch(request, { signal: AbortSignal.timeout(WAIT_MS) });
  const cache = await caches.open(CACHE);
  if (response.ok) await cache.put(name, response.clone());
  // A code that is refused now is not shown later.
  else if (response.status === 401 || response.status === 404 || response.status === 409) await cache.delete(name);
  return response;
}

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== location.origin || !isKept(url)) return;
  event.respondWith(fetched(request, nameOf(url)).catch(async (cause) => {
    const kept = await (await caches.open(CACHE)).match(nameOf(url));
    if (kept) return kept;
    throw cause;
  }));
});
