/**
 * Numeric IP addresses: what inet_pton(3) and inet_ntop(3) do, in TypeScript. Pure.
 *
 * Happy path: `parseIPv6("::1")` gives 16 bytes in network order, and {@linkcode formatIPv6} the shortest text (RFC 5952).
 *
 * Unhappy path: anything else than a complete numeric address, such as a name, `127.1`, `010.0.0.1` or a scope:
 * `RangeError`.
 *
 * @module
 */

/**
 * Reads an IPv4 address.
 *
 * @param host four decimal numbers without leading zeros, separated by dots
 * @returns 4 bytes
 * @throws {RangeError} if it is anything else
 */
export function parseIPv4(host: string): Uint8Array<ArrayBuffer> {
  const parts = host.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) {
    throw new RangeError(`Cannot parse IPv4 address ${JSON.stringify(host)}: not four numbers from 0 to 255`);
  }
  return new Uint8Array(parts.map(Number));
}

/**
 * Writes an IPv4 address.
 *
 * @param bytes 4 bytes
 * @returns such as `127.0.0.1`
 */
export function formatIPv4(bytes: Uint8Array): string {
  return bytes.join(".");
}

/**
 * Reads an IPv6 address.
 *
 * @param host groups of up to four hexadecimal digits, at most one `::`, the last two groups possibly as IPv4
 * @returns 16 bytes
 * @throws {RangeError} if it is anything else
 */
export function parseIPv6(host: string): Uint8Array<ArrayBuffer> {
  const halves = host.split("::");
  const head = parseGroups(halves[0] ?? "", halves.length === 1);
  const tail = parseGroups(halves[1] ?? "", true);
  const count = (head?.length ?? 0) + (tail?.length ?? 0);
  // "::" stands for at least one group.
  const fits = halves.length === 1 ? count === 16 : halves.length === 2 && count <= 14;
  if (head === null || tail === null || !fits) {
    throw new RangeError(
      `Cannot parse IPv6 address ${JSON.stringify(host)}: not eight groups of hexadecimal digits`,
    );
  }
  const bytes = new Uint8Array(16);
  bytes.set(head, 0);
  bytes.set(tail, 16 - tail.length);
  return bytes;
}

/** The bytes of the groups on one side of `::`; null if they are malformed. */
function parseGroups(text: string, last: boolean): number[] | null {
  if (text === "") return [];
  const groups = text.split(":");
  const bytes: number[] = [];
  for (const [index, group] of groups.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    } else if (last && index === groups.length - 1 && group.includes(".")) {
      bytes.push(...parseIPv4(group));
    } else {
      return null;
    }
  }
  return bytes;
}

/**
 * Writes an IPv6 address in its shortest form: lower case, the longest run of zero groups as `::`, an IPv4-mapped one
 * with the IPv4 address in its usual form.
 *
 * @param bytes 16 bytes
 * @returns such as `::1` or `::ffff:127.0.0.1`
 */
export function formatIPv6(bytes: Uint8Array): string {
  const mapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff &&
    bytes[11] === 0xff;
  if (mapped) return `::ffff:${formatIPv4(bytes.subarray(12, 16))}`;

  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  const gap = longestZeros(groups);
  const hex = groups.map((group) => group.toString(16));
  if (gap.length < 2) return hex.join(":");
  return `${hex.slice(0, gap.start).join(":")}::${hex.slice(gap.start + gap.length).join(":")}`;
}

/** The first of the longest runs of zeros. */
function longestZeros(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (const [index, group] of groups.entries()) {
    if (group !== 0) start = index + 1;
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start };
  }
  return best;
}
