import { assert, assertEquals } from "@std/assert";
import { monotonicNs } from "./clock.ts";
import { write } from "./file.ts";
import { makePipe, runScriptForJson } from "./helpers_test.ts";
import { poll, POLLERR, POLLHUP, POLLIN, POLLOUT } from "./poll.ts";

Deno.test("poll() says for each descriptor what it is ready for, in order", () => {
  const [reading, writing] = makePipe();
  const ask = (): number[] =>
    poll([{ fd: writing.fd, events: POLLOUT }, { fd: -1, events: POLLIN }, {
      fd: reading.fd,
      events: POLLIN,
    }], 0);
  assertEquals(ask(), [POLLOUT, 0, 0]);
  write(writing.fd, new Uint8Array([1]));
  assertEquals(ask(), [POLLOUT, 0, POLLIN]);
  writing[Symbol.dispose]();
  assertEquals(poll([{ fd: reading.fd, events: POLLIN }], -1), [POLLIN | POLLHUP]);
  reading[Symbol.dispose]();
});

Deno.test("poll() sees the end of the reader as an error, and a closed descriptor as POLLNVAL", () => {
  const [reading, writing] = makePipe();
  reading[Symbol.dispose]();
  assertEquals(poll([{ fd: writing.fd, events: 0 }], -1), [POLLERR]);
  writing[Symbol.dispose]();
  assertEquals(poll([{ fd: 0x7ffffff0, events: POLLIN }], -1), [32]);
});

Deno.test("poll() waits as long as asked, rounded up, and not at all for 0", () => {
  const [reading, writing] = makePipe();
  using _reading = reading;
  using _writing = writing;
  for (const timeout of [0, 0.4, 25]) {
    const begin = monotonicNs();
    assertEquals(poll([{ fd: reading.fd, events: POLLIN }], timeout), [0]);
    const took = Number(monotonicNs() - begin) / 1e6;
    assert(took >= timeout, `${took} ms of ${timeout}`);
  }
  assertEquals(poll([], 1), []);
  const forever = 1e12;
  assertEquals(poll([{ fd: writing.fd, events: POLLOUT }], forever), [POLLOUT]);
});

Deno.test("poll() that a signal interrupts waits for what is left of the time", async () => {
  const script = `
    const { poll } = await import(${JSON.stringify(import.meta.resolve("./guard.ts"))});
    Deno.addSignalListener("SIGUSR2", () => {});
    // The kernel gives a signal for the process to its main thread first: that is the one that waits.
    new Deno.Command("/bin/sh", {
      args: ["-c", "for i in 1 2 3 4 5; do sleep 0.05; kill -USR2 " + Deno.pid + "; done"],
    }).spawn().unref();
    const begin = sys.monotonicNs();
    poll([], 600);
    say(Number(sys.monotonicNs() - begin) / 1e6);
    Deno.exit(0);
  `;
  const [took] = await runScriptForJson(script) as [number];
  assert(took >= 600 && took < 5000, `${took} ms`);
});
