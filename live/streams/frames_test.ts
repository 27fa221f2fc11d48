import { assert, assertEquals } from "@std/assert";
import { Frames } from "./frames.ts";

const TEXT = 1;
const CONTINUATION = 0;
const CLOSE = 8;
const PING = 9;

/** A frame as a client sends it, its payload not really masked. */
function frame(opcode: number, size: number, fin = true): Uint8Array<ArrayBuffer> {
  const lengths = size < 126
    ? [size]
    : size < 65_536
    ? [126, size >> 8, size & 255]
    : [127, 0, 0, 0, 0, size >>> 24, (size >> 16) & 255, (size >> 8) & 255, size & 255];
  lengths[0]! |= 0x80;
  const bytes = new Uint8Array(1 + lengths.length + 4 + size).fill(0x61);
  bytes.set([opcode | (fin ? 0x80 : 0), ...lengths, 1, 2, 3, 4]);
  return bytes;
}

function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

/** What is pending after these bytes came in one piece. */
function pendingAfter(...parts: Uint8Array[]): Uint8Array {
  const frames = new Frames();
  frames.feed(joined(...parts));
  return frames.pending();
}

Deno.test("whole messages leave nothing", () => {
  assertEquals(pendingAfter(), new Uint8Array(0));
  for (const size of [0, 1, 125, 126, 127, 65_535, 65_536, 70_000]) {
    assertEquals(pendingAfter(frame(TEXT, size), frame(PING, 3)), new Uint8Array(0), `${size}`);
  }
});

Deno.test("a frame that is cut anywhere is kept as far as it has come", () => {
  for (const size of [0, 5, 130, 66_000]) {
    const whole = frame(TEXT, size);
    const cuts = [...Array(Math.min(16, whole.byteLength)).keys(), whole.byteLength - 1].filter((cut) =>
      cut > 0
    );
    for (const cut of cuts) {
      const begun = whole.subarray(0, cut);
      assertEquals(pendingAfter(frame(TEXT, 7), begun), begun, `${size} cut at ${cut}`);
      const frames = new Frames();
      for (const byte of begun) frames.feed(Uint8Array.of(byte));
      assertEquals(frames.pending(), begun, `${size} byte by byte, cut at ${cut}`);
      frames.feed(whole.subarray(cut));
      assertEquals(frames.pending().byteLength, 0, `${size} completed after ${cut}`);
    }
  }
});

Deno.test("the fragments of a message are kept, and complete control frames between them are not", () => {
  const [one, two, three] = [frame(TEXT, 300, false), frame(CONTINUATION, 0, false), frame(CONTINUATION, 9)];
  const ping = frame(PING, 4);
  assertEquals(pendingAfter(one), one);
  assertEquals(pendingAfter(one, ping, two, ping), joined(one, two));
  const half = ping.subarray(0, 8);
  assertEquals(pendingAfter(one, ping, half), joined(one, half), "a ping that is cut");
  assertEquals(pendingAfter(one, two, three.subarray(0, 1)), joined(one, two, three.subarray(0, 1)));
  assertEquals(pendingAfter(one, ping, two, three), new Uint8Array(0));
});

Deno.test("what is kept is a copy of what came, which the library unmasks in place", () => {
  const frames = new Frames();
  const chunk = frame(TEXT, 20, false);
  const before = chunk.slice();
  frames.feed(chunk);
  chunk.fill(0);
  assertEquals(frames.pending(), before);
  frames.pending().fill(0);
  assertEquals(frames.pending(), before);
});

Deno.test("of a conversation that was closed the close frame is kept, and nothing counts behind it", () => {
  const close = frame(CLOSE, 2);
  const frames = new Frames();
  const begun = joined(frame(TEXT, 3, false), close.subarray(0, 7));
  frames.feed(begun);
  assertEquals([frames.closed, frames.pending()], [false, begun]);
  frames.feed(joined(close.subarray(7), frame(TEXT, 5).subarray(0, 4)));
  assertEquals([frames.closed, frames.pending()], [true, close]);
  frames.feed(frame(TEXT, 5));
  assertEquals([frames.closed, frames.pending()], [true, close]);
  assertEquals(pendingAfter(frame(TEXT, 3), close, close), close);
});

Deno.test("what no client may send is kept, so that the library says the same again", () => {
  const unmasked = frame(TEXT, 5);
  unmasked[1]! &= 0x7f;
  const bad = {
    rsv: [0xc1, 0x80],
    opcode: [0x83, 0x80],
    "half a ping": [0x09, 0x80],
    high: [0x8b, 0x80],
    unmasked,
  };
  for (const [name, start] of Object.entries(bad)) {
    const bytes = joined(new Uint8Array(start), frame(TEXT, 3));
    const frames = new Frames();
    frames.feed(joined(frame(TEXT, 2), bytes));
    assertEquals(frames.pending(), bytes, name);
    assert(!frames.closed, name);
    frames.feed(frame(TEXT, 3));
    assertEquals(frames.pending(), bytes, `${name}, and nothing that comes later`);
  }
});

Deno.test("a random conversation in random pieces: always what a look at all of it says", () => {
  let seed = 5;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff;
    return (seed >> 8) % below;
  };
  let open = false;
  let at = 0;
  // Where each frame begins and ends, and what counts as pending right behind it.
  const ends: { begin: number; end: number; before: Uint8Array }[] = [];
  const all: Uint8Array[] = [];
  let message = new Uint8Array(0);
  for (let count = 0; count < 300; count++) {
    const control = random(4) === 0;
    const fin = control || random(2) === 0;
    const size = control
      ? random(126)
      : [random(126), random(3000), 70_000][random(20) === 0 ? 2 : random(2)]!;
    const bytes = frame(control ? PING : open ? CONTINUATION : TEXT, size, fin);
    ends.push({ begin: at, end: at + bytes.byteLength, before: message });
    at += bytes.byteLength;
    all.push(bytes);
    if (control) continue;
    open = !fin;
    message = fin ? new Uint8Array(0) : joined(message, bytes);
  }
  const stream = new Uint8Array(at);
  for (const [index, { begin }] of ends.entries()) stream.set(all[index]!, begin);
  const frames = new Frames();
  let cuts = 0;
  for (let done = 0; done < stream.byteLength; cuts++) {
    const next = Math.min(stream.byteLength, done + 1 + random([3, 200, 20_000][random(3)]!));
    frames.feed(stream.slice(done, next));
    done = next;
    const under = ends.find(({ end }) => end > done);
    const wanted = under === undefined ? message : joined(under.before, stream.subarray(under.begin, done));
    assertEquals(frames.pending(), wanted, `after ${done} bytes`);
  }
  assert(cuts > 100, `${cuts} pieces`);
});
