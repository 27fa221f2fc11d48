/**
 * The kernel's harness tests (`tools/testing/selftests/liveupdate/liveupdate.c`), ported by meaning: the numbers, names,
 * tokens and counts are the kernel's, the device is that of this process. None of them needs an update.
 *
 * Differences: a session is an object, so "close" is its disposal, which cannot fail silently; GET_NAME is the property
 * `name`; a name that is not terminated is one of 64 bytes.
 *
 * @module
 */
import { assert, assertEquals, assertNotEquals } from "@std/assert";

import { assertLuoError } from "../../luo/helpers_test.ts";
import { Device, type OwnedFd, type Session } from "../../mod.ts";
import { createMemfd, fstat, listFds, openFile, read, seek } from "../../sys/mod.ts";
import { memfdOf, raiseNofile, textOf } from "./_kernel_kit.ts";

/** What is behind a descriptor from its beginning, by its position, as the kernel's test reads it. */
function rewindAndRead(file: OwnedFd): string {
  seek(file.fd, 0, "set");
  const bytes = new Uint8Array(64);
  return new TextDecoder().decode(bytes.subarray(0, read(file.fd, bytes)));
}

Deno.test("harness 1: basic_open_close", () => {
  const device = Device.open();
  device[Symbol.dispose]();
  using again = Device.open();
  assertEquals(again.number, 0n);
});

Deno.test("harness 2: exclusive_open", () => {
  using _device = Device.open();
  assertLuoError(() => Device.open(), "EBUSY");
});

Deno.test("harness 3: create_duplicate_session", () => {
  using device = Device.open();
  using session = device.createSession("duplicate-session-test");
  assertLuoError(() => device.createSession("duplicate-session-test"), "EEXIST");
  assertEquals(device.sessions(), [session]);
});

Deno.test("harness 4: create_distinct_sessions", () => {
  using device = Device.open();
  const one = device.createSession("distinct-session-1");
  const two = device.createSession("distinct-session-2");
  assertEquals(device.sessions(), [one, two]);
  one[Symbol.dispose]();
  two[Symbol.dispose]();
  assertEquals([one.closed, two.closed, device.sessions()], [true, true, []]);
});

Deno.test("harness 5: preserve_memfd, whose content is intact after the abort", () => {
  const text = "hello liveupdate";
  assertEquals(text.length, 16);
  using device = Device.open();
  const session = device.createSession("preserve-memfd-test");
  using memory = memfdOf(text);
  session.preserveFd(memory, 0x1234n);
  session[Symbol.dispose]();
  assertEquals(rewindAndRead(memory), text);
});

Deno.test("harness 6: preserve_multiple_memfds, read while they are preserved", () => {
  using device = Device.open();
  using session = device.createSession("preserve-multiple-test");
  using one = memfdOf("data for memfd 1");
  using two = memfdOf("data for memfd 2");
  session.preserveFd(one, 0xAAAAn);
  session.preserveFd(two, 0xBBBBn);
  assertEquals(rewindAndRead(one), "data for memfd 1");
  assertEquals(rewindAndRead(two), "data for memfd 2");
  assertEquals(session.files().map(({ token }) => token), [0xAAAAn, 0xBBBBn]);
  // What LUO holds are the same files under other numbers.
  const held = session.files().map(({ fd }) => fd ?? -1);
  assertEquals(held.map(textOf), ["data for memfd 1", "data for memfd 2"]);
  assertNotEquals(held, [one.fd, two.fd]);
});

Deno.test("harness 7: preserve_complex_scenario", () => {
  using device = Device.open();
  using one = device.createSession("complex-session-1");
  using two = device.createSession("complex-session-2");
  using data1 = memfdOf("data for session 1");
  using data2 = memfdOf("data for session 2");
  using empty1 = createMemfd("empty-1");
  using empty2 = createMemfd("empty-2");
  one.preserveFd(data1, 0x1111n);
  one.preserveFd(empty1, 0x2222n);
  two.preserveFd(data2, 0x3333n);
  two.preserveFd(empty2, 0x4444n);
  assertEquals(rewindAndRead(data1), "data for session 1");
  assertEquals(rewindAndRead(data2), "data for session 2");
  for (const empty of [empty1, empty2]) assertEquals([rewindAndRead(empty), fstat(empty.fd).size], ["", 0]);
});

Deno.test("harness 8: preserve_unsupported_fd", () => {
  using device = Device.open();
  using session = device.createSession("unsupported-fd-test");
  using file = openFile("/dev/null", { read: true, write: true });
  assertLuoError(() => session.preserveFd(file, 0xDEADn), "ENOENT");
  assertEquals(session.files(), []);
});

Deno.test("harness 9: prevent_double_preservation", () => {
  using device = Device.open();
  using one = device.createSession("double-preserve-session-1");
  using two = device.createSession("double-preserve-session-2");
  using memory = memfdOf("once");
  one.preserveFd(memory, 0x1111n);
  assertLuoError(() => two.preserveFd(memory, 0x2222n), "EBUSY");
  assertLuoError(() => one.preserveFd(memory, 0x3333n), "EBUSY");
  assertEquals([one.files().length, two.files().length], [1, 0]);
});

Deno.test("harness 10: create_session_no_null_termination", () => {
  using device = Device.open();
  assertLuoError(() => device.createSession("X".repeat(64)), "EINVAL");
  assertEquals(device.sessions(), []);
});

Deno.test("harness 11: create_session_empty_name", () => {
  using device = Device.open();
  assertLuoError(() => device.createSession(""), "EINVAL");
  assertEquals(device.sessions(), []);
});

Deno.test("harness 12: get_session_name", () => {
  using device = Device.open();
  using session = device.createSession("get-session-name-test");
  assertEquals(session.name, "get-session-name-test");
});

Deno.test("harness 13: get_session_name_max_length", () => {
  using device = Device.open();
  using session = device.createSession("A".repeat(63));
  assertEquals(session.name, "A".repeat(63));
});

Deno.test("harness 14: preserve_many_sessions, 2000 of them", () => {
  const count = 2000;
  using room = raiseNofile(count);
  if (room === null) return;
  const before = listFds();
  {
    using device = Device.open();
    const sessions: Session[] = [];
    for (let i = 0; i < count; i++) sessions.push(device.createSession(`many-session-${i}`));
    assertEquals(device.sessions().length, count);
    assert(listFds().length >= before.length + count, "each session reserves a descriptor");
    for (const session of sessions) session[Symbol.dispose]();
    assertEquals(device.sessions(), []);
  }
  assertEquals(listFds(), before);
});

for (const count of [500, 5000]) {
  Deno.test(`harness 15: preserve_many_files, ${count} in one session`, () => {
    // The memfds of the test and the duplicates that LUO holds.
    using room = raiseNofile(2 * count);
    if (room === null) return;
    const before = listFds();
    {
      using device = Device.open();
      const session = device.createSession("many-files-test");
      const files: OwnedFd[] = [];
      for (let i = 0; i < count; i++) {
        const file = memfdOf(`data ${i}`, `many-file-${i}`);
        files.push(file);
        session.preserveFd(file, BigInt(i));
      }
      assertEquals(session.files().length, count);
      for (const file of files) file[Symbol.dispose]();
      for (const i of [0, 1, count - 1]) assertEquals(textOf(session.files()[i]?.fd ?? -1), `data ${i}`);
      session[Symbol.dispose]();
      assertEquals([session.closed, device.sessions()], [true, []]);
    }
    assertEquals(listFds(), before);
  });
}
