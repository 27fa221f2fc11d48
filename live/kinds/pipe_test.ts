import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";

import { LuoError } from "../../luo/errors.ts";
import {
  fstat,
  getFlags,
  getLimit,
  isOpenFd,
  OwnedFd,
  sameOpenFile,
  setLimit,
  SysError,
  write,
} from "../../sys/mod.ts";
import { makeFifo, openFifo } from "../../sys/pipe.ts";
import { POLLIN, pollNow } from "../../sys/poll.ts";
import { nextFreeFd } from "../../sys/helpers_test.ts";
import { delay, tempDir, waitFor } from "../../testing/wait.ts";
import { coldSide, commit, nextSide, type Side } from "../helpers_test.ts";
import { FakeLife } from "./helpers_test.ts";
import { openPipe, type PipeOptions } from "./pipe.ts";
import type { LivePipe } from "./pipe_types.ts";

const O_NONBLOCK = 0o4000;
const decoder = new TextDecoder();
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A pipe of an application that is ready. */
async function readyPipe(side: Side, options: PipeOptions = {}): Promise<LivePipe> {
  const taps = new FakeLife(side);
  const pipe = await openPipe(taps, "p", options);
  taps.open();
  return pipe;
}

/** The next image; what this one closes from now on is a descriptor, and no resource any more. */
function imageAfter(side: Side): Side {
  const next = nextSide(side);
  side.resources.drop = () => {};
  return next;
}

function namesOf(side: Side): string[] {
  return side.resources.names().map(({ name, kind }) => `${name} ${kind}`);
}

function textOf(pipe: LivePipe): string | null {
  const found = pipe.read();
  return found === null ? null : decoder.decode(found);
}

/** Collects what a pipe says. */
function hearing(): { heard: string[]; options: Pick<PipeOptions, "data" | "end"> } {
  const heard: string[] = [];
  const options = {
    data: (chunk: Uint8Array) => void heard.push(decoder.decode(chunk)),
    end: () => void heard.push("end"),
  };
  return { heard, options };
}

async function codeOf(made: Promise<unknown>, kind: typeof LuoError | typeof SysError): Promise<string> {
  return (await assertRejects(() => made, kind)).code;
}

Deno.test("LivePipe gives its ends to others blocking, and never waits itself", async () => {
  const side = coldSide();
  const before = nextFreeFd();
  const pipe = await readyPipe(side);
  assertEquals(namesOf(side), ["p pipe", "p#write part"]);
  assertEquals([pipe.read(), pipe.path], [null, null]);
  assertEquals([pipe.write(bytes("hello")), pipe.waiting], [5, 5]);
  assertEquals([textOf(pipe), textOf(pipe)], ["hello", null]);
  const full = pipe.write(new Uint8Array(1_000_000));
  assertEquals([full, pipe.waiting], [pipe.capacity, pipe.capacity]);
  assertEquals([pipe.write(bytes("x")), pipe.write(new Uint8Array())], [0, 0]);
  assertEquals([pipe.readFd, pipe.writeFd].map((fd) => getFlags(fd) & O_NONBLOCK), [0, 0]);
  await pipe.close();
  await pipe.close();
  assertEquals([pipe.readFd, pipe.writeFd, pipe.waiting, pipe.capacity], [-1, -1, 0, 0]);
  assertEquals([namesOf(side), side.outgoing.files()], [[], []]);
  assertEquals(nextFreeFd(), before);
});

Deno.test("LivePipe reads nothing before the application is ready, nor while an update lets it stand still", async () => {
  const taps = new FakeLife(coldSide());
  const pipe = await openPipe(taps, "p", {});
  assertEquals([pipe.write(bytes("one")), pipe.read()], [3, null]);
  taps.open();
  const [port] = taps.ports;
  port?.pause();
  assertEquals(pipe.read(), null);
  port?.connections.resume();
  assertEquals(textOf(pipe), "one");
  await pipe.close();
  await Promise.resolve();
  assertEquals(taps.ports, []);
});

