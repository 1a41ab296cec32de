/**
 * What the waiting page says, in English and Korean, and how it writes numbers and times.
 * A host may add a language: `TEXTS.de = { ... }` with the same entries.
 */

const LANGUAGE_KEY = 'ticketon.language';

/** The reader's language: `?lang=`, then the remembered choice, then the browser's. */
export function pickLanguage() {
  const asked = new URLSearchParams(location.search).get('lang');
  const wishes = [asked, remembered(), ...(navigator.languages ?? [navigator.language])];
  for (const wish of wishes) {
    const language = (wish ?? '').toLowerCase().split('-')[0];
    if (!Object.hasOwn(TEXTS, language)) continue;
    if (wish === asked) keep(language);
    return language;
  }
  return 'en';
}

/** Keeps the choice for the next pages, and out of an address that says otherwise. */
export function rememberLanguage(language) {
  keep(language);
  const address = new URL(location.href);
  if (address.searchParams.has('lang')) {
    address.searchParams.set('lang', language);
    history.replaceState(history.state, '', address);
  }
}

function keep(language) {
  try {
    localStorage.setItem(LANGUAGE_KEY, language);
  } catch {
    // Storage may be denied; the choice then lasts for this page.
  }
}

function remembered() {
  try {
    return localStorage.getItem(LANGUAGE_KEY);
  } catch {
    return null;
  }
}

/** 12431 -> "12,431" */
export function formatCount(count, language) {
  return new Intl.NumberFormat(language).format(count);
}

