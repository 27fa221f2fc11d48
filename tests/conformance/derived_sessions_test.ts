/**
 * Derived scenarios of sessions, with their numbers in section 8.5 of the reference: what the kernel's code implies and no
 * test of the kernel covers. Those with more than one stage are a process that updates itself.
 *
 * @module
 */
import { assertEquals } from "@std/assert";

import { assertLuoError } from "../../luo/helpers_test.ts";
import { Device, ready, type Session } from "../../mod.ts";
import { memfdOf, openMemfds, textOf } from "./_kernel_kit.ts";
import { acrossUpdates } from "./_kernel_stages.ts";

const across = acrossUpdates(import.meta.url);

/** Creates a session with one memfd of that text under token 1. */
function preserveIn(device: Device, name: string, text: string): Session {
  const session = device.createSession(name);
  using memory = memfdOf(text, `kernel-${text}`);
  session.preserveFd(memory, 1n);
  return session;
}

/** What {@linkcode preserveIn} preserved, and the session stays as it is. */
function textIn(session: Session): string {
  using memory = session.retrieveFd(1n);
  return textOf(memory);
}

const names = (device: Device): string[] =>
  device.sessions().map(({ name, direction }) => `${direction} ${name}`);

await across("derived 1: an unknown session is ENOENT, a second retrieval EINVAL, a closed one ENOENT", [
  () => {
    using device = Device.open();
    device.createSession("web");
    assertLuoError(() => device.retrieveSession("web"), "ENOENT");
  },
  () => {
    using device = Device.open();
    assertLuoError(() => device.retrieveSession("unknown"), "ENOENT");
    const session = device.retrieveSession("web");
    assertLuoError(() => device.retrieveSession("web"), "EINVAL");
    session.finish();
    assertLuoError(() => device.retrieveSession("web"), "EINVAL");
    session[Symbol.dispose]();
    assertLuoError(() => device.retrieveSession("web"), "ENOENT");
  },
]);

await across("derived 2: a call that belongs to the other direction is EINVAL, whatever its arguments", [
  () => {
    using device = Device.open();
    const session = preserveIn(device, "web", "two");
    for (const token of [1n, 2n]) assertLuoError(() => session.retrieveFd(token), "EINVAL");
    assertLuoError(() => session.finish(), "EINVAL");
    assertEquals(session.files().length, 1);
  },
  () => {
    using device = Device.open();
    const session = device.retrieveSession("web");
    using memory = memfdOf("late");
    const attempts = (): void => {
      for (const [fd, token] of [[memory, 2n], [memory, 1n], [-1, 1n], [999, 2n]] as const) {
        assertLuoError(() => session.preserveFd(fd, token), "EINVAL");
      }
      assertLuoError(() => session.unpreserveFd(1n), "EINVAL");
    };
    attempts();
    assertEquals(textIn(session), "two");
    session.finish();
    attempts();
  },
]);

await across("derived 9: what is not preserved again is gone at a second update, retrieved or not", [
  () => {
    using device = Device.open();
    for (const name of ["left", "taken", "finished"]) preserveIn(device, name, name);
  },
  async () => {
    using device = Device.open();
    assertEquals(textIn(device.retrieveSession("taken")), "taken");
    const finished = device.retrieveSession("finished");
    assertEquals(textIn(finished), "finished");
    finished.finish();
    preserveIn(device, "new", "new");
    assertEquals(names(device), ["outgoing new", "incoming left", "incoming taken", "incoming finished"]);
    await ready();
    assertEquals(openMemfds(), ["kernel-left", "kernel-new", "kernel-taken"]);
  },
  () => {
    using device = Device.open();
    assertEquals(names(device), ["incoming new"]);
    for (const name of ["left", "taken", "finished"]) {
      assertLuoError(() => device.retrieveSession(name), "ENOENT");
    }
    assertEquals(textIn(device.retrieveSession("new")), "new");
    // Released with the image, not only forgotten.
    assertEquals(openMemfds(), ["kernel-new"]);
  },
]);

await across("derived 9: what is handed to an image that never opens the device is gone after it", [
  () => {
    using device = Device.open();
    preserveIn(device, "web", "unseen");
  },
  () => assertEquals(openMemfds(), ["kernel-unseen"]),
  () => {
    using device = Device.open();
    assertLuoError(() => device.retrieveSession("web"), "ENOENT");
    assertEquals([names(device), openMemfds()], [[], []]);
  },
]);

await across("derived 18: a session may be created under the name of a live incoming one", [
  () => {
    using device = Device.open();
    preserveIn(device, "web", "first");
  },
  () => {
    using device = Device.open();
    const early = preserveIn(device, "web", "dropped");
    early[Symbol.dispose]();
    const incoming = device.retrieveSession("web");
    preserveIn(device, "web", "second");
    assertEquals(names(device), ["outgoing web", "incoming web"]);
    assertLuoError(() => device.createSession("web"), "EEXIST");
    assertLuoError(() => device.retrieveSession("web"), "EINVAL");
    assertEquals(textIn(incoming), "first");
    incoming.finish();
  },
  () => {
    using device = Device.open();
    assertEquals(names(device), ["incoming web"]);
    assertEquals(textIn(device.retrieveSession("web")), "second");
  },
]);
