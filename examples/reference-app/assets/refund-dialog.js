/**
 * Asks which tickets are given back and why, says how much that is, and gives them back.
 *
 * It is of the order and the language that it was opened with: whatever the page behind learns, nothing moves under
 * the hands of whoever types in it.
 */

import { app, button, element, learnEvents, money, problemWords, seatLine, seatName, setText } from './purchase.js';

const OTHER = -1;

export class RefundDialog {
  #dialog;
  #calls;
  #words;
  #order = null;
  #chosen = new Set();
  #why = 0;
  #busy = false;
  #trouble = null;
  #parts = null;

  /**
   * `calls.refund(order, {tickets, reason})` gives them back; `calls.done(order, amount)` hears of it. `words(text)` are
   * those that differ for whoever gives back what somebody else bought.
   */
  constructor(dialog, calls, words = () => ({})) {
    this.#dialog = dialog;
    this.#calls = calls;
    this.#words = words;
    dialog.addEventListener('cancel', (event) => {
      // What is on its way to the server is waited for.
      if (this.#busy) event.preventDefault();
    });
    dialog.addEventListener('close', () => { this.#order = null; });
  }

  open(order) {
    this.#order = order;
    this.#chosen = new Set(this.#good().map(({ ticketId }) => ticketId));
    this.#why = 0;
    this.#trouble = null;
    this.#build();
    this.#dialog.showModal();
    learnEvents([order.eventId], () => this.#nameSeats());
  }

  #text() {
    return { ...app.text, ...this.#words(app.text) };
  }

  #good() {
    return this.#order.tickets.filter(({ status }) => status === 'valid');
  }

  #amount() {
    return this.#good().filter(({ ticketId }) => this.#chosen.has(ticketId)).reduce((sum, { price }) => sum + price, 0);
  }

  /** Writes what the seats are called, once that is known; all else stays as it is, with the focus and what is typed. */
  #nameSeats() {
    if (this.#order === null || !this.#dialog.open) return;
    for (const [at, { seat }] of this.#good().entries()) {
      const name = this.#parts.form.querySelectorAll('.refund-ticket .line-seat')[at];
      if (name) setText(name, seatName(seat, this.#order.eventId));
    }
  }

  #build() {
    const text = this.#text();
    const form = element('form', 'refund-form');
    form.noValidate = true;
    const title = element('h2', '', text.refundTitle);
    title.id = 'refund-title';
    const which = element('fieldset', 'refund-which');
    which.append(element('legend', '', text.refundWhich), this.#tickets());
    const why = element('fieldset', 'refund-why');
    const other = Object.assign(element('input', 'refund-other'), { type: 'text', maxLength: 200, autocomplete: 'off' });
    other.setAttribute('aria-label', text.refundOtherLabel);
    other.placeholder = text.refundOtherLabel;
    other.addEventListener('input', () => this.#update());
    why.append(element('legend', '', text.refundWhy), ...[...text.refundReasons.keys(), OTHER].map((at) => this.#reason(at, text)), other);
    const sum = element('p', 'refund-sum');
    const amount = element('strong', '');
    amount.setAttribute('role', 'status');
    sum.append(element('span', '', text.refundAmount), amount);
    const warning = element('p', 'refund-warning', text.refundWarning);
    warning.id = 'refund-warning';
    const trouble = element('p', 'refund-trouble');
    trouble.setAttribute('role', 'alert');
    const go = element('button', 'tk-main refund-go');
    const keep = button('tk-plain', text.keepTickets, () => this.#dialog.close());
    keep.autofocus = true;
    const choices = element('div', 'tk-choices');
    choices.append(go, keep);
    form.append(title, which, why, sum, warning, trouble, choices);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#parts = { form, other, amount, trouble, go, keep };
    this.#dialog.replaceChildren(form);
    this.#update();
  }

  #tickets() {
    const list = element('ul', 'refund-tickets');
    for (const { ticketId, seat, grade, price } of this.#good()) {
      const row = seatLine({ label: seat, grade, price, currency: this.#order.currency, eventId: this.#order.eventId });
      const label = element('label', 'refund-ticket');
      const box = Object.assign(element('input'), { type: 'checkbox', checked: this.#chosen.has(ticketId) });
      box.addEventListener('change', () => {
        if (box.checked) this.#chosen.add(ticketId);
        else this.#chosen.delete(ticketId);
        this.#update();
      });
      label.append(box, ...row.childNodes);
      const item = element('li');
      item.append(label);
      list.append(item);
    }
    return list;
  }

  #reason(at, text) {
    const label = element('label', 'refund-reason');
    const radio = Object.assign(element('input'), { type: 'radio', name: 'why', value: String(at), checked: this.#why === at });
    radio.addEventListener('change', () => {
      this.#why = at;
      this.#update();
      if (at === OTHER) this.#parts.other.focus();
    });
    label.append(radio, element('span', '', at === OTHER ? text.refundOther : text.refundReasons[at]));
    return label;
  }

  #said() {
    return this.#why === OTHER ? this.#parts.other.value.trim() : this.#text().refundReasons[this.#why];
  }

  #update() {
    const text = this.#text();
    const { other, amount, trouble, go, keep, form } = this.#parts;
    const words = money(this.#amount(), this.#order.currency);
    other.hidden = this.#why !== OTHER;
    setText(amount, words);
    setText(trouble, this.#trouble ? problemWords(this.#trouble).join('. ') : '');
    const none = this.#chosen.size === 0;
    setText(go, this.#busy ? text.refunding : none ? text.refundNone : text.refundGo(words));
    go.disabled = this.#busy || none || this.#said() === '';
    keep.disabled = this.#busy;
    for (const input of form.querySelectorAll('input')) input.disabled = this.#busy;
  }

  async #submit() {
    if (this.#busy || this.#chosen.size === 0 || this.#said() === '') return;
    const [order, amount] = [this.#order, this.#amount()];
    const wanted = { tickets: [...this.#chosen].sort(), reason: this.#said() };
    this.#busy = true;
    this.#trouble = null;
    this.#update();
    try {
      const after = await this.#calls.refund(order, wanted);
      this.#busy = false;
      this.#dialog.close();
      this.#calls.done(after, amount);
    } catch (problem) {
      this.#busy = false;
      // What was chosen stays: the next press asks for the same.
      this.#trouble = problem.code ?? 'network';
      this.#update();
    }
  }
}
