import { assert, assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import type { SegmentRecord } from "../../kho/abi/segment.ts";
import { encodeCbor } from "../../kho/codec.ts";
import { encodeEnvelope, SEGMENT_SEALS } from "../../kho/segment_build.ts";
import { heirloomRoot, tempDir, writeApp } from "../../testing/mod.ts";
import { appText, builds, runCommand } from "./_fixtures.ts";

const NONCE = new Uint8Array(16).fill(0xab);

/** A segment that is well formed in every respect; its origin is what the caller says. */
function segment(metadata: Partial<SegmentRecord["metadata"]> = {}): SegmentRecord {
  return {
    blobs: [],
    fds: [],
    image: {
      argv: ["deno", "run", "-A", "/nowhere.ts"],
      config: null,
      cwd: "/",
      deno_dir: null,
      entry: "/nowhere.ts",
      env: [],
      exec: Deno.execPath(),
      fingerprint: null,
      limits: [],
      names: { entry: null, exec: null },
      sigmask: "0".repeat(32),
      umask: 0o022,
      version: null,
    },
    metadata: {
      boot_id: Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim(),
      build: null,
      count: 1n,
      nonce: NONCE,
      pid: 1,
      start_time: 1n,
      written_ns: 1n,
      ...metadata,
    },
    subtrees: [],
  };
}

/** Stands in for the previous image: memfd 200 gets the content of a file, and it becomes the application. */
const IMPOSTOR = `
import { addSeals, createMemfd, execve, setCloexec, writeAll } from "file://${heirloomRoot()}/sys/mod.ts";
const [content, seals, variable, ...argv] = Deno.args;
if (content !== "") {
  const memory = createMemfd("kho:handover");
  writeAll(memory.fd, Deno.readFileSync(content));
  if (Number(seals) !== 0) addSeals(memory.fd, Number(seals));
  const high = memory.dup(200);
  setCloexec(high.release(), false);
}
execve(argv[0], argv, [...Object.entries(Deno.env.toObject()).map(([k, v]) => k + "=" + v), "HEIRLOOM_HANDOVER=" + variable]);
`;

/** The cases: what is in memfd 200 (null: nothing is), its seals, the variable, what must be said of it. */
const CASES: [name: string, content: Uint8Array | null, seals: number, variable: string, says: RegExp][] = [
  ["garbage", null, 0, "garbage", /version "garbage" is unknown/],
  ["nothing", null, 0, "", /version "" is unknown/],
  ["a later version", null, 0, `v2:200:${NONCE.toHex()}:update`, /version "v2" is unknown/],
  ["too few parts", null, 0, "v1:200", /must be v1:<fd>:<nonce>:<role>/],
  ["no number", null, 0, `v1:many:${NONCE.toHex()}:update`, /"many" is no descriptor/],
  ["standard output", null, 0, `v1:1:${NONCE.toHex()}:update`, /"1" is no descriptor from 3 up/],
  ["a number beyond all", null, 0, `v1:99999999999:${NONCE.toHex()}:update`, /is no descriptor/],
  ["a short nonce", null, 0, "v1:200:abcd:update", /nonce must be 32 hexadecimal digits/],
  ["an unknown role", null, 0, `v1:200:${NONCE.toHex()}:guest`, /role "guest"/],
  ["a closed descriptor", null, 0, `v1:200:${NONCE.toHex()}:update`, /fd 200: it is closed/],
  [
    "an unsealed memfd",
    encodeEnvelope(segment()),
    0,
    `v1:200:${NONCE.toHex()}:update`,
    /fd 200: it has seals 0x0/,
  ],
  [
    "a memfd that can still be written",
    encodeEnvelope(segment()),
    SEGMENT_SEALS & ~8 & ~1,
    `v1:200:${NONCE.toHex()}:update`,
    /it has seals 0x6, needed are 0xf/,
  ],
  [
    "an empty memfd",
    new Uint8Array(),
    SEGMENT_SEALS,
    `v1:200:${NONCE.toHex()}:update`,
    /envelope is damaged/,
  ],
  [
    "somebody else's memfd",
    new TextEncoder().encode("shopping list: milk"),
    SEGMENT_SEALS,
    `v1:200:${NONCE.toHex()}:update`,
    /envelope is damaged|has no envelope/,
  ],
  [
    "a truncated segment",
    encodeEnvelope(segment()).subarray(0, -20),
    SEGMENT_SEALS,
    `v1:200:${NONCE.toHex()}:update`,
    /envelope is damaged/,
  ],
  [
    "a damaged segment",
    flipped(encodeEnvelope(segment())),
    SEGMENT_SEALS,
    `v1:200:${NONCE.toHex()}:update`,
    /checksum is wrong/,
  ],
  [
    "a segment of a later format",
    encodeCbor(["kho-v2", new Uint8Array(32), new Uint8Array(1)]),
    SEGMENT_SEALS,
    `v1:200:${NONCE.toHex()}:update`,
    /it is in "kho-v2", this build reads "kho-v1"/,
  ],
  [
    "a segment of another process",
    encodeEnvelope(segment()),
    SEGMENT_SEALS,
    `v1:200:${NONCE.toHex()}:update`,
    /not for this process: process 1 wrote it/,
  ],
  [
    "a segment of another update",
    encodeEnvelope(segment({ nonce: new Uint8Array(16) })),
    SEGMENT_SEALS,
    `v1:200:${NONCE.toHex()}:update`,
    /its nonce is another one/,
  ],
  [
    "a segment from before the machine was booted",
    encodeEnvelope(segment({ boot_id: "0".repeat(36) })),
    SEGMENT_SEALS,
    `v1:200:${NONCE.toHex()}:fallback`,
    /written before the machine was booted/,
  ],
];

/** Changes one bit near the end, where it is content and not structure. */
function flipped(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  copy[copy.length - 5]! ^= 1;
  return copy;
}

Deno.test("a handover that cannot be used ends the start: a clear error, exit 1, no hang", async (t) => {
  await using all = builds();
  const entry = await all.write("app", 'console.log("the app runs");\n' + appText());
  const impostor = await writeApp(`${all.path}/impostor`, { files: { "main.ts": IMPOSTOR } });
  for (const [at, [name, content, seals, variable, says]] of CASES.entries()) {
    await t.step(name, async () => {
      const file = content === null ? "" : `${all.path}/${at}.segment`;
      if (content !== null) await Deno.writeFile(file, content);
      const main = `${heirloomRoot()}/main.ts`;
      const { code, stdout, stderr } = await runCommand([
        ...[Deno.execPath(), "run", "-A", "--no-config", impostor, file, String(seals), variable],
        ...[Deno.execPath(), "run", "-A", main, "run", "--socket", `${all.path}/s.sock`, entry, "0"],
      ]);
      assertEquals(code, 1, stderr);
      assertMatch(stderr, /^heirloom: Cannot /m);
      assertMatch(stderr, says);
      assertNotMatch(stderr, /\n\s+at /, "an error of the user is no stack trace");
      assertEquals(stdout, "", "the application must not run");
    });
  }
});

/** Writes a segment for this very process, with one descriptor in it that is not what the segment says. */
const FORGER = `
import { bootId, execve, getPid, setCloexec, startTime } from "file://${heirloomRoot()}/sys/mod.ts";
import { identify } from "file://${heirloomRoot()}/kho/identity.ts";
import { buildSegment } from "file://${heirloomRoot()}/kho/segment_build.ts";
const [base, what, ...argv] = Deno.args;
const record = JSON.parse(base);
record.image.env = [];
const nonce = new Uint8Array(16).fill(0xab);
const fd = { ...identify(0, "preserved"), fd: 0 };
if (what === "closed") fd.fd = 201;
if (what === "swapped") fd.ino += 1n;
Object.assign(record, { fds: [fd] });
record.metadata = { boot_id: bootId(), build: null, count: 1n, nonce, pid: getPid(), start_time: startTime(), written_ns: 1n };
if (what === "recycled") record.metadata.start_time -= 1n;
const { memory } = buildSegment(record);
setCloexec(memory.dup(200).release(), false);
const env = [...Object.entries(Deno.env.toObject()).map(([k, v]) => k + "=" + v)];
execve(argv[0], argv, [...env, "HEIRLOOM_HANDOVER=v1:200:" + nonce.toHex() + ":update"]);
`;

Deno.test("a descriptor that is not the one that was handed over ends the start", async (t) => {
  await using all = builds();
  const entry = await all.write("app", 'console.log("the app runs");\n' + appText());
  const forger = await writeApp(`${all.path}/forger`, { files: { "main.ts": FORGER } });
  const { image } = segment();
  const base = JSON.stringify({ ...segment(), image: { ...image, env: [] }, metadata: null });
  const forged: [string, RegExp][] = [
    ["closed", /Cannot take over fd 201: it is closed \(EBADF\)/],
    ["swapped", /Cannot take over fd 0: it is another one/],
    ["recycled", /another process with the same pid wrote it/],
  ];
  for (const [what, says] of forged) {
    await t.step(what, async () => {
      const { code, stdout, stderr } = await runCommand([
        ...[Deno.execPath(), "run", "-A", "--no-config", forger, base, what],
        ...[Deno.execPath(), "run", "-A", `${heirloomRoot()}/main.ts`, "run"],
        ...["--socket", `${all.path}/s.sock`, entry, "0"],
      ]);
      assertEquals([code, stdout], [1, ""], stderr);
      assertMatch(stderr, says);
    });
  }
});

Deno.test("an application that was started by hand gets EIO from open(), and ends", async () => {
  await using all = builds();
  const entry = await all.write("app", appText());
  const { code, stderr } = await runCommand([Deno.execPath(), "run", "-A", "--no-config", entry, "0"], {
    env: { HEIRLOOM_HANDOVER: `v1:200:${NONCE.toHex()}:update` },
  });
  assertEquals(code, 1, stderr);
  assertMatch(stderr, /Cannot open live update: Cannot read the handover in fd 200: it is closed/);
});

Deno.test("the variable is not passed on, even if it was bad", async () => {
  await using dir = tempDir();
  const entry = await writeApp(dir.path, {
    files: {
      "main.ts": `import "file://${heirloomRoot()}/mod.ts";
const child = await new Deno.Command("env").output();
console.log(JSON.stringify([Deno.env.get("HEIRLOOM_HANDOVER") ?? null, new TextDecoder().decode(child.stdout)]));`,
    },
  });
  const { code, stdout, stderr } = await runCommand([Deno.execPath(), "run", "-A", "--no-config", entry], {
    env: { HEIRLOOM_HANDOVER: "garbage", STILL: "here" },
  });
  assertEquals(code, 0, stderr);
  const [own, child] = JSON.parse(stdout);
  assertEquals(own, null);
  assert(!child.includes("HEIRLOOM_HANDOVER") && child.includes("STILL=here"), child);
});
