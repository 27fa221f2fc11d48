/**
 * Waiting for what a test needs: {@linkcode waitFor} a condition, a {@linkcode freePort}, a {@linkcode tempDir}.
 *
 * A test should wait for a condition and never for a time. When the condition does not come about, the error says in
 * words what was waited for, for how long, and what the last attempt had to say.
 *
 * @module
 */

/** How {@linkcode waitFor} waits. */
export interface WaitOptions {
  /** What is waited for, in words that end "Cannot wait for …". */
  what: string;
  /**
   * How long to wait, in milliseconds.
   *
   * @default {10000}
   */
  timeoutMs?: number;
  /**
   * The pause between two attempts, in milliseconds.
   *
   * @default {20}
   */
  intervalMs?: number;
}

/** What an attempt came to: a value, or the error that it threw. */
type Attempt<T> = { readonly value: T } | { readonly error: unknown };

/**
 * Waits until a condition gives something truthy. An attempt that throws counts as "not yet", and its error becomes
 * the cause of the error in the end; so does an attempt that does not return in time.
 *
 * @param condition Asked again and again; may be asynchronous.
 * @param options What is waited for, and for how long.
 * @returns The first truthy value.
 * @throws {Deno.errors.TimedOut} When the time is over.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  options: WaitOptions,
): Promise<Exclude<T, false | null | undefined | 0 | "">> {
  const { what, timeoutMs = 10_000, intervalMs = 20 } = options;
  const end = performance.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    const attempt = await before(end, condition);
    if (attempt === undefined) break;
    if ("error" in attempt) cause = attempt.error;
    else if (attempt.value) return attempt.value as Exclude<T, false | null | undefined | 0 | "">;
    if (performance.now() >= end) break;
    await delay(Math.min(intervalMs, Math.max(0, end - performance.now())));
  }
  const last = cause instanceof Error ? ` (last attempt: ${cause.message})` : "";
  throw new Deno.errors.TimedOut(`Cannot wait for ${what}: not so within ${timeoutMs} ms${last}`, { cause });
}

/** One attempt, or undefined when it is not done at `end`. */
async function before<T>(end: number, condition: () => T | Promise<T>): Promise<Attempt<T> | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), Math.max(0, end - performance.now()));
  });
  try {
    return await Promise.race([late, attempt(condition)]);
  } finally {
    clearTimeout(timer);
  }
}

async function attempt<T>(condition: () => T | Promise<T>): Promise<Attempt<T>> {
  try {
    return { value: await condition() };
  } catch (error) {
    return { error };
  }
}

/**
 * Waits for a time. For pauses between attempts: a test that waits for a time and not for a condition is a test that
 * fails on a busy machine.
 *
 * @param ms Milliseconds.
 * @returns Resolves when they are over.
 */
export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The first port of the range from which {@linkcode freePort} takes. */
const FIRST_PORT = 10_000;

/**
 * A TCP port on which nothing listens. It lies below the range from which the kernel takes ports for outgoing
 * connections: a load generator that opens hundreds of them could otherwise take the port before the service does.
 * Nothing keeps it free until it is used.
 *
 * @param hostname The address on which the port must be free.
 * @returns The port.
 * @throws {Deno.errors.AddrInUse} If 100 ports in a row are taken.
 */
export function freePort(hostname = "127.0.0.1"): number {
  const last = Math.max(FIRST_PORT + 1000, firstEphemeralPort() - 1);
  for (let tries = 0; tries < 100; tries++) {
    const port = FIRST_PORT + Math.floor(Math.random() * (last - FIRST_PORT));
    try {
      Deno.listen({ hostname, port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  throw new Deno.errors.AddrInUse(`Cannot find a free port on ${hostname}: 100 in a row are taken`);
}

function firstEphemeralPort(): number {
  try {
    return Number.parseInt(Deno.readTextFileSync("/proc/sys/net/ipv4/ip_local_port_range"), 10) || 32_768;
  } catch {
    return 32_768;
  }
}

/** A directory of its own that is gone after use. */
export interface TempDir extends AsyncDisposable {
  /** The absolute path; mode 0700. */
  readonly path: string;
}

/** What is left free of the 108 bytes of a unix socket's path, for the name below the directory. */
const LONGEST_DIRECTORY = 80;

/**
 * Makes a private directory: `await using dir = tempDir()`. Its path is short enough for unix sockets in it even where
 * `TMPDIR` is not.
 *
 * @param prefix The beginning of the directory's name.
 * @returns The directory, removed with all that is in it when it is disposed.
 */
export function tempDir(prefix = "heirloom-"): TempDir {
  let path = Deno.makeTempDirSync({ prefix });
  if (path.length > LONGEST_DIRECTORY) {
    Deno.removeSync(path);
    path = Deno.makeTempDirSync({ prefix, dir: "/tmp" });
  }
  return {
    path,
    async [Symbol.asyncDispose](): Promise<void> {
      try {
        await Deno.remove(path, { recursive: true });
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    },
  };
}
