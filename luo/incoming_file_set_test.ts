import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";

import { fdLink, getCloexec, isOpenFd, type OwnedFd, sameOpenFile, seek, writeAll } from "../sys/mod.ts";
import { LuoError } from "./errors.ts";
import type { IncomingArgs } from "./handler.ts";
import { assertLuoError, traceable, warmWorld } from "./helpers_test.ts";

Deno.test("Session.retrieveFd() gives the same open file each time, in any order", () => {
  using world = warmWorld({ web: [1n, 2n, 3n] });
  using session = world.device.retrieveSession("web");
  for (const token of [3n, 1n]) {
    using first = session.retrieveFd(token);
    using second = session.retrieveFd(token);
    assertNotEquals(first.fd, second.fd);
    assert(sameOpenFile(first.fd, second.fd) && getCloexec(first.fd));
    assertEquals(fdLink(first.fd), `/memfd:file-${100n + token} (deleted)`);
    writeAll(first.fd, new Uint8Array(5));
    assertEquals(seek(second.fd, 0, "cur"), 5);
  }
  assertEquals(world.handler.takeCalls(), ["retrieve web/3", "retrieve web/1"]);
});

Deno.test("Session.retrieveFd() tells the handler what it kept", () => {
  using world = warmWorld({ web: [7n] });
  using session = world.device.retrieveSession("web");
  session.retrieveFd(7n)[Symbol.dispose]();
  const args = world.handler.last.get("retrieve") as IncomingArgs;
  assertEquals([args.session, args.token, args.serializedData], ["web", 7n, 107n]);
  assertEquals([args.fd, args.retrieveStatus], [null, 0]);
});

Deno.test("Session.retrieveFd() of an unknown token is ENOENT, and so is any after finish", () => {
  using world = warmWorld({ web: [1n], empty: [] });
  const session = world.device.retrieveSession("web");
  assertLuoError(() => session.retrieveFd(2n), "ENOENT", "Cannot retrieve token 2");
  using kept = session.retrieveFd(1n);
  session.finish();
  assertLuoError(() => session.retrieveFd(1n), "ENOENT");
  assert(isOpenFd(kept.fd));
  const empty = world.device.retrieveSession("empty");
  assertLuoError(() => empty.retrieveFd(0n), "ENOENT");
  empty.finish();
  empty.finish();
});

Deno.test("Session.retrieveFd() that failed gives the same error for ever, and finish is told", () => {
  using world = warmWorld({ web: [1n] });
  using session = world.device.retrieveSession("web");
  const cause = Object.assign(new Error("no memory"), { code: "ENOMEM" });
  world.handler.failing.set("retrieve web/1", cause);
  const seen: unknown[] = [];
  for (let round = 0; round < 3; round++) {
    try {
      session.retrieveFd(1n);
    } catch (error) {
      seen.push(error);
    }
    world.handler.failing.clear();
  }
  const [error] = seen as [LuoError];
  assert(error instanceof LuoError && seen.length === 3 && seen.every((other) => other === error));
  assertEquals([error.code, error.cause], ["ENOMEM", cause]);
  assertEquals(error.message, 'Cannot retrieve token 1 of session "web": handler "traced-v1": no memory');
  assertEquals(world.handler.takeCalls(), ["retrieve web/1"]);
  session.finish();
  const args = world.handler.last.get("finish") as IncomingArgs;
  assertEquals([args.retrieveStatus, args.fd], [error, null]);
});

Deno.test("Session.finish() asks first to last and finishes last to first, with the status of each file", () => {
  using world = warmWorld({ web: [5n, 1n, 9n] });
  using session = world.device.retrieveSession("web");
  session.retrieveFd(1n)[Symbol.dispose]();
  world.handler.takeCalls();
  const statuses: unknown[] = [];
  const finish = world.handler.finish.bind(world.handler);
  world.handler.finish = (args) => (statuses.push([args.retrieveStatus, args.fd === null]), finish(args));
  session.finish();
  const asked = ["canFinish web/5", "canFinish web/1", "canFinish web/9"];
  assertEquals(world.handler.takeCalls(), [...asked, "finish web/9", "finish web/1", "finish web/5"]);
  assertEquals(statuses, [[0, true], [1, false], [0, true]]);
  session.finish();
  assertEquals(world.handler.takeCalls(), []);
  assertEquals(session.files(), []);
});

Deno.test("Session.finish() that one file refuses changes nothing and may be tried again", () => {
  using world = warmWorld({ web: [1n, 2n, 3n] });
  using session = world.device.retrieveSession("web");
  world.handler.refusing.add(2n);
  assertLuoError(() => session.finish(), "EBUSY", 'handler "traced-v1" refuses for token 2');
  assertEquals(world.handler.takeCalls(), ["canFinish web/1", "canFinish web/2"]);
  assertEquals(session.blocker(), { token: 2n, compatible: "traced-v1" });
  assertEquals(session.files().length, 3);
  session.retrieveFd(1n)[Symbol.dispose]();
  world.handler.refusing.clear();
  assertEquals(session.blocker(), null);
  session.finish();
  assertEquals(session.files(), []);
});

