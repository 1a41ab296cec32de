/**
 * The sandbox's page: the buyer says what the payment comes to, and goes back with its key. Opening a payment
 * charges nothing; the shop confirms it afterwards.
 */

import { pickLanguage, rememberLanguage, TEXTS } from '../../ticketon/texts.js';
import { PAY_TEXTS } from './pay-texts.js';

const ANSWER_WITHIN_MS = 15_000;

const byId = (id) => document.getElementById(id);
const page = byId('pay');
const { orderId, currency, returnUrl, paymentsUrl } = page.dataset;
const amount = Number(page.dataset.amount);

let language = pickLanguage();
let text = PAY_TEXTS[language];
let busy = false;
/** The code of the last problem, or null. */
let trouble = null;

function money() {
  const format = new Intl.NumberFormat(language, { style: 'currency', currency });
  return format.format(amount / 10 ** format.resolvedOptions().maximumFractionDigits);
}

function draw() {
  const other = Object.keys(PAY_TEXTS).find((candidate) => candidate !== language);
  document.documentElement.lang = language;
  document.documentElement.dataset.busy = String(busy);
  byId('language').textContent = TEXTS[other].name;
  byId('language').lang = other;
  byId('language').setAttribute('aria-label', TEXTS[other].switchTo);
  for (const target of document.querySelectorAll('[data-text]')) target.textContent = text[target.dataset.text];
  document.title = `${text.sandbox} · ${text.title}`;
  byId('amount').textContent = money();
  byId('approve').textContent = busy ? text.paying : text.pay(money());
  for (const button of document.querySelectorAll('[data-outcome]')) {
    button.disabled = busy;
    const words = text.outcomes[button.dataset.outcome];
    if (words) [...button.children].forEach((part, at) => { part.textContent = words[at]; });
  }
  const words = trouble === null ? '' : text.problems[trouble] ?? text.problems.other(trouble);
  byId('trouble').hidden = words === '';
  if (byId('trouble').textContent !== words) byId('trouble').textContent = words;
}

/** Where the shop goes on, told these things. */
function shopAddress(told) {
  const address = new URL(returnUrl, location.origin);
  for (const [name, value] of Object.entries(told)) address.searchParams.set(name, value);
  return address.href;
}

async function choose(outcome) {
  if (busy) return;
  busy = true;
  trouble = null;
  draw();
  byId('polite').textContent = text.paying;
  try {
    const { paymentKey } = await open(outcome);
    // Going back must not lead here again: the payment is made.
    location.replace(shopAddress({ paymentKey, orderId, amount: String(amount) }));
  } catch (problem) {
    busy = false;
    trouble = problem.code ?? 'network';
    byId('polite').textContent = '';
    draw();
  }
}

async function open(outcome) {
  const response = await fetch(paymentsUrl, {
    method: 'POST', credentials: 'same-origin', cache: 'no-store',
    headers: { Accept: 'application/json', 'Content-Type': 'application/json' },
    body: JSON.stringify({ orderId, amount, currency, outcome }),
    signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
  }).catch(() => {
    throw Object.assign(new Error('no answer'), { code: 'network' });
  });
  const answer = await response.json().catch(() => null);
  if (response.ok && answer?.paymentKey) return answer;
  throw Object.assign(new Error(`answered ${response.status}`), { code: answer?.code ?? `http${response.status}` });
}

for (const button of document.querySelectorAll('[data-outcome]')) {
  button.addEventListener('click', () => choose(button.dataset.outcome));
}
byId('back').href = shopAddress({ orderId, code: 'userCanceled' });
byId('language').addEventListener('click', () => {
  language = Object.keys(PAY_TEXTS).find((candidate) => candidate !== language);
  text = PAY_TEXTS[language];
  rememberLanguage(language);
  draw();
});
addEventListener('pageshow', ({ persisted }) => {
  if (!persisted) return;
  busy = false;
  draw();
});
draw();
