/**
 * Bits by name: an application writes `["modify", "oneshot"]`, the kernel reads a mask.
 *
 * @module
 */

/** Names and their bits. */
export type BitTable = Readonly<Record<string, number>>;

/**
 * The mask of some names.
 *
 * @param table what names there are
 * @param names the names
 * @param what what is asked for, for messages
 * @throws {RangeError} for a name that is not in the table
 */
export function maskOf(table: BitTable, names: readonly string[], what: string): number {
  return names.reduce((mask, name) => {
    const bit = Object.hasOwn(table, name) ? table[name] : undefined;
    if (bit === undefined) {
      const known = Object.keys(table).join(", ");
      throw new RangeError(`Cannot ${what}: there is no "${name}", known are ${known}`);
    }
    return (mask | bit) >>> 0;
  }, 0);
}

/**
 * The names of the bits in a mask, in the order of the table.
 *
 * @param table what names there are
 * @param mask bits; those without a name are passed over
 */
export function namesOf<Name extends string>(table: Readonly<Record<Name, number>>, mask: number): Name[] {
  return (Object.entries(table) as [Name, number][]).filter(([, bit]) => (mask & bit) !== 0).map(([name]) =>
    name
  );
}
