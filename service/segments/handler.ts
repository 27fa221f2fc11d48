/**
 * The HTTP API of the built-in service: shared-memory segments over a web-standard handler.
 *
 * | request | answer |
 * |---|---|
 * | `GET /v1/status` | 200, the status of the service |
 * | `GET /v1/segments` | 200, `{"segments":[{"name","size"}],"quotas","used":{"segments","bytes"}}` |
 * | `GET /v1/segments/NAME` | 200, `{"name","size"}` |
 * | `PUT /v1/segments/NAME?size=BYTES` | 201 when created, 200 when it was there; `{"name","size"}` |
 * | `DELETE /v1/segments/NAME` | 204 |
 * | `GET /v1/segments/NAME/bytes?offset=&length=` | 200, the bytes |
 * | `PUT /v1/segments/NAME/bytes?offset=&length=` | 200, `{"name","offset","written"}` |
 *
 * HEAD goes wherever GET goes. Happy path of a request: site, path, method, token, name, parameters, and then the
 * store; each step is one module beside this one.
 *
 * Unhappy path: the first step that refuses throws, and its {@linkcode HttpError} is the answer. Nothing is changed
 * by a request that is refused, except by a body that turned out too long or broke off while it was written; that
 * answer says how much was.
 *
 * @module
 */

import { checkSite, type Hosts, TokenGuard } from "./auth.ts";
import { bytesResponse, writeBody } from "./bytes.ts";
import { SegmentChanges } from "./changes.ts";
import { HttpError, invalidRequest, toHttpError } from "./errors.ts";
import { COMMON_HEADERS, jsonResponse } from "./json.ts";
import { parseSegmentName } from "./names.ts";
import { lengthOf, offsetOf, parseQuery, sizeOf } from "./numbers.ts";
import { checkQuotas, type Quotas, usageOf } from "./quotas.ts";
import { checkMethod, findRoute, type Route, targetOf } from "./routes.ts";
import type { SegmentStore } from "./store.ts";

/** What the handler needs beside the store. */
export interface SegmentHandlerOptions {
  /** What a request that writes must bring as its bearer token; null refuses every write. */
  readonly token: string | null;
  /** The limits. */
  readonly quotas: Quotas;
  /** The `Host` values that are ours, as `name:port`; asked at every request, for the port may be known late. */
  readonly hosts: Hosts;
  /** What `/v1/status` answers. */
  readonly status: () => Promise<unknown>;
}

/** A web-standard handler that never rejects. */
export type SegmentHandler = (request: Request) => Promise<Response>;

/**
 * Makes the handler of the API.
 *
 * @param store the holder of the segments.
 * @param options token, limits, hosts and status.
 * @returns the handler.
 * @throws {RangeError} when the token could never match or a quota is no positive whole number.
 */
export function createSegmentHandler(store: SegmentStore, options: SegmentHandlerOptions): SegmentHandler {
  const api = new SegmentApi(store, options);
  return async (request) => {
    try {
      return await api.answer(request);
    } catch (error) {
      const response = toHttpError(error, `Cannot answer ${request.method}`).toResponse();
      return request.method === "HEAD" ? withoutBody(response) : response;
    }
  };
}

class SegmentApi {
  readonly #store: SegmentStore;
  readonly #options: SegmentHandlerOptions;
  readonly #quotas: Quotas;
  readonly #guard: TokenGuard;
  readonly #changes: SegmentChanges;

  constructor(store: SegmentStore, options: SegmentHandlerOptions) {
    this.#store = store;
    this.#options = options;
    this.#quotas = checkQuotas(options.quotas);
    this.#guard = new TokenGuard(options.token);
    this.#changes = new SegmentChanges(store, this.#quotas);
  }

