import { assertEquals } from "@std/assert";

import { type CborValue, decodeCbor, encodeCbor } from "../codec.ts";
import { assertHandoverError } from "../helpers_test.ts";
import { type ConnectionRecord, decodeConnections, encodeConnections } from "./connections.ts";

const RECORDS: ConnectionRecord[] = [
  {
    name: "web#1",
    input: new TextEncoder().encode("GET / HT"),
    output: new Uint8Array(),
    stage: "",
    version: 0,
    state: null,
  },
  {
    name: "chat#7",
    input: new Uint8Array(),
    output: new Uint8Array([1, 2]),
    stage: "closing:1000",
    version: 3,
    state: new Uint8Array([0xa0]),
  },
];

Deno.test("decodeConnections() gives back what encodeConnections() wrote", () => {
  assertEquals(decodeConnections(encodeConnections(RECORDS)), RECORDS);
  assertEquals(decodeConnections(encodeConnections([])), []);
});

Deno.test("decodeConnections() refuses another version, and what has another form", () => {
  const document = decodeCbor(encodeConnections(RECORDS)) as { [key: string]: CborValue };
  const changed = { ...document, compatible: "connections-v2" };
  assertHandoverError(() => decodeConnections(encodeCbor(changed)), "UNKNOWN_VERSION", "connections-v2");
  for (
    const [key, value] of Object.entries({
      name: "",
      input: 1,
      stage: null,
      version: -1,
      state: "x",
      more: 1,
    })
  ) {
    const [first, ...rest] = document["connections"] as { [key: string]: CborValue }[];
    const damaged = { ...document, connections: [{ ...first, [key]: value }, ...rest] };
    assertHandoverError(
      () => decodeConnections(encodeCbor(damaged)),
      "CORRUPT",
      `connections.connections[0].${key}`,
    );
  }
});
