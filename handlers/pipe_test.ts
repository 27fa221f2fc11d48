import { assertEquals } from "@std/assert";

import { assertHandoverError } from "../kho/helpers_test.ts";
import {
  dupOnto,
  getFlags,
  O_DIRECT,
  openFile,
  type OwnedFd,
  pipeCapacity,
  read,
  write,
} from "../sys/mod.ts";
import { createPipe, makeFifo, openFifo, setPipeCapacity } from "../sys/pipe.ts";
import { tempDir } from "../testing/wait.ts";
import { assertCarried, carry, outgoingArgs, takerOf } from "./helpers_test.ts";
import { pipeHandler } from "./pipe.ts";
import { encodeRecord } from "./record.ts";

const encoder = new TextEncoder();

function textOf(fd: number): string {
  const buffer = new Uint8Array(100);
  return new TextDecoder().decode(buffer.subarray(0, read(fd, buffer)));
}

/** A pipe whose ends are closed with the stack. */
function pipeIn(stack: DisposableStack, packets = false): { read: OwnedFd; write: OwnedFd } {
  const ends = createPipe({ packets });
  stack.use(ends.read);
  stack.use(ends.write);
  return ends;
}

Deno.test("pipeHandler takes both ends of pipes and FIFOs, and no place where a FIFO lies", async () => {
  await using directory = tempDir();
  const path = `${directory.path}/fifo`;
  makeFifo(path);
  using stack = new DisposableStack();
  const ends = pipeIn(stack);
  const fifo = stack.use(openFifo(path, { read: true, write: true }));
  const place = stack.use(openFile(path, { path: true }));
  const device = stack.use(openFile("/dev/null"));
  assertEquals(
    [ends.read, ends.write, fifo, place, device].map(takerOf),
    ["pipe-v1", "pipe-v1", "pipe-v1", null, null],
  );
});

Deno.test("pipeHandler carries what waits, the capacity and the mode of packets", () => {
  using stack = new DisposableStack();
  const ends = pipeIn(stack, true);
  const capacity = setPipeCapacity(ends.write.fd, 16_384);
  for (const text of ["one", "two"]) write(ends.write.fd, encoder.encode(text));
  const { flags, ...rest } = assertCarried(pipeHandler, ends.write);
  assertEquals(rest, { capacity, fd: rest["fd"] ?? null, path: null, path_state: null, waiting: 6 });
  assertEquals(Number(flags) & (3 | O_DIRECT), 1 | O_DIRECT);
  assertCarried(pipeHandler, ends.read);
  assertEquals([textOf(ends.read.fd), textOf(ends.read.fd)], ["one", "two"]);
  assertEquals(pipeCapacity(ends.read.fd), capacity);
});

Deno.test("pipeHandler carries a full pipe, to the byte", () => {
  using stack = new DisposableStack();
  const ends = pipeIn(stack);
  const capacity = pipeCapacity(ends.read.fd);
  const content = crypto.getRandomValues(new Uint8Array(capacity));
  write(ends.write.fd, content);
  assertEquals(assertCarried(pipeHandler, ends.read)["waiting"], capacity);
  const found = new Uint8Array(capacity);
  assertEquals([read(ends.read.fd, found), found], [capacity, content]);
});

Deno.test("pipeHandler writes down what became of the path of a FIFO", async () => {
  await using directory = tempDir();
  const path = `${Deno.realPathSync(directory.path)}/fifo`;
  makeFifo(path);
  using fifo = openFifo(path, { read: true, write: false });
  const states = (): unknown[] => {
    const { path, path_state } = assertCarried(pipeHandler, fifo);
    return [path, path_state];
  };
  assertEquals(states(), [path, "same"]);
  Deno.removeSync(path);
  assertEquals(states(), [`${path} (deleted)`, "unlinked"]);
  makeFifo(path);
  assertEquals(states(), [`${path} (deleted)`, "replaced"]);
});

Deno.test("pipeHandler does not take one end for the other, nor minds what was written meanwhile", () => {
  using stack = new DisposableStack();
  const ends = pipeIn(stack);
  using good = carry(pipeHandler, ends.read, () => void write(ends.write.fd, encoder.encode("more")));
  assertEquals(pipeHandler.retrieve(good.args), good.record["fd"]);
  assertEquals(textOf(ends.read.fd), "more");
  pipeHandler.finish(good.args);
  using arrived = carry(
    pipeHandler,
    ends.read,
    (_, { fd }) =>
      encodeRecord(1, {
        capacity: 1,
        fd,
        flags: getFlags(ends.write.fd),
        path: null,
        path_state: null,
        waiting: 0,
      }),
  );
  assertHandoverError(
    () => pipeHandler.retrieve(arrived.args),
    "WRONG_DESCRIPTOR",
    "not the end of a pipe it was",
  );
  pipeHandler.finish(arrived.args);
});

Deno.test("pipeHandler refuses to describe what has become something else", () => {
  using stack = new DisposableStack();
  const ends = pipeIn(stack);
  const args = outgoingArgs(pipeHandler, ends.read.fd);
  pipeHandler.preserve(args);
  using device = openFile("/dev/null");
  dupOnto(device.fd, ends.read.fd);
  assertHandoverError(
    () => pipeHandler.freeze?.(args),
    "WRONG_DESCRIPTOR",
    "as a pipe: it is /dev/null",
  );
  pipeHandler.unpreserve(args);
  assertEquals(args.kho.fds().length, 0);
});
