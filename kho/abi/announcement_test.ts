import { assertEquals } from "@std/assert";

import { assertHandoverError } from "../helpers_test.ts";
import { type Announcement, formatAnnouncement, parseAnnouncement, type Role } from "./announcement.ts";

const NONCE = "000102030405060708090a0b0c0d0eff";

Deno.test("formatAnnouncement() writes the entry of the environment as it is fixed", () => {
  const announcement: Announcement = { fd: 17, nonce: Uint8Array.fromHex(NONCE), role: "update" };
  assertEquals(formatAnnouncement(announcement), `HEIRLOOM_HANDOVER=v1:17:${NONCE}:update`);
});

Deno.test("parseAnnouncement() gives back what formatAnnouncement() wrote, for every role", () => {
  for (const role of ["update", "fallback", "recovery", "store"] as Role[]) {
    const announcement = { fd: 999_999_999, nonce: Uint8Array.fromHex(NONCE), role };
    const [, value = ""] = formatAnnouncement(announcement).split("=");
    assertEquals(parseAnnouncement(value), announcement);
  }
});

Deno.test("parseAnnouncement() says what is wrong with each part", () => {
  const cases: [string, string][] = [
    ["", 'version "" is unknown'],
    [`v2:17:${NONCE}:update`, 'version "v2" is unknown, this build reads v1'],
    ["v1", "it must be v1:<fd>:<nonce>:<role>"],
    [`v1:17:${NONCE}`, "it must be v1:<fd>:<nonce>:<role>"],
    [`v1:17:${NONCE}:update:more`, "it must be v1:<fd>:<nonce>:<role>"],
    [`v1:17:${NONCE.slice(2)}:update`, "the nonce must be 32 hexadecimal digits"],
    [`v1:17:${NONCE}00:update`, "the nonce must be 32"],
    [`v1:17:${NONCE.toUpperCase()}:update`, "the nonce must be 32"],
    [`v1:17:${"g".repeat(32)}:update`, "the nonce must be 32"],
    [`v1:17:${NONCE}:Update`, 'role "Update" is not one of update, fallback, recovery, store'],
    [`v1:17:${NONCE}:`, 'role "" is not one of'],
  ];
  for (const fd of ["", "-1", "0", "1", "2", "07", "1.5", "1e3", " 7", "0x7", "1000000000"]) {
    cases.push([`v1:${fd}:${NONCE}:update`, `"${fd}" is no descriptor from 3 up`]);
  }
  for (const [value, text] of cases) {
    assertHandoverError(() => parseAnnouncement(value), "BAD_ANNOUNCEMENT", text);
  }
});
