import { assertEquals } from "@std/assert";

import { callControl, freePort, type UpdateRecord, waitFor } from "../../testing/mod.ts";
import { type OwnedFd, read, reapIfEnded } from "../../sys/mod.ts";
import { spawnProcess } from "../../sys/spawn.ts";
import { openTerminal, sessionOf, slavePath } from "../../sys/terminal.ts";
import { appText, builds, LIBRARY, once, READY_IN_CHECK } from "../update/_fixtures.ts";
import { PATIENCE_MS, sessionOfProcess } from "./_terminal_app.ts";

const BEFORE = `import { OwnedFd } from "${LIBRARY}";
const libc = Deno.dlopen("libc.so.6", {
  open: { parameters: ["buffer", "i32"], result: "i32" },
  write: { parameters: ["i32", "buffer", "usize"], result: "i64" },
});
const openTty = () => OwnedFd.adopt(libc.symbols.open(new TextEncoder().encode("/dev/tty\\0"), 0o2000002));`;
const USE = `const tty = await live.inherit("tty", openTty, { type: "pty" });`;
const ROUTES = `if (path === "/tty") {
  const text = new TextEncoder().encode("<said>");
  return new Response(String(libc.symbols.write(tty.fd, text, BigInt(text.byteLength))));
}`;

/** Reads what is there, so that nobody waits for a reader. */
async function drain(master: OwnedFd, into: { text: string; over: boolean }): Promise<void> {
  const bytes = new Uint8Array(65_536);
  for (; !into.over; await new Promise((resolve) => setTimeout(resolve, 5))) {
    try {
      into.text += new TextDecoder().decode(bytes.subarray(0, read(master.fd, bytes)));
    } catch {
      // Nothing is there, or nobody.
    }
  }
}

Deno.test("the controlling terminal of a service that leads its session stays that through updates", async () => {
  await using all = builds();
  using master = openTerminal({ columns: 80, rows: 24 });
  const parts = { before: BEFORE, use: USE, routes: ROUTES };
  const port = freePort();
  const socket = `${all.path}/s.sock`;
  const main = new URL("../../main.ts", import.meta.url).pathname;
  const pid = spawnProcess({
    path: Deno.execPath(),
    argv: ["deno", "run", "-A", main, "run", "--socket", socket, await all.write("v1", parts), String(port)],
    env: Object.entries(Deno.env.toObject()).map(([name, value]) => `${name}=${value}`),
    fds: [],
    cwd: all.path,
    terminal: slavePath(master.fd),
  });
  const heard = { text: "", over: false };
  const draining = drain(master, heard);
  const upgrade = async (label: string, ready: string): Promise<UpdateRecord> => {
    const build = await all.write(label, appText({ ...parts, label, ready }));
    const { id } = await callControl({ socket, path: "/v1/upgrade", body: { build } }) as { id: string };
    return await waitFor(async () => {
      const record = await callControl({ socket, path: `/v1/history/${id}` }) as UpdateRecord;
      return record.outcome === null ? null : record;
    }, { what: "the update", timeoutMs: PATIENCE_MS });
  };
  try {
    await waitFor(() => once(port, "/"), { what: "the service", timeoutMs: PATIENCE_MS });
    assertEquals(sessionOf(master.fd), pid);
    const [session, terminal] = sessionOfProcess(pid);
    assertEquals(session, String(pid));
    assertEquals((await upgrade("v2", "await live.ready();")).outcome, "committed");
    assertEquals([sessionOf(master.fd), sessionOfProcess(pid).slice(0, 2)], [pid, [session, terminal]]);
    assertEquals(await once(port, "/tty"), "6");
    await waitFor(() => heard.text.includes("<said>"), { what: "the terminal", timeoutMs: PATIENCE_MS });
    const failing = `${READY_IN_CHECK}throw new Error("no luck");`;
    assertEquals((await upgrade("v3", failing)).outcome, "rolled-back");
    assertEquals([sessionOf(master.fd), sessionOfProcess(pid).slice(0, 2)], [pid, [session, terminal]]);
    assertEquals(await once(port, "/tty"), "6");
    await waitFor(() => heard.text.split("<said>").length === 3, {
      what: "it again",
      timeoutMs: PATIENCE_MS,
    });
    // The terminal is closed by whoever has the other end: the service hears of it as ever (SIGHUP), and ends.
    heard.over = true;
    await draining;
    master[Symbol.dispose]();
    const end = await waitFor(() => reapIfEnded(pid), { what: "the hang-up", timeoutMs: PATIENCE_MS });
    assertEquals(end, { status: 1, code: null, signal: 1 });
  } finally {
    heard.over = true;
    await draining;
    if (reapIfEnded(pid) === null) Deno.kill(pid, "SIGKILL");
  }
});
