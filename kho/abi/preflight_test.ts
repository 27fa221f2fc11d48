import { assertEquals } from "@std/assert";
import { formatMark, formatReport, parseMark, parseReport } from "./preflight.ts";

const NONCE = "0123456789abcdef";

Deno.test("parseMark() gives back what formatMark() wrote", () => {
  const mark = { parent: 4711, nonce: NONCE };
  assertEquals(parseMark(formatMark(mark)), mark);
});

for (
  const value of ["", "1", "v2:1:01234567", "v1:0:01234567", "v1:1:xyz", "v1:1:0123", "v1:1:01234567:more"]
) {
  Deno.test(`parseMark() makes nothing of ${JSON.stringify(value)}`, () =>
    assertEquals(parseMark(value), null));
}

Deno.test("parseReport() finds the report among whatever else was printed", () => {
  const output = `noise${formatReport(NONCE, { ok: true })}more noise\nwithout an end`;
  assertEquals(parseReport(NONCE, output), { ok: true });
});

Deno.test("parseReport() believes no report without the nonce, and the last one with it", () => {
  const forged = formatReport("fedcba9876543210", { ok: true });
  assertEquals(parseReport(NONCE, forged), undefined);
  const twice = formatReport(NONCE, { ok: true }) + forged + formatReport(NONCE, { ok: false });
  assertEquals(parseReport(NONCE, twice), { ok: false });
});

Deno.test("parseReport() makes nothing of a report that is no JSON", () => {
  assertEquals(parseReport(NONCE, `heirloom-preflight:${NONCE}:{"ok":`), undefined);
  assertEquals(parseReport(NONCE, ""), undefined);
});
