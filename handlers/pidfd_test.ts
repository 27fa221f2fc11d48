import { assertEquals, assertThrows } from "@std/assert";

import { HandoverError } from "../kho/errors.ts";
import { spawnRaw } from "../sys/helpers_test.ts";
import { createMemfd, dupOnto, startTime } from "../sys/mod.ts";
import { openPidfd, signalPidfd } from "../sys/pidfd.ts";
import { poll, POLLIN } from "../sys/poll.ts";
import { waitPidfd } from "../sys/wait.ts";
import { assertCarried, carry, takerOf } from "./helpers_test.ts";
import { pidfdHandler } from "./pidfd.ts";
import { encodeRecord } from "./record.ts";

/** A child that runs until it is told to end. */
function child(): Disposable & { pid: number; fd: ReturnType<typeof openPidfd> } {
  const pid = spawnRaw(["/bin/sleep", "600"]);
  const fd = openPidfd(pid);
  return {
    pid,
    fd,
    [Symbol.dispose]() {
      endChild(fd.fd);
      fd[Symbol.dispose]();
    },
  };
}

/** Ends and reaps a child, if it is there. */
function endChild(fd: number): void {
  try {
    signalPidfd(fd, 9);
    poll([{ fd, events: POLLIN }], 20_000);
    waitPidfd(fd);
  } catch {
    // It was reaped before.
  }
}

Deno.test("pidfd-v1 takes processes and writes down which they are", () => {
  using own = child();
  assertEquals(takerOf(own.fd), "pidfd-v1");
  const record = assertCarried(pidfdHandler, own.fd);
  assertEquals(
    [record.pid, BigInt(Number(record.start_time)), record.child],
    [own.pid, startTime(own.pid), true],
  );
  using other = openPidfd(Deno.ppid);
  const { pid, child: isChild } = assertCarried(pidfdHandler, other);
  assertEquals([pid, isChild], [Deno.ppid, false]);
  using memory = createMemfd("none");
  assertEquals(pidfdHandler.canPreserve({ fd: memory.fd }), false);
});

Deno.test("pidfd-v1 takes back a process that has ended, or was reaped, in the meantime", () => {
  for (const reaped of [false, true]) {
    using own = child();
    using arrived = carry(pidfdHandler, own.fd, () => {
      signalPidfd(own.fd.fd, 9);
      poll([{ fd: own.fd.fd, events: POLLIN }], 20_000);
      if (reaped) waitPidfd(own.fd.fd);
    });
    const fd = pidfdHandler.retrieve(arrived.args) as number;
    if (!reaped) assertEquals(waitPidfd(fd)?.signal, 9);
    // One that was gone before the handover is as good.
    const { pid, start_time } = assertCarried(pidfdHandler, own.fd);
    assertEquals([pid, start_time], [0, null]);
  }
});

Deno.test("pidfd-v1 refuses another process, and what is none any more", () => {
  using own = child();
  using other = child();
  const code = (replacement: number): string => {
    using arrived = carry(pidfdHandler, own.fd, (_, held) => dupOnto(replacement, held.fd));
    return assertThrows(() => pidfdHandler.retrieve(arrived.args), HandoverError).code;
  };
  assertEquals(code(other.fd.fd), "WRONG_DESCRIPTOR");
  using memory = createMemfd("none");
  assertEquals(code(memory.fd), "WRONG_DESCRIPTOR");
});

Deno.test("pidfd-v1 refuses a process of the same number that was started at another time", () => {
  using own = child();
  const record = { child: true, pid: own.pid, start_time: 1n };
  using arrived = carry(pidfdHandler, own.fd, (blob, held) => {
    assertEquals(blob.length > 0, true);
    return encodeRecord(1, { ...record, fd: held.fd });
  });
  assertEquals(
    assertThrows(() => pidfdHandler.retrieve(arrived.args), HandoverError).code,
    "WRONG_DESCRIPTOR",
  );
});
