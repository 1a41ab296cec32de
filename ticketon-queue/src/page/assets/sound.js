/** The optional sound of the waiting page: a chime when it is your turn. */

import { memory } from './memory.js';

const SOUND_KEY = 'ticketon.sound';

export const sound = {
  wanted: memory.get(SOUND_KEY) === 'on',
  context: null,
  /** Browsers let a page sound only after a gesture: called from one. */
  unlock() {
    if (!this.wanted) return;
    this.context ??= new AudioContext();
    if (this.context.state === 'suspended') this.context.resume();
  },
  toggle() {
    this.wanted = !this.wanted;
    memory.set(SOUND_KEY, this.wanted ? 'on' : null);
    this.unlock();
    if (this.wanted) this.play([[880, 0]]);
  },
  turn() {
    if (!this.wanted) return;
    this.play([[659, 0], [880, 0.18], [1175, 0.36], [659, 1], [880, 1.18], [1175, 1.36]]);
    navigator.vibrate?.([200, 100, 200]);
  },
  play(notes) {
    const { context } = this;
    if (!context) return;
    for (const [frequency, after] of notes) {
      const at = context.currentTime + after;
      const tone = new OscillatorNode(context, { frequency, type: 'triangle' });
      const volume = new GainNode(context, { gain: 0 });
      volume.gain.setValueAtTime(0, at);
      volume.gain.linearRampToValueAtTime(0.25, at + 0.02);
      volume.gain.exponentialRampToValueAtTime(0.001, at + 0.35);
      tone.connect(volume).connect(context.destination);
      tone.start(at);
      tone.stop(at + 0.4);
    }
  },
};
