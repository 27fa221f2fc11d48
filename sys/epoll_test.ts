import { assertEquals, assertThrows } from "@std/assert";

import {
  addInterest,
  createEpoll,
  decodeEvents,
  encodeEvent,
  EPOLL,
  hasInterest,
  interestsOf,
  isInterestIn,
  kernelDevice,
  modifyInterest,
  parseInterests,
  removeInterest,
  waitNow,
} from "./epoll.ts";
import { SysError } from "./errno.ts";
import { dupOnto, getCloexec } from "./fd.ts";
import { writeAll } from "./file.ts";
import { makeSocketPair } from "./helpers_test.ts";
import { fstat } from "./stat.ts";

const EVENT = { events: EPOLL.IN + EPOLL.ET, data: 0x1122334455667788n };

Deno.test("struct epoll_event is packed on x86_64 and has a gap on aarch64", () => {
  const head = [1, 0, 0, 0x80];
  const data = [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11];
  const packed = new Uint8Array([...head, ...data]);
  const padded = new Uint8Array([...head, 0, 0, 0, 0, ...data]);
  assertEquals(encodeEvent(EVENT, "x86_64"), packed);
  assertEquals(encodeEvent(EVENT, "aarch64"), padded);
  const other = { events: EPOLL.HUP, data: 0xffff_ffff_ffff_ffffn };
  for (const arch of ["x86_64", "aarch64"] as const) {
    const both = new Uint8Array([...encodeEvent(EVENT, arch), ...encodeEvent(other, arch)]);
    assertEquals(decodeEvents(both, arch), [EVENT, other]);
  }
});

Deno.test("parseInterests() reads the lines of fdinfo, and counts entries of one number", () => {
  const lines = "tfd:       22 events: 40000019 data: ffffffffffffffff  pos:0 ino:12 sdev:10\n" +
    "tfd:        5 events:        1 data:                a  pos:-1 ino:1a sdev:fe00001\n" +
    "tfd:       22 events:       1d data:                0  pos:0 ino:12 sdev:10\n";
  const [a, b, c, ...rest] = parseInterests(lines);
  assertEquals(rest, []);
  assertEquals(a, { tfd: 22, offset: 0, events: 0x40000019, data: 2n ** 64n - 1n, ino: 18n, sdev: 16 });
  assertEquals(b, { tfd: 5, offset: 0, events: 1, data: 10n, ino: 26n, sdev: 0xfe00001 });
  assertEquals([c?.tfd, c?.offset, c?.events], [22, 1, 0x1d]);
  assertEquals(parseInterests(""), []);
});

Deno.test("kernelDevice() packs major and minor number as the kernel does", () => {
  // makedev(254, 1) and makedev(0xabc, 0x12345)
  assertEquals(kernelDevice(0xfe01n), (254 << 20) | 1);
  assertEquals(kernelDevice(0x123abc45n), 0xabc12345);
});

Deno.test("an epoll reports what is ready, with its data, and lets entries be changed", () => {
  const [one, two] = makeSocketPair(1);
  using _one = one;
  using _two = two;
  using epoll = createEpoll();
  assertEquals(getCloexec(epoll.fd), true);
  assertEquals([hasInterest(epoll.fd, one.fd), interestsOf(epoll.fd)], [false, []]);
  addInterest(epoll.fd, one.fd, EVENT);
  assertEquals(hasInterest(epoll.fd, one.fd), true);
  const { ino, dev } = fstat(one.fd);
  assertEquals(interestsOf(epoll.fd), [{
    tfd: one.fd,
    offset: 0,
    events: EVENT.events + EPOLL.ERR + EPOLL.HUP,
    data: EVENT.data,
    ino,
    sdev: kernelDevice(dev),
  }]);
  assertEquals(waitNow(epoll.fd, 8), []);
  writeAll(two.fd, new Uint8Array(1));
  assertEquals(waitNow(epoll.fd, 8), [{ events: EPOLL.IN, data: EVENT.data }]);
  assertEquals(waitNow(epoll.fd, 8), [], "an edge is told once");
  modifyInterest(epoll.fd, one.fd, { events: EPOLL.OUT, data: 3n });
  assertEquals(waitNow(epoll.fd, 8), [{ events: EPOLL.OUT, data: 3n }]);
  assertThrows(() => addInterest(epoll.fd, one.fd, EVENT), SysError, "EEXIST");
  removeInterest(epoll.fd, one.fd);
  assertThrows(() => removeInterest(epoll.fd, one.fd), SysError, "ENOENT");
  assertEquals(interestsOf(epoll.fd), []);
});

Deno.test("isInterestIn() finds the file behind an entry, also when its number is another file by now", () => {
  const [one, two] = makeSocketPair(1);
  using _two = two;
  using reused = one;
  using epoll = createEpoll();
  addInterest(epoll.fd, one.fd, { events: EPOLL.IN, data: 1n });
  using kept = one.dup();
  dupOnto(two.fd, reused.fd);
  addInterest(epoll.fd, reused.fd, { events: EPOLL.IN, data: 2n });
  const entries = interestsOf(epoll.fd);
  assertEquals(entries.map(({ tfd }) => tfd), [reused.fd, reused.fd]);
  const first = entries.find(({ data }) => data === 1n)!;
  const second = entries.find(({ data }) => data === 2n)!;
  const answer = isInterestIn(epoll.fd, first, kept.fd);
  if (answer === null) return console.log("ignored: kcmp(2) is not allowed here");
  assertEquals(answer, true);
  assertEquals(isInterestIn(epoll.fd, first, reused.fd), false);
  assertEquals(isInterestIn(epoll.fd, second, reused.fd), true);
  assertEquals(isInterestIn(epoll.fd, second, two.fd), true, "a duplicate is the same file");
  assertThrows(() => isInterestIn(epoll.fd, { tfd: reused.fd, offset: 2 }, two.fd), SysError, "ENOENT");
});
