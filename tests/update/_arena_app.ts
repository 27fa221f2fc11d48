/**
 * An application with an arena: three sessions with fifty slices. A build of it is a module that calls
 * {@linkcode runArenaApp}; what it finds goes to stdout as a line of JSON, once for each start.
 *
 * @module
 */
import { createArena, registerArena, type Slice, takeArena } from "../../handlers/arena.ts";
import { takeover } from "../../live/takeover.ts";
import { type Live, open, type OwnedFd, type Session } from "../../mod.ts";
import { fstat } from "../../sys/mod.ts";

/** Size of the arena. */
export const ARENA_BYTES: number = 1 << 20;

/** How many slices each session has. */
export const SESSIONS: Readonly<Record<string, number>> = { red: 20, green: 17, blue: 13 };

/** What a build is to do. */
export interface ArenaAppOptions {
  /** Tells builds apart. */
  label: string;
  /** Throw when everything is taken back, after it has filled whatever was free. */
  fails?: boolean;
  /** Preserve no slice of that session for the next build. */
  forgets?: string;
}

/** What a start of the application found. */
export interface ArenaReport {
  /** The build. */
  label: string;
  /** Its generation. */
  generation: number;
  /** The number of the arena's descriptor. */
  fd: number;
  /** The inode of the arena. */
  ino: string;
  /** Bytes that are free. */
  free: number;
  /** The slices of each session: offset and size. */
  slices: Record<string, [offset: number, size: number][]>;
  /** How many descriptors of the arena's memory the segment lists, or null at a cold start. */
  crossed: number | null;
}

/** The size of a slice. */
export function sizeOf(session: string, at: number): number {
  return 1 + (session.length * 1009 + at * 613) % 5000;
}

/** The content of a slice: differs for each. */
export function contentOf(session: string, at: number): Uint8Array {
  let value = session.charCodeAt(0) * 1000 + at + 1;
  return Uint8Array.from({ length: sizeOf(session, at) }, () => {
    value ^= value << 13;
    value ^= value >>> 17;
    value ^= value << 5;
    return value;
  });
}

/** Runs the application. */
export async function runArenaApp({ label, fails = false, forgets }: ArenaAppOptions): Promise<void> {
  registerArena();
  const live = await open();
  const handed = takeArena();
  const arena = handed ?? createArena({ size: ARENA_BYTES });
  const incoming: Session[] = [];
  const slices = new Map<string, Slice[]>();
  for (const name of Object.keys(SESSIONS)) {
    if (handed === null) slices.set(name, makeSlices(name, (size) => arena.allocate(size)));
    else slices.set(name, takeSlices(live, name, incoming, (fd) => arena.slice(fd)));
  }
  const ino = fstat(arena.fd).ino;
  const report: ArenaReport = {
    label,
    generation: live.generation,
    fd: arena.fd,
    ino: `${ino}`,
    free: arena.free,
    slices: Object.fromEntries(
      [...slices].map(([name, all]) => [name, all.map(({ offset, size }) => [offset, size])]),
    ),
    crossed: takeover.incoming?.record.fds.filter((record) => record.ino === ino).length ?? null,
  };
  if (fails && !live.checking) {
    for (let size = 65_536; size >= 1; size = Math.floor(size / 2)) {
      while (fits(() => arena.allocate(size).bytes.fill(0xee))) { /* the next one */ }
    }
    throw new Error(`out of order, with ${arena.free} bytes free`);
  }
  await live.ready();
  for (const session of incoming) session[Symbol.dispose]();
  for (const [name, all] of slices) {
    if (name === forgets) continue;
    const session = live.device.createSession(name);
    for (const [at, slice] of all.entries()) session.preserveFd(slice.fd, BigInt(at));
  }
  console.log(JSON.stringify(report));
}

function makeSlices(session: string, allocate: (size: number) => Slice): Slice[] {
  return Array.from({ length: SESSIONS[session] ?? 0 }, (_, at) => {
    const slice = allocate(sizeOf(session, at));
    slice.bytes.set(contentOf(session, at));
    return slice;
  });
}

function takeSlices(live: Live, name: string, incoming: Session[], find: (fd: OwnedFd) => Slice): Slice[] {
  if (!live.device.sessions().some((session) => session.direction === "incoming" && session.name === name)) {
    return [];
  }
  const session = live.device.retrieveSession(name);
  incoming.push(session);
  return session.files().map(({ token }) => {
    using fd = session.retrieveFd(token);
    return find(fd);
  });
}

function fits(body: () => void): boolean {
  try {
    body();
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOSPC") return false;
    throw error;
  }
}
