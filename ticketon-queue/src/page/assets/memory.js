/** What one tab remembers; a browser that denies storage loses the bar's start and nothing else. */
export const memory = {
  get(key) {
    try {
      return sessionStorage.getItem(key);
    } catch {
      return null;
    }
  },
  set(key, value) {
    try {
      if (value === null) sessionStorage.removeItem(key);
      else sessionStorage.setItem(key, value);
    } catch {
      // Nothing to keep it in.
    }
  },
};
