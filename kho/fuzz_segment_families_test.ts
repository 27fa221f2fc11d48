/**
 * The families of damaged segments: the bytes of the envelope, the payload behind a right checksum, and the documents in it.
 * It has no tests itself; the name keeps it out of the published package.
 *
 * @module
 */
import { createHash } from "node:crypto";

import { decodeRecord, recordVersion } from "../handlers/record.ts";
import { addSeals, createMemfd, writeAll } from "../sys/mod.ts";
import { formatAnnouncement, HANDOVER_VARIABLE, parseAnnouncement } from "./abi/announcement.ts";
import { decodeDocument, Fields } from "./abi/fields.ts";
import { encodeImage, parseImage } from "./abi/image.ts";
import {
  decodeHistory,
  decodeNames,
  decodeStates,
  encodeHistory,
  encodeNames,
  encodeStates,
} from "./abi/live.ts";
import { decodeLuo, encodeLuo } from "./abi/luo.ts";
import { encodeSegment, KHO_VERSION, subtreeOf } from "./abi/segment.ts";
import { makeBomb } from "./bombs_test.ts";
import { concat, head, itemsOf } from "./cbor_items_test.ts";
import { type CborValue, decodeCbor, encodeCbor } from "./codec.ts";
import { mutateDocument, randomText } from "./documents_test.ts";
import type { HandoverErrorCode } from "./errors.ts";
import { INNER, LUO, SEGMENTS } from "./fuzz_samples_test.ts";
import { type Case, judge, Violation } from "./fuzz_verdict_test.ts";
import { mutate, type Random } from "./mutations_test.ts";
import { sampleSegment } from "./samples_test.ts";
import { decodeEnvelope, readSegment, type Segment } from "./segment.ts";
import { encodeEnvelope } from "./segment_build.ts";

const ENVELOPE_CODES: readonly HandoverErrorCode[] = ["CORRUPT", "TOO_LARGE", "UNKNOWN_VERSION"];
const INNER_CODES: readonly HandoverErrorCode[] = ["CORRUPT", "UNKNOWN_VERSION"];

/** A reader of an inner document, and the writer that belongs to it. */
interface Format {
  readonly read: (bytes: Uint8Array) => unknown;
  readonly write: (value: never) => Uint8Array;
}

const FORMATS: Record<keyof typeof INNER, Format> = {
  luo: { read: decodeLuo, write: encodeLuo },
  states: { read: decodeStates, write: encodeStates },
  history: { read: decodeHistory, write: encodeHistory },
  names: { read: decodeNames, write: encodeNames },
  image: {
    read: (bytes) => parseImage(Fields.decode(bytes, "image")),
    write: (image: Parameters<typeof encodeImage>[0]) => encodeCbor(encodeImage(image)),
  },
  record: { read: readRecord, write: encodeCbor },
};

const PAYLOADS = SEGMENTS.map((segment) => (decodeCbor(segment) as CborValue[])[2] as Uint8Array);

/** What an announcement is made of, and what is close to it. */
const LETTERS = [..."0123456789abcdefABCDEF:::v+-. x\n", "00", "٣", "\0", ""];

/** Numbers of descriptors, good and bad. */
const ODD_FDS = [
  "0",
  "2",
  "3",
  "03",
  "007",
  "+3",
  "-3",
  " 3",
  "3.0",
  "1e1",
  "999999999",
  "1000000000",
  "3\n",
];

/** How often each family is taken. */
const WEIGHTS: readonly (readonly [number, (random: Random) => Case])[] = [
  [24, envelope],
  [24, payload],
  [20, document],
  [20, inner],
  [5, nested],
  [4, announcement],
  [3, bomb],
];
const TOTAL = WEIGHTS.reduce((sum, [weight]) => sum + weight, 0);

/** A damaged segment, or a damaged part of one. */
export function segmentCase(random: Random): Case {
  let at = random.below(TOTAL);
  for (const [weight, make] of WEIGHTS) {
    if (at < weight) return make(random);
    at -= weight;
  }
  throw new Error("Cannot choose a family: the weights are wrong");
}

