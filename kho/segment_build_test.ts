import { assert, assertEquals, assertThrows } from "@std/assert";

import { fdLink, fstat, getCloexec, getSeals, pread, SEALS, SysError, truncate, write } from "../sys/mod.ts";
import { decodeCbor, MAX_CBOR_BYTES } from "./codec.ts";
import { sampleSegment } from "./helpers_test.ts";
import { buildSegment, encodeEnvelope, sealSegment, SEGMENT_SEALS } from "./segment_build.ts";

Deno.test("encodeEnvelope() writes version, digest and payload", async () => {
  const envelope = decodeCbor(encodeEnvelope(sampleSegment())) as [
    string,
    Uint8Array,
    Uint8Array<ArrayBuffer>,
  ];
  assertEquals(envelope.length, 3);
  const [version, digest, payload] = envelope;
  assertEquals(version, "kho-v1");
  assertEquals(digest, new Uint8Array(await crypto.subtle.digest("SHA-256", payload)));
});

Deno.test("encodeEnvelope() writes the same bytes for the same record", () => {
  assertEquals(encodeEnvelope(sampleSegment()), encodeEnvelope(sampleSegment()));
});

Deno.test("encodeEnvelope() refuses what is too large before it is written", () => {
  const blob = new Uint8Array(MAX_CBOR_BYTES / 2);
  assertThrows(
    () => encodeEnvelope(sampleSegment({ blobs: [blob, blob] })),
    RangeError,
    "limit of 268435456",
  );
});

Deno.test("buildSegment() gives a memfd that nobody can change", () => {
  const { memory, bytes } = buildSegment(sampleSegment());
  using owned = memory;
  assertEquals(fdLink(owned.fd), "/memfd:kho:handover (deleted)");
  assert(getCloexec(owned.fd));
  assertEquals(getSeals(owned.fd) & SEGMENT_SEALS, SEALS.SEAL | SEALS.SHRINK | SEALS.GROW | SEALS.WRITE);
  assertEquals(fstat(owned.fd).size, bytes);
  const found = new Uint8Array(bytes);
  assertEquals(pread(owned.fd, found, 0), bytes);
  assertEquals(found, encodeEnvelope(sampleSegment()));
  for (const body of [() => write(owned.fd, new Uint8Array(1)), () => truncate(owned.fd, 0)]) {
    assertEquals(assertThrows(body, SysError).code, "EPERM");
  }
});

Deno.test("sealSegment() takes any bytes, also none", () => {
  using memory = sealSegment(new Uint8Array());
  assertEquals(fstat(memory.fd).size, 0);
});
