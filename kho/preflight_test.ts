import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { tempDir } from "../testing/mod.ts";
import type { ImageRecord } from "./abi/image.ts";
import { preflight, type PreflightResult } from "./preflight.ts";
import { sampleImage } from "./helpers_test.ts";

const encoder = new TextEncoder();

/** Runs a program as the build that is checked. */
async function check(
  text: string,
  options: { segment?: Uint8Array; timeoutMs?: number; changes?: Partial<ImageRecord> } = {},
): Promise<PreflightResult> {
  await using dir = tempDir("heirloom-preflight-");
  const entry = `${dir.path}/build.ts`;
  await Deno.writeTextFile(entry, text);
  const image = sampleImage({
    exec: Deno.execPath(),
    argv: ["deno", "run", "-A", "--no-config", "--no-lock", entry, "an argument"],
    cwd: dir.path,
    entry,
    env: Object.entries(Deno.env.toObject()).map(([name, value]) => encoder.encode(`${name}=${value}`)),
    ...options.changes,
  });
  const signal = AbortSignal.timeout(options.timeoutMs ?? 60_000);
  return await preflight(image, options.segment ?? new Uint8Array(), signal);
}

/** The beginning of a program: it knows its nonce and how to report. */
const REPORT = `const [, parent, nonce] = Deno.env.get("HEIRLOOM_PREFLIGHT").split(":");
const report = (value) => console.log("\\nheirloom-preflight:" + nonce + ":" + JSON.stringify(value));
`;

Deno.test("preflight() gives the child the segment, the image's arguments and environment, and takes its report", async () => {
  const segment = crypto.getRandomValues(new Uint8Array(50_000));
  const large = new Uint8Array(300_000).map((_, at) => segment[at % segment.length] ?? 0);
  const result = await check(
    `${REPORT}const bytes = new Uint8Array(await new Response(Deno.stdin.readable).arrayBuffer());
const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
report({ digest, args: Deno.args, parent: Number(parent), cwd: Deno.cwd(), own: Deno.env.get("OWN") ?? null, home: Deno.env.has("HOME") });`,
    {
      segment: large,
      changes: {
        env: [
          encoder.encode("OWN=a=b"),
          encoder.encode(`PATH=${Deno.env.get("PATH")}`),
          encoder.encode(`DENO_DIR=${Deno.env.get("DENO_DIR") ?? `${Deno.env.get("HOME")}/.cache/deno`}`),
        ],
      },
    },
  );
  assertEquals(result.failure, null, result.stderr);
  const { cwd, ...said } = result.report as Record<string, unknown>;
  assertEquals(said, {
    digest: new Uint8Array(await crypto.subtle.digest("SHA-256", large)).toHex(),
    args: ["an argument"],
    parent: Deno.pid,
    own: "a=b",
    home: false,
  });
  assertMatch(String(cwd), /heirloom-preflight-/);
  assert(result.elapsedMs > 0);
});

for (
  const [name, text, failure] of [
    ["exits before it reports", "Deno.exit(7);", /ended before ready\(\) \(exit status 7\)/],
    ["ends with 0 and no report", "", /ended before ready\(\) \(exit status 0\)/],
    [
      "throws after its report",
      `${REPORT}report({}); throw new Error("late");`,
      /said that it is ready.*exit status 1/,
    ],
    ["is killed", 'Deno.kill(Deno.pid, "SIGKILL"); while (true) {}', /SIGKILL/],
    [
      "reports with another nonce",
      'console.log("heirloom-preflight:0123456789abcdef:{}");',
      /ended before ready/,
    ],
  ] as const
) {
  Deno.test(`preflight() says of a child that ${name} what it did`, async () => {
    const result = await check(text);
    assertMatch(result.failure ?? "", failure);
  });
}

Deno.test("preflight() keeps the end of stderr, without colours, and not all of it", async () => {
  const result = await check(
    `for (let n = 0; n < 20_000; n++) console.error("line " + n);
console.error("\\x1b[31mthe end\\x1b[0m"); Deno.exit(1);`,
  );
  assert(result.stderr.endsWith("line 19999\nthe end"), result.stderr.slice(-60));
  assert(result.stderr.length <= 4096);
});

Deno.test("preflight() ends a child that is late, whatever it does", async () => {
  for (
    const text of [
      "while (true) {}",
      "setInterval(() => {}, 1000);",
      `${REPORT}report({}); setInterval(() => {}, 1000);`,
    ]
  ) {
    const result = await check(text, { timeoutMs: 1500 });
    assertEquals(result.failure, "it was not ready in time", text);
  }
});

Deno.test("preflight() does not wait for a grandchild that keeps the pipes open", async () => {
  const begun = performance.now();
  const result = await check(
    `${REPORT}const child = new Deno.Command("sleep", { args: ["20"], stdin: "null", stdout: "inherit", stderr: "inherit" }).spawn();
report({ pid: child.pid }); Deno.exit(0);`,
  );
  const { pid } = result.report as { pid: number };
  Deno.kill(pid, "SIGKILL");
  assertEquals(result.failure, null);
  assert(performance.now() - begun < 15_000);
});

Deno.test("preflight() says why a runtime cannot be started", async () => {
  const result = await check("", { changes: { exec: "/does/not/exist" } });
  assertStringIncludes(result.failure ?? "", "it cannot be started");
  assertEquals(result.report, undefined);
});
