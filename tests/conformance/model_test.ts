/**
 * Random sequences of operations, two updates deep, on a model and on the real thing; and the shortest sequences that
 * told once where the two differed, or where a fault that was put into `luo/` on purpose shows.
 *
 * A run that fails prints its seed: `HEIRLOOM_PROPERTY_SEED=SEED` plays the same sequences again. `scripts/properties.ts`
 * plays more of them.
 *
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";

import { Identities } from "../../luo/identities.ts";
import { checkSequences, randomSeed } from "../../luo/model_commands_test.ts";
import type { Op } from "../../luo/model_op_test.ts";
import { Mismatch, play } from "../../luo/model_run_test.ts";

const SEQUENCES = 2000;

/** Answers without which a run has tested little. */
const NEEDED = [
  ...["back ok", "close ok", "create EMFILE", "finish EBUSY", "finish ok", "freeze EAGAIN", "getIncoming ok"],
  ...[
    "preserve EAGAIN",
    "preserve EBUSY",
    "putIncoming ok",
    "putOutgoing ok",
    "retrieve EAGAIN",
    "retrieve ok",
  ],
  ...["take EINVAL", "unpreserve ok", "unregister EBUSY", "update EAGAIN", "update ok"],
];

Deno.test(`Sessions, files and FLBs do what the model says, in ${SEQUENCES} random sequences`, () => {
  const wanted = Deno.env.get("HEIRLOOM_PROPERTY_SEED");
  const seed = wanted === undefined ? randomSeed() : Number(wanted);
  assert(seed === (seed | 0), `HEIRLOOM_PROPERTY_SEED must be a whole number of 32 bits, it is "${wanted}"`);
  const { failure, sequences, answers, ms } = checkSequences(SEQUENCES, seed);
  console.log(`${sequences} sequences in ${Math.round(ms)} ms, HEIRLOOM_PROPERTY_SEED=${seed}`);
  assert(failure === null, `HEIRLOOM_PROPERTY_SEED=${seed} finds it again:\n${failure}`);
  assertEquals(sequences, SEQUENCES);
  assertEquals(NEEDED.filter((answer) => !answers.has(answer)), []);
});

Deno.test("The random sequences find a fault, shrink it, and find it again by its seed", () => {
  const { insert } = Identities.prototype;
  // Nothing is ever held already, so that one resource crosses twice.
  Identities.prototype.insert = function (handler, fd) {
    return insert.call(new Identities(), handler, fd);
  };
  try {
    const [first, again] = [checkSequences(200, 1), checkSequences(200, 1)];
    assertEquals([first.failure, first.sequences], [again.failure, again.sequences]);
    const failure = first.failure ?? "";
    assert(failure.includes('the answer is "ok", the model says "EBUSY"'), failure);
    const ops = failure.split("\n").filter((line) => line.startsWith("  { op: "));
    assert(ops.length <= 12, failure);
  } finally {
    Identities.prototype.insert = insert;
  }
});

Deno.test("play() says where the two differ", () => {
  const { delete: forget } = Identities.prototype;
  Identities.prototype.delete = () => {};
  try {
    const error = assertThrows(
      () => play(SEQUENCE_OF["a file is free again after unpreserve"] ?? []),
      Mismatch,
    );
    const op = 'operation 4: { op: "preserve", session: "out a", fd: "0", token: 1n }';
    assertEquals(error.message, `${op}: the answer is "EBUSY", the model says "ok"`);
  } finally {
    Identities.prototype.delete = forget;
  }
});

