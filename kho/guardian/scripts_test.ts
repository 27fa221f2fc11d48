/**
 * The scripts of `scene_test.ts`: JavaScript, so that nothing has to be translated in an empty cache. It has no tests
 * itself; the name keeps it out of the published package.
 *
 * @module
 */
const here = (path: string): string => JSON.stringify(import.meta.resolve(path));

/** What both scripts use. */
export const TOOLS = `
import * as sys from ${here("../../sys/mod.ts")};
import { Journal } from ${here("../journal.ts")};
export { sys, Journal };
export const DIRECTORY = Deno.args[0];
export function put(name, value) {
  const text = JSON.stringify(value, (_, v) => typeof v === "bigint" ? String(v) : v);
  Deno.writeTextFileSync(DIRECTORY + "/" + name + ".draft", text);
  Deno.renameSync(DIRECTORY + "/" + name + ".draft", DIRECTORY + "/" + name);
}
export function identity(fd) {
  const { dev, ino } = sys.fstat(fd);
  return [fd, dev, ino];
}
`;

/** The service, up to what a test makes of it. */
export const SERVICE = `
import { DIRECTORY, identity, Journal, put, sys } from "./tools.js";
import * as far from ${here("../../sys/guard.ts")};
import { Guardian } from ${here("../guardian.ts")};
import { Guard } from ${here("../guard.ts")};
import { jump } from ${here("../jump.ts")};
const said = [];
function say(value) {
  said.push(value);
  put("said", said);
}
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const image = {
  argv: [Deno.execPath(), "run", "-A", "--no-check", "--no-config", "--quiet", DIRECTORY + "/previous.js", DIRECTORY],
  config: null,
  cwd: DIRECTORY,
  deno_dir: null,
  entry: DIRECTORY + "/previous.js",
  env: [...sys.initialEnvironmentBytes(), new TextEncoder().encode("KEPT=yes")],
  exec: Deno.execPath(),
  fingerprint: null,
  limits: [],
  names: { entry: null, exec: null },
  sigmask: "0000000000000000",
  umask: 0o027,
  version: null,
};
const nonce = new Uint8Array(16).fill(7);
const listener = sys.openListener({ family: "inet", host: "127.0.0.1", port: 0 });
const memory = sys.createMemfd("resource", { size: 4096 });
const segment = sys.createMemfd("segment", { size: 1 });
const journal = Journal.create();
journal.append("jumping");
journal.append("booting");
const runtime = sys.openFile(Deno.execPath());
const crossing = [segment, listener, memory, runtime].map(({ fd }) => fd).concat(journal.fd);
const lastWords = { path: DIRECTORY + "/words.json", text: '{"id":"u1","outcome":null,"reason":null,"pid":1}' };
const inMs = (ms) => sys.monotonicNs() + BigInt(ms * 1e6);
function plan(changes = {}) {
  return {
    image,
    segment: segment.fd,
    nonce,
    crossing,
    runtime: runtime.fd,
    journal: journal.fd,
    deadlineNs: inMs(60_000),
    lastWords,
    ...changes,
  };
}
function start(changes = {}) {
  return Guardian.start({
    program: ${here("../guardian_main.ts")},
    runtime: Deno.execPath(),
    env: sys.initialEnvironmentBytes(),
    cwd: Deno.cwd(),
    ...changes,
  });
}
function tell(guardian, fds = crossing) {
  put("facts", { pid: Deno.pid, guardian: guardian.pid, port: sys.getsockname(listener.fd).port, crossing: fds.map(identity) });
}
/** A guardian that is armed and has the plan; the deadline counts from there. */
async function guarded({ withinMs = 60_000, ...changes } = {}) {
  const guardian = start();
  await guardian.armed(10_000);
  tell(guardian, changes.crossing ?? crossing);
  say(guardian.entrust(plan({ deadlineNs: inMs(withinMs), ...changes })));
  return guardian;
}
/** The guard of the same guardian, as the next image has it. */
const guardOf = (guardian) => new Guard(sys.dupFd(guardian.fd), guardian.pid);
`;

/** The previous build: looks around and ends. */
export const PREVIOUS = `
import { DIRECTORY, identity, Journal, put, sys } from "./tools.js";
const fds = sys.listFds();
const [, segment, nonce, role] = Deno.env.get("HEIRLOOM_HANDOVER").split(":");
const crossing = fds.filter((fd) => fd > 2 && !sys.getCloexec(fd));
const journal = crossing.find((fd) => sys.fdLink(fd).startsWith("/memfd:kho:journal"));
put("report", {
  pid: Deno.pid,
  role,
  segment: Number(segment),
  nonce,
  crossing: crossing.map(identity),
  standard: fds.filter((fd) => fd <= 2),
  kept: Deno.env.get("KEPT") ?? null,
  update: Deno.env.get("DENO_NO_UPDATE_CHECK") ?? null,
  cwd: Deno.cwd(),
  umask: sys.getUmask(),
  exec: Deno.execPath(),
  blocked: sys.maskToHex(sys.getMask()),
  journal: journal === undefined ? [] : Journal.adopt(sys.dupFd(journal)).entries().map(({ phase, note }) => [phase, note]),
});
`;

/** What the service does to be killed by SIGSEGV. */
export const CRASH = `
  const libc = Deno.dlopen("libc.so.6", { memset: { parameters: ["pointer", "i32", "usize"], result: "pointer" } });
  libc.symbols.memset(null, 1, 1n);
`;