/** 90 -> "1:30" */
export function formatClock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const rest = String(whole % 60).padStart(2, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${rest}` : `${minutes}:${rest}`;
}

function koreanDuration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [
    [Math.floor(whole / 3600), '시간'],
    [Math.floor((whole % 3600) / 60), '분'],
    [whole % 60, '초'],
  ].filter(([amount]) => amount > 0);
  return parts.length > 0 ? parts.map(([amount, unit]) => `${amount}${unit}`).join(' ') : '0초';
}

/** A range in one unit, rounded outwards so that it never promises more than it knows. */
function etaRange(lowSeconds, highSeconds) {
  if (lowSeconds === null || highSeconds === null || lowSeconds === undefined || highSeconds === undefined) return null;
  const high = Math.max(lowSeconds, highSeconds);
  const low = Math.min(lowSeconds, highSeconds);
  if (high <= 10) return { low: 0, high: 10, unit: 's' };
  if (high < 120) return { low: Math.floor(low / 5) * 5, high: Math.ceil(high / 5) * 5, unit: 's' };
  if (high < 7200) return { low: Math.floor(low / 60), high: Math.ceil(high / 60), unit: 'min' };
  return { low: Math.floor(low / 3600), high: Math.ceil(high / 3600), unit: 'h' };
}

export const TEXTS = {
  en: {
    name: 'English',
    switchTo: 'Switch to English',
    waitingRoom: 'Waiting room',
    joining: 'Getting you a place in line...',
    place: (count) => ["You're number ", count, ''],
    noPlaceYet: "You're in the draw.",
    eta(lowSeconds, highSeconds) {
      const range = etaRange(lowSeconds, highSeconds);
      if (range === null) return 'estimating the wait';
      if (range.low <= 0) return `less than ${range.high} ${range.unit}`;
      if (range.low === range.high) return `about ${range.high} ${range.unit}`;
      return `about ${range.low} to ${range.high} ${range.unit}`;
    },
    ahead: 'Ahead of you',
    inAll: 'Waiting in all',
    lane: 'Lane',
    next: 'next',
    nextUp: "You're next",
    reassurance(graceSeconds) {
      const time = graceSeconds % 60 === 0 && graceSeconds > 0
        ? `${graceSeconds / 60} minute${graceSeconds === 60 ? '' : 's'}`
        : `${graceSeconds} seconds`;
      return `Reload freely. If you leave, we keep your place for ${time}.`;
    },
    offline: 'Your place is safe. Reconnecting...',
    notReached: 'The waiting room does not answer yet. Trying again...',
    states: {
      paused: 'Paused by the organiser. Your place is safe.',
      scheduled: 'The line is not moving yet. Your place is safe.',
      draw: 'The order is drawn when the line opens. No need to hurry.',
      soldOut: 'Sold out for now. You keep your place: returned tickets may reopen the line.',
      draining: 'The line is closed to newcomers. You are still in it.',
    },
    labels: {
      paused: 'Paused',
      scheduled: 'Opens soon',
      soldOut: 'Sold out for now',
      draining: 'Last round',
      offline: 'Reconnecting',
      open: 'Moving',
    },
    yourTurn: "It's your turn.",
    enterWithin: (seconds) => ['Enter within ', formatClock(seconds), ''],
    turnOver: 'Time is up. Checking...',
    stillIn: 'You are already in.',
    enter: 'Enter',
    entering: 'Opening the door...',
    enterFailed: 'The door did not answer. Please try again.',
    timeLeft: (seconds) => `${seconds} seconds left.`,
    soundOn: 'Sound: on',
    soundOff: 'Sound: off',
    soundHint: 'Play a sound when it is your turn',
    leave: 'Leave the line',
    leaveTurn: 'Give up my turn',
    leaveAsk: 'Leave the line?',
    leaveWarning: 'You give your place up now. If you come back, you start at the back.',
    leaveFailed: 'Leaving did not work. Please try again.',
    stay: 'Stay',
    joinAgain: 'Join again',
    tryAgain: 'Try again',
    useThisTab: 'Use this tab',
    home: 'Home',
    announcePlace: (count) => `You're number ${count}.`,
    announceBack: 'Connected again.',
    closed: {
      left: ['You left the line.', 'Your place went to the next person. You can join again at the back.'],
      missed: ['You missed your turn.', 'It went to the next person. You can join again at the back.'],
      away: ['Your place has lapsed.', 'You left, or were away for too long, so the line moved on. You can join again at the back.'],
      expired: ['Your time is over.', 'Your place went to the next person. You can join again at the back.'],
      completed: ['All done.', 'Your visit is complete. Thank you for waiting.'],
      roomClosed: ['This line has closed.', 'Nobody is admitted any more. Thank you for waiting.'],
      replaced: ['Continued in another tab.', 'Your place is safe there. You can bring it back here.'],
      ended: ['Your place has ended.', 'You can join again at the back of the line.'],
    },
    refused: {
      roomClosed: ['This line is closed.', 'Nobody can join it any more.'],
      soldOut: ['Sold out.', 'Returned tickets may reopen the line: look in again later.'],
      roomFull: ['The waiting room is full.', 'You are not in line yet.'],
      unknownEvent: ['There is no such event.', 'Please check the address.'],
      unauthenticated: ['Please sign in first.', 'The line needs to know who you are. Cookies must be allowed.'],
      forbidden: ['You cannot join this line.', 'Your account has no access to it.'],
      other: ['Something went wrong.', 'You are not in line. Please try again.'],
    },
    retryIn: (seconds) => `Trying again in ${formatClock(seconds)}`,
  },
  ko: {
    name: '한국어',
    switchTo: '한국어로 바꾸기',
    waitingRoom: '대기실',
    joining: '순번을 받고 있어요...',
    place: (count) => ['대기 순번 ', count, '번'],
    noPlaceYet: '추첨에 참여했어요.',
    eta(lowSeconds, highSeconds) {
      const range = etaRange(lowSeconds, highSeconds);
      if (range === null) return '예상 대기 시간 계산 중';
      const unit = { s: '초', min: '분', h: '시간' }[range.unit];
      if (range.low <= 0) return `예상 대기 시간 ${range.high}${unit} 이내`;
      if (range.low === range.high) return `예상 대기 시간 약 ${range.high}${unit}`;
      return `예상 대기 시간 ${range.low}~${range.high}${unit}`;
    },
    ahead: '내 앞',
    inAll: '전체 대기',
    lane: '구분',
    next: '다음',
    nextUp: '바로 다음 순서예요',
    reassurance(graceSeconds) {
      const time = graceSeconds % 60 === 0 && graceSeconds > 0 ? `${graceSeconds / 60}분` : `${graceSeconds}초`;
      return `새로고침해도 순번은 그대로예요. 나가셔도 ${time} 동안 순번을 지켜 드려요.`;
    },
    offline: '순번은 유지됩니다. 다시 연결하고 있어요...',
    notReached: '대기실이 아직 응답하지 않아요. 다시 시도하고 있어요...',
    states: {
      paused: '주최 측이 잠시 멈췄어요. 순번은 유지됩니다.',
      scheduled: '아직 입장이 시작되지 않았어요. 순번은 유지됩니다.',
      draw: '대기열이 열릴 때 추첨으로 순번을 정해요. 서두르지 않으셔도 돼요.',
      soldOut: '지금은 매진이에요. 취소표가 나오면 다시 열릴 수 있어 순번을 지켜 드려요.',
      draining: '새로 참여하는 것은 마감됐어요. 지금 순번은 그대로예요.',
    },
    labels: {
      paused: '일시 정지',
      scheduled: '곧 시작',
      soldOut: '현재 매진',
      draining: '참여 마감',
      offline: '다시 연결 중',
      open: '진행 중',
    },
    yourTurn: '입장하실 차례예요.',
    enterWithin: (seconds) => ['', koreanDuration(seconds), ' 안에 입장해 주세요'],
    turnOver: '시간이 다 됐어요. 확인하고 있어요...',
    stillIn: '이미 입장하셨어요.',
    enter: '입장하기',
    entering: '문을 열고 있어요...',
    enterFailed: '응답이 없어요. 다시 시도해 주세요.',
    timeLeft: (seconds) => `${seconds}초 남았어요.`,
    soundOn: '소리: 켜짐',
    soundOff: '소리: 꺼짐',
    soundHint: '차례가 되면 소리로 알림',
    leave: '대기 취소',
    leaveTurn: '입장 포기',
    leaveAsk: '대기열에서 나갈까요?',
    leaveWarning: '지금 순번은 사라지고, 다시 참여하면 맨 뒤에서 시작해요.',
    leaveFailed: '처리되지 않았어요. 다시 시도해 주세요.',
    stay: '계속 기다리기',
    joinAgain: '다시 참여하기',
    tryAgain: '다시 시도',
    useThisTab: '이 탭에서 계속하기',
    home: '처음으로',
    announcePlace: (count) => `대기 순번 ${count}번.`,
    announceBack: '다시 연결됐어요.',
    closed: {
      left: ['대기열에서 나왔어요.', '순번은 다음 분께 넘어갔어요. 다시 참여하면 맨 뒤에서 시작해요.'],
      missed: ['입장 시간이 지났어요.', '다음 분께 차례가 넘어갔어요. 다시 참여하면 맨 뒤에서 시작해요.'],
      away: ['순번이 만료됐어요.', '나가셨거나 오래 자리를 비우셔서 순번이 지나갔어요. 다시 참여하면 맨 뒤에서 시작해요.'],
      expired: ['이용 시간이 끝났어요.', '다음 분께 차례가 넘어갔어요. 다시 참여하면 맨 뒤에서 시작해요.'],
      completed: ['모두 끝났어요.', '이용이 완료됐어요. 기다려 주셔서 고맙습니다.'],
      roomClosed: ['대기열이 종료됐어요.', '더 이상 입장할 수 없어요. 기다려 주셔서 고맙습니다.'],
      replaced: ['다른 탭에서 이어지고 있어요.', '순번은 그대로예요. 이 탭으로 다시 가져올 수 있어요.'],
      ended: ['이 순번은 끝났어요.', '다시 참여하면 맨 뒤에서 시작해요.'],
    },
    refused: {
      roomClosed: ['대기열이 마감됐어요.', '더 이상 참여할 수 없어요.'],
      soldOut: ['매진됐어요.', '취소표가 나오면 다시 열릴 수 있어요. 나중에 다시 확인해 주세요.'],
      roomFull: ['대기실이 가득 찼어요.', '아직 순번을 받지 못했어요.'],
      unknownEvent: ['없는 공연이에요.', '주소를 다시 확인해 주세요.'],
      unauthenticated: ['먼저 로그인해 주세요.', '본인 확인이 필요해요. 쿠키를 허용해 주세요.'],
      forbidden: ['참여할 수 없는 대기열이에요.', '이 계정에는 권한이 없어요.'],
      other: ['문제가 생겼어요.', '아직 순번을 받지 못했어요. 다시 시도해 주세요.'],
    },
    retryIn: (seconds) => `${koreanDuration(seconds)} 뒤 다시 시도합니다`,
  },
};