  async answer(request: Request): Promise<Response> {
    checkSite(request, this.#options.hosts);
    const { path, query } = targetOf(request.url);
    const route = findRoute(path);
    checkMethod(route, request.method);
    if (request.method === "GET" || request.method === "HEAD") {
      const response = await this.#read(route, query, request.method === "HEAD");
      return request.method === "HEAD" ? withoutBody(response) : response;
    }
    await this.#guard.check(request);
    return await this.#write(route, query, request);
  }

  async #read(route: Route, query: string, head: boolean): Promise<Response> {
    switch (route.kind) {
      case "status":
        parseQuery(query, []);
        return jsonResponse(await this.#options.status());
      case "segments":
        parseQuery(query, []);
        return jsonResponse(this.#list());
      case "segment": {
        const name = parseSegmentName(route.name);
        parseQuery(query, []);
        return jsonResponse({ name, size: this.#find(name).byteLength });
      }
      case "bytes": {
        const name = parseSegmentName(route.name);
        const parameters = parseQuery(query, ["offset", "length"]);
        const bytes = this.#find(name);
        const offset = offsetOf(parameters, bytes.byteLength);
        const length = lengthOf(parameters, offset, bytes.byteLength) ?? bytes.byteLength - offset;
        return bytesResponse({ bytes, offset, length }, head);
      }
    }
  }

  async #write(route: Route, query: string, request: Request): Promise<Response> {
    if (route.kind === "status" || route.kind === "segments") {
      throw new TypeError("Cannot write here: read-only path");
    }
    const name = parseSegmentName(route.name);
    if (route.kind === "bytes") return await this.#writeBytes(name, query, request);
    if (request.method === "DELETE") {
      parseQuery(query, []);
      await refuseBody(request, "DELETE takes no body");
      if (!await this.#changes.remove(name)) throw noSuchSegment(name);
      return new Response(null, { status: 204, headers: COMMON_HEADERS });
    }
    const size = sizeOf(parseQuery(query, ["size"]), this.#quotas.maxSegmentBytes);
    await refuseBody(request, "a new segment takes no body; it is written by PUT to its /bytes");
    const { info, created } = await this.#changes.create(name, size);
    const headers = created ? { location: `/v1/segments/${name}` } : {};
    return jsonResponse({ name: info.name, size: info.size }, { status: created ? 201 : 200, headers });
  }

  async #writeBytes(name: string, query: string, request: Request): Promise<Response> {
    const parameters = parseQuery(query, ["offset", "length"]);
    const bytes = this.#find(name);
    const offset = offsetOf(parameters, bytes.byteLength);
    const length = lengthOf(parameters, offset, bytes.byteLength);
    const { maxBodyBytes } = this.#quotas;
    const action = `Cannot write segment "${name}" at offset ${offset}`;
    const written = await writeBody(request, bytes, { action, offset, length, maxBodyBytes });
    return jsonResponse({ name, offset, written });
  }

  #list(): unknown {
    const segments = this.#store.list()
      .map(({ name, size }) => ({ name, size }))
      .sort((a, b) => a.name < b.name ? -1 : 1);
    return { segments, quotas: this.#quotas, used: usageOf(segments) };
  }

  #find(name: string): Uint8Array {
    const found = this.#store.get(name);
    if (found === undefined) throw noSuchSegment(name);
    return found.bytes;
  }
}

function noSuchSegment(name: string): HttpError {
  return new HttpError(`Cannot find segment "${name}": there is none of that name`, {
    status: 404,
    code: "ENOENT",
    allowed: "A name of GET /v1/segments; PUT /v1/segments/NAME?size=BYTES creates one",
  });
}

/** Refuses a body where none belongs: a client that sends one believes that it was stored. */
async function refuseBody(request: Request, state: string): Promise<void> {
  for await (const chunk of request.body ?? []) {
    if (chunk.byteLength > 0) {
      throw invalidRequest(`Cannot ${request.method} the segment: ${state}`, "No body");
    }
  }
}

/** HEAD: the headers of the answer, its length among them, and nothing else. */
function withoutBody(response: Response): Response {
  return new Response(null, { status: response.status, headers: response.headers });
}
