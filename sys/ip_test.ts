import { assertEquals, assertThrows } from "@std/assert";
import { formatIPv4, formatIPv6, parseIPv4, parseIPv6 } from "./ip.ts";
import { openTestLibc } from "./helpers_test.ts";

const libc = openTestLibc();
globalThis.addEventListener("unload", () => libc.close());

/** What the C library makes of it; null if it refuses. */
function inetPton(family: 2 | 10, host: string): Uint8Array | null {
  const bytes = new Uint8Array(family === 2 ? 4 : 16);
  return libc.symbols.inet_pton(family, new TextEncoder().encode(`${host}\0`), bytes) === 1 ? bytes : null;
}

function inetNtop(bytes: Uint8Array<ArrayBuffer>): string {
  const text = new Uint8Array(46);
  libc.symbols.inet_ntop(bytes.length === 4 ? 2 : 10, bytes, text, text.length);
  return new TextDecoder().decode(text.subarray(0, text.indexOf(0)));
}

/** What `parse` makes of it; null if it refuses. */
function tryParse(parse: (host: string) => Uint8Array, host: string): Uint8Array | null {
  try {
    return parse(host);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

const IPV4 =
  "0.0.0.0 127.0.0.1 255.255.255.255 1.2.3 1.2.3.4.5 256.0.0.0 01.2.3.4 1.2.3.04 1..2.3 .1.2.3 1.2.3. -1.2.3.4 " +
  "+1.2.3.4 0x1.2.3.4 1.2.3.4a localhost 1.2.3.1000 ١.2.3.4";
const IPV6 =
  ":: ::1 1:: 1:2:3:4:5:6:7:8 1:2:3:4:5:6:7:: ::2:3:4:5:6:7:8 1::8 1:2:3:4:5:6:7 1:2:3:4:5:6:7:8:9 1::2::3 ::: 1::: " +
  ":1 1: :1:2:3:4:5:6:7:8 1:2:3:4:5:6:7:8: 1:2:3:4::5:6:7:8 1:2:3:4:5:6:7::8 ::ffff:1.2.3.4 ::1.2.3.4 1:2:3:4:5:6:1.2.3.4 " +
  "1:2:3:4:5:6:7:1.2.3.4 1:2:3:4:5::1.2.3.4 1.2.3.4:: 1.2.3.4 ::1.2.3.4:1 ::1.2.3 ::1.2.3.04 ::1.2.3.256 12345:: g:: ABCD::ef " +
  "fe80::1%eth0 fe80::1%2 [::1] 0001:: 00001:: ::%";

Deno.test("parseIPv4() reads and refuses what inet_pton(3) does", () => {
  for (const host of [...IPV4.split(" "), "", " 1.2.3.4", "1.2.3.4 ", "1.2.3.4\n"]) {
    assertEquals(tryParse(parseIPv4, host), inetPton(2, host), host);
  }
});

Deno.test("parseIPv6() reads and refuses what inet_pton(3) does", () => {
  for (const host of [...IPV6.split(" "), "", " ::1", "::1 ", "::1\n"]) {
    assertEquals(tryParse(parseIPv6, host), inetPton(10, host), host);
  }
});

Deno.test("parseIPv6() reads and refuses what inet_pton(3) does, of 20000 random texts", () => {
  const parts = ["0", "1", "ab", "ffff", ":", "::", ".", "1.2.3.4", "255", "12345", "g", "%"];
  let accepted = 0;
  for (let i = 0; i < 20_000; i++) {
    const length = 1 + Math.floor(Math.random() * 16);
    const host = Array.from(
      { length },
      (_, k) => k % 2 === 1 && Math.random() < 0.8 ? ":" : parts[Math.floor(Math.random() * 12)],
    )
      .join("");
    const expected = inetPton(10, host);
    if (expected !== null) accepted++;
    assertEquals(tryParse(parseIPv6, host), expected, host);
  }
  assertEquals(accepted > 100, true, `${accepted} accepted`);
});

Deno.test("formatIPv6() writes what inet_ntop(3) writes, and parseIPv6() reads it back", () => {
  for (let i = 0; i < 5000; i++) {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    const zeros = Math.random();
    for (let group = 0; group < 8; group++) {
      if (Math.random() < zeros) bytes.fill(0, 2 * group, 2 * group + 2);
    }
    const text = formatIPv6(bytes);
    assertEquals(parseIPv6(text), bytes, text);
    // The C library writes ::a.b.c.d for the long-dead IPv4-compatible addresses; RFC 5952 asks for that only where it is known.
    const compatible = bytes.subarray(0, 12).every((byte) => byte === 0);
    if (!compatible) assertEquals(text, inetNtop(bytes));
  }
});

Deno.test("formatIPv6() shortens as RFC 5952 says", () => {
  const cases: [string, string][] = [
    ["0:0:0:0:0:0:0:0", "::"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["1:0:0:0:0:0:0:0", "1::"],
    ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["0:0:0:0:0:ffff:7f00:1", "::ffff:127.0.0.1"],
    ["0:0:0:0:0:0:7f00:1", "::7f00:1"],
  ];
  for (const [long, short] of cases) assertEquals(formatIPv6(parseIPv6(long)), short);
});

Deno.test("formatIPv4() and parseIPv4() are inverse", () => {
  for (let i = 0; i < 1000; i++) {
    const bytes = crypto.getRandomValues(new Uint8Array(4));
    assertEquals(parseIPv4(formatIPv4(bytes)), bytes);
  }
});

Deno.test("parseIPv4() and parseIPv6() name what they refuse", () => {
  assertThrows(() => parseIPv4("localhost"), RangeError, '"localhost"');
  assertThrows(() => parseIPv6("localhost"), RangeError, '"localhost"');
});
