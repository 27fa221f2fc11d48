/**
 * Damaged segments: a typed error that says what is wrong, or a document that means exactly these bytes; never a crash, a hang,
 * or more than 64 MiB of memory.
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";

import { createMemfd, createSocket, openFile } from "../sys/mod.ts";
import { encodeLuo } from "./abi/luo.ts";
import { encodeSegment } from "./abi/segment.ts";
import { equalBytes } from "./cbor_items_test.ts";
import { encodeCbor } from "./codec.ts";
import { HandoverError } from "./errors.ts";
import { describeFinding, makeCase, MAX_MIB, MAX_MS, runCampaign } from "./fuzz_campaign_test.ts";
import { FAULTS, FAULTY_INDEX } from "./fuzz_faults_test.ts";
import { LUO, sampleLuo, SEGMENTS } from "./fuzz_samples_test.ts";
import { reseal } from "./fuzz_segment_families_test.ts";
import { codeOf, judge, Violation } from "./fuzz_verdict_test.ts";
import { mutate, Random } from "./mutations_test.ts";
import { OutgoingKho } from "./outgoing.ts";
import { ownMetadata, sampleSegment } from "./samples_test.ts";
import { decodeEnvelope, readSegment } from "./segment.ts";
import { encodeEnvelope, sealSegment } from "./segment_build.ts";

const SEED = 20_260_801;

Deno.test("20 000 damaged segments are refused by what is wrong with them, or mean exactly their bytes", async () => {
  const options = { group: "segment", seed: SEED, from: 0, mutations: 20_000 } as const;
  const { finding, inputs, outcomes, slowest, largest, growth_mib } = await runCampaign(options);
  console.log(
    `seed ${SEED}: slowest ${slowest.ms.toFixed(0)} ms, largest ${largest.mib.toFixed(1)} MiB, ` +
      `all ${growth_mib.toFixed(1)} MiB`,
  );
  assert(finding === null, finding === null ? "" : await describeFinding(options, finding));
  assertEquals(inputs, options.mutations);
  assert(slowest.ms <= MAX_MS && largest.mib <= MAX_MIB && growth_mib <= MAX_MIB);
  // A run in which the checksum refuses everything would say nothing about the readers behind it.
  const inner = ["luo", "states", "history", "names", "image", "record", "nested"];
  for (const family of ["envelope", "payload", "document", ...inner, "bomb"]) {
    assert((outcomes[family]?.CORRUPT ?? 0) > 100, `${family} is never corrupt`);
  }
  for (const family of ["payload", "document", ...inner, "announcement"]) {
    assert((outcomes[family]?.equal ?? 0) > 0, `${family} is never read`);
  }
  for (const family of ["envelope", "document", "luo", "states", "history", "names", "record"]) {
    assert((outcomes[family]?.UNKNOWN_VERSION ?? 0) > 0, `${family} is never of another version`);
  }
});

Deno.test("a damaged segment of this very process, with descriptors of its own, is read from a sealed memfd as promised", async () => {
  using held = new DisposableStack();
  const kho = new OutgoingKho();
  for (let round = 0; round < 8; round++) {
    kho.preserveFd(held.use(createMemfd("fuzz", { size: 4096 })).fd);
    kho.preserveFd(held.use(createSocket("unix", "stream")).fd, "inherited");
    kho.preserveFd(held.use(openFile("/dev/null")).fd, "runtime");
  }
  kho.addSubtree(LUO, encodeLuo(sampleLuo(3, 8)));
  const record = sampleSegment({
    blobs: kho.blobs(),
    fds: kho.fds(),
    metadata: ownMetadata(),
    subtrees: kho.subtrees(),
  });
  const payload = encodeCbor(encodeSegment(record));
  const seen = new Set<string>();
  for (let index = 0; index < 500; index++) {
    const random = new Random(SEED, index);
    const bytes = index === 0 ? reseal(payload) : reseal(mutate(payload, random, payload).bytes);
    using memory = sealSegment(bytes);
    const found = await judge(
      bytes,
      () => readSegment(memory.fd),
      ({ record }) => reseal(encodeCbor(encodeSegment(record))),
      ["CORRUPT", "UNKNOWN_VERSION", "TOO_LARGE"],
    ).catch((error) => {
      throw new Error(`seed ${SEED}, ${index}: ${bytes.toHex()}`, { cause: error });
    });
    seen.add(found);
  }
  assert(seen.has("equal") && seen.has("CORRUPT"), [...seen].join());
});

Deno.test("a seed and a number give the same input again, and different numbers different ones", () => {
  const seen = new Set<string>();
  for (let index = 0; index < 300; index++) {
    const [one, two] = [makeCase("segment", SEED, index), makeCase("segment", SEED, index)];
    assert(equalBytes(one.bytes, two.bytes) && one.how === two.how && one.family === two.family, `${index}`);
    seen.add(one.bytes.toHex());
  }
  assert(seen.size > 280, `${seen.size} of 300`);
});

Deno.test("the segments that are damaged are valid, and reseal() writes envelopes as the writer does", async () => {
  for (const bytes of SEGMENTS) {
    const { record } = await decodeEnvelope(bytes);
    assert(equalBytes(encodeEnvelope(record), bytes));
    assert(equalBytes(reseal(encodeCbor(encodeSegment(record))), bytes));
  }
});

Deno.test("judge() objects to everything but the errors of the handover and equal documents", async () => {
  const bytes = new Uint8Array([1, 2]);
  const verdict = (read: (bytes: Uint8Array) => Uint8Array): Promise<string> =>
    judge(bytes, read, (value) => value, ["CORRUPT"]);
  assertEquals(await verdict((bytes) => bytes), "equal");
  await assertRejects(() => verdict(() => new Uint8Array(2)), Violation, "is written as 0000");
  await assertRejects(() => verdict((bytes) => bytes.fill(0)), Violation, "changed its input");
  const accidents: [unknown, string][] = [
    [new TypeError("x is undefined"), "has no type"],
    ["a text", "has no type"],
    [new HandoverError("FOREIGN", "Cannot read the handover: no"), "FOREIGN is not one of CORRUPT"],
    [new HandoverError("CORRUPT", "no"), "does not say what is wrong"],
    [new HandoverError("CORRUPT", "Cannot read the handover: "), "does not say what is wrong"],
    [new HandoverError("CORRUPT", "Cannot read it: no", { cause: new TypeError("x") }), "an accident"],
    [new HandoverError("CORRUPT", "Cannot read it: no", { cause: new RangeError("x") }), "an accident"],
  ];
  for (const [error, text] of accidents) assertThrows(() => codeOf(error, ["CORRUPT"]), Violation, text);
});

Deno.test("a run notices whatever a reader must not do, and names the input", async () => {
  const reasons = {
    throw: "a reader that trusts its input",
    accident: "an accident is behind the error",
    memory: "MiB of memory",
    time: "it took 2",
    crash: "it ended the process: SIGKILL",
    exit: "it ended the process: exit 7",
    hang: "it hung the process",
  };
  for (const [seed, fault] of FAULTS.entries()) {
    const options = {
      group: "fault",
      seed,
      from: 0,
      mutations: 10,
      hangMs: fault === "hang" ? 8000 : 60_000,
    } as const;
    const { finding, inputs } = await runCampaign(options);
    assertEquals(finding?.index, FAULTY_INDEX, fault);
    assertStringIncludes(finding?.reason ?? "", reasons[fault]);
    assert(inputs <= FAULTY_INDEX + 1, `${fault}: ${inputs} inputs`);
  }
});
