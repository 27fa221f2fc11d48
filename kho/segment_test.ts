import { assertEquals, assertRejects } from "@std/assert";

import {
  addSeals,
  createMemfd,
  openFile,
  type OwnedFd,
  SEALS,
  seek,
  truncate,
  writeAll,
} from "../sys/mod.ts";
import type { Role } from "./abi/announcement.ts";
import { KHO_VERSION } from "./abi/segment.ts";
import { type CborValue, decodeCbor, encodeCbor, MAX_CBOR_BYTES } from "./codec.ts";
import { HandoverError, type HandoverErrorCode } from "./errors.ts";
import { assertHandoverError, ownMetadata, sampleSegment } from "./helpers_test.ts";
import { decodeEnvelope, readSegment, verifyOrigin } from "./segment.ts";
import { encodeEnvelope, sealSegment } from "./segment_build.ts";

const BYTES = encodeEnvelope(sampleSegment());

async function assertRefused(read: Promise<unknown>, code: HandoverErrorCode, text = ""): Promise<void> {
  const error = await assertRejects(() => read, HandoverError, text);
  assertEquals(error.code, code, error.message);
}

Deno.test("readSegment() gives back what was written, wherever the position is", async () => {
  using memory = sealSegment(BYTES);
  assertEquals(seek(memory.fd, 0, "cur"), BYTES.byteLength);
  for (let round = 0; round < 2; round++) {
    assertEquals(await readSegment(memory.fd), { record: sampleSegment(), bytes: BYTES.byteLength });
  }
  assertEquals(seek(memory.fd, 0, "cur"), BYTES.byteLength);
});

Deno.test("readSegment() refuses a descriptor that is no memfd", async () => {
  using file = openFile("/dev/null");
  using directory = openFile("/proc", { directory: true });
  for (const { fd } of [file, directory]) {
    await assertRefused(readSegment(fd), "NOT_A_SEGMENT", `in fd ${fd}: it is no memfd`);
  }
  const gone = closed(createMemfd("gone"));
  await assertRefused(readSegment(gone), "NOT_A_SEGMENT", `in fd ${gone}: it is closed`);
});

Deno.test("readSegment() refuses a memfd that lacks any of the four seals", async () => {
  for (let seals = 0; seals < 0xf; seals++) {
    using memory = createMemfd("test");
    writeAll(memory.fd, BYTES);
    if (seals !== 0) addSeals(memory.fd, seals);
    await assertRefused(readSegment(memory.fd), "UNSEALED", `it has seals 0x${seals.toString(16)}`);
  }
  using never = createMemfd("test", { sealable: false });
  await assertRefused(readSegment(never.fd), "UNSEALED", "needed are 0xf");
});

Deno.test("readSegment() accepts further seals", async () => {
  using memory = createMemfd("test");
  writeAll(memory.fd, BYTES);
  addSeals(memory.fd, SEALS.FUTURE_WRITE);
  addSeals(memory.fd, 0xf);
  assertEquals((await readSegment(memory.fd)).bytes, BYTES.byteLength);
});

Deno.test("readSegment() refuses a size beyond the limit without reading it", async () => {
  using memory = createMemfd("test");
  truncate(memory.fd, MAX_CBOR_BYTES + 1);
  addSeals(memory.fd, 0xf);
  await assertRefused(readSegment(memory.fd), "TOO_LARGE", `${MAX_CBOR_BYTES + 1} bytes are too many`);
});

Deno.test("readSegment() refuses an empty and a blank memfd", async () => {
  using empty = sealSegment(new Uint8Array());
  await assertRefused(readSegment(empty.fd), "CORRUPT", "its envelope is damaged");
  using blank = sealSegment(new Uint8Array(4096));
  await assertRefused(readSegment(blank.fd), "CORRUPT", "its envelope is damaged");
});

Deno.test("decodeEnvelope() refuses every truncation", async () => {
  for (let length = 0; length < BYTES.byteLength; length++) {
    await assertRefused(decodeEnvelope(BYTES.subarray(0, length)), "CORRUPT");
  }
  await assertRefused(decodeEnvelope(new Uint8Array([...BYTES, 0])), "CORRUPT", "1 bytes follow");
});

