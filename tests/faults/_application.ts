/**
 * The application of the fault matrix: a server, shared memory, an appending log, a saved state, and a character device
 * that a handler of its own carries. It tells when it comes to a moment, and waits there while it is held.
 *
 * Everything that a row says to it goes through files in the folder `stage` of the service's private directory:
 * `hold-BUILD-MOMENT` holds a build, `at-BUILD-MOMENT` says that it has come there, `fail-BUILD-CALLBACK` makes a callback of
 * its handler fail. The check child does not misbehave unless it is asked to.
 *
 * @module
 */
import { APP_VARIABLE } from "../../testing/mod.ts";
import { appText, LIBRARY } from "../update/_fixtures.ts";
import type { BadBuild } from "./_types.ts";

/** The device that the application's own handler carries: no built-in one ever takes it. */
export const DEVICE = "/dev/zero";

/** The callbacks of the handler that can fail. */
export type Callback = "preserve" | "freeze" | "retrieve" | "canFinish" | "finish";

/**
 * The files of a build.
 *
 * @param label what it answers at `/`, and what tells it apart in the folder `stage`
 * @param bad what it does wrong
 */
export function buildFiles(label: string, bad: BadBuild = {}): Record<string, string> {
  return {
    "main.ts": bad.text ?? mainText(label, bad),
    "dependency.ts": `export const dependency = "the dependency of ${label}";\n`,
    "deno.json": `${JSON.stringify({ version: "1.0.0", imports: { "own/": "./" } }, null, 2)}\n`,
  };
}

function mainText(label: string, bad: BadBuild): string {
  const misbehaves = (place: BadBuild["at"]): string => {
    if (bad.at !== place || bad.code === undefined) return "";
    const when = { real: "REAL", checked: "!REAL", both: "true" }[bad.runs ?? "real"];
    return `if (${when}) {\n${bad.code}\n}`;
  };
  const { version, reads } = bad.state ?? { version: 1 };
  const range = reads === undefined ? "" : `, reads: [${reads.join(", ")}]`;
  return appText({
    label,
    options: "{ handlers: [device], quiesceTimeoutMs: 20_000 }",
    before: `import type { FileHandler } from "${LIBRARY}";
import { openFile } from "${LIBRARY.replace("mod.ts", "sys/mod.ts")}";
import { dependency } from "own/dependency.ts";
${stageText(label)}
${HANDLER}
await moment(REAL ? "import" : "checking");
${misbehaves("import")}`,
    use: `live.state("format", { version: ${version}${range}, save: () => "any", load: () => {} });
live.on("quiesce", (event) => event.waitUntil(moment("quiescing")));
await live.inherit("device", () => openFile("${DEVICE}", { read: true }));
if (REAL) await moment("open");
${misbehaves("open")}`,
    routes: '  if (path === "/dependency") return new Response(dependency);',
    ready: `if (REAL) await moment("ready");
${misbehaves("ready")}
${bad.ready ?? "await live.ready();"}`,
  });
}

function stageText(label: string): string {
  return `const LABEL = "${label}";
const REAL = !Deno.env.has("HEIRLOOM_PREFLIGHT");
const stage = Deno.env.get("${APP_VARIABLE}") + "/stage/";
const there = (name: string): boolean => {
  try { Deno.statSync(stage + name); return true; } catch { return false; }
};
const moment = async (name: string): Promise<void> => {
  if (!there("hold-" + LABEL + "-" + name)) return;
  Deno.writeTextFileSync(stage + "at-" + LABEL + "-" + name, String(Deno.pid));
  while (there("hold-" + LABEL + "-" + name)) await new Promise((resolve) => setTimeout(resolve, 5));
};
const fails = (callback: string): boolean => REAL && there("fail-" + LABEL + "-" + callback);
const failing = (callback: string): void => {
  if (fails(callback)) throw new Error("the device cannot " + callback);
};`;
}

const HANDLER = `const device: FileHandler = {
  compatible: "faulty-device-v1",
  canPreserve: ({ fd }) => Deno.readLinkSync("/proc/self/fd/" + fd) === "${DEVICE}",
  preserve(args) {
    failing("preserve");
    args.kho.preserveFd(args.fd);
    args.serializedData = BigInt(args.fd);
  },
  unpreserve: ({ fd, kho }) => kho.unpreserveFd(fd),
  freeze: () => failing("freeze"),
  retrieve({ kho, serializedData }) {
    failing("retrieve");
    return kho.borrowFd(Number(serializedData));
  },
  canFinish: () => !fails("canFinish"),
  finish({ kho, serializedData }) {
    kho.releaseFd(Number(serializedData));
    failing("finish");
  },
};`;
