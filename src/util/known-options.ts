import { InputError } from './errors.ts';

const plain = (name: string) => name.replaceAll(/[-_]/g, '').toLowerCase();

/**
 * Programs that are not type-checked may spell an option as another library does: left alone it would say nothing and do
 * nothing.
 *
 * @param known the names, as a record so that the compiler misses none
 * @throws InputError naming the option, and the one that is meant or all that there are
 */
export function checkKnown(options: object, known: Readonly<Record<string, true>>): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || Object.hasOwn(known, name)) continue;
    const names = Object.keys(known);
    const meant = names.find((each) => plain(each) === plain(name));
    throw new InputError(`unknown option '${name}'; expected ${meant ?? `one of ${names.join(', ')}`}`);
  }
}
