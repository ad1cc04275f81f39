/** Python's strftime in the C locale, at a local time. */
export function strftime(format: string, date: Date): string {
  const two = (number: number) => String(number).padStart(2, '0');
  const day = dayOfYear(date);
  const week = (first: number) => two(Math.floor((day + 6 - ((date.getDay() - first + 7) % 7)) / 7));
  const hour = date.getHours() % 12 || 12;
  const year = String(date.getFullYear());
  const parts: Record<string, () => string> = {
    a: () => DAYS[date.getDay()]!.slice(0, 3),
    A: () => DAYS[date.getDay()]!,
    b: () => MONTHS[date.getMonth()]!.slice(0, 3),
    B: () => MONTHS[date.getMonth()]!,
    c: () => strftime('%a %b %e %H:%M:%S %Y', date),
    C: () => two(Math.floor(date.getFullYear() / 100)),
    d: () => two(date.getDate()),
    D: () => strftime('%m/%d/%y', date),
    e: () => String(date.getDate()).padStart(2),
    f: () => String(date.getMilliseconds() * 1000).padStart(6, '0'),
    F: () => strftime('%Y-%m-%d', date),
    G: () => String(isoWeek(date).year),
    g: () => two(isoWeek(date).year % 100),
    h: () => strftime('%b', date),
    H: () => two(date.getHours()),
    I: () => two(hour),
    j: () => String(day).padStart(3, '0'),
    k: () => String(date.getHours()).padStart(2),
    l: () => String(hour).padStart(2),
    m: () => two(date.getMonth() + 1),
    M: () => two(date.getMinutes()),
    n: () => '\n',
    p: () => (date.getHours() < 12 ? 'AM' : 'PM'),
    P: () => (date.getHours() < 12 ? 'am' : 'pm'),
    r: () => strftime('%I:%M:%S %p', date),
    R: () => strftime('%H:%M', date),
    s: () => String(Math.floor(date.getTime() / 1000)),
    S: () => two(date.getSeconds()),
    t: () => '\t',
    T: () => strftime('%H:%M:%S', date),
    u: () => String(date.getDay() || 7),
    U: () => week(0),
    V: () => two(isoWeek(date).week),
    w: () => String(date.getDay()),
    W: () => week(1),
    x: () => strftime('%m/%d/%y', date),
    X: () => strftime('%H:%M:%S', date),
    y: () => two(date.getFullYear() % 100),
    Y: () => year,
    // A time without a zone, as datetime.now() is.
    z: () => '',
    Z: () => '',
    '%': () => '%',
  };
  return format.replace(/%(-?)([a-zA-Z%])/g, (all, bare: string, letter: string) => {
    const text = parts[letter]?.() ?? all;
    return bare && parts[letter] ? text.replace(/^[0 ]+(?=.)/, '') : text;
  });
}

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = [
  ...['January', 'February', 'March', 'April', 'May', 'June', 'July'],
  ...['August', 'September', 'October', 'November', 'December'],
];

/** From 1; counted in UTC, where every day has 24 hours. */
function dayOfYear(date: Date): number {
  const year = date.getFullYear();
  return (Date.UTC(year, date.getMonth(), date.getDate()) - Date.UTC(year, 0, 0)) / 86_400_000;
}

function isoWeek(date: Date): { year: number; week: number } {
  const thursday = new Date(date.getFullYear(), date.getMonth(), date.getDate() + 4 - (date.getDay() || 7));
  return { year: thursday.getFullYear(), week: Math.ceil(dayOfYear(thursday) / 7) };
}