Deno.test("decodeEnvelope() refuses every single flipped bit", async () => {
  const codes = new Set<HandoverErrorCode>();
  for (let bit = 0; bit < BYTES.byteLength * 8; bit++) {
    const damaged = BYTES.slice();
    damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const error = await assertRejects(() => decodeEnvelope(damaged), HandoverError);
    codes.add(error.code);
  }
  assertEquals([...codes].sort(), ["CORRUPT", "UNKNOWN_VERSION"]);
});

Deno.test("decodeEnvelope() refuses another version, whatever it looks like", async () => {
  for (const envelope of [["kho-v2"], ["kho-v2", 1, 2, 3], ["", new Uint8Array()]]) {
    await assertRefused(decodeEnvelope(encodeCbor(envelope)), "UNKNOWN_VERSION", 'this build reads "kho-v1"');
  }
});

Deno.test("decodeEnvelope() refuses another shape", async () => {
  const [, digest, payload] = decodeCbor(BYTES) as [string, Uint8Array, Uint8Array];
  const cases: [CborValue, string][] = [
    [{}, "it has no envelope"],
    [[], "it has no envelope"],
    [[1, digest, payload], "it has no envelope"],
    [[KHO_VERSION, digest], "its envelope is malformed"],
    [[KHO_VERSION, digest, payload, 0], "its envelope is malformed"],
    [[KHO_VERSION, "digest", payload], "its envelope is malformed"],
    [[KHO_VERSION, digest, "payload"], "its envelope is malformed"],
    [[KHO_VERSION, digest.subarray(1), payload], "its checksum is wrong"],
    [[KHO_VERSION, digest, payload.subarray(1)], "its checksum is wrong"],
  ];
  for (const [envelope, text] of cases) {
    await assertRefused(decodeEnvelope(encodeCbor(envelope)), "CORRUPT", text);
  }
});

Deno.test("decodeEnvelope() refuses a payload that is wrong behind a right checksum", async () => {
  for (
    const [payload, text] of [[new Uint8Array([0xff]), "its payload is damaged"], [encodeCbor({}), "$.blobs"]]
  ) {
    const content = payload as Uint8Array<ArrayBuffer>;
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
    await assertRefused(
      decodeEnvelope(encodeCbor([KHO_VERSION, digest, content])),
      "CORRUPT",
      text as string,
    );
  }
});

Deno.test("verifyOrigin() accepts what this process wrote for this announcement", () => {
  const metadata = ownMetadata();
  for (const role of ["update", "fallback", "recovery", "store"] as Role[]) {
    verifyOrigin(sampleSegment({ metadata }), { fd: 3, nonce: metadata.nonce, role });
  }
});

Deno.test("verifyOrigin() refuses another nonce and another boot in every role", () => {
  const metadata = ownMetadata();
  for (const role of ["update", "fallback", "recovery", "store"] as Role[]) {
    const announcement = { fd: 3, nonce: metadata.nonce, role };
    const booted = sampleSegment({ metadata: { ...metadata, boot_id: "another" } });
    assertHandoverError(() => verifyOrigin(booted, announcement), "FOREIGN", "before the machine was booted");
    for (const nonce of [new Uint8Array(16).fill(1), new Uint8Array(), new Uint8Array(17)]) {
      const other = sampleSegment({ metadata: { ...metadata, nonce } });
      assertHandoverError(() => verifyOrigin(other, announcement), "FOREIGN", "its nonce is another one");
    }
  }
});

Deno.test("verifyOrigin() refuses another process where the process must be the same, and only there", () => {
  const metadata = ownMetadata();
  const cases: [Partial<typeof metadata>, string][] = [
    [{ pid: 1 }, "process 1 wrote it"],
    [{ start_time: metadata.start_time + 1n }, "another process with the same pid wrote it"],
  ];
  for (const [change, text] of cases) {
    const record = sampleSegment({ metadata: { ...metadata, ...change } });
    for (const role of ["update", "fallback"] as Role[]) {
      const announcement = { fd: 3, nonce: metadata.nonce, role };
      assertHandoverError(() => verifyOrigin(record, announcement), "FOREIGN", text);
    }
    for (const role of ["recovery", "store"] as Role[]) {
      verifyOrigin(record, { fd: 3, nonce: metadata.nonce, role });
    }
  }
});

/** The number of a descriptor that has just been closed. */
function closed(owned: OwnedFd): number {
  const { fd } = owned;
  owned[Symbol.dispose]();
  return fd;
}
