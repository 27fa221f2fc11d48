import { assertEquals, assertThrows } from "@std/assert";
import { SysError } from "./errno.ts";
import {
  decodeRlimit,
  encodeRlimit,
  getLimit,
  type LimitName,
  LIMITS,
  setLimit,
  UNLIMITED,
} from "./limits.ts";

/** The names in `/proc/self/limits`. */
const TITLES: Readonly<Record<LimitName, string>> = {
  cpu: "Max cpu time",
  fsize: "Max file size",
  data: "Max data size",
  stack: "Max stack size",
  core: "Max core file size",
  rss: "Max resident set",
  nproc: "Max processes",
  nofile: "Max open files",
  memlock: "Max locked memory",
  as: "Max address space",
  locks: "Max file locks",
  sigpending: "Max pending signals",
  msgqueue: "Max msgqueue size",
  nice: "Max nice priority",
  rtprio: "Max realtime priority",
  rttime: "Max realtime timeout",
};

Deno.test("getLimit() says what /proc/self/limits says, for each limit", () => {
  const lines = Deno.readTextFileSync("/proc/self/limits").split("\n");
  for (const name of Object.keys(LIMITS) as LimitName[]) {
    const line = lines.find((line) => line.startsWith(`${TITLES[name]} `)) ?? "";
    const values = line.slice(TITLES[name].length).trim().split(/\s+/).slice(0, 2)
      .map((text) => text === "unlimited" ? UNLIMITED : BigInt(text));
    const { soft, hard } = getLimit(name);
    assertEquals([soft, hard], values, name);
  }
});

Deno.test("setLimit() sets what getLimit() reads", () => {
  const before = getLimit("core");
  try {
    setLimit("core", { soft: 0n, hard: before.hard });
    assertEquals(getLimit("core"), { soft: 0n, hard: before.hard });
  } finally {
    setLimit("core", before);
  }
  assertEquals(getLimit("core"), before);
});

Deno.test("setLimit() refuses soft above hard, and changes nothing", () => {
  const before = getLimit("core");
  assertEquals(assertThrows(() => setLimit("core", { soft: 2n, hard: 1n }), SysError).code, "EINVAL");
  assertEquals(getLimit("core"), before);
});

Deno.test("encodeRlimit() writes two 64-bit numbers, decodeRlimit() reads them", () => {
  const limit = { soft: 0x0102030405060708n, hard: UNLIMITED };
  assertEquals(encodeRlimit(limit).toHex(), "0807060504030201" + "ffffffffffffffff");
  assertEquals(decodeRlimit(encodeRlimit(limit)), limit);
  assertThrows(() => encodeRlimit({ soft: -1n, hard: 0n }), RangeError);
  assertThrows(() => encodeRlimit({ soft: 0n, hard: UNLIMITED + 1n }), RangeError);
});