/** An envelope with a right checksum around any bytes. */
export function reseal(payload: Uint8Array, version = KHO_VERSION): Uint8Array {
  const digest = new Uint8Array(createHash("sha256").update(payload).digest());
  return concat([
    head(4, 3n),
    encodeCbor(version),
    head(2, 32n),
    digest,
    head(2, BigInt(payload.length)),
    payload,
  ]);
}

/** The bytes of the whole segment, where nearly always the checksum refuses. */
function envelope(random: Random): Case {
  const which = sampleOf(random);
  const { bytes, how } = mutate(SEGMENTS[which] ?? new Uint8Array(), random, random.pick(SEGMENTS));
  return segment("envelope", `segment ${which}: ${how}`, bytes, random.chance(0.02));
}

/** The payload is damaged before its checksum is made, so that the reader behind it is met. */
function payload(random: Random): Case {
  const which = sampleOf(random);
  const { bytes, how } = mutate(PAYLOADS[which] ?? new Uint8Array(), random, random.pick(PAYLOADS));
  return segment("payload", `payload ${which}: ${how}`, reseal(bytes), random.chance(0.02));
}

/** The payload is well-formed and says something else; sometimes the envelope does. */
function document(random: Random): Case {
  const which = sampleOf(random);
  const bytes = PAYLOADS[which] ?? new Uint8Array();
  if (random.chance(0.1)) {
    const whole = mutateDocument(decodeCbor(reseal(bytes)), random);
    return segment("document", `envelope ${which}: another document`, encodeCbor(whole), random.chance(0.02));
  }
  const changed = encodeCbor(mutateDocument(decodeCbor(bytes), random));
  return segment("document", `payload ${which}: another document`, reseal(changed), random.chance(0.02));
}

/** An inner document by itself. */
function inner(random: Random): Case {
  const { bytes, how, what } = damagedInner(random);
  return { family: what, how, bytes, run: () => judgeInner(what, bytes) };
}

/** An inner document within a segment: the segment is as good as before, and the document is refused by its own reader. */
function nested(random: Random): Case {
  const { bytes: subtree, how, what } = damagedInner(random);
  const record = sampleSegment({
    blobs: [new Uint8Array(1), subtree],
    subtrees: [{ handle: 2n, name: what === "luo" ? LUO : what }],
  });
  const bytes = encodeEnvelope(record);
  return {
    family: "nested",
    how: `${what}: ${how}`,
    bytes,
    async run() {
      const found = await judgeSegment(bytes);
      if (found !== "equal") throw new Violation(`a segment is refused for what is in a subtree: ${found}`);
      const { record } = await decodeEnvelope(bytes);
      const handed = subtreeOf(record, what === "luo" ? LUO : what);
      if (handed === null) throw new Violation("the subtree is lost");
      return await judgeInner(what, handed);
    },
  };
}

/** A small input that wants much: a whole segment, a payload, a member of it, or an inner document. */
function bomb(random: Random): Case {
  const { bytes, how } = makeBomb(random);
  const family = "bomb";
  switch (random.below(4)) {
    case 0:
      return segment(family, `segment: ${how}`, bytes, false);
    case 1:
      return segment(family, `payload: ${how}`, reseal(bytes), random.chance(0.2));
    case 2: {
      const payload = PAYLOADS[1] ?? new Uint8Array();
      const { start, end } = random.pick(itemsOf(payload));
      const changed = concat([payload.subarray(0, start), bytes, payload.subarray(end)]);
      return segment(family, `byte ${start} of payload 1: ${how}`, reseal(changed), random.chance(0.2));
    }
    default: {
      const what = random.pick(Object.keys(INNER) as (keyof typeof INNER)[]);
      const sample = random.pick(INNER[what]);
      const { start, end } = random.pick(itemsOf(sample));
      const changed = concat([sample.subarray(0, start), bytes, sample.subarray(end)]);
      return {
        family,
        how: `byte ${start} of ${what}: ${how}`,
        bytes: changed,
        run: () => judgeInner(what, changed),
      };
    }
  }
}

