/**
 * What the two-stage tests of the kernel do in each stage, with the kernel's names, tokens and texts.
 *
 * Happy path: stage 1 fills sessions from {@linkcode preserveText}, stage 2 takes all of them back and compares.
 *
 * Unhappy path: whatever is not as it should be is an `Error` that says which session and token.
 *
 * @module
 */
import type { Device, Session } from "../../mod.ts";
import { createMemfd, fstat, Mapping } from "../../sys/mod.ts";
import { PAGE_BYTES } from "./_kernel_kit.ts";

/** Beginning of the names of all memfds of these tests. */
export const MEMFD_NAME = "two-stage";

/** One of the tests. */
export interface TwoStageTest {
  /** Name of the session that says which stage is next, and the token in it. */
  state: readonly [name: string, token: bigint];
  /** What is preserved; `count` is for the stress tests. */
  first(device: Device, count: number): void;
  /** What must have arrived. */
  second(device: Device, count: number): void;
}

/** Preserves a memfd of one page with a text written through a mapping, and closes the caller's descriptor. */
export function preserveText(session: Session, token: bigint, text: string): void {
  using memory = createMemfd(`${MEMFD_NAME}-${token}`, { size: PAGE_BYTES });
  using mapping = Mapping.map(memory.fd, PAGE_BYTES, { writable: true });
  mapping.bytes.set(new TextEncoder().encode(text));
  session.preserveFd(memory, token);
}

/** Retrieves such a memfd and gives its text, read through a mapping. */
export function retrieveText(session: Session, token: bigint): string {
  using memory = session.retrieveFd(token);
  const { size } = fstat(memory.fd);
  if (size !== PAGE_BYTES) throw new Error(`token ${token} of "${session.name}" has ${size} bytes`);
  using mapping = Mapping.map(memory.fd, PAGE_BYTES, { writable: true });
  return new TextDecoder().decode(mapping.bytes.slice(0, mapping.bytes.indexOf(0)));
}

function verifyText(session: Session, token: bigint, text: string): void {
  const found = retrieveText(session, token);
  if (found !== text) {
    throw new Error(
      `token ${token} of "${session.name}" is ${JSON.stringify(found)}, not ${JSON.stringify(text)}`,
    );
  }
}

function finishAndClose(session: Session): void {
  session.finish();
  session[Symbol.dispose]();
}

/** The tests by name. */
export const TESTS: Readonly<Record<string, TwoStageTest>> = {
  luo_kexec_simple: {
    state: ["kexec_simple_state", 999n],
    first(device) {
      preserveText(device.createSession("test-session"), 0x1An, "hello kexec world");
    },
    second(device) {
      const session = device.retrieveSession("test-session");
      verifyText(session, 0x1An, "hello kexec world");
      finishAndClose(session);
    },
  },
  luo_multi_session: {
    state: ["kexec_multi_state", 998n],
    first(device) {
      device.createSession("multi-test-empty-1");
      device.createSession("multi-test-empty-2");
      preserveText(device.createSession("multi-test-files-1"), 0x1001n, "file for session 1");
      const two = device.createSession("multi-test-files-2");
      preserveText(two, 0x2002n, "file 1 for session 2");
      preserveText(two, 0x3003n, "file 2 for session 2");
    },
    second(device) {
      const names = ["multi-test-empty-1", "multi-test-empty-2", "multi-test-files-1", "multi-test-files-2"];
      const sessions = names.map((name) => device.retrieveSession(name));
      verifyText(sessions[2]!, 0x1001n, "file for session 1");
      verifyText(sessions[3]!, 0x2002n, "file 1 for session 2");
      verifyText(sessions[3]!, 0x3003n, "file 2 for session 2");
      sessions.forEach(finishAndClose);
    },
  },
  luo_stress_sessions: {
    state: ["kexec_many_state", 999n],
    first(device, count) {
      for (let i = 0; i < count; i++) device.createSession(`many-test-${i}`);
    },
    second(device, count) {
      for (let i = 0; i < count; i++) finishAndClose(device.retrieveSession(`many-test-${i}`));
    },
  },
  luo_stress_files: {
    state: ["kexec_many_files_state", 9999n],
    first(device, count) {
      const session = device.createSession("many_files_session");
      for (let i = 0; i < count; i++) preserveText(session, BigInt(i), `file-data-${i}`);
    },
    second(device, count) {
      const session = device.retrieveSession("many_files_session");
      for (let i = 0; i < count; i++) verifyText(session, BigInt(i), `file-data-${i}`);
      finishAndClose(session);
    },
  },
  // A skeleton in the kernel: what its harness and the eventfd proposal ask of a file, asked of memfds.
  luo_memfd: {
    state: ["luo-state", 1n],
    first(device) {
      const session = device.createSession("memfd-default");
      preserveText(session, 0n, "as it was");
      preserveText(session, (1n << 64n) - 1n, "");
      device.createSession("memfd-none");
      using memory = createMemfd(`${MEMFD_NAME}-modified`, { size: PAGE_BYTES });
      using mapping = Mapping.map(memory.fd, PAGE_BYTES, { writable: true });
      mapping.bytes.set(new TextEncoder().encode("written before"));
      device.createSession("memfd-modified").preserveFd(memory, 7n);
      // What is there at the freeze wins.
      mapping.bytes.set(new TextEncoder().encode("written after preserve"));
    },
    second(device) {
      const session = device.retrieveSession("memfd-default");
      verifyText(session, (1n << 64n) - 1n, "");
      verifyText(session, 0n, "as it was");
      const modified = device.retrieveSession("memfd-modified");
      verifyText(modified, 7n, "written after preserve");
      [session, modified, device.retrieveSession("memfd-none")].forEach(finishAndClose);
    },
  },
};