Deno.test("LivePipe hands what comes to data, and waits for its promises", async () => {
  const taps = new FakeLife(coldSide());
  const gate = Promise.withResolvers<void>();
  const heard: string[] = [];
  const pipe = await openPipe(taps, "p", {
    data(chunk, own) {
      heard.push(`${own.name} ${decoder.decode(chunk)}`);
      return gate.promise;
    },
    end: () => void heard.push("end"),
  });
  pipe.write(bytes("early"));
  taps.open();
  const connections = taps.ports[0]!.connections;
  await waitFor(() => heard.length === 1, { what: "the bytes" });
  assertEquals([heard, connections.owing], [["p early"], 1]);
  gate.resolve();
  await connections.settled();
  assertThrows(() => pipe.read(), TypeError, "goes to data");
  taps.ports[0]!.pause();
  pipe.write(bytes("late"));
  await delay(30);
  assertEquals(heard, ["p early"]);
  connections.resume();
  await pipe.closeWrite();
  await waitFor(() => heard.includes("end"), { what: "the end" });
  assertEquals(heard, ["p early", "p late", "end"]);
  assertThrows(() => pipe.write(bytes("x")), TypeError, "its end for writing is closed");
  await pipe.close();
});

Deno.test("LivePipe.read() tells the end from nothing, again and again", async () => {
  const pipe = await readyPipe(coldSide());
  pipe.write(bytes("last"));
  await pipe.closeWrite();
  assertEquals([textOf(pipe), textOf(pipe), textOf(pipe)], ["last", "", ""]);
  await pipe.closeRead();
  assertThrows(() => pipe.read(), TypeError, "its end for reading is closed");
});

Deno.test("LivePipe.writeAll() writes in order as room comes, and an update waits for it", async () => {
  const taps = new FakeLife(coldSide());
  const pipe = await openPipe(taps, "p", { capacityBytes: 4096 });
  taps.open();
  const connections = taps.ports[0]!.connections;
  const content = new Uint8Array(100_000).map((_, index) => index % 251);
  const first = pipe.writeAll(content.subarray(0, 60_000));
  const second = pipe.writeAll(content.subarray(60_000));
  assertEquals([pipe.write(bytes("in between")), connections.owing], [0, 2]);
  const closing = pipe.closeWrite();
  const found: number[] = [];
  await waitFor(() => {
    const chunk = pipe.read();
    found.push(...chunk ?? []);
    return chunk?.byteLength === 0;
  }, { what: "the end", intervalMs: 1 });
  await Promise.all([first, second, closing]);
  await connections.settled();
  assertEquals(new Uint8Array(found), content);
  assertEquals(connections.owing, 0);
  await pipe.close();
});

Deno.test("LivePipe.writeAll() fails when the pipe is closed, or nobody reads it any more", async () => {
  const pipe = await readyPipe(coldSide());
  const stuck = assertRejects(() => pipe.writeAll(new Uint8Array(1_000_000)), TypeError, "is closed");
  await delay(5);
  await pipe.close();
  await stuck;
  const other = await readyPipe(coldSide());
  await other.closeRead();
  assertEquals(assertThrows(() => other.write(bytes("x")), SysError).code, "EPIPE");
  assertEquals(await codeOf(other.writeAll(bytes("x")), SysError), "EPIPE");
  await other.close();
});

Deno.test("LivePipe in packet mode reads what was written with one call", async () => {
  const pipe = await readyPipe(coldSide(), { packets: true });
  for (const text of ["one", "two", "three"]) pipe.write(bytes(text));
  assertEquals([textOf(pipe), textOf(pipe), textOf(pipe), textOf(pipe)], ["one", "two", "three", null]);
  await pipe.close();
});

