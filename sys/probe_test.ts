import { assert, assertEquals, assertMatch } from "@std/assert";
import { probeSystemCalls, refusedAccess } from "./probe.ts";
import { listFds } from "./proc.ts";

Deno.test("probeSystemCalls() finds what every supported kernel has, and leaves nothing open", () => {
  probeSystemCalls();
  const before = listFds();
  const results = probeSystemCalls();
  assertEquals(listFds(), before);
  for (
    const name of [
      "close_range",
      "pidfd",
      "memfd",
      "scm_rights",
      "eventfd",
      "timerfd",
      "inotify",
      "epoll",
    ] as const
  ) {
    assertEquals(results[name], null, name);
  }
  assert(
    results.dup_query === null || results.kcmp === null,
    "duplicates are recognized one way or the other",
  );
});

Deno.test("probeSystemCalls() tells a failure in words", () => {
  const script = `
    const { probeSystemCalls } = await import(${JSON.stringify(new URL("./probe.ts", import.meta.url).href)});
    const { setLimit, getLimit } = await import(${
    JSON.stringify(new URL("./limits.ts", import.meta.url).href)
  });
    probeSystemCalls();
    setLimit("nofile", { ...getLimit("nofile"), soft: 3n });
    const results = probeSystemCalls();
    Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(results)));`;
  const { stdout, stderr } = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-lock", script],
    stdin: "null",
  }).outputSync();
  const results = JSON.parse(new TextDecoder().decode(stdout) || "null");
  assertMatch(results?.memfd ?? new TextDecoder().decode(stderr), /memfd_create: EMFILE/);
});

Deno.test("refusedAccess() asks for the effective user", async () => {
  const path = await Deno.makeTempFile();
  try {
    assertEquals([refusedAccess(path, "read"), refusedAccess(path, "write")], [null, null]);
    assertEquals(refusedAccess(path, "execute"), "EACCES");
    assertEquals(refusedAccess(`${path}/x`, "read"), "ENOTDIR");
    assertEquals(refusedAccess("/nowhere", "read"), "ENOENT");
    assertEquals(refusedAccess("/proc/self/stat", "read"), null);
  } finally {
    await Deno.remove(path);
  }
});
