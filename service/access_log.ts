/**
 * The access log of the built-in service: one JSON line per request, in a file that survives updates.
 *
 * @module
 */
import type { LiveFile } from "../live/file.ts";
import type { Live } from "../live/live.ts";

/** Writes a line per request. */
export class AccessLog {
  readonly #file: LiveFile;
  readonly #live: Live;

  private constructor(live: Live, file: LiveFile) {
    this.#live = live;
    this.#file = file;
  }

  /**
   * Takes the log back, or opens it.
   *
   * @throws {SysError} what open(2) answers
   */
  static async open(live: Live, path: string): Promise<AccessLog> {
    return new AccessLog(
      live,
      await live.file(":access-log", path, { append: true, create: true, mode: 0o640 }),
    );
  }

  /** Answers a request and writes it down. A log that cannot be written does not keep the answer back. */
  async around(request: Request, handler: (request: Request) => Promise<Response>): Promise<Response> {
    const begun = performance.now();
    const response = await handler(request);
    const { pathname, search } = new URL(request.url);
    const line = JSON.stringify({
      time: new Date().toISOString(),
      generation: this.#live.generation,
      method: request.method,
      path: `${pathname}${search}`,
      status: response.status,
      ms: Math.round((performance.now() - begun) * 1000) / 1000,
    });
    try {
      this.#file.write(`${line}\n`);
    } catch (error) {
      console.error(`heirloom: access log: ${error instanceof Error ? error.message : error}`);
    }
    return response;
  }
}
