import { assert, assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "./args_error.ts";
import {
  defaultSocket,
  parseAddress,
  parseCount,
  parseSeconds,
  parseSocketPath,
  parseText,
} from "./args_values.ts";

function refuses(parse: (flag: string, text: string) => unknown, texts: readonly string[]): void {
  for (const text of texts) {
    const error = assertThrows(() => parse("--flag", text), UsageError, "--flag", JSON.stringify(text));
    assert(error.message.includes("allowed"), error.message);
    assert(error.message.includes(JSON.stringify(text)) || text.startsWith("unix:"), error.message);
  }
}

Deno.test("parseCount takes whole numbers from 1", () => {
  assertEquals(parseCount("--flag", "1"), 1);
  assertEquals(parseCount("--flag", "9007199254740991"), Number.MAX_SAFE_INTEGER);
  refuses(parseCount, [
    "",
    "0",
    "-1",
    "+1",
    "01",
    "1.0",
    "1e3",
    "0x1",
    " 1",
    "1k",
    "9007199254740992",
    "Infinity",
  ]);
});

Deno.test("parseSeconds gives exact milliseconds above 0 and up to an hour", () => {
  const cases = [["1", 1000], ["0.001", 1], ["0.5", 500], ["1.25", 1250], ["4.35", 4350], [
    "3600",
    3_600_000,
  ]] as const;
  for (const [text, milliseconds] of cases) assertEquals(parseSeconds("--flag", text), milliseconds);
  refuses(parseSeconds, [
    "",
    "0",
    "0.0",
    "0.000",
    "0.0001",
    ".5",
    "5.",
    "-1",
    "+1",
    "01",
    "1e1",
    "3600.001",
    "3601",
  ]);
  refuses(parseSeconds, ["Infinity", "NaN", "1s", " 1", "1,5"]);
});

Deno.test("parseText takes what is not empty", () => {
  assertEquals(parseText("--flag", " "), " ");
  refuses(parseText, [""]);
});

Deno.test("parseAddress takes host and port", () => {
  for (
    const [text, hostname, port] of [
      ["127.0.0.1:8787", "127.0.0.1", 8787],
      ["localhost:0", "localhost", 0],
      ["my_app.example-1.org:65535", "my_app.example-1.org", 65535],
      ["[::1]:80", "::1", 80],
      ["[::ffff:10.0.0.1]:80", "::ffff:10.0.0.1", 80],
    ] as const
  ) assertEquals(parseAddress("--flag", text), { hostname, port });
});

Deno.test("parseAddress takes a unix socket", () => {
  assertEquals(parseAddress("--flag", "unix:/run/a:b.sock"), { path: "/run/a:b.sock" });
  const longest = `/${"x".repeat(106)}`;
  assertEquals(parseAddress("--flag", `unix:${longest}`), { path: longest });
});

Deno.test("parseAddress refuses everything else", () => {
  refuses(parseAddress, [
    "",
    "8787",
    ":8787",
    "localhost",
    "localhost:",
    "h:65536",
    "h:-1",
    "h:080",
    "h:80 ",
    "h:0x1",
  ]);
  refuses(parseAddress, [
    "::1:80",
    "[]:80",
    "[::1]",
    "[::1]80",
    "[::1%lo]:80",
    "[g::1]:80",
    "[1:2]:80",
    "[h]:80",
  ]);
  refuses(parseAddress, [
    "999.0.0.1:80",
    "1.2.3:80",
    "01.2.3.4:80",
    "1.2.3.4.:80",
    "-h:80",
    "h-:80",
    "a..b:80",
    "a/b:80",
  ]);
  refuses(parseAddress, [
    "http://h:80",
    "user@h:80",
    "unix:",
    "unix:relative",
    "unix:@abstract",
    `unix:/${"x".repeat(107)}`,
  ]);
});

Deno.test("parseSocketPath counts bytes, not letters", () => {
  assertEquals(parseSocketPath("--flag", "x".repeat(107)).length, 107);
  refuses(parseSocketPath, ["", "x".repeat(108), "é".repeat(54)]);
});

Deno.test("defaultSocket goes by HEIRLOOM_SOCKET, XDG_RUNTIME_DIR and then /run", () => {
  assertEquals(defaultSocket({ HEIRLOOM_SOCKET: "rel.sock", XDG_RUNTIME_DIR: "/x" }), "rel.sock");
  assertEquals(
    defaultSocket({ HEIRLOOM_SOCKET: "", XDG_RUNTIME_DIR: "/run/user/7/" }),
    "/run/user/7/heirloom/control.sock",
  );
  for (
    const env of [{}, { XDG_RUNTIME_DIR: "" }, { XDG_RUNTIME_DIR: "relative" }, {
      HEIRLOOM_SOCKET: undefined,
    }]
  ) {
    assertEquals(defaultSocket(env), "/run/heirloom/control.sock");
  }
});

Deno.test("defaultSocket refuses a path that is too long and names the variable", () => {
  const long = `/${"x".repeat(107)}`;
  assertThrows(() => defaultSocket({ HEIRLOOM_SOCKET: long }), UsageError, "$HEIRLOOM_SOCKET");
  // 22 bytes are added: fits at 85, not at 86.
  assertEquals(defaultSocket({ XDG_RUNTIME_DIR: `/${"x".repeat(83)}` }).length, 106);
  assertEquals(defaultSocket({ XDG_RUNTIME_DIR: `/${"x".repeat(84)}` }).length, 107);
  assertThrows(
    () => defaultSocket({ XDG_RUNTIME_DIR: `/${"x".repeat(85)}` }),
    UsageError,
    "$XDG_RUNTIME_DIR",
  );
});
