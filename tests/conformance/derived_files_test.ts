/**
 * Derived scenarios of files, with their numbers in section 8.5 of the reference: what the kernel's code implies and no
 * test of the kernel covers. Those with more than one stage are a process that updates itself.
 *
 * @module
 */
import { assertEquals, assertNotEquals } from "@std/assert";

import { assertLuoError } from "../../luo/helpers_test.ts";
import { Device, ready } from "../../mod.ts";
import { fstat, getCloexec, openFile, read, seek } from "../../sys/mod.ts";
import { memfdOf, openMemfds, textOf } from "./_kernel_kit.ts";
import { acrossUpdates } from "./_kernel_stages.ts";

const across = acrossUpdates(import.meta.url);

Deno.test("derived 3: a token in use is EEXIST, before the descriptor is looked at", () => {
  using device = Device.open();
  using session = device.createSession("web");
  using one = memfdOf("one");
  using two = memfdOf("two");
  using unsupported = openFile("/dev/null");
  session.preserveFd(one, 7n);
  const gone = memfdOf("gone");
  gone[Symbol.dispose]();
  for (const fd of [two, one, unsupported, gone, -1, 99_999]) {
    assertLuoError(() => session.preserveFd(fd, 7n), "EEXIST");
  }
  assertEquals(session.files().map(({ token }) => token), [7n]);
  session.preserveFd(two, 8n);
});

Deno.test("derived 4: a bad descriptor is EBADF, and one opened with O_PATH too", () => {
  using device = Device.open();
  using session = device.createSession("web");
  using memory = memfdOf("memory");
  using place = openFile(`/proc/self/fd/${memory.fd}`, { path: true });
  const closed = memfdOf("closed");
  const { fd } = closed;
  closed[Symbol.dispose]();
  for (const bad of [place, closed, fd, -1, 99_999]) {
    assertLuoError(() => session.preserveFd(bad, 1n), "EBADF");
  }
  assertEquals(session.files(), []);
  session.preserveFd(memory, 1n);
});

Deno.test("derived 5: a duplicate of a preserved memfd is EBUSY until its session is closed", () => {
  using device = Device.open();
  const one = device.createSession("one");
  using two = device.createSession("two");
  using memory = memfdOf("memory");
  using duplicate = memory.dup();
  // Another open file description of the same memory.
  using reopened = openFile(`/proc/self/fd/${memory.fd}`, { read: true, write: true });
  one.preserveFd(memory, 1n);
  for (const session of [one, two]) {
    for (const fd of [memory, duplicate, reopened]) {
      assertLuoError(() => session.preserveFd(fd, 2n), "EBUSY");
    }
  }
  one[Symbol.dispose]();
  two.preserveFd(reopened, 2n);
  assertEquals(textOf(two.files()[0]?.fd ?? -1), "memory");
});

await across("derived 6: a token retrieved twice is two descriptors of one open file", [
  () => {
    using device = Device.open();
    const session = device.createSession("web");
    using memory = memfdOf("0123456789", "kernel-six");
    session.preserveFd(memory, 1n);
    seek(memory.fd, 0, "set");
  },
  () => {
    using device = Device.open();
    const session = device.retrieveSession("web");
    using one = session.retrieveFd(1n);
    using two = session.retrieveFd(1n);
    assertNotEquals(one.fd, two.fd);
    assertEquals([getCloexec(one.fd), getCloexec(two.fd)], [true, true]);
    const bytes = new Uint8Array(4);
    assertEquals([read(one.fd, bytes), seek(two.fd, 0, "cur")], [4, 4]);
    assertEquals([read(two.fd, bytes), new TextDecoder().decode(bytes)], [4, "4567"]);
    assertEquals(seek(one.fd, 0, "cur"), 8);
    assertLuoError(() => session.retrieveFd(2n), "ENOENT");
    session.finish();
    for (const token of [1n, 2n]) assertLuoError(() => session.retrieveFd(token), "ENOENT");
    // What was handed out stays valid.
    assertEquals([textOf(one), textOf(two)], ["0123456789", "0123456789"]);
  },
]);

await across("derived 7: a retrieved memfd can be preserved again once its session is finished", [
  () => {
    using device = Device.open();
    assertEquals([device.number, device.previous], [0n, null]);
    const session = device.createSession("web");
    using memory = memfdOf("seven", "kernel-seven");
    session.preserveFd(memory, 1n);
  },
  () => {
    using device = Device.open();
    assertEquals([device.number, device.previous?.count], [1n, 1n]);
    const incoming = device.retrieveSession("web");
    using memory = incoming.retrieveFd(1n);
    const outgoing = device.createSession("next");
    for (const token of [1n, 2n]) assertLuoError(() => outgoing.preserveFd(memory, token), "EBUSY");
    incoming.finish();
    outgoing.preserveFd(memory, 2n);
    assertLuoError(() => outgoing.preserveFd(memory, 3n), "EBUSY");
  },
  () => {
    using device = Device.open();
    assertEquals([device.number, device.previous?.count], [2n, 2n]);
    using memory = device.retrieveSession("next").retrieveFd(2n);
    assertEquals([textOf(memory), fstat(memory.fd).size], ["seven", 5]);
  },
]);

await across("derived 8: finish discards what was not retrieved, may be repeated, and is what a close does", [
  () => {
    using device = Device.open();
    for (const name of ["finished", "closed", "late"]) {
      const session = device.createSession(name);
      for (const token of [1n, 2n]) {
        using memory = memfdOf(`${name} ${token}`, `kernel-${name}-${token}`);
        session.preserveFd(memory, token);
      }
    }
  },
  async () => {
    using device = Device.open();
    const [finished, closed] = [device.retrieveSession("finished"), device.retrieveSession("closed")];
    using kept = finished.retrieveFd(2n);
    assertEquals(openMemfds().length, 7);
    finished.finish();
    finished.finish();
    for (const token of [1n, 2n]) assertLuoError(() => finished.retrieveFd(token), "ENOENT");
    assertEquals([finished.name, finished.files()], ["finished", []]);
    closed[Symbol.dispose]();
    assertLuoError(() => device.retrieveSession("closed"), "ENOENT");
    // Until the commit the handover holds everything, so that the previous build could come back.
    assertEquals(openMemfds().length, 7);
    await ready();
    assertEquals(openMemfds(), ["kernel-finished-2", "kernel-late-1", "kernel-late-2"]);
    assertEquals(textOf(kept), "finished 2");
    // After the commit nothing is held for a previous build any more.
    device.retrieveSession("late").finish();
    assertEquals(openMemfds(), ["kernel-finished-2"]);
  },
]);
