import { assertEquals, assertThrows } from "@std/assert";
import { decodeSockaddr, encodeSockaddr, formatAddress, type SocketAddress } from "./sockaddr.ts";

/** The same bytes on x86-64 and aarch64: family in host order (little-endian), port and IP in network order. */
const GOLDEN: [SocketAddress, string, string][] = [
  [
    { family: "inet", host: "127.0.0.1", port: 8080 },
    "02001f90" + "7f000001" + "00".repeat(8),
    "127.0.0.1:8080",
  ],
  [{ family: "inet", host: "0.0.0.0", port: 0 }, "02000000" + "00".repeat(12), "0.0.0.0:0"],
  [
    { family: "inet6", host: "::1", port: 443 },
    "0a0001bb" + "00000000" + "00".repeat(15) + "01" + "00000000",
    "[::1]:443",
  ],
  [
    { family: "inet6", host: "fe80::1", port: 65535, scope: 0x0102 },
    "0a00ffff" + "00000000" + "fe80" + "00".repeat(13) + "01" + "02010000",
    "[fe80::1%258]:65535",
  ],
  [
    { family: "inet6", host: "::ffff:10.1.2.3", port: 1 },
    "0a000001" + "00000000" + "00".repeat(10) + "ffff0a010203" + "00000000",
    "[::ffff:10.1.2.3]:1",
  ],
  [{ family: "unix", path: "/a" }, "0100" + "2f6100", "unix:/a"],
  [{ family: "unix", path: "ä" }, "0100" + "c3a400", "unix:ä"],
  [{ family: "abstract", name: "n" }, "0100" + "006e", "unix:@n"],
  [{ family: "abstract", name: "a\0b" }, "0100" + "00610062", "unix:@a\0b"],
  [{ family: "unnamed" }, "0100", "unix:"],
];

Deno.test("encodeSockaddr() and decodeSockaddr() agree with the layout, byte by byte", () => {
  for (const [address, hex, text] of GOLDEN) {
    assertEquals(encodeSockaddr(address).toHex(), hex);
    assertEquals(decodeSockaddr(Uint8Array.fromHex("ff" + hex).subarray(1)), address);
    assertEquals(formatAddress(address), text);
  }
});

Deno.test("encodeSockaddr() leaves the terminator off a path that fills the field", () => {
  for (const length of [1, 106, 107, 108]) {
    const address: SocketAddress = { family: "unix", path: "p".repeat(length) };
    const bytes = encodeSockaddr(address);
    assertEquals(bytes.length, 2 + Math.min(length + 1, 108));
    assertEquals(decodeSockaddr(bytes), address);
  }
  const longest: SocketAddress = { family: "abstract", name: "n".repeat(107) };
  assertEquals(encodeSockaddr(longest).length, 110);
  assertEquals(decodeSockaddr(encodeSockaddr(longest)), longest);
});

Deno.test("decodeSockaddr() ignores what follows the end of a path", () => {
  const bytes = Uint8Array.fromHex("0100" + "2f6100" + "787878");
  assertEquals(decodeSockaddr(bytes), { family: "unix", path: "/a" });
});

Deno.test("decodeSockaddr() keeps names that are not UTF-8", () => {
  for (const hex of ["0100" + "00ff80", "0100" + "2fff00"]) {
    assertEquals(encodeSockaddr(decodeSockaddr(Uint8Array.fromHex(hex))).toHex(), hex);
  }
});

Deno.test("encodeSockaddr() refuses what does not fit, and names it", () => {
  const cases: [SocketAddress, string][] = [
    [{ family: "inet", host: "localhost", port: 1 }, '"localhost"'],
    [{ family: "inet", host: "::1", port: 1 }, '"::1"'],
    [{ family: "inet6", host: "127.0.0.1", port: 1 }, '"127.0.0.1"'],
    [{ family: "inet", host: "0.0.0.0", port: 65536 }, "65536"],
    [{ family: "inet", host: "0.0.0.0", port: -1 }, "-1"],
    [{ family: "inet", host: "0.0.0.0", port: 1.5 }, "1.5"],
    [{ family: "inet6", host: "::", port: NaN }, "NaN"],
    [{ family: "inet6", host: "::", port: 1, scope: 2 ** 32 }, "scope"],
    [{ family: "unix", path: "" }, '""'],
    [{ family: "unix", path: "/a\0b" }, "NUL"],
    [{ family: "unix", path: "p".repeat(109) }, "108"],
    [{ family: "unix", path: "ä".repeat(55) }, "108"],
    [{ family: "abstract", name: "" }, '""'],
    [{ family: "abstract", name: "n".repeat(108) }, "107"],
  ];
  for (const [address, text] of cases) assertThrows(() => encodeSockaddr(address), RangeError, text);
});

Deno.test("decodeSockaddr() refuses short and foreign structures", () => {
  for (
    const hex of [
      "",
      "02",
      "0200",
      "02001f907f0000010000000000000000".slice(0, 30),
      "0a000001",
      "1000aabbccdd",
      "0000",
    ]
  ) {
    assertThrows(() => decodeSockaddr(Uint8Array.fromHex(hex)), RangeError, `${hex.length / 2} bytes`);
  }
});
