/**
 * A second process that has memory of a service mapped: a Python where there is one, else a small Deno.
 *
 * Happy path: {@linkcode attach}; it counts in a cell of its own all the time, and copies what the service puts into the next
 * cell to the one behind that. {@linkcode Attached.detach} ends it and tells how far it came.
 *
 * Unhappy paths: somebody else has changed its counter, or the path leads to other memory: it says so and ends, which
 * {@linkcode Attached.detach} throws.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { heirloomRoot, waitFor } from "../../testing/mod.ts";

/** Bytes that it maps. */
const MAPPED_BYTES = 4096;

const PYTHON = `
import mmap, os, signal, struct, sys, time
path, named, at = sys.argv[1], sys.argv[2] == "named", int(sys.argv[3]) * 8
fd = os.open(path, os.O_RDWR)
inode = os.fstat(fd).st_ino
memory = mmap.mmap(fd, ${MAPPED_BYTES})
cell = lambda offset: struct.unpack_from("@Q", memory, offset)[0]
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
count = cell(at)
print(inode, flush=True)
while not stop:
    if cell(at) != count: sys.exit(f"gap: {cell(at)} instead of {count}")
    if named and os.stat(path).st_ino != inode: sys.exit("the name leads to other memory")
    count += 1
    struct.pack_into("@Q", memory, at, count)
    struct.pack_into("@Q", memory, at + 16, cell(at + 8))
    time.sleep(0.0005)
print(count, flush=True)
`;

const DENO = `
import { Mapping, fstat, openFile } from "file://${heirloomRoot()}/sys/mod.ts";
const [path, named, at] = [Deno.args[0], Deno.args[1] === "named", Number(Deno.args[2])];
const file = openFile(path, { read: true, write: true });
const inode = fstat(file.fd).ino;
const cells = new BigUint64Array(Mapping.map(file.fd, ${MAPPED_BYTES}, { writable: true }).bytes.buffer);
let count = cells[at];
const end = (text) => { console.error(text); Deno.exit(1); };
Deno.addSignalListener("SIGTERM", () => { console.log(String(count)); Deno.exit(0); });
console.log(String(inode));
setInterval(() => {
  if (cells[at] !== count) end("gap: " + cells[at] + " instead of " + count);
  if (named && BigInt(Deno.statSync(path).ino) !== inode) end("the name leads to other memory");
  cells[at] = ++count;
  cells[at + 2] = cells[at + 1];
}, 1);
`;

/** A process that counts in memory of a service. */
export interface Attached extends AsyncDisposable {
  /** The inode of what it has mapped. */
  readonly inode: string;
  /** Has it ended, which it does by itself only when something is wrong? */
  readonly ended: boolean;
  /** Ends it; gives how far it has counted. */
  detach(): Promise<bigint>;
}

/** How a process is attached. */
export interface AttachOptions {
  /** Does the path stay that of the memory? @default {false} */
  named?: boolean;
  /** The number of its counting cell of 8 bytes. @default {0} */
  cell?: number;
}

/**
 * Attaches a process to memory.
 *
 * @param path where it opens the memory
 * @param options its cell, and whether it watches the path
 * @returns the process, which has the memory mapped
 */
export async function attach(path: string, options: AttachOptions = {}): Promise<Attached> {
  const { named = false, cell = 0 } = options;
  const args = [path, named ? "named" : "-", String(cell)];
  const python = hasPython();
  const directory = python ? null : Deno.makeTempDirSync({ prefix: "heirloom-attached-" });
  if (directory !== null) Deno.writeTextFileSync(`${directory}/attached.js`, DENO);
  const child = new Deno.Command(python ? "python3" : Deno.execPath(), {
    args: python
      ? ["-c", PYTHON, ...args]
      : ["run", "-A", "--no-config", `${directory}/attached.js`, ...args],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let stdout = "";
  let ended = false;
  const reading = child.stdout.pipeThrough(new TextDecoderStream()).pipeTo(
    new WritableStream({ write: (text) => void (stdout += text) }),
  );
  const stderr = new Response(child.stderr).text();
  const end = child.status.then((status) => {
    ended = true;
    return status;
  });
  const detach = async (): Promise<bigint> => {
    if (!ended) child.kill("SIGTERM");
    const { code } = await end;
    await reading;
    if (directory !== null) Deno.removeSync(directory, { recursive: true });
    assertEquals([code, await stderr], [0, ""]);
    return BigInt(stdout.trim().split("\n")[1] ?? -1);
  };
  let detached: Promise<bigint> | undefined;
  await waitFor(() => stdout.includes("\n") || ended, { what: "a process to attach", timeoutMs: 30_000 });
  const inode = stdout.trim();
  return {
    inode,
    get ended() {
      return ended;
    },
    detach: () => detached ??= detach(),
    async [Symbol.asyncDispose]() {
      await (detached ??= detach());
    },
  };
}

function hasPython(): boolean {
  try {
    return new Deno.Command("python3", { args: ["-c", "import mmap"] }).outputSync().success;
  } catch {
    return false;
  }
}
