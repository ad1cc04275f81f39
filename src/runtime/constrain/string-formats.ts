/** Formats of strings as patterns, narrow enough that validators (ajv-formats, zod, pydantic) take what they let through. */

const leap = '(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)-02-29';
const date = `(?!0000)(?:${leap}|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8])))`;
const clock = '(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,6})?';
const zone = '(?:Z|[+-](?:0\\d|1[0-3]):[0-5]\\d)';
const label = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?';
const octet = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const ipv4 = `${octet}(?:\\.${octet}){3}`;
const group = '[0-9a-fA-F]{1,4}';
const ipv6 = [
  `(?:${group}:){7}${group}`,
  `:(?::${group}){1,7}`,
  '::',
  ...[1, 2, 3, 4, 5, 6].map((n) => `(?:${group}:){${n}}(?::${group}){1,${7 - n}}`),
].join('|');
const uuid = '[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}';
const path = "(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*";
const spans = [
  '\\d{1,9}W',
  '(?:\\d{1,9}Y(?:\\d{1,9}M(?:\\d{1,9}D)?)?|\\d{1,9}M(?:\\d{1,9}D)?|\\d{1,9}D)(?:T(?=\\d)(?:\\d{1,9}H)?(?:\\d{1,9}M)?(?:\\d{1,9}S)?)?',
  'T(?:\\d{1,9}H(?:\\d{1,9}M(?:\\d{1,9}S)?)?|\\d{1,9}M(?:\\d{1,9}S)?|\\d{1,9}S)',
];

const STRING_FORMATS: Record<string, string> = {
  date,
  time: `${clock}${zone}`,
  'date-time': `${date}T${clock}${zone}`,
  duration: `P(?:${spans.join('|')})`,
  uuid,
  uuid1: uuid,
  uuid3: uuid,
  uuid4: '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}',
  uuid5: uuid,
  email: `[A-Za-z0-9_+-]{1,40}(?:\\.[A-Za-z0-9_+-]{1,20})?@${label}(?:\\.${label}){0,2}\\.[A-Za-z]{2,12}`,
  ipv4,
  ipv6,
  hostname: `${label}(?:\\.${label}){0,4}`,
  uri: `[A-Za-z][A-Za-z0-9+.-]{0,20}://${label}(?:\\.${label}){0,4}(?::\\d{1,4})?(?:/${path})?(?:\\?${path})?(?:#${path})?`,
};

/** @returns the whole text as a pattern; undefined for a format that is not known */
export function formatPattern(format: string): string | undefined {
  const known = Object.hasOwn(STRING_FORMATS, format) ? STRING_FORMATS[format] : undefined;
  return known === undefined ? undefined : `^(?:${known})$`;
}
