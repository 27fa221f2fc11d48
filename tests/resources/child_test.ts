import { assertEquals } from "@std/assert";
import { heirloomRoot, waitFor } from "../../testing/mod.ts";
import { holdings } from "./_child_app.ts";
import { carries, fdInfoOf, type Stage } from "./_kit.ts";

/** Counts on its standard output, a line every few milliseconds, and says on its standard error that it was asked to stop. */
const COUNTER = `trap 'echo asked >&2' TERM; i=0; while :; do i=$((i+1)); echo $i; sleep 0.002; done`;

const USE = `
const append = (file: string) => (bytes: Uint8Array) => Deno.writeFileSync(file, bytes, { append: true, create: true });
const counter = await live.spawn("counter", {
  command: ["sh", "-c", ${JSON.stringify(COUNTER)}],
  stdout: append("counted"),
  stderr: append("said"),
});
let echoed = "";
const echo = await live.spawn("echo", {
  command: ["cat"],
  stdin: "piped",
  stdout: (bytes) => void (echoed += new TextDecoder().decode(bytes)),
});
const children = [counter, echo];
`;

const ROUTES = `
if (path === "/pids") return Response.json(children.map(({ pid }) => pid));
if (path === "/new") return Response.json(children.map(({ isNew, running }) => [isNew, running]));
if (path === "/echo") {
  echoed = "";
  echo.write(new TextEncoder().encode(query.get("text")!));
  while (echoed !== query.get("text")) await new Promise((resolve) => setTimeout(resolve, 2));
  return new Response(echoed);
}
if (path === "/term") return new Response(String(counter.kill()));
`;

/** What can be seen of a process from outside. */
async function seen(pid: number) {
  const text = (file: string) => Deno.readTextFile(`/proc/${pid}/${file}`);
  const status = await text("status");
  const [program] = (await text("cmdline")).split("\0");
  const stat = (await text("stat")).split(") ")[1]?.split(" ") ?? [];
  const links = [...Deno.readDirSync(`/proc/${pid}/fd`)].map(({ name }) => name).sort()
    .map((name) => [name, Deno.readLinkSync(`/proc/${pid}/fd/${name}`)]);
  const environment = (await text("environ")).split("\0").filter((entry) =>
    /^HEIRLOOM_(HANDOVER|PREFLIGHT)/.test(entry)
  );
  return {
    command: await text("cmdline"),
    environment,
    group: stat[2],
    links,
    // A shell blocks signals for the moment in which it starts something.
    blocked: program === "cat" ? maskOf(status, "SigBlk") : null,
    ignored: maskOf(status, "SigIgn"),
    started: stat[19],
  };
}

function maskOf(status: string, name: string): bigint {
  const [, mask = ""] = new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status) ?? [];
  // Without those behind 31, which the C library has for itself and lets a child ignore.
  return BigInt(`0x${mask}`) & 0x7fffffffn;
}

async function pids(stage: Stage): Promise<number[]> {
  return JSON.parse(await stage.ask("/pids"));
}

/** Asserts that lines 1, 2, 3 … were written, each once, and gives how many. */
function counted(file: string): number {
  const lines = Deno.readTextFileSync(file).split("\n").slice(0, -1);
  assertEquals(lines, lines.map((_, index) => String(index + 1)));
  return lines.length;
}

function statSize(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch {
    return 0;
  }
}

async function countsOn(stage: Stage): Promise<void> {
  const file = `${stage.app.dir}/counted`;
  const before = counted(file);
  await waitFor(() => counted(file) > before + 20, { what: "more lines" });
}

Deno.test("children go on through updates: same processes, no line lost or repeated, input and signals reach them", async (t) => {
  await carries(t, {
    use: USE,
    routes: ROUTES,
    async prepare(stage) {
      await countsOn(stage);
      assertEquals(await stage.ask("/new"), "[[true,true],[true,true]]");
    },
    async look(stage) {
      const all = await pids(stage);
      const children = await Promise.all(all.map(seen));
      const own = maskOf(await Deno.readTextFile(`/proc/${stage.app.pid}/status`), "SigIgn");
      for (const { blocked, environment, ignored, links } of children) {
        assertEquals(links.map(([fd]) => fd), ["0", "1", "2"]);
        assertEquals([blocked ?? 0n, environment], [0n, []]);
        // What the service ignores is ignored, but for SIGPIPE, which the runtime ignores for itself.
        assertEquals(ignored, own & ~(1n << 12n));
      }
      return [all, children, holdings(stage.app)];
    },
    async works(stage) {
      await countsOn(stage);
      assertEquals(await stage.ask("/new"), "[[false,true],[false,true]]");
      assertEquals(await stage.ask("/echo?text=hello"), "hello");
      const said = (): number => statSize(`${stage.app.dir}/said`);
      const before = said();
      assertEquals(await stage.ask("/term"), "true");
      await waitFor(() => said() > before, { what: "the answer to SIGTERM" });
    },
  });
});

Deno.test("a process that is no child of ours is carried, and can be signalled", async (t) => {
  const other = new Deno.Command("sleep", { args: ["600"], stdout: "null" }).spawn();
  try {
    await carries(t, {
      before: `import { openPidfd, signalPidfd } from "file://${heirloomRoot()}/sys/pidfd.ts";`,
      use: `const other = await live.inherit("other", () => openPidfd(${other.pid}), { type: "pidfd" });`,
      routes: `if (path === "/cont") { signalPidfd(other.fd, 18); return new Response("sent"); }`,
      async look({ app }) {
        const info = await fdInfoOf(app, "other");
        return info.split("\n").filter((line) => /^(Pid|NSpid):/.test(line));
      },
      async works(stage) {
        const state = () => Deno.readTextFileSync(`/proc/${other.pid}/stat`).split(") ")[1]?.[0];
        Deno.kill(other.pid, "SIGSTOP");
        await waitFor(() => state() === "T", { what: "it to stop" });
        assertEquals(await stage.ask("/cont"), "sent");
        await waitFor(() => state() === "S", { what: "it to go on" });
      },
    });
  } finally {
    other.kill("SIGKILL");
    await other.status;
  }
});
