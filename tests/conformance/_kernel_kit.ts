/**
 * What the tests of the kernel share: memfds with a text in them, a look at what is in one and which are open, and room for
 * many descriptors.
 *
 * Happy path: `using memory = memfdOf("text"); session.preserveFd(memory, 1n); assertEquals(textOf(memory), "text");`
 *
 * Unhappy path: {@linkcode raiseNofile} prints why it cannot give room and answers null; the test is skipped then.
 *
 * @module
 */
import {
  createMemfd,
  fdLink,
  fstat,
  getLimit,
  listFds,
  type OwnedFd,
  readWhole,
  setLimit,
  SysError,
  writeAll,
} from "../../sys/mod.ts";

/** A page of the kernel, the size of the memory in its two-stage tests. */
export const PAGE_BYTES = 4096;

/** A memfd with that text in it, its position behind the text. */
export function memfdOf(text: string, name = "kernel-test"): OwnedFd {
  using undo = new DisposableStack();
  const memory = undo.use(createMemfd(name));
  writeAll(memory.fd, new TextEncoder().encode(text));
  undo.move();
  return memory;
}

/** Everything behind a descriptor as text, without moving its position. */
export function textOf(file: OwnedFd | number): string {
  const fd = typeof file === "number" ? file : file.fd;
  return new TextDecoder().decode(readWhole(fd, fstat(fd).size));
}

/** The memfds that this process has open and whose names begin so: their names, sorted, each as often as it is open. */
export function openMemfds(prefix = "kernel-"): string[] {
  const links = listFds().map(fdLink).map((link) => /^\/memfd:(.*) \(deleted\)$/.exec(link)?.[1] ?? "");
  return links.filter((name) => name.startsWith(prefix)).sort();
}

/**
 * Makes room for more descriptors, as the kernel's tests do.
 *
 * @param more how many besides those that are open
 * @returns gives the limit back when disposed; null, with a printed reason, where the limit cannot be raised
 */
export function raiseNofile(more: number): Disposable | null {
  const before = getLimit("nofile");
  // The same 32 to spare as in the kernel's tests.
  const soft = BigInt(Math.max(0, ...listFds()) + more + 32);
  if (soft <= before.soft) return { [Symbol.dispose]: () => {} };
  try {
    setLimit("nofile", { soft, hard: soft > before.hard ? soft : before.hard });
  } catch (error) {
    if (!(error instanceof SysError) || error.code !== "EPERM") throw error;
    console.log(`ignored: ${soft} descriptors are not permitted, the hard limit is ${before.hard}`);
    return null;
  }
  return { [Symbol.dispose]: () => setLimit("nofile", before) };
}