Deno.test("LivePipe crosses with what is in it, and with the ends that are open", async () => {
  const cold = coldSide();
  const old = await readyPipe(cold, { capacityBytes: 8192 });
  old.write(bytes("waiting"));
  const next = imageAfter(cold);
  const taps = new FakeLife(next);
  const pipe = await openPipe(taps, "p", { capacityBytes: 16_384 });
  assertEquals([pipe.capacity, pipe.waiting], [8192, 7]);
  assert(sameOpenFile(old.readFd, pipe.readFd) && sameOpenFile(old.writeFd, pipe.writeFd));
  commit(next);
  taps.open();
  assertEquals([pipe.capacity, textOf(pipe)], [16_384, "waiting"]);
  await Promise.all([old.close(), pipe.closeRead()]);
  assertEquals(namesOf(next), ["p#write part"]);

  const last = imageAfter(next);
  const writer = await readyPipe(last);
  assertEquals([writer.readFd, namesOf(last)], [-1, ["p#write part"]]);
  assert(sameOpenFile(writer.writeFd, pipe.writeFd));
  commit(last);
  await assertRejects(() => readyPipe(last), LuoError, "in use");
  await Promise.all([pipe.close(), writer.close()]);
  assertEquals([namesOf(last), last.outgoing.files()], [[], []]);
});

Deno.test("LivePipe keeps a capacity that cannot be smaller now", async () => {
  const cold = coldSide();
  const old = await readyPipe(cold);
  old.write(new Uint8Array(10_000));
  const next = imageAfter(cold);
  const pipe = await readyPipe(next, { capacityBytes: 4096 });
  assertEquals([pipe.capacity, pipe.waiting], [65_536, 10_000]);
  commit(next);
  await Promise.all([old.close(), pipe.close()]);
});

