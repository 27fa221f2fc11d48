import { assert, assertEquals, assertRejects } from "@std/assert";
import { bytesResponse, CHUNK_BYTES, writeBody } from "./bytes.ts";
import { HttpError } from "./errors.ts";

const ACTION = "Cannot write";

function put(body: BodyInit | null, headers: Record<string, string> = {}): Request {
  return new Request("http://h/", { method: "PUT", body, headers });
}

function chunks(...sizes: number[]): ReadableStream<Uint8Array<ArrayBuffer>> {
  return ReadableStream.from(sizes.map((size) => new Uint8Array(size).fill(7)));
}

interface Limits {
  offset?: number;
  length?: number;
  maxBodyBytes?: number;
}

function write(
  request: Request,
  bytes: Uint8Array,
  { offset = 0, length, maxBodyBytes = 1000 }: Limits = {},
) {
  return writeBody(request, bytes, { action: ACTION, offset, length, maxBodyBytes });
}

async function refusal(promise: Promise<unknown>): Promise<[number, string, number | undefined]> {
  const error = await assertRejects(() => promise, HttpError);
  assert(error.message.includes(`${error.written} byte`), error.message);
  return [error.status, error.code, error.written];
}

Deno.test("bytesResponse copies a small range at once", async () => {
  const bytes = Uint8Array.from([1, 2, 3, 4]);
  const response = bytesResponse({ bytes, offset: 1, length: 2 }, false);
  bytes.fill(9);
  assertEquals(response.headers.get("content-length"), "2");
  assertEquals(response.headers.get("content-type"), "application/octet-stream");
  assertEquals(await response.bytes(), Uint8Array.from([2, 3]));
});

Deno.test("bytesResponse copies a large range piece by piece, as it is read", async () => {
  const bytes = new Uint8Array(3 * CHUNK_BYTES + 5).fill(1);
  const reader = bytesResponse({ bytes, offset: 2, length: 2 * CHUNK_BYTES + 3 }, false).body!.getReader();
  const sizes: number[] = [];
  for (let fill = 1;; fill++) {
    bytes.fill(fill);
    const { done, value } = await reader.read();
    if (done) break;
    sizes.push(value.byteLength);
    assertEquals(value[0], fill);
  }
  assertEquals(sizes, [CHUNK_BYTES, CHUNK_BYTES, 3]);
});

Deno.test("bytesResponse of no bytes is an empty answer", async () => {
  const response = bytesResponse({ bytes: new Uint8Array(4), offset: 4, length: 0 }, false);
  assertEquals(response.headers.get("content-length"), "0");
  assertEquals((await response.bytes()).byteLength, 0);
});

Deno.test("bytesResponse for HEAD has the length and no body", () => {
  const response = bytesResponse({
    bytes: new Uint8Array(2 * CHUNK_BYTES),
    offset: 0,
    length: 2 * CHUNK_BYTES,
  }, true);
  assertEquals(response.body, null);
  assertEquals(response.headers.get("content-length"), String(2 * CHUNK_BYTES));
});

Deno.test("bytesResponse fails the stream when the segment is removed meanwhile", async () => {
  const bytes = new Uint8Array(2 * CHUNK_BYTES);
  const reader = bytesResponse({ bytes, offset: 0, length: bytes.byteLength }, false).body!.getReader();
  assertEquals((await reader.read()).value?.byteLength, CHUNK_BYTES);
  bytes.buffer.transfer();
  await assertRejects(() => reader.read(), Error, "removed meanwhile");
});

Deno.test("writeBody writes a body at its offset and nowhere else", async () => {
  const bytes = new Uint8Array(10);
  assertEquals(await write(put(chunks(2, 0, 3)), bytes, { offset: 4 }), 5);
  assertEquals([...bytes], [0, 0, 0, 0, 7, 7, 7, 7, 7, 0]);
});

