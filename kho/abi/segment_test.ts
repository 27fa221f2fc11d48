import { assertEquals } from "@std/assert";

import { type CborValue, decodeCbor, encodeCbor } from "../codec.ts";
import { assertHandoverError, assertStrict, sampleSegment, withMember } from "../helpers_test.ts";
import { encodeSegment, KHO_VERSION, parseSegment, type SegmentRecord } from "./segment.ts";

const read = (value: CborValue): SegmentRecord => parseSegment(decodeCbor(encodeCbor(value)));

Deno.test("parseSegment() gives back what encodeSegment() wrote", () => {
  const record = sampleSegment();
  assertEquals(read(encodeSegment(record)), record);
  const empty = sampleSegment({ blobs: [], fds: [], subtrees: [] });
  assertEquals(read(encodeSegment(empty)), empty);
});

Deno.test("parseSegment() reads what encodeSegment() wrote of an anonymous inode", () => {
  const [fd] = sampleSegment().fds;
  const record = sampleSegment({ fds: [{ ...fd!, mode: 0o600, link: "anon_inode:[eventfd]" }] });
  assertEquals(read(encodeSegment(record)), record);
});

Deno.test("encodeSegment() writes kho-v1 byte for byte", () => {
  assertEquals(KHO_VERSION, "kho-v1");
  assertEquals(encodeCbor(encodeSegment(sampleSegment())).toHex(), GOLDEN);
});

Deno.test("parseSegment() reads kho-v1 as it was once written", () => {
  assertEquals(parseSegment(decodeCbor(Uint8Array.fromHex(GOLDEN))), sampleSegment());
});

Deno.test("parseSegment() refuses each missing, mistyped and unknown member by its place", () => {
  assertStrict(encodeSegment(sampleSegment()), "$", read, ["$.fds[1].cookie"]);
});

Deno.test("parseSegment() refuses what is out of range or there twice", () => {
  const document = encodeSegment(sampleSegment());
  const cases: [(string | number)[], CborValue, string][] = [
    [["fds", 0, "kind"], "other", '$.fds[0].kind of the handover: "other" is unknown'],
    [["fds", 0, "fd"], 0x80000000, "$.fds[0].fd of the handover: 2147483648 is more than"],
    [["fds", 0, "fd"], 8, "$.fds of the handover: a number is there twice"],
    [["fds", 0, "mode"], 0x100000000, "$.fds[0].mode"],
    [["fds", 0, "ino"], -1, "$.fds[0].ino"],
    [["fds", 0, "link"], "", "$.fds[0].link"],
    [["fds", 0, "link"], 1, "$.fds[0].link"],
    [["metadata", "boot_id"], "", "$.metadata.boot_id"],
    [["metadata", "pid"], -1, "$.metadata.pid"],
    [["subtrees", 0, "name"], "", "$.subtrees[0].name"],
    [["subtrees", 0, "name"], "n".repeat(64), "$.subtrees[0].name"],
    [["subtrees", 1], { handle: 2, name: "luo" }, "$.subtrees of the handover: a name is there twice"],
  ];
  for (const [path, value, text] of cases) {
    assertHandoverError(() => read(withMember(document, path, value)), "CORRUPT", text);
  }
});

Deno.test("parseSegment() refuses metadata of another version", () => {
  const document = encodeSegment(sampleSegment());
  for (const version of [0, 2]) {
    const other = () => read(withMember(document, ["metadata", "version"], version));
    assertHandoverError(other, "UNKNOWN_VERSION", `metadata has version ${version}, this build reads 1`);
  }
});

// A change of these bytes is a change of the format: it needs another version string and a reader for this one.
const GOLDEN =
  "a56366647382a562666407636465760163696e6f02646b696e6469707265736572766564646d6f6465198180a6626664" +
  "08636465760163696e6f1bffffffffffffffff646b696e6469696e68657269746564646d6f646519c1ff66636f6f6b69" +
  "65184d65626c6f627382430102034065696d616765ad63637764642f73727663656e768143413dff6461726776836464" +
  "656e6f6372756e6b2f7372762f6170702e747364657865636d2f7573722f62696e2f64656e6f65656e7472796b2f7372" +
  "762f6170702e7473656e616d6573a26465786563f665656e747279666170702e747365756d61736b1266636f6e666967" +
  "6e2f7372762f64656e6f2e6a736f6e666c696d69747381a364686172641bffffffffffffffff646e616d65666e6f6669" +
  "6c6564736f6674190400677369676d61736b64303030316776657273696f6e65312e322e336864656e6f5f646972f66b" +
  "66696e6765727072696e746430306666686d65746164617461a863706964182a656275696c64f665636f756e7403656e" +
  "6f6e6365500909090909090909090909090909090967626f6f745f696463622d316776657273696f6e016a7374617274" +
  "5f74696d651903e86a7772697474656e5f6e731b0000001cbe991a1468737562747265657381a2646e616d65636c756f" +
  "6668616e646c6501";
