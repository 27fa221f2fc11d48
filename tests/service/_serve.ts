/**
 * The built-in service under test, and a client of its HTTP API.
 *
 * @module
 */
import { freePort, startApp, type TestApp } from "../../testing/mod.ts";

/** The token with which the tests write. */
export const TOKEN = "open-sesame";

/** A running service. */
export interface Serving extends AsyncDisposable {
  /** The service. */
  readonly app: TestApp;
  /** `http://HOST:PORT`. */
  readonly url: string;
  /** Asks; with the token unless told otherwise. */
  ask(path: string, init?: RequestInit & { token?: string | null }): Promise<Answer>;
}

/** An answer with its body read. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The body as JSON. */
  json(): Record<string, unknown>;
}

/** Starts the service with a token. */
export async function startServing(
  dir: string,
  options: { args?: readonly string[]; heirloom?: string; token?: boolean } = {},
): Promise<Serving> {
  const port = freePort();
  const tokenFile = `${dir}/token`;
  await Deno.writeTextFile(tokenFile, `${TOKEN}\n`, { mode: 0o600 });
  const token = options.token === false ? [] : ["--http-token-file", tokenFile];
  const app = await startApp({
    mode: "serve",
    args: ["--http", `127.0.0.1:${port}`, ...token, ...options.args ?? []],
    ...(options.heirloom === undefined ? {} : { heirloom: options.heirloom }),
  });
  const url = `http://127.0.0.1:${port}`;
  return {
    app,
    url,
    async ask(path, { token = TOKEN, ...init } = {}) {
      const headers = new Headers(init.headers);
      if (token !== null) headers.set("authorization", `Bearer ${token}`);
      const response = await fetch(`${url}${path}`, { ...init, headers });
      const bytes = await response.bytes();
      const json = (): Record<string, unknown> => JSON.parse(new TextDecoder().decode(bytes));
      return { status: response.status, headers: response.headers, bytes, json };
    },
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  };
}