const SEQUENCE_OF: Record<string, readonly Op[]> = {
  // Found at random.
  "the liveupdate number counts an image that never opened the device": [
    { op: "open" },
    { op: "update" },
    { op: "update" },
    { op: "open" },
  ],
  "an incoming session cannot be closed while an update freezes": [
    { op: "open" },
    { op: "create", name: "c" },
    { op: "update" },
    { op: "open" },
    { op: "take", name: "c" },
    { op: "freeze" },
    { op: "close", session: "in c" },
  ],
  // Found with faults that were put in on purpose, one for each.
  "a file is free again after unpreserve": [
    { op: "open" },
    { op: "create", name: "a" },
    { op: "preserve", session: "out a", fd: "0", token: 0n },
    { op: "unpreserve", session: "out a", token: 0n },
    { op: "preserve", session: "out a", fd: "0", token: 1n },
  ],
  "a handler that fails to preserve gives the FLBs back": [
    { op: "open" },
    { op: "create", name: "b" },
    { op: "preserve", session: "out b", fd: "4", token: 1n, fault: ["preserve", 0, "EAGAIN"] },
  ],
  "an FLB that fails to preserve gives those before it back, last to first": [
    { op: "open" },
    { op: "create", name: "b" },
    { op: "preserve", session: "out b", fd: "0", token: 1n, fault: ["z.preserve", 0, "EAGAIN"] },
  ],
  "a freeze that fails leaves no descriptor open": [
    { op: "open" },
    { op: "create", name: "a" },
    { op: "preserve", session: "out a", fd: "0", token: 0n },
    { op: "update", fault: ["freeze", 0, "EAGAIN"] },
  ],
  "a freeze that fails unfreezes the sessions before it": [
    { op: "open" },
    { op: "create", name: "a" },
    { op: "create", name: "b" },
    { op: "preserve", session: "out a", fd: "3", token: 0n },
    { op: "preserve", session: "out b", fd: "0", token: 0n },
    { op: "preserve", session: "out a", fd: "1", token: 1n },
    { op: "freeze", fault: ["freeze", 2, "EAGAIN"] },
  ],
  "a file that could not be retrieved stays so": [
    { op: "open" },
    { op: "create", name: "a" },
    { op: "preserve", session: "out a", fd: "0", token: 0n },
    { op: "update" },
    { op: "open" },
    { op: "take", name: "a" },
    { op: "retrieve", session: "in a", token: 0n, fault: ["retrieve", 0, "EAGAIN"] },
    { op: "retrieve", session: "in a", token: 0n },
  ],
  "a retrieved file is held until its session is closed": [
    { op: "open" },
    { op: "create", name: "a" },
    { op: "preserve", session: "out a", fd: "5 again", token: 0n },
    { op: "update" },
    { op: "open" },
    { op: "take", name: "a" },
    { op: "retrieve", session: "in a", token: 0n },
    { op: "create", name: "b" },
    { op: "preserve", session: "out b", fd: "5 again", token: 0n },
    { op: "close", session: "in a" },
    { op: "preserve", session: "out b", fd: "5 again", token: 0n },
  ],
  "a session whose close is refused gives its descriptor back and can be taken again": [
    { op: "open" },
    { op: "create", name: "a" },
    { op: "preserve", session: "out a", fd: "0", token: 2n },
    { op: "update" },
    { op: "open" },
    { op: "take", name: "a" },
    { op: "close", session: "in a", fault: ["canFinish", 0, "EAGAIN"] },
    { op: "finish", session: "in a" },
    { op: "take", name: "a" },
  ],
  "files that need each other in a circle cannot be retrieved, others can": [
    { op: "open" },
    { op: "create", name: "a" },
    { op: "preserve", session: "out a", fd: "0", token: 0n },
    { op: "preserve", session: "out a", fd: "1", token: 1n },
    { op: "preserve", session: "out a", fd: "4", token: 2n },
    { op: "create", name: "b" },
    { op: "preserve", session: "out b", fd: "3", token: 0n },
    { op: "update" },
    { op: "open" },
    { op: "take", name: "a" },
    { op: "take", name: "b" },
    { op: "retrieve", session: "in a", token: 1n },
    { op: "retrieve", session: "in b", token: 0n },
  ],
  "an FLB that a handler has only in this build is finished once": [
    { op: "open" },
    { op: "create", name: "a" },
    { op: "preserve", session: "out a", fd: "0 again", token: 2n },
    { op: "preserve", session: "out a", fd: "5 again", token: 0n },
    { op: "update" },
    { op: "open" },
    { op: "link", handler: "open", flb: "x" },
  ],
  "an FLB that somebody has outlives its files": [
    { op: "open" },
    { op: "create", name: "b" },
    { op: "preserve", session: "out b", fd: "0", token: 0n },
    { op: "update" },
    { op: "open" },
    { op: "getIncoming", flb: "z" },
    { op: "take", name: "b" },
    { op: "close", session: "in b" },
    { op: "putIncoming", flb: "z" },
    { op: "getIncoming", flb: "z" },
  ],
  "a handler that went takes its FLBs along": [
    { op: "open" },
    { op: "create", name: "b" },
    { op: "unregister", handler: "inode" },
    { op: "register", handler: "inode" },
    { op: "link", handler: "inode", flb: "x" },
    { op: "link", handler: "inode", flb: "y" },
    { op: "preserve", session: "out b", fd: "0", token: 0n },
  ],
  "the previous image has everything again, whatever was retrieved and finished": [
    { op: "open" },
    { op: "create", name: "a" },
    { op: "preserve", session: "out a", fd: "0", token: 0n },
    { op: "preserve", session: "out a", fd: "2", token: 1n },
    { op: "update" },
    { op: "open" },
    { op: "take", name: "a" },
    { op: "retrieve", session: "in a", token: 1n },
    { op: "close", session: "in a" },
    { op: "create", name: "b" },
    { op: "preserve", session: "out b", fd: "0", token: 0n },
    { op: "back" },
    { op: "open" },
    { op: "take", name: "a" },
    { op: "retrieve", session: "in a", token: 0n },
    { op: "retrieve", session: "in a", token: 1n },
  ],
  "a session that nobody finished is gone after the next update, and its files are released": [
    { op: "open" },
    { op: "create", name: "a" },
    { op: "preserve", session: "out a", fd: "2", token: 1n },
    { op: "update" },
    { op: "open" },
    { op: "commit" },
    { op: "take", name: "a" },
    { op: "retrieve", session: "in a", token: 1n },
    { op: "update" },
    { op: "open" },
    { op: "take", name: "a" },
    { op: "create", name: "a" },
    { op: "preserve", session: "out a", fd: "2", token: 1n },
  ],
};

for (const [name, ops] of Object.entries(SEQUENCE_OF)) {
  Deno.test(`As the model has it: ${name}`, () => play(ops));
}
