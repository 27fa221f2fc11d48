/**
 * What the applications of the HTTP tests answer, once as a web-standard handler and once as a listener of `node:http`. Each
 * answer names its build in `x-build`; all else about it is the same in every build.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";

/** How many bytes `/big` answers with: more than the kernel takes for a client that does not read. */
export const BIG_BYTES = 6 * 1024 * 1024;

/** Bytes in which a gap, a repetition or a change shows. */
export function pattern(size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at++) bytes[at] = (at * 31 + (at >> 8) * 7 + (at >> 16)) & 0xff;
  return bytes;
}

/** An answer before it is written. */
interface Answer {
  readonly status: number;
  readonly body: string | Uint8Array<ArrayBuffer> | null;
  /** Is there a second half, and when? Then the answer is sent in chunks. */
  readonly rest?: { readonly when: Promise<void>; readonly text: string };
}

/** Waits until there is a file: a test decides when. */
export async function gate(path: string): Promise<void> {
  for (;;) {
    try {
      Deno.statSync(path);
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

/** Says by a second file that a place in a program is reached, and waits there for the first. */
export async function reach(path: string): Promise<void> {
  await Deno.writeTextFile(`${path}.reached`, "");
  await gate(path);
}

/** What is answered, as far as the body of the request does not matter. */
async function plan(method: string, path: string, query: URLSearchParams): Promise<Answer> {
  switch (path) {
    case "/":
    case "/early":
      return { status: 200, body: `this is the answer to ${method}\n` };
    case "/big":
      return { status: 200, body: pattern(BIG_BYTES) };
    case "/204":
    case "/304":
      return { status: Number(path.slice(1)), body: null };
    case "/gated":
      await gate(query.get("file")!);
      return { status: 200, body: "at last\n" };
    case "/halves":
      return {
        status: 200,
        body: "one half,",
        rest: { when: gate(query.get("file")!), text: " the other\n" },
      };
    default:
      return { status: 404, body: "no such path\n" };
  }
}

/** The handler for `live.serve`. */
export function webHandler(build: string): (request: Request) => Promise<Response> {
  return async (request) => {
    const { pathname, searchParams } = new URL(request.url);
    const headers = { "x-build": build };
    if (pathname === "/echo") return new Response(await request.bytes(), { headers });
    const { status, body, rest } = await plan(request.method, pathname, searchParams);
    if (rest === undefined) return new Response(body, { status, headers });
    const encoder = new TextEncoder();
    const stream = new ReadableStream({
      async start(controller) {
        controller.enqueue(encoder.encode(String(body)));
        await rest.when;
        controller.enqueue(encoder.encode(rest.text));
        controller.close();
      },
    });
    return new Response(stream, { status, headers });
  };
}

/** The listener for a server of `node:http`. */
export function nodeListener(build: string): (req: IncomingMessage, res: ServerResponse) => void {
  const answer = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const { pathname, searchParams } = new URL(req.url ?? "/", "http://any");
    res.setHeader("x-build", build);
    if (pathname === "/echo") {
      const chunks: Uint8Array[] = [];
      for await (const chunk of req) chunks.push(chunk);
      const body = Buffer.concat(chunks);
      res.setHeader("content-length", body.byteLength);
      res.end(body);
      return;
    }
    if (pathname !== "/early") req.resume();
    const { status, body, rest } = await plan(req.method ?? "GET", pathname, searchParams);
    res.statusCode = status;
    if (rest === undefined) {
      if (body !== null) res.setHeader("content-length", body.length);
      res.end(body ?? undefined);
      return;
    }
    res.write(body);
    await rest.when;
    res.end(rest.text);
  };
  return (req, res) => void answer(req, res).catch(() => res.destroy());
}