Deno.test("LivePipe hears the end of each writer of a FIFO once, without looking all the time", async () => {
  await using directory = tempDir();
  const path = `${directory.path}/fifo`;
  const { heard, options } = hearing();
  const side = coldSide();
  const pipe = await readyPipe(side, { path, create: true, ...options });
  assertEquals([namesOf(side), pipe.path, pipe.writeFd], [["p pipe"], "same", -1]);
  assertEquals((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
  for (let round = 1; round <= 3; round++) {
    {
      using writer = openFifo(path, { read: false, write: true });
      write(writer.fd, bytes(`${round}`));
    }
    await waitFor(() => heard.length === 2 * round, { what: "a writer and its end" });
  }
  assertEquals(heard, ["1", "end", "2", "end", "3", "end"]);
  assertEquals(pollNow([pipe.readFd], POLLIN), [0], "there is nothing to look at until another writer comes");
  assertEquals([namesOf(side), side.outgoing.files().length], [["p pipe"], 1]);
  openFifo(path, { read: false, write: true })[Symbol.dispose]();
  await waitFor(() => heard.length === 7, { what: "the end of a writer that wrote nothing" });

  Deno.removeSync(path);
  assertEquals(pipe.path, "unlinked");
  makeFifo(path);
  assertEquals(pipe.path, "replaced");
  await pipe.close();
});

Deno.test("LivePipe.read() of a FIFO says the end once for each time", async () => {
  await using directory = tempDir();
  const path = `${directory.path}/fifo`;
  makeFifo(path);
  const pipe = await readyPipe(coldSide(), { path });
  assertEquals(textOf(pipe), null, "there was no writer yet");
  for (const text of ["one", "two"]) {
    {
      using writer = openFifo(path, { read: false, write: true });
      write(writer.fd, bytes(text));
    }
    assertEquals([textOf(pipe), textOf(pipe), textOf(pipe)], [text, "", null]);
  }
  await pipe.close();
});

Deno.test("LivePipe of a FIFO crosses with the end that was not told yet, and with none that was", async () => {
  await using directory = tempDir();
  const path = `${directory.path}/fifo`;
  makeFifo(path);
  const visit = (text: string): void => {
    using writer = openFifo(path, { read: false, write: true });
    write(writer.fd, bytes(text));
  };
  const cold = coldSide();
  const first = hearing();
  const old = await readyPipe(cold, { path, ...first.options });
  visit("told");
  await waitFor(() => first.heard.includes("end"), { what: "the end" });
  const next = imageAfter(cold);
  const second = hearing();
  const taps = new FakeLife(next);
  const pipe = await openPipe(taps, "p", { path, ...second.options });
  await old.close();
  commit(next);
  taps.open();
  await delay(30);
  assertEquals(second.heard, []);
  taps.ports[0]!.pause();
  visit("");
  await delay(10);
  const last = imageAfter(next);
  const third = hearing();
  const again = await readyPipe(last, { path, ...third.options });
  await waitFor(() => third.heard.length > 0, { what: "the end that came meanwhile" });
  assertEquals([second.heard, third.heard], [[], ["end"]]);
  commit(last);
  await Promise.all([pipe.close(), again.close()]);
});

Deno.test("LivePipe of a FIFO is its own other end where it is read and written", async () => {
  await using directory = tempDir();
  const path = `${directory.path}/fifo`;
  const { heard, options } = hearing();
  const side = coldSide();
  const pipe = await readyPipe(side, { path, create: true, read: true, write: true, ...options });
  assertEquals([pipe.readFd, namesOf(side)], [pipe.writeFd, ["p pipe"]]);
  pipe.write(bytes("own"));
  openFifo(path, { read: false, write: true })[Symbol.dispose]();
  await waitFor(() => heard.length === 1, { what: "the bytes" });
  await pipe.closeWrite();
  await waitFor(() => heard.length >= 1, { what: "nothing" });
  assertEquals([heard, pipe.writeFd, pipe.readFd >= 0], [["own"], -1, true]);
  {
    using writer = openFifo(path, { read: false, write: true });
    write(writer.fd, bytes("theirs"));
  }
  await waitFor(() => heard.length === 3, { what: "another writer and its end" });
  assertEquals(heard, ["own", "theirs", "end"]);
  await pipe.closeRead();
  assertEquals([namesOf(side), pipe.readFd], [[], -1]);
});

Deno.test("LivePipe of a FIFO that is read and written can go on writing only", async () => {
  await using directory = tempDir();
  const path = `${directory.path}/fifo`;
  const side = coldSide();
  const pipe = await readyPipe(side, { path, create: true, read: true, write: true });
  await pipe.closeRead();
  assertEquals([pipe.readFd, namesOf(side)], [-1, ["p pipe"]]);
  assertEquals(assertThrows(() => pipe.write(bytes("x")), SysError).code, "EPIPE");
  using reader = openFifo(path, { read: true, write: false });
  assertEquals([pipe.write(bytes("x")), fstat(reader.fd).kind], [1, "fifo"]);
  await pipe.close();
});

Deno.test("LivePipe of a FIFO is opened for what this build wants, and the one before keeps its own", async () => {
  await using directory = tempDir();
  const path = `${directory.path}/fifo`;
  const cold = coldSide();
  const old = await readyPipe(cold, { path, create: true });
  using writer = openFifo(path, { read: false, write: true });
  write(writer.fd, bytes("kept"));
  Deno.removeSync(path);
  const next = imageAfter(cold);
  const pipe = await readyPipe(next, { path, read: true, write: true });
  assertEquals([getFlags(pipe.readFd) & 3, getFlags(old.readFd) & 3], [2, 0]);
  assertEquals([textOf(pipe), pipe.path], ["kept", "unlinked"]);
  commit(next);
  assertEquals(namesOf(next), ["p pipe"]);
  await Promise.all([old.close(), pipe.close()]);
});

Deno.test("openPipe() refuses what it cannot open or take back, and takes the same name afterwards", async () => {
  await using directory = tempDir();
  const path = `${directory.path}/fifo`;
  const file = `${directory.path}/file`;
  Deno.writeTextFileSync(file, "");
  const side = coldSide();
  const before = nextFreeFd();
  const luo = (options: PipeOptions): Promise<string> => codeOf(readyPipe(side, options), LuoError);
  assertEquals(await luo({ path }), "ENOENT");
  assertEquals(await luo({ path: file }), "EINVAL");
  assertEquals(await luo({ path: directory.path, create: true }), "EINVAL");
  assertEquals(await luo({ path: "/dev/null" }), "EINVAL");
  assertEquals(await codeOf(readyPipe(side, { path: `${path}/x`, create: true }), SysError), "ENOENT");
  makeFifo(path);
  const error = await assertRejects(() => readyPipe(side, { path, write: true }), LuoError);
  assertEquals([error.code, error.message], [
    "ENXIO",
    `Cannot open FIFO "${path}" for writing: nobody reads it`,
  ]);
  const type = (options: PipeOptions): Promise<Error> =>
    assertRejects(() => readyPipe(side, options), TypeError);
  await type({ read: true });
  await type({ create: false });
  await type({ path, packets: true });
  await type({ path, read: false });
  await type({ path, write: true, data() {} });
  await assertRejects(() => readyPipe(side, { capacityBytes: 0 }), RangeError);
  await assertRejects(() => openPipe(new FakeLife(side), "p#x", {}), LuoError, "no #");
  assertEquals([namesOf(side), side.outgoing.files(), nextFreeFd()], [[], [], before]);
  const pipe = await readyPipe(side, { path, read: true, write: true });
  await assertRejects(() => readyPipe(side), LuoError, "in use");
  const next = imageAfter(side);
  await assertRejects(() => readyPipe(next), LuoError, "it was handed over as a FIFO");
  const again = await readyPipe(next, { path, read: true, write: true });
  commit(next);
  await Promise.all([pipe.close(), again.close()]);
});

Deno.test("openPipe() takes an end that another name has only once", async () => {
  const side = coldSide();
  const pipe = await readyPipe(side);
  assertEquals(
    assertThrows(() => side.resources.add("other", "descriptor", pipe.readFd), LuoError).code,
    "EBUSY",
  );
  assertEquals(namesOf(side), ["p pipe", "p#write part"]);
  await pipe.close();
});

Deno.test("openPipe() that runs out of descriptors leaves nothing half-made", async () => {
  const side = coldSide();
  // Everything is loaded and compiled before the descriptors run short.
  const { options } = hearing();
  await (await readyPipe(side, options)).close();
  const limit = getLimit("nofile");
  const free = nextFreeFd();
  let failures = 0;
  for (;;) {
    let pipe: LivePipe | null = null;
    setLimit("nofile", { ...limit, soft: BigInt(free + failures) });
    try {
      pipe = await openPipe(new FakeLife(side), "p", options);
    } catch (error) {
      if (!(error instanceof SysError || error instanceof LuoError)) throw error;
      assertEquals(error.code, "EMFILE", error.stack);
    } finally {
      setLimit("nofile", limit);
    }
    if (pipe !== null) {
      await pipe.close();
      break;
    }
    failures++;
    assertEquals([namesOf(side), side.outgoing.files(), nextFreeFd()], [[], [], free]);
  }
  assert(failures >= 5, "both ends, a duplicate of each, and the one to read from");
  assertEquals(isOpenFd(free), false);
});

Deno.test("LivePipe that was handed an end with O_NONBLOCK switched off by a child does not wait", async () => {
  await using directory = tempDir();
  const path = `${directory.path}/fifo`;
  const cold = coldSide();
  const old = await readyPipe(cold, { path, create: true, read: true, write: true });
  using child = OwnedFd.adopt(old.readFd).dup();
  const { setNonblocking } = await import("../../sys/fd.ts");
  setNonblocking(child.fd, false);
  const next = imageAfter(cold);
  const pipe = await readyPipe(next, { path, read: true, write: true });
  assertEquals([pipe.write(new Uint8Array(1_000_000)), pipe.write(bytes("x"))], [pipe.capacity, 0]);
  commit(next);
  await Promise.all([old.close(), pipe.close()]);
});
