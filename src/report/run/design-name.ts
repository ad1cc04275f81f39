/** The designs of a JetBlock by what they change in the released one, in words. */

const WHOLE: Record<string, string> = {
  released: 'released',
  rope: 'RoPE on queries and keys',
  'qConv-kConv-static': 'static convolutions on q and k too',
  'all-static': 'static convolutions on q, k and v',
  'all-dynamic': 'dynamic convolutions on q, k and v',
  'generatorInput-projection': 'filters generated from the values',
};

/** The name itself if it is newer than this report. */
export function designName(name: string): string {
  if (Object.hasOwn(WHOLE, name)) return WHOLE[name]!;
  const [, of, kind] = /^([qkv])Conv-(none|static|dynamic)$/.exec(name) ?? [];
  if (of)
    return kind === 'none'
      ? `no convolution on ${of}`
      : `${kind} convolution on ${of}${of === 'v' ? '' : ' too'}`;
  const [, part, value] = /^(convSize|generatorReduction|gate)-(\w+)$/.exec(name) ?? [];
  if (part === 'convSize') return `convolutions of ${value} taps`;
  if (part === 'generatorReduction') return `generator of 1/${value} of the width`;
  return part === 'gate' ? `${value} gate` : name;
}