Deno.test("writeBody takes a body that ends exactly at the end, and no body", async () => {
  const bytes = new Uint8Array(10);
  assertEquals(await write(put(chunks(5, 5)), bytes, { length: 10, maxBodyBytes: 10 }), 10);
  assertEquals(await write(put(null), bytes, { offset: 10 }), 0);
  assertEquals(await write(put(null), bytes, { offset: 10, length: 0 }), 0);
});

Deno.test("writeBody refuses in advance what says that it is too long, and writes nothing", async () => {
  const bytes = new Uint8Array(10);
  const long = () => put(chunks(8), { "content-length": "8" });
  assertEquals(await refusal(write(long(), bytes, { offset: 3 })), [413, "EFBIG", 0]);
  assertEquals(await refusal(write(long(), bytes, { maxBodyBytes: 7 })), [413, "EFBIG", 0]);
  assertEquals(await refusal(write(long(), bytes, { length: 7 })), [400, "EINVAL", 0]);
  assertEquals(await refusal(write(long(), bytes, { length: 9 })), [400, "EINVAL", 0]);
  assertEquals(await refusal(write(put(chunks(8)), bytes, { length: 8, maxBodyBytes: 7 })), [
    413,
    "EFBIG",
    0,
  ]);
  assertEquals(bytes.every((byte) => byte === 0), true);
});

Deno.test("writeBody refuses a Content-Length that is no number, and takes leading zeroes", async () => {
  const bytes = new Uint8Array(10);
  const error = await assertRejects(
    () => write(put(chunks(1), { "content-length": "-1" }), bytes),
    HttpError,
  );
  assertEquals([error.status, error.code, bytes[0]], [400, "EINVAL", 0]);
  assertEquals(await write(put(chunks(2), { "content-length": "002" }), bytes), 2);
  assertEquals(await write(put(null, { "content-length": "0" }), bytes), 0);
});

Deno.test("writeBody stops a body of unknown length at the boundary and counts", async () => {
  for (
    const [limits, status, code, written] of [
      [{ offset: 4 }, 413, "EFBIG", 6],
      [{ offset: 4, length: 5 }, 400, "EINVAL", 5],
      [{ offset: 4, length: 6 }, 413, "EFBIG", 6],
      [{ maxBodyBytes: 5 }, 413, "EFBIG", 5],
      [{ offset: 10 }, 413, "EFBIG", 0],
    ] as const
  ) {
    const bytes = new Uint8Array(10);
    let cancelled = false;
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: (controller) => controller.enqueue(new Uint8Array(4).fill(7)),
      cancel: () => void (cancelled = true),
    });
    assertEquals(await refusal(write(put(body), bytes, limits)), [status, code, written]);
    assertEquals(bytes.filter((byte) => byte === 7).length, written);
    assertEquals(cancelled, true);
  }
});

Deno.test("writeBody refuses a body shorter than its length and says what is written", async () => {
  const bytes = new Uint8Array(10);
  assertEquals(await refusal(write(put(chunks(3)), bytes, { length: 4 })), [400, "EINVAL", 3]);
  assertEquals(await refusal(write(put(null), bytes, { length: 4 })), [400, "EINVAL", 0]);
});

Deno.test("writeBody says what is written when the body breaks off", async () => {
  const bytes = new Uint8Array(10);
  let pulls = 0;
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      if (pulls++ === 0) controller.enqueue(new Uint8Array(4).fill(7));
      else controller.error(new TypeError("connection reset"));
    },
  });
  assertEquals(await refusal(write(put(body), bytes)), [400, "ECONNRESET", 4]);
  assertEquals(bytes[3], 7);
});

Deno.test("writeBody stops when the segment is removed meanwhile", async () => {
  const bytes = new Uint8Array(10);
  let pulls = 0;
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      if (pulls++ === 1) bytes.buffer.transfer();
      controller.enqueue(new Uint8Array(2));
    },
  }, { highWaterMark: 0 });
  assertEquals(await refusal(write(put(body), bytes)), [404, "ENOENT", 2]);
});
