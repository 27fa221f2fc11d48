import { assert, assertEquals } from "@std/assert";
import { read, write } from "./file.ts";
import { makePipe, nextFreeFd, runScriptForJson, waitUntil } from "./helpers_test.ts";
import type { OwnedFd } from "./owned_fd.ts";
import { setNonblocking } from "./fd.ts";
import { bindSocket, createSocket, getsockname } from "./socket.ts";
import { watchReadable, watchWritable } from "./readiness.ts";

const sys = new URL(".", import.meta.url).href;

function pipe(): [OwnedFd, OwnedFd] {
  const [reading, writing] = makePipe();
  setNonblocking(reading.fd, true);
  return [reading, writing];
}

function put(fd: OwnedFd, text: string): void {
  write(fd.fd, new TextEncoder().encode(text));
}

/** Some turns of the event loop, in which something could happen that should not. */
function turns(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20));
}

Deno.test("watchReadable() calls back for each of many descriptors, and again until all is read", async () => {
  const free = nextFreeFd();
  const pipes = Array.from({ length: 20 }, pipe);
  const seen = pipes.map(() => "");
  const watches = pipes.map(([reading], index) =>
    watchReadable(reading.fd, () => {
      const byte = new Uint8Array(1);
      if (read(reading.fd, byte) > 0) seen[index] += new TextDecoder().decode(byte);
      return true;
    })
  );
  pipes.forEach(([, writing], index) => put(writing, `p${index}`));
  await waitUntil(() => seen.every((text, index) => text === `p${index}`), "all that was written");
  for (const watch of watches) await watch.end();
  for (const [reading, writing] of pipes) {
    reading[Symbol.dispose]();
    writing[Symbol.dispose]();
  }
  assertEquals(nextFreeFd(), free, "its own descriptor is gone as well");
});

Deno.test("Watch.off() and Watch.on() keep what came meanwhile for later", async () => {
  const [reading, writing] = pipe();
  using _reading = reading;
  using _writing = writing;
  let seen = "";
  const watch = watchReadable(reading.fd, () => {
    const bytes = new Uint8Array(100);
    seen += new TextDecoder().decode(bytes.subarray(0, read(reading.fd, bytes)));
    return true;
  });
  put(writing, "a");
  await waitUntil(() => seen === "a", "the first");
  watch.off();
  put(writing, "b");
  await turns();
  assertEquals([seen, watch.isOn], ["a", false]);
  watch.on();
  watch.on();
  await waitUntil(() => seen === "ab", "the second");
  await watch.end();
  watch.on();
  put(writing, "c");
  await turns();
  assertEquals([seen, watch.isOn], ["ab", false]);
});

Deno.test("Watch.end() resolves when the address of a closed socket is free", async () => {
  const first = createSocket("inet", "datagram");
  bindSocket(first.fd, { family: "inet", host: "127.0.0.1", port: 0 });
  const address = getsockname(first.fd);
  const watch = watchReadable(first.fd, () => false);
  await turns();
  const ended = watch.end();
  assertEquals(watch.end(), ended);
  await ended;
  first[Symbol.dispose]();
  using second = createSocket("inet", "datagram");
  bindSocket(second.fd, address);
});

Deno.test("watchReadable() begins anew while the last one ends", async () => {
  const [reading, writing] = pipe();
  using _reading = reading;
  using _writing = writing;
  for (let round = 0; round < 50; round++) {
    let calls = 0;
    const watch = watchReadable(reading.fd, () => {
      calls++;
      return read(reading.fd, new Uint8Array(1)) > 0;
    });
    put(writing, "x");
    await waitUntil(() => calls > 0, "the call");
    if (round % 3 === 0) await watch.end();
    else void watch.end();
  }
});

Deno.test("watchReadable() does not spin for a callback that reads nothing, and others do not wait for it", async () => {
  const [lazy, lazyWriting] = pipe();
  const [eager, eagerWriting] = pipe();
  using stack = new DisposableStack();
  for (const end of [lazy, lazyWriting, eager, eagerWriting]) stack.use(end);
  let idle = 0;
  let read1 = 0;
  const watches = [
    watchReadable(lazy.fd, () => {
      idle++;
      return false;
    }),
    watchReadable(eager.fd, () => {
      read1 += read(eager.fd, new Uint8Array(1));
      return true;
    }),
  ];
  put(lazyWriting, "nobody reads this");
  const begin = performance.now();
  for (let count = 1; count <= 200; count++) {
    put(eagerWriting, "x");
    await waitUntil(() => read1 === count, "the eager one");
  }
  const most = 20 + (performance.now() - begin) / 10;
  assert(idle > 3 && idle < most, `${idle} calls for nothing, at most ${most}`);
  for (const watch of watches) await watch.end();
});

Deno.test("watchReadable() reports an error of a callback like one of a listener, and goes on", async () => {
  const result = await runScriptForJson(`
    import { watchReadable, watchWritable } from "${sys}readiness.ts";
    import { socketPair } from "${sys}scm.ts";
    import { read, write } from "${sys}file.ts";
    const [one, two] = socketPair();
    const errors = [];
    let calls = 0;
    addEventListener("error", (event) => { event.preventDefault(); errors.push(event.error.message); });
    const watch = watchReadable(one.fd, () => {
      read(one.fd, new Uint8Array(1));
      if (++calls === 2) { watch.end(); console.log(JSON.stringify({ calls, errors })); }
      else throw new Error("bad day");
      return true;
    });
    for (let i = 0; i < 2; i++) write(two.fd, new Uint8Array(1));
  `);
  // That the program ended by itself is the proof that nothing waits any more.
  assertEquals(result, [{ calls: 2, errors: ["bad day"] }]);
});

Deno.test("watchWritable() calls back when there is room, and when nobody reads any more", async () => {
  const [reading, writing] = makePipe();
  using sink = writing;
  setNonblocking(sink.fd, true);
  setNonblocking(reading.fd, true);
  const full = (): number => {
    try {
      return write(sink.fd, new Uint8Array(65_536));
    } catch {
      return 0;
    }
  };
  while (full() > 0);
  let calls = 0;
  const watch = watchWritable(sink.fd, () => {
    calls++;
    return full() > 0;
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
  assertEquals(calls, 0);
  read(reading.fd, new Uint8Array(65_536));
  await waitUntil(() => calls === 1, "room");
  reading[Symbol.dispose]();
  await waitUntil(() => calls > 1, "the end of the reader");
  await watch.end();
});