Deno.test("Session disposed finishes, with each file asked once", () => {
  using world = warmWorld({ web: [1n, 2n] });
  const session = world.device.retrieveSession("web");
  session[Symbol.dispose]();
  const asked = ["canFinish web/1", "canFinish web/2"];
  assertEquals(world.handler.takeCalls(), [...asked, "finish web/2", "finish web/1"]);
  assert(session.closed);
  assertLuoError(() => world.device.retrieveSession("web"), "ENOENT");
  session[Symbol.dispose]();
  assertEquals(world.handler.takeCalls(), []);
});

Deno.test("Session disposed after finish is gone without another call", () => {
  using world = warmWorld({ web: [1n] });
  const session = world.device.retrieveSession("web");
  session.finish();
  world.handler.takeCalls();
  assertLuoError(() => world.device.retrieveSession("web"), "EINVAL", "it was retrieved already");
  session[Symbol.dispose]();
  assertEquals(world.handler.takeCalls(), []);
  assertLuoError(() => world.device.retrieveSession("web"), "ENOENT");
});

Deno.test("Session disposed whose finish is refused can be retrieved again, with everything it had", () => {
  using world = warmWorld({ web: [1n, 2n] });
  const session = world.device.retrieveSession("web");
  using kept = session.retrieveFd(1n);
  world.handler.refusing.add(2n);
  session[Symbol.dispose]();
  assertLuoError(() => session.retrieveFd(1n), "EBADF");
  const again = world.device.retrieveSession("web");
  using same = again.retrieveFd(1n);
  assert(sameOpenFile(kept.fd, same.fd));
  world.handler.refusing.clear();
  again[Symbol.dispose]();
  assertLuoError(() => world.device.retrieveSession("web"), "ENOENT");
});

Deno.test("A retrieved file is held until finish, in every session", () => {
  using world = warmWorld({ web: [1n] });
  using session = world.device.retrieveSession("web");
  using next = world.device.createSession("next");
  using file = session.retrieveFd(1n);
  assertLuoError(() => next.preserveFd(file, 1n), "EBUSY");
  session.finish();
  next.preserveFd(file, 1n);
  assertEquals(next.files().length, 1);
});

Deno.test("A file that an outgoing session holds already can be retrieved, and stays held by that session", () => {
  using world = warmWorld({ web: [1n] });
  using session = world.device.retrieveSession("web");
  using next = world.device.createSession("next");
  using file = (world.handler.files.get(101n) as OwnedFd).dup();
  next.preserveFd(file, 1n);
  session.retrieveFd(1n)[Symbol.dispose]();
  session.finish();
  assertLuoError(() => next.preserveFd(file, 2n), "EBUSY");
});

Deno.test("A descriptor that the handler made is closed at finish, one that it lent is not", () => {
  using world = warmWorld({ web: [1n, 2n] });
  const made = traceable("made");
  const lent = traceable("lent");
  world.handler.files.set(101n, made).set(102n, lent.fd);
  using session = world.device.retrieveSession("web");
  session.retrieveFd(1n)[Symbol.dispose]();
  session.retrieveFd(2n)[Symbol.dispose]();
  assertEquals(session.files().map(({ fd }) => fd), [made.fd, lent.fd]);
  session.finish();
  assertEquals([made.disposed, isOpenFd(lent.fd)], [true, true]);
  lent[Symbol.dispose]();
});

Deno.test("Session.files() of an incoming session shows what is retrieved", () => {
  using world = warmWorld({ web: [1n, 2n] });
  using session = world.device.retrieveSession("web");
  session.retrieveFd(2n)[Symbol.dispose]();
  const [first, second] = session.files();
  assertEquals([first?.fd, typeof second?.fd], [null, "number"]);
});

Deno.test("A handler takes back the files of its session that it depends on, and a cycle is EDEADLK", () => {
  using world = warmWorld({ web: [1n, 2n] });
  using session = world.device.retrieveSession("web");
  const { handler } = world;
  const retrieve = handler.retrieve.bind(handler);
  const codes: unknown[] = [];
  handler.retrieve = (args) => {
    const file = retrieve(args);
    if (args.token === 1n) args.retrieveFd(2n)[Symbol.dispose]();
    else {codes.push(
        assertThrows(() => args.retrieveFd(1n), LuoError).code,
        outside(() => args.retrieveFd(3n)),
      );}
    return file;
  };
  session.retrieveFd(1n)[Symbol.dispose]();
  assertEquals(codes, ["EDEADLK", "ENOENT"]);
  assertEquals(handler.takeCalls(), ["retrieve web/1", "retrieve web/2"]);
  assertEquals(session.files().map(({ state }) => state), ["retrieved", "retrieved"]);
  handler.finish = (args) => void codes.push(outside(() => args.retrieveFd(2n)));
  session.finish();
  assertEquals(codes.slice(2), ["EINVAL", "EINVAL"]);
});

function outside(body: () => unknown): string {
  return assertThrows(body, LuoError).code;
}
