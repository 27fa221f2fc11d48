import { assertEquals } from "@std/assert";

import { type CborValue, decodeCbor, encodeCbor } from "../codec.ts";
import { assertHandoverError, assertStrict, MAX_U64, withMember } from "../helpers_test.ts";
import {
  decodeHistory,
  decodeNames,
  decodeStates,
  encodeHistory,
  encodeNames,
  encodeStates,
} from "./live.ts";

const NAMES = [{ name: "log", token: 1n, kind: "file" }, { name: "é", token: MAX_U64, kind: "segment" }];
const STATES = [{ name: "seen", version: 2, value: new Uint8Array([0x80]) }];
const HISTORY = { pending: '{"id":"1"}', started: 99n, updates: ["{}", '{"later":true}'] };

const FORMATS = [
  {
    what: "names",
    bytes: encodeNames(NAMES),
    record: NAMES as unknown,
    decode: decodeNames as (bytes: Uint8Array) => unknown,
    version: "names-v1",
    golden:
      "a2656e616d657382a3646b696e646466696c65646e616d65636c6f6765746f6b656e01a3646b696e64677365676d656e" +
      "74646e616d6562c3a965746f6b656e1bffffffffffffffff6a636f6d70617469626c65686e616d65732d7631",
  },
  {
    what: "states",
    bytes: encodeStates(STATES),
    record: STATES,
    decode: decodeStates,
    version: "live-v1",
    golden:
      "a26673746174657381a3646e616d65647365656e6576616c756541806776657273696f6e026a636f6d70617469626c65" +
      "676c6976652d7631",
  },
  {
    what: "history",
    bytes: encodeHistory(HISTORY),
    record: HISTORY,
    decode: decodeHistory,
    version: "history-v1",
    golden:
      "a46770656e64696e676a7b226964223a2231227d67737461727465641863677570646174657382627b7d6e7b226c6174" +
      "6572223a747275657d6a636f6d70617469626c656a686973746f72792d7631",
  },
];

for (const { what, bytes, record, decode, version, golden } of FORMATS) {
  Deno.test(`the ${what} come back as they were written`, () => assertEquals(decode(bytes), record));

  Deno.test(`the ${what} are written byte for byte as ${version}`, () => {
    assertEquals(bytes.toHex(), golden);
    assertEquals(decode(Uint8Array.fromHex(golden)), record);
  });

  Deno.test(`the ${what} are refused with a missing, mistyped or unknown member`, () => {
    assertStrict(decodeCbor(bytes), what, (document) => decode(encodeCbor(document)));
  });

  Deno.test(`the ${what} are refused in another version or damaged`, () => {
    const other = withMember(decodeCbor(bytes), ["compatible"], "other-v9");
    const text = `they are in "other-v9", this build reads "${version}"`;
    assertHandoverError(() => decode(encodeCbor(other)), "UNKNOWN_VERSION", text);
    assertHandoverError(() => decode(bytes.subarray(0, -1)), "CORRUPT", `Cannot read ${what}`);
  });
}

Deno.test("decodeHistory() takes no pending update for null", () => {
  const history = { pending: null, started: 0n, updates: [] };
  assertEquals(decodeHistory(encodeHistory(history)), history);
});

Deno.test("decodeNames() and decodeStates() keep to the limits of names", () => {
  const name = (text: string): Uint8Array => encodeNames([{ name: text, token: 1n, kind: "file" }]);
  const kind = (text: string): Uint8Array => encodeNames([{ name: "n", token: 1n, kind: text }]);
  const state = (text: string): Uint8Array =>
    encodeStates([{ name: text, version: 1, value: new Uint8Array() }]);
  assertEquals(decodeNames(name("n".repeat(128))).length, 1);
  assertEquals(decodeStates(state("n".repeat(63))).length, 1);
  const cases: [() => unknown, string][] = [
    [() => decodeNames(name("")), "names.names[0].name"],
    [() => decodeNames(name("n".repeat(129))), "names.names[0].name"],
    [() => decodeNames(kind("")), "names.names[0].kind"],
    [() => decodeNames(kind("k".repeat(33))), "names.names[0].kind"],
    [() => decodeStates(state("")), "states.states[0].name"],
    [() => decodeStates(state("n".repeat(64))), "states.states[0].name"],
    [() => decodeStates(encodeCbor(negativeVersion())), "states.states[0].version"],
  ];
  for (const [body, place] of cases) assertHandoverError(body, "CORRUPT", place);
});

function negativeVersion(): CborValue {
  return withMember(decodeCbor(encodeStates(STATES)), ["states", 0, "version"], -1);
}