/** What the environment says. */
function announcement(random: Random): Case {
  const role = random.pick(["update", "fallback", "recovery", "store"]);
  const entry = `v1:${random.below(1000)}:${random.bytes(16).toHex()}:${role}`;
  const damaged = mutate(new TextEncoder().encode(entry), random, new TextEncoder().encode("v1:3:00:store"));
  const at = random.below(entry.length + 1);
  const text = random.pick([
    new TextDecoder().decode(damaged.bytes),
    entry.slice(0, at) + random.pick(LETTERS) + entry.slice(at + random.below(2)),
    entry.replace(/:[0-9]+/, `:${random.pick(ODD_FDS)}`),
    entry + randomText(random),
  ]);
  const input = new TextEncoder().encode(text);
  return {
    family: "announcement",
    how: "another text",
    bytes: input,
    run: () =>
      judge(
        input,
        (bytes) => parseAnnouncement(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)),
        (value) => new TextEncoder().encode(formatAnnouncement(value).slice(HANDOVER_VARIABLE.length + 1)),
        ["BAD_ANNOUNCEMENT"],
      ),
  };
}

function segment(family: string, how: string, bytes: Uint8Array, sealed: boolean): Case {
  return {
    family,
    how: sealed ? `${how}, in a sealed memfd` : how,
    bytes,
    async run() {
      const found = await judgeSegment(bytes);
      if (sealed && await judgeSegment(bytes, readSealed) !== found) {
        throw new Violation(`the sealed memfd is not read as its bytes are: ${found}`);
      }
      return found;
    },
  };
}

async function judgeSegment(
  bytes: Uint8Array,
  read: (bytes: Uint8Array) => Promise<Segment> = decodeEnvelope,
): Promise<string> {
  return await judge(bytes, read, ({ record, bytes: size }) => {
    if (size !== bytes.length) throw new Violation(`the size is said to be ${size}, it is ${bytes.length}`);
    return reseal(encodeCbor(encodeSegment(record)));
  }, ENVELOPE_CODES);
}

/** Reads the bytes out of a memfd with all seals, as the next image does. */
async function readSealed(bytes: Uint8Array): Promise<Segment> {
  using memory = createMemfd("kho:fuzz");
  writeAll(memory.fd, bytes);
  addSeals(memory.fd, 0xf);
  return await readSegment(memory.fd);
}

function damagedInner(random: Random): { bytes: Uint8Array; how: string; what: keyof typeof INNER } {
  const what = random.pick(Object.keys(INNER) as (keyof typeof INNER)[]);
  const sample = random.pick(INNER[what]);
  if (random.chance(0.4)) {
    return { bytes: encodeCbor(mutateDocument(decodeCbor(sample), random)), how: "another document", what };
  }
  return {
    ...mutate(sample, random, random.pick(INNER[random.pick(Object.keys(INNER) as typeof what[])])),
    what,
  };
}

async function judgeInner(what: keyof typeof INNER, bytes: Uint8Array): Promise<string> {
  const { read, write } = FORMATS[what];
  return await judge(bytes, read, write as (value: unknown) => Uint8Array, INNER_CODES);
}

/** The blob of a handler: strict in its version, open for members that a reader does not know. */
function readRecord(bytes: Uint8Array): CborValue {
  const version = recordVersion(bytes, "file-v1");
  const fields = decodeRecord(bytes, "file-v1", 2);
  if (version < 1 || version > 2) throw new Violation(`a record of version ${version} was read`);
  for (const key of ["flags", "pos", "seals"]) if (fields.maybe(key) !== undefined) fields.int(key);
  for (const key of ["path", "path_state"]) if (fields.maybe(key) !== undefined) fields.text(key);
  return decodeDocument(bytes, "file-v1");
}

/** Mostly the busy one: the others are very small, or take long. */
function sampleOf(random: Random): number {
  return random.pick([0, 1, 1, 1, 2, 2, 2, 2, 2, 3]);
}
