import { assertEquals } from "@std/assert";

import { type CborValue, decodeCbor, encodeCbor } from "../codec.ts";
import { assertHandoverError, assertStrict, MAX_U64, withMember } from "../helpers_test.ts";
import { decodeLuo, encodeLuo, LUO_VERSION, type LuoRecord } from "./luo.ts";

const RECORD: LuoRecord = {
  flbs: [{ compatible: "flb-v1", count: 2n, data: 5n }],
  number: 4n,
  sessions: [
    {
      name: "web",
      files: [{ compatible: "memfd-v1", data: 1n, token: 0n }, {
        compatible: "file-v1",
        data: 2n,
        token: MAX_U64,
      }],
    },
    { name: "a b/ß\n", files: [] },
  ],
};

const read = (value: CborValue): LuoRecord => decodeLuo(encodeCbor(value));

Deno.test("decodeLuo() gives back what encodeLuo() wrote", () => {
  assertEquals(decodeLuo(encodeLuo(RECORD)), RECORD);
  const empty = { flbs: [], number: 1n, sessions: [] };
  assertEquals(decodeLuo(encodeLuo(empty)), empty);
});

Deno.test("encodeLuo() writes luo-v1 byte for byte", () => {
  assertEquals(LUO_VERSION, "luo-v1");
  assertEquals(encodeLuo(RECORD).toHex(), GOLDEN);
  assertEquals(decodeLuo(Uint8Array.fromHex(GOLDEN)), RECORD);
});

Deno.test("decodeLuo() refuses each missing, mistyped and unknown member by its place", () => {
  assertStrict(decodeCbor(encodeLuo(RECORD)), "luo", read);
});

Deno.test("decodeLuo() keeps to the limits of names", () => {
  const document = decodeCbor(encodeLuo(RECORD));
  const name = ["sessions", 0, "name"];
  const compatible = ["sessions", 0, "files", 0, "compatible"];
  assertEquals(read(withMember(document, name, "n".repeat(63))).sessions[0]?.name.length, 63);
  assertEquals(read(withMember(document, compatible, "c".repeat(47))).sessions.length, 2);
  for (
    const [path, value, place] of [
      [name, "", "luo.sessions[0].name"],
      [name, "n".repeat(64), "luo.sessions[0].name"],
      [name, "é".repeat(32), "luo.sessions[0].name"],
      [compatible, "", "luo.sessions[0].files[0].compatible"],
      [compatible, "c".repeat(48), "luo.sessions[0].files[0].compatible"],
      [["flbs", 0, "compatible"], "c".repeat(48), "luo.flbs[0].compatible"],
      [["sessions", 0, "files", 1, "token"], -1, "luo.sessions[0].files[1].token"],
    ] as const
  ) {
    assertHandoverError(() => read(withMember(document, [...path], value)), "CORRUPT", place);
  }
});

Deno.test("decodeLuo() refuses another version before it looks at anything else", () => {
  const text = 'they are in "luo-v2", this build reads "luo-v1"';
  assertHandoverError(() => read({ compatible: "luo-v2", new: [] }), "UNKNOWN_VERSION", text);
});

Deno.test("decodeLuo() answers bytes that are no document with CORRUPT", () => {
  const bytes = encodeLuo(RECORD);
  for (const damaged of [new Uint8Array(), bytes.subarray(0, -1), new Uint8Array([...bytes, 0])]) {
    assertHandoverError(() => decodeLuo(damaged), "CORRUPT", "Cannot read luo of the handover");
  }
});

// A change of these bytes is a change of the format: it needs another version string and a reader for this one.
const GOLDEN =
  "a464666c627381a364646174610565636f756e74026a636f6d70617469626c6566666c622d7631666e756d6265720468" +
  "73657373696f6e7382a2646e616d65637765626566696c657382a364646174610165746f6b656e006a636f6d70617469" +
  "626c65686d656d66642d7631a364646174610265746f6b656e1bffffffffffffffff6a636f6d70617469626c65676669" +
  "6c652d7631a2646e616d65676120622fc39f0a6566696c6573806a636f6d70617469626c65666c756f2d7631";
