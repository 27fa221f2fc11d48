import { assertEquals, assertThrows } from "@std/assert";

import { makeSocketPair } from "../sys/helpers_test.ts";
import { createMemfd, fstat, socketCookie, SysError } from "../sys/mod.ts";
import { assertHandoverError } from "./helpers_test.ts";
import { OutgoingKho } from "./outgoing.ts";

Deno.test("OutgoingKho lists preserved descriptors by number, with what identifies them", () => {
  const kho = new OutgoingKho();
  using memory = createMemfd("test");
  const [one, other] = makeSocketPair();
  using _one = one;
  using _other = other;
  kho.preserveFd(one.fd, "inherited");
  const record = kho.preserveFd(memory.fd);
  const { dev, ino, mode } = fstat(memory.fd);
  assertEquals(record, { fd: memory.fd, dev, ino, mode, kind: "preserved" });
  assertEquals(kho.fds().map(({ fd }) => fd), [memory.fd, one.fd].sort((a, b) => a - b));
  assertEquals(kho.fds().find(({ fd }) => fd === one.fd)?.cookie, socketCookie(one.fd));
});

Deno.test("OutgoingKho.unpreserveFd() is the exact inverse of preserveFd()", () => {
  const kho = new OutgoingKho();
  using memory = createMemfd("test");
  kho.preserveFd(memory.fd);
  assertHandoverError(
    () => kho.preserveFd(memory.fd, "journal"),
    "EEXIST",
    `Cannot preserve fd ${memory.fd}: it is preserved already`,
  );
  assertEquals(kho.fds()[0]?.kind, "preserved");
  kho.unpreserveFd(memory.fd);
  assertEquals(kho.fds(), []);
  assertHandoverError(() => kho.unpreserveFd(memory.fd), "ENOENT", `unpreserve fd ${memory.fd}`);
  kho.preserveFd(memory.fd, "journal");
  assertEquals(kho.fds()[0]?.kind, "journal");
});

Deno.test("OutgoingKho.preserveFd() of a closed descriptor leaves nothing behind", () => {
  const kho = new OutgoingKho();
  const memory = createMemfd("test");
  const { fd } = memory;
  memory[Symbol.dispose]();
  assertEquals(assertThrows(() => kho.preserveFd(fd), SysError).code, "EBADF");
  assertEquals(kho.fds(), []);
});

Deno.test("OutgoingKho gives blobs handles from 1 up and uses a free one again", () => {
  const kho = new OutgoingKho();
  const blob = (byte: number): Uint8Array => new Uint8Array([byte]);
  assertEquals([kho.preserveBlob(blob(1)), kho.preserveBlob(blob(2)), kho.preserveBlob(blob(3))], [
    1n,
    2n,
    3n,
  ]);
  kho.unpreserveBlob(2n);
  assertEquals(kho.blobs(), [blob(1), new Uint8Array(), blob(3)]);
  assertEquals(kho.preserveBlob(blob(4)), 2n);
  kho.replaceBlob(1n, blob(5));
  assertEquals(kho.blobs(), [blob(5), blob(4), blob(3)]);
});

Deno.test("OutgoingKho refuses a handle that is not in use", () => {
  const kho = new OutgoingKho();
  kho.preserveBlob(new Uint8Array());
  kho.unpreserveBlob(1n);
  for (const handle of [0n, 1n, 2n, -1n, (1n << 64n) - 1n]) {
    assertHandoverError(() => kho.unpreserveBlob(handle), "ENOENT", `unpreserve blob ${handle}`);
    assertHandoverError(
      () => kho.replaceBlob(handle, new Uint8Array()),
      "ENOENT",
      `replace blob ${handle}`,
    );
  }
  assertEquals(kho.preserveBlob(new Uint8Array([1])), 1n);
});

Deno.test("OutgoingKho.removeSubtree() is the exact inverse of addSubtree()", () => {
  const kho = new OutgoingKho();
  const bytes = new Uint8Array([7]);
  assertEquals(kho.addSubtree("luo", bytes), 1n);
  assertEquals(kho.addSubtree("history", bytes), 2n);
  assertEquals(kho.subtrees(), [{ handle: 2n, name: "history" }, { handle: 1n, name: "luo" }]);
  assertHandoverError(() => kho.addSubtree("luo", bytes), "EEXIST", '"luo": the name is taken');
  assertEquals(kho.blobs().length, 2);
  kho.removeSubtree("luo");
  kho.removeSubtree("luo");
  kho.removeSubtree("never");
  assertEquals(kho.subtrees(), [{ handle: 2n, name: "history" }]);
  assertEquals(kho.addSubtree("luo", bytes), 1n);
});
