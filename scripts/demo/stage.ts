/**
 * All that the demonstration starts and has to end again: a private directory, the service, the load, the command line.
 *
 * Happy path: each is started by a method, and all of it is ended, in reverse order, when the stage is disposed.
 *
 * Unhappy paths: the stage is disposed while something is just being started: it is ended as soon as it is there, and
 * nothing new can be started any more.
 *
 * @module
 */
import {
  copyTree,
  heirloomRoot,
  type Load,
  type LoadOptions,
  startApp,
  startLoad,
  type TempDir,
  tempDir,
  type TestApp,
} from "../../testing/mod.ts";

/** What a command of the command line came to. */
export interface CliResult {
  /** Its exit code. */
  readonly code: number;
  /** What it wrote to standard output. */
  readonly stdout: string;
  /** What it wrote to standard error. */
  readonly stderr: string;
}

/** What the demonstration started. */
export class Stage implements AsyncDisposable {
  readonly #dir: TempDir = tempDir("heirloom-demo-");
  readonly #end = new AbortController();
  readonly #started: Promise<AsyncDisposable>[] = [];
  #copying: Promise<unknown> = Promise.resolve();
  #app: TestApp | null = null;

  /** A private directory. */
  get dir(): string {
    return this.#dir.path;
  }

  /** Is everything being ended? */
  get closing(): boolean {
    return this.#end.signal.aborted;
  }

  /**
   * Starts the built-in service of this tree.
   *
   * @param args its flags
   * @returns the service, once it serves
   * @throws {Error} when it does not come up
   */
  async service(args: readonly string[]): Promise<TestApp> {
    this.#end.signal.throwIfAborted();
    const starting = startApp({ mode: "serve", args });
    this.#started.push(starting);
    this.#app = await starting;
    return this.#app;
  }

  /**
   * Starts an application of this tree.
   *
   * @param entry its module
   * @param args its arguments
   * @returns the application, once it serves
   * @throws {Error} when it does not come up
   */
  async application(entry: string, args: readonly string[]): Promise<TestApp> {
    this.#end.signal.throwIfAborted();
    const starting = startApp({ entry, args });
    this.#started.push(starting);
    return await starting;
  }

  /** Ends something with everything else. */
  use<T extends AsyncDisposable>(thing: T): T {
    this.#started.push(Promise.resolve(thing));
    return thing;
  }

  /** What the service wrote to standard error, for whom something went wrong. */
  get complaints(): string {
    return this.#app?.output().stderr ?? "";
  }

  /**
   * Makes another build of this tree, in a directory of its own.
   *
   * @param version the version that it states
   * @returns the path of the directory
   */
  async build(version: string): Promise<string> {
    this.#end.signal.throwIfAborted();
    const copying = copyTree(heirloomRoot(), `${this.dir}/${version}`, { version });
    this.#copying = copying;
    return await copying;
  }

  /** Starts a load. */
  load(options: LoadOptions): Load {
    this.#end.signal.throwIfAborted();
    const load = startLoad(options);
    this.#started.push(Promise.resolve(load));
    return load;
  }

  /**
   * Runs the command line of this tree.
   *
   * @param app the service that it talks to
   * @param args the command and its flags
   */
  async cli(app: TestApp, args: readonly string[]): Promise<CliResult> {
    const [command = "", ...flags] = args;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", `${heirloomRoot()}/main.ts`, command, "--socket", app.socket, ...flags],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      signal: this.#end.signal,
    });
    const { code, stdout, stderr } = await child.output();
    const decoder = new TextDecoder();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  }

  /** Ends all of it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await using rest = new AsyncDisposableStack();
    rest.use(this.#dir);
    // A directory that still fills cannot be removed.
    rest.defer(async () => void await this.#copying.catch(() => {}));
    for (const starting of this.#started) {
      // What did not come up has cleaned up after itself.
      const thing = await starting.catch(() => null);
      if (thing !== null) rest.use(thing);
    }
  }
}
